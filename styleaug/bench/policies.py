"""Augmentation policies that a bench compares, and the settings that it chooses from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from styleaug.transform import StyleAugment

BatchTransform = Callable[[Tensor], Tensor]

PEERS: dict[str, Callable[[], nn.Module]] = {
    "ColorJitter": lambda: v2.ColorJitter(0.5, 0.5, 0.3, 0.05),
    "AugMix": v2.AugMix,
    "RandAugment": v2.RandAugment,
    "TrivialAugmentWide": v2.TrivialAugmentWide,
}
"""Other augmentations, each drawing anew for each image."""

SEARCH: dict[str, dict[str, Any]] = {
    "defaults": {},
    "without grain": {"grain": 0.0},
    "milder": {
        "strength": (0.0, 0.5),
        "texture": (0.0, 0.5),
        "light": (0.0, 0.5),
        "grain": (0.0, 0.3),
    },
    "rarer": {"p": 0.4},
}
"""Settings of StyleAugment that a search tries: few, so that validation can tell them apart."""


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
