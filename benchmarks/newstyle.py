"""What the three ways to a new style reach: encoded, fitted, optimised.

    python benchmarks/newstyle.py --styles DIR... --content DIR... --count 20

Styles that the bundled pack was never trained on: of the folders that it was trained on, those
that it held out; of others, all. Each is learned as ``styleaug add-style`` does; then all ways are
judged on real contents, which no fit saw, and compared with what an optimisation of the pixels
reaches on the same. ``agrees`` is the share of styles for which the way that was chosen on the
contents of the learning (drawn ones, or ``--own``) is the one that the same rule chooses on these.
``--other-than RESULT`` takes other styles than that result did: the rule was chosen by those.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from common import machine_record, package_versions, write_json
from gatys import evenly
from styleaug import StylePack
from styleaug.images.io import to_tensor
from styleaug.networks import encode
from styleaug.styles import learn_style, with_styles
from styleaug.styles.learn import MEASURED, choose
from styleaug.styles.probes import (
    PROBE_SIZE,
    STYLE_WEIGHT,
    Probes,
    optimised_probes,
    restyled_probes,
    style_targets,
    trunk_on,
)
from styleaug.train.styles import is_held_out, list_styles

RESULT = Path(__file__).parent / "results" / "newstyle.json"


def unseen(
    folders: list[Path], pack: StylePack, count: int, known: Collection[str] = ()
) -> list[tuple[str, Image.Image]]:
    """Pictures whose styles the pack was not trained on, and not ``known``; folders take turns."""
    share = pack.info["settings"]["holdout"]
    groups = []
    for folder in folders:
        styles = [s for s in list_styles([str(folder)]) if s.name not in pack.names]
        held_out = [s for s in styles if is_held_out(s.name, share)] or styles
        groups.append([s for s in held_out if s.name not in known])
    groups = [group for group in groups if group]
    chosen: dict[str, Image.Image] = {}
    for k in range(count):
        turn = k % len(groups)
        # of a small folder that has no more, none twice: of the next one then
        some = (g[(2 * k + 1) * len(g) // (2 * count)] for g in groups[turn:] + groups[:turn])
        style = next((s for s in some if s.name not in chosen), None)
        if style is None:
            raise ValueError(f"--count must be less: there are too few styles for {count}.")
        chosen[style.name] = style.load()
    return list(chosen.items())


def style_part(probes: Probes, outputs: Tensor, grams: Sequence[Tensor]) -> float:
    """What the style contributes to the objective; the rest is the content's part."""
    targets = [g.expand(len(outputs), -1, -1) for g in grams]
    with torch.no_grad():
        style, _ = probes.judge(
            outputs, torch.arange(len(outputs)), targets, trunk_on(outputs.device)
        )
    return STYLE_WEIGHT * style.mean().item()


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--content", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--styles", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--count", type=int, default=20, help="styles")
    parser.add_argument("--contents", type=int, default=2)
    parser.add_argument(
        "--own",
        type=int,
        default=0,
        metavar="N",
        help="learn on so many other images of the same folders, as with add-style --content "
        "(default: on drawn surfaces)",
    )
    parser.add_argument("--steps", type=int, default=200, help="of each fit")
    parser.add_argument("--other-than", type=Path, metavar="RESULT", help="leave out its styles")
    parser.add_argument("--pack", default="base")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    pack = StylePack.load(options.pack)
    _, contents = evenly(options.content, options.contents + options.own, PROBE_SIZE)
    contents = contents.float().div(255)
    real, own = Probes(contents[: options.contents]), contents[options.contents :]
    other = options.other_than
    known = {row["name"] for row in json.loads(other.read_text())["styles"]} if other else set()
    rows = []
    for name, image in tqdm(unseen(options.styles, pack, options.count, known), desc="styles"):
        side = min(image.size)
        picture = to_tensor(ImageOps.fit(image, (side, side))).float().div(255)
        grams = style_targets(picture)
        # fitted in any case, to know what a fit would have brought
        learned = learn_style(
            pack,
            picture,
            name,
            way="fit",
            contents=own if options.own else None,
            steps=options.steps,
        )
        chosen = choose(learned.moved, learned.objective)
        encoded = encode(pack, picture[None])[0]
        fitted = with_styles(pack, [learned], ())
        outputs = {
            "encode": restyled_probes(pack, encoded, real),
            "fit": restyled_probes(fitted, fitted.codes[-1], real),
            "gatys": optimised_probes(real, grams, len(real)),
        }
        found = {way: real.measure(images, grams) for way, images in outputs.items()}
        moved = {way: value[0] for way, value in found.items()}
        objective = {way: value[1] for way, value in found.items()}
        style = {way: style_part(real, images, grams) for way, images in outputs.items()}
        best = choose(moved, objective)
        rows.append(
            {
                "name": name,
                "tried": dict(learned.moved),
                "chosen": chosen,
                "best": best,
                "moved": moved,
                "objective": objective,
                "style part": style,
                "seconds": dict(learned.seconds),
            }
        )
        tqdm.write(f"{name}: {chosen} ({best}), moved {moved}, objective {objective}")

    def column(kind: str, way: str) -> np.ndarray:
        return np.array([row[kind][way] for row in rows])

    ways = ("encode", "fit", "gatys")
    reached = column("objective", "gatys")
    record = {
        "command": "python benchmarks/newstyle.py --content "
        + " ".join(folder.name for folder in options.content)
        + " --styles "
        + " ".join(folder.name for folder in options.styles)
        + f" --count {options.count} --contents {options.contents} --steps {options.steps}"
        + (f" --own {options.own}" if options.own else "")
        + (f" --other-than {other.name}" if other else ""),
        "own": options.own,
        "measured": min(MEASURED, options.own // 2) if options.own else MEASURED,
        "steps": options.steps,
        "pack": options.pack,
        "pack_id": pack.id,
        "median": {
            way: {
                "objective_over_gatys": float(np.median(column("objective", way) / reached)),
                "style_share": float(
                    np.median(column("style part", way) / column("objective", way))
                ),
                "moved": float(np.median(column("moved", way))),
                "seconds": float(np.median(column("seconds", way))),
            }
            for way in ways
        },
        "fit_lowers_by_a_fifth": float(
            (column("objective", "fit") <= 0.8 * column("objective", "encode")).mean()
        ),
        "fit_lowers_style_by_a_fifth": float(
            (column("style part", "fit") <= 0.8 * column("style part", "encode")).mean()
        ),
        "fit_moves_92_percent": float((column("moved", "fit") >= 0.92).mean()),
        "agrees": float(np.mean([row["chosen"] == row["best"] for row in rows])),
        "styles": rows,
        "machine": machine_record(),
        "versions": package_versions(["torch", "torchvision"]),
    }
    print(write_json(options.out, record))


if __name__ == "__main__":
    main()
