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

from styleaug.augment.transform import StyleAugment
from styleaug.pack import StylePack
from styleaug.stages.defocus import Defocus
from styleaug.stages.noise import SensorNoise
from styleaug.stages.relight import Relight
from styleaug.stages.restyle import Restyle

__version__ = "0.1.0"
__all__ = [
    "Defocus",
    "Relight",
    "Restyle",
    "SensorNoise",
    "StyleAugment",
    "StylePack",
    "__version__",
]
