"""What the demo found: the figure of gains, and the report in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from styleaug.evaluate.corruptions import CORRUPTION_GROUPS
from styleaug.evaluate.results import Result
from styleaug.evaluate.robustness import Robustness
from styleaug.evaluate.statistics import Interval
from styleaug.files import atomic_path

_COLOURS = {"noise": "#4c72b0", "blur": "#55a868", "weather": "#dd8452", "digital": "#8172b3"}


class Gain(NamedTuple):
    """How much better a policy is than flips alone, in points.

    Attributes:
        interval: the mean over seeds, with its interval over test images and seeds.
        by_seed: the gain of each seed.
    """

    interval: Interval
    by_seed: tuple[float, ...]

    @property
    def verdict(self) -> str:
        """Say "higher" or "lower" if the interval excludes zero and several seeds agree."""
        if len(self.by_seed) < 2:
            return "undecided with one seed"
        low, high = self.interval.low, self.interval.high
        if low is not None and low > 0 and min(self.by_seed) > 0:
            return "higher"
        if high is not None and high < 0 and max(self.by_seed) < 0:
            return "lower"
        return "no clear difference"

    @property
    def listed(self) -> str:
        """The gains by seed."""
        return ", ".join(f"{value:+.1f}" for value in self.by_seed)

    def __str__(self) -> str:
        interval = self.interval
        low, high = (f"{bound:+.1f}" for bound in interval[1:])
        return (
            f"{self.verdict}, {interval.mean:+.1f} points "
            f"(95 % interval {low} to {high}; by seed {self.listed})"
        )


def gain(flips: Robustness, styled: Robustness, corruption: str | None = None) -> Gain:
    """What is gained under a corruption, or under all of them."""
    suites = {name: (name,) for name in styled.names}
    interval = replace(styled, suites=suites).interval(corruption, over=flips)
    conditions = [c for c in styled.scores if c and corruption in (None, c.corruption)]
    means = [np.mean([one.scores[c] for c in conditions], axis=0) for one in (styled, flips)]
    return Gain(interval.in_percent(), tuple(100 * (means[0] - means[1])))


def gain_on_clean(flips: Robustness, styled: Robustness) -> Gain:
    """What is gained on images as they are."""
    interval = styled.interval(over=flips, clean=True)
    pairs = zip(styled.scores[None], flips.scores[None], strict=True)
    return Gain(interval.in_percent(), tuple(100 * (a - b) for a, b in pairs))


def draw_gains(path: Path, flips: Robustness, styled: Robustness) -> None:
    """Draw the gain under each corruption, with a dot a seed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    groups = {name: group for group, names in CORRUPTION_GROUPS.items() for name in names}
    names = styled.names[::-1]
    figure = Figure(figsize=(7.5, 1.6 + 0.3 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, name in enumerate(names):
        found = gain(flips, styled, name)
        mean, low, _ = found.interval
        margin = 0.0 if low is None else mean - low
        colour = _COLOURS[groups[name]]
        axes.barh(place, mean, color=colour, xerr=margin, ecolor="#888888", height=0.7)
        axes.plot(found.by_seed, [place] * len(found.by_seed), "o", color="black", markersize=3)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_xlabel(f"gain in {styled.metric}, points (line: 95 % interval; dots: seeds)")
    robust, clean = gain(flips, styled), gain_on_clean(flips, styled)
    axes.set_title(
        f"StyleAugment against flips alone\nmPC {robust.interval.mean:+.1f}, "
        f"clean {clean.interval.mean:+.1f} points",
        fontsize=11,
    )
    used = dict.fromkeys(groups[name] for name in names[::-1])
    axes.legend(handles=[Patch(color=_COLOURS[g], label=g) for g in used], fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def make_report(result: Result, flips: Robustness, styled: Robustness) -> str:
    """The report, in Markdown."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["words"] = lambda name: name.replace("_", " ")
    environment.filters["spread"] = mean_and_range
    gains = {name: gain(flips, styled, name) for name in styled.names}
    return environment.get_template("report.md.j2").render(
        meta=result.meta,
        result=result,
        clean=gain_on_clean(flips, styled),
        robust=gain(flips, styled),
        gains=gains,
        ranked=sorted(gains.items(), key=lambda item: item[1].interval.mean),
        verdicts=[found.verdict for found in gains.values()],
    )


def mean_and_range(values: Sequence[float]) -> str:
    """The mean and, of several values, their range."""
    values = list(values)
    mean = f"{np.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.1f} to {max(values):.1f})"
