"""The objective of Gatys et al., its gradient, tile by tile where an image is large."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.gatys.config import GatysConfig
from styleaug.gatys.tiles import Tile, count_positions, make_tiles, stride_of
from styleaug.nn.features import VGGFeatures, cached_features

GATYS_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
"""Layers whose Gram matrices the paper compares; each has the same weight."""

_PIXELS = 256 * 256
"""Of the images that a CPU looks at together."""
# The bundled trunk was trained on inputs in [0, 255], so that its activations are larger by the
# spread of ImageNet's pixels than those of torchvision's weights.
_UNIT = {"vgg16": 255 * 0.226, "vgg19": 1.0}


class Objective:
    """The objective at one scale, and its gradient.

    Args:
        trunk: gives the features.
        content: (B, 3, H, W).
        grams: of the styles, (B, C, C) for each style layer.
        mask: (B, 1, H, W), or None.
        config: the weights.
    """

    def __init__(
        self,
        trunk: VGGFeatures,
        content: Tensor,
        grams: Sequence[Tensor],
        mask: Tensor | None,
        config: GatysConfig,
    ) -> None:
        self.trunk, self.config, self.grams = trunk, config, grams
        height, width = content.shape[-2:]
        self.tiles = make_tiles(height, width, config.tile)
        self.masks = {
            layer: None if mask is None else F.avg_pool2d(mask, stride_of(layer))
            for layer in GATYS_LAYERS
        }
        with torch.no_grad():
            self.wanted = [self._features(content, t, config.content_layers) for t in self.tiles]
        self.content_sizes = {
            layer: self.wanted[0][layer].shape[1] * count_positions((height, width), layer)
            for layer in config.content_layers
        }

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted parts style, content, smooth, (B, 3); and their sum's gradient (B, 3, H, W)."""
        x = images.detach().requires_grad_()
        if len(self.tiles) == 1:
            parts = self._parts(x)
            return parts.detach(), self._gradient(parts.sum(1), x)
        with torch.no_grad():  # two passes: the Gram matrices of all tiles first
            sums, content = self._look_all(x)
        sums = [gram.requires_grad_() for gram in sums]
        style = self._style(sums)
        slopes = torch.autograd.grad(style.sum(), sums)
        smooth = self._smooth(x)
        (gradient,) = torch.autograd.grad(smooth.sum(), x)
        for k in range(len(self.tiles)):
            part = x.detach().requires_grad_()
            found, differs = self._look(part, k)
            pull = [(g * s).sum((1, 2)) for g, s in zip(found, slopes, strict=True)]
            gradient = gradient + self._gradient(torch.stack(pull).sum(0) + differs, part)
        return torch.stack([style.detach(), content, smooth.detach()], 1), gradient

    def parts(self, images: Tensor) -> Tensor:
        """The weighted parts alone (B, 3)."""
        with torch.no_grad():
            return self._parts(images)

    def _parts(self, x: Tensor) -> Tensor:
        sums, content = self._look_all(x)
        return torch.stack([self._style(sums), content, self._smooth(x)], 1)

    def _gradient(self, values: Tensor, x: Tensor) -> Tensor:
        """Gradient of the sum of ``values`` (B,), without underflow in float16."""
        if next(self.trunk.parameters()).dtype != torch.float16:
            return torch.autograd.grad(values.sum(), x)[0]
        scale = (x[0].numel() / (values.detach().abs() + 1e-12)).clamp_max(1e12)
        (gradient,) = torch.autograd.grad((values * scale).sum(), x)
        return gradient / scale.view(-1, 1, 1, 1)

    def _features(self, x: Tensor, tile: Tile, layers: Sequence[str]) -> dict[str, Tensor]:
        part = tile.cut(x).contiguous(memory_format=torch.channels_last)
        found = self.trunk(part, layers)
        return {
            layer: tile.core_of_cut(found[layer], stride_of(layer)).float()
            / _UNIT[self.config.features]
            for layer in layers
        }

    def _look_all(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """The Gram matrices, and the content part (B,)."""
        looks = [self._look(x, k) for k in range(len(self.tiles))]
        grams, content = zip(*looks, strict=True)
        sums = [torch.stack(layer).sum(0) for layer in zip(*grams, strict=True)]
        return sums, torch.stack(content).sum(0)

    def _look(self, x: Tensor, index: int) -> tuple[list[Tensor], Tensor]:
        """A tile's share of the Gram matrices and of the content part (B,)."""
        tile = self.tiles[index]
        layers = (*GATYS_LAYERS, *self.config.content_layers)
        found = self._features(x, tile, layers)
        grams = []
        for layer in GATYS_LAYERS:
            mask = self.masks[layer]
            weight = None if mask is None else tile.core_of_whole(mask, stride_of(layer))
            grams.append(_products(found[layer], weight) / self._area(x, layer))
        content = torch.stack(
            [
                (found[layer] - self.wanted[index][layer]).square().sum((1, 2, 3))
                / self.content_sizes[layer]
                for layer in self.config.content_layers
            ]
        ).sum(0)
        return grams, content

    def _area(self, x: Tensor, layer: str) -> Tensor | int:
        """Positions of a layer that count."""
        mask = self.masks[layer]
        if mask is None:
            return count_positions(x.shape[-2:], layer)
        return mask.sum((2, 3)).clamp_min(1)[..., None]

    def _style(self, grams: Sequence[Tensor]) -> Tensor:
        errors = [
            (found - wanted).square().mean((1, 2))
            for found, wanted in zip(grams, self.grams, strict=True)
        ]
        return self.config.style_weight * torch.stack(errors).sum(0)

    def _smooth(self, x: Tensor) -> Tensor:
        down = (x[..., 1:, :] - x[..., :-1, :]).square().mean((1, 2, 3))
        along = (x[..., 1:] - x[..., :-1]).square().mean((1, 2, 3))
        return self.config.tv * (down + along)


class ChunkedObjective:
    """:class:`Objective` of a batch, a few images at a time where a CPU computes.

    What a few images leave in memory is still in the caches when it is needed again, and its pages
    are reused; a whole batch costs more for each image than one alone. A GPU takes all at once.
    """

    def __init__(
        self,
        trunk: VGGFeatures,
        content: Tensor,
        grams: Sequence[Tensor],
        mask: Tensor | None,
        config: GatysConfig,
    ) -> None:
        rows = len(content)
        if content.device.type == "cpu":
            rows = min(rows, max(1, _PIXELS // prod(content.shape[-2:])))
        self.slices = [slice(start, start + rows) for start in range(0, len(content), rows)]
        self.pieces = [
            Objective(
                trunk, content[s], [g[s] for g in grams], None if mask is None else mask[s], config
            )
            for s in self.slices
        ]

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Objective.__call__`."""
        found = [piece(images[s]) for piece, s in zip(self.pieces, self.slices, strict=True)]
        parts, gradients = zip(*found, strict=True)
        return torch.cat(parts), torch.cat(gradients)

    def parts(self, images: Tensor) -> Tensor:
        """See :meth:`Objective.parts`."""
        pairs = zip(self.pieces, self.slices, strict=True)
        return torch.cat([piece.parts(images[s]) for piece, s in pairs])


def _products(features: Tensor, weight: Tensor | None = None) -> Tensor:
    """``F F^T / C`` of features (B, C, H, W), summed over positions: -> (B, C, C)."""
    flat = features.flatten(2)
    other = flat if weight is None else flat * weight.flatten(2)
    return flat @ other.transpose(1, 2) / features.shape[1]


def style_grams(
    pictures: Sequence[Tensor], shares: Tensor, short: int, features: str, side: int
) -> list[Tensor]:
    """Mixed Gram matrices of pictures, in float32: (B, C, C) for each style layer.

    Args:
        pictures: K times (1, 3, h, w).
        shares: of each picture for each image (B, K).
        short: short side, in pixels, that they are looked at.
        features: name of the trunk.
        side: of the tiles that larger pictures are looked at by.
    """
    trunk = cached_features(features, shares.device, torch.float32)
    each = []
    for picture in pictures:
        scale = short / min(picture.shape[-2:])
        size = [max(short, round(length * scale)) for length in picture.shape[-2:]]
        view = resize(picture, size)
        sums: list[Tensor | int] = [0] * len(GATYS_LAYERS)
        for tile in make_tiles(size[0], size[1], side):
            with torch.no_grad():
                found = trunk(tile.cut(view), GATYS_LAYERS)
            for k, layer in enumerate(GATYS_LAYERS):
                values = tile.core_of_cut(found[layer], stride_of(layer)).float() / _UNIT[features]
                sums[k] = sums[k] + _products(values)[0]
        each.append(
            [
                total / count_positions(size, layer)
                for total, layer in zip(sums, GATYS_LAYERS, strict=True)
            ]
        )
    return [
        torch.einsum("bk,kij->bij", shares, torch.stack(layer)) for layer in zip(*each, strict=True)
    ]


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Images (B, C, H, W) of another size, without aliasing."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", antialias=True, align_corners=False)
