"""What training minimizes: style, content, tone, defects, calm surfaces."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from styleaug.nn.encoder import STYLE_LAYERS
from styleaug.nn.features import VGGFeatures
from styleaug.nn.perceptual import content_distance, gram, style_distance
from styleaug.train import losses
from styleaug.train.config import TrainConfig

CONTENT_LAYERS = ("conv2_2", "conv3_3", "conv4_1")


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
            wanted = self.trunk(content, CONTENT_LAYERS)
        found = self.trunk(output, {*STYLE_LAYERS, *CONTENT_LAYERS})
        style = torch.stack(
            [
                losses.saturate(style_distance(gram(found[layer]), target, typical)).mean()
                for layer, target, typical in zip(
                    STYLE_LAYERS, batch["grams"], self.typical, strict=True
                )
            ]
        ).mean()
        content_loss = torch.stack(
            [
                weight * content_distance(found[layer], wanted[layer])
                for weight, layer in zip(c.content_weights, CONTENT_LAYERS, strict=True)
            ]
        ).sum()
        surfaces = batch["surfaces"]
        parts = {
            "style": c.style_weight * style,
            "content": content_loss,
            "tone": c.tonal_weight * losses.tonal_distance(output, content),
            "defects": c.anomaly_weight
            * losses.defect_contrast_loss(damaged_output, batch["damaged"], mask, batch["ring"]),
            "calm": c.calm_weight
            * losses.hallucination_loss(
                damaged_output[:surfaces], batch["damaged"][:surfaces], mask[:surfaces]
            ),
            "tv": c.tv_weight * losses.total_variation(output),
        }
        parts["total"] = torch.stack(list(parts.values())).sum()
        return parts
