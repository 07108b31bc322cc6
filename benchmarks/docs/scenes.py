"""Drawn parts as they come down a line, with defects and the true masks of these.

The documentation shows these, so that it holds no photograph of unclear licence. The surfaces are
finishes (:mod:`styleaug.styles.procedural`); holes, bosses and joints are signed distances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import cos, pi, sin

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.parts import rectangle
from styleaug.images.color import to_dtype
from styleaug.styles.procedural import draw_finish

Point = tuple[float, float]
"""x and y, as shares of the side."""
DRAWN = 320
"""Side in pixels that finishes are drawn at."""
HOLE, SOLDER = (0.05, 0.05, 0.06), (0.82, 0.84, 0.87)
MARK = (255, 45, 170)
"""Of outlines: a colour that neither the parts nor their styles have much of."""


class Scene:
    """A picture that is being drawn, and the mask of its defects.

    Args:
        surface: (3, side, side), float32 in [0, 1].
        seed: of what is irregular in the defects.
    """

    def __init__(self, surface: Tensor, seed: int = 0) -> None:
        self.image = surface.clone()
        self.side = surface.shape[-1]
        self.mask = torch.zeros(1, self.side, self.side, dtype=torch.bool)
        self._rng = np.random.default_rng(seed)
        pixels = (torch.arange(self.side) + 0.5) / self.side
        self._y, self._x = torch.meshgrid(pixels, pixels, indexing="ij")

    # ------------------------------------------------------------ shapes: distances, in sides

    def disc(self, centre: Point, radius: float, rough: float = 0.0) -> Tensor:
        """Distance from a disc, negative inside; its edge wanders by a share of the radius."""
        x, y = self._x - centre[0], self._y - centre[1]
        turn, edge = torch.atan2(y, x), torch.ones(())
        for k in range(2, 8):
            edge = edge + rough / k * torch.cos(k * turn + self._rng.uniform(0, 2 * pi))
        return torch.hypot(x, y) - radius * edge

    def box(self, centre: Point, half: Point, corner: float) -> Tensor:
        """Distance from a rectangle with rounded corners, negative inside."""
        return rectangle(self._x - centre[0], self._y - centre[1], half, corner)

    def line(self, points: Sequence[Point]) -> Tensor:
        """Distance from a polyline."""
        distances = []
        for (ax, ay), (bx, by) in pairwise(points):
            dx, dy = bx - ax, by - ay
            along = ((self._x - ax) * dx + (self._y - ay) * dy) / (dx * dx + dy * dy)
            along = along.clamp(0, 1)
            distances.append(torch.hypot(self._x - ax - along * dx, self._y - ay - along * dy))
        return torch.stack(distances).amin(0)

    def wander(self, start: Point, heading: float, length: float, steps: int = 14) -> list[Point]:
        """Points of a crack: a walk that keeps its heading (radians) by and large."""
        points = [start]
        for _ in range(steps):
            turn = heading + self._rng.normal(0, 0.55)
            x, y = points[-1]
            points.append((x + length / steps * cos(turn), y + length / steps * sin(turn)))
        return points

    # ------------------------------------------------------------ structure and defects

    def fill(self, distance: Tensor, what: Tensor | Sequence[float], relief: float = 0.3) -> None:
        """Lay a surface or a colour inside; light from above falls on its flank."""
        self.image = torch.lerp(self.image, _surface(what), self._inside(distance))
        flank = torch.exp(-((distance * self.side / 2.5) ** 2))
        slope = torch.stack(torch.gradient(distance * self.side)).sum(0) * 0.7
        self.image = (self.image - relief * flank * slope).clamp(0, 1)

    def defect(
        self, distance: Tensor, what: Sequence[float], opacity: float = 0.85, soft: float = 1.0
    ) -> None:
        """Lay a colour inside, and mark it in the mask; ``soft`` pixels wide is the edge."""
        inside = self._inside(distance, soft)
        self.image = torch.lerp(self.image, _surface(what), inside * opacity)
        self.mask |= inside[None] >= 0.5

    def finished(self) -> tuple[Tensor, Tensor]:
        """The picture (3, side, side), uint8, and the mask (1, side, side), bool."""
        return to_dtype(self.image.clamp(0, 1), torch.uint8), self.mask

    def _inside(self, distance: Tensor, soft: float = 1.0) -> Tensor:
        return (0.5 - distance * self.side / soft).clamp(0, 1)


@lru_cache(maxsize=16)
def _finish(family: str, index: int, side: int) -> Tensor:
    """A finish of the same look whatever the side is: (3, side, side)."""
    drawn = draw_finish(family, index, size=DRAWN)[None]  # another size is another picture
    return F.interpolate(drawn, size=(side, side), mode="bicubic", antialias=True)[0].clamp(0, 1)


def _surface(what: Tensor | Sequence[float]) -> Tensor:
    return what if isinstance(what, Tensor) else torch.tensor(what)[:, None, None]


def steel(side: int) -> Scene:
    """A brushed bracket with a turned boss and four holes: a scratch, and pits."""
    scene = Scene(_finish("rubber", 1, side) * 0.3)
    scene.fill(scene.box((0.5, 0.5), (0.45, 0.45), 0.07), _finish("brushed", 2, side))
    scene.fill(scene.disc((0.5, 0.44), 0.2), _finish("turned", 7, side))
    scene.fill(scene.disc((0.5, 0.44), 0.09), HOLE, -0.4)
    for x in (0.16, 0.84):
        for y in (0.16, 0.84):
            scene.fill(scene.disc((x, y), 0.05), HOLE, -0.4)
    path = [(0.2, 0.34), (0.17, 0.5), (0.21, 0.66), (0.33, 0.83)]
    scene.defect(scene.line([(x + 0.013, y) for x, y in path]) - 0.005, (0.95, 0.97, 1.0))
    scene.defect(scene.line(path) - 0.008, (0.13, 0.14, 0.17))
    for x, y, radius in ((0.77, 0.62, 0.04), (0.83, 0.71, 0.024), (0.73, 0.73, 0.018)):
        scene.defect(scene.disc((x, y), radius, 0.35), (0.3, 0.15, 0.07), soft=3)
    return scene


def tile(side: int) -> Scene:
    """Four glazed tiles: a crack, and a chipped edge."""
    scene = Scene(_finish("concrete", 1, side) * 0.25 + 0.3, seed=5)
    for x in (0.22, 0.77):
        for y in (0.22, 0.77):
            half = (0.262, 0.262)
            scene.fill(scene.box((x, y), half, 0.03), _finish("ceramic", 11, side), 0.2)
    crack = scene.wander((0.07, 0.11), 0.65, 0.5)
    scene.defect(scene.line(crack) - 0.005, (0.2, 0.17, 0.16))
    scene.defect(scene.line(scene.wander(crack[7], 0.0, 0.16, 6)) - 0.004, (0.2, 0.17, 0.16))
    scene.defect(scene.disc((0.78, 0.525), 0.06, 0.3), (0.62, 0.42, 0.31))
    return scene


def board(side: int) -> Scene:
    """A circuit board with a chip: a solder bridge between pins, and a scratch through traces."""
    scene = Scene(_finish("pcb", 3, side))
    pins = [0.22 + 0.08 * k for k in range(8)]
    for y in (0.28, 0.6):
        for x in pins:
            scene.fill(scene.box((x, y), (0.019, 0.045), 0.008), SOLDER, 0.15)
    scene.fill(scene.box((0.5, 0.44), (0.36, 0.13), 0.015), (0.11, 0.11, 0.12), 0.25)
    scene.fill(scene.disc((0.19, 0.5), 0.02), (0.2, 0.2, 0.21), -0.2)
    scene.defect(scene.box((pins[4] + 0.04, 0.625), (0.075, 0.02), 0.02), SOLDER, 1.0)
    path = [(0.1, 0.93), (0.24, 0.86), (0.42, 0.82), (0.55, 0.82)]
    scene.defect(scene.line(path) - 0.009, (0.87, 0.62, 0.36))
    return scene


def cell(side: int) -> Scene:
    """A solar cell: a branching crack, and a burnt spot."""
    scene = Scene(_finish("solar-poly", 4, side), seed=3)
    crack = scene.wander((0.12, 0.1), 0.8, 0.75, 20)
    scene.defect(scene.line(crack) - 0.006, (0.02, 0.02, 0.04))
    scene.defect(scene.line(scene.wander(crack[9], -0.1, 0.3, 8)) - 0.005, (0.02, 0.02, 0.04))
    scene.defect(scene.disc((0.3, 0.72), 0.075, 0.3), (0.42, 0.3, 0.2), soft=8)
    return scene


def fabric(side: int) -> Scene:
    """Woven cloth: a hole, and a stain."""
    scene = Scene(_finish("woven", 4, side), seed=1)
    scene.defect(scene.disc((0.31, 0.33), 0.06, 0.5), (0.04, 0.04, 0.04), 0.95, soft=2)
    scene.defect(scene.disc((0.68, 0.66), 0.12, 0.3), (0.3, 0.17, 0.07), 0.7, soft=10)
    return scene


SCENES: dict[str, Callable[[int], Scene]] = {
    "steel": steel,
    "tile": tile,
    "board": board,
    "cell": cell,
    "fabric": fabric,
}


def marked(image: Tensor, mask: Tensor) -> Tensor:
    """A uint8 picture (3, H, W) with a line around what its mask (1, H, W) marks.

    The line keeps four pixels away, so that it covers nothing of the defect.
    """
    grown = [F.max_pool2d(mask.float(), 2 * r + 1, stride=1, padding=r)[0] > 0 for r in (4, 6)]
    colour = torch.tensor(MARK, dtype=torch.uint8)[:, None, None]
    return torch.where(grown[1] & ~grown[0], colour, image)
