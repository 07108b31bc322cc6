"""``gatys``: restyle by optimising the pixels, slowly and in any style (Gatys et al. 2016)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.gatys.config import PRECISIONS, GatysConfig, GatysProgress, GatysResult
from styleaug.gatys.objective import SMALLEST, InPieces, Objective, resized, style_grams
from styleaug.gatys.optimizers import Adam, Lbfgs
from styleaug.images.checks import check_image_tensor
from styleaug.images.color import luma, to_dtype, to_float, to_rgb
from styleaug.nn.features import cached_features
from styleaug.runtime import inference_dtype, prepare_process

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
    """Restyle a batch by optimising its pixels; its images do not influence each other.

    Args:
        content: (B, C, H, W), uint8 or float in [0, 1], C = 1 or 3.
        styles: K pictures (C, h, w) of any sizes.
        config: what is optimised, and how.
        weights: of the styles' Gram matrices, (K,) or for each image (B, K); they are divided by
            their sum. By default all styles count alike.
        mask: where an image may change, in [0, 1], (B, 1, H, W); the style is compared there alone.
        progress: called after each step.

    Raises:
        ValueError: if shapes do not fit, or values are out of range.
        TypeError: if a dtype is neither uint8 nor floating point.

    References:
        Gatys, Ecker, Bethge: Image Style Transfer Using Convolutional Neural Networks, CVPR 2016.
        Gatys et al.: Preserving Color in Neural Artistic Style Transfer, 2016 (b).
    """
    start = time.perf_counter()
    config = config or GatysConfig()
    prepare_process(content.device)
    _check(content, styles, mask)
    shares = _shares(weights, len(styles), len(content)).to(content.device)
    with (
        torch.autocast(content.device.type, enabled=False),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        original = to_rgb(to_float(content.detach())).clone()
        pictures = [to_rgb(to_float(style.detach().to(content.device)))[None] for style in styles]
        allowed = None if mask is None else mask.detach().to(content.device, torch.float32)
        x = original
        if config.preserve_color:
            x, pictures = luma(x).expand_as(x), [_toned(p, x) for p in pictures]
        size = _worked(x.shape[-2], x.shape[-1], config.working_size)
        small = _bordered(resized(x, size))
        where = None if allowed is None else _bordered(resized(allowed, size))
        found = _coarse_to_fine(small, pictures, shares, where, config, progress)
        change = (found[0] - small)[..., : size[0], : size[1]]
        change = resized(luma(change) if config.preserve_color else change, original.shape[-2:])
        out = original + (change if allowed is None else allowed * change)
        if content.shape[1] == 1:
            out = luma(out)
        images = to_dtype(out, content.dtype)
    style, data, smooth = found[1].unbind(1)
    return GatysResult(images, style, data, smooth, found[2], time.perf_counter() - start)


def _worked(height: int, width: int, short: int | None) -> tuple[int, int]:
    """The size that is optimised."""
    if short is None or min(height, width) <= short:
        return height, width
    scale = short / min(height, width)
    return round(height * scale), round(width * scale)


def _bordered(x: Tensor) -> Tensor:
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
    progress: Callable[[GatysProgress], object] | None,
) -> tuple[Tensor, Tensor, int]:
    """The optimised images, the parts of their objective, and the steps at full size."""
    textbook, device = config.method == "textbook", content.device
    precision = "fp32" if textbook else config.precision
    dtype = inference_dtype(device) if precision == "auto" else PRECISIONS[precision]
    trunk = cached_features(config.features, device, dtype)
    exact = cached_features(config.features, device, torch.float32)
    height, width = content.shape[-2:]
    kind: type[Objective | InPieces] = Objective if textbook else InPieces
    sizes = [(height, width)] if textbook else _sizes(height, width)
    steps = config.steps or (1000 if textbook else 60)
    x = before = content
    taken = 0
    for number, size in enumerate(sizes, 1):
        target = resized(content, size)
        # what is finer than the scale before comes from the content
        x = (resized(x, size) + target - resized(before, size)).clamp(0, 1)
        before = target
        allowed = None if mask is None else resized(mask, size)
        grams = style_grams(pictures, shares, min(size), config.features, config.tile)
        objective = kind(trunk, target, grams, allowed, config)
        tell = None
        if progress is not None:
            tell = _teller(progress, steps, size, number, len(sizes))
        if textbook:
            candidates, taken = [_textbook(objective, x, allowed, steps, tell)], steps
        else:
            first = steps if config.optimizer == "adam" else APPROACH
            candidates, taken = descend(
                objective, x, steps, approach=first, mask=allowed, tell=tell
            )
        x = candidates[0]
    judge = objective if dtype == torch.float32 else kind(exact, target, grams, allowed, config)
    x, parts = _best(candidates, judge)
    return x, parts, taken


def _teller(
    progress: Callable[[GatysProgress], object],
    steps: int,
    size: tuple[int, int],
    scale: int,
    scales: int,
) -> Callable[[int, Tensor], object]:
    def tell(step: int, value: Tensor) -> None:
        progress(GatysProgress(step, steps, size, scale, scales, value.mean().item()))

    return tell


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Of the scales: halves of the full size that are not too small, the smallest first."""
    sizes = [(height, width)]
    while min(sizes[0]) / 2 >= _COARSEST:
        sizes.insert(0, (round(sizes[0][0] / 2), round(sizes[0][1] / 2)))
    return sizes


APPROACH = 6
"""Steps of Adam that come before L-BFGS: far away, a quadratic model leads astray."""
_PATIENCE, _GAIN = 10, 0.1
"""Steps in which the objective must fall by this share."""

Look = Callable[[Tensor], tuple[Tensor, Tensor]]
"""An objective: images -> its parts (B, P) and their sum's gradient (B, C, H, W)."""


def descend(
    look: Look,
    start: Tensor,
    steps: int,
    *,
    approach: int = APPROACH,
    mask: Tensor | None = None,
    tell: Callable[[int, Tensor], object] | None = None,
) -> tuple[list[Tensor], int]:
    """Minimise an objective over pixels in [0, 1], each image of a batch on its own.

    Args:
        look: the objective.
        start: images (B, C, H, W).
        steps: at most.
        approach: how many of them are Adam's; the others are of L-BFGS.
        mask: where pixels may change, above 0 (B, 1, H, W).
        tell: called with each step's number and values (B,).

    Returns:
        Candidates for the best images, the lowest met and the average of the last ones; and the
        steps taken: fewer, where no image gains anything more.
    """
    optimizer: Adam | Lbfgs = Adam(0.06, 0.9, 0.99)
    x, best, average = start, start, start
    lowest = before = torch.full((len(x),), torch.inf, device=x.device)
    step = 0
    for step in range(1, steps + 1):
        if step == approach + 1:
            optimizer = Lbfgs()
        parts, gradient = look(x)
        value = parts.sum(1)
        better = value < lowest
        best = torch.where(better.view(-1, 1, 1, 1), x, best)
        lowest = torch.where(better, value, lowest)
        if tell is not None:
            tell(step, value)
        if step % _PATIENCE == 1:
            if step > 1 and bool((lowest >= (1 - _GAIN) * before).all()):
                break  # no image gains anything more; one that has arrived, at 0, neither
            before = lowest
        moved = optimizer.step(x, value, gradient).clamp(0, 1)
        x = moved if mask is None else torch.where(mask > 0, moved, start)
        average = torch.lerp(average, x, 0.1)
    return [best, x, average], step


def _textbook(
    look: Look,
    x: Tensor,
    mask: Tensor | None,
    steps: int,
    tell: Callable[[int, Tensor], object] | None,
) -> Tensor:
    """All steps of Adam with a learning rate of 0.003, and where the last one leads."""
    optimizer, start = Adam(0.003, 0.9, 0.999), x
    for step in range(1, steps + 1):
        parts, gradient = look(x)
        value = parts.sum(1)
        if tell is not None:
            tell(step, value)
        moved = optimizer.step(x, value, gradient).clamp(0, 1)
        x = moved if mask is None else torch.where(mask > 0, moved, start)
    return x


def _best(candidates: Sequence[Tensor], objective: Objective | InPieces) -> tuple[Tensor, Tensor]:
    """Of each image the candidate of the lowest objective, and its parts (B, 3)."""
    found, lowest = candidates[0], objective.parts(candidates[0])
    for candidate in candidates[1:]:
        parts = objective.parts(candidate)
        better = parts.sum(1) < lowest.sum(1)
        found = torch.where(better.view(-1, 1, 1, 1), candidate, found)
        lowest = torch.where(better[:, None], parts, lowest)
    return found, lowest


def _check(content: Tensor, styles: Sequence[Tensor], mask: Tensor | None) -> None:
    check_image_tensor(content, "content")
    if content.ndim != 4 or not len(content):
        raise ValueError(
            f"content must be a batch (B, C, H, W) of at least one image, but is "
            f"{tuple(content.shape)}."
        )
    if not len(styles):
        raise ValueError("styles must hold at least one picture, but is empty.")
    for style in styles:
        check_image_tensor(style, "a style picture")
        if style.ndim != 3:
            raise ValueError(f"A style picture must be (C, h, w), but is {tuple(style.shape)}.")
    if mask is not None and mask.shape != (len(content), 1, *content.shape[-2:]):
        raise ValueError(
            f"mask must be (B, 1, H, W) for content {tuple(content.shape)}, but is "
            f"{tuple(mask.shape)}."
        )


def _shares(weights: Tensor | Sequence[float] | None, styles: int, images: int) -> Tensor:
    """Weights (B, K) with sums of 1."""
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
    if not bool((shares >= 0).all() & (total > 0).all()):
        raise ValueError("weights must not be negative, and have a sum above 0.")
    return shares / total


def _toned(picture: Tensor, content: Tensor) -> Tensor:
    """The luma of a style picture, with mean and spread of the content's: (1, 3, h, w)."""
    gray, wanted = luma(picture), luma(content)
    spread, mean = torch.std_mean(gray)
    wanted_spread, wanted_mean = torch.std_mean(wanted)
    toned = (gray - mean) / spread.clamp_min(1e-3) * wanted_spread + wanted_mean
    return toned.clamp(0, 1).expand_as(picture)
