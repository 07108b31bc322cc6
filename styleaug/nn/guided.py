"""Guided filter: parts a restyling into tone, which follows the image, and bounded texture."""

from __future__ import annotations

from torch import Tensor, cat, split
from torch.nn import functional as F

from styleaug.images.color import luma

SUBSAMPLE = 4
"""The local affine maps are fitted on a grid this much coarser, then interpolated (He and Sun
2015): they are smooth by construction, and the box filters cost a sixteenth."""

RADIUS = 4
"""Box radius in cells of the coarse grid: windows of 36 pixels."""

REGULARIZATION = 4e-3
"""Luma variance below which an area counts as flat: (16 of 255 levels) squared."""

GAIN = (0.5, 2.5)
"""Bounds of the tone's local luma gain. No local contrast falls below half, whatever the network
does to it, and sensor noise is not blown up more than two and a half times."""


TEXTURE_SHARE = 0.3
"""Largest standard deviation of a texture's luma, relative to the strongest local contrast of the
image that it is laid on. If there is a defect to be drowned, it is that contrast or close to it."""

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
    small = _shrink(images)
    guide = luma(small)
    target = _shrink(restyled) - small
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


def tone_change(images: Tensor, maps: tuple[Tensor, Tensor]) -> Tensor:
    """``tone - images``; ``images`` may be larger than what the maps were fitted on.

    Args:
        images: (B, 3, H, W), float.
        maps: from :func:`tone_map`.

    Returns:
        (B, 3, H, W).
    """
    size = images.shape[-2:]
    a, b = (F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in maps)
    return b.addcmul_(a, luma(images))


def bounded_texture(images: Tensor, texture: Tensor) -> Tensor:
    """Scale textures down, each as a whole, that would drown what stands out in their image.

    The strongest local contrast is the largest difference of two means of luma, over 4 and over 20
    pixels: noise hardly counts in them, scratches and spots do.

    Args:
        images: (B, 3, H, W), float.
        texture: what is to be added to them, (B, 3, H, W).

    Returns:
        (B, 3, H, W).
    """
    near = _shrink(luma(images))
    wide = F.avg_pool2d(near, 5, stride=1, padding=2, count_include_pad=False)
    contrast = (near - wide).abs().amax((1, 2, 3), keepdim=True).clamp_min(PLAIN_CONTRAST)
    # 1e-4: no texture at all divides by nothing
    spread = luma(texture).std((1, 2, 3), keepdim=True) + 1e-4
    return texture * (TEXTURE_SHARE * contrast / spread).clamp_max(1)


def _shrink(images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    size = (-(-height // SUBSAMPLE), -(-width // SUBSAMPLE))
    return F.adaptive_avg_pool2d(images, size)


def _box(x: Tensor) -> Tensor:
    """Mean over windows, over what lies inside the image at the border."""
    return F.avg_pool2d(x, 2 * RADIUS + 1, stride=1, padding=RADIUS, count_include_pad=False)
