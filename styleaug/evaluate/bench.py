"""``bench``: train a network with and without StyleAugment, and measure both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from styleaug.datasets import DefectSet
from styleaug.evaluate.policies import PEERS, SEARCH, Policy, settings_for
from styleaug.evaluate.robustness import Robustness
from styleaug.evaluate.runner import Protocol, Runner, corruptions_installed, shifted_sets, together
from styleaug.evaluate.tasks import Task, kind_of, make_task, parted

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
TOLERANCE = 0.01
"""Clean score that a recommended setting may cost on the validation images."""


@dataclass(frozen=True)
class BenchReport:
    """What a bench found.

    Attributes:
        name: of the set.
        task: what was learned.
        model: the backbone.
        steps: of each training.
        batch_size: images a step.
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
    steps: int
    batch_size: int
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
            "steps": self.steps,
            "batch_size": self.batch_size,
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
        peers: names in :data:`~styleaug.evaluate.policies.PEERS`.
        pack: name or path of the style pack.
        protocol: sizes, steps and seeds; by default what suits the task.
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
    runner = Runner(what, pack, protocol, torch.device(device), cache)
    tried = {name: Policy(name, style=style) for name, style in settings_for(kind).items()}
    flips = Policy("flips")
    suites = [
        s for s in ("industrial", "imagenet-c") if s == "industrial" or corruptions_installed()
    ]

    small = (
        what.read(fitting.samples, protocol.train),
        what.read(kept_aside.samples, protocol.test),
    )
    jobs = [(policy, protocol.seeds[0]) for policy in (flips, *tried.values())]
    sets = shifted_sets(small[1].images, ["validation"], workers)
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
    sets = shifted_sets(large[1].images, suites, workers)
    outcomes: dict[str, list[Robustness]] = {policy.name: [] for policy in policies}
    jobs = [(policy, seed) for seed in protocol.seeds for policy in policies]
    for policy, seed in progress(jobs, "comparing"):
        outcomes[policy.name].append(runner.outcome(policy, seed, *large, sets, suites))
    return BenchReport(
        name=defects.name,
        task=what,
        model=protocol.model,
        steps=protocol.steps,
        batch_size=protocol.batch_size,
        images=(len(large[0]), len(large[1])),
        results={name: together(results) for name, results in outcomes.items()},
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
