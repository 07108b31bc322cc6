"""Pictures of folders, as benchmarks take them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor

from styleaug.images.io import find_images, load_rgb, to_tensor


def square(path: Path, size: int) -> Tensor:
    """A picture, cropped to its middle square: (3, size, size), uint8."""
    picture = ImageOps.fit(load_rgb(path), (size, size), Image.Resampling.BILINEAR)
    return to_tensor(picture)


def spread_pictures(folders: Sequence[Path], count: int, size: int) -> tuple[list[str], Tensor]:
    """Names and squares (count, 3, size, size), uint8, evenly over files; folders take turns."""
    names, images = [], []
    for k in range(count):
        folder = folders[k % len(folders)]
        files = find_images(folder)
        path = files[(2 * k + 1) * len(files) // (2 * count)]
        names.append(f"{folder.name}/{path.name}")
        images.append(square(path, size))
    return names, torch.stack(images)
