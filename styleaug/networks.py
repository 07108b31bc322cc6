"""A pack's networks, ready to run: built once for each device and dtype, and shared by threads."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug import runtime
from styleaug.images.checks import check_image_tensor
from styleaug.images.color import to_float, to_rgb
from styleaug.nn.encoder import STYLE_SIZE, Stylizer
from styleaug.nn.features import cached_features
from styleaug.nn.fused import FusedStyleNet
from styleaug.nn.stylenet import ReferenceNet, StyleNet
from styleaug.pack import StylePack, build_stylizer

_LONGEST = 4
"""Short sides of a reference image that are looked at: its middle tells the style, and memory is
bounded."""

_stylizers: runtime.LeastRecentlyUsed[Stylizer] = runtime.LeastRecentlyUsed(8)
_networks: runtime.LeastRecentlyUsed[FusedStyleNet | ReferenceNet] = runtime.LeastRecentlyUsed(8)


def stylizer_of(
    pack: StylePack, device: torch.device, dtype: torch.dtype | None = None
) -> Stylizer:
    """Network and encoder of a pack on a device, cached per process; do not change it.

    Its weights have :func:`styleaug.runtime.inference_dtype` if no ``dtype`` is given.
    """
    runtime.prepare_process(device)
    dtype = dtype or runtime.inference_dtype(device)

    def build() -> Stylizer:
        with torch.inference_mode(False):
            stylizer = build_stylizer(pack.config, pack.state).requires_grad_(False).eval()
            return stylizer.to(memory_format=torch.channels_last).to(device, dtype)

    return _stylizers.get((pack.id, device, dtype), build)


def network_of(pack: StylePack, device: torch.device) -> FusedStyleNet | ReferenceNet:
    """The style network alone, as it is run: images and codes in float32 in, images out.

    Cached as of :func:`stylizer_of`.
    """
    dtype = runtime.inference_dtype(device)

    def build() -> FusedStyleNet | ReferenceNet:
        with torch.inference_mode(False):
            net = build_stylizer(pack.config, pack.state).requires_grad_(False).eval().net
            fused = FusedStyleNet(net) if isinstance(net, StyleNet) else net
            return fused.to(memory_format=torch.channels_last).to(device, dtype)

    runtime.prepare_process(device)
    return _networks.get((pack.id, device, dtype), build)


def encode(pack: StylePack, images: Tensor) -> Tensor:
    """Compute style codes of reference images, without training.

    Args:
        pack: pack whose encoder is used.
        images: (B, C, H, W), uint8, uint16 or float in [0, 1], C = 1 or 3, on any device.

    Returns:
        (B, code_size), float32, on the images' device.

    Raises:
        ValueError: if the shape or the values are out of bounds.
        TypeError: if the dtype is neither uint8, uint16 nor floating point.
    """
    runtime.prepare_process(images.device)
    check_image_tensor(images, "a reference image")
    if images.ndim != 4:
        raise ValueError(
            f"encode needs reference images (B, C, H, W), but got {tuple(images.shape)}."
        )
    # no_grad, not inference_mode: whoever trains on a code needs an ordinary tensor
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        x = as_reference(images)
        # float32: a code serves many images, so its precision is worth its time
        stylizer = stylizer_of(pack, x.device, torch.float32)
        return stylizer.encode(x, cached_features("vgg16", x.device, torch.float32)).float()


def as_picture(picture: Tensor) -> Tensor:
    """A style picture (C, h, w) as RGB in float32: (3, h, w).

    Raises:
        ValueError: if it is not a picture.
        TypeError: if its dtype is neither uint8, uint16 nor floating point.
    """
    check_image_tensor(picture, "a style picture")
    if picture.ndim != 3:
        raise ValueError(f"A style picture must be (C, h, w), but is {tuple(picture.shape)}.")
    return to_rgb(to_float(picture.detach())).contiguous()


def as_reference(images: Tensor) -> Tensor:
    """Reference images (B, C, H, W) as they are looked at: RGB, float, short side STYLE_SIZE."""
    images = _middle(images)
    height, width = images.shape[-2:]
    scale = STYLE_SIZE / min(height, width)
    size = (max(STYLE_SIZE, round(height * scale)), max(STYLE_SIZE, round(width * scale)))
    x = to_rgb(to_float(images))
    if size == (height, width):
        return x
    return F.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)


def _middle(images: Tensor) -> Tensor:
    """The middle of images longer than _LONGEST short sides: a line scan may be a thousand long."""
    longest = _LONGEST * min(images.shape[-2:])
    top, left = (max(0, length - longest) // 2 for length in images.shape[-2:])
    return images[..., top : top + longest, left : left + longest]
