"""The styles of a training run: found, named, looked at from several sides, measured once."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from tqdm import tqdm

from styleaug.files import digest_file, reserve
from styleaug.images.color import to_dtype
from styleaug.images.io import find_images, load_rgb, to_image
from styleaug.nn.encoder import ENCODER_LAYERS, STYLE_SIZE, style_statistics
from styleaug.nn.features import VGGFeatures
from styleaug.nn.perceptual import gram
from styleaug.runtime import use_autocast
from styleaug.styles.procedural import FAMILIES, VERSION, draw_finish
from styleaug.train.config import TrainConfig

log = logging.getLogger(__name__)


PROCEDURAL = "procedural:"
"""Begins an entry that stands for procedural finishes instead of a folder."""


@dataclass(frozen=True)
class StyleImage:
    """One style image: where it lies, and what its row of the pack is called.

    ``path`` is a file, or ``procedural:FAMILY:INDEX``; ``digest`` tells the file's content.
    """

    path: str
    name: str
    tags: tuple[str, ...]
    group: int
    digest: str = ""

    def load(self) -> Image.Image:
        """Read or draw the picture, RGB.

        Raises:
            OSError: if the file cannot be read.
        """
        if self.path.startswith(PROCEDURAL):
            _, family, index = self.path.split(":")
            return to_image(to_dtype(draw_finish(family, int(index)), torch.uint8))
        return load_rgb(Path(self.path))


def is_held_out(name: str, share: float) -> bool:
    """Whether a style is kept out of training: decided by a hash of its name, so always alike."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32 < share


def list_styles(folders: Sequence[str]) -> list[StyleImage]:
    """Find, check and name the style images of ``TAG=DIR`` or ``DIR`` entries.

    A file ``source__name.jpg`` gets the tag ``source``, and ``class_0001.jpg`` the tag ``class``.
    Unreadable images are reported by name and left out. ``procedural:N`` in place of a folder
    stands for N finishes of each family of :mod:`styleaug.styles.procedural`, tagged ``finish`` and
    by family.

    Raises:
        ValueError: if a folder is missing or holds no readable image, N is not a number, or two
            procedural entries share a tag.
    """
    styles: list[StyleImage] = []
    taken: set[str] = set()
    for group, entry in enumerate(folders):
        tag, _, folder = entry.rpartition("=")
        if folder.startswith(PROCEDURAL):
            finishes = _finishes(folder, tag or "finish", group)
            if not taken.isdisjoint(s.name for s in finishes):
                raise ValueError(f"procedural:N needs a tag of its own, but got {entry!r} again.")
            taken.update(s.name for s in finishes)
            styles += finishes
            continue
        tag = tag or Path(folder).name
        found = 0
        for path in tqdm(find_images(Path(folder).resolve()), desc=f"checking {tag}", leave=False):
            try:
                load_rgb(path)
            except OSError as error:
                log.warning("skipped unreadable style image %s (%s)", path, error)
                continue
            source, _, stem = path.stem.rpartition("__")
            numbered = re.fullmatch(r"(\D+?)[_-]?\d+", stem)
            tags = dict.fromkeys(t for t in (tag, source, numbered[1] if numbered else "") if t)
            name = next(n for n in _names(stem, tag) if n not in taken)
            taken.add(name)
            styles.append(StyleImage(str(path), name, tuple(tags), group, digest_file(path)))
            found += 1
        if not found:
            raise ValueError(f"A style folder must hold readable images, but {folder} has none.")
    return styles


def _finishes(entry: str, tag: str, group: int) -> list[StyleImage]:
    count = entry.removeprefix(PROCEDURAL)
    if not count.isdecimal() or not int(count):
        raise ValueError(f"procedural:N needs a number of at least 1, but got {entry!r}.")
    return [
        StyleImage(f"{PROCEDURAL}{family}:{k}", f"{tag}/{family}-{k:03d}", (tag, family), group)
        for family in FAMILIES
        for k in range(int(count))
    ]


def _names(stem: str, tag: str) -> Iterable[str]:
    yield stem
    yield f"{tag}/{stem}"
    yield from (f"{tag}/{stem}-{k}" for k in range(2, 1 << 30))


def style_view(image: Image.Image, view: int, seed: int) -> Image.Image:
    """The picture itself (view 0), or a crop in other colours: STYLE_SIZE pixels square, RGB."""
    if view:
        rng = np.random.default_rng([seed, view])
        side = int(min(image.size) * rng.uniform(0.5, 1))
        left, top = (int(rng.integers(0, length - side + 1)) for length in image.size)
        image = image.crop((left, top, left + side, top + side))
        if rng.random() < 0.5:
            image = ImageOps.mirror(image)
        image = image.resize((STYLE_SIZE, STYLE_SIZE), Image.Resampling.BILINEAR)
        hue, saturation, value = image.convert("HSV").split()
        turn = int(rng.integers(0, 256))
        hue = hue.point([(level + turn) % 256 for level in range(256)])
        image = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
        # a good part nearly or fully gray: that is what most industrial surfaces are
        image = ImageEnhance.Color(image).enhance(rng.choice([0.0, 0.3, 0.7, 1.2]))
        image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.5, 1.4))
        return ImageEnhance.Contrast(image).enhance(rng.uniform(0.5, 1.4))
    return ImageOps.fit(image, (STYLE_SIZE, STYLE_SIZE), Image.Resampling.BILINEAR)


class StyleTargets:
    """Views, statistics and Gram matrices of the training styles, mapped from the run's folder.

    Row ``i * views + v`` is view v of style i. Gram matrices are stored as upper triangles of unit
    norm in float16 (they range over many powers of ten), their true norms beside them.

    Args:
        folders: as written by :meth:`build`.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        def arrays(name: str) -> list[np.ndarray[Any, Any]]:
            return [np.load(folder / f"{name}.npy", mmap_mode="r") for folder in folders]

        self.images = arrays("images")
        self.grams = [arrays(layer) for layer in ENCODER_LAYERS]
        self.statistics = torch.from_numpy(np.concatenate(arrays("statistics")))
        self.norms = torch.from_numpy(np.concatenate(arrays("norms")))
        self.typical = self.norms.median(0).values
        self._starts = np.cumsum([0] + [len(part) for part in self.images])

    def batch(self, rows: Tensor, device: torch.device) -> dict[str, Any]:
        """Of some rows: images (B, 3, S, S), statistics (B, 1920), Gram matrices (B, C, C)."""
        index = rows.numpy()
        parts = np.searchsorted(self._starts, index, side="right") - 1
        places = list(zip(parts, index - self._starts[parts], strict=True))

        def send(arrays: Sequence[np.ndarray[Any, Any]]) -> Tensor:
            found = np.stack([arrays[part][place] for part, place in places])
            return torch.from_numpy(found).to(device, non_blocking=True).float()

        return {
            "images": send(self.images).div_(255).contiguous(memory_format=torch.channels_last),
            "statistics": self.statistics[rows].to(device, non_blocking=True),
            "grams": [
                _from_triangle(send(triangle), norm[:, None])
                for triangle, norm in zip(self.grams, self.norms[rows].to(device).T, strict=True)
            ],
        }

    @classmethod
    def build(
        cls,
        styles: Sequence[StyleImage],
        trunk: VGGFeatures,
        config: TrainConfig,
        device: torch.device,
    ) -> list[Path]:
        """Compute the targets once; a later run finds them.

        They are told by all that they depend on: the content of the images, their order, the
        settings, and the version of the package.

        Returns:
            A folder for each group of styles. It is renamed into place only when complete.
        """
        groups = sorted({style.group for style in styles})
        return [
            _build([s for s in styles if s.group == group], trunk, config, device)
            for group in groups
        ]


def _build(
    styles: Sequence[StyleImage], trunk: VGGFeatures, config: TrainConfig, device: torch.device
) -> Path:
    """The targets of one group of styles."""
    key = {
        "styles": [style.digest or style.path for style in styles],
        "views": config.views,
        "seed": config.seed,
        "size": STYLE_SIZE,
        "bf16": use_autocast(config.precision, device),
        "version": version("styleaug"),
        "procedural": VERSION if styles[0].path.startswith(PROCEDURAL) else 0,
    }
    tag = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    folder = config.folder / f"targets-{tag}"
    if folder.is_dir():
        return folder
    for leftover in config.folder.glob("targets-*.partial"):  # of killed runs
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = folder.with_suffix(".partial")
    temporary.mkdir(parents=True)
    try:
        _compute(styles, trunk, config, device, temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return folder


def _compute(
    styles: Sequence[StyleImage],
    trunk: VGGFeatures,
    config: TrainConfig,
    device: torch.device,
    folder: Path,
) -> None:
    """Write the targets of one group of styles into a folder."""
    total = len(styles) * config.views

    def allocate(name: str, dtype: str, *shape: int) -> np.ndarray[Any, Any]:
        path = folder / f"{name}.npy"
        array = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.dtype(dtype), shape=(total, *shape)
        )
        reserve(path)
        return array

    images = allocate("images", "uint8", 3, STYLE_SIZE, STYLE_SIZE)
    grams: dict[str, np.ndarray[Any, Any]] = {}
    statistics, norms = [], []
    several = -(-8 // config.views)
    for first in tqdm(range(0, len(styles), several), desc="style targets"):
        batch = np.stack(
            [
                np.asarray(style_view(picture, view, config.seed + index)).transpose(2, 0, 1)
                for index, style in enumerate(styles[first : first + several], first)
                for picture in [style.load()]
                for view in range(config.views)
            ]
        )
        start, stop = first * config.views, first * config.views + len(batch)
        images[start:stop] = batch
        x = torch.from_numpy(batch).to(device).float().div_(255)
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            found = trunk(x, ENCODER_LAYERS)
            statistics.append(style_statistics(found).cpu())
            lengths = []
            for layer in ENCODER_LAYERS:
                vector = _to_triangle(gram(found[layer]))
                length = vector.norm(dim=1, keepdim=True)
                if layer not in grams:
                    grams[layer] = allocate(layer, "float16", vector.shape[1])
                grams[layer][start:stop] = (vector / length).half().cpu().numpy()
                lengths.append(length.cpu())
            norms.append(torch.cat(lengths, dim=1))
    np.save(folder / "statistics.npy", torch.cat(statistics).numpy())
    np.save(folder / "norms.npy", torch.cat(norms).numpy())
    for array in (images, *grams.values()):
        array.flush()  # type: ignore[attr-defined]


def _to_triangle(matrices: Tensor) -> Tensor:
    """Symmetric (B, C, C) -> upper triangle; off-diagonals times sqrt(2) keep the norm."""
    side = matrices.shape[1]
    rows, columns = torch.triu_indices(side, side, device=matrices.device)
    return matrices[:, rows, columns] * torch.where(rows == columns, 1.0, 2.0**0.5)


def _from_triangle(triangle: Tensor, scale: Tensor) -> Tensor:
    """What :func:`_to_triangle` was given, times ``scale`` (B, 1)."""
    side = int((2 * triangle.shape[1]) ** 0.5)
    rows, columns = torch.triu_indices(side, side, device=triangle.device)
    values = triangle * scale * torch.where(rows == columns, 1.0, 0.5**0.5)
    matrices = values.new_empty((len(values), side, side))
    matrices[:, rows, columns] = values
    matrices[:, columns, rows] = values
    return matrices
