"""A run beside a stored one: by ratios, for images per second differ from machine to machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.rows import Rows

Row = Mapping[str, Any]


def compare(before: Rows, now: Sequence[Row], tolerance: float) -> bool:
    """Print each ratio that both have, as it was and as it is; whether none fell too far.

    Args:
        before: the stored result.
        now: rows of this run.
        tolerance: share of a ratio that it may lose.

    Raises:
        SystemExit: if there is no ratio that both have.
    """
    old, new = (ratios(rows) for rows in (before.rows, now))
    both = [name for name in old if name in new]
    if not both:
        raise SystemExit(
            f"The stored result must hold a ratio that this run measures, but holds none of "
            f"{len(new)}: choose its sizes, inputs and packs, or measure it anew."
        )
    lost = []
    for name in both:
        change = new[name] / old[name] - 1
        if change < -tolerance:
            lost.append(name)
        mark = "  SLOWER" if name in lost else ""
        print(f"{name:100} {old[name]:7.2f} -> {new[name]:7.2f} {100 * change:+5.0f} %{mark}")
    for name in old:
        if name not in new:
            print(f"{name}: not measured now")
    if lost:
        print(f"{len(lost)} of {len(both)} ratios fell by more than {100 * tolerance:.0f} %.")
    return not lost


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """Medians of the ratios, by what they are of."""
    return {
        f"{row['batch']} x {row['size']} {row['input']}: "
        f"{', '.join(filter(None, (row['contestant'], row['pack'])))} over {row['over']}": median
        for row in rows
        if row["over"] and (median := row["median"])
    }
