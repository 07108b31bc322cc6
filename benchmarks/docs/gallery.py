"""Draw the pictures of the docs: drawn parts under presets, strengths and finishes; a new line.

    python -m benchmarks.docs.gallery [--only NAME...] [--out DIR]

Lines mark the true outlines of the defects on every picture: on a restyled one, too, they are where
the original has them, since nothing moves. See :mod:`benchmarks.docs.scenes`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from benchmarks.docs.scenes import SCENES, marked
from benchmarks.rows import parser_of
from styleaug import Restyle, StyleAugment, StylePack
from styleaug.gatys import gatys
from styleaug.images.color import to_dtype
from styleaug.images.io import to_image
from styleaug.networks import encode
from styleaug.stages.restyle import RestyleParams
from styleaug.styles.procedural import FAMILIES, draw_finish

OUT = Path(__file__).parents[2] / "docs" / "assets" / "gallery"
HERO = OUT.with_name("hero.jpg")
SIDE = 320
"""Of parts, in pixels."""
GAP, LINE, LETTERS = 6, 22, 16
"""In pixels: between pictures; height of a line of a caption; size of its letters."""
GROUND, INK = (24, 28, 36), (232, 235, 240)
"""Dark, since pages may be light or dark."""
IN_HERO = ("steel", "tile", "board", "cell")
PRESETS = {
    "default": "fabric",
    "lighting": "steel",
    "sensor": "board",
    "material": "tile",
    "mild": "cell",
    "strong": "steel",
}
"""Those that are shown, and on which part."""
SHADES = ("finish/rust-001", "finish/anodised-003", "finish/forged-scale-000")
# finishes that are no rows of the pack
NEW_LINE = (("galvanised", 2000), ("rust", 2001))

Picture = tuple[Tensor, str]
"""(3, H, W), uint8, and its caption; a line break begins a line."""


def mosaic(pictures: Sequence[Picture], columns: int) -> Image.Image:
    """Pictures of one size in rows, each above its caption, of which long lines are cut."""
    side = pictures[0][0].shape[-1]
    lines = max(len(caption.splitlines()) for _, caption in pictures)
    width, height = side + GAP, side + GAP + (LINE * lines + GAP // 2 if lines else 0)
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), GROUND)
    drawing, font = ImageDraw.Draw(sheet), ImageFont.load_default(LETTERS)
    for k, (picture, caption) in enumerate(pictures):
        x, y = GAP + k % columns * width, GAP + k // columns * height
        sheet.paste(to_image(picture), (x, y))
        for row, line in enumerate(caption.splitlines()):
            while drawing.textlength(line, font=font) > side - 4:
                line = line.removesuffix(" ...")[:-1] + " ..."
            drawing.text((x + 2, y + side + 1 + row * LINE), line, fill=INK, font=font)
    return sheet


def part(name: str) -> tuple[Tensor, Tensor]:
    """A drawn part (3, SIDE, SIDE), uint8, and the mask of its defects (1, SIDE, SIDE)."""
    return SCENES[name](SIDE).finished()


def draws(augment: StyleAugment, name: str, count: int, seed: int) -> list[Picture]:
    """A part, and draws of a transform on it, each with what it got."""
    image, mask = part(name)
    plan = augment.draw(count, torch.Generator().manual_seed(seed))
    out = augment.render(image.expand(count, -1, -1, -1), plan)
    told = [plan.caption(k).replace("; ", "\n") for k in range(count)]
    original = (marked(image, mask), f"original: {name}")
    return [original, *((marked(o, mask), t) for o, t in zip(out, told, strict=True))]


def hero(seed: int = 10, columns: int = 5) -> Image.Image:
    """A row for each part: the part, then draws of the default preset, as it trains."""
    pictures = []
    for k, name in enumerate(IN_HERO):
        pictures += draws(StyleAugment(), name, columns - 1, seed + k)
    return mosaic([(picture, "") for picture, _ in pictures], columns)


def preset(name: str) -> Image.Image:
    """A part, and five draws of a preset, on every image."""
    seed = [*PRESETS].index(name)
    return mosaic(draws(StyleAugment(name, p=1), PRESETS[name], 5, seed), 3)


def strengths() -> Image.Image:
    """A row for each style: strengths with all texture, and the full strength without texture."""
    image, mask = part("steel")
    stage, pack = Restyle(), StylePack.load()
    pictures = []
    for name in SHADES:
        for strength, texture in ((0.3, 1.0), (0.6, 1.0), (1.0, 1.0), (1.0, 0.0)):
            amounts = {"strength": strength, "texture": texture}
            out = stage.render(image[None], RestyleParams.of(pack.code(name)[None], **amounts))[0]
            told = f"{name}\nstrength {strength:g}, texture {texture:g}"
            pictures.append((marked(out, mask), told))
    return mosaic(pictures, 4)


def finishes(side: int = 160) -> Image.Image:
    """The first picture of each family."""
    drawn = [to_dtype(draw_finish(family, 0, size=side), torch.uint8) for family in FAMILIES]
    return mosaic(list(zip(drawn, FAMILIES, strict=True)), 8)


def new_line() -> Image.Image:
    """A row for each new finish: the finish, its encoded style, and optimised pixels."""
    image, mask = part("steel")
    pack = StylePack.load()
    stage, pictures = Restyle(pack=pack), []
    for family, index in NEW_LINE:
        reference = to_dtype(draw_finish(family, index, size=SIDE), torch.uint8)
        code = encode(pack, reference[None])
        pictures.append((reference, f"new: {family}"))
        for strength in (0.5, 1.0):
            out = stage.render(image[None], RestyleParams.of(code, strength=strength))[0]
            pictures.append((marked(out, mask), f"network, strength {strength:g}"))
        pictures.append((marked(gatys(image[None], [reference]).images[0], mask), "optimization"))
    return mosaic(pictures, 4)


QUALITIES = {"hero": 40, "finishes": 62}
"""Of JPEG, where it is not 78: many pixels, which pages show at half their size."""
SHEETS: dict[str, Callable[[], Image.Image]] = {
    "hero": hero,
    **{f"preset-{name}": (lambda name=name: preset(name)) for name in PRESETS},
    "strengths": strengths,
    "finishes": finishes,
    "new-line": new_line,
}


def main(options: Sequence[str]) -> None:
    """Draw and write the sheets."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", nargs="+", choices=SHEETS, default=list(SHEETS), metavar="NAME")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args(options)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        path = HERO if name == "hero" else arguments.out / f"{name}.jpg"
        quality = QUALITIES.get(name, 78)
        SHEETS[name]().save(path, quality=quality, optimize=True, progressive=True)
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
