"""The cells of the robustness benchmark: one policy trained with one seed, and never run twice."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import styleaug
from common import package_versions, write_atomically, write_json
from defect_images import load_elpv
from robustness_policies import Reference, make_policy
from styleaug import StyleAugment, StylePack
from styleaug.bench import models, tasks
from styleaug.bench import train as training
from styleaug.bench.models import LITE
from styleaug.bench.policies import GaussianNoise, PerImage, Photometric
from styleaug.bench.tasks import (
    Labelled,
    Task,
    fast_arithmetic,
    kind_of,
    make_task,
    parted,
    predict,
    to_inputs,
)
from styleaug.datasets import DefectSet, read_defects
from styleaug.robustness.corruptions import (
    CORRUPTIONS,
    SUITES,
    Condition,
    conditions,
    corrupted_sets,
)
from styleaug.robustness.evaluation import readapted
from styleaug.robustness.metrics import metric

# Without glass_blur, the slowest.
TEST_CORRUPTIONS = tuple(name for name in CORRUPTIONS if name != "glass_blur")
# What is reported beside the score that the task is judged by.
ALSO = {"segmentation": ("pixel AP",), "detection": ("box AP50",)}
# The severity at which scores are taken with batch norms adapted to the images, too.
READAPTED = 3
# What decides how an image is restyled; the pack itself has an id.
_STYLING = ("color", "light", "pack", "plan", "render", "transform", "nn/*")


Scores = dict[str, float]


@dataclass(frozen=True)
class Settings:
    """The protocol; the command line takes its defaults from here.

    Attributes:
        model: backbone, see `styleaug.bench.models.make_backbone`.
        steps: of training.
        batch_size: images a step.
        learning_rate: at the peak of the one-cycle schedule.
        size: side of the network's input in pixels.
        max_train: most training images used.
        max_test: most test images used.
        corruptions: names of corruptions and shifts.
        severities: of 1 to 5.
    """

    model: str = LITE
    steps: int = 160
    batch_size: int = 32
    learning_rate: float = 1e-3
    size: int = 96
    max_train: int = 1000
    max_test: int = 360
    corruptions: tuple[str, ...] = (*TEST_CORRUPTIONS, *SUITES["industrial"])
    severities: tuple[int, ...] = (1, 3, 5)

    @classmethod
    def of(cls, kind: str) -> Settings:
        """What suits a kind of task: pixels and boxes need larger images and longer training."""
        base = cls()
        if kind == "classification":
            return base
        return replace(base, steps=300, batch_size=16, size=128, max_test=200)


@dataclass(frozen=True)
class Problem:
    """A task with its images.

    Attributes:
        name: of the set.
        task: what is learned.
        train: the images to train on.
        test: the images to test on.
        notes: what a reader of the result must know.
        elsewhere: images from under another lamp, see `part_by_lamp`.
    """

    name: str
    task: Task
    train: Labelled
    test: Labelled
    notes: tuple[str, ...]
    elsewhere: Labelled | None = None

    def record(self) -> dict[str, Any]:
        """What results say of it."""
        return {
            "name": self.name,
            "kind": self.task.kind,
            "metric": self.task.metric,
            "classes": list(self.task.classes),
            "train": len(self.train),
            "test": len(self.test),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Cell:
    """One policy, trained with one seed.

    Attributes:
        name: of the policy.
        expression: of the policy, see `make_policy`.
        pack: name or path of the style pack.
        seed: fixes weights, order, flips and augmentation.
        key: JSON-able; equal keys promise equal outcomes.
    """

    name: str
    expression: str
    pack: str
    seed: int
    key: Mapping[str, Any]

    @property
    def file(self) -> str:
        """The name of its record."""
        text = json.dumps(self.key, sort_keys=True)
        return f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"


# ---------------------------------------------------------------- images


def load_problem(
    folder: Path, kind: str | None, settings: Settings, *, lamp: str | None = None
) -> Problem:
    """Read a labelled set, or ``elpv``, the solar cells of the package; all seeds share one split.

    Args:
        folder: the set.
        kind: of task; by default what the labels allow.
        settings: sizes and limits.
        lamp: one of `LAMP_MEASURES`, to part the set by instead of at random.

    Raises:
        ValueError: if the labels do not allow the task.
        OSError: if an image cannot be read.
    """
    if folder == Path("elpv") and not folder.exists():
        limits = {"max_train": settings.max_train, "max_test": settings.max_test}
        cells = load_elpv(size=settings.size, **limits)
        return Problem(
            "elpv",
            Task("classification", cells.classes, settings.size),
            Labelled(cells.train, cells.train_labels),
            Labelled(cells.test, cells.test_labels),
            cells.notes,
        )
    defects = read_defects(folder)
    task = make_task(defects, kind or kind_of(defects), settings.size)
    if lamp is not None:
        return part_by_lamp(task.read(defects.samples, len(defects.samples)), lamp, task, defects)
    train, test = parted(defects)
    own = any(sample.split for sample in defects.samples)
    split = "The set's own split." if own else "Split at random, class by class, 80 to 20 %."
    return Problem(
        defects.name,
        task,
        task.read(train.samples, settings.max_train),
        task.read(test.samples, settings.max_test),
        (split,),
    )


LAMP_MEASURES: dict[str, Callable[[Tensor], Tensor]] = {
    "brightness": lambda images: images.float().mean((1, 2, 3)),
    "contrast": lambda images: images.float().mean(1).std((1, 2)),
}
"""What tells the light of an image: of (N, 3, H, W), one value an image."""
_SIDE = 0.4
"""Share of a class on either side of a split by lamp; the middle is left out."""


def part_by_lamp(every: Labelled, lamp: str, task: Task, defects: DefectSet) -> Problem:
    """Train on the darkest (or faintest) images of each class, and see the brightest elsewhere.

    A stand-in for a second lamp: of the low side, four fifths to train on and one to test on.
    """
    generator = torch.Generator().manual_seed(0)
    values = LAMP_MEASURES[lamp](every.images)
    train, test, elsewhere = [], [], []
    for label in every.targets.unique():
        members = (every.targets == label).nonzero().flatten()
        members = members[values[members].argsort()]
        count = round(_SIDE * len(members))
        low = members[:count][torch.randperm(count, generator=generator)]
        tested = max(1, count // 5)
        train.append(low[tested:])
        test.append(low[:tested])
        elsewhere.append(members[-count:])
    parts = [torch.cat(places) for places in (train, test, elsewhere)]
    chosen = [Labelled(every.images[rows], every.targets[rows]) for rows in parts]
    means = [round(values[rows].mean().item()) for rows in parts]
    note = (
        f"Trained and tested on the {_SIDE:.0%} of each class that are lowest in {lamp} (mean "
        f"{means[0]} levels), and tested elsewhere on the highest (mean {means[2]})."
    )
    return Problem(defects.name, task, chosen[0], chosen[1], (note,), chosen[2])


def corrupt_test_images(images: Tensor, settings: Settings, cache: Path, *, workers: int) -> Path:
    """Write the corrupted test sets that the cache lacks; returns their folder."""
    version = package_versions(["imagecorruptions-imaug"])
    digest = hashlib.sha256(json.dumps([version, list(images.shape)]).encode())
    digest.update(images.numpy().tobytes())
    folder = cache / "corrupted" / digest.hexdigest()[:16]
    wanted = [
        condition
        for condition in conditions(settings.corruptions, settings.severities)
        if not (folder / _set_name(condition)).is_file()
    ]
    if wanted:
        pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
        sets = corrupted_sets(pixels, wanted, workers=workers)
        for condition, corrupted in tqdm(sets, total=len(wanted), desc="corrupting", unit="set"):
            _save_array(folder / _set_name(condition), corrupted)
    return folder


def _save_array(path: Path, array: np.ndarray) -> None:
    write_atomically(path, lambda temporary: np.save(temporary, array))


def _set_name(condition: Condition) -> str:
    return f"{condition.corruption}-{condition.severity}.npy"


# ---------------------------------------------------------------- cells


def make_cells(
    policies: Mapping[str, str],
    seeds: Sequence[int],
    problem: Problem,
    settings: Settings,
    pack: str,
) -> list[Cell]:
    """All policies with the first seed, then all with the next, so that a broken run compares."""
    pack_id = StylePack.load(pack).id
    protocol = asdict(settings)
    # the images say what these came to
    for name in ("size", "max_train", "max_test"):
        del protocol[name]
    parts = [problem.train, problem.test, *([problem.elsewhere] if problem.elsewhere else [])]
    data = [part.digest() for part in parts]
    shared = {**protocol, "task": asdict(problem.task), "data": data, "trainer": _CODE["trainer"]}
    keys = {}
    for name, expression in policies.items():
        policy = make_policy(expression, pack)
        keys[name] = {**shared, "policy": repr(policy).replace(repr(pack), "--pack")}
        if any(isinstance(stage, StyleAugment) for stage in policy):
            keys[name] |= {"pack": pack_id, "styling": _CODE["styling"]}
    return [
        Cell(name, expression, pack, seed, json.loads(json.dumps({**keys[name], "seed": seed})))
        for seed in seeds
        for name, expression in policies.items()
    ]


def run_cell(
    cell: Cell, problem: Problem, settings: Settings, sets: Path, *, device: torch.device
) -> dict[str, Any]:
    """Train and test one cell: its key, its scores in percent, its seconds."""
    start, cpu_start = time.perf_counter(), time.process_time()
    task = problem.task
    network = training.train(
        task,
        problem.train,
        augment=make_policy(cell.expression, cell.pack, problem.train.images),
        steps=settings.steps,
        seed=cell.seed,
        backbone=settings.model,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        device=device,
        title=f"seed {cell.seed}, {cell.name}",
    )
    trained = time.perf_counter()
    names = (task.metric, *ALSO.get(task.kind, ()))

    def scores(images: Tensor, targets: Any = problem.test.targets, adapt: bool = False) -> Scores:
        with fast_arithmetic(device, task.kind):
            batches = [to_inputs(part.to(device)) for part in torch.split(images, 128)]
            ready = readapted(network, batches) if adapt else network
            answers = predict(ready, images, device=device)
        found = {}
        for name in names:
            chosen = metric(name)
            found[name] = 100 * chosen.score(chosen.rows(answers, targets))
        return found

    clean = scores(problem.test.images)
    other = problem.elsewhere
    shifted: dict[str, dict[str, Scores]] = {name: {} for name in names}
    adapted: dict[str, Scores] = {}
    for condition in conditions(settings.corruptions, settings.severities):
        images = torch.from_numpy(np.load(sets / _set_name(condition))).permute(0, 3, 1, 2)
        level = str(condition.severity)
        for name, score in scores(images).items():
            shifted[name].setdefault(condition.corruption, {})[level] = score
        if condition.severity == READAPTED:
            adapted[condition.corruption] = {level: scores(images, adapt=True)[task.metric]}
    return {
        "key": cell.key,
        "clean": clean[task.metric],
        "corrupted": shifted[task.metric],
        "elsewhere": scores(other.images, other.targets)[task.metric] if other else None,
        "readapted": {
            "clean": scores(problem.test.images, adapt=True)[task.metric],
            "corrupted": adapted,
        },
        "also": {n: {"clean": clean[n], "corrupted": shifted[n]} for n in names[1:]},
        "seconds": {
            "train": trained - start,
            "test": time.perf_counter() - trained,
            "cpu": time.process_time() - cpu_start,
        },
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }


def _code_digest(*sources: str) -> str:
    """Digest of source code that comments, docstrings and layout do not change."""
    trees = [ast.parse(source) for source in sources]
    for node in (node for tree in trees for node in ast.walk(tree)):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            texts = (ast.Constant, ast.JoinedStr)
            node.body = [  # type: ignore[attr-defined]
                x for x in body if not (isinstance(x, ast.Expr) and isinstance(x.value, texts))
            ]
    return hashlib.sha256("".join(map(ast.dump, trees)).encode()).hexdigest()


def _styling_sources() -> list[str]:
    root = Path(styleaug.__file__).parent
    files = sorted(path for name in _STYLING for path in root.glob(f"{name}.py"))
    return [path.read_text(encoding="utf-8") for path in files]


# At import: what is edited while a run goes on is not what the run uses.
_CODE = {
    "trainer": _code_digest(
        *map(inspect.getsource, (models, tasks, training, run_cell)),
        *map(inspect.getsource, (PerImage, GaussianNoise, Photometric, Reference)),
    ),
    "styling": _code_digest(*_styling_sources()),
}


def stored_record(cell: Cell, folder: Path) -> dict[str, Any] | None:
    """The record of a cell that was run before, or None."""
    try:
        record: dict[str, Any] = json.loads((folder / cell.file).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return record if record.get("key") == cell.key else None


def run_cells(
    cells: Sequence[Cell],
    problem: Problem,
    settings: Settings,
    sets: Path,
    folder: Path,
    *,
    jobs: int,
    device: torch.device,
) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Yield each cell with its record as soon as it is there; what ran before is not repeated."""
    missing = []
    for cell in cells:
        record = stored_record(cell, folder)
        if record is None:
            missing.append(cell)
        else:
            yield cell, record
    shared = {"problem": problem, "settings": settings, "sets": sets, "device": device}
    if jobs == 1 or len(missing) < 2:
        for cell in missing:
            record = run_cell(cell, **shared)
            write_json(folder / cell.file, record)
            yield cell, record
        return
    # Spawned, not forked: a forked child can hang on a lock that a PyTorch thread held.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _start_worker, (shared, folder)) as pool:
        waiting = {pool.submit(_run_and_store, cell): cell for cell in missing}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


_shared: dict[str, Any] = {}


def _start_worker(shared: dict[str, Any], folder: Path) -> None:
    torch.set_num_threads(1)
    _shared.update(cell=shared, folder=folder)


def _run_and_store(cell: Cell) -> dict[str, Any]:
    record = run_cell(cell, **_shared["cell"])
    write_json(_shared["folder"] / cell.file, record)  # here: the parent may have been stopped
    return record
