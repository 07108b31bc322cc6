"""What is measured, as pure functions of images, features and masks: no files, no packs.

Everything is in float32 on the CPU; images are (B, 3, H, W) in [0, 1] unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.audit.measures import THRESHOLD
from styleaug.images.color import luma
from styleaug.nn.encoder import ENCODER_LAYERS
from styleaug.nn.features import VGGFeatures
from styleaug.nn.perceptual import (
    CONTENT_WEIGHTS,
    STYLE_WEIGHT,
    content_distances,
    style_distances,
)

Row = dict[str, Any]
"""A row of the result, without its part: group, setting, statistic, value."""

# style


def style_and_root(
    images: Tensor, target: Sequence[Tensor], typical: Tensor, trunk: VGGFeatures
) -> tuple[Tensor, Tensor]:
    """The training's style distance, and the same of unsquared norms: each (B,), means over layers.

    ``target`` holds Gram matrices (B, C, C), ``typical`` the median norm over styles of each layer.
    """
    layers = style_distances(trunk(images, ENCODER_LAYERS), target, typical)
    return layers.mean(0), layers.sqrt().mean(0)


def objective(
    images: Tensor,
    content: dict[str, Tensor],
    target: Sequence[Tensor],
    typical: Tensor,
    trunk: VGGFeatures,
) -> tuple[Tensor, Tensor]:
    """What Gatys et al. 2016 minimize over pixels: its weighted style and content parts, each (B,).

    ``content`` holds features of the contents; ``target`` and ``typical``: :func:`style_and_root`.
    """
    found = trunk(images, {*ENCODER_LAYERS, *CONTENT_WEIGHTS})
    style = style_distances(found, target, typical).mean(0)
    return STYLE_WEIGHT * style, content_distances(found, content)


# diversity


def colour_statistics(images: Tensor) -> Tensor:
    """Mean, standard deviation and covariances of the three channels: -> (B, 9)."""
    flat = images.flatten(2)
    mean = flat.mean(2)
    centred = flat - mean[..., None]
    covariance = centred @ centred.transpose(1, 2) / flat.shape[2]
    rows, columns = torch.triu_indices(3, 3, 1)
    deviation = covariance.diagonal(dim1=1, dim2=2).sqrt()
    return torch.cat([mean, deviation, covariance[:, rows, columns]], dim=1)


def texture_statistics(images: Tensor, trunk: VGGFeatures) -> Tensor:
    """``log(1 + std)`` of every channel of the style layers, of gray copies: -> (B, 960).

    The copies have mean 0.5 and standard deviation 0.2, so that colour and contrast do not enter.
    Below 2 of 255 levels the contrast is not lifted further: that would be noise.
    """
    gray = luma(images)
    deviation, mean = torch.std_mean(gray, dim=(1, 2, 3), keepdim=True, correction=0)
    gray = (gray - mean) / deviation.clamp_min(2 / 255) * 0.2 + 0.5
    found = trunk(gray.expand(-1, 3, -1, -1), ENCODER_LAYERS)
    parts = [found[layer].float().flatten(2).std(2, correction=0) for layer in ENCODER_LAYERS]
    return torch.cat(parts, dim=1).log1p()


def spread_ratio(outputs: Tensor, styles: Tensor) -> tuple[float, float]:
    """How far outputs spread over the styles, relative to the styles' own spread; and how alike.

    Each statistic is standardized by its deviation over the styles; those that do not vary are left
    out. The spread is the root of the mean variance: 1 is as diverse as the styles, 0 all alike.
    Spread could also go astray, hence the second value: the correlation of each statistic with its
    style's, averaged over statistics.

    Args:
        outputs: statistics (N, D) of one content image in N styles. One content at a time: what
            contents add to the spread must not count.
        styles: statistics (N, D) of the styles themselves.
    """
    own = styles.std(0, correction=0)
    varying = own > 1e-3 * own.max()
    wanted = ((styles - styles.mean(0)) / own)[:, varying]
    found = ((outputs - outputs.mean(0)) / own)[:, varying]
    variance = found.square().mean(0)
    # 1e-4: a statistic that stays where it is follows nothing, whatever rounding says
    correlation = (wanted * found).mean(0) / (variance + 1e-4**2).sqrt()
    return float(variance.mean().sqrt()), float(correlation.mean())


# hallucination


def detections(score: Tensor, before: Tensor | None = None) -> int:
    """Connected regions of :func:`~styleaug.audit.measures.conspicuity`, of 9 pixels at least.

    Where ``before``, the score of the image before restyling, reached two thirds of the threshold
    anywhere in a region, that does not count: what was conspicuous before is no invention.
    """
    import cv2  # of the bench extra

    hot = (score[0, 0] > THRESHOLD).to(torch.uint8).numpy()
    count, labels, regions, _ = cv2.connectedComponentsWithStats(hot, connectivity=8)
    large = {k for k in range(1, count) if regions[k, cv2.CC_STAT_AREA] >= 9}
    if before is not None:
        large -= set(np.unique(labels[(before[0, 0] > THRESHOLD * 2 / 3).numpy()]))
    return len(large)


# geometry


def displacements(before: Tensor, after: Tensor, patch: int = 64) -> tuple[Tensor, Tensor]:
    """How far edges moved, by phase correlation of gradient magnitudes: (N, 2), and peaks (N,).

    In pixels, down and right.

    Patches without structure in ``before`` are left out: their gradient magnitude must deviate by
    4 levels. A peak is 1 where ``after`` is ``before`` moved as a whole. The cross-power spectrum
    is weighted by a Gaussian, one pixel wide in space, so that the peak is one, whose logarithm is
    a parabola: it is found to a fraction of a pixel.
    """
    pieces = [_patches(gradient_magnitude(luma(x)), patch) for x in (before, after)]
    structured = pieces[0].flatten(1).std(1) > 4 / 255
    if not structured.any():  # MKL transforms no empty batch
        return before.new_zeros(0, 2), before.new_zeros(0)
    window = torch.hann_window(patch, periodic=False)
    spectra = []
    for piece in pieces:
        piece = piece[structured]
        piece = (piece - piece.mean((1, 2), keepdim=True)) * window[:, None] * window
        spectra.append(torch.fft.fft2(piece))
    cross = spectra[1] * spectra[0].conj()
    cross = cross / cross.abs().clamp_min(1e-12)
    frequency = torch.fft.fftfreq(patch)
    weight = torch.exp(-2 * torch.pi**2 * (frequency[:, None].square() + frequency.square()))
    surface = torch.fft.ifft2(cross * weight).real / weight.mean()
    peak, index = surface.flatten(1).max(1)
    rows, columns = index // patch, index % patch
    image = torch.arange(len(surface))

    def value(dy: int, dx: int) -> Tensor:
        return surface[image, (rows + dy) % patch, (columns + dx) % patch].clamp_min(1e-6).log()

    def vertex(low: Tensor, high: Tensor) -> Tensor:
        curvature = (2 * value(0, 0) - low - high).clamp_min(1e-6)
        return ((high - low) / (2 * curvature)).clamp(-0.5, 0.5)

    def signed(place: Tensor) -> Tensor:
        return (place + patch // 2) % patch - patch // 2

    down = signed(rows) + vertex(value(-1, 0), value(1, 0))
    right = signed(columns) + vertex(value(0, -1), value(0, 1))
    return torch.stack([down, right], dim=1), peak


def gradient_magnitude(gray: Tensor) -> Tensor:
    """Length of the central differences (B, 1, H, W): edges, whatever their polarity."""
    padded = F.pad(gray, (1, 1, 1, 1), mode="replicate")
    right = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return torch.hypot(right, down) / 2


def _patches(gray: Tensor, side: int) -> Tensor:
    """Squares of an image (B, 1, H, W), side by side: -> (N, side, side); rests are left out."""
    return gray[:, 0].unfold(1, side, side).unfold(2, side, side).flatten(0, 2)


# numbers


def rows(group: str, setting: str, statistics: Mapping[str, float]) -> list[Row]:
    """A row for each statistic."""
    return [
        {"group": group, "setting": setting, "statistic": name, "value": value}
        for name, value in statistics.items()
    ]


def standard_error(values: np.ndarray) -> float:
    """Of the mean; 0 of a single value, which tells nothing of it."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0


def summary(values: Sequence[float], *, high: int = 90) -> dict[str, float]:
    """Median, 10th and a high percentile, and count; the count alone where there is nothing."""
    if not len(values):
        return {"count": 0}
    return {
        "median": float(np.median(values)),
        "p10": float(np.percentile(values, 10)),
        f"p{high}": float(np.percentile(values, high)),
        "count": len(values),
    }


def survival(kept: Sequence[Sequence[float]]) -> dict[str, float]:
    """Median and tenth percentile of what is kept, and the share lost, below a half.

    The standard error is over defects, whose repeats are averaged: repeats of one are no new ones.
    """
    array = np.asarray(kept)
    lost = 100 * (array < 0.5).mean(1)
    return {
        "lost": float(lost.mean()),
        "lost standard error": standard_error(lost),
        "median": float(np.median(array)),
        "p10": float(np.percentile(array, 10)),
        "count": len(array),
    }
