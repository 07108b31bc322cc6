"""``styleaug stylize``: changed copies of folders of images."""

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

from styleaug.augment.transform import StyleAugment
from styleaug.cli.options import (
    add_command,
    add_options,
    add_preset_options,
    changed,
    chosen_preset,
    count,
)
from styleaug.cli.pictures import load_picture, mirrored
from styleaug.files import atomic_path
from styleaug.images.io import save_image, to_image, to_tensor

log = logging.getLogger(__name__)

EXAMPLES = """examples:
  styleaug stylize images/ --out restyled/ --copies 3
  styleaug stylize images/ --out rusty/ --preset material --styles rust --strength 0.4 0.8
  styleaug stylize part.png --out looks/ --styles new_line/ --lighting 0 --defocus 0 1

Every copy goes through every stage of the preset, whatever the stages' own probabilities are.
Folders are mirrored: SRC/a/b.png becomes OUT/a/b.png (with copies OUT/a/b_1.png, b_2.png, ...).
OUT/manifest.csv tells what each picture got. Run the same command again after an interruption: what
is there already is kept. Each picture's draw depends on the seed and its name alone.
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = "Write changed copies of images. Size, names and folders stay, so labels fit."
    parser = add_command(commands, "stylize", run, does=does, examples=EXAMPLES)
    parser.add_argument("sources", nargs="+", type=Path, metavar="SRC", help="images or folders")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    parser.add_argument("--copies", type=count, default=1, metavar="N", help="of each image")
    parser.add_argument(
        "--overwrite", action="store_true", help="write again what is there already"
    )
    add_preset_options(parser)
    add_options(parser.add_argument_group("running"), "device", "seed")


def run(arguments: argparse.Namespace) -> int:
    """Change every image of every source."""
    jobs = mirrored(arguments.sources, arguments.out, arguments.copies)
    augment = StyleAugment([changed(s, p=1.0) for s in chosen_preset(arguments).stages])
    manifest: list[dict[str, Any]] = []
    failed = 0
    for source, targets in tqdm(jobs, desc="stylize", unit="image"):
        image: Image.Image | None = None
        for copy, (target, name) in enumerate(targets):
            plan = augment.draw(1, _generator(arguments.seed, name, copy))
            if arguments.overwrite or not target.is_file():
                try:
                    image = image or load_picture(source)
                    out = augment.render(to_tensor(image)[None].to(arguments.device), plan)
                except (OSError, ValueError) as error:
                    log.warning("skipped %s: %s", source, error)
                    failed += 1
                    break
                save_image(target, to_image(out[0]))
            got = {
                f"{stage}.{key}": value
                for stage, values in plan.describe(0).items()
                for key, value in values.items()
            }
            manifest.append({"output": str(target), "source": str(source), **got})
    _write_manifest(arguments.out / "manifest.csv", manifest)
    print(f"{len(manifest)} images in {arguments.out}" + (f", {failed} skipped" if failed else ""))
    return 1 if failed else 0


def _generator(seed: int, name: str, copy: int) -> torch.Generator:
    """A generator of its own for each picture: the order of work does not matter."""
    # a name of another encoding, out of a ZIP file, is a name, too
    text = f"{seed}/{copy}/{name}".encode(errors="surrogateescape")
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text).digest()[:7], "big"))


def _write_manifest(path: Path, rows: list[dict[str, Any]]) -> None:
    fields = list(dict.fromkeys(field for row in rows for field in row))
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.DictWriter(file, fields, restval="")
        writer.writeheader()
        writer.writerows(rows)
