"""``bench``: train a small detector with and without StyleAugment, and measure both."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from styleaug.bench.cnn import predict, train_cnn
from styleaug.bench.policies import PEERS, SEARCH, Policy
from styleaug.datasets import DefectSet
from styleaug.images import to_tensor
from styleaug.pack import StylePack
from styleaug.robustness.corruptions import LAMPS, SUITES, Condition, conditions, corrupted_sets
from styleaug.robustness.evaluation import Robustness
from styleaug.robustness.metrics import metric
from styleaug.weights import atomic_path

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
METRIC = "balanced accuracy"
SEVERITIES = (1, 3, 5)
TOLERANCE = 0.01
"""Clean accuracy that a recommended setting may cost on the validation images."""
BACKGROUND = "background"
"""Class of images without a label, which sets of boxes have."""


@dataclass(frozen=True)
class Protocol:
    """How detectors are trained and tested.

    Attributes:
        size: side of the network's input, in pixels.
        steps: of training, alike for all.
        batch_size: images a step.
        train: most images trained on.
        test: most images tested on.
        seeds: of the final comparison.
    """

    size: int = 96
    steps: int = 500
    batch_size: int = 64
    train: int = 2000
    test: int = 400
    seeds: tuple[int, ...] = (0, 1, 2)

    @classmethod
    def quick(cls) -> Protocol:
        """Minutes on two cores."""
        return cls(steps=200, batch_size=32, train=1000, test=150, seeds=(0,))


@dataclass(frozen=True)
class BenchReport:
    """What a bench found.

    Attributes:
        name: of the set.
        classes: its classes.
        images: how many were trained and tested on.
        results: by policy, flips alone first; outcomes of all seeds together.
        per_seed: P and mPC of each suite by policy, one value a seed.
        search: P and mPC of each tried setting on the validation images.
        chosen: name of the recommended setting.
        code: the line to paste.
    """

    name: str
    classes: tuple[str, ...]
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
            "classes": list(self.classes),
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
    peers: Sequence[str] = ("ColorJitter",),
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
    at most a point of clean accuracy; if all cost more, the one that costs least. Then every policy
    trains on all training images and is tested under the other suites, which chose nothing.

    The detector is a small CNN from scratch, for classes of whole images: of images with boxes, the
    class of the largest.

    Args:
        defects: the labelled images, of two classes at least.
        peers: names in :data:`~styleaug.bench.policies.PEERS`.
        pack: name or path of the style pack.
        protocol: sizes and seeds.
        cache: a folder in which each trained detector's outcome is kept, so that an interrupted
            bench goes on.
        device: where detectors train.
        workers: processes that corrupt images; 0 works in this one.
        progress: wraps the detectors to be trained, with a title.

    Raises:
        ValueError: if the set has less than two classes, or a peer is unknown.
        OSError: if an image cannot be read.
    """
    unknown = sorted(set(peers) - set(PEERS))
    if unknown:
        raise ValueError(f"peers must be among {', '.join(PEERS)}, but are {unknown}.")
    protocol = protocol or Protocol()
    classes = tuple(sorted({s.label or BACKGROUND for s in defects.samples}))
    if len(classes) < 2:
        raise ValueError(
            f"A bench needs images of two classes at least, but {defects.name} has {classes}."
        )
    train_set, test_set = _parted(defects)
    fitting, kept_aside = train_set.split(test_fraction=1 / 6, seed=1)
    runner = _Runner(classes, pack, protocol, torch.device(device), cache)
    tried = {name: Policy(name, style=style) for name, style in SEARCH.items()}
    flips = Policy("flips")
    suites = [s for s in ("industrial", "imagenet-c") if s == "industrial" or _has_package()]

    small = runner.read(fitting, protocol.train), runner.read(kept_aside, protocol.test)
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
    large = runner.read(train_set, protocol.train), runner.read(test_set, protocol.test)
    sets = _shifted(large[1].images, suites, workers)
    outcomes: dict[str, list[Robustness]] = {policy.name: [] for policy in policies}
    jobs = [(policy, seed) for seed in protocol.seeds for policy in policies]
    for policy, seed in progress(jobs, "comparing"):
        outcomes[policy.name].append(runner.outcome(policy, seed, *large, sets, suites))
    return BenchReport(
        name=defects.name,
        classes=classes,
        images=(len(large[0].images), len(large[1].images)),
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


def _parted(defects: DefectSet) -> tuple[DefectSet, DefectSet]:
    """The set's own split, or one at random where that trains on good parts alone, as MVTec's."""
    parts = defects.split()
    if {s.label for s in parts[0].samples} >= {s.label for s in parts[1].samples}:
        return parts
    samples = tuple(replace(sample, split="") for sample in defects.samples)
    return replace(defects, samples=samples).split()


def choose(search: Mapping[str, Mapping[str, float]]) -> str:
    """The setting to recommend, see :func:`bench`: ``search`` holds flips first."""
    clean = search["flips"]["P"]
    styles = {name: row for name, row in search.items() if name != "flips"}
    cheap = {name: row for name, row in styles.items() if row["P"] >= clean - TOLERANCE}
    if cheap:
        return max(cheap, key=lambda name: cheap[name]["mPC"])
    return max(styles, key=lambda name: styles[name]["P"])


@dataclass(frozen=True)
class _Images:
    """Images (N, 3, S, S) uint8 with labels (N,)."""

    images: Tensor
    labels: Tensor


class _Runner:
    """Trains and tests one detector after the other; what was done before is not done again."""

    def __init__(
        self,
        classes: Sequence[str],
        pack: str,
        protocol: Protocol,
        device: torch.device,
        cache: Path | None,
    ) -> None:
        self.classes, self.pack, self.protocol = list(classes), pack, protocol
        self.device, self.cache = device, cache
        self.pack_id = StylePack.load(pack).id

    def read(self, part: DefectSet, limit: int) -> _Images:
        samples = list(part.samples)
        random.Random(0).shuffle(samples)
        side = (self.protocol.size, self.protocol.size)
        pictures = [
            to_tensor(sample.load().resize(side, Image.Resampling.BILINEAR))
            for sample in samples[:limit]
        ]
        labels = [self.classes.index(s.label or BACKGROUND) for s in samples[:limit]]
        return _Images(torch.stack(pictures), torch.tensor(labels))

    def outcome(
        self,
        policy: Policy,
        seed: int,
        train: _Images,
        test: _Images,
        sets: Mapping[Condition, npt.NDArray[np.uint8]],
        suites: Sequence[str],
    ) -> Robustness:
        """What a detector trained so makes of the test images, under every condition."""
        key = {
            "policy": asdict(policy),
            "pack": self.pack_id if policy.style is not None else None,
            "protocol": {**asdict(self.protocol), "seeds": None},
            "seed": seed,
            "images": [_digest(x) for x in (train.images, train.labels, test.images, test.labels)],
            "conditions": [[c.corruption, c.severity] for c in sets],
        }
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
        file = None if self.cache is None else self.cache / f"{name}.npy"
        if file is None or not file.is_file():
            answers = self._train_and_test(policy, seed, train, test, sets)
            if file is not None:
                with atomic_path(file) as temporary, temporary.open("wb") as out:
                    np.save(out, answers)
        else:
            answers = np.load(file)
        rows = [metric(METRIC).rows(np.eye(len(self.classes))[one], test.labels) for one in answers]
        shifted = dict(zip(sets, rows[1:], strict=True))
        return Robustness(METRIC, rows[0], shifted, {suite: SUITES[suite] for suite in suites})

    def _train_and_test(
        self,
        policy: Policy,
        seed: int,
        train: _Images,
        test: _Images,
        sets: Mapping[Condition, npt.NDArray[np.uint8]],
    ) -> npt.NDArray[np.int64]:
        """Answers (1 + conditions, N), those on clean images first."""
        model = train_cnn(
            train.images,
            train.labels,
            classes=len(self.classes),
            augment=policy.make(self.pack),
            steps=self.protocol.steps,
            batch_size=self.protocol.batch_size,
            seed=seed,
            device=self.device,
            title=f"{policy.name}, seed {seed}",
            leave=False,
        )
        tests = [test.images, *(torch.from_numpy(s).permute(0, 3, 1, 2) for s in sets.values())]
        answers = [predict(model, x, device=self.device).numpy() for x in tests]
        return np.stack(answers)


def _has_package() -> bool:
    """Whether ImageNet-C's corruptions can be had."""
    return find_spec("imagecorruptions") is not None


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
    """Outcomes of all seeds as one: rows of the same image added up, so that images stay units."""
    first = results[0]
    clean = np.sum([r.clean for r in results], axis=0)
    shifted = {c: np.sum([r.shifted[c] for r in results], axis=0) for c in first.shifted}
    return Robustness(first.metric, clean, shifted, first.suites)


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()[:16]
