"""What is measured on: styles by group, contents by folder, defects and defect-free images.

Everything is found and drawn once, by the seed alone, so that runs of single parts fit together.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.pictures import square
from benchmarks.quality import measures
from styleaug import StylePack
from styleaug.datasets import Sample, read_defects
from styleaug.images.color import to_dtype, to_float
from styleaug.images.io import find_images, load_rgb, to_tensor
from styleaug.networks import encode, stylizer_of
from styleaug.nn.encoder import ENCODER_LAYERS, STYLE_SIZE
from styleaug.nn.features import load_features
from styleaug.nn.noise import white_noise
from styleaug.nn.norm import ColourMatch
from styleaug.nn.perceptual import grams
from styleaug.styles.procedural import FAMILIES, draw_finish
from styleaug.train.styles import PROCEDURAL, StyleImage, list_styles, style_view

UNSEEN_INDEX = 100_000
"""First index of the procedural finishes that no training draws."""


@dataclass(frozen=True)
class StyleGroup:
    """N styles of one origin: pictures (N, 3, S, S) uint8, codes, Gram matrices of each layer."""

    images: Tensor
    codes: Tensor
    grams: list[Tensor]

    def first(self, count: int) -> StyleGroup:
        """The first styles."""
        return StyleGroup(self.images[:count], self.codes[:count], [g[:count] for g in self.grams])


@dataclass(frozen=True)
class Defect:
    """An image with a mask (1, 1, H, W), bool, and the defect's class."""

    sample: Sample
    mask: Tensor

    @property
    def kind(self) -> str:
        """The class."""
        return self.sample.label or "defect"

    @property
    def area(self) -> int:
        """In pixels."""
        return int(self.mask.sum())


class Subjects:
    """What the parts measure on, by the options of the command line."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.seed: int = options.seed
        self.pack = StylePack.load(options.pack)
        self.trunk = load_features().to(memory_format=torch.channels_last)
        self.net = stylizer_of(self.pack, torch.device("cpu"), torch.float32).net
        self.folders = content_folders(options.content, self.seed)

    @cached_property
    def groups(self) -> dict[str, StyleGroup]:
        """The styles: rows of the pack, pictures that are none, and finishes never drawn before.

        The rows are those of pictures, and of finishes only if the pack has no other.
        """
        rng = np.random.default_rng(self.seed)
        every = list_styles(self.options.styles)
        trained = [style for style in every if style.name in self.pack.names]
        pictures = [style for style in every if not style.path.startswith(PROCEDURAL)]

        def some(styles: list[StyleImage]) -> StyleGroup:
            if not styles:
                raise ValueError(
                    "--styles must hold both styles of the pack and pictures that it was not "
                    f"trained on, but one kind is missing among {len(every)}."
                )
            chosen = [styles[i] for i in rng.permutation(len(styles))[: self.options.count]]
            views = [style_view(style.load(), 0, 0) for style in chosen]
            pictures = torch.stack([to_tensor(view) for view in views])
            return self._group(pictures, [style.name for style in chosen])

        return {
            "trained styles": some([s for s in trained if s in pictures] or trained),
            "unseen references": some([s for s in pictures if s not in trained]),
            "unseen procedural": self._group(procedural_pictures(self.options.count, self.seed)),
        }

    @torch.no_grad()
    def _group(self, images: Tensor, names: Sequence[str] = ()) -> StyleGroup:
        """Codes are the pack's own rows where it has them, as users draw them; else encoded."""
        parts = images.split(8)
        found = [grams(self.trunk(to_float(part), ENCODER_LAYERS)) for part in parts]
        codes = torch.cat([encode(self.pack, part) for part in parts])
        rows = {name: row for row, name in enumerate(self.pack.names)}
        for k, name in enumerate(names):
            if name in rows:
                codes[k] = self.pack.codes[rows[name]]
        return StyleGroup(images, codes, [torch.cat(layer) for layer in zip(*found, strict=True)])

    @cached_property
    def typical(self) -> Tensor:
        """Median norm of the Gram matrices of each layer, over the styles of all groups."""
        layers = zip(*(group.grams for group in self.groups.values()), strict=True)
        return torch.stack([torch.cat(layer).flatten(1).norm(dim=1).median() for layer in layers])

    def contents(self, count: int) -> tuple[Tensor, list[str]]:
        """Square pictures (count, 3, S, S) uint8 from each folder in turn, and their names."""
        names = [list(self.folders)[index % len(self.folders)] for index in range(count)]
        paths = (
            self.folders[name][index // len(self.folders) % len(self.folders[name])]
            for index, name in enumerate(names)
        )
        return torch.stack([square(path, self.options.size) for path in paths]), names

    @torch.no_grad()
    def restyle(self, content: Tensor, codes: Tensor) -> Tensor:
        """The network's raw output, in float32, each image with noise of its own."""
        seeds = self.seed + torch.arange(len(content))
        noise = white_noise(seeds, 1, *content.shape[-2:])
        return self.net(content.contiguous(memory_format=torch.channels_last), codes, noise)

    @torch.no_grad()
    def matched(self, content: Tensor, codes: Tensor) -> Tensor:
        """The content in the colours of styles, by the closed form that ends the network."""
        config = self.pack.config
        first = config.embedding + 2 * config.width
        mean, std = codes[:, first : first + 6].split(3, dim=1)
        matched: Tensor = ColourMatch()(content, mean, std)
        return matched

    @torch.no_grad()
    def moved(
        self, content: Tensor, output: Tensor, target: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Style moved, 1 - D(output) / D(content), and the same of unsquared norms: each (B,)."""
        before, after = (
            measures.style_and_root(x, target, self.typical, self.trunk) for x in (content, output)
        )
        return 1 - after[0] / before[0], 1 - after[1] / before[1]

    @cached_property
    def _marked(self) -> tuple[list[Defect], list[Path]]:
        options = self.options
        return masked_images(options.masks, options.defects, options.free, self.seed)

    @property
    def defects(self) -> list[Defect]:
        """Images with a mask that marks something."""
        return self._marked[0]

    @cached_property
    def free(self) -> list[Tensor]:
        """Images whose mask marks nothing: (1, 3, H, W), uint8."""
        return [to_tensor(load_rgb(path))[None] for path in self._marked[1]]


def content_folders(entries: Sequence[str], seed: int) -> dict[str, list[Path]]:
    """Images of ``NAME=DIR`` or ``DIR`` entries in random order; masks are left out."""
    folders: dict[str, list[Path]] = {}
    for entry in entries:
        name, _, folder = entry.rpartition("=")
        found = find_images(Path(folder))
        paths = [p for p in found if p.suffix != ".png" or not p.with_suffix(".jpg").is_file()]
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

    An image is free of defects if its mask is empty, or if it has none.
    """
    samples = list(read_defects(folder).samples)
    defects: list[Defect] = []
    free: list[Path] = []
    for sample in random.Random(seed).sample(samples, len(samples)):
        marked = sample.load_mask()
        mask = torch.zeros(1) if marked is None else torch.from_numpy(marked)[None, None]
        area = int(mask.sum())
        if 20 <= area < 0.5 * mask.numel() and len(defects) < limit:
            defects.append(Defect(sample, mask))
        if area == 0 and len(free) < free_limit:
            free.append(sample.path)
        if len(defects) == limit and len(free) == free_limit:
            break
    return defects, free
