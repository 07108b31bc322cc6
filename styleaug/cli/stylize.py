"""``styleaug stylize``: restyled copies of folders of images."""

from __future__ import annotations

import argparse
import csv
import hashlib
import logging
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tqdm import tqdm

from styleaug.cli.options import (
    add_range,
    add_style_options,
    as_range,
    chosen_styles,
)
from styleaug.cli.pictures import load_picture, mirrored
from styleaug.files import atomic_path
from styleaug.images.io import save_image, to_image, to_tensor
from styleaug.pack import StylePack
from styleaug.plan import StyleSampler
from styleaug.render import render
from styleaug.transform import DEFAULTS

log = logging.getLogger(__name__)

EXAMPLES = """examples:
  styleaug stylize images/ --out restyled/ --copies 3
  styleaug stylize images/ --out rusty/ --style rust --strength 0.4 0.8 --texture 0.5
  styleaug stylize part.png --out looks/ --reference new_line/*.png --light 0

Folders are mirrored: SRC/a/b.png becomes OUT/a/b.png (with copies OUT/a/b_1.png, b_2.png, ...).
OUT/manifest.csv tells what each picture got. Run the same command again after an interruption: what
is there already is kept. Each picture's draw depends on the seed and its name alone.
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "stylize",
        help="restyle images and folders of images",
        description="Write restyled copies of images. Size, names and folders stay, so labels fit.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", nargs="+", type=Path, metavar="SRC", help="images or folders")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    group = parser.add_argument_group("what to do")
    add_range(group, "strength", "how far the material changes, in [0, 1]")
    add_range(group, "texture", "share of the style's texture; 0 changes colour and tone only")
    add_range(group, "light", "how far the lamp changes, in [0, 1]")
    add_range(group, "blur", "amount of blur, in [0, 1]")
    add_range(group, "grain", "amount of noise, in [0, 1]")
    group.add_argument(
        "--mix",
        type=float,
        default=DEFAULTS["mix"],
        help="largest share of a second style that is mixed in (default: %(default)s)",
    )
    group.add_argument(
        "--copies", type=int, default=1, metavar="N", help="copies of each image (default: 1)"
    )
    group.add_argument("--overwrite", action="store_true", help="write again what is there already")
    add_style_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Restyle every image of every source."""
    if arguments.copies < 1:
        raise ValueError(f"--copies must be at least 1, but got {arguments.copies}.")
    jobs = mirrored(arguments.sources, arguments.out, arguments.copies)
    pack = StylePack.load(arguments.pack)
    sampler = StyleSampler(
        pack,
        chosen_styles(arguments),
        mix=arguments.mix,
        strength=as_range(arguments.strength),
        texture=as_range(arguments.texture),
        blur=as_range(arguments.blur),
        grain=as_range(arguments.grain),
        light=as_range(arguments.light),
    )
    manifest: list[dict[str, Any]] = []
    failed = 0
    for source, targets in tqdm(jobs, desc="stylize", unit="image"):
        image: Image.Image | None = None
        for copy, (target, name) in enumerate(targets):
            plan = sampler.draw(1, _generator(arguments.seed, name, copy))
            if arguments.overwrite or not target.is_file():
                try:
                    image = image or load_picture(source)
                    x = to_tensor(image)[None].to(arguments.device)
                    out = render(x, plan, pack, working_size=arguments.working_size)
                except (OSError, ValueError) as error:
                    log.warning("skipped %s: %s", source, error)
                    failed += 1
                    break
                save_image(target, to_image(out[0]))
            manifest.append({"output": str(target), "source": str(source), **plan.describe(0)})
    _write_manifest(arguments.out / "manifest.csv", manifest)
    print(f"{len(manifest)} images in {arguments.out}" + (f", {failed} skipped" if failed else ""))
    return 1 if failed else 0


def _generator(seed: int, name: str, copy: int) -> torch.Generator:
    """A generator of its own for each picture: the order of work does not matter."""
    digest = hashlib.sha256(f"{seed}/{copy}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def _write_manifest(path: Path, rows: list[dict[str, Any]]) -> None:
    fields = list(dict.fromkeys(field for row in rows for field in row))
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields, restval="")
        writer.writeheader()
        writer.writerows(rows)
