"""Protection: what masks and boxes mark as defects, as a factor on the strength of the material."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision import tv_tensors
from torchvision.transforms import v2

_MARGIN = 8
"""Pixels around a protected defect over which strength comes back, so that no seam appears."""


def strength_mask(marked: Tensor, protect: float) -> Tensor:
    """The factor on strength that ``render(strength_mask=...)`` takes.

    Args:
        marked: where defects are, (B, 1, H, W), bool.
        protect: how much strength is taken away there, in [0, 1].

    Returns:
        ``1 - protect`` inside, 1 beyond two margins, soft in between: (B, 1, H, W), float32.
    """
    # widen by the margin, then blur by as much
    kernel = 2 * _MARGIN + 1
    wide = F.max_pool2d(marked.float(), kernel, stride=1, padding=_MARGIN)
    soft = F.avg_pool2d(wide, kernel, stride=1, padding=_MARGIN, count_include_pad=False)
    return 1 - protect * soft


def canvas(label: Any) -> tuple[int, ...]:
    """Height and width of the image that a mask or boxes (``tv_tensors``) belong to."""
    mask = isinstance(label, tv_tensors.Mask)
    return tuple(label.shape[-2:] if mask else label.canvas_size)


def marked_by(labels: Sequence[Any], count: int, height: int, width: int) -> Tensor | None:
    """Where the masks and boxes (``tv_tensors``) of an image, or of a batch, mark defects.

    Returns:
        (count, 1, H, W), bool, or None if no label has that size.

    Raises:
        ValueError: if a batch's labels cannot be told apart by image.
    """
    found: Tensor | None = None
    for label in labels:
        if canvas(label) != (height, width):
            continue
        plain = label.as_subclass(torch.Tensor)
        if isinstance(label, tv_tensors.Mask):
            check_finite_marks(plain)
            marked = plain.ne(0)
            # one image: all its masks together; a batch: the leading dimension tells the image
            if count > 1 and (marked.ndim < 3 or len(marked) != count):
                raise ValueError(
                    f"protect needs masks (B, ..., H, W) for a batch of {count} images, but got "
                    f"{tuple(plain.shape)}. Apply StyleAugment to single samples instead."
                )
            marked = marked.reshape(count, -1, height, width).any(1, keepdim=True)
        else:
            if count > 1:
                raise ValueError(
                    f"protect cannot tell which of {count} images a box belongs to. Apply "
                    "StyleAugment to single samples, or give masks (B, H, W)."
                )
            marked = box_mask(_corners(label), height, width)
        found = marked if found is None else found | marked
    return found


def check_finite_marks(values: Tensor, kind: str = "masks") -> None:
    """Raise if masks or boxes on the CPU hold NaN or infinite values: they would mark nothing.

    Raises:
        ValueError: if they do.
    """
    if values.is_floating_point() and values.device.type == "cpu" and not values.isfinite().all():
        raise ValueError(f"protect needs {kind} of finite numbers, but got NaN or infinite ones.")


def box_mask(corners: Tensor, height: int, width: int) -> Tensor:
    """Where the boxes of one image are.

    Args:
        corners: left, top, right, bottom in pixels, (N, 4).
        height: of the image, in pixels.
        width: the same.

    Returns:
        (1, 1, H, W), bool.

    Raises:
        ValueError: if a corner is NaN or infinite.
    """
    check_finite_marks(corners, "boxes")
    left, top, right, bottom = corners.float().reshape(-1, 4).T[:, :, None]
    y = torch.arange(height, device=corners.device)
    x = torch.arange(width, device=corners.device)
    rows = (y >= top.floor()) & (y < bottom.ceil())
    columns = (x >= left.floor()) & (x < right.ceil())
    # a product, not a comparison of all pixels with all boxes: a large image may hold hundreds
    hits: Tensor = rows.float().T @ columns.float()
    return (hits > 0)[None, None]


def _corners(boxes: Any) -> Tensor:
    """Corners of boxes, or of upright boxes around rotated ones: (N, 4)."""
    formats = tv_tensors.BoundingBoxFormat
    upright = boxes.format in (formats.XYXY, formats.XYWH, formats.CXCYWH)
    corners: Tensor = v2.functional.convert_bounding_box_format(
        boxes, new_format=formats.XYXY if upright else formats.XYXYXYXY
    ).as_subclass(torch.Tensor)
    points = corners.float().reshape(-1, 2 if upright else 4, 2)
    return torch.cat([points.amin(1), points.amax(1)], dim=1)
