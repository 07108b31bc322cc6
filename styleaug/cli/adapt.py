"""``styleaug adapt``: a trained network adapted to unlabelled images of a new line."""

from __future__ import annotations

import argparse
import inspect
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from styleaug.adapt import adapt, tracking_norms
from styleaug.cli.options import add_command, add_options, default_of
from styleaug.cli.outputs import check_outside
from styleaug.cli.parser import new_file
from styleaug.cli.pipeline import load_pipeline
from styleaug.cli.values import count, few
from styleaug.datasets.separate import separate_masks
from styleaug.files import atomic_path
from styleaug.images.io import list_images, load_rgb, spread, to_tensor
from styleaug.runtime import is_out_of_memory

EXAMPLES = """examples:
  styleaug adapt mine.py:load --data new_line/ --source train/ --out adapted.pt
  styleaug adapt mine.py:load --data new_line/ --source train/ --out adapted.pt --prior 16   # few

mine.py:load is a function without arguments that returns the trained torch module. It gets images
(B, 3, S, S) as floats in [0, 1]: let it normalize them itself, as in

  def load():
      net = ...
      return torch.nn.Sequential(torchvision.transforms.v2.Normalize(mean, std), net)

Take images as they come, a hundred or more, with defects in their usual share. Batch norms are
fitted to their statistics; a network without batch norms has the scales and shifts of its norms
tuned. SOURCE is what the model was trained on, without augmentation: give it if you augmented.
OUT holds the state dict: load().load_state_dict(torch.load("adapted.pt")).
"""

log = logging.getLogger(__name__)

_FEW = 32
"""Images below which statistics of the new line alone can do harm: docs/how-to/adapt.md."""
_SOURCES = 512
"""Most training images that are read, unless --limit says otherwise."""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = "Adapt a trained model to unlabelled images of another line, lighting or camera."
    parser = add_command(commands, "adapt", run, does=does, examples=EXAMPLES)
    parser.add_argument(
        "model", metavar="FILE.py:NAME", help="function that returns the trained model"
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of images of the new line, unlabelled",
    )
    parser.add_argument(
        "--source",
        type=Path,
        metavar="DIR",
        help="training images, not augmented, or a file of their norm_statistics: batch norms keep "
        "what augmentation taught them (default: none)",
    )
    parser.add_argument(
        "--out",
        type=new_file,
        required=True,
        metavar="FILE",
        help="file to write the adapted state dict to",
    )
    parser.add_argument(
        "--prior",
        type=float,
        default=default_of(adapt, "prior"),
        metavar="N",
        help="number of images that the statistics of the old line count for, 0 or more; 16 "
        "steadies the estimate of few images",
    )
    parser.add_argument(
        "--batch", type=count, default=32, metavar="N", help="images per batch, 1 or more"
    )
    parser.add_argument(
        "--size",
        type=few,
        default=224,
        metavar="PIXELS",
        help="side of the squares that images are resized to, as the model takes them",
    )
    add_options(parser, "limit", "device")


def run(arguments: argparse.Namespace) -> int:
    """Load, adapt, write."""
    code = Path(arguments.model.rpartition(":")[0])
    read = [arguments.data, arguments.source, code if code.is_file() else None]
    check_outside(arguments.out, read, "what is read")
    files = _files(arguments.data, arguments.limit)
    source = arguments.source
    if source is not None:
        limit = arguments.limit or _SOURCES
        source = _statistics(source) if source.is_file() else _files(source, limit)
    model = _model(arguments.model)
    normed = bool(tracking_norms(model))
    size, device = arguments.size, arguments.device
    before = {name: value.clone() for name, value in model.state_dict().items()}

    skipped: set[Path] = set()

    def batches(files: list[Path], title: str) -> Iterator[Tensor]:
        return _batches(files, arguments.batch, size, device, title, skipped)

    try:
        adapted = adapt(
            model.to(device),
            batches(files, "adapt"),
            source=batches(source, "source") if isinstance(source, list) else source,
            prior=arguments.prior,
        )
    except (RuntimeError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        told = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(
            f"{arguments.model} must give a model of images (B, 3, {size}, {size}), float32 in "
            f"[0, 1], but it fails on them: {told}. Set --size, or let the function return a "
            "module that converts them."
        ) from error
    after = {name: value.cpu() for name, value in adapted.state_dict().items()}
    with atomic_path(arguments.out) as temporary:
        torch.save(after, temporary)
    changed = sum(not torch.equal(value, before[name].cpu()) for name, value in after.items())
    used = len({*files} - skipped)
    print(f"{arguments.out}: {changed} of {len(after)} tensors adapted to {used} images")
    print(f"Load it: load().load_state_dict(torch.load({str(arguments.out)!r}))")
    if not normed and (source is not None or arguments.prior):
        print("--source and --prior had no effect: this model has no batch norms.")
    if normed and used < _FEW and not arguments.prior:
        print(f"Fewer than {_FEW} images tell little: --prior 16 counts the old line as 16 more.")
    return 1 if skipped else 0


def _model(where: str) -> nn.Module:
    """What the user's function gives.

    Raises:
        ValueError: if it is no function without arguments, or gives no module.
    """
    load = load_pipeline(where, "MODEL")
    try:
        if isinstance(load, nn.Module):
            raise TypeError("is a module")
        inspect.signature(load).bind()
    except TypeError as error:
        raise ValueError(
            f"{where} must be a function without arguments that returns the trained module, as def "
            f"load(): return model, but {error}."
        ) from error
    model = load()
    if not isinstance(model, nn.Module):
        raise ValueError(f"{where} must give a torch module, but gives {type(model).__name__}.")
    return model


def _statistics(path: Path) -> Any:
    """What `norm_statistics` gave, from a file."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        if not all(len(moments) == 2 for moments in found.values()):
            raise ValueError
    except Exception:  # the unpickler of another file fails in many ways
        raise ValueError(
            f"--source must be a folder of images, or a file of styleaug.adapt.norm_statistics, "
            f"but {path} is neither."
        ) from None
    return found


def _files(folder: Path, limit: int | None) -> list[Path]:
    files, _ = separate_masks(folder, list_images(folder), None)
    return files if limit is None else spread(files, limit)


def _batches(
    files: list[Path], batch: int, size: int, device: torch.device, title: str, skipped: set[Path]
) -> Iterator[Tensor]:
    """Images (B, 3, size, size), float in [0, 1], shuffled: folders may hold a class each.

    Those that cannot be read are told, and added to ``skipped``.
    """
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(0)).tolist()
    for first in tqdm(range(0, len(files), batch), desc=title, unit="batch"):
        images: list[Tensor] = []
        for place in order[first : first + batch]:
            try:
                image = to_tensor(load_rgb(files[place]))
            except (OSError, ValueError) as error:
                log.warning("skipped: %s", error)
                skipped.add(files[place])
                continue
            images.append(
                F.interpolate(
                    image[None].to(device, torch.float32) / 255,
                    (size, size),
                    mode="bilinear",
                    antialias=True,
                ).clamp(0, 1)
            )
        if images:
            yield torch.cat(images)
