"""White noise that is a function of a seed and the place alone: it never repeats, on any device."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

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
    # two values of 16 bits in each hash of 32
    place = torch.arange((count + 1) // 2, dtype=torch.int32, device=seeds.device)
    place.mul_(-1640531535)  # 2^32 / golden ratio: neighbours far apart
    start = (seeds ^ (seeds >> 15)).mul(0x2C1B3C6D).to(torch.int32)
    bits = _mixed(place[None] ^ start[:, None]).view(torch.int16)[:, :count]
    uniform = bits.to(torch.float32).add_(0.5).mul_(1 / 2**15)  # in (-1, 1)
    return uniform.erfinv_().mul_(sqrt(2)).view(-1, channels, height, width)


def _mixed(x: Tensor) -> Tensor:
    """Hash int32 in place ("lowbias32" of Wellons 2018); products wrap around."""
    # an arithmetic shift, masked to a logical one
    x ^= (x >> 16).bitwise_and_(0xFFFF)
    x *= 0x7FEB352D
    x ^= (x >> 15).bitwise_and_(0x1FFFF)
    x *= -2073254261  # 0x846CA68B
    x ^= (x >> 16).bitwise_and_(0xFFFF)
    return x
