"""Tables of the robustness results: which runs stand together, and what policies gain there.

Scores are means over conditions and severities. Where several datasets of one kind of task stand
together, they are averaged seed by seed; different kinds of tasks, which have different metrics,
are never averaged. Differences are paired by seed, see :mod:`styleaug.evaluate.statistics`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from statistics import mean
from typing import Any

from benchmarks.docs.run import MINE, Run, Scores
from styleaug.evaluate.models import KINDS
from styleaug.evaluate.policies import FLIPS
from styleaug.evaluate.results import CLEAN, ELSEWHERE, TARGET, Result
from styleaug.evaluate.statistics import Interval, mean_and_deviation, paired_difference

COLUMNS = {CLEAN: "clean", "imagenet-c": "corruptions (mPC)", "industrial": "industrial shifts"}
GAINS = [part for title in COLUMNS.values() for part in (title, "over flips")]
"""Heads of the columns of `Group.gains`."""
SETTINGS = {
    CLEAN: "clean",
    "other corruptions": "other corruptions",
    "other lighting": "other lighting",
}
"""Columns of what settings are chosen by."""
_ADAPTED_AT = 3
"""The severity at which batch norms are adapted to the images, too."""


def standing(gain: Interval) -> str:
    """How a policy that gains this over another one stands to it: ``ahead of``."""
    if gain.low is None or gain.high is None or gain.low <= 0 <= gain.high:
        return "not significantly different from"
    return "ahead of" if gain.mean > 0 else "behind"


@dataclass(frozen=True)
class Group:
    """Runs of one kind of task that stand together: their scores are averaged seed by seed."""

    runs: Sequence[Run]

    @property
    def first(self) -> Run:
        """The first run, for what all have in common."""
        return self.runs[0]

    @property
    def datasets(self) -> str:
        """Their names."""
        return ", ".join(run.task["name"] for run in self.runs)

    @property
    def effort(self) -> str:
        """How long was trained, and how often."""
        steps = sorted({run.protocol["steps"] for run in self.runs})
        seeds = sorted({len(run.seeds) for run in self.runs})
        return f"{' to '.join(map(str, steps))} steps, {' to '.join(map(str, seeds))} seeds"

    @property
    def ran(self) -> list[str]:
        """Policies that ran on any of the datasets."""
        return list(dict.fromkeys(name for run in self.runs for name in run.policies))

    @cached_property
    def policies(self) -> list[str]:
        """Policies that ran on all datasets, by rising mPC, or what stands for it."""
        everywhere = [n for n in self.ran if all(n in run.policies for run in self.runs)]
        suites = ("imagenet-c", "other corruptions")
        column = next((c for c in suites if self.first.members(c)), CLEAN)
        return sorted(everywhere, key=lambda name: self.mean(name, column))

    def scores(self, policy: str, column: str, **options: Any) -> Scores:
        """Seed -> mean over the datasets, for the seeds that all have."""
        each = [run.scores(policy, column, **options) for run in self.runs]
        shared = set(each[0]).intersection(*each[1:])
        return {seed: mean(scores[seed] for scores in each) for seed in sorted(shared)}

    def mean(self, policy: str, column: str, **options: Any) -> float:
        """Over the datasets and seeds; NaN if nothing was measured."""
        found = self.scores(policy, column, **options)
        return mean(found.values()) if found else float("nan")

    def score(self, policy: str, column: str, **options: Any) -> str | None:
        """``97.8 ± 0.9``: mean and standard deviation over seeds; None if not measured."""
        found = self.scores(policy, column, **options)
        return mean_and_deviation(list(found.values())) if found else None

    def gain(self, policy: str, baseline: str, column: str) -> Interval | None:
        """What a policy gains over another one; None where there is nothing to compare."""
        if policy == baseline or baseline not in self.ran:
            return None
        both = (self.scores(policy, column), self.scores(baseline, column))
        return paired_difference(*both) if all(both) else None

    def gains_by_seed(self, policy: str, baseline: str, column: str) -> list[float]:
        """The same, seed by seed: of two seeds an interval says next to nothing."""
        other = self.scores(baseline, column)
        return [score - other[seed] for seed, score in self.scores(policy, column).items()]

    def gains(self) -> list[list[Any]]:
        """Rows: a policy, then its score and gain over flips in each of `COLUMNS`."""
        return [
            [name, *(x for c in COLUMNS for x in (self.score(name, c), self.gain(name, FLIPS, c)))]
            for name in self.policies
        ]

    def against(self, mine: str, others: Iterable[str]) -> list[list[Any]]:
        """Rows: what a policy gains over others, on the datasets where both ran; most first."""
        rows = []
        for name in others:
            both = Group([run for run in self.runs if {mine, name} <= set(run.policies)])
            if both.runs and name != mine:
                gains = [both.gain(mine, name, column) for column in COLUMNS]
                rows.append([name, both.datasets, *gains])
        return sorted(rows, key=lambda row: -row[3].mean)

    @property
    def baselines(self) -> list[str]:
        """Augmentations without StyleAugment, those of all datasets first; flips are none."""
        names = [name for name in self.ran if MINE not in name and name != FLIPS]
        return sorted(names, key=lambda name: name not in self.policies)

    @property
    def compared(self) -> dict[str, list[str]]:
        """Ours -> what it is compared with: as it is, with other settings, after a baseline."""
        settings = [name for name in self.ran if name.startswith(f"{MINE},")]
        found = {MINE: self.baselines}
        found |= {name: [FLIPS, MINE, *self.baselines[:1]] for name in settings}
        found |= {f"{name} + {MINE}": [name, MINE] for name in self.baselines}
        return {ours: others for ours, others in found.items() if ours in self.ran}

    def under_each(self, suite: str) -> list[list[str]]:
        """Rows: a policy, then its mean under each condition of a suite."""
        names = self.first.members(suite)
        return [[p, *(f"{self.mean(p, name):.0f}" for name in names)] for p in self.policies]

    def adapted(self) -> list[list[str]]:
        """Rows: at one severity, without and with batch norms adapted to those images."""
        rows = []
        for name in self.policies:
            cells = [name]
            for suite in ("imagenet-c", "industrial"):
                cells.append(f"{self.mean(name, suite, severity=_ADAPTED_AT):.1f}")
                cells.append(f"{self.mean(name, suite, severity=_ADAPTED_AT, adapted=TARGET):.1f}")
            rows.append([*cells, f"{self.mean(name, CLEAN, adapted=TARGET):.1f}"])
        return rows

    def elsewhere(self) -> list[list[Any]]:
        """Rows: clean images, those from elsewhere, their gain, and adapted; best last."""
        return [
            [
                name,
                self.score(name, CLEAN),
                self.score(name, ELSEWHERE),
                self.gain(name, FLIPS, ELSEWHERE),
                self.score(name, ELSEWHERE, adapted=TARGET),
            ]
            for name in sorted(self.ran, key=lambda name: self.mean(name, ELSEWHERE))
        ]


class Runs:
    """All results, and which of them stand together."""

    def __init__(self, results: Iterable[Result]) -> None:
        runs = [Run(result) for result in results]
        order = {kind: place for place, kind in enumerate(KINDS)}
        self._runs = sorted(runs, key=lambda run: (order[run.task["kind"]], run.task["name"]))

    def of(self, role: str) -> list[Run]:
        """Runs of one role, see `Run.role`."""
        return [run for run in self._runs if run.role == role]

    @cached_property
    def series(self) -> list[list[Run]]:
        """Runs of the whole suites by dataset and kind: most images first, then fewest steps."""
        datasets = groupby(self.of("whole"), key=lambda run: (run.task["kind"], run.task["name"]))
        return [
            sorted(runs, key=lambda run: (-run.task["train"], run.protocol["steps"]))
            for _, runs in datasets
        ]

    @cached_property
    def short(self) -> list[Group]:
        """The usual trainings, a group a kind of task; of one seed none, which has no interval."""
        return _by_kind(runs[0] for runs in self._alike)

    @cached_property
    def long(self) -> list[Group]:
        """The longest trainings, where they are longer than the usual ones."""
        return _by_kind(runs[-1] for runs in self._alike if len(runs) > 1)

    @property
    def _alike(self) -> list[list[Run]]:
        """Of each of `series`, the runs with as many images and several seeds."""
        alike = [
            [r for r in runs if r.task["train"] == runs[0].task["train"] and len(r.seeds) > 1]
            for runs in self.series
        ]
        return [runs for runs in alike if runs]

    @property
    def budgets(self) -> list[list[Any]]:
        """Rows: of each dataset with several runs, how much they trained, and what was gained."""
        several = (run for runs in self.series if len(runs) > 1 for run in runs)
        return [row for run in several for row in trained(run)]


def trained(run: Run) -> list[list[Any]]:
    """Rows: dataset and task, images, steps, then as `Group.gains`."""
    name = f"{run.task['name']}, {run.task['kind']}"
    head = [name, run.task["train"], run.protocol["steps"]]
    return [[*head, *row] for row in Group([run]).gains()]


def _by_kind(runs: Iterable[Run]) -> list[Group]:
    return [Group(list(alike)) for _, alike in groupby(runs, key=lambda run: run.task["kind"])]
