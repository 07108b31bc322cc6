"""Contact sheets of a training run: contents under styles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from styleaug.images.io import load_rgb, to_image, to_tensor
from styleaug.nn.encoder import Stylizer
from styleaug.nn.noise import white_noise
from styleaug.train.styles import style_view


def draw_sheet(
    stylizer: Stylizer, statistics: Tensor, styles: Tensor, contents: Sequence[Path]
) -> Image.Image:
    """Contents under styles, first row and column the originals.

    Args:
        stylizer: network and encoder.
        statistics: of the styles (B, 1920).
        styles: the pictures (B, 3, S, S), float in [0, 1], on the network's device.
        contents: files.
    """

    def quantize(images: Tensor) -> Tensor:
        return (images * 255).byte().cpu()

    with torch.inference_mode():
        codes = stylizer.codes(statistics, styles)
        seeds = torch.arange(len(styles), device=styles.device)
        sheet = [torch.full(styles.shape[1:], 255, dtype=torch.uint8), *quantize(styles)]
        for path in contents:
            content = to_tensor(style_view(load_rgb(path), 0, 0))
            x = content.to(styles.device).float().div(255).expand(len(styles), -1, -1, -1)
            noise = white_noise(seeds, 1, *x.shape[-2:])
            sheet += [content, *quantize(stylizer.net(x, codes, noise))]
    return to_image(make_grid(torch.stack(sheet), nrow=1 + len(styles), padding=4, pad_value=255))


def pick_evenly(folders: Sequence[Sequence[str]], count: int = 6) -> list[Path]:
    """Some pictures, taken in turn from the folders, each time from another part of one."""
    picked = [(folders[i % len(folders)], i // len(folders)) for i in range(count)]
    return [Path(files[(2 * turn + 1) * len(files) // (2 * count)]) for files, turn in picked]
