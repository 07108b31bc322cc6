"""Filling what is unknown, smoothly, from what is known; and bilinear looks into a texture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.mesh.uv import Array


def fill(values: Tensor, known: Tensor) -> Tensor:
    """Push and pull (Gortler et al. 1996): unknown places get averages of what is known nearby.

    The farther off, the coarser the average, so the outcome is about as smooth as a membrane.

    Args:
        values: (H, W), float.
        known: how far each is known (H, W), in [0, 1]; somewhere it must be 1.

    Returns:
        (H, W).
    """
    return _fill(values[None, None], known[None, None])[0, 0]


def _fill(values: Tensor, known: Tensor) -> Tensor:
    if values.numel() == 1:
        return values
    share = F.avg_pool2d(known, 2, ceil_mode=True)
    coarse = F.avg_pool2d(values * known, 2, ceil_mode=True).div_(share.clamp_min(1e-6))
    coarse = _fill(coarse, share.mul_(4).clamp_max_(1))
    smooth = F.interpolate(coarse, size=values.shape[-2:], mode="bilinear", align_corners=False)
    return smooth.lerp_(values, known)


@dataclass(frozen=True, eq=False)
class Points:
    """Bilinear looks at points of a texture, and the way back.

    Attributes:
        texels: the four around each point (4, P), as places in the flattened texture.
        shares: of each of them (4, P).
    """

    texels: Tensor
    shares: Tensor

    @classmethod
    def of(cls, points: Array, size: tuple[int, int], tiles: tuple[bool, bool]) -> Points:
        """Make them of x and y.

        Args:
            points: (P, 2), where the centre of the first texel is (0, 0).
            size: height and width of the texture.
            tiles: whether it repeats, along y and x; else its border does.
        """
        first = np.floor(points)
        way = torch.from_numpy((points - first).astype(np.float32))
        axes = []
        for axis, (length, repeats) in enumerate(zip(size[::-1], tiles[::-1], strict=True)):
            pair = first[:, axis].astype(np.int64) + np.array([[0], [1]])
            axes.append(pair % length if repeats else pair.clip(0, length - 1))
        x, y = axes
        texels = torch.from_numpy((y[:, None] * size[1] + x[None]).reshape(4, -1))
        across, down = (torch.stack([1 - way[:, k], way[:, k]]) for k in range(2))
        return cls(texels, (down[:, None] * across[None]).reshape(4, -1))

    def at(self, values: Tensor) -> Tensor:
        """Values of all texels, of any shape, at the points: (P,)."""
        return (values.reshape(-1)[self.texels] * self.shares).sum(0)

    def spread(self, values: Tensor, onto: Tensor) -> None:
        """Add the points' values (P,) to the flattened texels around them, by their shares."""
        onto.index_add_(0, self.texels.reshape(-1), (values * self.shares).reshape(-1))
