// The lines of Python that do what the page does.

import { RELIEF_RADIUS, RELIEF_SIGMA, lightOf } from "./pixels.js";

const number = (value) => String(Math.round(value * 1000) / 1000);
const text = (value) => JSON.stringify(value);

/** mix: entries {name, file, weight}, where a picture of one's own has a file in place of a name. */
export function pythonOf({ pack, mix, strength, texture, relief, light }) {
  const amounts = `strength=${number(strength)}, texture=${number(texture)}`;
  const lines = mix.length === 1 ? alone(mix[0], pack, amounts) : mixed(mix, pack, amounts);
  const further = [...reliefLines(relief), ...lightLines(light)];
  const imports = [...lines.imports, ...further.filter((line) => /^from |^import /.test(line))];
  const rest = further.filter((line) => !/^from |^import /.test(line));
  const takes = rest.length ? "float in [0, 1]" : "uint8, or float in [0, 1]";
  return [...imports.sort(), "", `# images: (B, 3, H, W), ${takes}`, ...lines.body, ...rest].join(
    "\n",
  );
}

function alone({ name, file }, pack, amounts) {
  return {
    imports: ["from styleaug import Restyle"],
    body: [
      `restyle = Restyle(${text(name ?? file)}, ${amounts}, pack=${text(pack)})`,
      "restyled = restyle(images)",
    ],
  };
}

function mixed(mix, pack, amounts) {
  const imports = [
    "from styleaug import Restyle, StylePack",
    "from styleaug.stages.restyle import RestyleParams",
  ];
  const body = [`pack = StylePack.load(${text(pack)})`];
  if (mix.every(({ file }) => !file)) {
    const shares = mix.map(({ name, weight }) => `${text(name)}: ${number(weight)}`);
    body.push("code = pack.code({", ...shares.map((share) => `    ${share},`), "})");
  } else {
    imports.push(
      "from pathlib import Path",
      "from styleaug.images.io import load_rgb, to_tensor",
      "from styleaug.networks import encode",
    );
    const terms = mix.map(({ name, file, weight }) => {
      const code = file
        ? `encode(pack, to_tensor(load_rgb(Path(${text(file)})))[None])[0]`
        : `pack.code(${text(name)})`;
      return `${number(weight)} * ${code}`;
    });
    body.push("code = (", ...terms.map((term, k) => `    ${k ? "+ " : ""}${term}`), ")");
  }
  body.push(
    `params = RestyleParams.of(code.expand(len(images), -1), ${amounts})`,
    "restyled = Restyle(pack=pack).render(images, params)",
  );
  return { imports, body };
}

function reliefLines(gain) {
  if (gain === 1) return [];
  return [
    "from torchvision.transforms.v2.functional import gaussian_blur",
    `low = gaussian_blur(restyled, ${2 * RELIEF_RADIUS + 1}, ${number(RELIEF_SIGMA)})`,
    `restyled = (low + ${number(gain)} * (restyled - low)).clamp(0, 1)`,
  ];
}

function lightLines(amount) {
  if (amount === 0) return [];
  const values = Object.entries(lightOf(amount));
  return [
    "from styleaug.stages.relight import NAMES, neutral_values, relight",
    "light = neutral_values(len(images)).clone()",
    ...values.map(([name, value]) => `light[:, NAMES.index(${text(name)})] = ${number(value)}`),
    "restyled = relight(restyled, light)",
  ];
}
