"""Guided filter: splits a restyling into tone, which follows the image, and bounded texture."""

from __future__ import annotations

import torch
from torch import Tensor, cat, split, stack, unflatten
from torch.nn import functional as F

from styleaug.images.color import luma
from styleaug.nn.resample import average, by_hand, interpolate

SUBSAMPLE = 4
"""The local affine maps are fitted on a grid this much coarser, then interpolated (He and Sun
2015): they are smooth by construction, and the box filters cost a sixteenth."""

RADIUS = 4
"""Box radius in cells of the coarse grid: windows of 36 pixels."""

_SIDE = 2 * RADIUS + 1

REGULARIZATION = 4e-3
"""Luma variance below which an area counts as flat: (16 of 255 levels) squared."""

GAIN = (0.5, 2.5)
"""Bounds of the tone's local luma gain. No local contrast falls below half, whatever the network
does to it, and sensor noise is not blown up more than two and a half times."""


TEXTURE_SHARE = 0.27
"""Largest standard deviation of a texture's luma, relative to the strongest local contrast of the
image that it is laid on. If there is a defect to be drowned, it is that contrast or close to it."""

REACH = 2
"""Cells of the coarse grid, 8 pixels, between a place and the two that it is compared with."""

PLAIN_CONTRAST = 0.1
"""Local contrast (25 of 255 levels) that an image is credited with at least. Plain surfaces must
get texture too: were it a privilege of images with a defect, a detector would learn that."""


def tone_map(images: Tensor, restyled: Tensor) -> tuple[Tensor, Tensor]:
    """Fit the tone of a restyling as local affine maps of the image's luma.

    ``tone = images + a * luma(images) + b``, with a and b fitted to ``restyled - images`` by a
    guided filter (He et al. 2010). Fitting the difference, not the restyled image itself, leaves at
    full contrast what the filter takes for flat, faint scratches among it, and keeps colour defects
    of constant luma.

    Args:
        images: (B, 3, H, W), float.
        restyled: the network's output for them, (B, 3, H, W).

    Returns:
        a and b, each (B, 3, ceil(H / 4), ceil(W / 4)), for :func:`tone_change`.
    """
    guide, target = _shrink(luma(images)), _shrink(restyled - images)
    means = _box(cat([guide, target, guide * guide, guide * target], dim=1))
    guide_mean, target_mean, guide_square, product = split(means, [1, 3, 1, 3], dim=1)
    variance = (guide_square - guide_mean.square()).clamp_min(0)
    covariance = product - guide_mean * target_mean
    a = covariance / (variance + REGULARIZATION)
    # shift all three colours alike, so that the luma's gain, 1 + luma(a), keeps to its bounds
    gain = 1 + luma(a)
    a = a + (gain.clamp(*GAIN) - gain)
    b = target_mean - a * guide_mean
    a, b = _box(cat([a, b], dim=1)).chunk(2, dim=1)
    return a, b


def tone_change(images: Tensor, maps: tuple[Tensor, Tensor], rows: slice | None = None) -> Tensor:
    """``tone - images``; ``images`` may be larger than what the maps were fitted on.

    Args:
        images: (B, 3, H, W), float.
        maps: from :func:`tone_map`.
        rows: of the H rows those to come out; all by default.

    Returns:
        (B, 3, H, W), or as many rows.
    """
    a, b = (interpolate(m, images.shape[-2:], rows) for m in maps)
    return b.addcmul_(a, luma(images if rows is None else images[:, :, rows]))


def bounded_texture(images: Tensor, texture: Tensor) -> Tensor:
    """Scale textures down, each as a whole, that would drown what stands out in their image.

    Args:
        images: (B, 3, H, W), float.
        texture: what is to be added to them, (B, 3, H, W).

    Returns:
        (B, 3, H, W).
    """
    contrast = standing_out(_shrink(luma(images))).amax((1, 2, 3), keepdim=True)
    contrast = contrast.clamp_min(PLAIN_CONTRAST)
    # 1e-4: no texture at all divides by nothing
    spread = luma(texture).std((1, 2, 3), keepdim=True) + 1e-4
    return texture * (TEXTURE_SHARE * contrast / spread).clamp_max(1)


def standing_out(values: Tensor) -> Tensor:
    """How far each place differs from what lies on both sides of it.

    Along each of four axes the smaller of both differences, if they have one sign; of the four the
    second largest. A scratch stands out along three axes, a spot along all. The outline of a part
    does not, straight, curved or cornered: along most axes one side of it is the part itself. Were
    it to count, the texture on a part before a dark background could drown every faint defect.

    Args:
        values: (B, 1, H, W).

    Returns:
        (B, 1, H, W), at least 0.
    """
    height, width = values.shape[-2:]
    wide = F.pad(values, [REACH] * 4, mode="replicate")

    def beside(*places: tuple[int, int]) -> Tensor:
        corners = [(REACH * (1 + down), REACH * (1 + right)) for down, right in places]
        return values - stack(
            [wide[..., top : top + height, left : left + width] for top, left in corners]
        )

    one = beside((0, 1), (1, 0), (1, 1), (1, -1))
    other = beside((0, -1), (-1, 0), (-1, -1), (-1, 1))
    # brighter than both or darker than both; else negative
    both = torch.maximum(torch.minimum(one, other), -torch.maximum(one, other))
    pairs = unflatten(both, 0, (2, 2))
    lower, upper = pairs.amin(1).amax(0), pairs.amax(1).amin(0)
    return torch.maximum(lower, upper).clamp_min_(0)  # the second largest of four


def _shrink(images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    return average(images, (-(-height // SUBSAMPLE), -(-width // SUBSAMPLE)))


def _box(x: Tensor) -> Tensor:
    """Mean over windows, over what lies inside the image at the border."""
    for dim in (2, 3):
        if by_hand(x):
            x = _mean_along(x, dim)
        else:
            kernel, padding = ((_SIDE, 1), (RADIUS, 0)) if dim == 2 else ((1, _SIDE), (0, RADIUS))
            x = F.avg_pool2d(x, kernel, stride=1, padding=padding, count_include_pad=False)
    return x


def _mean_along(x: Tensor, dim: int) -> Tensor:
    """The same along one dimension, by sums of 2, 4, 8 and 9: a CPU pools a sixth as fast."""
    length = x.shape[dim]
    around = (RADIUS, RADIUS) if dim == 3 else (0, 0, RADIUS, RADIUS)
    wide = total = F.pad(x, around)
    for reach in (1, 2, 4):  # sums of twice as many
        count = total.shape[dim] - reach
        total = total.narrow(dim, 0, count) + total.narrow(dim, reach, count)
    total = total.narrow(dim, 0, length).add_(wide.narrow(dim, _SIDE - 1, length))
    places = torch.arange(length, device=x.device)
    inside = (places + RADIUS).clamp_max(length - 1) - (places - RADIUS).clamp_min(0) + 1
    return total.div_(inside.view([-1, 1][: 4 - dim]))
