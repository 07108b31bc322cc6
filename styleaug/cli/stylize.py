"""``styleaug stylize``: changed copies of pictures, films and 3D models, and of folders of them."""

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
from styleaug.augment.transform import StyleAugment
from styleaug.cli.film import Films, add_film_options, check_no_film_options, is_clip, new_place
from styleaug.cli.models import is_model, stylize_models
from styleaug.cli.options import (
    GOES_ON,
    add_command,
    add_options,
    add_preset_options,
    chosen_preset,
)
from styleaug.cli.outputs import (
    Content,
    Outputs,
    Picture,
    drawn_of,
    generator_of,
    list_pictures,
    settings_of_stages,
)
from styleaug.cli.values import few
from styleaug.images.io import SUFFIXES, encode_picture, walk
from styleaug.stages.restyle import Restyle

EXAMPLES = """examples:
  styleaug stylize images/ --out restyled/ --copies 3
  styleaug stylize images/ --out rusty/ --preset material --styles rust --strength 0.4 0.8
  styleaug stylize part.png --out looks/ --styles new_line/ --lighting 0 --defocus 0 1
  styleaug stylize clip.mp4 --out restyled.mp4 --at 00:12 strength=0.2
  styleaug stylize part.glb --out parts/ --copies 8

A picture comes out as it went in: gray or colours, 8 or 16 bits, alpha, profile and resolution.
Every copy goes through every stage of the preset, whatever the stages' own probabilities are.
Folders are mirrored: SRC/a/b.png becomes OUT/a/b.png (with copies OUT/a/b_1.png, b_2.png, ...).
OUT/manifest.csv tells what each picture got. Run the same command again after an interruption: what
is there already is kept. Each picture's draw depends on the seed and its name alone.

Films are restyled without flicker, by one draw for all frames, and keep sound and time stamps.
Of models (GLB, glTF, OBJ, PLY) the base colours change, by the material alone. A folder that holds
models is one of models, and its pictures are their textures; else one of pictures if it holds any.
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = (
        "Write restyled copies of images, films or 3D models. Size, names and folders stay as they "
        "are, so labels fit. Photographs with an EXIF orientation come out upright."
    )
    parser = add_command(commands, "stylize", run, does=does, examples=EXAMPLES, resumes=GOES_ON)
    parser.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="SRC",
        help="images, films, 3D models, or folders of them",
    )
    parser.add_argument(
        "--out",
        type=new_place,
        required=True,
        metavar="DIR",
        help="folder to write to; of one film also the film to write",
    )
    parser.add_argument("--copies", type=few, default=1, metavar="N", help="copies of each source")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="make all copies anew, also those of earlier runs; other files are never replaced",
    )
    add_preset_options(parser)
    add_film_options(parser)
    add_options(parser.add_argument_group("running"), "bits", "device", "seed")


def run(arguments: argparse.Namespace) -> int:
    """Change every picture, film or model of every source."""
    kind = _kind_of(arguments.sources)
    if kind != "films" and not arguments.steady:
        check_no_film_options(arguments)
    if kind == "models":
        return stylize_models(arguments)
    stages = [changed(s, p=1.0) for s in chosen_preset(arguments).stages]
    augment = StyleAugment(stages, bits=arguments.bits)
    settings = {"command": "stylize", "seed": arguments.seed, "bits": arguments.bits}
    settings |= settings_of_stages(stages)
    if kind == "films":
        return Films(arguments, augment, settings).stylize_files()
    if arguments.steady:
        return Films(arguments, augment, settings).stylize_frames()
    references = [f for s in stages if isinstance(s, Restyle) for f in s.pool.files]
    out, copies = arguments.out, arguments.copies
    pictures = list_pictures(arguments.sources, out, copies=copies, others=references)

    def make(picture: Picture, image: Tensor) -> tuple[bytes, dict[str, Any]]:
        plan = augment.draw(1, generator_of(arguments.seed, picture.name, picture.copy))
        out = augment.render(image[None].to(arguments.device), plan)[0]
        content = encode_picture(out, like=picture.source, suffix=picture.suffix)
        return content, drawn_of(plan)

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


def _kind_of(sources: Sequence[Path]) -> str:
    """``"models"``, ``"films"`` or ``"pictures"``: what the sources are.

    Raises:
        ValueError: if they are of several kinds.
    """
    kinds = {source: _kind(source) for source in sources}
    if len({*kinds.values()}) > 1:
        told = ", ".join(f"{source} holds {kind}" for source, kind in kinds.items())
        raise ValueError(f"Sources must be of one kind, but {told}. Run the command for each kind.")
    return next(iter(kinds.values()))


def _kind(source: Path) -> str:
    if not source.exists():
        raise ValueError(
            f"{source} must be an image, a film, a 3D model or a folder of them, but does not "
            "exist. Check the path."
        )
    files = list(walk(source)) if source.is_dir() else [source]
    if any(map(is_model, files)):
        return "models"
    pictures = any(file.suffix.lower() in SUFFIXES for file in files)
    return "films" if not pictures and any(map(is_clip, files)) else "pictures"
