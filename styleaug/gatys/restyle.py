"""``gatys``: restyle by optimising the pixels, slowly and in any style (Gatys et al. 2016)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.gatys.config import PRECISIONS, GatysConfig, GatysProgress, GatysResult
from styleaug.gatys.descent import (
    APPROACH,
    NonFiniteObjective,
    choose_best,
    descend,
    descend_by_textbook,
)
from styleaug.gatys.objective import ChunkedObjective, resize, style_grams
from styleaug.gatys.tiles import SMALLEST
from styleaug.images.checks import check_image_tensor, check_mask
from styleaug.images.color import luma, to_dtype, to_float, to_rgb
from styleaug.networks import as_picture
from styleaug.nn.features import cached_features
from styleaug.runtime import inference_dtype, prepare_process

log = logging.getLogger(__name__)

_COARSEST = 96
"""Short side in pixels below which no coarser scale comes first."""


def gatys(
    content: Tensor,
    styles: Sequence[Tensor],
    config: GatysConfig | None = None,
    *,
    weights: Tensor | Sequence[float] | None = None,
    mask: Tensor | None = None,
    progress: Callable[[GatysProgress], object] | None = None,
) -> GatysResult:
    """Restyle a batch by optimizing its pixels; images do not influence each other.

    Args:
        content: (B, C, H, W), uint8 or float in [0, 1], C = 1 or 3.
        styles: K pictures (C, h, w) of any size.
        config: objective and method.
        weights: weights of the styles' Gram matrices, (K,) or for each image (B, K), divided by
            their sum. By default all styles have equal weight.
        mask: where an image may change, (B, 1, H, W), in [0, 1]; the style is compared only there.
        progress: called after each step.

    Raises:
        ValueError: if shapes do not fit, or values are out of range.
        TypeError: if a dtype is neither uint8, uint16 nor floating point.
        NonFiniteObjective: if an image's objective overflows or is NaN even in float32.

    References:
        Gatys, Ecker, Bethge: Image Style Transfer Using Convolutional Neural Networks, CVPR 2016.
        Gatys et al.: Preserving Color in Neural Artistic Style Transfer, 2016 (b).
    """
    start = time.perf_counter()
    config = config or GatysConfig()
    prepare_process(content.device)
    _check_inputs(content, mask)
    if not len(styles):
        raise ValueError("styles must hold at least one picture, but is empty.")
    pictures = [as_picture(style) for style in styles]
    shares = normalize_weights(weights, len(styles), len(content)).to(content.device)
    with (
        torch.autocast(content.device.type, enabled=False),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        original = to_rgb(to_float(content.detach())).clone()
        pictures = [style.to(content.device)[None] for style in pictures]
        allowed = None if mask is None else mask.detach().to(content.device, torch.float32)
        x = original
        if config.preserve_color:
            x, pictures = luma(x).expand_as(x), [_match_luma(p, x) for p in pictures]
        size = _working_size(x.shape[-2], x.shape[-1], config.working_size)
        small = _pad_to_smallest(resize(x, size))
        where = None if allowed is None else _pad_to_smallest(resize(allowed, size))
        optimise = partial(_coarse_to_fine, small, pictures, shares, where, config)
        dtype = _choose_dtype(config, content.device)
        try:
            found = optimise(dtype, progress)
        except NonFiniteObjective:
            if dtype == torch.float32:
                raise
            log.warning("The objective leaves the range of %s; starting again in float32.", dtype)
            found = optimise(torch.float32, progress)
        change = (found[0] - small)[..., : size[0], : size[1]]
        change = resize(luma(change) if config.preserve_color else change, original.shape[-2:])
        out = original + (change if allowed is None else allowed * change)
        if content.shape[1] == 1:
            out = luma(out)
        images = to_dtype(out, content.dtype)
    style, data, smooth = found[1].unbind(1)
    return GatysResult(images, style, data, smooth, found[2], time.perf_counter() - start)


def _choose_dtype(config: GatysConfig, device: torch.device) -> torch.dtype:
    """What the features are computed in."""
    if config.variant == "textbook":
        return torch.float32
    return inference_dtype(device) if config.precision == "auto" else PRECISIONS[config.precision]


def _working_size(height: int, width: int, short: int | None) -> tuple[int, int]:
    """The size that is optimised."""
    if short is None or min(height, width) <= short:
        return height, width
    scale = short / min(height, width)
    return round(height * scale), round(width * scale)


def _pad_to_smallest(x: Tensor) -> Tensor:
    """Images of at least SMALLEST pixels a side."""
    height, width = x.shape[-2:]
    border = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
    return F.pad(x, border, mode="replicate") if any(border) else x


def _coarse_to_fine(
    content: Tensor,
    pictures: Sequence[Tensor],
    shares: Tensor,
    mask: Tensor | None,
    config: GatysConfig,
    dtype: torch.dtype,
    progress: Callable[[GatysProgress], object] | None,
) -> tuple[Tensor, Tensor, int]:
    """The optimised images, the parts of their objective, and the steps at full size."""
    textbook, device = config.variant == "textbook", content.device
    trunk = cached_features(config.features, device, dtype)
    height, width = content.shape[-2:]
    sizes = [(height, width)] if textbook else _list_sizes(height, width)
    steps = config.steps or (1000 if textbook else 60)
    x = before = content
    taken = 0
    for number, size in enumerate(sizes, 1):
        target = resize(content, size)
        # what is finer than the scale before comes from the content
        x = (resize(x, size) + target - resize(before, size)).clamp(0, 1)
        before = target
        allowed = None if mask is None else resize(mask, size)
        grams = style_grams(pictures, shares, min(size), config.features, config.tile)
        objective = ChunkedObjective(trunk, target, grams, allowed, config)
        tell = None
        if progress is not None:
            tell = _make_teller(progress, steps, size, number, len(sizes))
        if textbook:
            candidates, taken = [descend_by_textbook(objective, x, allowed, steps, tell)], steps
        else:
            first = steps if config.optimizer == "adam" else APPROACH
            candidates, taken = descend(
                objective, x, steps, approach=first, mask=allowed, tell=tell
            )
        x = candidates[0]
    if dtype != torch.float32:
        exact = cached_features(config.features, device, torch.float32)
        objective = ChunkedObjective(exact, target, grams, allowed, config)
    x, parts = choose_best(candidates, objective)
    return x, parts, taken


def _make_teller(
    progress: Callable[[GatysProgress], object],
    steps: int,
    size: tuple[int, int],
    scale: int,
    scales: int,
) -> Callable[[int, Tensor], object]:
    def tell(step: int, value: Tensor) -> None:
        progress(GatysProgress(step, steps, size, scale, scales, value.mean().item()))

    return tell


def _list_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Of the scales: halves of the full size that are not too small, the smallest first."""
    sizes = [(height, width)]
    while min(sizes[0]) / 2 >= _COARSEST:
        sizes.insert(0, (round(sizes[0][0] / 2), round(sizes[0][1] / 2)))
    return sizes


def _check_inputs(content: Tensor, mask: Tensor | None) -> None:
    check_image_tensor(content, "content")
    if content.ndim != 4 or not len(content):
        raise ValueError(
            f"content must be a batch (B, C, H, W) of at least one image, but is "
            f"{tuple(content.shape)}."
        )
    if mask is not None and mask.shape != (len(content), 1, *content.shape[-2:]):
        raise ValueError(
            f"mask must be (B, 1, H, W) for content {tuple(content.shape)}, but is "
            f"{tuple(mask.shape)}."
        )
    if mask is not None:
        check_mask("mask", mask)


def normalize_weights(weights: Tensor | Sequence[float] | None, styles: int, images: int) -> Tensor:
    """Weights of styles as shares, (B, K) with sums of 1.

    Args:
        weights: (K,), (B, K), or None: all alike.
        styles: K.
        images: B.

    Raises:
        ValueError: if their shape does not fit, one is negative, or all are 0.
    """
    if weights is None:
        return torch.full((images, styles), 1 / styles)
    shares = torch.as_tensor(weights, dtype=torch.float32)
    if shares.shape not in ((styles,), (images, styles)):
        raise ValueError(
            f"weights must be ({styles},) or ({images}, {styles}), one for each style, but are "
            f"{tuple(shares.shape)}."
        )
    shares = shares.expand(images, styles)
    total = shares.sum(1, keepdim=True)
    if not bool((shares >= 0).all() & (total > 0).all() & total.isfinite().all()):
        raise ValueError(
            f"weights must be finite, not negative, and have a sum above 0, but are {weights}."
        )
    return shares / total


def _match_luma(picture: Tensor, content: Tensor) -> Tensor:
    """The luma of a style picture, with mean and spread of the content's: (1, 3, h, w)."""
    gray, wanted = luma(picture), luma(content)
    spread, mean = torch.std_mean(gray)
    wanted_spread, wanted_mean = torch.std_mean(wanted)
    toned = (gray - mean) / spread.clamp_min(1e-3) * wanted_spread + wanted_mean
    return toned.clamp(0, 1).expand_as(picture)
