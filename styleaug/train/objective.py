"""What training minimizes: style, content, tone, lost defects, hallucinated texture."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from styleaug.nn.encoder import ENCODER_LAYERS
from styleaug.nn.features import VGGFeatures
from styleaug.nn.perceptual import CONTENT_WEIGHTS, content_distances, style_distances
from styleaug.train import losses
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
        """The parts, and their ``total``.

        Args:
            output: restyled content (B, 3, H, W).
            damaged_output: restyled damaged surfaces, under the same styles.
            batch: ``content`` and ``damaged``, as they went into the network; ``mask`` and ``ring``
                of the defects; ``grams`` of the styles.
        """
        c, content, mask = self.config, batch["content"], batch["mask"]
        with torch.no_grad():
            wanted = self.trunk(content, CONTENT_WEIGHTS)
        found = self.trunk(output, {*ENCODER_LAYERS, *CONTENT_WEIGHTS})
        style = style_distances(found, batch["grams"], self.typical)
        weights = dict(zip(CONTENT_WEIGHTS, c.content_weights, strict=True))
        surfaces = batch["surfaces"]
        parts = {
            "style": c.style_weight * losses.saturate(style).mean(),
            "content": content_distances(found, wanted, weights).mean(),
            "tone": c.tonal_weight * losses.tonal_distance(output, content),
            "defects": c.defect_weight
            * losses.defect_contrast_loss(damaged_output, batch["damaged"], mask, batch["ring"]),
            "hallucination": c.hallucination_weight
            * losses.hallucination_loss(
                damaged_output[:surfaces], batch["damaged"][:surfaces], mask[:surfaces]
            ),
            "tv": c.tv_weight * losses.total_variation(output),
        }
        parts["total"] = torch.stack(list(parts.values())).sum()
        return parts
