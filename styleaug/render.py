"""``render``: apply a plan to a batch. No randomness, on the device where the images lie."""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.images.checks import check_image_tensor
from styleaug.images.color import luma, to_dtype, to_float, to_rgb
from styleaug.light import relight
from styleaug.nn.guided import bounded_texture, tone_change, tone_map
from styleaug.pack import StylePack
from styleaug.plan import StylePlan, stretched
from styleaug.runtime import prepare_process

WORKING_SIZE = 512
"""Default short side, in pixels, above which the network runs on a smaller copy."""

_SMALLEST = 16
"""Short side that the network works on at least: it pads by reflection, and needs something to
reflect. Smaller images get a border meanwhile."""

BLUR = 4.0
"""Standard deviation of the full blur in pixels: of the images that come, whatever their size,
since a hairline is a few pixels wide in small images and in large ones."""

GRAIN = 0.3
"""Standard deviation of the full grain, of the range of the values, in each colour."""


def render(
    images: Tensor,
    plan: StylePlan,
    pack: StylePack,
    *,
    working_size: int = WORKING_SIZE,
    keep: Tensor | None = None,
) -> Tensor:
    """Restyle and relight a batch as its plan says, blur it, and give it grain.

    ``out = soften(relight(x + strength * where * ((tone - x) + texture * (y - tone)))) + 0.3 *
    grain * noise``, where soften is a Gaussian of standard deviation 4 * blur pixels, y is the
    network's output for x and tone its part that is a local affine map of x; the texture, y - tone,
    is scaled down where it would drown what stands out in x. Images that the plan leaves alone come
    back bit for bit.

    Args:
        images: (B, C, H, W), uint8 or float in [0, 1], C = 1 or 3; never changed.
        plan: one row an image.
        pack: the network, and the pack that the plan was drawn from.
        working_size: above this short side the network runs on a smaller copy; tone is lifted to
            full size.
        keep: factor on strength at each pixel, in [0, 1], (B, 1, H, W); 0 protects.

    Returns:
        A new tensor of the same shape, dtype, device and memory format.

    Raises:
        ValueError: if shapes do not fit, or values are out of range.
        TypeError: if the dtype is neither uint8 nor floating point.
    """
    prepare_process(images.device)
    check_image_tensor(images, "images")
    if images.ndim != 4 or len(plan) != len(images):
        raise ValueError(
            f"render needs images (B, C, H, W) and a plan of B rows, but got "
            f"{tuple(images.shape)} and {len(plan)} rows."
        )
    if len(plan) and plan.codes.shape[1] != pack.config.code_size:
        raise ValueError(
            f"The plan must be drawn from the pack that renders it: its codes have length "
            f"{plan.codes.shape[1]}, those of {pack!r} have {pack.config.code_size}."
        )
    if (plan.donors >= len(images)).any():
        raise ValueError(
            f"The plan's donors must be rows of this batch of {len(images)}, but are "
            f"{plan.donors.tolist()}. A plan that takes styles from its batch needs all of it."
        )
    if keep is not None and keep.shape != (len(images), 1, *images.shape[-2:]):
        raise ValueError(
            f"keep must be (B, 1, H, W) for images {tuple(images.shape)}, but is "
            f"{tuple(keep.shape)}."
        )
    restyled, relit, blurred, grainy = plan.restyled, plan.relit, plan.blurred, plan.grainy
    touched = (restyled | relit | blurred | grainy).nonzero().flatten()
    # autocast is for the caller's model; inside it, an image must not come out otherwise
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        if not len(touched):
            return images.clone()
        # the plan lies on the CPU, so which images take part is known without asking the device
        x = to_rgb(to_float(_take(images, touched)))
        rows = restyled[touched].nonzero().flatten()
        if len(rows):
            some = plan.select(touched[rows].tolist())
            code = _codes(images, some, pack)
            mask = None if keep is None else _take(keep, touched[rows])
            if (some.where != 1).any():
                where = stretched(some.where.to(x.device, non_blocking=True), x.shape[-2:])
                mask = where if mask is None else where * mask.to(x.device)
            x = _put(x, rows, _restyle(_take(x, rows), code, some, pack, working_size, mask))
        rows = relit[touched].nonzero().flatten()
        if len(rows):
            light = plan.light[touched[rows]].to(x.device, non_blocking=True)
            x = _put(x, rows, relight(_take(x, rows), light))
        rows = blurred[touched].nonzero().flatten()
        if len(rows):
            x = _put(x, rows, _soften(_take(x, rows), plan.blur[touched[rows]]))
        rows = grainy[touched].nonzero().flatten()
        if len(rows):
            x = _put(x, rows, _roughen(_take(x, rows), plan.select(touched[rows].tolist()), pack))
        out = to_dtype(luma(x.clamp(0, 1)) if images.shape[1] == 1 else x, images.dtype)
        out = _put(images, touched, out)
        if images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous():
            return out.contiguous(memory_format=torch.channels_last)
        return out.contiguous()


def _restyle(
    x: Tensor,
    code: Tensor,
    plan: StylePlan,
    pack: StylePack,
    working_size: int,
    keep: Tensor | None,
) -> Tensor:
    """Tone and texture of a style on float RGB images (B, 3, H, W)."""
    height, width = x.shape[-2:]
    if min(height, width) < _SMALLEST:
        border = (0, max(0, _SMALLEST - width), 0, max(0, _SMALLEST - height))
        wide = F.pad(x, border, mode="replicate")
        mask = None if keep is None else F.pad(keep.float(), border, mode="replicate")
        return _restyle(wide, code, plan, pack, working_size, mask)[..., :height, :width]
    scale = working_size / min(height, width)
    small = x
    if scale < 1:
        size = (max(_SMALLEST, round(height * scale)), max(_SMALLEST, round(width * scale)))
        small = F.interpolate(x, size=size, mode="area")
    network = pack.network(x.device)
    dtype = next(network.parameters()).dtype
    noise = network.field(plan.place.to(x.device, non_blocking=True), *small.shape[-2:])
    y = network(small.to(dtype, memory_format=torch.channels_last), code.to(dtype), noise).float()
    return blend(x, y, plan.strength, plan.texture, small=small, keep=keep)


def blend(
    x: Tensor,
    y: Tensor,
    strength: Tensor,
    texture: Tensor,
    *,
    small: Tensor | None = None,
    keep: Tensor | None = None,
) -> Tensor:
    """Images with tone and bounded texture of their restylings, see :func:`render`.

    Args:
        x: the images (B, 3, H, W), float.
        y: their restylings, or those of ``small``.
        strength: (B,), on the CPU.
        texture: the same.
        small: smaller copies of the images that were restyled in their place.
        keep: factor on strength at each pixel (B, 1, H, W).
    """
    small = x if small is None else small
    maps = tone_map(small, y)
    change = tone_change(small, maps)
    detail = bounded_texture(small, y - small - change)
    if small is not x:
        change = tone_change(x, maps)
        size = x.shape[-2:]
        detail = F.interpolate(detail, size=size, mode="bilinear", align_corners=False)
    amount, gain = (
        v.to(x.device, non_blocking=True).view(-1, 1, 1, 1) for v in (strength, texture)
    )
    if keep is not None:
        amount = amount * keep.to(x.device, torch.float32)
    restyled: Tensor = x + amount * (change + gain * detail)
    return restyled


def _soften(x: Tensor, blur: Tensor) -> Tensor:
    """Blur float RGB images (B, 3, H, W) by (B, 2), along the columns and along the rows.

    The amounts lie on the CPU, so that the kernels are as wide as the batch needs.
    """
    count, channels, height, width = x.shape
    # below a tenth of a pixel the kernel is a single tap, and its width would divide by zero
    sigma = (BLUR * blur[..., None]).clamp_min(0.1)
    radius = ceil(3 * float(sigma.max()))
    steps = torch.arange(-radius, radius + 1, device=blur.device, dtype=blur.dtype)
    kernels = torch.exp(-0.5 * (steps / sigma) ** 2)
    # none reaches farther than its own three deviations, whatever else is in the batch
    kernels = torch.where(steps.abs() <= (3 * sigma).ceil(), kernels, 0.0)
    kernels = (kernels / kernels.sum(-1, keepdim=True)).repeat_interleave(channels, 0)[:, None]
    kernels = kernels.to(x.device, x.dtype, non_blocking=True)
    planes = F.pad(x, [radius] * 4, mode="replicate").flatten(0, 1)[None]
    planes = F.conv2d(planes, kernels[:, :, 0, :, None], groups=count * channels)
    planes = F.conv2d(planes, kernels[:, :, 1, None], groups=count * channels)
    return planes.reshape(count, channels, height, width)


def _roughen(x: Tensor, plan: StylePlan, pack: StylePack) -> Tensor:
    """Grain on float RGB images (B, 3, H, W), in each colour its own, as sensors have it."""
    field, places = pack.network(x.device).field, plan.place.to(x.device, non_blocking=True)
    # each far away from the others on the field, and from where the network looked
    colours = [field(places + k * field.PLACES // 4, *x.shape[-2:]) for k in (1, 2, 3)]
    amount = plan.grain.to(x.device, non_blocking=True).view(-1, 1, 1, 1)
    return (x + GRAIN * amount * torch.cat(colours, dim=1).float()).clamp(0, 1)


def _codes(images: Tensor, plan: StylePlan, pack: StylePack) -> Tensor:
    """Codes on the images' device; those of donors are read off the batch itself."""
    codes = plan.codes.to(images.device, non_blocking=True)
    borrowed = (plan.donors >= 0).nonzero().flatten()
    if not len(borrowed):
        return codes
    donors = plan.donors[borrowed].to(images.device, non_blocking=True)
    return _put(codes, borrowed, pack.encode(images.index_select(0, donors)))


def _take(x: Tensor, rows: Tensor) -> Tensor:
    """Some rows of ``x``, given in ascending order; all of them are ``x`` itself."""
    if len(rows) == len(x):
        return x
    return x.index_select(0, rows.to(x.device, non_blocking=True))


def _put(x: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    """A copy of ``x`` with some rows, given in ascending order, replaced."""
    if len(rows) == len(x):
        return values
    return x.index_copy(0, rows.to(x.device, non_blocking=True), values)
