"""``Mark``: one annotated defect, as annotation tools write it; and samples made of marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import cos, pi, radians, sin
from pathlib import Path

import numpy as np
from PIL import Image

from styleaug.datasets.masks import Mask, Polygon, RunLengths
from styleaug.datasets.parsing import malformed
from styleaug.datasets.samples import Box, Sample, image_size

Corners = tuple[float, float, float, float]
Points = tuple[tuple[float, float], ...]

_FARTHEST = 1e6
"""Pixels up to which a coordinate may be meant; drawing is exact up to there."""
_CORNERS_OF_ELLIPSE = 36


@dataclass(frozen=True)
class Mark:
    """One annotated defect.

    Attributes:
        label: its class.
        corners: left, top, right, bottom of its upright box, in pixels.
        where: file and place in it, for errors.
        outline: masks of its area, where it is more than a box.
    """

    label: str
    corners: Corners
    where: str
    outline: tuple[Mask, ...] = ()


def outlined(label: str, outer: Points, where: str, holes: Sequence[Points] = ()) -> Mark:
    """The area inside a polygon, but for ``holes``.

    Raises:
        ValueError: if a corner is far outside of any image.
    """
    _check_near(outer, where)
    xs, ys = [x for x, _ in outer], [y for _, y in outer]
    polygon = Polygon(outer, tuple(tuple(hole) for hole in holes))
    return Mark(label, (min(xs), min(ys), max(xs), max(ys)), where, (polygon,))


def turned_box(
    label: str, centre: tuple[float, float], size: tuple[float, float], angle: float, where: str
) -> Mark:
    """A box of width and height ``size``, turned clockwise about its centre by radians."""
    (x, y), (width, height) = centre, size
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    right, down = (cos(angle), sin(angle)), (-sin(angle), cos(angle))
    points = tuple(
        (
            x + a * width / 2 * right[0] + b * height / 2 * down[0],
            y + a * width / 2 * right[1] + b * height / 2 * down[1],
        )
        for a, b in corners
    )
    return outlined(label, points, where)


def ellipse(
    label: str, centre: tuple[float, float], radii: tuple[float, float], degrees: float, where: str
) -> Mark:
    """An ellipse, or a circle, turned clockwise about its centre."""
    (x, y), (a, b), turn = centre, radii, radians(degrees)
    angles = [2 * pi * k / _CORNERS_OF_ELLIPSE for k in range(_CORNERS_OF_ELLIPSE)]
    flat = [(a * cos(t), b * sin(t)) for t in angles]
    points = tuple(
        (x + u * cos(turn) - v * sin(turn), y + u * sin(turn) + v * cos(turn)) for u, v in flat
    )
    return outlined(label, points, where)


def line(label: str, points: Points, where: str) -> Mark:
    """A line through points, one pixel wide."""
    left, top, right, bottom = outlined(label, points, where).corners
    back_and_forth = Polygon((*points, *points[-2:0:-1]))
    corners = (left - 0.5, top - 0.5, right + 0.5, bottom + 0.5)
    return Mark(label, corners, where, (back_and_forth,))


def bitmap(label: str, png: bytes, left: int, top: int, where: str) -> Mark | None:
    """The marked pixels of a small picture that lies at (left, top); None if there are none.

    Raises:
        ValueError: if it is no picture.
    """
    try:
        with Image.open(BytesIO(png)) as file:
            alpha = "A" in file.getbands()
            levels = np.asarray(file.getchannel("A") if alpha else file.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise malformed(where, "a mask as a picture", png[:20]) from None
    return run_lengths(label, RunLengths.of(levels > 0, left=left, top=top), where)


def run_lengths(label: str, mask: RunLengths, where: str) -> Mark | None:
    """The area that run lengths mark; None if there is none.

    Raises:
        ValueError: if they do not fill their own area.
    """
    try:
        mask.check()
    except ValueError as error:
        raise ValueError(f"{where} is malformed: {error}") from None
    bounds = mask.bounds()
    return None if bounds is None else Mark(label, bounds, where, (mask,))


def make_samples(
    marks: Mapping[Path, Sequence[Mark]],
    splits: Mapping[Path, str],
    labels: Mapping[Path, str] | None = None,
) -> list[Sample]:
    """Samples of annotated images; boxes are cut to them, and what has no area is left out.

    If any mark of the dataset has an outline, those without get their box as one, so that masks
    show all defects.

    Args:
        marks: of each image; images without are background.
        splits: of the same images.
        labels: of images without marks, where something else tells.

    Raises:
        ValueError: if a mark lies outside of its image, or all are shares of its sides.
    """
    outlined = any(mark.outline for several in marks.values() for mark in several)
    samples = []
    farthest = 0.0
    for image, several in marks.items():
        size = image_size(image) if several else None
        boxes: list[Box] = []
        masks: list[Mask] = []
        for mark in several:
            farthest = max(farthest, *mark.corners) if size else 2
            box = clip_box(mark.label, mark.corners, size, mark.where)
            boxes += box
            if box and outlined:
                masks += _masks_of(mark, size)
        label = max(boxes, key=lambda box: box.area).label if boxes else ""
        label = label or (labels or {}).get(image, "")
        samples.append(
            Sample(image, label, tuple(masks), tuple(boxes), split=splits.get(image, ""))
        )
    first = next((mark for several in marks.values() for mark in several), None)
    if first and farthest <= 1:
        raise malformed(first.where, "in pixels, and not in shares of the sides", first.corners)
    return samples


def clip_box(label: str, corners: Corners, size: tuple[int, int] | None, where: str) -> list[Box]:
    """A box cut to its image; none if no area is left.

    Args:
        label: its class.
        corners: left, top, right, bottom in pixels.
        size: width and height of the image; None if they are unknown, and nothing is cut.
        where: file and line, for errors.

    Raises:
        ValueError: if the corners are in the wrong order, or outside of the image.
    """
    left, top, right, bottom = corners
    if not (left <= right and top <= bottom and all(abs(c) < float("inf") for c in corners)):
        must = "a box whose left is before its right, and top before bottom"
        raise malformed(where, must, corners)
    if size is not None:
        width, height = size
        if not (left <= width and top <= height and right >= 0 and bottom >= 0):
            raise malformed(where, f"a box in the image, {width} x {height} pixels", corners)
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, width), min(bottom, height)
    found = Box(label, float(left), float(top), float(right), float(bottom))
    return [found] if found.area > 0 else []


def _masks_of(mark: Mark, size: tuple[int, int] | None) -> tuple[Mask, ...]:
    if not mark.outline:
        left, top, right, bottom = mark.corners
        return (Polygon(((left, top), (right, top), (right, bottom), (left, bottom))),)
    if size is not None:
        try:
            for mask in mark.outline:
                mask.check(*size)
        except ValueError as error:
            raise ValueError(f"{mark.where} is malformed: {error}") from None
    return mark.outline


def _check_near(points: Points, where: str) -> None:
    if not points:
        raise malformed(where, "an outline with corners", points)
    for x, y in points:
        if not (abs(x) < _FARTHEST and abs(y) < _FARTHEST):
            raise malformed(where, "an outline near its image, in pixels", (x, y))
