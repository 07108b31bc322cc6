"""Procedural pictures of industrial finishes: style references that need no photograph.

Photographs of surfaces come with licences, and collections of them have gaps: nobody publishes
ground steel under a dark-field ring light. These pictures are computed instead. A *family*
(brushed, rust, pcb, ...) draws a height map, an albedo and a gloss, and :func:`shade` lights them
the way inspection stations do. They are textures, not objects, since Gram matrices see nothing
else. There is a module for each kind of material.

All random numbers, noise fields too, come from a CPU generator seeded by family and index, so that
a name means the same picture on every machine, up to rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from styleaug.images.checks import check_choice
from styleaug.styles.procedural import (  # noqa: F401 -- each registers its families
    coatings,
    electronics,
    formed,
    machined,
    minerals,
    organic,
    textiles,
)
from styleaug.styles.procedural.drawing import Draw
from styleaug.styles.procedural.surface import families, shade

VERSION: int = 1
"""Raised when a family's pictures change, since packs name the pictures they were trained on."""
FAMILIES: tuple[str, ...] = tuple(sorted(families))
"""The names :func:`draw_finish` knows."""


def draw_finish(
    family: str, index: int, *, size: int = 256, device: torch.device | str = "cpu"
) -> Tensor:
    """Draw one picture of a finish.

    Args:
        family: one of :data:`FAMILIES`.
        index: which picture of the family; each has a scale, colour, wear and light of its own.
        size: side in pixels, 32 at least. Features keep their pixels: a larger picture shows more.
        device: where to draw.

    Returns:
        (3, size, size), float32 in [0, 1]; a function of family, index and size alone.

    Raises:
        ValueError: if the family is unknown or the size too small.
    """
    check_choice("family", family, FAMILIES)
    if size < 32:
        raise ValueError(f"A finish needs 32 pixels a side or more, but size is {size}.")
    with torch.no_grad():
        draw = Draw(family, index, size, device)
        return shade(families[family](draw), draw)
