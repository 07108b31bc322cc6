"""Augmentations that a user could take instead: what ours are compared with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from styleaug.styles.procedural import FAMILIES, draw_finish


class GaussianNoise(nn.Module):
    """Noise on a uint8 image, of a standard deviation drawn between 0 and ``sigma`` of the range.

    Akin to the noise corruptions: a policy with it has seen a part of the test.
    """

    def __init__(self, sigma: float) -> None:
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
    """What a careful engineer builds of torchvision: jitter often, blur and noise sometimes.

    Args:
        noise: largest standard deviation of the noise, as a share of the range.
    """

    def __init__(self, noise: float = 0.1) -> None:
        super().__init__(
            v2.RandomApply([v2.ColorJitter(0.5, 0.5, 0.3, 0.05)], p=0.8),
            v2.RandomApply([v2.GaussianBlur(5, (0.1, 2.0))], p=0.3),
            v2.RandomApply([GaussianNoise(noise)], p=0.5),
        )


class Reference(nn.Module):
    """A transform of Albumentations that takes over the look of another image.

    Args:
        name: ``FDA``, ``HistogramMatching`` or ``PixelDistributionAdaptation``, with their default
            strengths.
        p: share of the images.
        target: whether that is one of the new line's images, and not one of those trained on.
    """

    def __init__(self, name: str, p: float = 0.5, *, target: bool = False) -> None:
        super().__init__()
        self.name, self.p, self.target = name, p, target
        self.references: Tensor | None = None
        self._transform: Any = None

    def forward(self, image: Tensor) -> Tensor:
        """Transform (3, H, W)."""
        if self.references is None:
            raise ValueError(f"{self.name} needs reference images.")
        import albumentations

        if self._transform is None:
            make = getattr(albumentations, self.name)
            self._transform = make(metadata_key="references", p=self.p)
        self._transform.set_random_seed(int(torch.randint(2**31, ())))
        reference = self.references[int(torch.randint(len(self.references), ()))]
        arrays = [one.permute(1, 2, 0).numpy() for one in (image, reference)]
        out = self._transform(image=arrays[0], references=[arrays[1]])["image"]
        return torch.from_numpy(out).permute(2, 0, 1)

    def extra_repr(self) -> str:
        """The cache tells policies apart by it."""
        return f"{self.name}, p={self.p}" + ", target" * self.target


class Albumentations(nn.Module):
    """A strong recipe of Albumentations for other lighting and sensors, each part half the time."""

    def __init__(self) -> None:
        super().__init__()
        import albumentations as al

        # The limits of the noise are those of the photometric mix; else the defaults.
        self._transform = al.Compose(
            [
                al.RandomToneCurve(p=0.5),
                al.Illumination(p=0.5),
                al.PlanckianJitter(p=0.5),
                al.GaussNoise(std_range=(0, 0.1), p=0.5),
            ]
        )

    def forward(self, image: Tensor) -> Tensor:
        """Transform (3, H, W)."""
        self._transform.set_random_seed(int(torch.randint(2**31, ())))
        out = self._transform(image=image.permute(1, 2, 0).numpy())["image"]
        return torch.from_numpy(out).permute(2, 0, 1)

    def extra_repr(self) -> str:
        """The cache tells policies apart by it."""
        return "tone curve, illumination, Planckian jitter, noise to 0.1"


class PixMix(nn.Module):
    """Images mixed with structured pictures (Hendrycks et al. 2022), here with procedural finishes.

    Up to ``k`` times, the image is added to, or multiplied with, a picture or another version of
    itself. Finishes stand in for the paper's fractals, at their usual scale.

    Args:
        k: most rounds of mixing.
        beta: of the beta distribution of the shares; higher ones are gentler.
    """

    def __init__(self, k: int = 4, beta: float = 3.0) -> None:
        super().__init__()
        self.k, self.beta = k, beta
        self._own = v2.RandomChoice(
            [v2.RandomAutocontrast(1), v2.RandomEqualize(1), v2.RandomPosterize(3, 1)]
        )
        self._pictures: dict[int, Tensor] = {}

    def forward(self, image: Tensor) -> Tensor:
        """Transform (3, H, W)."""
        height, width = image.shape[-2:]
        side = max(height, width, 32)
        if side not in self._pictures:
            self._pictures[side] = torch.stack([draw_finish(n, 0, size=side) for n in FAMILIES])
        pictures = self._pictures[side][..., :height, :width]
        mixed = self._variant(image, torch.rand(()) < 0.5)
        for _ in range(int(torch.randint(self.k + 1, ()))):
            if torch.rand(()) < 0.5:
                other = self._variant(image, True)
            else:
                other = pictures[int(torch.randint(len(pictures), ()))]
            own, others = self._shares()
            if torch.rand(()) < 0.5:
                mixed = (own * (2 * mixed - 1) + others * (2 * other - 1) + 1) / 2
            else:
                mixed = (2 * mixed) ** own * (2 * other).clamp(min=1e-6) ** others / 2
            mixed = mixed.nan_to_num(1).clamp(0, 1)
        return (255 * mixed).round().to(torch.uint8)

    def _variant(self, image: Tensor, changed: bool | Tensor) -> Tensor:
        version: Tensor = self._own(image) if changed else image
        return version / 255

    def _shares(self) -> tuple[float, float]:
        """Of the image, most of it; and of the other one, little, or a little less than none."""
        large = torch.distributions.Beta(self.beta, 1.0)
        own, others = float(large.sample()), 1 - float(large.sample())
        return (own, others) if torch.rand(()) < 0.5 else (2 - own, -others)

    def extra_repr(self) -> str:
        """The cache tells policies apart by it."""
        return f"k={self.k}, beta={self.beta}"
