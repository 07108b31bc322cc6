"""Interpolation of coarse maps and averages over cells, also for some rows of a large image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, unflatten
from torch.nn import functional as F

_FOUR = 4

_BAND = 1 << 19
"""Values that a CPU works on at a time: what pointwise steps hand on then stays in its cache, and
large images need no room for each step."""


def by_hand(x: Tensor) -> bool:
    """Whether sums and interpolation are written out: on a CPU that is quicker than torch's own.

    Exporters and compilers get torch's own, which they know.
    """
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def bands_of(images: Tensor) -> Iterator[slice]:
    """Rows of images (B, C, H, W) to be worked on at a time: all, or on a CPU as fits its cache."""
    count, channels, height, width = images.shape
    step = height
    if images.device.type == "cpu":
        step = max(1, _BAND // max(1, count * channels * width))
    for top in range(0, height, max(1, step)):
        yield slice(top, min(top + step, height))


def interpolate(maps: Tensor, size: Sequence[int], rows: slice | None = None) -> Tensor:
    """Bilinear interpolation (``align_corners=False``) of maps (B, C, h, w) to (B, C, H, W).

    Args:
        maps: the coarse maps.
        size: H and W.
        rows: those of the H rows to come out; all by default. On a CPU, four times the size takes
            half as long as torch's own.
    """
    height, width = size
    if rows is not None and rows != slice(0, height):
        maps = _rows(maps, height, rows)
        height = rows.stop - rows.start
    four = (maps.shape[2] in (height, height / _FOUR)) and _FOUR * maps.shape[3] == width
    if by_hand(maps) and four:
        for dim in (2, 3):
            if maps.shape[dim] != (height, width)[dim - 2]:
                maps = _four_times(maps, dim)
        return maps
    return F.interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)


def _rows(maps: Tensor, height: int, rows: slice) -> Tensor:
    """Some of the ``height`` rows, as wide as the maps are."""
    last = maps.shape[2] - 1
    places = torch.arange(rows.start, rows.stop, dtype=torch.float32, device=maps.device)
    places = ((places + 0.5) * (maps.shape[2] / height) - 0.5).clamp(0, last)
    above = places.long()
    way = (places - above)[:, None].to(maps.dtype)
    below = (above + 1).clamp_max(last)
    return maps.index_select(2, above).lerp_(maps.index_select(2, below), way)


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


def average(images: Tensor, size: Sequence[int]) -> Tensor:
    """Means over the cells of a coarse grid: (B, C, H, W) to (B, C, h, w), of any sizes.

    On a CPU, cells that are all alike take a third as long as torch's own.
    """
    height, width = size
    alike = images.shape[2] % height == 0 and images.shape[3] % width == 0
    if images.device.type != "cpu" or not alike:
        return F.adaptive_avg_pool2d(images, (height, width))
    sums = unflatten(images, 2, (height, -1)).sum(3)
    sums = unflatten(sums, 3, (width, -1)).sum(4)
    return sums.mul_(sums.numel() / max(1, images.numel()))
