"""Contents that new styles are tried on, and what is measured there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from styleaug.gatys.descent import descend
from styleaug.networks import as_reference, stylizer_of
from styleaug.nn.encoder import STYLE_LAYERS
from styleaug.nn.features import VGGFeatures, cached_features
from styleaug.nn.perceptual import content_distance, gram, style_distance
from styleaug.pack import StylePack
from styleaug.runtime import inference_dtype
from styleaug.styles.procedural import FAMILIES, draw_finish

STYLE_WEIGHT = 8.0
CONTENT_WEIGHTS = {"conv2_2": 0.5, "conv3_3": 1.0, "conv4_1": 0.5}
"""Weights of the objective: those that the bundled pack was trained with."""
PROBE_SIZE = 128
"""Side, in pixels, of the contents that a style is tried on."""


_CALM = (
    "galvanised",
    "paper",
    "anodised",
    "brushed",
    "rubber",
    "orange-peel",
    "hammered",
    "glass",
)
"""Families of finishes that contents are drawn from."""


class Probes:
    """Contents that styles are tried on, and the objective there.

    Args:
        images: (P, 3, S, S), float in [0, 1], S = PROBE_SIZE.
        trunk: gives the features of what is to be kept; in float32 by default.

    Raises:
        ValueError: if they are not.
    """

    def __init__(self, images: Tensor, trunk: VGGFeatures | None = None) -> None:
        size = (3, PROBE_SIZE, PROBE_SIZE)
        if images.shape[1:] != size or not len(images):
            raise ValueError(
                f"contents must be at least one image of {size}, but are {tuple(images.shape)}."
            )
        self.images = images
        with torch.no_grad():
            found = (trunk or trunk_on(images.device))(images, CONTENT_WEIGHTS)
        self.wanted = {name: value.float() for name, value in found.items()}

    @classmethod
    def drawn(cls, first: int, count: int, device: torch.device) -> Probes:
        """Drawn surfaces, of which none need be kept; other ones than those that are styles.

        They are as calm as what is inspected mostly is: how near the network comes to a style there
        tells more of parts than it does on rough ground.

        Args:
            first: number of the first.
            count: how many.
            device: where to compute.
        """
        return cls(
            torch.stack(
                [
                    draw_finish(_CALM[k % len(_CALM)], 1000 + k, size=PROBE_SIZE)
                    for k in range(first, first + count)
                ]
            ).to(device)
        )

    def __len__(self) -> int:
        """Count the contents."""
        return len(self.images)

    def measure(self, outputs: Tensor, grams: Sequence[Tensor]) -> tuple[float, float]:
        """Style moved, and the objective: means over the first probes, restyled.

        Style moved is ``1 - D(output) / D(probe)``, D the squared relative distance of Gram
        matrices.

        Args:
            outputs: (B, 3, S, S), of the first B probes.
            grams: of one style, (1, C, C) for each style layer.
        """
        rows = torch.arange(len(outputs))
        targets = [g.expand(len(outputs), -1, -1) for g in grams]
        trunk = trunk_on(outputs.device)
        with torch.no_grad():
            before, _ = self.judge(self.images[: len(outputs)], rows, targets, trunk)
            style, kept = self.judge(outputs, rows, targets, trunk)
        moved = (1 - style / before.clamp_min(1e-6)).mean().item()
        return moved, (STYLE_WEIGHT * style + kept).mean().item()

    def judge(
        self, outputs: Tensor, rows: Tensor, grams: Sequence[Tensor], trunk: VGGFeatures
    ) -> tuple[Tensor, Tensor]:
        """Style distance and content part of restyled probes: each (B,).

        Args:
            outputs: (B, 3, S, S).
            rows: which probes they were (B,).
            grams: of their styles, (B, C, C) for each style layer.
            trunk: gives the features.
        """
        found = trunk(outputs, {*STYLE_LAYERS, *CONTENT_WEIGHTS})
        style = torch.stack(
            [
                style_distance(gram(found[layer]), target, typical)
                for layer, target, typical in zip(
                    STYLE_LAYERS, grams, _typical(outputs.device), strict=True
                )
            ]
        ).mean(0)
        content = [
            torch.stack(
                [
                    weight * content_distance(found[n][i : i + 1], self.wanted[n][r : r + 1])
                    for n, weight in CONTENT_WEIGHTS.items()
                ]
            ).sum()
            for i, r in enumerate(rows.tolist())
        ]
        return style, torch.stack(content)


@lru_cache(maxsize=4)
def drawn_probes(first: int, count: int, device: torch.device) -> Probes:
    """:meth:`Probes.drawn`, once per process."""
    return Probes.drawn(first, count, device)


def varied(images: Tensor, generator: torch.Generator) -> Tensor:
    """Contents turned, mirrored, and lighter or darker, each in its own way: the same shape.

    Args:
        images: (B, 3, S, S), float in [0, 1].
        generator: on the CPU.
    """
    turns = torch.randint(8, (len(images),), generator=generator).tolist()
    gamma = torch.empty(len(images)).uniform_(-0.5, 0.5, generator=generator).exp()
    turned = [
        torch.rot90(image.flip(2) if turn > 3 else image, turn % 4, (1, 2))
        for image, turn in zip(images, turns, strict=True)
    ]
    return torch.stack(turned).pow(gamma.to(images.device)[:, None, None, None])


def trunk_on(device: torch.device) -> VGGFeatures:
    """What measures style and content: the bundled trunk in float32."""
    return cached_features("vgg16", device, torch.float32)


@lru_cache(maxsize=4)
def _typical(device: torch.device) -> tuple[Tensor, ...]:
    """Median norm of each style layer's Gram matrices, over drawn finishes."""
    pictures = torch.stack([draw_finish(family, 1000, size=PROBE_SIZE) for family in FAMILIES])
    with torch.no_grad():
        found = trunk_on(device)(pictures.to(device), STYLE_LAYERS)
    return tuple(gram(found[layer]).norm(dim=(1, 2)).median() for layer in STYLE_LAYERS)


def style_targets(picture: Tensor) -> list[Tensor]:
    """Gram matrices (1, C, C) of a picture (C, h, w), looked at as the encoder does."""
    with torch.no_grad():
        found = trunk_on(picture.device)(as_reference(picture[None]), STYLE_LAYERS)
    return [gram(found[layer]) for layer in STYLE_LAYERS]


def restyled_probes(pack: StylePack, code: Tensor, probes: Probes) -> Tensor:
    """What the network makes of the probes (P, 3, S, S) under a code (code_size,), in float32."""
    network = stylizer_of(pack, code.device, torch.float32).net
    places = torch.arange(len(probes), device=code.device) * 977
    with torch.no_grad():
        noise = network.field(places, PROBE_SIZE, PROBE_SIZE)
        outputs: Tensor = network(probes.images, code.expand(len(probes), -1), noise)
    return outputs.float()


def optimised_probes(
    probes: Probes, grams: Sequence[Tensor], count: int, *, steps: int = 60
) -> Tensor:
    """The first probes (count, 3, S, S), their pixels optimised for the same objective."""
    device = probes.images.device
    trunk = cached_features("vgg16", device, inference_dtype(device))
    rows, targets = torch.arange(count), [g.expand(count, -1, -1) for g in grams]

    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode(False), torch.enable_grad():
            pixels = images.clone().requires_grad_()
            style, kept = probes.judge(pixels, rows, targets, trunk)
            value = STYLE_WEIGHT * style + kept
            (gradient,) = torch.autograd.grad(value.sum(), pixels)
        return value.detach()[:, None], gradient

    (best, *_), _ = descend(look, probes.images[:count], steps)
    return best
