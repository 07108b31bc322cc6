"""Distances of images in VGG's features: style by Gram matrices, content by the features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from styleaug.nn.encoder import ENCODER_LAYERS

STYLE_WEIGHT = 8.0
CONTENT_WEIGHTS = {"conv2_2": 0.5, "conv3_3": 1.0, "conv4_1": 0.5}
"""Weights of the style distance and, by layer, of the content distance, which training and the
fitting of new styles minimise together."""


def gram(features: Tensor) -> Tensor:
    """Gram matrices of features (B, C, H, W), divided by H * W: -> (B, C, C), float32."""
    flat = features.float().flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def grams(found: Mapping[str, Tensor]) -> list[Tensor]:
    """Gram matrices (B, C, C) of the encoder's layers, in their order."""
    return [gram(found[layer]) for layer in ENCODER_LAYERS]


def style_distance(output: Tensor, target: Tensor, typical: Tensor) -> Tensor:
    """Squared relative distance of Gram matrices per image: (B, C, C), (B, C, C) -> (B,).

    ``|G - T|^2 / (|T|^2 + 0.02 m^2)`` in Frobenius norms, m the median norm over styles. The second
    term keeps nearly black styles, whose Gram matrix is almost zero, from exploding the ratio.
    """
    difference = (output - target).square().sum((1, 2))
    return difference / (target.square().sum((1, 2)) + 0.02 * typical.square())


def style_distances(
    found: Mapping[str, Tensor], targets: Sequence[Tensor], typical: Sequence[Tensor] | Tensor
) -> Tensor:
    """:func:`style_distance` at each of the encoder's layers: -> (layers, B).

    Args:
        found: features of the images at these layers.
        targets: Gram matrices of the styles, (B, C, C) for each layer.
        typical: median norm of each layer over styles.
    """
    triples = zip(grams(found), targets, typical, strict=True)
    return torch.stack([style_distance(*triple) for triple in triples])


def content_distance(output: Tensor, content: Tensor) -> Tensor:
    """Mean squared difference of instance-normalized features: (B, C, H, W) -> (B,).

    Normalized, the content term asks for the same structure under any contrast and colour. The
    floor is 0.3 of the layer's mean variance in that image: smaller floors amplify sensor noise of
    flat surfaces and train unstably.
    """

    def normalize(features: Tensor) -> Tensor:
        variance, mean = torch.var_mean(features.float(), dim=(2, 3), keepdim=True, correction=0)
        floor = 0.3 * variance.mean(1, keepdim=True) + 1e-4
        return (features.float() - mean) * torch.rsqrt(variance + floor)

    return (normalize(output) - normalize(content)).square().mean((1, 2, 3))


def content_distances(
    found: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    weights: Mapping[str, float] = CONTENT_WEIGHTS,
) -> Tensor:
    """Weighted sum over layers of :func:`content_distance`: -> (B,).

    Args:
        found: features of the images.
        wanted: features of their contents.
        weights: of the layers.
    """
    parts = [w * content_distance(found[layer], wanted[layer]) for layer, w in weights.items()]
    return torch.stack(parts).sum(0)
