"""``Schedule``: how settings grow and shrink while training goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

SETTINGS = ("p", "strength", "texture", "light", "blur", "grain")
"""What a schedule may scale."""

Points = Mapping[str, Sequence[tuple[float, float]]]

NAMED: dict[str, Points] = {
    "gradual": {"p": [(0.3, 0.0), (0.8, 1.0)]},
}
"""Schedules that have a name. ``gradual``: plain images first, since what a defect looks like is
learned soonest from them, and all that is asked for at the end."""


class Schedule:
    """Factors on settings, piecewise linear in the progress of training.

    Args:
        points: for each setting pairs (progress, factor), both in [0, 1], by rising progress.
            Before the first and after the last pair the factor stays. Settings that are not named
            keep the factor 1. Or a name in :data:`NAMED`.

    Raises:
        ValueError: if a name or a setting is unknown, or pairs are out of bounds or out of order.

    Examples:
        >>> schedule = Schedule({"strength": [(0, 0.2), (0.5, 1)]})
        >>> [round(schedule.factor("strength", t), 2) for t in (0, 0.25, 1)]
        [0.2, 0.6, 1.0]
        >>> schedule.factor("light", 0.25)
        1.0
        >>> Schedule("gradual").factor("p", 1)
        1.0
    """

    def __init__(self, points: Points | str) -> None:
        if isinstance(points, str):
            if points not in NAMED:
                raise ValueError(
                    f"schedule must be one of {', '.join(NAMED)}, or settings with pairs "
                    f"(progress, factor), but is {points!r}."
                )
            points = NAMED[points]
        unknown = sorted(set(points) - set(SETTINGS))
        if unknown:
            raise ValueError(
                f"schedule must name settings among {', '.join(SETTINGS)}, but names {unknown}."
            )
        # lists and tuples mean the same: JSON knows lists only
        self._points = {name: _checked(name, pairs) for name, pairs in points.items()}

    def factor(self, name: str, progress: float) -> float:
        """The factor on a setting at a progress in [0, 1]."""
        if name not in self._points:
            return 1.0
        return float(np.interp(progress, *self._points[name]))


def _checked(name: str, pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """The progress and the factor of each pair."""
    try:
        places, factors = zip(*pairs, strict=True)
        valid = all(0 <= v <= 1 for v in (*places, *factors))
    except (TypeError, ValueError):
        valid = False
    if not valid or list(places) != sorted(places):
        raise ValueError(
            f"schedule[{name!r}] must be pairs (progress, factor) in [0, 1] by rising progress, "
            f"such as [(0, 0.2), (1, 1)], but is {pairs!r}."
        )
    return list(places), list(factors)
