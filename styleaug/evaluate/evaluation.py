"""``evaluate``: score any model on clean, corrupted and shifted images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from styleaug.adapt import adapt_batchnorm
from styleaug.evaluate.corruptions import SUITES, Condition, conditions, corrupted_sets
from styleaug.evaluate.metrics import Rows
from styleaug.evaluate.metrics import metric as find_metric
from styleaug.evaluate.robustness import Robustness
from styleaug.evaluate.tasks import joined
from styleaug.images.color import to_dtype, to_float


def evaluate(
    model: Callable[[Any], Any],
    loader: Iterable[Any],
    *,
    metric: str = "balanced accuracy",
    suites: Sequence[str] = ("imagenet-c", "industrial"),
    severities: Sequence[int] = (1, 3, 5),
    preprocess: Callable[[Tensor], Any] = to_float,
    adapt: bool = False,
    workers: int = 2,
) -> Robustness:
    """Score a model on clean, corrupted and shifted copies of a test set.

    Args:
        model: takes the output of ``preprocess`` and returns the input of the metric, see
            :data:`~styleaug.evaluate.metrics.METRICS`. A module runs on the device of its
            parameters, in eval mode.
        loader: batches (images, targets): images (B, 3, H, W), uint8 or float in [0, 1], all of one
            size, not normalized; targets in the format of the metric. The first batch sets the
            batch size of the model.
        metric: a name of :data:`~styleaug.evaluate.metrics.METRICS`.
        suites: names of :data:`~styleaug.evaluate.corruptions.SUITES`.
        severities: severities from 1 to 5.
        preprocess: uint8 batches -> what the model takes; by default floats in [0, 1].
        adapt: whether to re-estimate batch-norm statistics on each corrupted copy, without labels:
            this alone brings a part of many gains (Schneider et al. 2020).
        workers: processes that corrupt images; 0 works in this one.

    Raises:
        ValueError: if a name is unknown, or the images are invalid.
        MissingExtraError: if a suite or metric needs a package that is not installed.
    """
    chosen = find_metric(metric)
    if not suites or not set(suites) <= set(SUITES):
        raise ValueError(f"suites must be some of {', '.join(SUITES)}, but got {list(suites)}.")
    if not severities:
        raise ValueError("severities must be some of 1 to 5, but there are none.")
    names = dict.fromkeys(name for suite in suites for name in SUITES[suite])
    wanted = conditions(list(names), severities)
    images, targets, batch_size = _collect(loader)
    parameters = model.parameters() if isinstance(model, nn.Module) else ()
    device = next((parameter.device for parameter in parameters), "cpu")

    def rows(pixels: Tensor) -> Rows:
        batches = [preprocess(part.to(device)) for part in torch.split(pixels, batch_size)]
        with _evaluating(model) as ready, torch.no_grad():
            adapted = adapt_batchnorm(ready, batches) if adapt else ready
            outputs = [adapted(batch) for batch in batches]
        return chosen.rows(joined(outputs), targets)

    found: dict[Condition | None, Rows] = {None: rows(images)}
    arrays = images.permute(0, 2, 3, 1).contiguous().numpy()
    sets = corrupted_sets(arrays, wanted, workers=workers)
    bar = tqdm(sets, "evaluate", len(wanted), unit="condition", leave=False, disable=None)
    for condition, corrupted in bar:
        found[condition] = rows(torch.from_numpy(corrupted).permute(0, 3, 1, 2).contiguous())
    return Robustness.of(chosen.name, found, {name: SUITES[name] for name in suites})


def _collect(loader: Iterable[Any]) -> tuple[Tensor, Any, int]:
    """All images as uint8 (N, 3, H, W), all targets, and the size of the first batch."""
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
    return torch.cat(images), joined(targets), len(images[0])


@contextmanager
def _evaluating(model: Any) -> Iterator[Any]:
    """The model in eval mode; afterwards each of its modules is as it was."""
    modes = (
        {part: part.training for part in model.modules()} if isinstance(model, nn.Module) else {}
    )
    if modes:
        model.eval()
    try:
        yield model
    finally:
        for part, training in modes.items():  # one by one: some may be frozen on purpose
            part.training = training
