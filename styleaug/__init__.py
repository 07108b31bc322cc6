"""Style augmentation for defect detection.

Random materials, finishes, colours, lighting, blur and noise for training images, on the device
where the batch lies, while labels, boxes and masks stay true.

Examples:
    >>> import torch
    >>> from styleaug import StyleAugment
    >>> batch = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    >>> StyleAugment()(batch).shape
    torch.Size([4, 3, 64, 64])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from styleaug.augment.transform import StyleAugment
    from styleaug.pack import StylePack
    from styleaug.stages.defocus import Defocus
    from styleaug.stages.equalize import Equalize
    from styleaug.stages.noise import SensorNoise
    from styleaug.stages.relief import Relief
    from styleaug.stages.relight import Relight
    from styleaug.stages.restyle import Restyle

__version__ = "1.0.0rc1"
__all__ = [
    "Defocus",
    "Equalize",
    "Relief",
    "Relight",
    "Restyle",
    "SensorNoise",
    "StyleAugment",
    "StylePack",
    "__version__",
]

_HOMES = {
    "Defocus": "styleaug.stages.defocus",
    "Equalize": "styleaug.stages.equalize",
    "Relief": "styleaug.stages.relief",
    "Relight": "styleaug.stages.relight",
    "Restyle": "styleaug.stages.restyle",
    "SensorNoise": "styleaug.stages.noise",
    "StyleAugment": "styleaug.augment.transform",
    "StylePack": "styleaug.pack",
}
"""Imported when first asked for: ``styleaug.edge`` runs where there is no torch."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'styleaug' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
