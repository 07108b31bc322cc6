"""How sure a mean over seeds, or a difference of two policies, is: one interval for all reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_LEVEL = 0.95
_RESAMPLES = 200
"""Draws of test images: they give a standard error to 5 percent of itself."""


class Interval(NamedTuple):
    """A mean over seeds with its 95 % interval.

    Attributes:
        mean: over the seeds.
        low: lower bound; None where nothing tells how sure the mean is.
        high: upper bound, or None.
    """

    mean: float
    low: float | None = None
    high: float | None = None

    def in_percent(self) -> Interval:
        """Of a score in [0, 1], the same in percent."""
        return Interval(*(None if v is None else 100 * v for v in self))  # type: ignore[arg-type]

    def __str__(self) -> str:
        """``+1.2 (-0.3 to +2.7)``; without bounds ``+1.2``."""
        bounds = "" if self.low is None else f" ({self.low:+.1f} to {self.high:+.1f})"
        return f"{self.mean:+.1f}{bounds}"


def mean_interval(
    values: Sequence[float], *, image_variance: float = 0.0, images: int = 0
) -> Interval:
    """The mean over seeds and its interval, for other seeds and other test images.

    The variance of the mean is the sum of two parts: that of the seeds (sample variance over their
    number), and that of the test images, which all seeds share (``image_variance``). The interval
    is Student's, with the degrees of freedom of Welch and Satterthwaite. So it is

    - with outcomes of each image and several seeds: over seeds and images;
    - with one seed: over images alone, and says nothing of other seeds;
    - without outcomes of images (average precision of boxes, rows of result files): the interval of
      Student's t over the seeds, and says nothing of other images;
    - of one seed without outcomes of images: none.

    Args:
        values: of a score or of a paired difference, one a seed.
        image_variance: of the mean over seeds, if the test images were drawn again.
        images: how many test images that variance is of; 0 if it is not known.
    """
    seeds, mean = len(values), float(np.mean(values))
    if seeds < 2 and not images:
        return Interval(mean)
    by_seeds = float(np.var(values, ddof=1)) / seeds if seeds > 1 else 0.0
    total = by_seeds + image_variance
    if total == 0:
        return Interval(mean, mean, mean)
    loss = by_seeds**2 / max(seeds - 1, 1) + image_variance**2 / max(images - 1, 1)
    margin = _student_quantile(total**2 / loss) * total**0.5
    return Interval(mean, mean - margin, mean + margin)


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Interval:
    """Difference of two policies, paired by seed: see :func:`mean_interval`.

    Args:
        values: seed -> score, as :meth:`~styleaug.evaluate.results.Result.scores` gives it.
        baseline: the same of the other policy; seeds that only one of them has do not count.

    Raises:
        ValueError: if they share no seed.
    """
    shared = sorted(values.keys() & baseline.keys())
    if not shared:
        raise ValueError("A difference needs a seed that both policies were trained with.")
    return mean_interval([values[seed] - baseline[seed] for seed in shared])


def resampled_variance(value: Callable[[npt.NDArray[Any]], float], images: int) -> float:
    """Variance of ``value`` of test images that are drawn with replacement.

    Args:
        value: places of the drawn images (N,) -> what they come to.
        images: how many there are.
    """
    rng = np.random.default_rng(0)
    found = [value(rng.integers(images, size=images)) for _ in range(_RESAMPLES)]
    return float(np.nanvar(found, ddof=1))


def mean_and_deviation(values: Sequence[float]) -> str:
    """``97.8 ± 0.9``, the standard deviation over seeds; of one seed the value alone."""
    deviation = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{deviation}"


def _student_quantile(degrees: float) -> float:
    """The two-sided 95 % quantile of Student's t.

    With t = sqrt(n) tan(u), its density becomes cos(u)^(n - 1).
    """
    angle = np.linspace(0, np.pi / 2, 20_001)
    density = np.cos(angle).clip(0) ** (degrees - 1)
    mass = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
    return float(degrees**0.5 * np.tan(np.interp(_LEVEL * mass[-1], mass, angle)))
