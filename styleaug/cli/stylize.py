"""``styleaug stylize``: changed copies of folders of images."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from styleaug.augment.edit import changed
from styleaug.augment.plan import named
from styleaug.augment.transform import StyleAugment
from styleaug.cli.film import (
    Films,
    add_film_options,
    check_no_film_options,
    is_clip,
    new_place,
)
from styleaug.cli.options import (
    add_command,
    add_options,
    add_preset_options,
    chosen_preset,
    count,
)
from styleaug.cli.outputs import (
    Content,
    Outputs,
    Picture,
    digest_files,
    generator_of,
    list_pictures,
)
from styleaug.images.io import SUFFIXES, encode_picture, walk
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
        "--out", type=new_place, required=True, metavar="DIR", help="where to write"
    )
    parser.add_argument("--copies", type=count, default=1, metavar="N", help="of each image")
    parser.add_argument(
        "--overwrite", action="store_true", help="write again what is there already"
    )
    add_preset_options(parser)
    add_film_options(parser)
    add_options(parser.add_argument_group("running"), "bits", "device", "seed")


def run(arguments: argparse.Namespace) -> int:
    """Change every image, or film, of every source."""
    stages = [changed(s, p=1.0) for s in chosen_preset(arguments).stages]
    augment = StyleAugment(stages, bits=arguments.bits)
    settings = {"command": "stylize", "seed": arguments.seed, "bits": arguments.bits}
    for name, stage in named(stages).items():
        settings |= {f"{name}.{key}": value for key, value in _settings_of(stage).items()}
    if _are_films(arguments.sources):
        return Films(arguments, augment, settings).stylize_files()
    if arguments.steady:
        return Films(arguments, augment, settings).stylize_frames()
    check_no_film_options(arguments)
    references = [f for s in stages if isinstance(s, Restyle) for f in s.pool.files]
    out, copies = arguments.out, arguments.copies
    pictures = list_pictures(arguments.sources, out, copies=copies, others=references)

    def make(picture: Picture, image: Tensor) -> tuple[bytes, dict[str, Any]]:
        plan = augment.draw(1, generator_of(arguments.seed, picture.name, picture.copy))
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
                    outputs.write(picture, made[0], digest=read.digest, drawn=made[1])
    return outputs.report()


def _settings_of(stage: Stage) -> dict[str, Any]:
    """Arguments of a stage by value: packs and pictures are told by their content."""
    settings = stage.settings()
    if isinstance(stage, Restyle):
        pictures = [digest_files(stage.pool.files)] if stage.pool.files else []
        settings |= {"pack": stage.pack_id, "styles": [*stage.pool.rows, *pictures]}
    return settings


def _are_films(sources: Sequence[Path]) -> bool:
    """Whether the sources are films; a folder is one of films if it holds films and no pictures.

    Raises:
        ValueError: if there are both.
    """
    kinds = set()
    for source in sources:
        files = list(walk(source)) if source.is_dir() else [source]
        if any(file.suffix.lower() in SUFFIXES for file in files):
            kinds.add("pictures")
        elif any(is_clip(file) for file in files):
            kinds.add("films")
    if len(kinds) > 1:
        raise ValueError(
            "Sources must be pictures or films, but there are both. Take one each run."
        )
    return kinds == {"films"}
