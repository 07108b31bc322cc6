"""Scores of a test set: of classifiers, of segmentations, of detectors.

Each is a function of one row of numbers an image, so that intervals come from drawing images again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from styleaug.errors import MissingExtraError
from styleaug.images.checks import check_choice

Rows = npt.NDArray[Any]

_LEVELS = 256
"""Thresholds at which pixel scores are counted."""
_PRO_LEVELS = 64
"""The same for the overlap of regions, which costs more."""
PRO_LIMIT = 0.05
"""False positive rate up to which the per-region overlap is integrated (MVTec AD 2)."""


@dataclass(frozen=True)
class Metric:
    """A score in [0, 1], the larger the better.

    Attributes:
        name: for tables.
        rows: (outputs of the model, targets) of some images -> what each adds, (N, ...).
        score: rows of any images -> the score of all of them together.
        quick: whether it may be computed some hundred times, for intervals.
    """

    name: str
    rows: Callable[[Any, Any], Rows]
    score: Callable[[Rows], float]
    quick: bool = True


def metric(name: str) -> Metric:
    """A metric by its name in :data:`METRICS`.

    Raises:
        ValueError: if there is none of that name.
    """
    check_choice("metric", name, METRICS)
    return METRICS[name]


def _class_rows(outputs: Any, targets: Any) -> Rows:
    """One-hot targets, then one-hot where the answer is right: (N, 2, classes)."""
    logits, labels = _array(outputs), _array(targets).astype(int)
    told = np.eye(logits.shape[1])[labels]
    right = told * (logits.argmax(1) == labels)[:, None]
    return np.stack([told, right], axis=1)


def balanced_accuracy(rows: Rows) -> float:
    """Mean recall of the classes that occur."""
    told, right = rows.sum(0)
    return float((right[told > 0] / told[told > 0]).mean())


def _score_rows(outputs: Any, targets: Any) -> Rows:
    """Scores of the classes, then the label: (N, classes + 1)."""
    return np.concatenate([_array(outputs), _array(targets)[:, None]], axis=1)


def auroc(rows: Rows) -> float:
    """Area under the ROC curve; of several classes the mean of one against the rest.

    Classes of which all or no images are come out of the mean.
    """
    scores, labels = rows[:, :-1], rows[:, -1]
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    found = []
    for k in classes:
        # of two classes what counts is the margin: logits have no zero of their own
        score = scores[:, 1] - scores[:, 0] if len(classes) == 1 else scores[:, k]
        positive, negative = score[labels == k], score[labels != k]
        if len(positive) and len(negative):
            order = np.sort(negative)
            below = np.searchsorted(order, positive) + np.searchsorted(order, positive, "right")
            found.append(below.mean() / (2 * len(order)))
    return float(np.mean(found)) if found else float("nan")


def _mask_rows(outputs: Any, targets: Any) -> Rows:
    """Pixels of intersection and union at a probability of a half: (N, 2)."""
    found, wanted = _masks(outputs) >= 0.5, _masks(targets) > 0.5
    return np.stack([(found & wanted).sum((1, 2)), (found | wanted).sum((1, 2))], axis=1)


def iou(rows: Rows) -> float:
    """Intersection over union of all pixels of the set; 1 if nothing is marked nor found."""
    inside, either = rows.sum(0)
    return float(inside / either) if either else 1.0


def _pixel_rows(outputs: Any, targets: Any) -> Rows:
    """Counts of unmarked and marked pixels by probability: (N, 2, levels)."""
    levels = np.clip((_masks(outputs) * _LEVELS).astype(int), 0, _LEVELS - 1)
    wanted = _masks(targets) > 0.5
    return np.stack(
        [
            [np.bincount(level[mask == side], minlength=_LEVELS) for side in (False, True)]
            for level, mask in zip(levels, wanted, strict=True)
        ]
    )


def pixel_ap(rows: Rows) -> float:
    """Average precision over pixels: the area under precision by recall, in 256 steps."""
    wrong, right = np.cumsum(rows.sum(0)[:, ::-1], axis=1)
    if not right[-1]:
        return float("nan")
    precision = right / np.maximum(right + wrong, 1)
    return float((np.diff(right / right[-1], prepend=0) * precision).sum())


def _region_rows(outputs: Any, targets: Any) -> Rows:
    """By threshold: sum of the shares found of each region, regions, false and true negatives.

    (N, 4, levels); regions are connected by sides or corners.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("opencv-python", "bench") from error
    rows = []
    thresholds = np.arange(_PRO_LEVELS) / _PRO_LEVELS
    for score, mask in zip(_masks(outputs), _masks(targets) > 0.5, strict=True):
        count, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        shares = np.zeros(_PRO_LEVELS)
        for k in range(1, count):
            shares += _above(score[regions == k], thresholds) / (regions == k).sum()
        unmarked = score[~mask]
        false = _above(unmarked, thresholds)
        rows.append(
            [shares, np.full(_PRO_LEVELS, count - 1), false, np.full(_PRO_LEVELS, unmarked.size)]
        )
    return np.asarray(rows, dtype=float)


def au_pro(rows: Rows) -> float:
    """Area under the per-region overlap up to a false positive rate of 0.05, over 0.05."""
    shares, regions, false, unmarked = rows.sum(0)
    if not regions[0]:
        return float("nan")
    rate = (false / np.maximum(unmarked, 1))[::-1]
    overlap = (shares / regions)[::-1]
    rate, overlap = np.append(0.0, rate), np.append(0.0, overlap)
    heights = np.interp(np.linspace(0, PRO_LIMIT, 101), rate, overlap)
    return float((heights[1:] + heights[:-1]).mean() / 2)  # trapezoids of equal width


def _above(values: Rows, thresholds: Rows) -> Rows:
    """How many values reach each threshold."""
    order = np.sort(values)
    counts: Rows = len(order) - np.searchsorted(order, thresholds)
    return counts


def _box_rows(outputs: Any, targets: Any) -> Rows:
    """Pairs of found and wanted boxes, as torchvision's detectors give and take them: (N,)."""
    rows = np.empty(len(outputs), dtype=object)
    for k, (found, wanted) in enumerate(zip(outputs, targets, strict=True)):
        rows[k] = tuple(
            {name: value.detach().cpu() for name, value in boxes.items() if name in _BOX_KEYS}
            for boxes in (found, wanted)
        )
    return rows


_BOX_KEYS = {"boxes", "scores", "labels"}


def _box_score(key: str) -> Callable[[Rows], float]:
    def score(rows: Rows) -> float:
        try:
            from torchmetrics.detection import MeanAveragePrecision
        except ImportError as error:
            raise MissingExtraError("torchmetrics", "bench") from error
        measure = MeanAveragePrecision()
        measure.update([found for found, _ in rows], [wanted for _, wanted in rows])
        return float(measure.compute()[key])

    return score


def _array(values: Any) -> Rows:
    if isinstance(values, Tensor):
        return values.detach().float().cpu().numpy()
    if isinstance(values, Sequence):
        return np.asarray([_array(v) if isinstance(v, Tensor) else v for v in values])
    return np.asarray(values)


def _masks(values: Any) -> Rows:
    """Probabilities or masks (N, H, W), from (N, 1, H, W) too."""
    array = _array(values if not isinstance(values, list) else torch.stack(values))
    return array[:, 0] if array.ndim == 4 else array


METRICS = {
    m.name: m
    for m in (
        Metric("balanced accuracy", _class_rows, balanced_accuracy),
        Metric("AUROC", _score_rows, auroc),
        Metric("IoU", _mask_rows, iou),
        Metric("pixel AP", _pixel_rows, pixel_ap),
        Metric("AU-PRO", _region_rows, au_pro),
        Metric("box AP", _box_rows, _box_score("map"), quick=False),
        Metric("box AP50", _box_rows, _box_score("map_50"), quick=False),
    )
}
"""By name. Outputs of the model: class scores (N, classes); probabilities of a defect (N, H, W) or
(N, 1, H, W); for boxes, torchvision's lists of dicts. Targets: labels (N,); masks; lists of
dicts."""
