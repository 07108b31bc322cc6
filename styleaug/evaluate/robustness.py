"""``evaluate``: what any model keeps of its score under corruptions and shifts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from styleaug.evaluate.corruptions import SUITES, Condition, conditions, corrupted_sets
from styleaug.evaluate.metrics import metric
from styleaug.images.color import to_dtype, to_float

Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@dataclass(frozen=True)
class Robustness:
    """Scores of a model on a test set as it is, and under each condition.

    Attributes:
        metric: name of the score.
        clean: rows of the images as they are, see :class:`~styleaug.evaluate.metrics.Metric`.
        shifted: rows by condition.
        suites: names of conditions by suite.
    """

    metric: str
    clean: npt.NDArray[Any]
    shifted: Mapping[Condition, npt.NDArray[Any]]
    suites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def performance(self) -> float:
        """P: the score on clean images, in [0, 1]."""
        return metric(self.metric).score(self.clean)

    def under(self, name: str) -> dict[int, float]:
        """Scores under one corruption or shift, by severity."""
        found = {c.severity: rows for c, rows in self.shifted.items() if c.corruption == name}
        if not found:
            raise ValueError(f"{name!r} was not evaluated, only {', '.join(self.names)}.")
        return {level: metric(self.metric).score(rows) for level, rows in found.items()}

    @property
    def names(self) -> list[str]:
        """Corruptions and shifts that were evaluated."""
        return list(dict.fromkeys(condition.corruption for condition in self.shifted))

    def mpc(self, suite: str | None = None) -> float:
        """Mean performance under corruption, over all conditions of a suite or of all of them.

        Michaelis et al. 2019, equation 1.
        """
        return _mean_score(self, self._chosen(suite), slice(None))

    def rpc(self, suite: str | None = None) -> float:
        """MPC relative to P (Michaelis et al. 2019, equation 2); 0 where P is 0."""
        return self.mpc(suite) / self.performance if self.performance else 0.0

    def relative_mce(self, baseline: Robustness, suite: str | None = None) -> float:
        """Mean over corruptions of the error over that of a baseline (Hendrycks and Dietterich).

        Below 1 is better than the baseline. Corruptions under which the baseline makes no error
        are left out; NaN if that leaves none.
        """
        names = dict.fromkeys(condition.corruption for condition in self._chosen(suite))
        errors = [
            tuple(sum(1 - v for v in model.under(n).values()) for model in (self, baseline))
            for n in names
        ]
        ratios = [own / other for own, other in errors if other]
        return float(np.mean(ratios)) if ratios else float("nan")

    def interval(
        self, suite: str | None = None, *, over: Robustness | None = None, resamples: int = 200
    ) -> tuple[float, float]:
        """95 % bootstrap interval of mPC, or of its gain over another model, for other images.

        Args:
            suite: of conditions; all if not given.
            over: another model on the same images: then of the difference, the images drawn alike.
            resamples: how many times images are drawn.

        Raises:
            ValueError: if the metric is too slow for it, or the sets differ.
        """
        if not metric(self.metric).quick:
            raise ValueError(f"{self.metric} is too slow to be computed {resamples} times.")
        count = len(self.clean)
        if over is not None and (len(over.clean) != count or over.metric != self.metric):
            raise ValueError(
                f"A gain needs the same images and metric, but got {count} and {len(over.clean)} "
                f"images, {self.metric} and {over.metric}."
            )
        rng = np.random.default_rng(0)
        chosen, found = self._chosen(suite), []
        for _ in range(resamples):
            drawn = rng.integers(count, size=count)
            value = _mean_score(self, chosen, drawn)
            found.append(value if over is None else value - _mean_score(over, chosen, drawn))
        low, high = np.nanpercentile(found, [2.5, 97.5])
        return float(low), float(high)

    def _chosen(self, suite: str | None) -> list[Condition]:
        if suite is None:
            return list(self.shifted)
        if suite not in self.suites:
            raise ValueError(f"suite must be one of {', '.join(self.suites)}, but got {suite!r}.")
        return [c for c in self.shifted if c.corruption in self.suites[suite]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: P, mPC and rPC by suite, and the score under each condition."""
        return {
            "metric": self.metric,
            "images": len(self.clean),
            "clean": self.performance,
            "suites": {
                name: {"mPC": self.mpc(name), "rPC": self.rpc(name)} for name in self.suites
            },
            "shifted": {
                name: {str(level): value for level, value in self.under(name).items()}
                for name in self.names
            },
        }


def evaluate(
    model: Callable[[Any], Any],
    loader: Iterable[Any],
    *,
    metric: str = "balanced accuracy",
    suites: Sequence[str] = ("imagenet-c", "industrial"),
    severities: Sequence[int] = (1, 2, 3, 4, 5),
    preprocess: Callable[[Tensor], Any] = to_float,
    readapt: bool = False,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    seed: int = 0,
    workers: int = 2,
    progress: Progress = lambda items, title, total: items,
) -> Robustness:
    """Score a model on clean, corrupted and shifted copies of a test set.

    Args:
        model: takes what ``preprocess`` gives and returns what the metric reads, see
            :data:`~styleaug.evaluate.metrics.METRICS`. A module is put into eval mode meanwhile.
        loader: batches (images, targets): images (B, 3, H, W), uint8 or float in [0, 1], all of one
            size, not normalized; targets as the metric reads them.
        metric: a name of :data:`~styleaug.evaluate.metrics.METRICS`.
        suites: names of :data:`~styleaug.evaluate.corruptions.SUITES`.
        severities: of 1 to 5.
        preprocess: uint8 batches -> what the model takes; by default floats in [0, 1].
        readapt: estimate the statistics of batch norms anew on each corrupted set, without its
            labels: a part of many gains is to be had by that alone (Schneider et al. 2020).
        batch_size: images that the model gets at a time.
        device: where the model runs.
        seed: of the corruptions.
        workers: processes that corrupt images; 0 works in this one.
        progress: wraps the conditions that are gone through, with a title and their number.

    Raises:
        ValueError: if a name is unknown, or the images are not as they must be.
        MissingExtraError: if a suite or metric needs a package that is not installed.
    """
    chosen = _metric(metric)
    wanted = _conditions(suites, severities)
    images, targets = _collect(loader)
    on = torch.device(device)

    def rows(pixels: Tensor) -> npt.NDArray[Any]:
        batches = [preprocess(part.to(on)) for part in torch.split(pixels, batch_size)]
        with _evaluating(model) as ready:
            adapted = adapt_batchnorm(ready, batches) if readapt else ready
            with torch.no_grad():
                outputs = [adapted(batch) for batch in batches]
        return chosen.rows(_joined(outputs), targets)

    clean = rows(images)
    arrays = images.permute(0, 2, 3, 1).contiguous().numpy()
    shifted = {}
    sets = corrupted_sets(arrays, wanted, seed=seed, workers=workers)
    for condition, corrupted in progress(sets, "conditions", len(wanted)):
        shifted[condition] = rows(torch.from_numpy(corrupted).permute(0, 3, 1, 2).contiguous())
    return Robustness(chosen.name, clean, shifted, {name: SUITES[name] for name in suites})


_metric = metric


def _mean_score(robustness: Robustness, chosen: Sequence[Condition], drawn: Any) -> float:
    score = metric(robustness.metric).score
    return float(np.mean([score(robustness.shifted[c][drawn]) for c in chosen]))


def _conditions(suites: Sequence[str], severities: Sequence[int]) -> list[Condition]:
    unknown = [name for name in suites if name not in SUITES]
    if unknown or not suites:
        raise ValueError(f"suites must be some of {', '.join(SUITES)}, but got {list(suites)}.")
    if not severities or not set(severities) <= {1, 2, 3, 4, 5}:
        raise ValueError(f"severities must be some of 1 to 5, but got {list(severities)}.")
    names = dict.fromkeys(name for suite in suites for name in SUITES[suite])
    return conditions(list(names), severities)


def _collect(loader: Iterable[Any]) -> tuple[Tensor, Any]:
    """All images as uint8 (N, 3, H, W), and all targets."""
    images, targets = [], []
    for batch, target in loader:
        stacked = batch if isinstance(batch, Tensor) else torch.stack(list(batch))
        if stacked.ndim != 4 or stacked.shape[1] not in (1, 3):
            raise ValueError(
                f"evaluate needs batches of images (B, 3, H, W), but got {tuple(stacked.shape)}."
            )
        if stacked.is_floating_point() and not (stacked.min() >= 0 and stacked.max() <= 1):
            raise ValueError(
                "evaluate needs images in [0, 1] or uint8, before Normalize: hand that over as "
                "preprocess=."
            )
        stacked = stacked.cpu().expand(-1, 3, -1, -1)
        images.append(to_dtype(to_float(stacked), torch.uint8))
        targets.append(target)
    if not images:
        raise ValueError("evaluate needs images, but the loader yields none.")
    return torch.cat(images), _joined(targets)


def _joined(parts: Sequence[Any]) -> Any:
    """One tensor, or one list, of all parts."""
    if isinstance(parts[0], Tensor):
        return torch.cat([part.cpu() for part in parts])
    return [one for part in parts for one in part]


@contextmanager
def _evaluating(model: Any) -> Iterator[Any]:
    """The model in eval mode; afterwards as it was."""
    if not isinstance(model, nn.Module):
        yield model
        return
    training = model.training
    model.eval()
    yield model
    model.train(training)


def adapt_batchnorm(model: Any, batches: Iterable[Any]) -> Any:
    """A copy in eval mode whose batch norms hold the statistics of these images.

    What a new lamp or finish does to a network is for a good part that the means and variances
    that its batch norms learned no longer hold. They can be estimated anew without a label
    (Schneider et al. 2020). No weight changes.

    Args:
        model: a module with batch norms; it stays as it is.
        batches: what it takes, batch by batch, each counting alike: a hundred images or more, of
            all kinds of parts in the shares in which they come. Without gradients.

    Raises:
        ValueError: if the model has no batch norm with running statistics, or there is no batch.

    Examples:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        >>> dim = [0.1 * torch.rand(8, 3, 16, 16) for _ in range(2)]
        >>> adapted = adapt_batchnorm(model, dim)
        >>> bool(adapted[1].running_var.max() < model[1].running_var.max())
        True
    """
    norms = []
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model).eval()
        found = [layer for layer in model.modules() if isinstance(layer, _NORMS)]
        norms = [layer for layer in found if layer.running_mean is not None]
    if not norms:
        raise ValueError(
            "readapt needs a module with batch norms that keep running statistics, but this model "
            "has none."
        )
    before = [(layer.momentum, copy.deepcopy(layer.state_dict())) for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
        layer.train()
    with torch.no_grad():
        for batch in batches:
            model(batch)
    if not any(layer.num_batches_tracked for layer in norms):
        raise ValueError("readapt needs at least one batch of images, but got none.")
    for layer, (momentum, state) in zip(norms, before, strict=True):
        layer.momentum = momentum
        if not layer.num_batches_tracked:  # no image came by: a head for training alone, say
            layer.load_state_dict(state)
    return model.eval()
