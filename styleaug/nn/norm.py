"""Conditional and adaptive instance normalization with a variance floor; conditional mixing."""

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


class ConditionalInstanceNorm2d(nn.Module):
    """Instance normalization whose scale and shift are linear in a style embedding.

    ``y = gamma(e) * (x - mean(x)) / sqrt(var(x) + floor) + beta(e)`` (Dumoulin et al. 2017, eq. 5;
    the embedding in place of their one-hot style index is that of Ghiasi et al. 2017). ``gamma``
    starts at 1 and ``beta`` at 0.

    Args:
        channels: C of the features.
        embedding: E of the style embedding.
        floor: variance floor.

    Shape:
        x (B, C, H, W), embedding (B, E) -> (B, C, H, W).
    """

    def __init__(self, channels: int, embedding: int, *, floor: float = VARIANCE_FLOOR) -> None:
        super().__init__()
        self.floor = floor
        self.affine = nn.Linear(embedding, 2 * channels)
        # an embedding has unit mean square, so gamma and beta start with a spread of 0.3
        nn.init.normal_(self.affine.weight, std=0.3 / embedding**0.5)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Normalize ``x`` under the style of each image."""
        affine: Tensor = self.affine(embedding)[:, :, None, None]
        gamma, beta = affine.chunk(2, dim=1)
        return (gamma + 1).mul(instance_norm(x, self.floor)).add(beta)


class ConditionalMix(nn.Module):
    """Mix channels by a matrix that is linear in a style embedding: ``x + M(e) x`` at each pixel.

    Scale and shift set the statistics of each channel alone; a style's Gram matrices also hold how
    channels go together, which takes a matrix (the linear transformations of Li et al. 2019, here
    predicted from the embedding). ``M`` starts at 0. At 64 channels it costs a ninth of a 3 x 3
    convolution.

    Args:
        channels: C of the features.
        embedding: E of the style embedding.

    Shape:
        x (B, C, H, W), embedding (B, E) -> (B, C, H, W).
    """

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.channels = channels
        self.matrix = nn.Linear(embedding, channels**2)
        nn.init.zeros_(self.matrix.weight)
        nn.init.zeros_(self.matrix.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Mix the channels of ``x`` under the style of each image."""
        matrix: Tensor = self.matrix(embedding).view(-1, self.channels, self.channels)
        pixels = x.flatten(2).transpose(1, 2)  # of channels_last features, a view
        mixed = torch.baddbmm(pixels, pixels, matrix.to(x.dtype))
        return mixed.transpose(1, 2).reshape(x.shape)
