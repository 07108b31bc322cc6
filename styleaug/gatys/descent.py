"""Minimise an objective over pixels, each image of a batch on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from styleaug.errors import StyleAugError
from styleaug.gatys.objective import ChunkedObjective
from styleaug.gatys.optimizers import Adam, Lbfgs

APPROACH = 6
"""Steps of Adam that come before L-BFGS: far away, a quadratic model leads astray."""
_PATIENCE, _GAIN = 10, 0.1
"""Steps in which the objective must fall by this share."""

Look = Callable[[Tensor], tuple[Tensor, Tensor]]
"""An objective: images -> its parts (B, P) and their sum's gradient (B, C, H, W)."""


class NonFiniteObjective(StyleAugError):
    """An objective overflowed, or was NaN: what was found is no restyling."""


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

    Raises:
        NonFiniteObjective: if the objective of an image overflows or is NaN.
    """
    optimizer: Adam | Lbfgs = Adam(0.06, 0.9, 0.99)
    x, best, average = start, start, start
    lowest = before = torch.full((len(x),), torch.inf, device=x.device)
    finite = torch.ones_like(lowest, dtype=torch.bool)
    step = 0
    for step in range(1, steps + 1):
        if step == approach + 1:
            optimizer = Lbfgs()
        parts, gradient = look(x)
        value = parts.sum(1)
        if step <= approach + 1:  # Adam does not recover; L-BFGS takes such a step back
            finite &= value.isfinite()
        better = value < lowest
        best = torch.where(better.view(-1, 1, 1, 1), x, best)
        lowest = torch.where(better, value, lowest)
        if tell is not None:
            tell(step, value)
        if step % _PATIENCE == 1:
            if step > 1 and bool((lowest >= (1 - _GAIN) * before).all()):
                break  # no image gains anything more; one that has arrived, at 0, neither
            before = lowest
        stepped = optimizer.step(x, value, gradient).clamp(0, 1)
        x = stepped if mask is None else torch.where(mask > 0, stepped, start)
        average = torch.lerp(average, x, 0.1)
    _check_finite(finite)
    return [best, x, average], step


def descend_by_textbook(
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
        stepped = optimizer.step(x, value, gradient).clamp(0, 1)
        x = stepped if mask is None else torch.where(mask > 0, stepped, start)
    return x


def choose_best(candidates: Sequence[Tensor], objective: ChunkedObjective) -> tuple[Tensor, Tensor]:
    """Of each image the candidate of the lowest objective, and its parts (B, 3).

    Raises:
        NonFiniteObjective: if no candidate of an image has a finite one.
    """
    found, lowest = candidates[0], objective.parts(candidates[0])
    for candidate in candidates[1:]:
        parts = objective.parts(candidate)
        better = parts.sum(1) < lowest.sum(1)
        found = torch.where(better.view(-1, 1, 1, 1), candidate, found)
        lowest = torch.where(better[:, None], parts, lowest)
    _check_finite(lowest.isfinite().all(1))
    return found, lowest


def _check_finite(finite: Tensor) -> None:
    """Raise unless all images (B,) are fine."""
    if not bool(finite.all()):
        rows = (~finite).nonzero().flatten().tolist()
        raise NonFiniteObjective(
            f"The objective must be finite, but is not for images {rows} of the batch. Give "
            "content and styles finite values in [0, 1], or lower the strength."
        )
