"""Conditional and adaptive instance normalization with a variance floor, mixing, colours."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VARIANCE_FLOOR = 0.1
"""Added to the variance under the root. Industrial surfaces are nearly flat: with the usual 1e-5
the normalization would blow sensor noise up to unit variance, and the network would paint it as
blobs."""


def instance_norm(x: Tensor, floor: float = VARIANCE_FLOOR) -> Tensor:
    """Normalize each channel of each image: ``(x - mean) / sqrt(var + floor)``.

    A group norm with one group a channel computes just this, with float32 sums for half-precision
    input, and its kernels are quicker than those of ``F.instance_norm``.

    Args:
        x: features (B, C, H, W).
        floor: variance floor, in the squared unit of ``x``.
    """
    return F.group_norm(x, x.shape[1], eps=floor)


def adain(content: Tensor, mean: Tensor, std: Tensor, floor: float = VARIANCE_FLOOR) -> Tensor:
    """Adaptive instance normalization: give ``content`` the style's channel statistics.

    ``std * (x - mean(x)) / sqrt(var(x) + floor) + mean`` (Huang and Belongie 2017, eq. 8), with a
    variance floor.

    Args:
        content: features (B, C, H, W).
        mean: style mean (B, C).
        std: style standard deviation (B, C), >= 0.
        floor: variance floor.
    """
    normalized = instance_norm(content, floor)
    return mean[:, :, None, None].addcmul(normalized, std[:, :, None, None])


class StyleLinear(nn.Linear):
    """What a style sets in a layer: linear in its embedding, plus a residual of fitted styles.

    The embedding (Ghiasi et al. 2017) brings any style, known or new, as near as what training has
    seen allows; a residual, picked by a one-hot index (Dumoulin et al. 2017), brings one style
    nearer.

    Args:
        embedding: E of the style embedding.
        outputs: P, how many values a style sets.
        style_residuals: S, styles that have a residual; residuals start at 0.

    Shape:
        style (B, E + S), embedding and share of each of those styles -> (B, P).
    """

    style_residuals: nn.Parameter | None

    def __init__(self, embedding: int, outputs: int, style_residuals: int = 0) -> None:
        super().__init__(embedding, outputs)
        residuals = torch.zeros(outputs, style_residuals)
        self.register_parameter(
            "style_residuals", nn.Parameter(residuals) if style_residuals else None
        )

    def forward(self, style: Tensor) -> Tensor:
        """The values of each style."""
        residuals = self.style_residuals
        if residuals is None:
            return super().forward(style)
        embedding, shares = torch.split(style, [self.in_features, residuals.shape[1]], dim=1)
        # apart, not as more columns of the weight, and contiguous, since some processors round
        # strided products otherwise: other styles must come out bit for bit
        return super().forward(embedding.contiguous()) + F.linear(shares, residuals)


class ConditionalInstanceNorm2d(nn.Module):
    """Instance normalization whose scale and shift a style sets.

    ``y = gamma(s) * (x - mean(x)) / sqrt(var(x) + floor) + beta(s)`` (Dumoulin et al. 2017, eq. 5),
    gamma and beta by :class:`StyleLinear`. ``gamma`` starts at 1 and ``beta`` at 0.

    Args:
        channels: C of the features.
        embedding: E of the style embedding.
        style_residuals: see :class:`StyleLinear`.
        floor: variance floor.

    Shape:
        x (B, C, H, W), style (B, E + S) -> (B, C, H, W).
    """

    def __init__(
        self,
        channels: int,
        embedding: int,
        *,
        style_residuals: int = 0,
        floor: float = VARIANCE_FLOOR,
    ) -> None:
        super().__init__()
        self.floor = floor
        self.affine = StyleLinear(embedding, 2 * channels, style_residuals)
        # an embedding has unit mean square, so gamma and beta start with a spread of 0.3
        nn.init.normal_(self.affine.weight, std=0.3 / embedding**0.5)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Normalize ``x`` under the style of each image."""
        affine: Tensor = self.affine(style)[:, :, None, None]
        gamma, beta = affine.chunk(2, dim=1)
        return (gamma + 1).mul(instance_norm(x, self.floor)).add(beta)


class ConditionalMix(nn.Module):
    """Mix channels by a matrix that a style sets: ``x + M(s) z`` at each pixel.

    Scale and shift set the statistics of each channel alone; a style's Gram matrices also hold how
    channels go together, which takes a matrix (the linear transformations of Li et al. 2019, here
    by :class:`StyleLinear`). ``M`` starts at 0. At 64 channels it costs a ninth of a 3 x 3
    convolution.

    Args:
        channels: C of the features.
        embedding: E of the style embedding.
        inputs: channels of z, if it is not x itself.
        style_residuals: see :class:`StyleLinear`.

    Shape:
        x (B, C, H, W), style (B, E + S), z (B, inputs, H, W) or None for x -> (B, C, H, W).
    """

    def __init__(
        self,
        channels: int,
        embedding: int,
        *,
        inputs: int | None = None,
        style_residuals: int = 0,
    ) -> None:
        super().__init__()
        self.shape = (inputs or channels, channels)
        self.matrix = StyleLinear(embedding, self.shape[0] * channels, style_residuals)
        nn.init.zeros_(self.matrix.weight)
        nn.init.zeros_(self.matrix.bias)

    def forward(self, x: Tensor, style: Tensor, z: Tensor | None = None) -> Tensor:
        """Mix channels into ``x`` under the style of each image."""
        matrix: Tensor = self.matrix(style).unflatten(1, self.shape).to(x.dtype)
        pixels = x.flatten(2).transpose(1, 2)  # of channels_last features, a view
        source = pixels if z is None else z.flatten(2).transpose(1, 2)
        mixed = torch.baddbmm(pixels, source, matrix)
        return mixed.transpose(1, 2).reshape(x.shape)


class ColourMatch(nn.Module):
    """Give images the mean and standard deviation of a style's opponent colours.

    The statistics of Reinhard et al. 2001, whose colour space is another. It is AdaIN on the output
    pixels: whatever the content's colours were, the style's come out, without training.

    Shape:
        images (B, 3, H, W), in [0, 1]; mean and std (B, 3), from :meth:`statistics` -> (B, 3, H,
        W), clamped to [0, 1].
    """

    FLOOR = 0.05**2
    """Variance of an opponent colour below which it counts as flat: a flat image must stay flat."""
    GAIN = 4.0
    """Largest gain: noise on a flat surface must not become a pattern."""

    axes: Tensor

    def __init__(self) -> None:
        super().__init__()
        # lightness, red against blue, green against both: nearly uncorrelated in pictures;
        # integers, so that a cast of the network to half precision leaves them alone
        axes = torch.tensor([[1, 1, 1], [1, 0, -1], [1, -2, 1]], device="cpu")
        self.register_buffer("axes", axes, persistent=False)

    def statistics(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the opponent colours: (B, 3, H, W) -> (B, 3) each."""
        with torch.autocast(images.device.type, enabled=False):
            axes, pixels = self._axes(), images.float().flatten(2)
            mean = pixels.mean(2, keepdim=True)
            products = torch.baddbmm(
                mean @ mean.transpose(1, 2),
                pixels,
                pixels.transpose(1, 2),
                beta=-1,
                alpha=1 / pixels.shape[2],
            )
            variance = (axes @ products * axes).sum(2)
            return (axes @ mean).squeeze(2), variance.clamp_min(0).sqrt()

    def forward(
        self, images: Tensor, mean: Tensor, std: Tensor, *, out: Tensor | None = None
    ) -> Tensor:
        """Match the colours of each image; into ``out``, float32, if it is given."""
        with torch.autocast(images.device.type, enabled=False):
            axes = self._axes()
            image_mean, image_std = self.statistics(images)
            gain = std.float() * torch.rsqrt(image_std.square() + self.FLOOR)
            gain = gain.clamp_max(self.GAIN)
            matrix = axes.T @ (gain[:, :, None] * axes)
            shift = axes.T @ mean.float()[:, :, None] - matrix @ (axes.T @ image_mean[:, :, None])
            pixels = images.float().flatten(2)
            if out is not None:
                torch.bmm(matrix, pixels, out=out.flatten(2)).add_(shift).clamp_(0, 1)
                return out
            matched = torch.baddbmm(shift, matrix, pixels)
            return matched.clamp(0, 1).view(images.shape).to(images.dtype)

    def _axes(self) -> Tensor:
        return F.normalize(self.axes.float(), dim=1)
