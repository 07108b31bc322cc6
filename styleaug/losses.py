"""Losses that train a style network: content, style, total variation, defect contrast."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.color import luma


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


def saturate(distance: Tensor, limit: float = 4.0) -> Tensor:
    """``q / (1 + q / limit)``: a style out of reach stops pulling at the others' expense."""
    return distance / (1 + distance / limit)


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


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference of neighbours (anisotropic), in the unit of the images."""
    vertical = (images[..., 1:, :] - images[..., :-1, :]).abs().mean()
    horizontal = (images[..., :, 1:] - images[..., :, :-1]).abs().mean()
    return vertical + horizontal


def tonal_distance(output: Tensor, content: Tensor, cell: int = 8) -> Tensor:
    """How far the coarse light and dark of images depart from those of ``content``: in [0, 2].

    One minus the correlation of their luma, averaged over cells of ``cell`` pixels. The content
    distance looks at edges and does not mind if areas trade places between light and dark; a
    detector does. Nearly flat images, whose coarse variance is below 0.03^2, count for less.
    """
    small, reference = (F.avg_pool2d(luma(x), cell).flatten(1) for x in (output, content))
    small = small - small.mean(1, keepdim=True)
    reference = reference - reference.mean(1, keepdim=True)
    variance, wanted = small.square().mean(1), reference.square().mean(1)
    # 1e-4: (2.5 of 255 levels)^2, below which a correlation is noise
    correlation = (small * reference).mean(1) / ((variance + 1e-4) * (wanted + 1e-4)).sqrt()
    weight = wanted / (wanted + 0.03**2)
    return (weight * (1 - correlation)).mean()


def defect_contrast(images: Tensor, mask: Tensor, ring: Tensor) -> Tensor:
    """How far a defect stands out of its surroundings, in their standard deviations: -> (B,).

    ``(mean(luma in mask) - mean(luma in ring)) / sqrt(var(luma in ring) + 0.02^2)``, the signed d'
    of signal detection; 0.02 (five 8-bit levels) stands for the sensor's noise, so that a perfectly
    flat ring does not make it infinite.

    Args:
        images: (B, 3, H, W).
        mask: 1 inside the defect, 0 outside, (B, 1, H, W).
        ring: the same for its surroundings.
    """
    gray = luma(images)

    def mean(values: Tensor, weight: Tensor) -> Tensor:
        total = weight.sum((1, 2, 3), keepdim=True).clamp_min(1e-6)
        return (values * weight).sum((1, 2, 3), keepdim=True) / total

    inside, outside = mean(gray, mask), mean(gray, ring)
    variance = mean((gray - outside).square(), ring)
    return ((inside - outside) / (variance + 0.02**2).sqrt()).flatten()


def anomaly_loss(output: Tensor, content: Tensor, mask: Tensor, ring: Tensor) -> Tensor:
    """Share of the defects' contrast that a restyling loses, averaged over the batch.

    What a detector sees is a defect's contrast relative to the texture around it, so that is what
    must not fall; a dark defect that turns bright counts as lost, too. Beyond 3 standard deviations
    nothing is to be gained. Images whose defect did not stand out before (below 0.3) do not count.

    Args:
        output: restyled images (B, 3, H, W).
        content: the same images before.
        mask: (B, 1, H, W), as in :func:`defect_contrast`.
        ring: the same.
    """
    signed = defect_contrast(content, mask, ring)
    before = signed.abs().clamp_max(3)
    after = defect_contrast(output, mask, ring) * signed.sign()
    visible = (before > 0.3).float()
    lost = (1 - after / before.clamp_min(0.3)).clamp(0, 2)
    return (lost * visible).sum() / visible.sum().clamp_min(1)
