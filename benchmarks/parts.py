"""Draw parts of clear licence: pictures of no photograph, to train a pack on.

    python -m benchmarks.parts --out drawn/ [--per-family 8]

A part is a finish (:mod:`styleaug.styles.procedural`), in three of four cases with features on it:
plates of another finish, raised or sunk, discs, bars, and drilled holes. A network that sees
finishes alone as content never learns to keep the outline of an object.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import cos, pi, sin
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.rows import parser_of
from styleaug.images.color import to_dtype
from styleaug.images.io import save_image, to_image
from styleaug.styles.procedural import FAMILIES, draw_finish

FIRST_INDEX = 50_000
"""Of the finishes that parts are made of: no style of a pack, nor of a benchmark, is among them."""


def draw_part(family: str, index: int, size: int = 240) -> Tensor:
    """Draw a part.

    Args:
        family: of its finish.
        index: which part; a function of family, index and size alone.
        size: side in pixels.

    Returns:
        (3, size, size), float32 in [0, 1].
    """
    rng = np.random.default_rng([FAMILIES.index(family), index])
    part = draw_finish(family, FIRST_INDEX + index, size=size)
    for _ in range(rng.choice(4, p=(0.25, 0.25, 0.25, 0.25))):
        distance = _feature(rng, size)
        inside = (0.5 - distance).clamp(0, 1)
        if rng.random() < 0.3:  # a hole
            fill = torch.full_like(part, rng.uniform(0, 0.25))
        else:
            other = FAMILIES[rng.integers(len(FAMILIES))]
            fill = draw_finish(other, FIRST_INDEX + int(rng.integers(1000)), size=size)
        # light from one side on the flank, whose width is that of a chamfer of some pixels
        slope = torch.stack(torch.gradient(distance))
        turn = rng.uniform(0, 2 * pi)
        flank = torch.exp(-((distance / rng.uniform(1, 3)) ** 2))
        shade = rng.uniform(-0.4, 0.4) * flank * (slope[0] * sin(turn) + slope[1] * cos(turn))
        part = (torch.lerp(part, fill, inside) + shade).clamp(0, 1)
    return part


def _feature(rng: np.random.Generator, size: int) -> Tensor:
    """Signed distance of a disc, or of a rectangle with rounded corners: (size, size), pixels."""
    y, x = torch.meshgrid(*[torch.arange(size, dtype=torch.float32)] * 2, indexing="ij")
    cy, cx = rng.uniform(0, size, 2)
    turn = rng.choice([0, pi / 4, rng.uniform(0, pi)])
    u, v = (
        (x - cx) * cos(turn) + (y - cy) * sin(turn),
        (y - cy) * cos(turn) - (x - cx) * sin(turn),
    )
    if rng.random() < 0.4:
        return torch.hypot(u, v) - size * rng.uniform(0.03, 0.3)
    half = size * torch.from_numpy(rng.uniform(0.03, 0.45, 2)).float()
    corner = min(float(half.min()), size * rng.uniform(0, 0.05))
    return rectangle(u, v, half, corner)


def rectangle(x: Tensor, y: Tensor, half: Sequence[float] | Tensor, corner: float) -> Tensor:
    """Signed distance from a rectangle with rounded corners around the origin, negative inside."""
    over = torch.stack([x.abs() - half[0], y.abs() - half[1]]) + corner
    return over.clamp_min(0).norm(dim=0) + over.amax(0).clamp_max(0) - corner


def main() -> int:
    """Draw what the command line asks for."""
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--per-family", type=int, default=8, metavar="N", help="default: 8")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for family in tqdm(FAMILIES, unit="family"):
        for index in range(options.per_family):
            picture = to_image(to_dtype(draw_part(family, index), torch.uint8))
            save_image(options.out / f"{family}_{index:03d}.png", picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
