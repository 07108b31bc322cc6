"""What one trained network makes of the test images, and the file that keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from styleaug.adapt import adapt_batchnorm, norm_statistics
from styleaug.evaluate.corruptions import Condition
from styleaug.evaluate.metrics import Rows, metric
from styleaug.evaluate.models import Network
from styleaug.evaluate.protocol import ADAPTED_SEVERITY, Protocol
from styleaug.evaluate.results import (
    ADAPTATIONS,
    AS_TRAINED,
    CLEAN,
    ELSEWHERE,
    MATCHED,
    TARGET,
)
from styleaug.evaluate.split import Split
from styleaug.evaluate.tasks import SCORES, ImageSet, fast_arithmetic, predict, to_inputs
from styleaug.files import atomic_path

Value = tuple[str, int, str, str, float]
"""A row of a result without its policy and seed."""
ByCondition = dict[Condition | None, Rows]


SOURCES = 512
"""Most training images that others are matched to."""


@dataclass(frozen=True)
class Outcome:
    """What a run measured.

    Attributes:
        values: scores in percent and durations in seconds.
        rows: what each test image adds to the score that the task is judged by, by condition, None
            for clean images; nothing of boxes.
        parameters: of the network.
    """

    values: tuple[Value, ...]
    rows: Mapping[Condition | None, Rows]
    parameters: int

    def save(self, path: Path) -> None:
        """Write it, atomically."""
        stored = {
            "values": [list(value) for value in self.values],
            "parameters": self.parameters,
            "conditions": [c and [c.corruption, c.severity] for c in self.rows],
            "rows": [torch.from_numpy(rows) for rows in self.rows.values()],
        }
        with atomic_path(path) as temporary:
            torch.save(stored, temporary)

    @classmethod
    def load(cls, path: Path) -> Outcome | None:
        """Read it; None if there is no such file, or it is damaged, as after a full disk."""
        if not path.is_file():
            return None
        try:
            stored = torch.load(path, weights_only=True)
        except Exception:  # the unpickler of half a file fails in many ways
            return None
        conditions = [c and Condition(*c) for c in stored["conditions"]]
        rows = dict(zip(conditions, (r.numpy() for r in stored["rows"]), strict=True))
        return cls(tuple(tuple(v) for v in stored["values"]), rows, stored["parameters"])


def score_network(
    network: Network,
    split: Split,
    protocol: Protocol,
    corrupted: Callable[[Condition], Tensor],
    device: torch.device,
) -> tuple[list[Value], ByCondition]:
    """Score a network on clean, corrupted and, where the split has them, other lines' images.

    Args:
        network: in eval mode; it stays as it is.
        split: whose test images they are.
        protocol: says which conditions, and how thoroughly.
        corrupted: gives the test images (N, 3, S, S), uint8, under a condition.
        device: where the network is.
    """
    values: list[Value] = []
    names = SCORES[split.task.kind][: None if protocol.thorough else 1]

    def score(part: ImageSet, name: str, severity: int = 0, adapted: str = AS_TRAINED) -> Rows:
        with fast_arithmetic(device, split.task.kind):
            ready = network
            if adapted:
                known = source if adapted == MATCHED else None
                ready = adapt_batchnorm(
                    network, shuffled_batches(part.images, device), source=known
                )
            answers = predict(ready, part.images, device=device)
        rows = {score: metric(score).rows(answers, part.targets) for score in names}
        for measured, found in rows.items():
            value = 100 * metric(measured).score(found)
            if np.isfinite(value):  # a curve over classes that do not occur has no area
                values.append((name, severity, measured, adapted, value))
        return rows[split.task.metric]

    source = None
    if protocol.thorough:
        with fast_arithmetic(device, split.task.kind):
            source = norm_statistics(network, shuffled_batches(split.train.images, device, SOURCES))
    rows: ByCondition = {None: score(split.test, CLEAN)}
    for adapted in ADAPTATIONS if protocol.thorough else (AS_TRAINED,):
        if split.elsewhere and split.elsewhere.targets is not None:
            score(split.elsewhere, ELSEWHERE, adapted=adapted)
        if adapted:
            score(split.test, CLEAN, adapted=adapted)
    for condition in protocol.conditions():
        part = ImageSet(corrupted(condition), split.test.targets)
        rows[condition] = score(part, condition.corruption, condition.severity)
        if protocol.thorough and condition.severity == ADAPTED_SEVERITY:
            for adapted in (TARGET, MATCHED):
                score(part, condition.corruption, condition.severity, adapted)
    return values, rows if metric(split.task.metric).quick else {}


def shuffled_batches(
    images: Tensor, device: torch.device, limit: int | None = None, *, seed: int = 0
) -> Iterator[Tensor]:
    """Inputs, batch by batch, in random order: images may come class by class."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:limit]
    return (to_inputs(part.to(device)) for part in torch.split(images[order], 32))
