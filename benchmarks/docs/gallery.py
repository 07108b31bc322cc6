"""Draw the pictures of the docs: parts under styles, strengths and lighting; finishes; a new line.

    python -m benchmarks.docs.gallery [--content NAME=DIR...] [--pack PACK] [--out DIR]

Without ``--content``, the parts are drawn (:mod:`styleaug.styles.procedural`), each with a scratch,
a spot and a blotch, so that no photograph of unclear licence is in the documentation. With it, one
picture of each folder is taken.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.pictures import square
from benchmarks.rows import parser_of
from styleaug import Relight, Restyle, StyleAugment, StylePack
from styleaug.cli.sheet import contact_sheet
from styleaug.gatys import gatys
from styleaug.images.color import to_dtype
from styleaug.images.io import find_images, save_image
from styleaug.networks import encode
from styleaug.pack import DEFAULT_PACK
from styleaug.stages.restyle import RestyleParams
from styleaug.styles.procedural import FAMILIES, draw_finish
from styleaug.train.data import draw_defects

OUT = Path(__file__).parents[2] / "docs" / "assets" / "gallery"
SIDE = 144
PARTS = {
    "steel": ("rolled", 3),
    "tile": ("ceramic", 2),
    "pcb": ("pcb", 1),
    "cell": ("solar-poly", 4),
}
# strength and texture of the rows; below them, lighting alone
ROWS = ((1.0, 0.0), (0.5, 0.5), (1.0, 1.0))
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
    return square(files[len(files) // 2], SIDE)


def style_codes(pack: StylePack, seed: int) -> Tensor:
    """Codes of one style of each of TAGS."""
    rng = np.random.default_rng(seed)
    known = {tag for tags in pack.tags for tag in tags}
    return torch.stack(
        [pack.codes[rng.choice(pack.rows(tag if tag in known else "all"))] for tag in TAGS]
    )


def sheet(part: Tensor, pack: StylePack, seed: int) -> Image.Image:
    """One row for each of ROWS, and one of lighting, the part itself first."""
    codes = style_codes(pack, seed)
    restyle, relight = Restyle(pack=pack), Relight(strength=1.0)
    batch = part.expand(len(codes), -1, -1, -1)
    rows = []
    for strength, texture in ROWS:
        params = RestyleParams.of(codes, strength=strength, texture=texture)
        rows.append([part, *restyle.render(batch, params)])
    lighting = relight.draw(len(codes), torch.Generator().manual_seed(seed))
    return contact_sheet([*rows, [part, *relight.render(batch, lighting)]], SIDE)


def hero(parts: Sequence[Tensor], seed: int, columns: int = 6) -> Image.Image:
    """A row for each part: the part, then draws of the default preset, as training sees them."""
    augment, generator = StyleAugment(), torch.Generator().manual_seed(seed)
    rows = []
    for part in parts:
        plan = augment.draw(columns, generator)
        rows.append([part, *augment.render(part.expand(columns, -1, -1, -1), plan)])
    return contact_sheet(rows, SIDE)


def finishes(columns: int = 4, side: int = 64) -> Image.Image:
    """Each family's first pictures, two families a row."""
    pictures = [
        [to_dtype(draw_finish(family, k, size=side), torch.uint8) for k in range(columns)]
        for family in FAMILIES
    ]
    half = -(-len(pictures) // 2)
    blank = [torch.full_like(pictures[0][0], 255)] * columns
    halves = zip(pictures[:half], [*pictures[half:], blank], strict=False)
    return contact_sheet([left + right for left, right in halves], side)


def new_line(
    parts: Sequence[Tensor], pack: StylePack, references: Sequence[tuple[str, int]]
) -> Image.Image:
    """A row for each part and reference: part, reference, encoded style, optimised pixels."""
    restyle, rows = Restyle(pack=pack), []
    for part in parts:
        for family, index in references:
            reference = to_dtype(draw_finish(family, index, size=256), torch.uint8)
            params = RestyleParams.of(encode(pack, reference[None]))
            encoded = restyle.render(part[None], params)[0]
            optimised = gatys(part[None], [reference]).images[0]
            rows.append([part, reference[:, 56:200, 56:200], encoded, optimised])
    return contact_sheet(rows, SIDE)


def main(options: Sequence[str]) -> None:
    """Draw and write the sheets."""
    parser = parser_of(__doc__)
    parser.add_argument("--content", nargs="+", default=[], metavar="NAME=DIR")
    parser.add_argument("--pack", default=DEFAULT_PACK)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args(options)
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
        save_image(OUT.with_name("hero.jpg"), hero(list(parts.values()), arguments.seed))
        save_image(arguments.out / "finishes.jpg", finishes())
        print(arguments.out / "finishes.jpg")
        shown = [parts["steel"], parts["tile"]]
        save_image(arguments.out / "new-line.jpg", new_line(shown, pack, NEW_LINE))
        print(arguments.out / "new-line.jpg")


if __name__ == "__main__":
    main(sys.argv[1:])
