"""What quality.py measures on: styles by group, contents by folder, defects and defect-free images.

Everything is found and drawn once, by the seed alone, so that runs of single parts fit together.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

import quality_measures as measures
from styleaug import StylePack
from styleaug.images.color import luma, to_dtype, to_float
from styleaug.images.io import find_images, load_rgb, to_tensor
from styleaug.networks import encode, stylizer_of
from styleaug.nn.encoder import STYLE_SIZE
from styleaug.nn.features import load_features
from styleaug.nn.stylenet import NoiseField
from styleaug.styles.procedural import FAMILIES, draw_finish
from styleaug.train.styles import PROCEDURAL, StyleImage, is_held_out, list_styles, style_view

UNSEEN_INDEX = 100_000
"""First index of the procedural finishes that no training draws."""


@dataclass(frozen=True)
class StyleGroup:
    """N styles of one origin: pictures (N, 3, S, S) uint8, codes, Gram matrices of each layer."""

    images: Tensor
    codes: Tensor
    grams: list[Tensor]


@dataclass(frozen=True)
class Defect:
    """An image with a mask, the defect's class, and its area in pixels."""

    image: Path
    mask: Path
    kind: str
    area: int


class Subjects:
    """What the parts measure on.

    Args:
        options: of the command line; see quality.py.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.seed: int = options.seed
        self.pack = StylePack.load(options.pack)
        self.trunk = load_features().to(memory_format=torch.channels_last)
        self.net = stylizer_of(self.pack, torch.device("cpu"), torch.float32).net
        # found by the part that comes first, see quality_safety.retention
        self.kept: dict[str, list[list[float]]] = {}
        self.counted: dict[int, Defect] = {}
        self.folders = content_folders(options.content, self.seed)

    @cached_property
    def groups(self) -> dict[str, StyleGroup]:
        """The styles: real ones, trained and held out, and procedural ones never drawn before."""
        share = self.pack.info["settings"]["holdout"]
        rng = np.random.default_rng(self.seed)
        every = [s for s in list_styles(self.options.styles) if not s.path.startswith(PROCEDURAL)]

        def some(styles: list[StyleImage]) -> Tensor:
            chosen = rng.permutation(len(styles))[: self.options.count]
            views = [style_view(styles[i].load(), 0, 0) for i in chosen]
            return torch.stack([to_tensor(view) for view in views])

        groups = {
            "trained styles": some([s for s in every if not is_held_out(s.name, share)]),
            "unseen references": some([s for s in every if is_held_out(s.name, share)]),
            "unseen procedural": procedural_pictures(self.options.count, self.seed),
        }
        return {name: self._group(pictures) for name, pictures in groups.items()}

    @torch.no_grad()
    def _group(self, images: Tensor) -> StyleGroup:
        parts = images.split(8)
        grams = [measures.grams(to_float(part), self.trunk) for part in parts]
        return StyleGroup(
            images,
            torch.cat([encode(self.pack, part) for part in parts]),
            [torch.cat(layer) for layer in zip(*grams, strict=True)],
        )

    @cached_property
    def typical(self) -> Tensor:
        """Median norm of the Gram matrices of each layer, over the styles of all groups."""
        layers = zip(*(group.grams for group in self.groups.values()), strict=True)
        return torch.stack([torch.cat(layer).flatten(1).norm(dim=1).median() for layer in layers])

    def contents(self, count: int) -> tuple[Tensor, list[str]]:
        """Square pictures (count, 3, S, S) uint8 from each folder in turn, and their names."""
        size = (self.options.size, self.options.size)
        pictures, names = [], []
        for index in range(count):
            name = list(self.folders)[index % len(self.folders)]
            paths = self.folders[name]
            picture = load_rgb(paths[index // len(self.folders) % len(paths)])
            pictures.append(to_tensor(ImageOps.fit(picture, size, Image.Resampling.BILINEAR)))
            names.append(name)
        return torch.stack(pictures), names

    def restyle(self, content: Tensor, codes: Tensor) -> Tensor:
        """The network's raw output, in float32, each image with noise of its own."""
        noise = self.net.field(self.places(len(content)), *content.shape[-2:])
        return self.net(content.contiguous(memory_format=torch.channels_last), codes, noise)

    def places(self, count: int) -> Tensor:
        """Where on the noise field images look (count,), int64."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randint(NoiseField.PLACES, (count,), generator=generator)

    @torch.no_grad()
    def moved(
        self, content: Tensor, output: Tensor, target: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Style moved, 1 - D(output) / D(content), and the same of unsquared norms: each (B,)."""
        before, after = (
            measures.style_distances(measures.grams(x, self.trunk), target, self.typical)
            for x in (content, output)
        )
        return 1 - after[0] / before[0], 1 - after[1] / before[1]

    @cached_property
    def _marked(self) -> tuple[list[Defect], list[Path]]:
        return masked_images(self.options.masks, self.options.defects, self.options.free, self.seed)

    @property
    def defects(self) -> list[Defect]:
        """Images with a mask that marks something."""
        return self._marked[0]

    @property
    def free(self) -> list[Path]:
        """Images whose mask marks nothing."""
        return self._marked[1]

    @staticmethod
    def image(path: Path) -> Tensor:
        """An image as it is (3, H, W), uint8."""
        return to_tensor(load_rgb(path))


def content_folders(entries: Sequence[str], seed: int) -> dict[str, list[Path]]:
    """Images of ``NAME=DIR`` or ``DIR`` entries in random order; masks are left out."""
    folders: dict[str, list[Path]] = {}
    for entry in entries:
        name, _, folder = entry.rpartition("=")
        paths = [p for p in find_images(folder) if not _is_mask(p)]
        order = np.random.default_rng([seed, len(folders)]).permutation(len(paths))
        name = name or Path(folder).name
        if name in folders:
            raise ValueError(f"Content folders need different names, but {name!r} comes twice.")
        folders[name] = [paths[i] for i in order]
    return folders


def procedural_pictures(count: int, seed: int) -> Tensor:
    """As many finishes of each family (N, 3, S, S), uint8.

    In random order, so that no family always meets the same content folder.
    """
    pictures = [
        draw_finish(FAMILIES[i % len(FAMILIES)], UNSEEN_INDEX + i // len(FAMILIES), size=STYLE_SIZE)
        for i in np.random.default_rng(seed).permutation(count)
    ]
    return to_dtype(torch.stack(pictures), torch.uint8)


def masked_images(
    folder: Path, limit: int, free_limit: int, seed: int
) -> tuple[list[Defect], list[Path]]:
    """Defects, a random choice of ``limit``, and images without any, ``free_limit`` of them.

    An image is free if its mask is empty, or if it has none and its path says "free".
    """
    paths = [p for p in find_images(folder) if p.suffix == ".jpg"]
    rng = np.random.default_rng(seed)
    defects: list[Defect] = []
    free: list[Path] = []
    for index in rng.permutation(len(paths)):
        path = paths[index]
        mask = path.with_suffix(".png")
        named_free = "free" in str(path.relative_to(folder)).lower()
        area = 0
        if mask.is_file():
            marked = read_mask(mask)
            area = int(marked.sum())
            if 20 <= area < 0.5 * marked.numel() and len(defects) < limit:
                defects.append(Defect(path, mask, defect_class(path.relative_to(folder)), area))
        if area == 0 and (mask.is_file() or named_free) and len(free) < free_limit:
            free.append(path)
        if len(defects) == limit and len(free) == free_limit:
            break
    return defects, free


def read_mask(path: Path) -> Tensor:
    """Where a mask image is bright (1, 1, H, W), bool."""
    return luma(to_float(to_tensor(load_rgb(path))[None])) > 0.5


def defect_class(path: Path) -> str:
    """``crack/exp1_num_1.jpg`` -> ``crack``; ``MT_Crack_12.jpg`` -> ``MT_Crack``."""
    if len(path.parts) > 1:
        return path.parts[0]
    return re.split(r"[_-]?\d", path.stem)[0] or path.stem


def _is_mask(path: Path) -> bool:
    return path.suffix == ".png" and path.with_suffix(".jpg").is_file()
