"""The experiment engine: trains policies and tests them, and never does so twice."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from styleaug.augment.transform import StyleAugment
from styleaug.evaluate.corruptions import Condition, corrupted_sets
from styleaug.evaluate.digests import (
    CODE,
    PACKAGES,
    digest_backbone,
    digest_tensors,
    digest_values,
)
from styleaug.evaluate.outcome import Outcome, score_network
from styleaug.evaluate.policies import build_policy, describe_policy, uses_target
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.records import machine_record, package_versions
from styleaug.evaluate.results import AS_TRAINED, CLEAN, ELSEWHERE, Result, Row
from styleaug.evaluate.robustness import Robustness, pool_seeds
from styleaug.evaluate.split import Split
from styleaug.evaluate.training import train
from styleaug.files import atomic_path
from styleaug.images.io import save_image
from styleaug.pack import DEFAULT_PACK, StylePack
from styleaug.stages.base import Stage
from styleaug.stages.restyle import Restyle

_TARGETS = 64
"""Most images of the new line that policies draw styles from."""


class Run(NamedTuple):
    """One policy, trained with one seed.

    Attributes:
        policy: its name.
        expression: what it is, see :func:`~styleaug.evaluate.policies.build_policy`.
        seed: fixes weights, order, flips and augmentation.
    """

    policy: str
    expression: str
    seed: int


@dataclass(frozen=True)
class Experiment:
    """Policies on one split of a dataset, under one protocol.

    Attributes:
        split: the task and its images.
        protocol: how networks are trained and tested.
        cache: folder that keeps corrupted images and the outcome of each run: an interrupted
            experiment goes on where it was. Outcomes are found by all that they depend on.
        pack: name or path of the style pack.
        device: where networks train.
    """

    split: Split
    protocol: Protocol
    cache: Path
    pack: str = DEFAULT_PACK
    device: str = "cpu"

    def run(
        self, policies: Mapping[str, str], *, jobs: int = 1, workers: int = 0, title: str = "runs"
    ) -> dict[Run, Outcome]:
        """Run what the cache lacks: all policies with the first seed, then all with the next.

        Args:
            policies: expressions by name.
            jobs: runs at a time, each in a process of its own on one thread; 1 runs in this one.
            workers: processes that corrupt images; 0 works in this one.
            title: of the progress bar.

        Returns:
            Outcomes, seed by seed, policies in the order given.
        """
        runs = [Run(n, text, seed) for seed in self.protocol.seeds for n, text in policies.items()]
        files = {run: self.cache / "runs" / f"{self.key(run)}.pt" for run in runs}
        found = {run: Outcome.load(file) for run, file in files.items()}
        missing = {run: files[run] for run, outcome in found.items() if outcome is None}
        if missing:
            self.corrupt(workers=workers)
        done = len(runs) - len(missing)
        with tqdm(total=len(runs), initial=done, desc=title, unit="run") as bar:
            for run, outcome in self._run_all(missing, jobs if len(missing) > 1 else 1):
                found[run] = outcome
                bar.update()
        return {run: outcome for run, outcome in found.items() if outcome is not None}

    def _run_all(self, files: Mapping[Run, Path], jobs: int) -> Iterator[tuple[Run, Outcome]]:
        if jobs == 1:
            for run, file in files.items():
                yield run, self.train_and_test(run, file)
            return
        # Spawned, not forked: a forked child can hang on a lock that a PyTorch thread held.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, _start_worker, (self,)) as pool:
            waiting = {pool.submit(_run_in_worker, run, file): run for run, file in files.items()}
            try:
                for done in as_completed(waiting):
                    yield waiting[done], done.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def train_and_test(self, run: Run, file: Path) -> Outcome:
        """Train a network under a policy, test it, and keep the outcome in a file."""
        start, cpu_start = time.perf_counter(), time.process_time()
        split, device = self.split, torch.device(self.device)
        policy = build_policy(
            run.expression,
            pack=self.pack,
            references=split.train.images,
            target=self._target_folder() if uses_target(run.expression) else None,
        )
        network = train(
            split.task,
            split.train,
            self.protocol,
            augment=policy.to(device),
            seed=run.seed,
            device=device,
            title=f"{run.policy}, seed {run.seed}",
        )
        trained = time.perf_counter()
        values, rows = score_network(network, split, self.protocol, self._corrupted_images, device)
        tested = time.perf_counter()
        values += [
            ("train", 0, "seconds", AS_TRAINED, trained - start),
            ("test", 0, "seconds", AS_TRAINED, tested - trained),
            ("run", 0, "cpu seconds", AS_TRAINED, time.process_time() - cpu_start),
        ]
        outcome = Outcome(tuple(values), rows, sum(p.numel() for p in network.parameters()))
        outcome.save(file)  # here, in a worker: the parent may have been stopped
        return outcome

    # ------------------------------------------------------------ what an outcome depends on

    def key(self, run: Run) -> str:
        """Digest of all that an outcome depends on; equal ones promise equal outcomes.

        Not of the policy's name, nor of other policies and seeds.
        """
        policy = build_policy(run.expression, pack=self.pack)
        entries = {**self._shared_key, "policy": describe_policy(policy), "seed": run.seed}
        terms = list(policy)
        stages = [s for t in terms for s in (t.stages if isinstance(t, StyleAugment) else [t])]
        if any(isinstance(stage, Stage) for stage in stages):
            codes = [stage.pool.codes for stage in stages if isinstance(stage, Restyle)]
            entries |= {"styling": CODE["styling"], "styles": digest_tensors(codes)}
        if uses_target(run.expression):
            entries["target"] = run.expression
        return digest_values(entries)

    @cached_property
    def _shared_key(self) -> dict[str, Any]:
        protocol = self.protocol.to_dict()
        for name in ("seeds", "train", "test", "size"):  # the images say what these came to
            del protocol[name]
        parts = [self.split.train, self.split.test, self.split.elsewhere]
        return {
            "packages": package_versions(PACKAGES),
            "code": [CODE["corruptions"], CODE["training"]],
            "protocol": protocol,
            "task": [self.split.task.kind, list(self.split.task.classes)],
            "images": [part.digest() for part in parts if part is not None],
            "weights": digest_backbone(self.protocol.model),
            "device": torch.device(self.device).type,
        }

    # ------------------------------------------------------------ corrupted images

    def corrupt(self, *, workers: int = 0) -> None:
        """Write the corrupted test images that the cache lacks."""
        wanted = [c for c in self.protocol.conditions() if not self._corrupted_file(c).is_file()]
        if not wanted:
            return
        pixels = self.split.test.images.permute(0, 2, 3, 1).contiguous().numpy()
        sets = corrupted_sets(pixels, wanted, workers=workers)
        bar = tqdm(sets, "corrupt images", len(wanted), unit="condition", leave=False)
        for condition, corrupted in bar:
            # an open file, because NumPy would add its suffix to a path
            with (
                atomic_path(self._corrupted_file(condition)) as temporary,
                temporary.open("wb") as file,
            ):
                np.save(file, corrupted)

    def _corrupted_file(self, condition: Condition) -> Path:
        return self._corrupted_folder / f"{condition.corruption}-{condition.severity}.npy"

    @cached_property
    def _corrupted_folder(self) -> Path:
        versions = package_versions(["numpy", "imagecorruptions-imaug"])
        images = digest_tensors([self.split.test.images])
        name = digest_values([versions, CODE["corruptions"], images])
        return self.cache / "corrupted" / name

    def _corrupted_images(self, condition: Condition) -> Tensor:
        return torch.from_numpy(np.load(self._corrupted_file(condition))).permute(0, 3, 1, 2)

    def _target_folder(self) -> Path | None:
        """A folder of images from elsewhere, as ``TARGET`` in policies; None without any."""
        if self.split.elsewhere is None:
            return None
        images = self.split.elsewhere.images
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        chosen = images[order[:_TARGETS]]
        folder = self.cache / "target" / digest_tensors([chosen])
        for number, image in enumerate(chosen):
            path = folder / f"{number}.png"
            if not path.is_file():
                save_image(path, Image.fromarray(image.permute(1, 2, 0).numpy()))
        return folder

    def drop_corrupted(self) -> None:
        """Delete the corrupted images: they are large, and soon made again."""
        shutil.rmtree(self.cache / "corrupted", ignore_errors=True)

    # ------------------------------------------------------------ what came out

    def robustness(
        self, found: Mapping[Run, Outcome], adapted: str = AS_TRAINED
    ) -> dict[str, Robustness]:
        """Outcomes by policy, those of all seeds as one.

        Args:
            found: of :meth:`run`.
            adapted: how batch norms were adapted to each condition. There are no outcomes of each
                image but as trained, so that intervals are for other seeds alone.
        """
        judged, suites = self.split.task.metric, self.protocol.suites()
        singles: dict[str, list[Robustness]] = {}
        for run, outcome in found.items():
            scores: dict[Condition | None, tuple[float, ...]] = {}
            for name, severity, score, how, value in outcome.values:
                if score == judged and how == adapted and name != ELSEWHERE:
                    condition = None if name == CLEAN else Condition(name, severity)
                    scores[condition] = (value / 100,)
            known = {} if adapted else outcome.rows
            rows = {condition: values[None] for condition, values in known.items()}
            single = Robustness(judged, len(self.split.test), scores, rows, suites)
            singles.setdefault(run.policy, []).append(single)
        return {policy: pool_seeds(each) for policy, each in singles.items()}

    def result(
        self, found: Mapping[Run, Outcome], *, name: str, purpose: str, command: str
    ) -> Result:
        """The result file of some runs."""
        expressions = {run.policy: run.expression for run in found}
        settings = {
            policy: describe_policy(build_policy(expression, pack=self.pack))
            for policy, expression in expressions.items()
        }
        meta = {
            "name": name,
            "purpose": purpose,
            "command": command,
            "machine": machine_record(self.device),
            "versions": package_versions(PACKAGES),
            "pack": {"name": Path(self.pack).name, "id": StylePack.load(self.pack).id},
            "defaults": StyleAugment().to_dict(),
            "protocol": self.protocol.to_dict(),
            "task": self.split.record(),
            "seeds": sorted({run.seed for run in found}),
            "policies": expressions,
            "settings": settings,
            "parameters": next(iter(found.values())).parameters,
        }
        rows = [
            Row(run.policy, run.seed, *value)
            for run, outcome in found.items()
            for value in outcome.values
        ]
        return Result(meta, tuple(rows))


_shared: dict[str, Experiment] = {}


def _start_worker(experiment: Experiment) -> None:
    torch.set_num_threads(1)
    _shared["experiment"] = experiment


def _run_in_worker(run: Run, file: Path) -> Outcome:
    return _shared["experiment"].train_and_test(run, file)
