"""The picture of the page: its defects, what is painted on it, and what becomes of it in draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from styleaug.audit.measures import scorer
from styleaug.audit.report import LOST
from styleaug.audit.run import fit
from styleaug.augment.plan import Plan
from styleaug.augment.transform import StyleAugment
from styleaug.datasets import Box, Sample, read_defects
from styleaug.datasets.outlines import boxed, outlined
from styleaug.errors import UnknownLayoutError
from styleaug.images.color import to_dtype
from styleaug.images.io import list_images, to_tensor
from styleaug.stages.protect import strength_mask
from styleaug.styles.procedural import draw_finish
from styleaug.train.data import draw_defects

_EXAMPLE = ("anodised", 2, 31)
"""Of the example: family and number of its finish, and the seed of its defects."""
EXAMPLE = "drawn part"
PAINT = ("rgb(47, 111, 255)", 0.5)
"""Colour and opacity of the paint: what is painted on stays to be seen."""


@dataclass(frozen=True, eq=False)
class Subject:
    """The picture that settings are tried on.

    Attributes:
        name: for people.
        image: (1, 3, H, W), uint8.
        mask: where its defects are, (1, 1, H, W), bool; None if that is unknown.
        boxes: of its defects, in pixels of the file's image.
        scale: of ``image``, relative to that of the file.
    """

    name: str
    image: Tensor
    mask: Tensor | None = None
    boxes: tuple[Box, ...] = ()
    scale: float = 1.0
    has_masks: bool = True

    @classmethod
    def of(cls, sample: Sample, size: int) -> Subject:
        """A labelled image, its short side not above ``size``.

        Raises:
            OSError: if it cannot be read; the message names the file.
        """
        image, mask = fit(sample, size)
        width = sample.load().width
        return cls(
            sample.path.name, image, mask, sample.boxes, image.shape[-1] / width, bool(sample.masks)
        )

    @classmethod
    def example(cls, size: int) -> Subject:
        """A part that is drawn, with three defects."""
        family, index, seed = _EXAMPLE
        delta, masks, _ = draw_defects(1, size, np.random.default_rng(seed))
        image = to_dtype(draw_finish(family, index, size=size) + delta[0], torch.uint8)
        return cls(EXAMPLE, image[None], masks.any(1, keepdim=True))

    def marked(self, painted: Tensor | None) -> Subject:
        """The same, with what is painted in (1, 1, H, W) as its defect."""
        if painted is None or not painted.any():
            return self
        return replace(self, mask=painted > 0, boxes=(), has_masks=True)

    def outlined(self) -> Tensor:
        """Its image (3, H, W) with its masks outlined, and its boxes."""
        mask = self.mask[0] if self.mask is not None and self.has_masks else None
        image = outlined(self.image[0], mask)
        return boxed(image, self.boxes, self.scale) if self.boxes else image

    def score(self, images: Tensor) -> list[float | None]:
        """Separability of the defect in images (B, 3, H, W); None where it cannot be measured."""
        measure = None if self.mask is None else scorer(self.mask)
        return [None] * len(images) if measure is None else [*measure(images)]


def find_samples(
    source: Path | None, *, masks: Path | None = None, bits: int | None = None
) -> dict[str, Sample]:
    """The images of a folder, or one, by name; with labels if their layout is known.

    Raises:
        ValueError: if there is none, or an annotation is malformed.
    """
    if source is None:
        return {}
    if source.is_file():
        return {source.name: Sample(source, bits=bits)}
    try:
        samples = read_defects(source, masks=masks, bits=bits).samples
    except UnknownLayoutError:
        if masks is not None:
            raise
        samples = tuple(Sample(path, bits=bits) for path in list_images(source))
    return {sample.path.relative_to(source).as_posix(): sample for sample in samples}


def first_of(samples: Mapping[str, Sample]) -> str | None:
    """The image to begin with: one with a defect, if there is any."""
    return next((n for n, s in samples.items() if s.masks or s.boxes), next(iter(samples), None))


def painted_in(layers: Sequence[NDArray[Any]], height: int, width: int) -> Tensor | None:
    """How much of each pixel is painted: (1, 1, H, W), in [0, 1]; None if nothing is.

    Args:
        layers: of paint, (h, w, 4), uint8; what tells is their opacity.
        height: of the picture.
        width: the same.
    """
    opacity = [layer[..., 3] for layer in layers if layer is not None and layer[..., 3].any()]
    if not opacity:
        return None
    deepest = np.maximum.reduce(
        [np.asarray(Image.fromarray(o).resize((width, height))) for o in opacity]
    )
    return (to_tensor(Image.fromarray(deepest))[None].float() / (255 * PAINT[1])).clamp(max=1)


def strength_map(
    subject: Subject, *, protect: float = 0.0, painted: Tensor | None = None, held: float = 1.0
) -> Tensor | None:
    """What ``render(strength_mask=...)`` takes: (1, 1, H, W); None where nothing is held back.

    Args:
        subject: whose defects are protected.
        protect: how much, in [0, 1].
        painted: see :func:`painted_in`.
        held: how much of the new material is held back where it is painted, in [0, 1].
    """
    found = None
    if protect and subject.mask is not None:
        found = strength_mask(subject.mask, protect)
    if held and painted is not None:
        free = 1 - held * painted
        found = free if found is None else found * free
    return found


@dataclass(frozen=True, eq=False)
class Draw:
    """What became of the picture in one draw.

    Attributes:
        image: (3, H, W), uint8.
        caption: what it got, or "unchanged".
        score: separability of the defect in it; None where it cannot be measured.
    """

    image: Tensor
    caption: str
    score: float | None

    def told(self, before: float | None) -> str:
        """Its caption, with the separability."""
        if before is None or self.score is None:
            return self.caption
        return f"{self.caption}\nseparability {before:.2f} to {self.score:.2f}"


def render(
    subject: Subject,
    augment: StyleAugment,
    plan: Plan,
    mask: Tensor | None = None,
    device: torch.device | str = "cpu",
) -> Iterator[Draw]:
    """What becomes of the picture in each row of a plan, one after the other.

    Args:
        subject: the picture; not changed.
        augment: whose plan it is.
        plan: of any number of rows.
        mask: see :func:`strength_map`.
        device: where to compute.
    """
    image = subject.image.to(device)
    factor = None if mask is None else mask.to(device)
    for row in range(plan.count):
        out = augment.render(image, plan.select([row]), strength_mask=factor).cpu()
        yield Draw(out[0], plan.caption(row), subject.score(out)[0])


def draw_plan(augment: StyleAugment, count: int, seed: int) -> Plan:
    """A plan of ``count`` draws as at the end of a training, when every schedule has run."""
    if augment.schedule:
        augment.set_progress(1.0)
    return augment.draw(count, torch.Generator().manual_seed(seed))


def told_separability(before: float | None, draws: Sequence[Draw]) -> str:
    """What is left of the marked defect, in a sentence or two."""
    scores = [draw.score for draw in draws if draw.score is not None]
    if before is None:
        return "No defect is marked that could be measured: paint one, or give masks or boxes."
    if not scores:
        return f"Separability of the marked defect: {before:.2f} as it is."
    lost = sum(score < LOST * before for score in scores)
    return (
        f"Separability of the marked defect: {before:.2f} as it is, {np.median(scores):.2f} in the "
        f"median of {len(scores)} draws; in {lost} of them less than half of it is left."
    )
