"""Short for :mod:`styleaug.hosts.albumentations`."""

from styleaug.hosts.albumentations import StyleAugment

__all__ = ["StyleAugment"]
