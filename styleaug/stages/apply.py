"""``apply_stages``: the one loop over stages, which gathers and scatters the images they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from styleaug.images.checks import check_image_tensor, check_mask
from styleaug.images.color import to_dtype, to_float
from styleaug.runtime import prepare_process
from styleaug.stages.params import Params

if TYPE_CHECKING:
    from styleaug.stages.base import Stage


def apply_stages(
    images: Tensor,
    steps: Sequence[tuple[Stage, Params]],
    *,
    strength_mask: Tensor | None = None,
    bits: int | None = None,
) -> Tensor:
    """Apply stages in turn, each to the images that it changes; without gradients.

    Args:
        images: (B, C, H, W), uint8, uint16 or float in [0, 1], C = 1 or 3; never changed.
        steps: stages with their params, of one row an image, or of one row that serves all.
        strength_mask: factor at each pixel, in [0, 1], on what stages that are ``protectable``
            change: (B, 1, H, W); 0 protects.
        bits: that uint16 images have, see :func:`~styleaug.images.color.white_of`.

    Returns:
        A new tensor of the same shape, dtype, device and memory format. Images that no stage
        changes come back bit for bit.

    Raises:
        ValueError: if shapes do not fit, or values are out of range.
        TypeError: if the dtype is neither uint8, uint16 nor floating point.
    """
    prepare_process(images.device)
    check_image_tensor(images, "images", bits)
    if images.ndim != 4 or any(len(params) not in (1, len(images)) for _, params in steps):
        raise ValueError(
            f"Rendering needs images (B, C, H, W) and a plan of B rows, or of one for all, but got "
            f"{tuple(images.shape)} and {[len(params) for _, params in steps]} rows."
        )
    if strength_mask is not None and strength_mask.shape != (len(images), 1, *images.shape[-2:]):
        raise ValueError(
            f"strength_mask must be (B, 1, H, W) for images {tuple(images.shape)}, but is "
            f"{tuple(strength_mask.shape)}."
        )
    if strength_mask is not None:
        check_mask("strength_mask", strength_mask)
    steps = [(stage, params.spread(len(images))) for stage, params in steps]
    # params lie on the CPU, so which images take part is known without asking the device
    active = [params.active for _, params in steps]
    none = torch.zeros(len(images), dtype=torch.bool, device="cpu")
    touched = torch.stack([none, *active]).any(0).nonzero().flatten()
    # autocast is for the caller's model; inside it, an image must not come out otherwise
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        if not len(touched):
            return images.clone()
        whole = images if bits is None else to_float(images, bits)  # what stages may look at
        x = to_float(take(whole, touched))
        for (stage, params), changes in zip(steps, active, strict=True):
            every = changes.nonzero().flatten()
            if not len(every):
                continue
            params = stage.prepare(whole, params.select(every))
            among = changes[touched].nonzero().flatten()
            before = take(x, among)
            after = stage.apply(before, params)
            if strength_mask is not None and stage.protectable:
                mask = take(strength_mask.to(x.device, torch.float32), every)
                after = torch.lerp(before, after, mask)
            x = put(x, among, after)
        out = put(images, touched, to_dtype(x, images.dtype, bits))
        if images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous():
            return out.contiguous(memory_format=torch.channels_last)
        return out.contiguous()


def take(x: Tensor, index: Tensor) -> Tensor:
    """Some rows of ``x``, given in ascending order; all of them are ``x`` itself."""
    if len(index) == len(x):
        return x
    index = index.to(x.device, non_blocking=True)
    if x.dtype == torch.uint16:  # few kernels know it
        return x.view(torch.int16).index_select(0, index).view(torch.uint16)
    return x.index_select(0, index)


def put(x: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """A copy of ``x`` with some rows, given in ascending order, replaced."""
    if len(index) == len(x):
        return values
    index = index.to(x.device, non_blocking=True)
    if x.dtype == torch.uint16:
        return x.view(torch.int16).index_copy(0, index, values.view(torch.int16)).view(torch.uint16)
    return x.index_copy(0, index, values)


def on_device(values: Tensor, images: Tensor) -> Tensor:
    """Amounts (B,) of images as a factor (B, 1, 1, 1) on their device; the host does not wait."""
    return values.to(images.device, non_blocking=True).view(-1, 1, 1, 1)
