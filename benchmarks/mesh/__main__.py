"""Seams of restyled textures, what else changes, and how long textures of each size take.

    pip install "styleaug[mesh,render]"
    python -m benchmarks.mesh [--styles 12]

Three parts: a box, a sphere, and a turned flange that xatlas unwrapped. *Step* is the mean
difference of colours across UV seams, so many texels inside either side, after over before; of
textures that are restyled as pictures are, too. *Inside* is the same between two places of one side
that are as far apart. Memory is the peak above what was there before the call, in a process of its
own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.mesh.parts import PARTS, Part, as_glb, flange, metal, seam_step, step_inside
from benchmarks.rows import RESULTS, Rows, parser_of, provenance
from styleaug import Restyle, StyleAugment
from styleaug.mesh.files import read_model
from styleaug.mesh.gltf_bytes import BIN, JSON, read_chunks
from styleaug.mesh.paint import Paint
from styleaug.mesh.texture import Texture, restyle_texture

SIDE = 1024
SIZES = (1024, 2048, 4096)
DEPTHS = (1, 3)
"""Texels into either side: at the first, seams are levelled; at the second they are not."""


def paints(count: int) -> list[Paint]:
    """Styles at full strength and texture."""
    augment = StyleAugment([Restyle("all", strength=1, texture=1, mix=0)])
    draws = [augment.draw(1, torch.Generator().manual_seed(seed)) for seed in range(count)]
    return [Paint(augment, plan) for plan in draws]


def plainly(image: Image.Image, paint: Paint) -> Image.Image:
    """The texture restyled as any picture is."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    return Image.fromarray(paint(pixels).permute(1, 2, 0).numpy())


def seams(name: str, part: Part, styles: Sequence[Paint]) -> list[dict[str, Any]]:
    """Steps of a part, style by style."""
    image, surface = part.draw(SIDE, metal(), gutter=name != "box"), part.surface
    rows = []
    for paint in styles:
        ways = {
            "mesh": restyle_texture(Texture(image, surface), paint),
            "picture": plainly(image, paint),
        }
        for way, after in ways.items():
            for depth in DEPTHS:
                for place, measure in (("seam", seam_step), ("inside", step_inside)):
                    ratio = measure(after, surface, depth) / measure(image, surface, depth)
                    row = {"part": name, "style": paint.plan.caption(0), "way": way}
                    rows.append({**row, "what": f"{place} {depth}", "value": round(ratio, 4)})
    return rows


def unchanged(part: Part, paint: Paint) -> dict[str, bool]:
    """What of a GLB file is the same, bit for bit, after its base colours have changed."""
    base = part.draw(256, metal())
    alpha = Image.effect_noise(base.size, 60)
    base.putalpha(alpha)
    maps = {
        "normalTexture": Image.new("RGB", (32, 32), (128, 128, 255)),
        "metallicRoughnessTexture": Image.effect_noise((32, 32), 40).convert("RGB"),
        "occlusionTexture": Image.effect_noise((32, 32), 50).convert("RGB"),
    }
    before = as_glb(part.mesh(base, **maps))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "part.glb"
        path.write_bytes(before)
        after = read_model(path).restyle(paint, "new.glb")["new.glb"]
    contents = []
    for file in (before, after):
        chunks = dict(read_chunks(file))
        gltf = json.loads(chunks[JSON])
        index = gltf["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]["index"]
        base_view = gltf["images"][gltf["textures"][index]["source"]]["bufferView"]
        views = [
            chunks[BIN][v.get("byteOffset", 0) :][: v["byteLength"]] for v in gltf["bufferViews"]
        ]
        image = Image.open(BytesIO(views.pop(base_view))).convert("RGBA")
        for entry in (*gltf["bufferViews"], *gltf["buffers"]):
            entry.pop("byteOffset", None)
            entry.pop("byteLength")
        contents.append((gltf, views, image.getchannel("A").tobytes(), image.tobytes()))
    one, other = contents
    return {
        "json": one[0] == other[0],
        "geometry, UVs and other maps": one[1] == other[1],
        "alpha": one[2] == other[2],
        "base colours": one[3] == other[3],
    }


def cost(size: int) -> dict[str, float]:
    """Seconds and MB of one texture of the flange, in this process."""
    part = flange()
    image = part.draw(512, metal()).resize((size, size))
    paint = paints(1)[0]
    restyle_texture(Texture(image.resize((64, 64)), part.surface), paint)  # what is built once
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _kilobytes("VmRSS")
    start = time.perf_counter()
    restyle_texture(Texture(image, part.surface), paint)
    seconds = time.perf_counter() - start
    grown = (_kilobytes("VmHWM") - before) / 1024
    return {"seconds": round(seconds, 2), "megabytes": round(grown)}


def _kilobytes(name: str) -> int:
    """What Linux says of this process's memory: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--styles", type=int, default=12)
    parser.add_argument("--cost", type=int, metavar="SIZE", help="only this, as JSON")
    parser.add_argument("--out", type=Path, default=RESULTS / "mesh" / "mesh.json")
    options = parser.parse_args(arguments)
    if options.cost:
        print(json.dumps(cost(options.cost)))
        return
    styles = paints(options.styles)
    rows: list[dict[str, Any]] = []
    parts = {name: make() for name, make in PARTS.items()}
    for name, part in parts.items():
        rows += seams(name, part, styles)
        found = [
            r["value"] for r in rows if (r["part"], r["way"], r["what"]) == (name, "mesh", "seam 1")
        ]
        print(f"{name:8} seams {median(found):.2f}, at most {max(found):.2f}")
        for what, same in unchanged(part, styles[0]).items():
            row = {"part": name, "style": "", "way": "file", "what": what}
            rows.append({**row, "value": int(same)})
            print(f"{name:8} {what}: {'the same' if same else 'others'}")
    for size in SIZES:
        command = [sys.executable, "-m", "benchmarks.mesh", "--cost", str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for what, value in json.loads(done.stdout).items():
            rows.append(
                {"part": "flange", "style": "", "way": str(size), "what": what, "value": value}
            )
        print(size, done.stdout.strip())
    meta = {
        "name": "mesh",
        "purpose": "Whether textures of models keep their seams, and what restyling them costs.",
        **provenance("benchmarks.mesh", arguments, packages=("trimesh", "xatlas")),
        "side": SIDE,
    }
    print(Rows(meta, rows).save(options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
