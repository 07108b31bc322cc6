"""What an audit measures: how well defects stand out, and what appears where there were none.

Images are (1, 3, H, W) float32 in [0, 1] on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torch.nn import functional as F

from styleaug.datasets.survey import LARGEST, SMALLEST
from styleaug.images.color import luma, to_float

THRESHOLD = 4.5
"""Robust standard deviations at which something counts as conspicuous."""


def surroundings(mask: Tensor) -> Tensor:
    """The ring around a defect, 4 to 15 pixels away: (1, 1, H, W) bool -> the same."""
    near = F.max_pool2d(mask.float(), 7, stride=1, padding=3) > 0
    far = F.max_pool2d(mask.float(), 31, stride=1, padding=15) > 0
    return far & ~near


def around(mask: Tensor, margin: int) -> tuple[Any, ...]:
    """An index of the part of an image around a mask (1, 1, H, W)."""
    rows, columns = mask[0, 0].any(1).nonzero(), mask[0, 0].any(0).nonzero()
    top, left = (max(0, int(line[0]) - margin) for line in (rows, columns))
    bottom, right = (int(line[-1]) + margin + 1 for line in (rows, columns))
    return (..., slice(top, bottom), slice(left, right))


def separability(image: Tensor, inside: Tensor, ring: Tensor) -> float:
    """How well a threshold tells defect from surroundings, in [0, 1].

    2 |AUC - 0.5|, the best of luma, blurred luma and local energy.

    Args:
        image: (1, 3, H, W).
        inside: the defect, (1, 1, H, W), bool.
        ring: its :func:`surroundings`.
    """
    gray = luma(image)
    blurred = F.avg_pool2d(gray, 5, stride=1, padding=2, count_include_pad=False)
    energy = F.avg_pool2d((gray - blurred).square(), 5, stride=1, padding=2)
    return max(
        2 * abs(auc(feature[inside], feature[ring]) - 0.5) for feature in (gray, blurred, energy)
    )


def scorer(mask: Tensor) -> Callable[[Tensor], list[float]] | None:
    """What tells the separability of a defect in images (B, 3, H, W), uint8 or float.

    Args:
        mask: of the defect, (1, 1, H, W), bool.

    Returns:
        None if nothing can be told: the defect is too small, too large, or has no surroundings.
    """
    regions = _regions(mask)
    if regions is None:
        return None
    part, inside, ring = regions
    return lambda images: [separability(to_float(i[None])[part], inside, ring) for i in images]


def polarity(image: Tensor, mask: Tensor) -> float:
    """Whether a defect is brighter than its surroundings, towards 1, or darker, towards -1.

    2 AUC - 1, of luma alone.

    Args:
        image: (1, 3, H, W).
        mask: of the defect, (1, 1, H, W), bool.

    Returns:
        0 if nothing can be told, as in :func:`scorer`.
    """
    regions = _regions(mask)
    if regions is None:
        return 0.0
    part, inside, ring = regions
    gray = luma(image[part])
    return 2 * auc(gray[inside], gray[ring]) - 1


def _regions(mask: Tensor) -> tuple[tuple[Any, ...], Tensor, Tensor] | None:
    """The part of the image around a defect, the defect in it, and the ring around that."""
    if mask.sum() < SMALLEST or mask.float().mean() > LARGEST:
        return None
    # all that the measures look at: 15 pixels around the mask, and 4 for two blurs
    part = around(mask, 20)
    inside, ring = mask[part], surroundings(mask[part])
    return (part, inside, ring) if ring.any() else None


def auc(positive: Tensor, negative: Tensor) -> float:
    """Probability that a value of the first lies above one of the second, ties counting half."""
    order, _ = negative.sort()
    below = torch.searchsorted(order, positive)
    upto = torch.searchsorted(order, positive, right=True)
    return float((below + upto).double().mean() / (2 * len(order)))


def flat_energy(before: Tensor, after: Tensor, cell: int = 16) -> Tensor:
    """What a restyling adds to flat areas, in levels of 255: one value a flat cell, of all images.

    The standard deviation of luma minus its 5 x 5 blur, after less before, in cells whose luma
    deviates by less than 6 levels before.
    """

    def cells(gray: Tensor) -> Tensor:
        height, width = (length // cell * cell for length in gray.shape[-2:])
        return F.unfold(gray[..., :height, :width], cell, stride=cell).transpose(1, 2).flatten(0, 1)

    def fine(gray: Tensor) -> Tensor:
        return gray - F.avg_pool2d(gray, 5, stride=1, padding=2, count_include_pad=False)

    gray, other = luma(before), luma(after)
    flat = cells(gray).std(1) < 6 / 255
    added: Tensor = 255 * (cells(fine(other)).std(1) - cells(fine(gray)).std(1))[flat]
    return added


def conspicuity(image: Tensor) -> Tensor:
    """What a simple anomaly scorer sees in an image: -> (1, 1, H, W).

    |luma - its 21 x 21 median| over a robust standard deviation of that difference (1.4826 MAD, at
    least half a level), averaged over 3 x 3 pixels.
    """
    gray = luma(image)[0, 0].mul(255).round().to(torch.uint8).numpy()
    median = np.asarray(Image.fromarray(gray).filter(ImageFilter.MedianFilter(21)))
    residual = torch.from_numpy(gray).float() - torch.from_numpy(median.copy()).float()
    spread = 1.4826 * (residual - residual.median()).abs().median()
    score = residual.abs() / spread.clamp_min(0.5)
    return F.avg_pool2d(score[None, None], 3, stride=1, padding=1)


def new_spots(before: Tensor, after: Tensor) -> bool:
    """Whether something conspicuous, 3 x 3 pixels at least, appeared where nothing was.

    Args:
        before: :func:`conspicuity` of the image.
        after: of the restyled image. Places within 5 pixels of what had reached two thirds of the
            threshold before do not count: what was conspicuous is no invention.
    """
    hot = -F.max_pool2d(-after, 3, stride=1) > THRESHOLD
    known = F.max_pool2d(before, 11, stride=1, padding=5)[..., 1:-1, 1:-1] > THRESHOLD * 2 / 3
    return bool((hot & ~known).any())
