"""Contact sheets: pictures of one size, with captions below and defects outlined."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import make_grid

from styleaug.datasets import Sample
from styleaug.datasets.outlines import boxed, outlined
from styleaug.images.color import to_rgb
from styleaug.images.io import to_image, to_tensor

_FONT, _LINE, _LETTER = 11, 15, 6
"""Of captions: size, height of a line, and width of a letter, in pixels."""


def tile(image: Tensor, size: int) -> Tensor:
    """uint8 (C, H, W) -> (3, size, size), fitted inside on white."""
    _, height, width = image.shape
    scale = size / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = to_image(to_rgb(image)).resize(shape, Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (size, size), "white")
    canvas.paste(picture, ((size - shape[0]) // 2, (size - shape[1]) // 2))
    return to_tensor(canvas)


def contact_sheet(
    rows: Sequence[Sequence[Tensor]], size: int, captions: Sequence[Sequence[str]] = ()
) -> Image.Image:
    """Rows of as many pictures each, on white.

    Args:
        rows: uint8 pictures (C, H, W).
        size: longer side of each on the sheet, in pixels.
        captions: what stands below each; a line break begins a line, and so does a full one.
    """
    tiles = torch.stack([tile(image, size) for row in rows for image in row])
    if captions:
        texts = [_wrapped(text, max(1, size // _LETTER)) for row in captions for text in row]
        height = _LINE * max(map(len, texts))
        tiles = torch.cat([tiles, torch.stack([_printed(t, height, size) for t in texts])], dim=2)
    return to_image(make_grid(tiles, nrow=len(rows[0]), padding=4, pad_value=255))


def labelled(sample: Sample, size: int) -> Tensor:
    """A sample's image (3, H, W), uint8, with its masks outlined and its boxes and their names.

    Args:
        sample: whose image and masks can be read.
        size: longer side in pixels, to which the image is brought before anything is drawn.
    """
    picture = sample.load()
    scale = size / max(picture.size)
    shape = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    image = to_tensor(picture.resize(shape, Image.Resampling.LANCZOS))
    marked = sample.load_mask() if sample.masks else None
    if marked is not None:
        # any share of a pixel that is marked marks it: thin defects stay
        mask = Image.fromarray(marked.astype(np.uint8) * 255).resize(shape, Image.Resampling.BOX)
        image = outlined(image, to_tensor(mask) > 0)
    return boxed(image, sample.boxes, scale)


def _wrapped(text: str, letters: int) -> list[str]:
    """Lines of at most so many letters; a number stays with its name."""
    lines = re.sub(r" (?=[-\d])", "\u00a0", text).splitlines()
    parts = [part for line in lines for part in wrap(line, letters, break_on_hyphens=False)]
    return [part.replace("\u00a0", " ") for part in parts]


def _printed(text: Sequence[str], height: int, width: int) -> Tensor:
    """Lines of text on white: uint8 (3, height, width)."""
    canvas = Image.new("RGB", (width, height), "white")
    font = ImageFont.load_default(_FONT)
    ImageDraw.Draw(canvas).multiline_text((0, 0), "\n".join(text), fill="black", font=font)
    return to_tensor(canvas)
