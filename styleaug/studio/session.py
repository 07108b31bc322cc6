"""One open page: its picture, what is painted there, and the pictures that it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from os import cpu_count
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from styleaug.augment.plan import Plan
from styleaug.augment.transform import StyleAugment
from styleaug.datasets import Sample
from styleaug.images.io import to_tensor
from styleaug.studio.pictures import (
    Draw,
    Subject,
    draw_plan,
    render,
    strength_map,
)
from styleaug.studio.settings import at_once

T = TypeVar("T")

DRAWS = 12
"""Of the picture, shown side by side."""
_FRAME = 256
"""Short side of the frames of a stream, in pixels."""


@lru_cache(maxsize=1)
def _worker() -> ThreadPoolExecutor:
    """The one thread that computes: several would only take the cores from each other."""
    # half of the cores: the browser draws on the others, and two threads on two busy cores wait
    # for each other thirty times as long as one computes
    threads = max(1, (cpu_count() or 1) // 2)
    return ThreadPoolExecutor(1, "studio", initializer=torch.set_num_threads, initargs=(threads,))


def computed(function: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """What a function gives, computed in the thread that computes."""
    return _worker().submit(function, *arguments, **options).result()


@dataclass
class Session:
    """What one open page works on; changed in place.

    Attributes:
        subject: the picture.
        size: short side, in pixels, that larger images are brought to.
        device: where to compute.
        painted: how much of each pixel is painted, (1, 1, H, W), in [0, 1].
        is_defect: whether paint marks a defect, instead of holding new material back.
        held: how much it holds back, in [0, 1].
        turn: counts the changes; draws of an earlier turn stop.
        plan: of the draws that were shown last.
        current: the picture, with what is painted as its defect if that is what paint means.
        before: separability of the defect in it; None where it cannot be measured.
    """

    subject: Subject
    size: int = 512
    device: str = "cpu"
    painted: Tensor | None = None
    is_defect: bool = False
    held: float = 1.0
    turn: int = 0
    plan: Plan | None = field(default=None, repr=False)
    current: Subject = field(init=False, repr=False)
    before: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.paint(self.painted, is_defect=self.is_defect, held=self.held)

    def open(self, sample: Sample | None) -> None:
        """Take another picture, or the drawn one.

        Raises:
            OSError: if it cannot be read; the message names the file.
        """
        size = self.size
        self.subject = Subject.of(sample, size) if sample else Subject.example(size)
        self.paint(None, is_defect=self.is_defect, held=self.held)

    def paint(self, painted: Tensor | None, *, is_defect: bool, held: float) -> None:
        """Take what is painted; see the attributes."""
        self.painted, self.is_defect, self.held = painted, is_defect, held
        self.current = self.subject.marked(painted) if is_defect else self.subject
        self.before = self.current.score(self.current.image)[0]

    def _render(self, augment: StyleAugment, plan: Plan) -> Iterator[Draw]:
        subject, painted = self.current, None if self.is_defect else self.painted
        mask = strength_map(subject, protect=augment.protect, painted=painted, held=self.held)
        return render(subject, augment, plan, mask, self.device)

    def preview(self, augment: StyleAugment, seed: int, *, most: bool = False) -> Draw:
        """The picture under all stages at once, see :func:`at_once`."""
        whole = at_once(augment, most=most)
        return next(self._render(whole, draw_plan(whole, 1, seed)))

    def draws(self, augment: StyleAugment, seed: int) -> Iterator[list[Draw]]:
        """As in training: the draws made so far, after each; they end when something changes."""
        turn, self.plan = self.turn, draw_plan(augment, DRAWS, seed)
        pending, made = self._render(augment, self.plan), list[Draw]()
        while len(made) < DRAWS and self.turn == turn:
            # one at a time, so that a preview need not wait for all
            made.append(computed(next, pending))
            yield made

    def frame(
        self, image: NDArray[np.uint8], augment: StyleAugment, seed: int, *, most: bool = False
    ) -> NDArray[np.uint8]:
        """A frame (H, W, 3) of a stream, under the same draw as all others.

        Its short side is brought to 256 pixels, or to ``size`` if that is less: a stream is to keep
        up.
        """
        picture = Image.fromarray(image).convert("RGB")
        scale = min(1.0, min(_FRAME, self.size) / min(picture.size))
        if scale < 1:
            picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
        whole = at_once(augment, most=most)
        subject = Subject("frame", to_tensor(picture)[None])
        drawn = next(render(subject, whole, draw_plan(whole, 1, seed), None, self.device))
        return drawn.image.permute(1, 2, 0).numpy()
