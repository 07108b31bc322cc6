"""Tables of the real shifts: what each stage and policy brings, as trained and adapted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean
from typing import ClassVar

from styleaug.evaluate.policies import FLIPS
from styleaug.evaluate.results import AS_TRAINED, ELSEWHERE, MATCHED, TARGET, Result
from styleaug.evaluate.statistics import Interval, mean_and_deviation, paired_difference

KINDS = ("lighting", "sensor", "material", "line")
"""What changes, as names of configs begin with it."""
LIBRARY = ("ColorJitter", "TrivialAugmentWide", "AugMix", "PixMix", "Albumentations")
"""Policies that are ready-made, or nearly so, in a library or its paper's code."""
MIX = "photometric mix"
BASELINES = (
    *LIBRARY,
    f"{MIX}, noise to 0.05",
    MIX,
    "HistogramMatching, target",
    "FDA, target",
)
"""What a user could take instead, beside flips."""

CHOSEN = "the preset for it"
"""A row: on each pair the preset that is for what changes there."""
PRESET_FOR = {
    "lighting": ("lighting", "lighting"),
    "sensor": ("sensor", "sensor"),
    "material": ("material", "default"),
    "line": ("default", "default"),
}
"""By what changes: the preset, and the one for a network that will be adapted."""

_LEAST = 0.05
"""What a difference must be for tables, which round, to tell it from none."""

Scores = dict[int, float]


class Pair:
    """One shift: policies trained on one side, and scored on the other."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.name: str = result.meta["name"]
        self.kind = self.name.partition("-")[0]
        self.purpose: str = result.meta["purpose"]
        self.task = result.meta["task"]
        self.protocol = result.meta["protocol"]

    @property
    def policies(self) -> list[str]:
        """Their names."""
        return self.result.policies

    @property
    def rated(self) -> list[str]:
        """The same, and :data:`CHOSEN` if that was run."""
        ran = {*PRESET_FOR[self.kind]} <= {*self.policies}
        return [*self.policies, *([CHOSEN] if ran else [])]

    def elsewhere(self, policy: str, adapted: str = AS_TRAINED) -> Scores:
        """Seed -> score on the other side; empty if the policy was not run."""
        policy = self.preset(adapted) if policy == CHOSEN else policy
        return self.result.scores(policy, ELSEWHERE, adapted=adapted)

    def same(self, policy: str, adapted: str = AS_TRAINED) -> Scores:
        """Seed -> score on test images of the side that was trained on."""
        policy = self.preset(adapted) if policy == CHOSEN else policy
        return self.result.scores(policy, adapted=adapted)

    def preset(self, adapted: str = AS_TRAINED) -> str:
        """The preset for what changes."""
        return PRESET_FOR[self.kind][adapted != AS_TRAINED]

    def ahead(self, adapted: str) -> list[tuple[str, Interval]]:
        """What a user could take instead and would score more with; most first."""
        mine = self.elsewhere(CHOSEN, adapted)
        names = [name for name in (FLIPS, *BASELINES) if name in self.policies]
        gains = [(name, paired_difference(self.elsewhere(name, adapted), mine)) for name in names]
        found = [(name, gain) for name, gain in gains if gain.mean >= _LEAST]
        return sorted(found, key=lambda one: -one[1].mean)

    def costs(self) -> list[tuple[str, Interval]]:
        """What adaptation brings on the other side with flips and with the presets, if it costs."""
        gains = [
            (name, paired_difference(self.elsewhere(name, MATCHED), self.elsewhere(name)))
            for name in dict.fromkeys((FLIPS, self.preset(), self.preset(MATCHED)))
        ]
        return [(name, gain) for name, gain in gains if gain.mean <= -_LEAST]

    def rows(self) -> list[list[object]]:
        """A policy, then its scores and gains, worst first when adapted."""
        flips = self.elsewhere(FLIPS), self.elsewhere(FLIPS, MATCHED)
        rows: list[list[object]] = []
        order = sorted(self.policies, key=lambda name: mean(self.elsewhere(name, MATCHED).values()))
        for name in order:
            found = self.elsewhere(name), self.elsewhere(name, MATCHED)
            gains = (
                None if name == FLIPS else paired_difference(one, other)
                for one, other in zip(found, flips, strict=True)
            )
            scores = [mean_and_deviation(list(each.values())) for each in found]
            target = mean_and_deviation(list(self.elsewhere(name, TARGET).values()))
            gain, adapted_gain = gains
            cells = [scores[0], gain, target, scores[1], adapted_gain]
            rows.append([name, mean_and_deviation(list(self.same(name).values())), *cells])
        return rows


@dataclass(frozen=True)
class Shifts:
    """All pairs of whole images; scores of boxes and masks are never averaged with them."""

    pairs: Sequence[Pair]

    WAYS: ClassVar = [
        *("other side, as trained", "new statistics", "matched", "matched over new statistics"),
        *("own side, as trained", "new statistics", "matched"),
    ]
    """What :meth:`ways` tells of each policy."""

    @classmethod
    def of(cls, results: Iterable[Result]) -> Shifts:
        """Pairs by kind."""
        pairs = sorted(map(Pair, results), key=lambda p: (KINDS.index(p.kind), p.name))
        return cls(pairs)

    @cached_property
    def classes(self) -> Shifts:
        """Those that are classified."""
        return Shifts([p for p in self.pairs if p.task["kind"] == "classification"])

    @property
    def others(self) -> list[Pair]:
        """Those with boxes or masks."""
        return [p for p in self.pairs if p.task["kind"] != "classification"]

    @property
    def kinds(self) -> list[str]:
        """What changes in any of them."""
        return [kind for kind in KINDS if any(pair.kind == kind for pair in self.pairs)]

    @property
    def policies(self) -> list[str]:
        """Those that ran on every pair, in the order of the configs."""
        first, *_ = self.pairs
        return [n for n in first.rated if all(n in pair.rated for pair in self.pairs)]

    @property
    def baselines(self) -> list[str]:
        """What a user could take instead, of what ran on every pair."""
        return [FLIPS, *(name for name in BASELINES if name in self.policies)]

    def only(self, kind: str) -> Shifts:
        """Pairs of one kind."""
        return Shifts([pair for pair in self.pairs if pair.kind == kind])

    @property
    def parts(self) -> list[Shifts]:
        """Pairs of one kind each, then all."""
        return [*(self.only(kind) for kind in self.kinds), self]

    def scores(self, policy: str, adapted: str = AS_TRAINED) -> Scores:
        """Seed -> mean over the pairs."""
        each = [pair.elsewhere(policy, adapted) for pair in self.pairs]
        shared = set(each[0]).intersection(*each[1:])
        return {seed: mean(scores[seed] for scores in each) for seed in sorted(shared)}

    def gain(
        self, policy: str, adapted: str, over: str = FLIPS, baseline: str = AS_TRAINED
    ) -> Interval:
        """What a policy gains over another one, on the mean of the pairs, paired by seed."""
        return paired_difference(self.scores(policy, adapted), self.scores(over, baseline))

    @property
    def heads(self) -> list[str]:
        """What each gain of :meth:`overview` is taken over."""
        count = f"mean of {len(self.pairs)} pair{'s' if len(self.pairs) > 1 else ''}"
        kinds = [head for kind in self.kinds for head in (kind, f"{kind}, adapted")]
        return [*kinds, count, "mean, adapted"]

    def overview(self) -> list[list[object]]:
        """A policy, then for each kind and for all its gain over flips as trained: both ways.

        Cells are empty where it did not run on each of their pairs; such policies come first.
        """
        order = sorted(self.policies, key=lambda n: mean(self.scores(n, MATCHED).values()))
        partly = dict.fromkeys(n for part in self.parts for n in part.policies if n not in order)
        rows: list[list[object]] = []
        for name in (*partly, *order):
            cells: list[object] = [name]
            for part in self.parts:
                ran = name in part.policies
                cells.append(part.gain(name, AS_TRAINED) if ran and name != FLIPS else None)
                cells.append(part.gain(name, MATCHED) if ran else None)
            rows.append(cells)
        return rows

    def ways(self) -> list[list[object]]:
        """A policy, then its mean over the pairs, the ways to use batch norms beside each other."""
        rows: list[list[object]] = []
        for name in self.policies:
            other = [self.scores(name, way) for way in (AS_TRAINED, TARGET, MATCHED)]
            own = [
                mean(mean(pair.same(name, way).values()) for pair in self.pairs)
                for way in (AS_TRAINED, TARGET, MATCHED)
            ]
            gain = paired_difference(other[2], other[1])
            cells = [f"{mean(scores.values()):.1f}" for scores in other]
            rows.append([name, *cells, gain, *(f"{value:.1f}" for value in own)])
        return rows
