"""Motion from frame to frame, and what moves along with it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.errors import MissingExtraError
from styleaug.images.color import luma, to_float, to_rgb

_FINEST = 384
"""Short side, in pixels, of the copies that motion is looked for in."""

_SAME, _OTHER = 0.04, 0.12
"""Difference to the frame before, along the motion: up to the first it shows the same, from the
second on something else."""

_CUT = 0.6
"""Share of pixels that show something else from which on a frame begins a shot."""


@dataclass(frozen=True, eq=False)
class Motion:
    """How a frame follows the one before.

    Attributes:
        flow: from each pixel to where it was, to the right and down, as shares of width and height
            (1, 2, h, w).
        same: how surely it shows what was there, in [0, 1] (1, 1, h, w).
    """

    flow: Tensor
    same: Tensor

    def at(self, size: tuple[int, ...]) -> Motion:
        """The same for frames of another size (H, W)."""
        if self.same.shape[-2:] == size:
            return self
        both = torch.cat([self.flow, self.same], 1)
        both = F.interpolate(both, size, mode="bilinear", align_corners=False)
        return Motion(both[:, :2], both[:, 2:])

    def moved(self, x: Tensor) -> Tensor:
        """What was there in ``x`` (1, C, h, w), of the frame before; its border goes on."""
        height, width = x.shape[-2:]
        down = torch.arange(height, device=x.device, dtype=torch.float32)[:, None]
        right = torch.arange(width, device=x.device, dtype=torch.float32)
        across = (self.flow[:, 0] + (right + 0.5) / width) * 2 - 1
        along = (self.flow[:, 1] + (down + 0.5) / height) * 2 - 1
        grid = torch.stack([across, along], 3)
        return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


class Eye:
    """Follows the motion of a film by dense inverse search (Kroeger et al. 2016).

    Attributes:
        last: small copy (1, 3, h, w) of the frame that it saw last, uint8 on the CPU; None before
            the first.

    Raises:
        MissingExtraError: if OpenCV is not installed.
    """

    def __init__(self) -> None:
        cv2 = _opencv()
        self._search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self.last: Tensor | None = None

    def see(self, frame: Tensor, bits: int | None = None) -> Motion | None:
        """How a frame (1, C, H, W) follows the one seen before it.

        Returns:
            None if it begins a shot: as the first, as one of another size, or because it shows
            something else.
        """
        height, width = frame.shape[-2:]
        scale = min(1.0, _FINEST / min(height, width))
        size = [max(16, round(height * scale)), max(16, round(width * scale))]
        x = to_rgb(to_float(frame, bits))
        now = F.interpolate(x, size, mode="bilinear", antialias=True).clamp_(0, 1)
        now = now.mul_(255).round_().to("cpu", torch.uint8)
        before, self.last = self.last, now
        if before is None or before.shape != now.shape:
            return None
        found = self._search.calc(_gray(now), _gray(before), None)
        flow = torch.from_numpy(found).permute(2, 0, 1)[None]
        flow = flow / torch.tensor([size[1], size[0]]).view(1, 2, 1, 1)
        motion = Motion(flow, torch.ones(1, 1, *size))
        expected = motion.moved(before.float() / 255)
        apart = (now.float() / 255 - expected).abs_().mean(1, keepdim=True)
        same = (_OTHER - F.avg_pool2d(apart, 9, 1, 4)) / (_OTHER - _SAME)
        same = same.clamp_(0, 1) * _inside(flow)
        if float((same < 0.5).float().mean()) > _CUT:
            return None
        return Motion(flow.to(frame.device), same.to(frame.device))


def _gray(picture: Tensor) -> Any:
    return luma(picture.float())[0, 0].round().to(torch.uint8).numpy()


def _inside(flow: Tensor) -> Tensor:
    """Which pixels were inside the frame before (1, 1, h, w), bool."""
    height, width = flow.shape[-2:]
    across = flow[:, 0] * width + torch.arange(width)
    along = flow[:, 1] * height + torch.arange(height)[:, None]
    inside = (across >= 0) & (across <= width - 1) & (along >= 0) & (along <= height - 1)
    return inside[:, None]


@functools.cache
def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("opencv-python-headless", "video") from error
    return cv2
