"""One result of the robustness suite, as tables take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from statistics import mean
from typing import Any

from styleaug.evaluate.corruptions import LAMPS, SUITES, VALIDATION_CORRUPTIONS
from styleaug.evaluate.models import SMALL
from styleaug.evaluate.policies import FLIPS, build_policy, describe_policy
from styleaug.evaluate.results import Result

MINE = "StyleAugment"
_MEMBERS = {
    **SUITES,
    "other corruptions": VALIDATION_CORRUPTIONS,
    "other lighting": tuple(LAMPS),
}

Scores = dict[int, float]


class Run:
    """One result: policies trained alike on one dataset."""

    def __init__(self, result: Result) -> None:
        result = as_of_today(result)
        self.meta = result.meta
        self.task: Mapping[str, Any] = result.meta["task"]
        self.protocol: Mapping[str, Any] = result.meta["protocol"]
        self.metrics = result.metrics
        self.seeds = result.seeds
        self._of = {name: result.select(policy=name) for name in result.policies}
        self.scores = cache(self._scores)

    @property
    def policies(self) -> list[str]:
        """Their names."""
        return list(self._of)

    @property
    def role(self) -> str:
        """Which table it belongs to."""
        protocol = self.protocol
        if FLIPS not in self._of:
            return "trial"
        if protocol.get("line"):
            return "line"
        if protocol.get("part_by"):
            return "look"
        if set(protocol["corruptions"]) <= set(SUITES["validation"]):
            return "settings"
        return "scratch" if protocol["model"] == SMALL else "whole"

    def members(self, column: str) -> list[str]:
        """The conditions that a column is the mean of."""
        measured = self.protocol["corruptions"]
        return [n for n in measured if n in _MEMBERS[column]] if column in _MEMBERS else [column]

    def _scores(self, policy: str, column: str, **options: Any) -> Scores:
        """Seed -> score; empty where it was not measured. Options are those of `Result.scores`."""
        part = self._of[policy]
        # of some scores the first runs kept the mean over a suite alone, and not its conditions
        whole = part.scores(policy, column, **options)
        return whole or part.scores(policy, self.members(column), **options)

    @property
    def epochs(self) -> int:
        """How often each training image was met."""
        protocol = self.protocol
        return round(protocol["steps"] * protocol["batch_size"] / self.task["train"])

    def seconds(self, policy: str) -> float:
        """CPU seconds of a training with its test; mean over seeds."""
        return mean(self._of[policy].scores(policy, "run", metric="cpu seconds").values())


def as_of_today(result: Result) -> Result:
    """The result; policies whose settings are no longer what their expressions mean say so.

    Of another pack the page says so itself: a pack changes with every row that it is given.
    """
    measured, texts = result.meta.get("settings", {}), result.meta["policies"]
    names = {
        name: name
        if MINE not in text
        or _without_packs(measured.get(name, _settings(text))) == _without_packs(_settings(text))
        else f"{name}, earlier settings"
        for name, text in texts.items()
    }
    meta = {**result.meta, "policies": {names[name]: text for name, text in texts.items()}}
    rows = tuple(row._replace(policy=names[row.policy]) for row in result.rows)
    return replace(result, meta=meta, rows=rows)


def _without_packs(settings: Any) -> Any:
    if isinstance(settings, dict):
        return {name: _without_packs(v) for name, v in settings.items() if name != "pack"}
    return [_without_packs(entry) for entry in settings] if isinstance(settings, list) else settings


@cache
def _settings(expression: str) -> list[Any]:
    """What a policy does today, as results record it."""
    return describe_policy(build_policy(expression))
