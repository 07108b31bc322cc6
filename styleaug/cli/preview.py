"""``styleaug preview``: a contact sheet of styles and strengths."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from styleaug.cli.options import add_style_options, chosen_styles
from styleaug.color import to_rgb
from styleaug.images import grid, load_rgb, save_image, to_tensor
from styleaug.pack import StylePack
from styleaug.plan import StylePlan, StyleSampler
from styleaug.render import render

EXAMPLES = """examples:
  styleaug preview part.png --out sheet.png
  styleaug preview images/*.png --out sheet.png --style rust wood --columns 10 --strengths 0.5
  styleaug preview part.png --out lamps.png --strengths 0 --light 1

For each image and strength one row: the image, then the styles, the same in every row.
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "preview",
        help="contact sheet of styles x strengths",
        description="Draw a contact sheet: images under random styles at several strengths.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image files")
    parser.add_argument("--out", type=Path, required=True, metavar="SHEET", help="png or jpg file")
    parser.add_argument("--columns", type=int, default=7, help="styles (default: %(default)s)")
    parser.add_argument(
        "--strengths",
        type=float,
        nargs="+",
        default=[0.4, 0.7, 1.0],
        help="one row each (default: 0.4 0.7 1)",
    )
    parser.add_argument("--texture", type=float, default=1.0, help="(default: %(default)s)")
    parser.add_argument("--grain", type=float, default=0.0, help="(default: %(default)s)")
    parser.add_argument("--light", type=float, default=0.0, help="(default: %(default)s)")
    parser.add_argument(
        "--size",
        type=int,
        default=192,
        help="side of the pictures, in pixels (default: %(default)s)",
    )
    add_style_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw and write the sheet."""
    if arguments.columns < 1:
        raise ValueError(f"--columns must be at least 1, but got {arguments.columns}.")
    pack = StylePack.load(arguments.pack)
    sampler = StyleSampler(
        pack, chosen_styles(arguments), grain=arguments.grain, light=arguments.light
    )
    plan = sampler.draw(arguments.columns, torch.Generator().manual_seed(arguments.seed))
    rows = []
    for path in arguments.images:
        picture = load_rgb(path)
        picture.thumbnail((1 << 30, 4 * arguments.size))  # a sheet needs no more
        image = to_tensor(picture)[None].to(arguments.device)
        for strength in arguments.strengths:
            out = render(
                image.expand(len(plan), -1, -1, -1),
                _with(plan, strength, arguments.texture),
                pack,
                working_size=arguments.working_size,
            )
            rows.append([_tile(x, arguments.size) for x in (image[0], *out)])
    save_image(arguments.out, grid(rows))
    print(f"{arguments.out}: " + ", ".join(plan.styles))
    return 0


def _with(plan: StylePlan, strength: float, texture: float) -> StylePlan:
    """The same styles and lamps at another strength."""
    return replace(
        plan,
        strength=torch.full_like(plan.strength, strength),
        texture=torch.full_like(plan.texture, texture),
    )


def _tile(image: torch.Tensor, size: int) -> torch.Tensor:
    """uint8 (C, H, W) -> (3, size, size), fitted inside on white."""
    _, height, width = image.shape
    scale = size / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(to_rgb(image).permute(1, 2, 0).cpu().numpy())
    tile = Image.new("RGB", (size, size), "white")
    resized = picture.resize(shape, Image.Resampling.LANCZOS)
    tile.paste(resized, ((size - shape[0]) // 2, (size - shape[1]) // 2))
    return to_tensor(tile)
