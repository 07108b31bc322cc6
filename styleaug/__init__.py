"""Style augmentation for defect detection.

Random materials, finishes, colours and lights for training images, on the device where the batch
lies, while labels, boxes and masks stay true.

Examples:
    >>> import torch
    >>> from styleaug import StyleAugment
    >>> batch = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    >>> StyleAugment()(batch).shape
    torch.Size([4, 3, 64, 64])
"""

from styleaug.pack import StylePack
from styleaug.plan import StylePlan, StyleSampler
from styleaug.render import render
from styleaug.transform import StyleAugment

__version__ = "0.1.0"
__all__ = ["StyleAugment", "StylePack", "StylePlan", "StyleSampler", "__version__", "render"]
