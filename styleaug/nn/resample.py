"""Interpolation of coarse maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

_FOUR = 4


def interpolate(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear interpolation (``align_corners=False``) of maps (B, C, h, w) to (B, C, H, W).

    On a CPU, four times the size takes half as long as torch's own.
    """
    height, width = maps.shape[-2:]
    four = tuple(size) == (_FOUR * height, _FOUR * width) and min(height, width) > 1
    if four and maps.device.type == "cpu":
        return _four_times(_four_times(maps, 2), 3)
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def _four_times(x: Tensor, dim: int) -> Tensor:
    """Each place becomes four: at -3/8, -1/8, 1/8 and 3/8 of the way to its neighbours."""
    length = x.shape[dim]
    before = torch.cat([x.narrow(dim, 0, 1), x.narrow(dim, 0, length - 1)], dim)
    after = torch.cat([x.narrow(dim, 1, length - 1), x.narrow(dim, length - 1, 1)], dim)
    out = x.new_empty(*x.shape[: dim + 1], _FOUR, *x.shape[dim + 1 :])
    ways = ((before, 3 / 8), (before, 1 / 8), (after, 1 / 8), (after, 3 / 8))
    for place, (neighbour, way) in enumerate(ways):
        torch.lerp(x, neighbour, way, out=out.select(dim + 1, place))
    return out.flatten(dim, dim + 1)
