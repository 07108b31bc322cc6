"""Pictures of one size for contact sheets."""

from __future__ import annotations

from PIL import Image
from torch import Tensor

from styleaug.images.color import to_rgb
from styleaug.images.io import to_tensor


def tile(image: Tensor, size: int) -> Tensor:
    """uint8 (C, H, W) -> (3, size, size), fitted inside on white."""
    _, height, width = image.shape
    scale = size / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(to_rgb(image).permute(1, 2, 0).cpu().numpy())
    canvas = Image.new("RGB", (size, size), "white")
    resized = picture.resize(shape, Image.Resampling.LANCZOS)
    canvas.paste(resized, ((size - shape[0]) // 2, (size - shape[1]) // 2))
    return to_tensor(canvas)
