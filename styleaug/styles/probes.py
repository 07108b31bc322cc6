"""Contents that new styles are tried on, and what is measured there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from styleaug.gatys.descent import NonFiniteObjective, descend
from styleaug.networks import as_reference, stylizer_of
from styleaug.nn.encoder import ENCODER_LAYERS
from styleaug.nn.features import VGGFeatures, cached_features
from styleaug.nn.noise import white_noise
from styleaug.nn.perceptual import (
    CONTENT_WEIGHTS,
    STYLE_WEIGHT,
    content_distances,
    grams,
    style_distances,
)
from styleaug.pack import StylePack
from styleaug.runtime import inference_dtype
from styleaug.styles.procedural import FAMILIES, draw_finish

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

    def __len__(self) -> int:
        """Count the contents."""
        return len(self.images)

    def measure(self, outputs: Tensor, targets: Sequence[Tensor]) -> tuple[float, float]:
        """Style transfer ratio, and the objective: means over the first probes, restyled.

        The ratio is ``1 - D(output) / D(probe)``, D the squared relative distance of Gram matrices:
        0 for the probe as it is, 1 where the style's matrices are reached.

        Args:
            outputs: (B, 3, S, S), of the first B probes.
            targets: Gram matrices of one style, (1, C, C) for each layer.
        """
        rows = torch.arange(len(outputs))
        targets = [g.expand(len(outputs), -1, -1) for g in targets]
        trunk = trunk_on(outputs.device)
        with torch.no_grad():
            before, _ = self.judge(self.images[: len(outputs)], rows, targets, trunk)
            style, content = self.judge(outputs, rows, targets, trunk)
        ratio = (1 - style / before.clamp_min(1e-6)).mean().item()
        return ratio, (STYLE_WEIGHT * style + content).mean().item()

    def judge(
        self, outputs: Tensor, rows: Tensor, targets: Sequence[Tensor], trunk: VGGFeatures
    ) -> tuple[Tensor, Tensor]:
        """Style distance and content part of restyled probes: each (B,).

        Args:
            outputs: (B, 3, S, S).
            rows: which probes they were (B,).
            targets: Gram matrices of their styles, (B, C, C) for each layer.
            trunk: gives the features.
        """
        found = trunk(outputs, {*ENCODER_LAYERS, *CONTENT_WEIGHTS})
        style = style_distances(found, targets, _typical(outputs.device)).mean(0)
        rows = rows.to(outputs.device)
        wanted = {name: features[rows] for name, features in self.wanted.items()}
        return style, content_distances(found, wanted)


@lru_cache(maxsize=4)
def draw_probes(first: int, count: int, device: torch.device) -> Probes:
    """Procedural surfaces as probes, other ones than those that are styles; cached.

    They are as calm as what is inspected mostly is: how near the network comes to a style there
    tells more of parts than it does on rough ground.
    """
    pictures = [
        draw_finish(_CALM[k % len(_CALM)], 1000 + k, size=PROBE_SIZE)
        for k in range(first, first + count)
    ]
    return Probes(torch.stack(pictures).to(device))


def vary(images: Tensor, generator: torch.Generator) -> Tensor:
    """Contents (B, 3, S, S) turned, mirrored, and lighter or darker, each in its own way."""
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
    """Median norm of the Gram matrices at each of the encoder's layers, over all families."""
    pictures = torch.stack([draw_finish(family, 1000, size=PROBE_SIZE) for family in FAMILIES])
    with torch.no_grad():
        found = trunk_on(device)(pictures.to(device), ENCODER_LAYERS)
    return tuple(g.norm(dim=(1, 2)).median() for g in grams(found))


def style_targets(picture: Tensor) -> list[Tensor]:
    """Gram matrices (1, C, C) of a picture (C, h, w), looked at as the encoder does."""
    with torch.no_grad():
        return grams(trunk_on(picture.device)(as_reference(picture[None]), ENCODER_LAYERS))


def restyle_probes(pack: StylePack, code: Tensor, probes: Probes) -> Tensor:
    """What the network makes of the probes (P, 3, S, S) under a code (code_size,), in float32."""
    network = stylizer_of(pack, code.device, torch.float32).net
    with torch.no_grad():
        seeds = torch.arange(len(probes), device=code.device)
        noise = white_noise(seeds, 1, PROBE_SIZE, PROBE_SIZE)
        outputs: Tensor = network(probes.images, code.expand(len(probes), -1), noise)
    return outputs.float()


def optimise_probes(
    probes: Probes, targets: Sequence[Tensor], count: int, *, steps: int = 60
) -> Tensor:
    """The first probes (count, 3, S, S), their pixels optimised for the same objective."""
    device = probes.images.device
    rows, targets = torch.arange(count), [g.expand(count, -1, -1) for g in targets]

    def optimise(trunk: VGGFeatures) -> Tensor:
        def look(images: Tensor) -> tuple[Tensor, Tensor]:
            with torch.inference_mode(False), torch.enable_grad():
                pixels = images.clone().requires_grad_()
                style, content = probes.judge(pixels, rows, targets, trunk)
                value = STYLE_WEIGHT * style + content
                (gradient,) = torch.autograd.grad(value.sum(), pixels)
            return value.detach()[:, None], gradient

        (best, *_), _ = descend(look, probes.images[:count], steps)
        return best

    try:
        return optimise(cached_features("vgg16", device, inference_dtype(device)))
    except NonFiniteObjective:  # features beyond the range of half precision
        return optimise(trunk_on(device))
