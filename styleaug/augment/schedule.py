"""``Schedule``: how amounts grow and shrink while training goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from styleaug.errors import did_you_mean

Points = Mapping[str, Sequence[tuple[float, float]]]

NAMED: dict[str, Points] = {
    "gradual": {"p": [(0.3, 0.0), (0.8, 1.0)]},
}
"""Schedules that have a name. ``gradual``: plain images first, since what a defect looks like is
learned soonest from them, and all that is asked for at the end."""


class Schedule:
    """Factors on amounts, piecewise linear in the progress of training.

    Args:
        points: for each setting pairs (progress, factor), both in [0, 1], by rising progress.
            Before the first and after the last pair the factor stays. Or a name in :data:`NAMED`.
        settings: what they may be of beside ``"p"``: names of stages, and ``"stage.field"``.

    Raises:
        ValueError: if a name or a setting is unknown, or pairs are out of bounds or out of order.

    Examples:
        >>> schedule = Schedule({"Restyle": [(0, 0.2), (0.5, 1)]}, ["Restyle"])
        >>> [round(schedule.factors(t)["Restyle"], 2) for t in (0, 0.25, 1)]
        [0.2, 0.6, 1.0]
        >>> Schedule("gradual").factors(0.8)
        {'p': 1.0}
    """

    def __init__(self, points: Points | str, settings: Sequence[str] = ()) -> None:
        points = NAMED.get(points, points) if isinstance(points, str) else points
        if not isinstance(points, Mapping):
            raise ValueError(
                f"schedule must be one of {', '.join(NAMED)}, or settings with pairs "
                f"(progress, factor), but is {points!r}."
            )
        known = ("p", *settings)
        unknown = [name for name in points if name not in known]
        if unknown:
            raise ValueError(
                f"schedule must name settings among {', '.join(known)}, but names {unknown}."
                f"{did_you_mean(unknown[0], known)}"
            )
        # lists and tuples mean the same: JSON knows lists only
        self._points = {name: _checked(name, pairs) for name, pairs in points.items()}

    def factors(self, progress: float) -> dict[str, float]:
        """The factors at a progress in [0, 1], by setting."""
        return {name: float(np.interp(progress, *pairs)) for name, pairs in self._points.items()}


def _checked(name: str, pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """The progress and the factor of each pair."""
    try:
        times, factors = zip(*pairs, strict=True)
        valid = all(not isinstance(v, bool) and 0 <= v <= 1 for v in (*times, *factors))
    except (TypeError, ValueError):
        valid = False
    if not valid or list(times) != sorted(times):
        raise ValueError(
            f"schedule[{name!r}] must be pairs (progress, factor) in [0, 1] by rising progress, "
            f"such as [(0, 0.2), (1, 1)], but is {pairs!r}."
        )
    return list(times), list(factors)
