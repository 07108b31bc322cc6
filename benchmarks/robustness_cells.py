"""The cells of the robustness benchmark: one policy trained with one seed, and never run twice."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import styleaug
from common import package_versions, write_atomically, write_json
from robustness_policies import Reference, make_policy
from robustness_problems import Problem, Settings
from styleaug import StyleAugment, StylePack
from styleaug.evaluate import models, tasks
from styleaug.evaluate import training as training
from styleaug.evaluate.corruptions import Condition, conditions, corrupted_sets
from styleaug.evaluate.metrics import metric
from styleaug.evaluate.policies import GaussianNoise, PerImage, Photometric
from styleaug.evaluate.robustness import adapt_batchnorm
from styleaug.evaluate.tasks import fast_arithmetic, predict, to_inputs

# What is reported beside the score that the task is judged by.
ALSO = {"classification": ("AUROC",), "segmentation": ("pixel AP",), "detection": ("box AP50",)}
# The severity at which scores are taken with batch norms adapted to the images, too.
READAPTED = 3
# What decides how an image is restyled; the pack itself has an id.
_STYLING = ("color", "light", "pack", "plan", "render", "schedule", "transform", "nn/*")


Scores = dict[str, float]


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
    names = (task.metric, *ALSO[task.kind])

    def scores(images: Tensor, targets: Any = problem.test.targets, adapt: bool = False) -> Scores:
        with fast_arithmetic(device, task.kind):
            batches = [to_inputs(part.to(device)) for part in torch.split(images, 128)]
            ready = adapt_batchnorm(network, batches) if adapt else network
            answers = predict(ready, images, device=device)
        found = {}
        for name in names:
            chosen = metric(name)
            found[name] = 100 * chosen.score(chosen.rows(answers, targets))
        return found

    clean = scores(problem.test.images)
    far: list[Scores] = [{}, {}]  # as it is, and with batch norms adapted to the images
    if problem.elsewhere:
        images, targets = problem.elsewhere.images, problem.elsewhere.targets
        far = [scores(images, targets, adapt) for adapt in (False, True)]
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
        "elsewhere": far[0].get(task.metric),
        "readapted": {
            "clean": scores(problem.test.images, adapt=True)[task.metric],
            "corrupted": adapted,
            "elsewhere": far[1].get(task.metric),
        },
        "also": {
            name: {
                "clean": clean[name],
                "corrupted": shifted[name],
                "elsewhere": far[0].get(name),
                "readapted": {"elsewhere": far[1].get(name)},
            }
            for name in names[1:]
        },
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
