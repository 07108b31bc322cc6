"""Distances of images in a network's features: style by Gram matrices, content by features."""

from __future__ import annotations

import torch
from torch import Tensor


def gram(features: Tensor) -> Tensor:
    """Gram matrices of features (B, C, H, W), divided by H * W: -> (B, C, C), float32."""
    flat = features.float().flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def style_distance(output: Tensor, target: Tensor, typical: Tensor) -> Tensor:
    """Squared relative distance of Gram matrices per image: (B, C, C), (B, C, C) -> (B,).

    ``|G - T|^2 / (|T|^2 + 0.02 m^2)`` in Frobenius norms, m the median norm over styles. The second
    term keeps nearly black styles, whose Gram matrix is almost zero, from exploding the ratio.
    """
    difference = (output - target).square().sum((1, 2))
    return difference / (target.square().sum((1, 2)) + 0.02 * typical.square())


def content_distance(output: Tensor, content: Tensor) -> Tensor:
    """Mean squared difference of instance-normalized features (B, C, H, W).

    Normalized, the content term asks for the same structure under any contrast and colour. The
    floor is 0.3 of the layer's mean variance in that image: smaller floors amplify sensor noise of
    flat surfaces and train unstably.
    """

    def normalize(features: Tensor, floor: Tensor | None = None) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(features.float(), dim=(2, 3), keepdim=True, correction=0)
        floor = 0.3 * variance.mean(1, keepdim=True) + 1e-4 if floor is None else floor
        return (features.float() - mean) * torch.rsqrt(variance + floor), floor

    reference, _ = normalize(content)
    return (normalize(output)[0] - reference).square().mean()
