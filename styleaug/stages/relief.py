"""``Relief``: another angle of the light: local detail is stronger, fainter or inverted."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.images.checks import check_fraction, check_range
from styleaug.nn.resample import average, bands_of, interpolate
from styleaug.stages.apply import on_device
from styleaug.stages.base import Stage
from styleaug.stages.params import Params, Range, rows, uniform

SIGMA = (1.0, 60.0)
"""Bounds of the blur, in pixels."""

_GAIN = (0.4, 1.6)
"""Of local detail, at full strength."""

_CELL = 2
"""Side, in pixels, of the cells that the blur works on."""


@dataclass(frozen=True, eq=False)
class ReliefParams(Params):
    """Relief of each image.

    Attributes:
        gain: of local detail; 1 keeps it, less than 0 inverts it (B,).
        sigma: standard deviation of the blur that defines it, in pixels (B,).
    """

    gain: Tensor = rows(torch.float32, low=-_GAIN[1], high=_GAIN[1])
    sigma: Tensor = rows(torch.float32, low=SIGMA[0], high=SIGMA[1])

    @property
    def active(self) -> Tensor:
        """Which images change (B,), bool."""
        return self.gain != 1

    def scaled(self, factor: Tensor) -> ReliefParams:
        """A gain nearer to 1, or to -1; whether detail is inverted stays."""
        gain = self.gain.sign() * self.gain.abs() ** factor
        return ReliefParams(torch.where(factor > 0, gain, 1.0), self.sigma)

    def describe(self, row: int) -> dict[str, str | float]:
        """Gain, and the standard deviation in pixels."""
        return {
            "gain": round(float(self.gain[row]), 4),
            "sigma": round(float(self.sigma[row]), 2),
        }


class Relief(Stage):
    """Light a surface from another angle: amplify, attenuate or invert local detail.

    ``out = low + gain * (x - low)``, where low is x blurred. Bright field, dark field and raking
    light have this effect on scratches, roughness and dents, while the background stays. Set
    ``flip=0`` if classes differ in whether a defect is darker or brighter than its surroundings.

    Args:
        strength: range (lo, hi) of the deviation of the gain from 1, in [0, 1], or a number; at 1
            the gain is drawn between 0.4 and 1.6.
        sigma: range of the standard deviation of the blur in pixels, in [1, 60]; smaller structures
            count as detail.
        flip: probability that detail is inverted on an image that changes.
        p: probability that an image is changed.

    Shape:
        As for :class:`~styleaug.StyleAugment`.

    Examples:
        >>> Relief(strength=1.0, flip=0)(torch.rand(3, 32, 48)).shape
        torch.Size([3, 32, 48])
    """

    params_type = ReliefParams
    amount = "strength"
    shares = False

    def __init__(
        self,
        *,
        strength: Range = (0.0, 1.0),
        sigma: Range = (3.0, 10.0),
        flip: float = 0.5,
        p: float = 1.0,
    ) -> None:
        super().__init__(p)
        self.strength = check_range("strength", strength, 0, 1)
        self.sigma = check_range("sigma", sigma, *SIGMA)
        self.flip = check_fraction("flip", flip)

    def draw(self, count: int, generator: torch.Generator | None = None) -> ReliefParams:
        """Draw the relief of each image."""
        amount = uniform(count, generator, *self.strength)
        low, high = map(log, _GAIN)
        gain = (amount * uniform(count, generator, low, high)).exp()
        flips = (uniform(count, generator) < self.flip) & (amount > 0)
        sigma = uniform(count, generator, *self.sigma)
        return ReliefParams(torch.where(flips, -gain, gain), sigma)

    def apply(self, images: Tensor, params: ReliefParams) -> Tensor:
        """Change images (B, C, H, W), float; clamped to [0, 1]."""
        low, gain = _blurred_cells(images, params.sigma), on_device(params.gain, images)
        out = torch.empty_like(images, memory_format=torch.contiguous_format)
        for band in bands_of(images):
            background = interpolate(low, images.shape[-2:], band)
            torch.lerp(background, images[:, :, band], gain, out=out[:, :, band]).clamp_(0, 1)
        return out


def _blurred_cells(images: Tensor, sigma: Tensor) -> Tensor:
    """Images blurred by Gaussians, sigma in pixels (B,), on the CPU; at half the resolution."""
    height, width = images.shape[-2:]
    small = average(images, (-(-height // _CELL), -(-width // _CELL)))
    count, channels = small.shape[:2]
    # without what averaging over cells and interpolation blur already
    spread = (sigma.square() - _CELL**2 / 6).sqrt()[:, None] / _CELL
    radius = ceil(3 * float(spread.max()))
    steps = torch.arange(-radius, radius + 1, device="cpu", dtype=torch.float32)
    kernels = torch.exp(-0.5 * (steps / spread) ** 2)
    # none reaches farther than its own three deviations, whatever else is in the batch
    kernels = torch.where(steps.abs() <= (3 * spread).ceil(), kernels, 0.0)
    kernels = kernels / kernels.sum(1, keepdim=True)
    kernels = kernels.to(images.device, non_blocking=True).repeat_interleave(channels, 0)[:, None]
    planes = F.pad(small, [radius] * 4, mode="replicate").flatten(0, 1)[None]
    planes = F.conv2d(planes, kernels[:, :, :, None], groups=count * channels)
    planes = F.conv2d(planes, kernels[:, :, None], groups=count * channels)
    return planes.reshape(small.shape)
