"""The chart of README: what policies reach on clean images and away from what was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.docs.figures import ASSETS, drawn
from benchmarks.docs.robustness import MINE, Group, Runs
from benchmarks.docs.shifts import CHOSEN, LIBRARY, MIX, PRESET_FOR, Shifts
from styleaug.evaluate.policies import FLIPS
from styleaug.evaluate.results import AS_TRAINED, CLEAN, MATCHED
from styleaug.evaluate.statistics import Interval, mean_interval

CORRUPTED = "imagenet-c"
_DEFAULT = "default"
_SHIFTED = {"lighting": "new lighting", "material": "new material"}
"""Kinds of real shifts with a group of bars each, and its title."""

_ITS_PRESET = f"{MINE}({' | '.join(repr(PRESET_FOR[kind][0]) for kind in _SHIFTED)})"
"""Label of the preset for the shift."""

_INK, _PAPER = "#1f2328", "#ffffff"
_DARK = {_INK: "#d1d7e0", _PAPER: "#0d1117", "#d0d7de": "#3d444d"}
"""Colours, and what stands for each where the reader's system is dark."""
_COLOURS = ("#7d8590", "#4a97cc", "#23618f", "#d9541e", "#9c3110")
"""Flips, the library's policy, the photometric mix; ours: the default, the preset for the shift."""


@dataclass(frozen=True)
class Bar:
    """One policy in one group: balanced accuracy in percent, with 95 % intervals over seeds.

    Attributes:
        policy: name, as the legend has it.
        trained: the score as trained.
        adapted: with batch norms matched to unlabelled images; None where that is not shown.
    """

    policy: str
    trained: Interval
    adapted: Interval | None = None


@dataclass(frozen=True)
class Chart:
    """Classification: the longest trainings under corruptions, and the real shifts."""

    runs: Group
    shifts: Shifts

    @classmethod
    def of(cls, runs: Runs, shifts: Shifts | None) -> Chart | None:
        """The chart; None while results that it needs are missing."""
        for group in runs.long:
            if group.first.task["kind"] == "classification" and shifts is not None:
                chart = cls(group, shifts.classes)
                return chart if chart.complete else None
        return None

    @property
    def complete(self) -> bool:
        """Whether all policies ran on all kinds of images."""
        return bool(
            {FLIPS, MIX, MINE} <= {*self.runs.policies}
            and _SHIFTED.keys() <= {*self.shifts.kinds}
            and {FLIPS, MIX, _DEFAULT, CHOSEN} <= {*self.shifts.policies}
            and self.ready
        )

    @property
    def ready(self) -> list[str]:
        """Ready-made policies of libraries that ran everywhere."""
        return [n for n in LIBRARY if n in self.runs.policies and n in self.shifts.policies]

    @property
    def library(self) -> str:
        """Of these, the one that scores best under corruptions."""
        return max(self.ready, key=lambda name: self.runs.mean(name, CORRUPTED))

    def rival(self, shifts: Shifts, adapted: str = AS_TRAINED) -> str:
        """The baseline that scores best on these shifts."""
        names = [name for name in (*LIBRARY, MIX) if name in shifts.policies]
        return max(names, key=lambda name: mean(shifts.scores(name, adapted).values()))

    @property
    def policies(self) -> tuple[str, ...]:
        """The four that stand in each group, as the legend has them."""
        return (FLIPS, self.library, MIX, f"{MINE}()")

    @property
    def groups(self) -> Mapping[str, Sequence[Bar]]:
        """Title -> bars."""
        found = {}
        datasets = f"{len(self.runs.runs)} datasets"
        for title, column in (("clean", CLEAN), ("corruptions", CORRUPTED)):
            names = (FLIPS, self.library, MIX, MINE)
            scores = [mean_interval([*self.runs.scores(n, column).values()]) for n in names]
            found[f"{title}\n{datasets}"] = [
                Bar(*bar) for bar in zip(self.policies, scores, strict=True)
            ]
        for kind, title in _SHIFTED.items():
            shifted = self.shifts.only(kind)
            names = dict(zip((FLIPS, self.library, MIX, _DEFAULT), self.policies, strict=True))
            names[PRESET_FOR[kind][0]] = _ITS_PRESET
            found[f"{title}\n{len(shifted.pairs)} shifts"] = [
                Bar(
                    label,
                    *(
                        mean_interval([*shifted.scores(name, how).values()])
                        for how in (AS_TRAINED, MATCHED)
                    ),
                )
                for name, label in names.items()
            ]
        return found


def draw_results(chart: Chart | None, out: Path = ASSETS / "results.svg") -> Path | None:
    """Draw a group of bars for each kind of images, if all has been measured.

    What adaptation to unlabelled images adds stands on top of a bar, faint. Lines are intervals.
    """
    if chart is None:
        return None
    labels = dict.fromkeys(bar.policy for bars in chart.groups.values() for bar in bars)
    colours = dict(zip(labels, _COLOURS, strict=True))
    with drawn(out, (7.3, 3.5), dark=_DARK) as axes:
        start, ticks = 0.0, []
        for title, bars in chart.groups.items():
            for place, bar in enumerate(bars):
                _draw_bar(axes, start + place, bar, colours[bar.policy])
            ticks.append((start + (len(bars) - 1) / 2, title))
            start += len(bars) + 0.8
        axes.set_xticks([x for x, _ in ticks], [title for _, title in ticks], fontsize=10)
        axes.set_xlim(-0.8, start - 1)
        axes.set_ylim(0, 106)
        axes.set_yticks(range(0, 101, 20))
        axes.set_ylabel("balanced accuracy, %", color=_INK)
        axes.tick_params(length=0, labelcolor=_INK)
        axes.grid(axis="y", color="#d0d7de", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[:].set_visible(False)
        handles = [axes.bar(0, 0, color=colour, label=name) for name, colour in colours.items()]
        handles.append(
            axes.bar(0, 0, color=_INK, alpha=0.35, label="faint: adapted without labels")
        )
        axes.legend(
            handles=handles, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False,
            labelcolor=_INK, fontsize=9, handlelength=1, columnspacing=1.4,
        )  # fmt: skip
    return out


def _draw_bar(axes: Any, x: float, bar: Bar, colour: str) -> None:
    line = {"color": _INK, "linewidth": 0.9, "capsize": 1.5}
    score = bar.trained.mean
    axes.bar(x, score, 0.9, color=colour)
    shift = 0.0 if bar.adapted is None else 0.2
    axes.errorbar(x - shift, score, yerr=_margins(bar.trained), **line)
    axes.text(x, 3, f"{score:.0f}", color="#fffffe", ha="center", fontsize=9, weight="bold")
    if bar.adapted is not None:
        top = bar.adapted.mean
        axes.bar(x, top - score, 0.9, bottom=score, color=colour, alpha=0.4)
        axes.errorbar(x + shift, top, yerr=_margins(bar.adapted), **line)
        above = min(max(score, bar.trained.high or 0, top, bar.adapted.high or 0), 100)
        axes.text(x, above + 1.5, f"{top:.0f}", color=_INK, ha="center", fontsize=9)


def _margins(found: Interval) -> list[list[float]] | None:
    if found.low is None or found.high is None:
        return None
    return [[found.mean - found.low], [min(found.high, 100) - found.mean]]
