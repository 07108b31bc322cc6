"""Conversions between uint8, uint16 and float, and between RGB and gray."""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of R, G and B, the ones that PIL and torchvision use."""

WHITE = {torch.uint8: 255, torch.uint16: 65535}
"""The integer dtypes that images may have, and what stands for 1 in them."""


def white_of(dtype: torch.dtype, bits: int | None = None) -> int | None:
    """What stands for 1 in images of a dtype; None if it is floating point.

    Args:
        dtype: of the images.
        bits: that uint16 images hold, from 9 to 16: cameras of 10, 12 and 14 bits write 16. Other
            dtypes tell their white themselves.
    """
    if dtype == torch.uint16 and bits is not None:
        return (1 << bits) - 1
    return WHITE.get(dtype)


def to_float(images: Tensor, bits: int | None = None) -> Tensor:
    """Return images ``(..., C, H, W)`` as float32 in [0, 1]; integers divided by white."""
    white = white_of(images.dtype, bits)
    if white is None:
        return images.to(torch.float32)
    return images.to(torch.float32).div_(white)


def to_dtype(images: Tensor, dtype: torch.dtype, bits: int | None = None) -> Tensor:
    """Return float images in [0, 1] as ``dtype``, clamped; integers are rounded."""
    images, white = images.clamp(0, 1), white_of(dtype, bits)
    if white is None:
        return images.to(dtype)
    rounded = images.mul_(white).round_()
    # CUDA has no direct way from float to uint16
    return (rounded.to(torch.int32) if dtype == torch.uint16 else rounded).to(dtype)


def luma(images: Tensor) -> Tensor:
    """Return the luma (..., 1, H, W) of images (..., C, H, W), C = 1 or 3."""
    if images.shape[-3] == 1:
        return images
    red, green, blue = images.unbind(-3)
    gray = (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])
    return gray.unsqueeze(-3)


def to_rgb(images: Tensor) -> Tensor:
    """Return images ``(..., 3, H, W)``: gray is repeated (a view), RGB comes back as it is."""
    if images.shape[-3] == 3:
        return images
    return images.expand(*images.shape[:-3], 3, *images.shape[-2:])
