"""``apply_stages``: the one loop over stages, which gathers and scatters the images they change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from styleaug.errors import warn
from styleaug.images.checks import check_image_tensor, check_mask
from styleaug.images.color import to_dtype, to_float, white_of
from styleaug.nn.resample import bands_of
from styleaug.runtime import is_out_of_memory, prepare_process
from styleaug.stages.params import Params

if TYPE_CHECKING:
    from styleaug.stages.base import Stage

_PIECE = 65_536
"""Pixels that a CPU takes through all stages at a time: what they hand on stays in its cache."""


def apply_stages(
    images: Tensor,
    steps: Sequence[tuple[Stage, Params]],
    *,
    strength_mask: Tensor | None = None,
    bits: int | None = None,
) -> Tensor:
    """Apply stages in order, each to the images that it changes, without gradients.

    Args:
        images: (B, C, H, W), uint8, uint16 or float in [0, 1], C = 1 or 3; never modified.
        steps: stages with their params, with one row per image, or one row for all.
        strength_mask: factor per pixel on the change of ``protectable`` stages, (B, 1, H, W), in
            [0, 1]; 0 protects.
        bits: bit depth of uint16 images, see :func:`~styleaug.images.color.white_of`.

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
    changed = [(stage, params, params.active) for stage, params in steps]
    none = torch.zeros(len(images), dtype=torch.bool, device="cpu")
    touched = torch.stack([none, *(changes for *_, changes in changed)]).any(0).nonzero().flatten()
    # autocast is for the caller's model; inside it, an image must not come out otherwise
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        if not len(touched):
            return images.clone()
        whole = images if bits is None else to_float(images, bits)  # what stages may look at
        work = [
            _Step(stage, stage.prepare(whole, params.select(changes)), changes)
            for stage, params, changes in changed
            if changes.any()
        ]
        if strength_mask is not None:
            strength_mask = strength_mask.to(images.device, torch.float32)
        out = _like(images, copy=len(touched) < len(images))

        def render(index: Tensor) -> None:
            x = _working_copy(take(whole, index))
            for step in work:
                x = step.run(x, index, strength_mask)
            for band in bands_of(x):
                put_into(out[:, :, band], index, to_dtype(x[:, :, band], images.dtype, bits))

        _in_pieces(render, touched, _rows_at_once(images), smaller=images.device.type != "cpu")
        return out


def _working_copy(images: Tensor) -> Tensor:
    """Images in float32, integers divided by white: to be changed."""
    x = torch.empty_like(images, dtype=torch.float32, memory_format=torch.contiguous_format)
    white = white_of(images.dtype)
    for band in bands_of(x):
        part = x[:, :, band].copy_(images[:, :, band])
        if white is not None:
            part.div_(white)
    return x


def _in_pieces(
    render: Callable[[Tensor], None], index: Tensor, size: int, *, smaller: bool
) -> None:
    """Render ``size`` images at a time, or, where memory runs out, half as many if allowed."""
    first, warned = 0, False
    while first < len(index):
        try:
            render(index[first : first + size])
        except RuntimeError as error:
            if not smaller or size == 1 or not is_out_of_memory(error):
                raise
            short = True  # what the error holds of the attempt must be gone before the next
        else:
            first, short = first + size, False
        if short and not warned:
            warn(
                f"The GPU's memory does not hold {len(index)} images at once, so they are changed "
                "part by part, which takes longer: a smaller batch or model leaves room."
            )
        if short:
            warned, size = True, -(-min(size, len(index)) // 2)


@dataclass(frozen=True)
class _Step:
    """A stage, the params of the images that it changes, and which those are (B,), bool."""

    stage: Stage
    params: Params
    changes: Tensor

    def run(self, x: Tensor, index: Tensor, strength_mask: Tensor | None) -> Tensor:
        """Change the images ``x`` of the batch's rows ``index``; ``x`` may be changed itself."""
        among = self.changes[index].nonzero().flatten()
        if not len(among):
            return x
        params = self.params
        if len(among) < len(params):
            params = params.select((self.changes.cumsum(0) - 1)[index[among]])
        before = take(x, among)
        after = self.stage.apply(before, params)
        if strength_mask is not None and self.stage.protectable:
            after = torch.lerp(before, after, take(strength_mask, index[among]))
        if len(among) == len(x):
            return after
        put_into(x, among, after)
        return x


def _rows_at_once(images: Tensor) -> int:
    """A CPU takes as many images as its cache holds, others all."""
    if images.device.type != "cpu":
        return max(1, len(images))
    return max(1, _PIECE // max(1, images.shape[-2] * images.shape[-1]))


def _like(images: Tensor, *, copy: bool) -> Tensor:
    """Room for the outcome, contiguous or channels-last; a copy of the images if asked for."""
    channels_last = torch.channels_last
    last = images.is_contiguous(memory_format=channels_last) and not images.is_contiguous()
    kind = channels_last if last else torch.contiguous_format
    return (
        images.clone(memory_format=kind) if copy else torch.empty_like(images, memory_format=kind)
    )


def take(x: Tensor, index: Tensor) -> Tensor:
    """Some rows of ``x``, given in ascending order; those that lie together are a view."""
    if _together(index):
        return x.narrow(0, int(index[0]), len(index))
    index = index.to(x.device, non_blocking=True)
    if x.dtype == torch.uint16:  # few kernels know it
        return x.view(torch.int16).index_select(0, index).view(torch.uint16)
    return x.index_select(0, index)


def put_into(x: Tensor, index: Tensor, values: Tensor) -> None:
    """Replace some rows of ``x``, given in ascending order."""
    if _together(index):
        x.narrow(0, int(index[0]), len(index)).copy_(values)
        return
    index = index.to(x.device, non_blocking=True)
    if x.dtype == torch.uint16:
        x, values = x.view(torch.int16), values.view(torch.int16)
    x.index_copy_(0, index, values)


def _together(index: Tensor) -> bool:
    return len(index) > 0 and int(index[-1] - index[0]) + 1 == len(index)


def on_device(values: Tensor, images: Tensor) -> Tensor:
    """Amounts (B,) of images as a factor (B, 1, 1, 1) on their device; the host does not wait."""
    return values.to(images.device, non_blocking=True).view(-1, 1, 1, 1)
