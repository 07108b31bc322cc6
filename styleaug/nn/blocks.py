"""Reflect-padded convolution, residual block and upsampling of the style networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from styleaug.nn.norm import VARIANCE_FLOOR, ConditionalInstanceNorm2d


def reflect_conv(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """A convolution that keeps the size (divided by ``stride``) and reflects at the border."""
    return nn.Conv2d(
        inputs,
        outputs,
        kernel,
        stride=stride,
        padding=dilation * (kernel // 2),
        dilation=dilation,
        padding_mode="reflect",
    )


class ResidualBlock(nn.Module):
    """``x + CIN(conv(relu(CIN(conv(x)))))``, no activation after the sum (Johnson et al. 2016).

    Args:
        channels: C of the features.
        embedding: E of the style embedding.
        style_residuals: see :class:`~styleaug.nn.norm.StyleLinear`.
        floor: variance floor of the norms.
        dilation: of the 3 x 3 convolutions.
    """

    def __init__(
        self,
        channels: int,
        embedding: int,
        *,
        style_residuals: int = 0,
        floor: float = VARIANCE_FLOOR,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        norm: Any = {"style_residuals": style_residuals, "floor": floor}
        self.conv1 = reflect_conv(channels, channels, 3, dilation=dilation)
        self.norm1 = ConditionalInstanceNorm2d(channels, embedding, **norm)
        self.conv2 = reflect_conv(channels, channels, 3, dilation=dilation)
        self.norm2 = ConditionalInstanceNorm2d(channels, embedding, **norm)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Features (B, C, H, W) and styles (B, E + S) -> (B, C, H, W)."""
        h = F.relu(self.norm1(self.conv1(x), style))
        change: Tensor = self.norm2(self.conv2(h), style)
        return x + change


def subpixel_conv(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3 x 3 convolution to be followed by ``pixel_shuffle(2)``.

    It starts as nearest upsampling (ICNR, Aitken et al. 2017): no checkerboard has to be unlearned.
    """
    conv = reflect_conv(inputs, 4 * outputs, 3)
    with torch.no_grad():
        conv.weight.copy_(conv.weight[::4].repeat_interleave(4, dim=0))
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
