"""Checks of images, numbers, names and paths, and the wording of their errors."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from styleaug.errors import did_you_mean
from styleaug.images.color import WHITE


def check_image_tensor(images: Tensor, name: str = "image", bits: int | None = None) -> None:
    """Raise unless ``images`` is a valid image tensor ``(..., C, H, W)``.

    Values are inspected on the CPU only: on an accelerator a look at them would make the host wait.

    Args:
        images: what should be uint8, uint16, or floating point in [0, 1]; C is 1 or 3; H, W are
            not 0.
        name: how the message calls it.
        bits: that uint16 values have, see :func:`check_bits`.

    Raises:
        TypeError: if the dtype is neither uint8, uint16 nor floating point.
        ValueError: if the shape or the values are out of bounds.
    """
    if images.ndim < 3:
        raise ValueError(
            f"{name} must have the shape (..., C, H, W), but got {tuple(images.shape)}. If this "
            "tensor holds labels and comes before the images in the sample, wrap the images in "
            "torchvision.tv_tensors.Image."
        )
    channels, height, width = images.shape[-3:]
    if channels not in (1, 3):
        raise ValueError(
            f"{name} must have 1 or 3 channels in the third dimension from the end, but got "
            f"{channels} in the shape {tuple(images.shape)}. Move channels with permute, or select "
            "the image channels first."
        )
    if not height or not width:
        raise ValueError(f"{name} must have pixels, but is {height} high and {width} wide.")
    if images.dtype not in WHITE and not images.dtype.is_floating_point:
        raise TypeError(
            f"{name} must be uint8, uint16 or floating point, but got {images.dtype}. "
            f"{_conversion(images)}"
        )
    if images.dtype.is_floating_point and images.device.type == "cpu" and images.numel():
        low, high = (value.item() for value in torch.aminmax(images.detach()))
        if not (low >= -1e-3 and high <= 1 + 1e-3):  # also false for NaN
            raise ValueError(
                f"{name} must hold finite values in [0, 1], but they range from {low:.4g} to "
                f"{high:.4g}. Place StyleAugment before Normalize, and scale 8-bit values by 1/255."
            )
    if bits is not None and images.dtype == torch.uint16 and images.device.type == "cpu":
        highest = int(images.numpy().max(initial=0))
        if highest >= 2**bits:
            raise ValueError(
                f"{name} must hold values of {bits} bits, in [0, {2**bits - 1}], but they reach "
                f"{highest}. Give the bits that it really has."
            )


def _conversion(images: Tensor) -> str:
    """What to do about the dtype of images; by their values, where a look at them costs nothing."""
    if images.is_complex():
        return "Take the real part, and scale it to [0, 1]."
    if images.device.type != "cpu" or not images.numel():
        return (
            "Convert it: with .to(torch.uint8) if its values lie in [0, 255], with "
            ".to(torch.uint16) if in [0, 65535]."
        )
    values = images.detach().numpy()
    low, high = int(values.min()), int(values.max())
    told = f"Its values lie in [{low}, {high}]"
    if low < 0 or high > WHITE[torch.uint16]:
        return f"{told}: scale them to [0, 1] as floating point."
    if high <= 1:
        return (
            f"{told}: convert it with .to(torch.float32), or, if it is a mask, wrap it in "
            "torchvision.tv_tensors.Mask."
        )
    if high <= WHITE[torch.uint8]:
        return f"{told}: convert it with .to(torch.uint8)."
    return f"{told}: convert it with .to(torch.uint16); for fewer bits than 16 say bits=."


def check_bits(bits: int | None) -> int | None:
    """Return ``bits``, the bits that uint16 values have, from 9 to 16; None for all 16.

    Raises:
        ValueError: if it is neither None nor such a number.
    """
    if bits is not None and not (_is_whole(bits) and 9 <= bits <= 16):
        raise ValueError(
            f"bits must be a whole number from 9 to 16, those of the values in 16-bit images, or "
            f"None, but got {bits!r}."
        )
    return None if bits is None else int(bits)


def check_range(
    name: str, value: float | Iterable[float], low: float, high: float
) -> tuple[float, float]:
    """Return ``value`` as an ordered pair inside [``low``, ``high``]; v stands for (v, v).

    Raises:
        ValueError: if it is not one number or an ordered pair of numbers inside the bounds.
    """
    try:
        pair = tuple(value) if isinstance(value, Iterable) else (value, value)
        if len(pair) != 2 or any(isinstance(x, str | bytes | bool) for x in (value, *pair)):
            raise ValueError
        first, second = float(pair[0]), float(pair[1])
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be a number or a pair (lo, hi), but got {value!r}."
        ) from None
    if not low <= first <= second <= high:
        raise ValueError(f"{name} must satisfy {low:g} <= lo <= hi <= {high:g}, but got {value!r}.")
    return first, second


def check_fraction(name: str, value: float) -> float:
    """Return ``value`` as a float inside [0, 1].

    Raises:
        ValueError: if it is not a number inside [0, 1].
    """
    return check_number(name, value, 0, 1)


def check_number(name: str, value: float, low: float = -inf, high: float = inf) -> float:
    """Return ``value`` as a float inside [``low``, ``high``]; neither bool nor NaN nor infinite.

    Raises:
        ValueError: if it is no such number.
    """
    real = isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
    if not (real and low <= value <= high):
        raise ValueError(f"{name} must be a number{_bounds(low, high)}, but got {value!r}.")
    return float(value)


def check_whole(name: str, value: int, low: float = -inf, high: float = inf) -> int:
    """Return ``value`` as an int inside [``low``, ``high``]; not a bool.

    Raises:
        ValueError: if it is no such number.
    """
    if not (_is_whole(value) and low <= value <= high):
        raise ValueError(f"{name} must be a whole number{_bounds(low, high)}, but got {value!r}.")
    return int(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _bounds(low: float, high: float) -> str:
    if high == inf:
        return "" if low == -inf else f" of at least {low:g}"
    return f" in [{low:.12g}, {high:.12g}]"


def check_mask(name: str, mask: Tensor) -> None:
    """Raise unless a mask on the CPU holds values in [0, 1]; elsewhere a look would take time.

    Raises:
        ValueError: if it does not.
    """
    if mask.device.type != "cpu" or not mask.numel() or mask.dtype == torch.bool:
        return
    low, high = (value.item() for value in torch.aminmax(mask.detach().float()))
    if not (low >= 0 and high <= 1):  # also false for NaN
        raise ValueError(
            f"{name} must hold finite values in [0, 1], but they range from {low:.4g} to "
            f"{high:.4g}."
        )


def check_path(name: str, value: str | Path) -> Path:
    """Return ``value`` as a path; an empty text would be the current folder.

    Raises:
        ValueError: if it is blank.
        TypeError: if it is no path.
    """
    if not isinstance(value, str | Path):
        raise TypeError(f"{name} must be a path, but got {value!r}.")
    if not str(value).strip() or "\0" in str(value):
        raise ValueError(f"{name} must be a path, but got {str(value)!r}.")
    return Path(value)


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise unless ``value`` is one of some names.

    Raises:
        ValueError: with all of them, and the closest.
    """
    known = [*choices]
    if value not in known:
        raise ValueError(
            f"{name} must be one of {', '.join(known)}, but got {value!r}."
            f"{did_you_mean(value, known)}"
        )
