"""``restyle_texture``: new colours for a texture's islands, without new seams between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from styleaug.images.io import image_like, pixels_of
from styleaug.mesh.fill import Points, fill
from styleaug.mesh.uv import Surface, along_seams

Change = Callable[[Tensor], Tensor]
"""What makes other pixels of those of an image: (C, H, W) uint8 to the same."""

GUTTER = 1 / 256
"""How far new colours reach beyond an island, as a share of the texture's side: filters and mipmaps
take a part of what lies there."""

_BORDER, _LEAST_BORDER = 1 / 16, 32
"""How much of a tiling texture is repeated around it, and blended: a share of its side, and texels
at least, which is about as far as the network looks."""

_DEPTHS = (0, 1, 2)
"""Texels from a seam at which both sides must change alike."""

_ROUNDS = 20
"""Of levelling seams: where three islands meet, what suits two of them moves the third."""


@dataclass(frozen=True, eq=False)
class Texture:
    """A base-colour texture.

    Attributes:
        image: of 8 bits, of any mode.
        surface: what it covers; None if that is not known: then all of it counts.
        repeats: whether it is repeated where UVs leave [0, 1], along y and x.
    """

    image: Image.Image
    surface: Surface | None = None
    repeats: tuple[bool, bool] = (True, True)


def restyle_texture(texture: Texture, change: Change) -> Image.Image:
    """Change the colours of a texture; its alpha stays, and so does what lies beyond its islands.

    Islands are dilated before, so that no background bleeds into them, and cut out after. A texture
    that tiles is repeated around itself, and its opposite borders are blended. Where the surface
    has a seam, both sides change by the same amount, unless texels are used again and again.

    Returns:
        An image of the same mode and size; the very image if nothing changes.
    """
    before = pixels_of(texture.image)
    size = before.shape[1], before.shape[2]
    surface = texture.surface
    if surface is None or not len(surface.uv):
        after = change(before)
        return texture.image if torch.equal(before, after) else image_like(after, texture.image)
    over, reach = surface.overflows(*size), surface.reaches(*size)
    repeats = texture.repeats
    tiles = repeats[0] and (over[0] or reach[0]), repeats[1] and (over[1] or reach[1])
    islands = torch.ones(size, dtype=torch.int32)
    if not any(over):  # what is met again and again has neither background nor seams of its own
        islands = torch.from_numpy(surface.islands(*size).copy())
    labels = _dilated(islands)
    dilated = _extended(before, islands > 0)
    after = _tiled(dilated, change, tiles)
    if torch.equal(dilated, after):
        return texture.image
    if not any(over):
        _level(dilated, after, labels, surface, tiles)
    return image_like(torch.where(labels > 0, after, before), texture.image)


def _dilated(islands: Tensor) -> Tensor:
    """Islands (H, W) with a gutter around each of them."""
    reach = max(2, round(max(islands.shape) * GUTTER))
    grown = islands[None].float()
    for kernel, border in (((2 * reach + 1, 1), (reach, 0)), ((1, 2 * reach + 1), (0, reach))):
        grown = F.max_pool2d(grown, kernel, stride=1, padding=border)
    return torch.where(islands > 0, islands, grown[0].to(islands.dtype))


def _extended(image: Tensor, known: Tensor) -> Tensor:
    """Colours of the islands on the background, too."""
    if known.all():
        return image
    share = known.float()
    filled = [fill(channel.float(), share).round_().to(image.dtype) for channel in image]
    return torch.where(known, image, torch.stack(filled))


def _tiled(image: Tensor, change: Change, tiles: tuple[bool, bool]) -> Tensor:
    """Change an image (C, H, W) so that it tiles after if it did before."""
    wide = image
    borders = [max(_LEAST_BORDER, round(length * _BORDER)) for length in image.shape[1:]]
    for dim, (border, repeated) in enumerate(zip(borders, tiles, strict=True), 1):
        if repeated:
            places = torch.arange(-border, image.shape[dim] + 2 * border) % image.shape[dim]
            wide = wide.index_select(dim, places)
    wide = change(wide)
    for dim, (border, repeated) in enumerate(zip(borders, tiles, strict=True), 1):
        if repeated:  # what goes on behind one border turns into what begins at the other
            length = image.shape[dim]
            blended = min(border, length)
            beyond = wide.narrow(dim, border + length, blended).float()
            wide = wide.narrow(dim, border, length).clone()
            begin = wide.narrow(dim, 0, blended)
            way = ((torch.arange(blended) + 0.5) / blended).view((-1, 1) if dim == 1 else (-1,))
            begin.copy_(beyond.lerp_(begin.float(), way).round_())
    return wide


def _level(
    before: Tensor, after: Tensor, labels: Tensor, surface: Surface, tiles: tuple[bool, bool]
) -> None:
    """Let both sides of each seam change by the mean of both, and blend that in, island by island.

    Args:
        before: (C, H, W), uint8.
        after: the same; is changed.
        labels: the island of each texel (H, W).
        surface: that has the seams.
        tiles: whether the texture repeats, along y and x.
    """
    size = before.shape[1], before.shape[2]
    seams = surface.seams()
    if not len(seams[0]):
        return
    sides = [along_seams(seams, size, depth) for depth in _DEPTHS]
    one, other = (Points.of(np.concatenate([s[k] for s in sides]), size, tiles) for k in range(2))
    texels, places = torch.unique(torch.stack([one.texels, other.texels]), return_inverse=True)
    one, other = Points(places[0], one.shares), Points(places[1], other.shares)
    weight = torch.zeros(len(texels))
    for side in (one, other):
        side.spread(torch.ones(side.shares.shape[1]), weight)
    known = torch.zeros(size)
    known.view(-1)[texels] = 1
    boxes = _boxes(labels)
    for channel in range(len(before)):
        start = before[channel].float()
        change = after[channel].float().sub_(start)
        first = change.view(-1)[texels]
        levelled = first.clone()
        for _ in range(_ROUNDS):
            half = (other.at(levelled) - one.at(levelled)) / 2
            wanted = torch.zeros(len(texels))
            one.spread(half, wanted)
            other.spread(-half, wanted)
            levelled += wanted / weight.clamp_min(1e-3)
        moved = torch.zeros(size)
        moved.view(-1)[texels] = levelled - first
        for label, box in boxes:
            own = labels[box] == label
            seam = known[box] * own
            if seam.any():
                change[box] += fill(moved[box], seam).mul_(own)
        after[channel] = start.add_(change).round_().clamp_(0, 255)


def _boxes(labels: Tensor) -> list[tuple[int, tuple[slice, slice]]]:
    """Each island with the rows and columns that hold it."""
    bounds = torch.zeros(int(labels.max()) + 1, 4, dtype=torch.int64)
    bounds[:, ::2] = max(labels.shape)
    rows = torch.arange(labels.shape[0]), torch.arange(labels.shape[1])
    for k, places in enumerate((rows[0][:, None], rows[1][None])):
        flat, index = places.expand(labels.shape).reshape(-1), labels.reshape(-1).long()
        bounds[:, 2 * k].scatter_reduce_(0, index, flat, "amin")
        bounds[:, 2 * k + 1].scatter_reduce_(0, index, flat, "amax")
    return [
        (label, (slice(top, bottom + 1), slice(left, right + 1)))
        for label, (top, bottom, left, right) in enumerate(bounds.tolist())
        if label and bottom >= top
    ]
