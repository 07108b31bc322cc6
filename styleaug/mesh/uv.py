"""``Surface``: the triangles that a texture covers, its islands, and the seams between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[Any]

_SAME = 1e-6
"""UVs that differ by less are one: a thousandth of a texel at most."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles that one texture covers.

    Attributes:
        places: which point in space each corner is (T, 3), int64: corners at one point share it,
            whatever their UVs are.
        uv: of each corner (T, 3, 2), float64: u to the right, v down, 1 the texture's side.
    """

    places: Array
    uv: Array

    @classmethod
    def of(cls, points: Array, uv: Array) -> Surface:
        """Make it of points in space (T, 3, 3), which are one where they are equal, and UVs.

        Raises:
            ArithmeticError: if UVs are NaN or infinite.
        """
        if not np.isfinite(uv).all():
            raise ArithmeticError("UVs are NaN or infinite")
        flat = np.ascontiguousarray(points.reshape(-1, 3) + 0.0)  # no -0
        rows = flat.view(np.dtype((np.void, flat.dtype.itemsize * 3))).ravel()
        places = np.unique(rows, return_inverse=True)[1].reshape(-1, 3)
        return cls(places, uv.astype(np.float64))

    @classmethod
    def join(cls, surfaces: Sequence[Surface]) -> Surface:
        """Several, whose points have nothing to do with each other."""
        first = np.cumsum([0, *(s.places.max(initial=-1) + 1 for s in surfaces[:-1])])
        return cls(
            np.concatenate([s.places + n for s, n in zip(surfaces, first, strict=True)]),
            np.concatenate([s.uv for s in surfaces]),
        )

    def overflows(self, height: int, width: int) -> tuple[bool, bool]:
        """Whether UVs leave a texture by more than a texel, along y and x."""
        low, high = self._bounds(height, width)
        return bool(min(low[1], -high[1]) < -1), bool(min(low[0], -high[0]) < -1)

    def reaches(self, height: int, width: int) -> tuple[bool, bool]:
        """Whether both borders of a texture are used, along y and x."""
        low, high = self._bounds(height, width)
        return bool(max(low[1], -high[1]) < 1), bool(max(low[0], -high[0]) < 1)

    def _bounds(self, height: int, width: int) -> tuple[Array, Array]:
        """Texels of x and y by which all UVs lie beyond the low border and the high one."""
        size = np.array([width, height])
        return self.uv.min((0, 1)) * size, (self.uv.max((0, 1)) - 1) * size

    def islands(self, height: int, width: int) -> Array:
        """The island that each texel belongs to (height, width), int32; 0 for the background.

        Triangles that share an edge of the texture are one island.
        """
        corners = np.rint(self.uv * (width, height) - 0.5).clip(0, (width - 1, height - 1))
        canvas = Image.new("I", (width, height))
        draw = ImageDraw.Draw(canvas)
        for triangle, label in zip(
            corners.astype(np.int64).reshape(-1, 6).tolist(),
            (self._labels() + 1).tolist(),
            strict=True,
        ):
            draw.polygon(triangle, fill=label)
        return np.asarray(canvas)

    def _labels(self) -> Array:
        """A number (T,) of the island of each triangle, from 0."""
        nodes = np.concatenate([self.places.reshape(-1, 1), self.uv.reshape(-1, 2)], axis=1)
        rows = np.ascontiguousarray(nodes).view(np.dtype((np.void, 24))).ravel()
        corners = np.unique(rows, return_inverse=True)[1].reshape(-1, 3)
        label = np.arange(corners.max(initial=-1) + 1)
        while True:  # each corner takes the least number that its triangles know
            least = label.copy()
            np.minimum.at(least, corners.ravel(), np.repeat(label[corners].min(1), 3))
            least = least[least]
            if np.array_equal(least, label):
                return np.unique(label[corners[:, 0]], return_inverse=True)[1]
            label = least

    def seams(self) -> tuple[Array, Array]:
        """Edges in space that lie at two places of the texture, from both sides.

        Returns:
            Two arrays (E, 3, 2): UVs of the start, the end, and the third corner of the triangle.
        """
        a, b = self.places.reshape(-1), np.roll(self.places, -1, axis=1).reshape(-1)
        corners = [np.roll(self.uv, -k, axis=1).reshape(-1, 2) for k in range(3)]
        flip = a > b
        start = np.where(flip[:, None], corners[1], corners[0])
        end = np.where(flip[:, None], corners[0], corners[1])
        edges = np.stack([start, end, corners[2]], axis=1)
        keys = np.stack([np.minimum(a, b), np.maximum(a, b)])
        order = np.lexsort(keys)
        order = order[a[order] != b[order]]
        one, other = order[:-1], order[1:]
        pair = (keys[:, one] == keys[:, other]).all(0)
        one, other = edges[one[pair]], edges[other[pair]]
        apart = (np.abs(one[:, :2] - other[:, :2]) > _SAME).any((1, 2))
        return one[apart], other[apart]


def along_seams(
    seams: tuple[Array, Array], size: tuple[int, int], depth: float
) -> tuple[Array, Array]:
    """Points along seams, a texel apart, on both sides.

    Args:
        seams: of :meth:`Surface.seams`.
        size: height and width of the texture.
        depth: texels from the edge into the triangle.

    Returns:
        x and y (P, 2) of each side, where the centre of the first texel is (0, 0).
    """
    sides = [side * size[::-1] - 0.5 for side in seams]
    lengths = [np.linalg.norm(side[:, 1] - side[:, 0], axis=1) for side in sides]
    count = np.ceil(np.maximum(*lengths)).clip(1).astype(np.int64)
    edge = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    way = ((step + 0.5) / count[edge])[:, None]
    points = []
    for side in sides:
        start, end, third = (side[:, k] for k in range(3))
        run = end - start
        share = ((third - start) * run).sum(1) / (run**2).sum(1).clip(1e-12)
        inward = third - start - share[:, None] * run
        inward /= np.linalg.norm(inward, axis=1, keepdims=True).clip(1e-12)
        points.append((start + depth * inward)[edge] + way * run[edge])
    return points[0], points[1]
