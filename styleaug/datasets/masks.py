"""``Mask``: what marks defects in an image, as people keep it: a file, an outline, run lengths."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from styleaug.images.io import load_image

_APART = 8
"""Levels between the values of a mask that each stand for something; compression leaves less."""

_LARGEST = 2**34
"""Pixels of the largest area that run lengths may tell: more than Pillow opens."""


class Mask(ABC):
    """The place of defects in an image, in pixels of the upright image."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that must be read to draw it; the rest is in the mask itself."""
        return ()

    def check(self, width: int, height: int) -> None:  # noqa: B027 - most masks fit any image
        """Raise ValueError if this cannot be the mask of an image of that size; reads no file."""

    @abstractmethod
    def draw(self, width: int, height: int) -> NDArray[np.bool_]:
        """(height, width), True in defects.

        Raises:
            OSError: if a file cannot be read; the message names it.
            ValueError: if the mask is of an image of another size.
        """


@dataclass(frozen=True)
class MaskFile(Mask):
    """An image of the size of its own image, dark where nothing is marked.

    All values but 0 count if they stand for something: those of palettes, those of masks whose
    largest is below 128, and those that lie 8 apart. A mask of other values was blurred or
    compressed; there, values over half of the largest count. Opacity does so only in a mask of one
    colour.

    Attributes:
        path: of the file.
    """

    path: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def draw(self, width: int, height: int) -> NDArray[np.bool_]:
        """See :meth:`Mask.draw`."""
        marked = _marked(load_image(self.path))
        if marked.shape != (height, width):
            raise ValueError(
                f"A mask must have the size of its image, but {self.path} has {marked.shape[1]} x "
                f"{marked.shape[0]} pixels and its image {width} x {height}. Resize the mask, or "
                "pair it with its own image."
            )
        return marked


@dataclass(frozen=True)
class Polygon(Mask):
    """The area inside an outline, but for its holes.

    Attributes:
        points: x and y of each corner, in pixels; at least three, or two of a line.
        holes: the same of each hole.
    """

    points: tuple[tuple[float, float], ...]
    holes: tuple[tuple[tuple[float, float], ...], ...] = ()

    def draw(self, width: int, height: int) -> NDArray[np.bool_]:
        """See :meth:`Mask.draw`."""
        canvas = Image.new("1", (width, height))
        drawing = ImageDraw.Draw(canvas)
        for fill, points in ((1, self.points), *((0, hole) for hole in self.holes)):
            # a corner at x lies between the pixels x - 1 and x; Pillow counts from their centres
            drawing.polygon([(x - 0.5, y - 0.5) for x, y in points], fill=fill, outline=1)
        return np.array(canvas, dtype=np.bool_)


@dataclass(frozen=True)
class RunLengths(Mask):
    """Lengths of runs of pixels: unmarked, marked, unmarked, and so on.

    Attributes:
        counts: the lengths, of which the first may be 0; what follows the last is unmarked.
        width: of the area that is told, in pixels.
        height: the same.
        left: where that area begins in the image.
        top: the same.
        by_rows: whether runs go along rows, and not, as COCO's, down columns.
    """

    counts: tuple[int, ...]
    width: int
    height: int
    left: int = 0
    top: int = 0
    by_rows: bool = False

    @classmethod
    def of(cls, marked: NDArray[np.bool_], *, left: int = 0, top: int = 0) -> RunLengths:
        """The run lengths of an area (height, width), bool, whose corner lies at (left, top)."""
        flat = np.concatenate([[False], marked.ravel()])
        changes = np.flatnonzero(flat[1:] != flat[:-1])
        counts = np.diff(np.concatenate([[0], changes, [marked.size]]))
        height, width = marked.shape
        return cls(tuple(counts.tolist()), width, height, left, top, by_rows=True)

    @property
    def area(self) -> int:
        """Marked pixels."""
        return sum(self.counts[1::2])

    def bounds(self) -> tuple[float, float, float, float] | None:
        """Left, top, right, bottom around what is marked; None if nothing is."""
        length = self.width if self.by_rows else self.height
        ends = np.cumsum(self.counts, dtype=np.int64)
        starts, ends = ends[:-1:2], ends[1::2]
        starts, ends = starts[ends > starts], ends[ends > starts]
        if not len(starts):
            return None
        # a line is a row or a column; a run that leaves its first line reaches across
        lines, last = starts // length, (ends - 1) // length
        across = bool((last > lines).any())
        low, high = (0, length) if across else (starts % length, (ends - 1) % length + 1)
        along = (float(np.min(low)), float(np.max(high)))
        other = (float(lines.min()), float(last.max()) + 1)
        (x0, x1), (y0, y1) = (along, other) if self.by_rows else (other, along)
        return x0 + self.left, y0 + self.top, x1 + self.left, y1 + self.top

    def check(self, width: int | None = None, height: int | None = None) -> None:
        """See :meth:`Mask.check`; without a size, only whether the lengths fill their own area."""
        total = self.width * self.height
        fits = min(self.width, self.height) > 0 and total <= _LARGEST and sum(self.counts) <= total
        if not fits or min(self.counts, default=0) < 0:
            raise ValueError(
                f"Run lengths must fill an area of {self.width} x {self.height} pixels, but are "
                f"{sum(self.counts)} pixels long."
            )
        if width is None or height is None:
            return
        inside = min(self.left, self.top) >= 0
        if not inside or self.left + self.width > width or self.top + self.height > height:
            raise ValueError(
                f"A mask must lie in its image, but one of {self.width} x {self.height} pixels at "
                f"({self.left}, {self.top}) does not fit into {width} x {height}."
            )

    def draw(self, width: int, height: int) -> NDArray[np.bool_]:
        """See :meth:`Mask.draw`."""
        self.check(width, height)
        total = self.width * self.height
        runs = np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts)
        flat = np.zeros(total, dtype=np.bool_)
        flat[: len(runs)] = runs
        shape = (self.height, self.width)
        area = flat.reshape(shape) if self.by_rows else flat.reshape(shape[::-1]).T
        marked = np.zeros((height, width), dtype=np.bool_)
        marked[self.top : self.top + self.height, self.left : self.left + self.width] = area
        return marked


def _marked(mask: Image.Image) -> NDArray[np.bool_]:
    """(H, W) from a mask of any mode."""
    levels = np.asarray(mask)
    if "A" in mask.getbands():
        colours, opacity = levels[..., :-1], levels[..., -1]
        plain = bool((colours == colours[0, 0]).all())
        levels = opacity[..., None] if plain and opacity.min() < opacity.max() else colours
    if levels.ndim == 3:
        levels = levels.max(-1)
    values = _values(levels)
    apart = bool((np.diff(values, prepend=values.dtype.type(0))[1:] >= _APART).all())
    coded = mask.mode == "P" or values[-1] < 128 or apart
    marked: NDArray[np.bool_] = levels > (0 if coded else values[-1] / 2)
    return marked


def _values(levels: NDArray[Any]) -> NDArray[Any]:
    """What ``np.unique`` gives, ten times as fast where there are two values, as in most masks."""
    ends = np.unique([levels.min(), levels.max()])
    known = sum(np.count_nonzero(levels == end) for end in ends)
    return ends if known == levels.size else np.unique(levels)
