"""``Defocus``: a lens out of focus, or a part that moves."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.images.checks import check_range
from styleaug.stages.base import Stage
from styleaug.stages.params import Params, Range, integers, rows, uniform

LARGEST_SIGMA = 100
"""In pixels: more blurs to nothing, and takes minutes."""

_POWER = 2
"""Of a uniform draw: most images get little of what hides small defects, and few get much of it."""


@dataclass(frozen=True, eq=False)
class DefocusParams(Params):
    """Blur of each image.

    Attributes:
        sigma: standard deviation along the columns and along the rows, in pixels (B, 2).
    """

    sigma: Tensor = rows(torch.float32, 2, low=0, high=LARGEST_SIGMA)

    @property
    def active(self) -> Tensor:
        """Which images change (B,), bool."""
        return (self.sigma > 0).any(1)

    def scaled(self, factor: Tensor) -> DefocusParams:
        """Narrower blurs."""
        return DefocusParams(self.sigma * factor[:, None])

    def describe(self, row: int) -> dict[str, str | float]:
        """The wider of both standard deviations, in pixels."""
        return {"sigma": round(float(self.sigma[row].max()), 2)}


class Defocus(Stage):
    """Blur images as a lens out of focus does, or a part that moves.

    A Gaussian: as wide along one axis as drawn, and as wide or less along the other. Pixels, not
    shares of the image: a hairline is a few pixels wide in small images and in large ones.

    Args:
        sigma: range (lo, hi) of the standard deviation in pixels, or a number. Half of the draws
            lie in the lowest quarter of the range.
        p: probability that an image is changed.

    Shape:
        As of :class:`~styleaug.StyleAugment`.

    Examples:
        >>> Defocus(sigma=1.5)(torch.rand(3, 32, 48)).shape
        torch.Size([3, 32, 48])
    """

    params_type = DefocusParams
    amount = "sigma"

    def __init__(self, *, sigma: Range = (0.0, 4.0), p: float = 1.0) -> None:
        super().__init__(p)
        self.sigma = check_range("sigma", sigma, 0, LARGEST_SIGMA)

    def draw(self, count: int, generator: torch.Generator | None = None) -> DefocusParams:
        """Draw the blur of each image."""
        low, high = self.sigma
        wide = low + (high - low) * uniform(count, generator) ** _POWER
        ratio, axis = uniform(count, generator), integers(2, count, generator)
        ratios = torch.where(torch.stack([axis == 0, axis == 1], 1), 1.0, ratio[:, None])
        return DefocusParams(wide[:, None] * ratios)

    def apply(self, images: Tensor, params: DefocusParams) -> Tensor:
        """Blur images (B, C, H, W), float."""
        count, channels, height, width = images.shape
        # below a tenth of a pixel the kernel is a single tap, and its width would divide by zero
        sigma = params.sigma[..., None].clamp_min(0.1)
        # known on the CPU, so that the kernels are as wide as the batch needs
        radius = ceil(3 * float(sigma.max()))
        steps = torch.arange(-radius, radius + 1, device="cpu", dtype=torch.float32)
        kernels = torch.exp(-0.5 * (steps / sigma) ** 2)
        # none reaches farther than its own three deviations, whatever else is in the batch
        kernels = torch.where(steps.abs() <= (3 * sigma).ceil(), kernels, 0.0)
        kernels = (kernels / kernels.sum(-1, keepdim=True)).repeat_interleave(channels, 0)[:, None]
        kernels = kernels.to(images.device, images.dtype, non_blocking=True)
        planes = F.pad(images, [radius] * 4, mode="replicate").flatten(0, 1)[None]
        planes = F.conv2d(planes, kernels[:, :, 0, :, None], groups=count * channels)
        planes = F.conv2d(planes, kernels[:, :, 1, None], groups=count * channels)
        return planes.reshape(count, channels, height, width)
