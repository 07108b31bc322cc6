"""Labels drawn on images: outlines of masks, and boxes with their names."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from styleaug.datasets.samples import Box
from styleaug.images.io import to_image, to_tensor

_FONT, _LINE = 11, 15
"""Of names: size, and height of a line, in pixels."""
_RED = (230, 30, 30)


def outlined(image: Tensor, mask: Tensor | None) -> Tensor:
    """A uint8 image (3, H, W) with a red line around what its mask (1, H, W) marks."""
    if mask is None:
        return image
    line = F.max_pool2d(mask.float(), 5, stride=1, padding=2)[0].bool() & ~mask[0]
    red = torch.tensor(_RED, dtype=torch.uint8)[:, None, None]
    return torch.where(line, red, image)


def boxed(image: Tensor, boxes: Sequence[Box], scale: float = 1.0) -> Tensor:
    """A uint8 image (3, H, W) with red boxes and their names.

    Args:
        image: to draw on; not changed.
        boxes: in pixels of the picture that the image was made of.
        scale: of the image, relative to that picture.
    """
    picture = to_image(image)
    drawing, font = ImageDraw.Draw(picture), ImageFont.load_default(_FONT)
    for box in boxes:
        left, top, right, bottom = (
            scale * side for side in (box.left, box.top, box.right, box.bottom)
        )
        drawing.rectangle((left - 1, top - 1, right, bottom), outline=_RED)
        name = " ".join(box.label.split())
        if name:  # above the box, and inside the picture
            width = drawing.textlength(name, font=font)
            place = (max(0, min(left, picture.width - width)), max(0, top - _LINE))
            drawing.rectangle(drawing.textbbox(place, name, font=font), fill=_RED)
            drawing.text(place, name, fill="white", font=font)
    return to_tensor(picture)
