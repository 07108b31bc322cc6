"""Augmentation policies that a bench compares, and the settings that it chooses from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from styleaug.evaluate.training import BatchTransform
from styleaug.transform import StyleAugment


class GaussianNoise(nn.Module):
    """Noise on a uint8 image, of a standard deviation drawn between 0 and ``sigma`` of the range.

    Akin to the noise corruptions: a policy with it has seen a part of the test.
    """

    def __init__(self, sigma: float) -> None:
        """Take the largest standard deviation, as a share of the range."""
        super().__init__()
        self.sigma = float(sigma)

    def forward(self, image: Tensor) -> Tensor:
        """Add noise to (C, H, W)."""
        noise = 255 * self.sigma * torch.rand(()) * torch.randn(image.shape)
        return (image + noise.to(image.device)).round().clamp(0, 255).to(torch.uint8)

    def extra_repr(self) -> str:
        """The cache tells policies apart by it."""
        return f"sigma={self.sigma}"


class Photometric(nn.Sequential):
    """What a careful engineer builds of torchvision: jitter often, blur and noise sometimes."""

    def __init__(self) -> None:
        """Build it."""
        super().__init__(
            v2.RandomApply([v2.ColorJitter(0.5, 0.5, 0.3, 0.05)], p=0.8),
            v2.RandomApply([v2.GaussianBlur(5, (0.1, 2.0))], p=0.3),
            v2.RandomApply([GaussianNoise(0.1)], p=0.5),
        )


PEERS: dict[str, Callable[[], nn.Module]] = {
    "Photometric": Photometric,
    "ColorJitter": lambda: v2.ColorJitter(0.5, 0.5, 0.3, 0.05),
    "AugMix": v2.AugMix,
    "RandAugment": v2.RandAugment,
    "TrivialAugmentWide": v2.TrivialAugmentWide,
}
"""Other augmentations, each drawing anew for each image; the strongest first."""

SEARCH: dict[str, dict[str, Any]] = {
    "defaults": {},
    "without material": {"strength": 0.0},
    "without light": {"light": 0.0},
    "gradually": {"schedule": "gradual"},
    "gradually, without light": {"schedule": "gradual", "light": 0.0},
    "without blur and grain": {"blur": 0.0, "grain": 0.0},
    "milder": {
        "strength": (0.0, 0.5),
        "texture": (0.0, 0.5),
        "light": (0.0, 0.5),
        "blur": (0.0, 0.25),
        "grain": (0.0, 0.1),
    },
}
"""Settings of StyleAugment that a search may try."""
_FOR_CLASSES = {"without material", "without light"}
_FOR_MASKS_AND_BOXES = {"gradually", "gradually, without light"}


def settings_for(kind: str) -> dict[str, dict[str, Any]]:
    """What a search tries of :data:`SEARCH`: few, so that validation can tell them apart.

    Plain images first help where masks or boxes are learned, and not where classes are.
    """
    others = _FOR_MASKS_AND_BOXES if kind == "classification" else _FOR_CLASSES
    return {name: options for name, options in SEARCH.items() if name not in others}


@dataclass(frozen=True)
class Policy:
    """What is done to training batches after the flips.

    Attributes:
        name: for tables.
        style: arguments of StyleAugment; None without it.
        peer: a name in :data:`PEERS`; None without one.
    """

    name: str
    style: Mapping[str, Any] | None = field(default=None)
    peer: str | None = None

    def make(self, pack: str) -> BatchTransform:
        """A transform of uint8 batches (B, 3, H, W)."""
        stages: list[nn.Module] = []
        if self.peer is not None:
            stages.append(PerImage(PEERS[self.peer]()))
        if self.style is not None:
            stages.append(StyleAugment(pack=pack, **self.style))
        return nn.Sequential(*stages)

    @property
    def code(self) -> str:
        """The call of StyleAugment."""
        inner = ", ".join(f"{name}={value!r}" for name, value in (self.style or {}).items())
        return f"StyleAugment({inner})"


class PerImage(nn.Module):
    """A batch transform that lets ``transform`` draw anew for each image."""

    def __init__(self, transform: nn.Module) -> None:
        """Take the transform of one image."""
        super().__init__()
        self.transform = transform

    def forward(self, batch: Tensor) -> Tensor:
        """Transform (B, C, H, W)."""
        return torch.stack([self.transform(image) for image in batch])
