"""``styleaug preview``: a contact sheet of styles and strengths, or of a user's own pipeline."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from styleaug.cli.options import add_style_options, chosen_styles
from styleaug.cli.pipeline import feed, load_pipeline, seeded
from styleaug.cli.sheet import tile
from styleaug.images.io import find_images, grid, load_rgb, save_image, to_tensor
from styleaug.pack import StylePack
from styleaug.plan import StylePlan, StyleSampler
from styleaug.render import render

EXAMPLES = """examples:
  styleaug preview part.png --out sheet.png
  styleaug preview images/*.png --out sheet.png --style rust wood --columns 10 --strengths 0.5
  styleaug preview part.png --out lamps.png --strengths 0 --light 1
  styleaug preview --pipeline my_pipeline.py:transform --data images/

For each image and strength one row: the image, then the styles, the same in every row. With
--pipeline one row an image: the image, then what your whole pipeline feeds to the model.
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "preview",
        help="contact sheet of styles x strengths, or of your own pipeline",
        description="Draw a contact sheet: images under random styles at several strengths, or as "
        "your own training pipeline feeds them to the model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="image files")
    parser.add_argument("--data", type=Path, metavar="DIR", help="a folder to take images from")
    parser.add_argument(
        "--rows",
        type=int,
        default=6,
        help="images of the folder, spread over it (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("preview.png"),
        metavar="SHEET",
        help="png or jpg file (default: %(default)s)",
    )
    parser.add_argument(
        "--pipeline",
        metavar="FILE.py:NAME",
        help="your transform: torchvision, Albumentations, or a function of a PIL image",
    )
    parser.add_argument("--columns", type=int, default=7, help="draws (default: %(default)s)")
    parser.add_argument(
        "--strengths",
        type=float,
        nargs="+",
        default=[0.4, 0.7, 1.0],
        help="one row each (default: 0.4 0.7 1)",
    )
    parser.add_argument("--texture", type=float, default=1.0, help="(default: %(default)s)")
    parser.add_argument("--blur", type=float, default=0.0, help="(default: %(default)s)")
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
    for name in ("columns", "rows"):
        if getattr(arguments, name) < 1:
            raise ValueError(f"--{name} must be at least 1, but got {getattr(arguments, name)}.")
    files = _files(arguments)
    if arguments.pipeline is None:
        rows, drawn = _style_rows(arguments, files)
    else:
        rows, drawn = _pipeline_rows(arguments, files), arguments.pipeline
    save_image(arguments.out, grid(rows))
    print(f"{arguments.out}: {drawn}")
    return 0


def _files(arguments: argparse.Namespace) -> list[Path]:
    files: list[Path] = list(arguments.images)
    if arguments.data is not None:
        found = find_images(arguments.data)
        count = min(arguments.rows, len(found))
        files += [found[k * len(found) // count] for k in range(count)]
    if not files:
        raise ValueError("preview needs images: name files, or a folder by --data.")
    return files


def _style_rows(
    arguments: argparse.Namespace, files: list[Path]
) -> tuple[list[list[torch.Tensor]], str]:
    """A row for each image and strength, and the names of the styles."""
    pack = StylePack.load(arguments.pack)
    sampler = StyleSampler(
        pack,
        chosen_styles(arguments),
        light=arguments.light,
        blur=arguments.blur,
        grain=arguments.grain,
    )
    plan = sampler.draw(arguments.columns, torch.Generator().manual_seed(arguments.seed))
    rows = []
    for path in files:
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
            rows.append([tile(x, arguments.size) for x in (image[0], *out)])
    return rows, ", ".join(plan.styles)


def _pipeline_rows(arguments: argparse.Namespace, files: list[Path]) -> list[list[torch.Tensor]]:
    """A row for each image: the image, then what the pipeline makes of it."""
    if arguments.style or arguments.reference:
        raise ValueError("--style and --reference have no effect on --pipeline: say it there.")
    pipeline = load_pipeline(arguments.pipeline)
    rows = []
    with seeded(arguments.seed, pipeline):
        for path in files:
            picture = load_rgb(path)
            fed = [feed(pipeline, picture.copy()) for _ in range(arguments.columns)]
            rows.append([tile(x, arguments.size) for x in (to_tensor(picture), *fed)])
    return rows


def _with(plan: StylePlan, strength: float, texture: float) -> StylePlan:
    """The same styles and lamps at another strength."""
    return replace(
        plan,
        strength=torch.full_like(plan.strength, strength),
        texture=torch.full_like(plan.texture, texture),
    )
