"""Render the flange in eight styles from three sides, by Mitsuba 3.

pip install "styleaug[mesh,render]"
python -m benchmarks.mesh.sheet
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from benchmarks.mesh.parts import Part, flange, metal
from benchmarks.rows import parser_of
from styleaug import Restyle, StyleAugment
from styleaug.images.io import save_image
from styleaug.mesh import restyle

ASSET = Path(__file__).parents[2] / "docs" / "assets" / "mesh.jpg"
SIDE = 190
"""Of a picture, in pixels."""
STYLES = (
    ("rust", "rust", 3),
    ("brushed", "brushed", 5),
    ("copper patina", "patina", 3),
    ("galvanised", "galvanised", 0),
    ("forged scale", "forged-scale", 0),
    ("heat tint", "heat-tint", 3),
    ("painted", "painted", 4),
    ("wood", "wood", 2),
)
"""Labels, tags, and seeds."""
VIEWS = ((2.2, -2.3, 2.2), (-3.3, -1.4, 1.2), (0.2, -1.6, 3.5))
"""Where the camera stands; it looks at the part."""


def load() -> Any:
    """Mitsuba, in the variant that needs no compiler."""
    import mitsuba

    mitsuba.set_variant("scalar_rgb")
    return mitsuba


def render(
    part: Part, texture: Image.Image, view: Sequence[float], *, side: int, samples: int
) -> Image.Image:
    """A picture of the part on a light floor, under a large lamp."""
    mi = load()
    with TemporaryDirectory() as folder:
        mesh, image = Path(folder) / "part.obj", Path(folder) / "part.png"
        write_obj(part, mesh)
        texture.save(image)
        turn = mi.ScalarTransform4f()
        scene = mi.load_dict(
            {
                "type": "scene",
                "integrator": {"type": "path", "max_depth": 5},
                "sensor": {
                    "type": "perspective",
                    "fov": 31,
                    "to_world": turn.look_at(origin=view, target=(0, 0, 0.12), up=(0, 0, 1)),
                    "film": {"type": "hdrfilm", "width": side, "height": side},
                    "sampler": {"type": "independent", "sample_count": samples},
                },
                "part": {
                    "type": "obj",
                    "filename": str(mesh),
                    "face_normals": True,
                    "bsdf": {
                        "type": "principled",
                        "base_color": {"type": "bitmap", "filename": str(image)},
                        "roughness": 0.45,
                        "metallic": 0.2,
                        "specular": 0.5,
                    },
                },
                "floor": {
                    "type": "rectangle",
                    "to_world": turn.translate((0, 0, -0.12)).scale(30),
                    "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.8}},
                },
                "sky": {"type": "constant", "radiance": {"type": "rgb", "value": 0.8}},
                "lamp": {
                    "type": "rectangle",
                    "to_world": turn.look_at(origin=(-2.5, -2, 4), target=(0, 0, 0), up=(0, 0, 1)),
                    "emitter": {"type": "area", "radiance": {"type": "rgb", "value": 6.0}},
                },
            }
        )
        linear = np.array(mi.render(scene))[..., :3].clip(0, None)
    levels = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return Image.fromarray((255 * levels).clip(0, 255).astype(np.uint8))


def write_obj(part: Part, path: Path) -> None:
    """A plain OBJ file, without materials."""
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in part.points]
    lines += [f"vt {u:.6f} {1 - v:.6f}" for u, v in part.uv]
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in part.faces + 1]
    path.write_text("\n".join(lines))


def main(arguments: Sequence[str]) -> None:
    """Render all and write the sheet."""
    parser = parser_of(__doc__)
    parser.add_argument("--samples", type=int, default=96, help="of each pixel")
    parser.add_argument("--out", type=Path, default=ASSET)
    options = parser.parse_args(arguments)
    part = flange()
    mesh = part.mesh(part.draw(1024, metal()))
    looks = [("as it is", mesh.visual.material.baseColorTexture)]
    for label, tag, seed in STYLES:
        augment = StyleAugment([Restyle(tag, strength=1, texture=1, mix=0, working_size=1024)])
        plan = augment.draw(1, torch.Generator().manual_seed(seed))
        looks.append((label, restyle(mesh, augment, plan).visual.material.baseColorTexture))
    head = 20
    sheet = Image.new("RGB", (SIDE * len(looks), head + SIDE * len(VIEWS)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    bar = tqdm(total=len(looks) * len(VIEWS), unit="picture")
    for column, (label, texture) in enumerate(looks):
        draw.text((SIDE * (column + 0.5), head / 2), label, "black", font, anchor="mm")
        for row, view in enumerate(VIEWS):
            picture = render(part, texture, view, side=SIDE, samples=options.samples)
            sheet.paste(picture, (SIDE * column, head + SIDE * row))
            bar.update()
    save_image(options.out, sheet)
    print(options.out)


if __name__ == "__main__":
    main(sys.argv[1:])
