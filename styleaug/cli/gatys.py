"""``styleaug gatys``: restyled copies of folders of images, by optimisation of their pixels."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from styleaug.cli.options import GOES_ON, add_command, add_fields, add_options
from styleaug.cli.outputs import OUT_OF_MEMORY, Content, Outputs, Picture, list_pictures
from styleaug.cli.parser import new_folder
from styleaug.cli.values import count
from styleaug.files import digest_file
from styleaug.gatys import GatysConfig, GatysProgress, gatys
from styleaug.gatys.cached import PIXELS, digest_pixels
from styleaug.gatys.config import OPTIMIZERS, PRECISIONS, VARIANTS
from styleaug.gatys.restyle import normalize_weights
from styleaug.images.color import to_dtype, to_float
from styleaug.images.io import encode_picture, load_rgb, to_tensor
from styleaug.runtime import is_out_of_memory

log = logging.getLogger(__name__)

Batch = list[tuple[Picture, Content]]
"""What to make, with what it is made of."""

EXAMPLES = """examples:
  styleaug gatys part.png --reference rust.jpg --out restyled/
  styleaug gatys images/ --reference new_line.png --out restyled/ --strength 0.7 --batch 8
  styleaug gatys images/ --reference a.png b.png --weights 2 1 --out mixed/ --preserve-color

Slow (tens of seconds an image on a CPU), and for any style, also those that the network of a pack
does not master. Folders are mirrored: SRC/a/b.png becomes OUT/a/b.png. Run the same command again
after an interruption: what is there already is kept. OUT/manifest.jsonl tells of each picture what
it was made of, and how: styleaug.gatys.cached.CachedStylization("OUT") takes them over in training.
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = "Write copies of images, restyled by optimization of their pixels."
    parser = add_command(commands, "gatys", run, does=does, examples=EXAMPLES, resumes=GOES_ON)
    parser.add_argument(
        "sources", nargs="+", type=Path, metavar="SRC", help="images, or folders of them"
    )
    parser.add_argument(
        "--out", type=new_folder, required=True, metavar="DIR", help="folder to write to"
    )
    group = parser.add_argument_group("the style")
    group.add_argument(
        "--reference",
        nargs="+",
        type=Path,
        required=True,
        metavar="IMAGE",
        help="one or more pictures whose style to take",
    )
    group.add_argument(
        "--weights",
        nargs="+",
        type=float,
        metavar="W",
        help="weight of each picture of --reference, 0 or more (default: all alike)",
    )
    add_fields(
        group,
        GatysConfig,
        strength="strength of the style, 0 to 1; 0.1 more weighs it 1.6 times as much",
        preserve_color="take over light and dark, and keep the colours of the image",
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="make all images anew, also those of earlier runs; other files are never replaced",
    )
    group = parser.add_argument_group("the optimization")
    group.add_argument(
        "--working-size",
        type=int,
        default=512,
        metavar="PIXELS",
        help="short side, 32 or more, above which a smaller copy is optimized",
    )
    group.add_argument(
        "--batch",
        type=count,
        default=4,
        metavar="N",
        help="number of images of one size that are optimized together, 1 or more",
    )
    group.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="most steps at each scale, 1 or more (default: 60; of the variant textbook 1000)",
    )
    add_fields(
        group,
        GatysConfig,
        variant=f"{' or '.join(VARIANTS)}; textbook is for comparison",
        optimizer=f"{' or '.join(OPTIMIZERS)}, of the variant fast",
        tv="weight of smoothness (total variation), 0 or more",
        features="network that compares styles: vgg16, bundled, or vgg19, which is downloaded",
        precision="number format: auto, the fastest that the device computes well in, or "
        f"{', '.join(PRECISIONS)}",
        tile="side in pixels, a multiple of 16 from 128 on, above which the network sees tiles",
    )
    add_options(group, "bits", "device")


def run(arguments: argparse.Namespace) -> int:
    """Restyle every image of every source."""
    names = GatysConfig.__dataclass_fields__
    config = GatysConfig(**{n: v for n, v in vars(arguments).items() if n in names})
    styles = [to_tensor(load_rgb(path)) for path in arguments.reference]
    if arguments.weights is not None and len(arguments.weights) != len(styles):
        raise ValueError(
            f"--weights must be one number for each picture of --reference, but got "
            f"{len(arguments.weights)} for {len(styles)}."
        )
    normalize_weights(arguments.weights, len(styles), 1)  # says what is wrong with them
    pictures = list_pictures(arguments.sources, arguments.out, others=arguments.reference)
    settings = {
        "command": "gatys",
        "bits": arguments.bits,
        "reference": [digest_file(path) for path in arguments.reference],
        "weights": arguments.weights,
        # a tile bounds the memory and changes nothing else
        **{name: value for name, value in asdict(config).items() if name != "tile"},
    }
    bits, overwrite = arguments.bits, arguments.overwrite
    with (
        Outputs(arguments.out, pictures, settings, overwrite=overwrite) as outputs,
        tqdm(total=len(pictures), desc="gatys", unit="image") as bar,
    ):

        def tell(now: GatysProgress) -> None:
            place = f"{now.step}/{now.steps} at {now.size[0]} x {now.size[1]}"
            bar.set_postfix_str(f"step {place}, objective {now.objective:.4g}")

        def restyle(images: Tensor) -> Tensor:
            given = images.to(arguments.device)
            return gatys(given, styles, config, weights=arguments.weights, progress=tell).images

        for batch in _batches(outputs, arguments.batch, bits):
            found = _restyle_all([to_float(read.image, bits) for _, read in batch], restyle)
            _write(outputs, batch, found, bits)
            bar.update(len(batch))
    status = outputs.report()
    print(f"In training: styleaug.gatys.cached.CachedStylization({str(arguments.out)!r})")
    return status


def _batches(outputs: Outputs, count: int, bits: int | None) -> Iterator[Batch]:
    """Images of one size, at most ``count``, as they follow each other."""
    waiting: Batch = []
    for picture in outputs.missing:
        read = outputs.attempt([picture], partial(Content.read, picture.source, bits))
        if read is None:
            continue
        if waiting and (len(waiting) == count or waiting[0][1].image.shape != read.image.shape):
            yield waiting
            waiting = []
        waiting.append((picture, read))
    if waiting:
        yield waiting


def _restyle_all(
    images: Sequence[Tensor], restyle: Callable[[Tensor], Tensor]
) -> list[Tensor | None]:
    """Restyled images; None of those that find too little memory even alone."""
    try:
        return list(restyle(torch.stack(list(images))))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    if len(images) == 1:
        return [None]
    half = len(images) // 2
    log.warning("out of memory with %d images at a time; trying %d", len(images), half)
    return _restyle_all(images[:half], restyle) + _restyle_all(images[half:], restyle)


def _write(
    outputs: Outputs, batch: Batch, found: Sequence[Tensor | None], bits: int | None
) -> None:
    """Write what became of a batch."""
    made = []
    for (picture, read), restyled in zip(batch, found, strict=True):
        if restyled is None:
            outputs.skip([picture], OUT_OF_MEMORY)
            continue
        out = to_dtype(restyled, read.image.dtype, bits)
        encode = partial(encode_picture, out, like=picture.source, suffix=picture.suffix)
        file = outputs.attempt([picture], encode)
        if file is not None:
            made.append((picture, read, file))
    for number, (picture, read, file) in enumerate(made, 1):
        drawn = {PIXELS: digest_pixels(to_dtype(to_float(read.image, bits), torch.uint8))}
        # a batch of which a part is lost is made again as a whole: its rounding depends on its size
        outputs.write(picture, file, digest=read.digest, drawn=drawn, left=len(made) - number)
