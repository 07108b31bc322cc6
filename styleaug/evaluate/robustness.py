"""What a model keeps of its score under corruptions and shifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from styleaug.evaluate.corruptions import Condition
from styleaug.evaluate.metrics import Rows
from styleaug.evaluate.metrics import metric as find_metric
from styleaug.evaluate.statistics import Interval, mean_interval, resampled_variance


@dataclass(frozen=True)
class Robustness:
    """Scores of a model, or of one model a seed, on test images as they are and under conditions.

    Attributes:
        metric: name of the score.
        images: number of test images.
        scores: values in [0, 1], one per seed, by condition; None is the condition of clean images.
        rows: what each image adds to the score, (seeds, images, ...) by condition, see
            :class:`~styleaug.evaluate.metrics.Metric`; none of metrics that are not quick.
        suites: names of conditions by suite.
    """

    metric: str
    images: int
    scores: Mapping[Condition | None, tuple[float, ...]]
    rows: Mapping[Condition | None, Rows] = field(default_factory=dict)
    suites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        metric: str,
        rows: Mapping[Condition | None, Rows],
        suites: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Robustness:
        """Score the rows of one model by condition, None for images as they are."""
        chosen = find_metric(metric)
        scores = {condition: (chosen.score(values),) for condition, values in rows.items()}
        kept = {c: values[None] for c, values in rows.items()} if chosen.quick else {}
        return cls(metric, len(rows[None]), scores, kept, suites or {})

    @property
    def performance(self) -> float:
        """P: the score on clean images, in [0, 1]."""
        return float(np.mean(self.scores[None]))

    def under(self, name: str) -> dict[int, float]:
        """Scores under one corruption or shift, by severity."""
        found = {c.severity: v for c, v in self.scores.items() if c and c.corruption == name}
        if not found:
            raise ValueError(f"{name!r} was not evaluated, only {', '.join(self.names)}.")
        return {severity: float(np.mean(values)) for severity, values in found.items()}

    @property
    def names(self) -> list[str]:
        """Evaluated corruptions and shifts."""
        return list(dict.fromkeys(c.corruption for c in self.scores if c))

    def mpc(self, suite: str | None = None) -> float:
        """Mean performance under corruption (Michaelis et al. 2019, equation 1).

        Args:
            suite: a suite, or one corruption or shift; by default all conditions.
        """
        return float(np.mean([self.scores[c] for c in self._chosen(suite)]))

    def rpc(self, suite: str | None = None) -> float:
        """MPC relative to P (Michaelis et al. 2019, equation 2); 0 where P is 0."""
        return self.mpc(suite) / self.performance if self.performance else 0.0

    def relative_mce(self, baseline: Robustness, suite: str | None = None) -> float:
        """Mean over corruptions of the error over that of a baseline (Hendrycks and Dietterich).

        Below 1 is better than the baseline. Corruptions under which the baseline makes no error
        are left out; NaN if that leaves none.
        """
        names = dict.fromkeys(c.corruption for c in self._chosen(suite))
        errors = [(1 - self.mpc(name), 1 - baseline.mpc(name)) for name in names]
        ratios = [own / other for own, other in errors if other]
        return float(np.mean(ratios)) if ratios else float("nan")

    def interval(
        self,
        suite: str | None = None,
        *,
        over: Robustness | None = None,
        clean: bool = False,
    ) -> Interval:
        """MPC, or its paired difference to another model's, with the 95 % interval.

        The interval is for other test images, drawn alike for all seeds and both models, and for
        other seeds, where there are several; see
        :func:`~styleaug.evaluate.statistics.mean_interval`. Of boxes it is for other seeds alone.

        Args:
            suite: as :meth:`mpc` takes it.
            over: another model on the same images, trained with the same seeds.
            clean: take P instead of mPC.

        Raises:
            ValueError: if the other model has another metric, or other images or seeds.
        """
        chosen: Sequence[Condition | None] = [None] if clean else self._chosen(suite)
        models = [self] if over is None else [self, over]
        kinds = [(m.metric, m.images, len(m.scores[None])) for m in models]
        if kinds[0] != kinds[-1]:
            raise ValueError(
                "A difference needs the same metric, images and number of seeds, but got "
                f"{kinds[0]} and {kinds[-1]}."
            )
        means = [np.mean([model.scores[c] for c in chosen], axis=0) for model in models]
        values = means[0] if over is None else means[0] - means[1]
        if not self.rows:
            return mean_interval(values)
        score = find_metric(self.metric).score

        def redrawn(drawn: Rows) -> float:
            found = [
                np.mean([score(rows[drawn]) for c in chosen for rows in model.rows[c]])
                for model in models
            ]
            return float(found[0] if over is None else found[0] - found[1])

        variance = resampled_variance(redrawn, self.images)
        return mean_interval(values, image_variance=variance, images=self.images)

    def _chosen(self, suite: str | None) -> list[Condition]:
        names = self.names if suite is None else self.suites.get(suite, (suite,))
        found = [c for c in self.scores if c and c.corruption in names]
        if suite is not None and not found:
            known = ", ".join([*self.names, *self.suites])
            raise ValueError(f"{suite!r} was not evaluated, only {known}.")
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: P, mPC and rPC by suite, and the score under each condition."""
        return {
            "metric": self.metric,
            "images": self.images,
            "clean": self.performance,
            "suites": {
                name: {"mPC": self.mpc(name), "rPC": self.rpc(name)} for name in self.suites
            },
            "shifted": {
                name: {str(level): value for level, value in self.under(name).items()}
                for name in self.names
            },
        }


def pool_seeds(results: Sequence[Robustness]) -> Robustness:
    """Results of one policy, trained with several seeds and tested alike, as one."""
    first = results[0]
    return replace(
        first,
        scores={c: tuple(v for r in results for v in r.scores[c]) for c in first.scores},
        rows={c: np.concatenate([r.rows[c] for r in results]) for c in first.rows},
    )
