"""Balanced accuracy, robustness under corruption, and how sure a difference of policies is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from styleaug.evaluate.corruptions import Condition, conditions

Correct = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int64]

# Half-width of a 95 % interval of the normal distribution, in standard errors.
_Z95 = 1.96


@dataclass(frozen=True)
class Gain:
    """How much better one policy is than another, in points of balanced accuracy (0 to 100).

    Attributes:
        mean: mean over seeds.
        margin: half-width of the 95 % interval, for other test images and other seeds. With two or
            three seeds its second part is a rough guess; with one seed it is missing.
        per_seed: the gain of each seed.
    """

    mean: float
    margin: float
    per_seed: tuple[float, ...]

    @property
    def verdict(self) -> str:
        """Say "higher" or "lower" if the interval excludes zero and several seeds agree."""
        if len(self.per_seed) < 2:
            return "undecided with one seed"
        if self.mean - self.margin > 0 and min(self.per_seed) > 0:
            return "higher"
        if self.mean + self.margin < 0 and max(self.per_seed) < 0:
            return "lower"
        return "no clear difference"


@dataclass(frozen=True)
class PolicyScores:
    """Balanced accuracies of one policy in percent, one value per seed.

    Attributes:
        clean: on the test images as they are.
        corrupted: by corruption and severity.
    """

    clean: tuple[float, ...]
    corrupted: Mapping[str, Mapping[int, tuple[float, ...]]]

    def under(self, corruption: str) -> tuple[float, ...]:
        """Mean over the severities of one corruption."""
        return _mean(list(self.corrupted[corruption].values()))

    @property
    def mpc(self) -> tuple[float, ...]:
        """Mean performance under corruption (Michaelis et al. 2019), over all conditions."""
        return _mean([self.under(corruption) for corruption in self.corrupted])

    @property
    def rpc(self) -> tuple[float, ...]:
        """Relative performance under corruption: mPC as a percentage of the clean accuracy."""
        pairs = zip(self.mpc, self.clean, strict=True)
        return tuple(100 * mpc / clean if clean else 0.0 for mpc, clean in pairs)


@dataclass(frozen=True)
class Comparison:
    """Two policies, and the gain of the second over the first."""

    names: tuple[str, str]
    scores: tuple[PolicyScores, PolicyScores]
    clean: Gain
    robust: Gain
    by_corruption: Mapping[str, Gain]


def balanced_weights(labels: Labels) -> npt.NDArray[np.float64]:
    """Weights of images that make ``correct @ weights`` the balanced accuracy (the mean recall)."""
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights: npt.NDArray[np.float64] = 1 / (len(classes) * counts[inverse])
    return weights


def balanced_accuracy(correct: Correct, labels: Labels) -> npt.NDArray[np.float64]:
    """Balanced accuracy in percent along the last axis of ``correct`` (..., N)."""
    percent: npt.NDArray[np.float64] = 100 * (correct @ balanced_weights(labels))
    return percent


def gain_between(plain: Correct, styled: Correct, labels: Labels) -> Gain:
    """Compare two policies on the same test images.

    The comparison is paired: what counts is, image by image, the change in the share of seeds and
    conditions that got it right. Balanced accuracy is linear in these, which gives its standard
    error. The spread of the seeds' gains adds to it.

    Args:
        plain: (seeds, conditions, N), whether the image was classified correctly.
        styled: the same of the other policy.
        labels: (N,).
    """
    change = 100 * (styled.mean(axis=1) - plain.mean(axis=1))
    per_seed = change @ balanced_weights(labels)
    per_image = change.mean(axis=0)
    groups = [per_image[labels == label] for label in np.unique(labels)]
    within = [group.var(ddof=1) / len(group) for group in groups if len(group) > 1]
    by_images = sum(within) / len(groups) ** 2
    by_seeds = per_seed.var(ddof=1) / len(per_seed) if len(per_seed) > 1 else 0.0
    margin = _Z95 * float(np.sqrt(by_images + by_seeds))
    return Gain(float(per_seed.mean()), margin, tuple(float(value) for value in per_seed))


def compare(
    correct: Mapping[str, Mapping[Condition | None, Correct]],
    labels: Labels,
    *,
    corruptions: Sequence[str],
    severities: Sequence[int],
) -> Comparison:
    """Score two policies and compare the second with the first.

    Args:
        correct: by policy and condition (None: clean images), which images were right: (seeds, N).
        labels: (N,).
        corruptions: the corruptions in ``correct``.
        severities: the severities in ``correct``.
    """
    plain, styled = correct

    def accuracy(policy: str, condition: Condition | None) -> tuple[float, ...]:
        values = balanced_accuracy(correct[policy][condition], labels)
        return tuple(float(value) for value in values)

    def scores(policy: str) -> PolicyScores:
        corrupted = {
            name: {level: accuracy(policy, Condition(name, level)) for level in severities}
            for name in corruptions
        }
        return PolicyScores(accuracy(policy, None), corrupted)

    def gain(wanted: Sequence[Condition | None]) -> Gain:
        both = [np.stack([correct[p][c] for c in wanted], axis=1) for p in (plain, styled)]
        return gain_between(both[0], both[1], labels)

    return Comparison(
        names=(plain, styled),
        scores=(scores(plain), scores(styled)),
        clean=gain([None]),
        robust=gain(conditions(corruptions, severities)),
        by_corruption={name: gain(conditions([name], severities)) for name in corruptions},
    )


def spread(values: Sequence[float]) -> str:
    """Write the mean and, of several values, their range."""
    mean = f"{float(np.mean(values)):.1f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.1f} to {max(values):.1f})"


def _mean(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.mean(np.array(rows), axis=0))
