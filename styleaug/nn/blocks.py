"""Residual block and upsampling of the style networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from styleaug.nn.norm import VARIANCE_FLOOR, ConditionalInstanceNorm2d


class ResidualBlock(nn.Module):
    """``x + CIN(conv(relu(CIN(conv(x)))))``, no activation after the sum (Johnson et al. 2016).

    Args:
        channels: C of the features.
        embedding: E of the style embedding.
        floor: variance floor of the norms.
        dilation: of the 3 x 3 convolutions.
        padding_mode: of the 3 x 3 convolutions.
    """

    def __init__(
        self,
        channels: int,
        embedding: int,
        *,
        floor: float = VARIANCE_FLOOR,
        dilation: int = 1,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__()

        def conv() -> nn.Conv2d:
            return nn.Conv2d(
                channels,
                channels,
                3,
                padding=dilation,
                dilation=dilation,
                padding_mode=padding_mode,
            )

        self.conv1 = conv()
        self.norm1 = ConditionalInstanceNorm2d(channels, embedding, floor=floor)
        self.conv2 = conv()
        self.norm2 = ConditionalInstanceNorm2d(channels, embedding, floor=floor)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Features (B, C, H, W) and embeddings (B, E) -> (B, C, H, W)."""
        h = F.relu(self.norm1(self.conv1(x), embedding))
        return x + self.norm2(self.conv2(h), embedding)


def subpixel_conv(inputs: int, outputs: int, factor: int = 2) -> nn.Conv2d:
    """A 3 x 3 convolution to be followed by ``pixel_shuffle(factor)``.

    It starts as nearest upsampling (ICNR, Aitken et al. 2017), so that no checkerboard has to be unlearned.
    """
    conv = nn.Conv2d(inputs, outputs * factor**2, 3, padding=1)
    with torch.no_grad():
        conv.weight.copy_(conv.weight[:: factor**2].repeat_interleave(factor**2, dim=0))
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
