"""Large images tile by tile: which pixels a tile needs, and which features it accounts for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from torch import Tensor

SMALLEST = 16
"""Pixels of a side that conv5_1 needs."""

_HALO = 80
"""Pixels around a tile that decide its features: conv5_1 sees 66 to each side; a multiple of 16."""


@dataclass(frozen=True)
class Tile:
    """A part of an image (top, bottom, left, right), and what surrounds it."""

    core: tuple[int, int, int, int]
    around: tuple[int, int, int, int]

    def cut(self, x: Tensor) -> Tensor:
        """The tile with its surroundings."""
        top, bottom, left, right = self.around
        return x[..., top:bottom, left:right]

    def core_of_cut(self, features: Tensor, stride: int) -> Tensor:
        """The core's share of features of :meth:`cut`."""
        top, bottom, left, right = (
            (edge - self.around[2 * (k // 2)]) // stride for k, edge in enumerate(self.core)
        )
        return features[..., top:bottom, left:right]

    def core_of_whole(self, features: Tensor, stride: int) -> Tensor:
        """The core's share of features of the whole image."""
        top, bottom, left, right = (edge // stride for edge in self.core)
        return features[..., top:bottom, left:right]


def make_tiles(height: int, width: int, side: int) -> list[Tile]:
    """Tiles of at most ``side`` pixels, or a little more, that cover an image."""

    def spans(length: int) -> list[tuple[int, int]]:
        edges = [*range(0, length, side), length]
        if len(edges) > 2 and edges[-1] - edges[-2] < SMALLEST:
            del edges[-2]
        return list(pairwise(edges))

    return [
        Tile(
            (top, bottom, left, right),
            (
                max(0, top - _HALO),
                min(height, bottom + _HALO),
                max(0, left - _HALO),
                min(width, right + _HALO),
            ),
        )
        for top, bottom in spans(height)
        for left, right in spans(width)
    ]


def stride_of(layer: str) -> int:
    """Pixels from one position of a layer to the next."""
    return int(2 ** (int(layer[4]) - 1))


def count_positions(size: Sequence[int], layer: str) -> int:
    """How many positions a layer has in an image of some size."""
    return prod(max(1, length // stride_of(layer)) for length in size)
