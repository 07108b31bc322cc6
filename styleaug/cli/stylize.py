"""``styleaug stylize``: changed copies of folders of images."""

from __future__ import annotations

import argparse
import hashlib
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from styleaug.augment.edit import changed
from styleaug.augment.plan import named
from styleaug.augment.transform import StyleAugment
from styleaug.cli.options import (
    add_command,
    add_options,
    add_preset_options,
    chosen_preset,
    count,
)
from styleaug.cli.outputs import Content, Outputs, Picture, digest_files, list_pictures
from styleaug.cli.parser import new_folder
from styleaug.images.io import encode_picture
from styleaug.stages.base import Stage
from styleaug.stages.restyle import Restyle

EXAMPLES = """examples:
  styleaug stylize images/ --out restyled/ --copies 3
  styleaug stylize images/ --out rusty/ --preset material --styles rust --strength 0.4 0.8
  styleaug stylize part.png --out looks/ --styles new_line/ --lighting 0 --defocus 0 1

A picture comes out as it went in: gray or colours, 8 or 16 bits, alpha, profile and resolution.
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
    parser.add_argument(
        "--out", type=new_folder, required=True, metavar="DIR", help="where to write"
    )
    parser.add_argument("--copies", type=count, default=1, metavar="N", help="of each image")
    parser.add_argument(
        "--overwrite", action="store_true", help="write again what is there already"
    )
    add_preset_options(parser)
    add_options(parser.add_argument_group("running"), "bits", "device", "seed")


def run(arguments: argparse.Namespace) -> int:
    """Change every image of every source."""
    stages = [changed(s, p=1.0) for s in chosen_preset(arguments).stages]
    augment = StyleAugment(stages, bits=arguments.bits)
    references = [f for s in stages if isinstance(s, Restyle) for f in s.pool.files]
    out, copies = arguments.out, arguments.copies
    pictures = list_pictures(arguments.sources, out, copies=copies, others=references)
    settings = {"command": "stylize", "seed": arguments.seed, "bits": arguments.bits}
    for name, stage in named(stages).items():
        settings |= {f"{name}.{key}": value for key, value in _settings_of(stage).items()}

    def make(picture: Picture, image: Tensor) -> tuple[bytes, dict[str, Any]]:
        plan = augment.draw(1, _generator(arguments.seed, picture.name, picture.copy))
        out = augment.render(image[None].to(arguments.device), plan)[0]
        content = encode_picture(out, like=picture.source, suffix=picture.suffix)
        drawn = plan.describe(0).items()
        return content, {f"{name}.{k}": v for name, values in drawn for k, v in values.items()}

    with (
        Outputs(out, pictures, settings, overwrite=arguments.overwrite) as outputs,
        tqdm(total=len(pictures), desc="stylize", unit="image") as bar,
    ):
        bar.update(len(pictures) - len(outputs.missing))
        for source, group in groupby(outputs.missing, key=attrgetter("source")):
            missing = list(group)
            read = outputs.attempt(missing, partial(Content.read, source, arguments.bits))
            bar.update(len(missing))
            if read is None:
                continue
            for picture in missing:
                made = outputs.attempt([picture], partial(make, picture, read.image))
                if made is not None:
                    outputs.write(picture, made[0], source=read, drawn=made[1])
    return outputs.report()


def _settings_of(stage: Stage) -> dict[str, Any]:
    """Arguments of a stage by value: packs and pictures are told by their content."""
    settings = stage.settings()
    if isinstance(stage, Restyle):
        pictures = [digest_files(stage.pool.files)] if stage.pool.files else []
        settings |= {"pack": stage.pack_id, "styles": [*stage.pool.rows, *pictures]}
    return settings


def _generator(seed: int, name: str, copy: int) -> torch.Generator:
    """A generator of its own for each picture: the order of work does not matter."""
    # a name of another encoding, out of a ZIP file, is a name, too
    text = f"{seed}/{copy}/{name}".encode(errors="surrogateescape")
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text).digest()[:7], "big"))
