"""Steps of an optimisation in which each image of a batch is on its own."""

from __future__ import annotations

import torch
from torch import Tensor


class Adam:
    """Adam (Kingma and Ba 2015)."""

    def __init__(self, rate: float, decay: float, decay_squares: float) -> None:
        self.rate, self.decay, self.decay_squares = rate, decay, decay_squares
        self.mean: Tensor | float = 0.0
        self.square: Tensor | float = 0.0
        self.count = 0

    def step(self, x: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        """Where to look next, from the objective's values (B,) and gradient at ``x``."""
        self.count += 1
        self.mean = self.decay * self.mean + (1 - self.decay) * gradient
        self.square = (
            self.decay_squares * self.square + (1 - self.decay_squares) * gradient.square()
        )
        mean = self.mean / (1 - self.decay**self.count)
        square = self.square / (1 - self.decay_squares**self.count)
        return x - self.rate * mean / (square.sqrt() + 1e-12)


class Lbfgs:
    """L-BFGS (Liu and Nocedal 1989) between 0 and 1, each image of a batch on its own.

    No line search: a step that does not descend is taken back, and the next may change pixels by
    less; what it taught about the curvature stays.
    """

    MEMORY = 20
    """Pairs that are kept."""
    FIRST, LARGEST = 0.1, 0.3
    """Largest change of a pixel in a step: at first, and ever."""
    SLACK = 1.01
    """By how much the objective may rise: bfloat16 tells no more."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Tensor, Tensor]] = []
        self.base: tuple[Tensor, Tensor, Tensor] | None = None
        self.trust: Tensor | float = self.FIRST

    def step(self, x: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        """Where to look next, from the objective's values (B,) and gradient at ``x``."""

        def dot(a: Tensor, b: Tensor) -> Tensor:
            return (a * b).sum((1, 2, 3), keepdim=True)

        if self.base is not None:
            before, lower, slope = self.base
            moved, turned = x - before, gradient - slope
            learned = dot(moved, turned) > 1e-10 * dot(turned, turned)  # no, if it is not finite
            pair = torch.where(learned, moved, 0), torch.where(learned, turned, 0)
            self.pairs = [*self.pairs, pair][-self.MEMORY :]
            good = value <= self.SLACK * lower
            value = torch.where(good, value, lower)
            good = good.view(-1, 1, 1, 1)
            x, gradient = torch.where(good, x, before), torch.where(good, gradient, slope)
            grown = 1.5 * torch.as_tensor(self.trust, device=x.device)
            self.trust = torch.where(good, grown, grown / 6).clamp_max(self.LARGEST)
        self.base = (x, value, gradient)
        trust = torch.as_tensor(self.trust, dtype=x.dtype, device=x.device)
        # pixels that are driven out of bounds stay where they are
        free = ~(((x <= 0) & (gradient > 0)) | ((x >= 1) & (gradient < 0)))
        gradient = gradient * free
        direction, passed = gradient, []
        # at first by the largest slope, then by the latest curvature
        steepest = gradient.abs().amax((1, 2, 3), keepdim=True)
        scale = 0.2 * self.trust / steepest.clamp_min(1e-30)
        for s, y in self.pairs:
            ys = dot(s, y)
            scale = torch.where(ys > 0, ys / dot(y, y).clamp_min(1e-30), scale)
        for s, y in reversed(self.pairs):
            ys = dot(s, y)
            inverse = torch.where(ys > 0, 1 / ys.clamp_min(1e-30), 0)
            factor = inverse * dot(s, direction)
            direction = direction - factor * y
            passed.append((s, y, inverse, factor))
        direction = direction * scale
        for s, y, inverse, factor in reversed(passed):
            direction = direction + s * (factor - inverse * dot(y, direction))
        return x - free * torch.clamp(direction, -trust, trust)
