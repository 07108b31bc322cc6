"""What training minimizes: style, content, tone, lost defects, hallucinated texture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.images.color import luma
from styleaug.nn.encoder import ENCODER_LAYERS
from styleaug.nn.features import VGGFeatures
from styleaug.nn.perceptual import CONTENT_WEIGHTS, content_distances, style_distances
from styleaug.train.config import TrainConfig


class Objective:
    """The weighted parts of the training loss.

    Args:
        config: the weights.
        trunk: the features that style and content are measured by.
        typical: median norm of each style layer's Gram matrices over the styles (4,).
    """

    def __init__(self, config: TrainConfig, trunk: VGGFeatures, typical: Tensor) -> None:
        self.config, self.trunk, self.typical = config, trunk, typical

    def __call__(
        self, output: Tensor, damaged_output: Tensor, batch: dict[str, Any]
    ) -> dict[str, Tensor]:
        """The parts; those of style and content only if the style has a weight.

        Args:
            output: restyled content (B, 3, H, W).
            damaged_output: restyled damaged surfaces, under the same styles.
            batch: ``content`` and ``damaged``, as they went into the network; ``mask`` and ``ring``
                of the defects; ``grams`` of the styles.
        """
        c, content, mask = self.config, batch["content"], batch["mask"]
        surfaces = batch["surfaces"]
        parts = {
            "tone": c.tonal_weight * tonal_distance(output, content),
            "defects": c.defect_weight
            * defect_contrast_loss(damaged_output, batch["damaged"], mask, batch["ring"]),
            "hallucination": c.hallucination_weight
            * hallucination_loss(
                damaged_output[:surfaces], batch["damaged"][:surfaces], mask[:surfaces]
            ),
            "tv": c.tv_weight * total_variation(output),
        }
        if c.style_weight:
            parts |= self._perceptual(output, content, batch["grams"])
        return parts

    def _perceptual(
        self, output: Tensor, content: Tensor, targets: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        c = self.config
        with torch.no_grad():
            wanted = self.trunk(content, CONTENT_WEIGHTS)
        found = self.trunk(output, {*ENCODER_LAYERS, *CONTENT_WEIGHTS})
        style = style_distances(found, targets, self.typical)
        weights = dict(zip(CONTENT_WEIGHTS, c.content_weights, strict=True))
        return {
            "style": c.style_weight * saturate(style).mean(),
            "content": content_distances(found, wanted, weights).mean(),
        }


def saturate(distance: Tensor, limit: float = 4.0) -> Tensor:
    """``q / (1 + q / limit)``: a style out of reach stops pulling at the others' expense."""
    return distance / (1 + distance / limit)


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


def local_energy(images: Tensor) -> Tensor:
    """Standard deviation of the luma in windows of 5 pixels: (B, C, H, W) -> (B, 1, H, W)."""
    gray = luma(images)

    def blur(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, 5, stride=1, padding=2, count_include_pad=False)

    # 1e-6: the root of nothing has no slope
    return (blur((gray - blur(gray)).square()) + 1e-6).sqrt()


def defect_contrast(values: Tensor, mask: Tensor, ring: Tensor, noise: float = 0.01) -> Tensor:
    """How far defects stand out of their surroundings, in their standard deviations: -> (B, K).

    ``(mean in mask - mean in ring) / sqrt(var in ring + noise^2)``, the signed d' of signal
    detection.

    Args:
        values: luma or local energy (B, 1, H, W).
        mask: 1 inside the k-th defect, 0 outside, (B, K, H, W).
        ring: the same for its surroundings.
        noise: stands for the sensor's, so that a perfectly flat ring does not make d' infinite;
            0.01 is two and a half 8-bit levels.
    """

    def mean(values: Tensor, weight: Tensor) -> Tensor:
        total = weight.sum((2, 3), keepdim=True).clamp_min(1e-6)
        return (values * weight).sum((2, 3), keepdim=True) / total

    inside, outside = mean(values, mask), mean(values, ring)
    variance = mean((values - outside).square(), ring)
    return ((inside - outside) / (variance + noise**2).sqrt()).flatten(1)


def defect_contrast_loss(output: Tensor, content: Tensor, mask: Tensor, ring: Tensor) -> Tensor:
    """Share of the defects' contrast that a restyling loses, averaged over the visible defects.

    What a detector sees is a defect's contrast relative to the texture around it, so that is what
    must not fall: of the luma, or of the local energy where a defect is rough rather than dark or
    bright. A dark defect that turns bright counts as lost, too. Beyond 3 standard deviations
    nothing is to be gained. Defects that did not stand out before (below 0.3) do not count.

    Args:
        output: restyled images (B, 3, H, W).
        content: the same images before.
        mask: (B, K, H, W), as in :func:`defect_contrast`.
        ring: the same.
    """

    def contrasts(images: Tensor) -> tuple[Tensor, Tensor]:
        # energy has a third of the luma's spread, and of its noise
        return (
            defect_contrast(luma(images), mask, ring),
            defect_contrast(local_energy(images), mask, ring, noise=0.0035),
        )

    (shade, rough), (shade_after, rough_after) = contrasts(content), contrasts(output)
    by_shade = shade.abs() >= rough.abs()
    signed = torch.where(by_shade, shade, rough)
    before = signed.abs().clamp_max(3)
    after = torch.where(by_shade, shade_after, rough_after) * signed.sign()
    # neighbours may cover a ring, or the border cut it off
    visible = ((before > 0.3) & (ring.sum((2, 3)) >= 20)).float()
    lost = (1 - after / before.clamp_min(0.3)).clamp(0, 2)
    return (lost * visible).sum() / visible.sum().clamp_min(1)


def hallucination_loss(output: Tensor, content: Tensor, mask: Tensor) -> Tensor:
    """Fine structure that a restyling paints on smooth surfaces, in units of ten 8-bit levels.

    A network with sub-pixel upsampling paints a lattice where nothing else is to be seen, and blows
    sensor noise up. Two and a half times the surface's own noise are free, and six levels more: the
    grain of a finish.

    Args:
        output: restyled surfaces (B, 3, H, W).
        content: the same before: smooth but for sensor noise and defects.
        mask: of the defects (B, K, H, W), whose neighbourhood does not count.
    """
    near = F.max_pool2d(mask.amax(1, keepdim=True), 13, stride=1, padding=6)
    calm = 1 - near

    def fine(images: Tensor) -> Tensor:
        gray = luma(images)
        detail = gray - F.avg_pool2d(gray, 9, stride=1, padding=4, count_include_pad=False)
        energy = (detail.square() * calm).sum((1, 2, 3)) / calm.sum((1, 2, 3)).clamp_min(1)
        return (energy + 1e-8).sqrt()

    excess = fine(output) - 2.5 * fine(content) - 6 / 255
    return excess.clamp_min(0).mean() * 25.5
