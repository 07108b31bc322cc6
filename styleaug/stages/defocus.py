"""``Defocus``: a lens out of focus, or a part that moves."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.images.checks import check_range
from styleaug.nn.resample import bands_of
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
    """Blur images like an unfocused lens or a moving part.

    The blur is Gaussian, with the drawn width along one axis and at most that along the other. Its
    width is in pixels at every image size, since a hairline crack is a few pixels wide in small and
    large images alike.

    Args:
        sigma: range (lo, hi) of the standard deviation in pixels, or a number. Half of the draws
            lie in the lowest quarter of the range.
        p: probability that an image is changed.

    Shape:
        As for :class:`~styleaug.StyleAugment`.

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
        # below a tenth of a pixel the kernel is a single tap, and its width would divide by zero
        sigma = params.sigma[..., None].clamp_min(0.1)
        # known on the CPU, so that the kernels are as wide as the batch needs
        radius = ceil(3 * float(sigma.max()))
        steps = torch.arange(-radius, radius + 1, device="cpu", dtype=torch.float32)
        kernels = torch.exp(-0.5 * (steps / sigma) ** 2)
        # none reaches farther than its own three deviations, whatever else is in the batch
        kernels = torch.where(steps.abs() <= (3 * sigma).ceil(), kernels, 0.0)
        kernels = (kernels / kernels.sum(-1, keepdim=True)).to(images.dtype)
        blur = _blur_by_taps if images.device.type == "cpu" else _blur_by_convolution
        return blur(images, kernels.to(images.device, non_blocking=True), radius)


def _blur_by_convolution(images: Tensor, kernels: Tensor, radius: int) -> Tensor:
    """Blur images (B, C, H, W) by kernels (B, 2, 2 * radius + 1) of columns and rows."""
    count, channels, height, width = images.shape
    kernels = kernels.repeat_interleave(channels, 0)[:, None]
    planes = F.pad(images, [radius] * 4, mode="replicate").flatten(0, 1)[None]
    planes = F.conv2d(planes, kernels[:, :, 0, :, None], groups=count * channels)
    planes = F.conv2d(planes, kernels[:, :, 1, None], groups=count * channels)
    return planes.reshape(count, channels, height, width)


def _blur_by_taps(images: Tensor, kernels: Tensor, radius: int) -> Tensor:
    """The same, tap by tap over a band of rows that stays in the cache.

    A CPU's convolution of single channels takes five times as long.
    """
    height, width = images.shape[-2:]
    out = torch.empty_like(images, memory_format=torch.contiguous_format)
    for image, (vertical, horizontal), blurred in zip(images, kernels.tolist(), out, strict=True):
        for band in bands_of(image[None]):
            top, bottom = band.start, band.stop
            first, last = max(0, top - radius), min(height, bottom + radius)
            around = (radius, radius, radius - top + first, radius - last + bottom)
            wide = F.pad(image[:, first:last], around, mode="replicate")
            lines = _sum_of_taps(wide, 1, bottom - top, vertical)
            blurred[:, band] = _sum_of_taps(lines, 2, width, horizontal)
    return out


def _sum_of_taps(x: Tensor, dim: int, length: int, taps: list[float]) -> Tensor:
    """Correlate with taps along a dimension, of which ``length`` places come out."""
    total: Tensor | None = None
    for place, weight in enumerate(taps):
        if weight:
            part = x.narrow(dim, place, length)
            total = part * weight if total is None else total.add_(part, alpha=weight)
    assert total is not None  # the middle one is never 0
    return total
