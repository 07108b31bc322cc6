"""``Equalize``: a camera that spreads the tones of what it sees over its range."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from styleaug.images.checks import check_range
from styleaug.images.color import luma
from styleaug.nn.resample import bands_of
from styleaug.stages.apply import on_device
from styleaug.stages.base import Stage
from styleaug.stages.params import Params, Range, rows, uniform

_BINS = 256
_STEEPEST = 5.0
"""Most that a bin of the histogram, before its surplus is spread, steepens the curve."""
_SIDE = 256
"""Most rows and columns that a histogram counts: every second, third, ... of larger images."""


@dataclass(frozen=True, eq=False)
class EqualizeParams(Params):
    """Equalization of each image.

    Attributes:
        amount: share of the equalized image (B,).
    """

    amount: Tensor = rows(torch.float32, low=0, high=1)

    @property
    def active(self) -> Tensor:
        """Which images change (B,), bool."""
        return self.amount > 0

    def scaled(self, factor: Tensor) -> EqualizeParams:
        """Nearer to the image as it is."""
        return EqualizeParams(self.amount * factor)

    def describe(self, row: int) -> dict[str, str | float]:
        """The share."""
        return {"amount": round(float(self.amount[row]), 4)}


class Equalize(Stage):
    """Spread an image's tones over the range, as cameras with automatic exposure and gain do.

    Blends the image with its contrast-limited histogram equalization (Zuiderveld 1994). One curve
    of the luma serves all channels. It increases everywhere, so darker stays darker and no edge
    moves. The contrast of nearly flat images rises by a factor of little more than five at most.

    Args:
        strength: range (lo, hi) of the share of the equalized image, in [0, 1], or a number.
        p: probability that an image is changed.

    Shape:
        As for :class:`~styleaug.StyleAugment`.

    Examples:
        >>> dim = 0.2 + 0.2 * torch.rand(3, 32, 48)
        >>> out = Equalize(strength=1.0)(dim)
        >>> bool(out.std() > 2 * dim.std())
        True
    """

    params_type = EqualizeParams
    amount = "strength"
    shares = False

    def __init__(self, *, strength: Range = (0.0, 1.0), p: float = 1.0) -> None:
        super().__init__(p)
        self.strength = check_range("strength", strength, 0, 1)

    def draw(self, count: int, generator: torch.Generator | None = None) -> EqualizeParams:
        """Draw the share of each image."""
        return EqualizeParams(uniform(count, generator, *self.strength))

    def apply(self, images: Tensor, params: EqualizeParams) -> Tensor:
        """Change images (B, C, H, W), float in [0, 1]."""
        shares = _histogram(images)
        curve = torch.cat([shares.new_zeros(len(shares), 1), shares.cumsum(1)], 1)
        amount = on_device(params.amount, images)
        out = torch.empty_like(images, memory_format=torch.contiguous_format)
        for band in bands_of(images):
            part = images[:, :, band]
            place = part.reshape(len(part), -1) * _BINS
            below = place.long().clamp_(0, _BINS - 1)
            steep = shares.gather(1, below)
            equal = curve.gather(1, below).addcmul_(place.sub_(below), steep).view(part.shape)
            torch.lerp(part, equal, amount, out=out[:, :, band])
        return out.clamp_(0, 1)


def _histogram(images: Tensor) -> Tensor:
    """Shares of the luma's bins (B, _BINS), limited; they sum to 1."""
    step = [-(-side // _SIDE) for side in images.shape[-2:]]
    light = luma(images[..., :: step[0], :: step[1]]).flatten(1)
    places = (light * _BINS).long().clamp_(0, _BINS - 1)
    counts = torch.zeros(len(light), _BINS, dtype=images.dtype, device=images.device)
    counts.scatter_add_(1, places, torch.ones_like(light))
    shares = counts / light.shape[1]
    limited = shares.clamp(max=_STEEPEST / _BINS)
    return limited + (1 - limited.sum(1, keepdim=True)) / _BINS
