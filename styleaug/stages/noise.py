"""``SensorNoise``: white noise, as of a sensor at high gain, and of the finest finishes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from styleaug.images.checks import check_range
from styleaug.nn.noise import SEEDS, noise_parts, noise_values
from styleaug.stages.base import Stage
from styleaug.stages.params import Params, Range, integers, rows, uniform

_POWER = 3
"""Of a uniform draw: most images get little of what hides small defects, and few get much of it."""


@dataclass(frozen=True, eq=False)
class SensorNoiseParams(Params):
    """Noise of each image.

    Attributes:
        sigma: standard deviation, as a share of the range of values (B,).
        seed: of the noise (B,), see :func:`~styleaug.nn.noise.white_noise`.
    """

    sigma: Tensor = rows(torch.float32, low=0, high=1)
    seed: Tensor = rows(torch.int64, low=0, high=SEEDS - 1)

    @property
    def active(self) -> Tensor:
        """Which images change (B,), bool."""
        return self.sigma > 0

    def scaled(self, factor: Tensor) -> SensorNoiseParams:
        """Less noise."""
        return SensorNoiseParams(self.sigma * factor, self.seed)

    def describe(self, row: int) -> dict[str, str | float]:
        """The standard deviation, of the range of values."""
        return {"sigma": round(float(self.sigma[row]), 4)}


class SensorNoise(Stage):
    """Add white Gaussian noise, independent for each colour, like a sensor at high gain.

    Without it, a detector relies on single pixels.

    Args:
        sigma: range (lo, hi) of the standard deviation as a share of the range of values, as in
            torchvision's ``GaussianNoise``, or a number. Half of the draws lie in the lowest eighth
            of the range. More noise than the default helps under noise and loses accuracy under
            other lighting.
        p: probability that an image is changed.

    Shape:
        As for :class:`~styleaug.StyleAugment`.

    Examples:
        >>> SensorNoise(sigma=0.05)(torch.rand(3, 32, 48)).shape
        torch.Size([3, 32, 48])
    """

    params_type = SensorNoiseParams
    amount = "sigma"

    def __init__(self, *, sigma: Range = (0.0, 0.09), p: float = 1.0) -> None:
        super().__init__(p)
        self.sigma = check_range("sigma", sigma, 0, 1)

    def draw(self, count: int, generator: torch.Generator | None = None) -> SensorNoiseParams:
        """Draw the noise of each image."""
        low, high = self.sigma
        sigma = low + (high - low) * uniform(count, generator) ** _POWER
        return SensorNoiseParams(sigma, integers(SEEDS, count, generator))

    def apply(self, images: Tensor, params: SensorNoiseParams) -> Tensor:
        """Add noise to images (B, C, H, W), float; clamped to [0, 1]."""
        seeds = params.seed.to(images.device, non_blocking=True)
        sigma = params.sigma.to(images.device, non_blocking=True)[:, None]
        flat = images.flatten(1)
        out = torch.empty_like(flat)
        for several, part in noise_parts(seeds, flat.shape[1]):
            noise = noise_values(seeds[several], part)
            torch.addcmul(
                flat[several, part], noise, sigma[several], out=out[several, part]
            ).clamp_(0, 1)
        return out.view(images.shape)
