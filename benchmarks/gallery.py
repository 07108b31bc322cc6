"""Draw the pictures of the docs: parts under styles, strengths and lamps; finishes; a new line.

    python benchmarks/gallery.py [--content NAME=DIR...] [--pack PACK] [--out DIR]

Without ``--content``, the parts are drawn (:mod:`styleaug.styles.procedural`), each with a scratch,
a spot and a blotch, so that no photograph of unclear licence is in the documentation. With it, one
picture of each folder is taken.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from styleaug import StylePack, StylePlan, StyleSampler, render
from styleaug.gatys import gatys
from styleaug.images.color import to_dtype
from styleaug.images.io import find_images, grid, load_rgb, save_image, to_tensor
from styleaug.light import draw_light
from styleaug.networks import encode
from styleaug.styles.procedural import FAMILIES, draw_finish
from styleaug.train.data import draw_defects

OUT = Path(__file__).parents[1] / "docs" / "assets" / "gallery"
SIDE = 144
PARTS = {
    "steel": ("rolled", 3),
    "tile": ("ceramic", 2),
    "pcb": ("pcb", 1),
    "cell": ("solar-poly", 4),
}
# name of the row: strength, texture, light
ROWS = {
    "colour and finish only": (1.0, 0.0, 0.0),
    "half strength, half texture": (0.5, 0.5, 0.0),
    "full strength and texture": (1.0, 1.0, 0.0),
    "light only": (0.0, 0.0, 1.0),
}
# finishes that are no rows of the pack
NEW_LINE = (("galvanised", 2000), ("rust", 2001))
TAGS = ("material", "texture", "painting", "finish", "finish", "material", "finish")


def drawn_part(family: str, index: int, seed: int) -> Tensor:
    """A finish with three drawn defects: (3, SIDE, SIDE), uint8."""
    rng = np.random.default_rng(seed)
    delta, _, _ = draw_defects(1, SIDE, rng)
    return to_dtype(draw_finish(family, index, size=SIDE) + delta[0], torch.uint8)


def picture(folder: Path) -> Tensor:
    """The middle picture of a folder, cropped square: (3, SIDE, SIDE), uint8."""
    files = find_images(folder)
    image = ImageOps.fit(load_rgb(files[len(files) // 2]), (SIDE, SIDE), Image.Resampling.BILINEAR)
    return to_tensor(image)


def style_plan(pack: StylePack, seed: int) -> StylePlan:
    """One style of each of TAGS, unmixed."""
    generator = torch.Generator().manual_seed(seed)
    tags = [tag if tag in {t for row in pack.tags for t in row} else "all" for tag in TAGS]
    plans = [StyleSampler(pack, tag, mix=0.0).draw(1, generator) for tag in tags]
    return StylePlan.join(plans)


def sheet(part: Tensor, pack: StylePack, seed: int) -> Image.Image:
    """One row for each of ROWS, the part itself first."""
    plan = style_plan(pack, seed)
    lamps = draw_light(torch.ones(len(plan)), torch.Generator().manual_seed(seed))
    rows = []
    for strength, texture, light in ROWS.values():
        changed = replace(
            plan,
            strength=torch.full_like(plan.strength, strength),
            texture=torch.full_like(plan.texture, texture),
            light=lamps if light else draw_light(torch.zeros(len(plan))),
        )
        rows.append([part, *render(part.expand(len(plan), -1, -1, -1), changed, pack)])
    return grid(rows)


def finishes(columns: int = 4, side: int = 64) -> Image.Image:
    """Each family's first pictures, two families a row."""
    pictures = [
        [to_dtype(draw_finish(family, k, size=side), torch.uint8) for k in range(columns)]
        for family in FAMILIES
    ]
    half = -(-len(pictures) // 2)
    blank = [torch.full_like(pictures[0][0], 255)] * columns
    return grid(
        [
            left + right
            for left, right in zip(pictures[:half], [*pictures[half:], blank], strict=False)
        ]
    )


def new_line(
    parts: list[Tensor], pack: StylePack, references: tuple[tuple[str, int], ...]
) -> Image.Image:
    """A row for each part and reference: part, reference, encoded style, optimised pixels."""
    rows = []
    for part in parts:
        for family, index in references:
            reference = to_dtype(draw_finish(family, index, size=256), torch.uint8)
            plan = replace(
                StyleSampler(pack, mix=0).draw(1, torch.Generator().manual_seed(0)),
                codes=encode(pack, reference[None]),
            )
            encoded = render(part[None], plan, pack)[0]
            optimised = gatys(part[None], [reference]).images[0]
            middle = reference[:, 56:200, 56:200]
            rows.append([part, middle, encoded, optimised])
    return grid(rows)


def main() -> None:
    """Draw and write the sheets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--content", nargs="+", default=[], metavar="NAME=DIR")
    parser.add_argument("--pack", default="base")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    pack = StylePack.load(arguments.pack)
    parts = {
        name: drawn_part(*drawn, arguments.seed + i)
        for i, (name, drawn) in enumerate(PARTS.items())
    }
    if arguments.content:
        given = [entry.partition("=") for entry in arguments.content]
        parts = {name: picture(Path(folder)) for name, _, folder in given}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        save_image(arguments.out / f"{name}.jpg", sheet(part, pack, arguments.seed))
        print(arguments.out / f"{name}.jpg")
    if not arguments.content:
        save_image(arguments.out / "finishes.jpg", finishes())
        print(arguments.out / "finishes.jpg")
        shown = [parts["steel"], parts["tile"]]
        save_image(arguments.out / "new-line.jpg", new_line(shown, pack, NEW_LINE))
        print(arguments.out / "new-line.jpg")


if __name__ == "__main__":
    main()
