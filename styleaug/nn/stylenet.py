"""The multi-style networks: ``StyleNet`` (ours) and ``ReferenceNet`` (the yardstick)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn, unflatten
from torch.nn import functional as F

from styleaug.nn.blocks import ResidualBlock, reflect_conv, subpixel_conv
from styleaug.nn.norm import (
    VARIANCE_FLOOR,
    ColourMatch,
    ConditionalInstanceNorm2d,
    ConditionalMix,
    adain,
)

_BOUNDS = {
    "stem": (1, 4096),
    "width": (4, 4096),
    "blocks": (0, 256),
    "embedding": (1, 4096),
    "style_residuals": (0, 65536),
}
"""A config may come from a damaged file: beyond these, building the network takes for ever."""


@dataclass(frozen=True)
class StyleNetConfig:
    """Shape of a style network.

    Attributes:
        arch: ``"stylenet"``, or ``"reference"`` for the transformer of Ghiasi et al. 2017, which
            ignores ``stem``.
        stem: channels at half resolution.
        width: channels at quarter resolution, where most of the work is done.
        blocks: residual blocks at quarter resolution.
        embedding: size of the style embedding.
        floor: variance floor of every instance norm.
        style_residuals: styles that have a residual, see :class:`~styleaug.nn.norm.StyleLinear`;
            training makes none, a fit one each.
    """

    arch: str = "stylenet"
    stem: int = 16
    width: int = 64
    blocks: int = 2
    embedding: int = 64
    floor: float = VARIANCE_FLOOR
    style_residuals: int = 0

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ValueError: naming the first that is out of bounds.
        """
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be at least {least}, but got {value!r}.")
            if value > most:
                raise ValueError(f"{name} must be at most {most}, but got {value!r}.")
        if not 0 < self.floor <= 1:
            raise ValueError(f"floor must lie in (0, 1], but got {self.floor!r}.")

    @property
    def code_size(self) -> int:
        """Length of a style code.

        Embedding, statistics of the bottleneck and of the colours, shares of the styles that have a
        residual.
        """
        statistics = 2 * self.width + 6 if self.arch == "stylenet" else 0
        return self.embedding + statistics + self.style_residuals

    def build(self) -> StyleNet | ReferenceNet:
        """A network with random weights.

        Raises:
            ValueError: if ``arch`` is unknown.
        """
        if self.arch not in _ARCHITECTURES:
            raise ValueError(
                f"arch must be one of {sorted(_ARCHITECTURES)}, but got {self.arch!r}."
            )
        network: StyleNet | ReferenceNet = _ARCHITECTURES[self.arch](self)
        return network


REFERENCE = StyleNetConfig(arch="reference", width=128, blocks=5, embedding=100)
"""The size that earlier packages run: 9 x 9 stem, 32/64/128 channels, five residual blocks, 10 GMAC
at 256 x 256."""


def without_lattice(images: Tensor) -> Tensor:
    """Take out what repeats every 4 pixels over the whole image: (B, C, H, W), H and W multiples.

    Two sub-pixel convolutions give each of the 4 x 4 places of a cell its own offset: a lattice
    that the norms after them would blow up wherever an image holds nothing else.
    """
    cells = F.pixel_unshuffle(images, 4)
    offset = unflatten(cells.mean((2, 3)), 1, (-1, 16))
    offset = offset - offset.mean(2, keepdim=True)
    return F.pixel_shuffle(cells - offset.flatten(1)[:, :, None, None], 4)


class StyleNet(nn.Module):
    """Two strided convolutions, AdaIN, residual blocks with CIN, sub-pixel upsampling, a skip.

    Between the blocks and before the last convolution, channels are mixed by matrices that are
    set by the style, and so is noise mixed in, at quarter and at half resolution: a smooth
    surface offers nothing that a convolution could turn into a cast or ground one. Last of all the
    output's colours are matched to the style's.

    The encoding half carries no norm: it sees every image alike, so that a style image's own
    statistics at the bottleneck (:meth:`statistics`) can be given to a content image by
    :func:`~styleaug.nn.norm.adain`. The skip carries fine edges past the bottleneck, so that thin
    defects stay in place.

    Shape:
        images (B, 3, H, W), float in [0, 1], H, W >= 16; code (B, code_size); noise (B, 1, H, W)
        of unit variance, see :func:`~styleaug.nn.noise.white_noise`, or None for none -> (B, 3, H,
        W) in [0, 1].
    """

    def __init__(self, config: StyleNetConfig) -> None:
        super().__init__()
        self.config = config
        stem, width = config.stem, config.width
        layer: dict[str, Any] = {
            "embedding": config.embedding,
            "style_residuals": config.style_residuals,
        }
        self.stem = reflect_conv(3, stem, 5, stride=2)
        self.down = reflect_conv(stem, width, 3, stride=2)
        self.blocks = nn.ModuleList(
            # every second block looks twice as far, at no cost: larger patterns with fewer blocks
            ResidualBlock(width, **layer, floor=config.floor, dilation=1 + i % 2)
            for i in range(config.blocks)
        )
        self.mixes = nn.ModuleList(ConditionalMix(width, **layer) for _ in range(config.blocks))
        self.coarse_grain = ConditionalMix(width, **layer, inputs=16)
        self.up = subpixel_conv(width, stem)
        self.up_norm = ConditionalInstanceNorm2d(2 * stem, **layer, floor=config.floor)
        self.fine_grain = ConditionalMix(2 * stem, **layer, inputs=4)
        self.up_mix = ConditionalMix(2 * stem, **layer)
        self.out = subpixel_conv(2 * stem, 3)
        self.out_norm = ConditionalInstanceNorm2d(3, **layer, floor=config.floor)
        self.colours = ColourMatch()

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) -> features at half (stem) and quarter resolution (width)."""
        skip = F.relu(self.stem(images * 2 - 1))
        return skip, self.down(skip)

    def statistics(self, images: Tensor) -> Tensor:
        """What a picture gives as a style: (B, 2 * width + 6).

        Mean, then standard deviation, of each bottleneck channel; then of its opponent colours.
        """
        _, features = self.encode(pad_to_cells(images))
        variance, mean = torch.var_mean(features.float(), dim=(2, 3), correction=0)
        std = (variance + self.config.floor).sqrt()
        return torch.cat([mean, std, *self.colours.statistics(images)], dim=1)

    def forward(self, images: Tensor, code: Tensor, noise: Tensor | None = None) -> Tensor:
        """Restyle each image by its code."""
        height, width = images.shape[-2:]
        config = self.config
        sizes = [config.embedding, config.width, config.width, 3, 3, config.style_residuals]
        embedding, mean, std, *colours, shares = torch.split(code, sizes, dim=1)
        style = torch.cat([embedding, shares], dim=1)
        skip, features = self.encode(pad_to_cells(images))
        h = F.relu(adain(features, mean, std, config.floor))
        if noise is not None:
            noise = pad_to_cells(noise.to(h.dtype))
            h = self.coarse_grain(h, style, F.pixel_unshuffle(noise, 4))
        for mix, block in zip(self.mixes, self.blocks, strict=True):
            h = block(mix(h, style), style)
        h = F.pixel_shuffle(self.up(h), 2)
        h = self.up_norm(torch.cat([h, skip], dim=1), style)
        if noise is not None:
            h = self.fine_grain(h, style, F.pixel_unshuffle(noise, 2))
        h = F.pixel_shuffle(self.out(self.up_mix(F.relu(h), style)), 2)
        h = torch.sigmoid(self.out_norm(without_lattice(h), style))[..., :height, :width]
        matched: Tensor = self.colours(h, *colours)
        return matched


class ReferenceNet(nn.Module):
    """The transformer of Ghiasi et al. 2017, as earlier packages run it, to compare speed with.

    Every convolution reflects its padding and is followed by CIN, nearest upsampling as published.

    Shape:
        images (B, 3, H, W), float in [0, 1]; code (B, code_size); noise is not used ->
        (B, 3, H, W), float32 in [0, 1].
    """

    def __init__(self, config: StyleNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        layer: dict[str, Any] = {
            "embedding": config.embedding,
            "style_residuals": config.style_residuals,
            "floor": config.floor,
        }
        channels = [3, width // 4, width // 2, width, width // 2, width // 4, 3]
        kernels, strides = [9, 3, 3, 3, 3, 9], [1, 2, 2, 1, 1, 1]
        self.convs = nn.ModuleList(
            reflect_conv(a, b, k, stride=s)
            for a, b, k, s in zip(channels, channels[1:], kernels, strides, strict=False)
        )
        self.norms = nn.ModuleList(ConditionalInstanceNorm2d(c, **layer) for c in channels[1:])
        self.blocks = nn.ModuleList(ResidualBlock(width, **layer) for _ in range(config.blocks))

    def statistics(self, images: Tensor) -> Tensor:
        """No AdaIN here: an empty (B, 0) tensor."""
        return images.new_zeros((images.shape[0], 0), dtype=torch.float32)

    def forward(self, images: Tensor, code: Tensor, noise: Tensor | None = None) -> Tensor:
        """Restyle each image by its code."""
        height, width = images.shape[-2:]
        code = code.to(next(self.parameters()).dtype)
        h = pad_to_cells(images.to(code.dtype, memory_format=torch.channels_last))
        for i in range(3):
            h = F.relu(self.norms[i](self.convs[i](h), code))
        for block in self.blocks:
            h = block(h, code)
        for i in (3, 4):
            h = F.interpolate(h, scale_factor=2.0, mode="nearest")
            h = F.relu(self.norms[i](self.convs[i](h), code))
        return torch.sigmoid(self.norms[5](self.convs[5](h), code))[..., :height, :width].float()


_ARCHITECTURES: dict[str, Any] = {"stylenet": StyleNet, "reference": ReferenceNet}


def pad_to_cells(images: Tensor) -> Tensor:
    """Reflect at right and bottom to a multiple of 4."""
    height, width = images.shape[-2:]
    if height % 4 == 0 and width % 4 == 0:
        return images
    return F.pad(images, (0, -width % 4, 0, -height % 4), mode="reflect")
