"""White noise that is a function of a seed and the place alone: it never repeats, on any device."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import sqrt

import torch
from torch import Tensor

_PART = 1 << 18
"""Values that a CPU draws at a time."""

SEEDS = 2**31
"""Seeds are integers in [0, SEEDS)."""


def white_noise(seeds: Tensor, channels: int, height: int, width: int) -> Tensor:
    """Gaussian noise of unit variance, each pixel and channel on its own.

    A counter-based generator (Salmon et al. 2011): the place is hashed with the seed, and 16 bits
    of the hash are a quantile of the normal distribution. No state, no loop over the batch, the
    same values on every device, and any part of a larger field can be had on its own.

    Args:
        seeds: (B,), int64 in [0, SEEDS), on the device of the result.
        channels: C.
        height: H, in pixels.
        width: W, in pixels.

    Returns:
        (B, C, H, W), float32, within 4.4 standard deviations.
    """
    count = channels * height * width
    noise = torch.empty(len(seeds), count, dtype=torch.float32, device=seeds.device)
    for rows, part in noise_parts(seeds, count):
        noise[rows, part] = noise_values(seeds[rows], part)
    return noise.view(-1, channels, height, width)


def noise_parts(seeds: Tensor, count: int) -> Iterator[tuple[slice, slice]]:
    """Rows and places of fields of ``count`` values to be drawn at a time.

    A CPU's cache holds the hashes of a part of an image, not those of a batch.
    """
    if seeds.device.type != "cpu":
        yield slice(0, len(seeds)), slice(0, count)
        return
    for row in range(len(seeds)):
        for first in range(0, count, _PART):
            yield slice(row, row + 1), slice(first, min(first + _PART, count))


def noise_values(seeds: Tensor, part: slice) -> Tensor:
    """The values at some places of flattened fields: (B, N), float32.

    Args:
        seeds: (B,), see :func:`white_noise`.
        part: first place, an even number, and end.
    """
    # two values of 16 bits in each hash of 32
    places = torch.arange(
        part.start // 2, (part.stop + 1) // 2, dtype=torch.int32, device=seeds.device
    )
    places.mul_(-1640531535)  # 2^32 / golden ratio: neighbours far apart
    start = (seeds ^ (seeds >> 15)).mul(0x2C1B3C6D).to(torch.int32)[:, None]
    level = _mixed(places ^ start).view(torch.int16)[:, : part.stop - part.start]
    if seeds.device.type == "cpu":
        index = level.to(torch.int32).add_(2**15)
        return _quantiles().index_select(0, index.flatten()).view(index.shape)
    return _to_quantiles(level.to(torch.float32))


def _to_quantiles(level: Tensor) -> Tensor:
    """From -2^15 ... 2^15 - 1 into (-1, 1), and on to quantiles of the normal distribution."""
    return level.add_(0.5).mul_(1 / 2**15).erfinv_().mul_(sqrt(2))


@lru_cache(maxsize=1)
def _quantiles() -> Tensor:
    """All 2^16 of them: on a CPU a look into the table is four times as quick as erfinv."""
    with torch.inference_mode(False):
        levels = torch.arange(-(2**15), 2**15, device="cpu", dtype=torch.float32)
        return _to_quantiles(levels)


def _mixed(x: Tensor) -> Tensor:
    """Hash int32 in place ("lowbias32" of Wellons 2018); products wrap around."""
    high = torch.empty_like(x)

    def shift(bits: int) -> None:
        torch.bitwise_right_shift(x, bits, out=high)  # keeps the sign: masked to a logical one
        x.bitwise_xor_(high.bitwise_and_(2 ** (32 - bits) - 1))

    shift(16)
    x.mul_(0x7FEB352D)
    shift(15)
    x.mul_(-2073254261)  # 0x846CA68B
    shift(16)
    return x
