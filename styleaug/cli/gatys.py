"""``styleaug gatys``: restyled copies of folders of images, by optimisation of their pixels."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from styleaug.cli.options import add_command, add_fields, add_options, count
from styleaug.cli.pictures import load_picture, mirrored
from styleaug.files import atomic_path
from styleaug.gatys import GatysConfig, GatysProgress, gatys
from styleaug.gatys.cached import INDEX, digest
from styleaug.gatys.config import OPTIMIZERS, PRECISIONS, VARIANTS
from styleaug.images.io import load_rgb, save_image, to_image, to_tensor

log = logging.getLogger(__name__)

EXAMPLES = """examples:
  styleaug gatys part.png --reference rust.jpg --out restyled/
  styleaug gatys images/ --reference new_line.png --out restyled/ --strength 0.7 --batch 8
  styleaug gatys images/ --reference a.png b.png --weights 2 1 --out mixed/ --preserve-color

Slow (tens of seconds an image on a CPU), and for any style, also those that the network of a pack
does not master. Folders are mirrored: SRC/a/b.png becomes OUT/a/b.png. Run the same command again
after an interruption: what is there already is kept. OUT/gatys.json holds the settings, and which
picture is of which image: styleaug.gatys.cached.CachedStylization("OUT") takes them over in
training.
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = "Write copies of images, restyled by optimisation of their pixels."
    parser = add_command(commands, "gatys", run, does=does, examples=EXAMPLES)
    parser.add_argument("sources", nargs="+", type=Path, metavar="SRC", help="images or folders")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    group = parser.add_argument_group("what to do")
    group.add_argument(
        "--reference",
        nargs="+",
        type=Path,
        required=True,
        metavar="IMAGE",
        help="pictures whose style to take",
    )
    group.add_argument(
        "--weights", nargs="+", type=float, metavar="W", help="of the pictures (default: all alike)"
    )
    add_fields(
        group,
        GatysConfig,
        strength="of the style, in [0, 1]; 0.1 more weighs it 1.6 times as much",
        preserve_color="take over light and dark, not the colours",
    )
    group.add_argument("--overwrite", action="store_true", help="write again what is there already")
    group = parser.add_argument_group("how to do it")
    group.add_argument(
        "--working-size",
        type=int,
        default=512,
        metavar="PIXELS",
        help="above this short side a smaller copy is optimised",
    )
    group.add_argument(
        "--batch",
        type=count,
        default=4,
        metavar="N",
        help="images of one size that are optimised together",
    )
    group.add_argument(
        "--steps", type=int, help="at most, at each scale (default: 60; of the textbook 1000)"
    )
    add_fields(
        group,
        GatysConfig,
        variant=" or ".join(VARIANTS),
        optimizer=" or ".join(OPTIMIZERS),
        tv="weight of smoothness",
        features="vgg16, bundled, or vgg19, downloaded",
        precision=f"auto, the fastest that the device computes well in, or {', '.join(PRECISIONS)}",
        tile="side, in pixels, above which images are looked at tile by tile",
    )
    add_options(group, "device")


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
    jobs = [
        (source, targets[0][0]) for source, targets in mirrored(arguments.sources, arguments.out)
    ]
    index = _Index(arguments, config)
    missing = [job for job in jobs if job[1] not in index or not job[1].is_file()]
    failed = 0
    with tqdm(total=len(jobs), initial=len(jobs) - len(missing), desc="gatys", unit="image") as bar:

        def tell(now: GatysProgress) -> None:
            place = f"{now.step}/{now.steps} at {now.size[0]} x {now.size[1]}"
            bar.set_postfix_str(f"step {place}, objective {now.objective:.4g}")

        for found, skipped in _batches(missing, arguments.batch):
            failed += skipped
            bar.update(skipped)
            if not found:
                continue
            images = torch.stack([image for _, image in found]).to(arguments.device)
            result = gatys(images, styles, config, weights=arguments.weights, progress=tell)
            for (target, _), restyled in zip(found, result.images, strict=True):
                save_image(target, to_image(restyled))
            index.add(found)
            bar.update(len(found))
    written = len(jobs) - failed
    print(f"{written} images in {arguments.out}" + (f", {failed} skipped" if failed else ""))
    return 1 if failed else 0


class _Index:
    """What the pictures of a folder were made with and of, kept beside them.

    Raises:
        ValueError: if those that are there were made otherwise.
    """

    def __init__(self, arguments: argparse.Namespace, config: GatysConfig) -> None:
        self.path = arguments.out / INDEX
        self.settings: dict[str, Any] = {
            **asdict(config),
            "content_layers": list(config.content_layers),
            "reference": [str(path.resolve()) for path in arguments.reference],
            "weights": arguments.weights,
        }
        self.images: dict[str, str] = {}
        if self.path.is_file() and not arguments.overwrite:
            try:
                before = json.loads(self.path.read_text(encoding="utf-8"))
                made, self.images = dict(before["settings"]), dict(before["images"])
            except (ValueError, TypeError, LookupError) as error:
                raise ValueError(
                    f"{self.path} must be what this command wrote, but is damaged ({error!r}). "
                    "Choose another --out, or make its pictures anew with --overwrite."
                ) from error
            changed = [name for name, value in self.settings.items() if made.get(name) != value]
            if changed:
                raise ValueError(
                    f"{arguments.out} holds pictures that were made with another "
                    f"{', '.join(changed)}. Choose another --out, or make them anew with "
                    "--overwrite."
                )
        self._write()

    def __contains__(self, target: Path) -> bool:
        """Whether a picture has been made."""
        return target.relative_to(self.path.parent).as_posix() in self.images

    def add(self, made: Sequence[tuple[Path, Tensor]]) -> None:
        """Note pictures that have been made, each with its image (C, H, W)."""
        for target, image in made:
            self.images[target.relative_to(self.path.parent).as_posix()] = digest(image)
        self._write()

    def _write(self) -> None:
        text = json.dumps({"settings": self.settings, "images": self.images}, indent=1)
        with atomic_path(self.path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")


def _batches(
    jobs: Sequence[tuple[Path, Path]], count: int
) -> Iterator[tuple[list[tuple[Path, Tensor]], int]]:
    """Targets with images of one size, at most ``count``; and how many could not be read."""
    waiting: list[tuple[Path, Tensor]] = []
    for source, target in jobs:
        try:
            image = to_tensor(load_picture(source))
        except (OSError, ValueError) as error:
            log.warning("skipped %s: %s", source, error)
            yield [], 1
            continue
        if waiting and (len(waiting) == count or waiting[0][1].shape != image.shape):
            yield waiting, 0
            waiting = []
        waiting.append((target, image))
    if waiting:
        yield waiting, 0
