"""How robust a small CNN becomes under each augmentation policy.

    python benchmarks/robustness.py --data DIR --seeds 0 1 2 --jobs 2
    python benchmarks/robustness.py --data DIR --name x-sdd    # another set, a result of its own
    python benchmarks/robustness.py --data DIR --validation --policies "flips only" \\
        --policy "brighter=StyleAugment(p=0.7, light=(0, 0.7))"

DIR holds images named after their class (NEU-DET: crazing_1.jpg, ...; also in DIR/images), or
labelled in any way that ``styleaug.datasets`` reads. The CNN is trained from scratch on 96 px
images, with random flips and then the policy, and tested on clean images, under 14 corruptions and
under the 11 shifts of the industrial suite, at severities 1, 3 and 5. All seeds share one split.
``--validation`` takes four other corruptions and four other lamps: choose settings by these, and
let the others tell what they are worth.

P is balanced accuracy on clean images, mPC its mean over all corrupted sets, rPC is mPC / P
(Michaelis et al. 2019), all in percent; the industrial shifts have a mean of their own. Grain and
noise are akin to the noise corruptions, so mPC without these is given too. A cell, one policy
trained with one seed, is kept in the cache when it is done: an interrupted run goes on where it
was.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import inspect
import json
import multiprocessing
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2
from tqdm import tqdm

import styleaug
from common import machine_record, package_versions, write_atomically, write_json
from defect_images import (
    EXAMPLE_SIZE,
    DataError,
    DefectImages,
    stack,
    stratified_split,
    stratified_subset,
    to_square,
)
from scores import PolicyScores, balanced_accuracy
from styleaug import StyleAugment, StylePack
from styleaug.bench import cnn as small_cnn
from styleaug.bench.policies import PerImage
from styleaug.checks import StyleAugError
from styleaug.datasets import read_defects
from styleaug.images import SUFFIXES
from styleaug.pack import cpu_has_bf16
from styleaug.robustness.corruptions import (
    CORRUPTIONS,
    SUITES,
    Condition,
    conditions,
    corrupted_sets,
)

RESULTS = Path(__file__).parent / "results"
# Without glass_blur, the slowest.
TEST_CORRUPTIONS = tuple(name for name in CORRUPTIONS if name != "glass_blur")
INDUSTRIAL = SUITES["industrial"]


class GaussianNoise(nn.Module):
    """Noise on a uint8 image, of a standard deviation drawn between 0 and ``sigma`` of the range.

    Akin to the noise corruptions: a policy with it has seen a part of the test.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = float(sigma)

    def forward(self, image: Tensor) -> Tensor:
        """Add noise to (C, H, W)."""
        noise = 255 * self.sigma * torch.rand(()) * torch.randn(image.shape)
        return (image + noise.to(image.device)).round().clamp(0, 255).to(torch.uint8)

    def extra_repr(self) -> str:
        """The cache tells policies apart by it."""
        return f"sigma={self.sigma}"


STAGES: dict[str, Callable[..., nn.Module]] = {
    "AugMix": v2.AugMix,
    "ColorJitter": v2.ColorJitter,
    "GaussianNoise": GaussianNoise,
    "StyleAugment": StyleAugment,
    "TrivialAugmentWide": v2.TrivialAugmentWide,
}
# What follows the flips, see `make_policy`.
POLICIES: dict[str, str] = {
    "flips only": "",
    "ColorJitter": "ColorJitter(0.5, 0.5, 0.3, 0.05)",
    "ColorJitter + noise": "ColorJitter(0.5, 0.5, 0.3, 0.05) + GaussianNoise(0.1)",
    "TrivialAugmentWide": "TrivialAugmentWide()",
    "AugMix": "AugMix()",
    "AugMix + noise": "AugMix() + GaussianNoise(0.1)",
    "StyleAugment": "StyleAugment()",
    "StyleAugment, no light": "StyleAugment(light=0)",
    "StyleAugment, light only": "StyleAugment(strength=0, grain=0)",
    "StyleAugment, no texture": "StyleAugment(texture=0)",
    "StyleAugment, no grain": "StyleAugment(grain=0)",
    "AugMix + StyleAugment": "AugMix() + StyleAugment()",
}
BASELINES = ("flips only", "ColorJitter")

_VERSIONS_OF = ("styleaug", "torch", "torchvision", "numpy", "imagecorruptions-imaug")
# What decides how an image is restyled; the pack itself has an id.
_STYLING = ("color", "light", "pack", "plan", "render", "transform", "nn/*")


class PolicyError(ValueError):
    """A policy that cannot be built; the message says what to change."""


@dataclass(frozen=True)
class Settings:
    """The protocol; the command line takes its defaults from here.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: at the peak of the one-cycle schedule; at the demo's 5e-3 flips alone come to
            93 % on NEU-DET, at 2e-3 to 98 %.
        size: side of the network's input in pixels.
        max_train: most training images used.
        max_test: most test images used.
        corruptions: names of corruptions.
        severities: of 1 to 5.
    """

    epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 2e-3
    size: int = 96
    max_train: int = 1350
    max_test: int = 360
    corruptions: tuple[str, ...] = (*TEST_CORRUPTIONS, *INDUSTRIAL)
    severities: tuple[int, ...] = (1, 3, 5)


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


# ---------------------------------------------------------------- policies


def make_policy(expression: str, pack: str) -> nn.Sequential:
    """Build what is done to a uint8 batch from ``"Stage(...) + Stage(...)"``, applied in turn.

    Stages are those of `STAGES` with literal arguments; nothing else is evaluated. ``""`` changes
    nothing.

    Raises:
        PolicyError: if the expression is not of this form or a stage refuses its arguments.
    """
    return nn.Sequential(*(_stage(node, expression, pack) for node in _terms(expression)))


def _terms(expression: str) -> list[ast.expr]:
    if not expression.strip():
        return []
    try:
        node = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise PolicyError(f"A policy must be as {_FORM}, but got {expression!r}.") from error
    last_first = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        last_first.append(node.right)
        node = node.left
    return [node, *reversed(last_first)]


def _stage(node: ast.expr, expression: str, pack: str) -> nn.Module:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise PolicyError(f"A policy must be as {_FORM}, but got {expression!r}.")
    name = node.func.id
    if name not in STAGES:
        raise PolicyError(f"A policy is made of {', '.join(STAGES)}, but got {name!r}.")
    try:
        args = [ast.literal_eval(value) for value in node.args]
        settings = {str(entry.arg): ast.literal_eval(entry.value) for entry in node.keywords}
    except (TypeError, ValueError) as error:
        raise PolicyError(f"Arguments must be literals, but got {expression!r}.") from error
    if name == "StyleAugment":
        if "pack" in settings:
            raise PolicyError("The pack of all policies is given by --pack, not in a policy.")
        settings["pack"] = pack
    try:
        stage = STAGES[name](*args, **settings)
    except (TypeError, ValueError) as error:
        raise PolicyError(f"{name} refuses its arguments in {expression!r}: {error}") from error
    return stage if name == "StyleAugment" else PerImage(stage)


_FORM = "'StyleAugment(p=0.7) + AugMix()'"


def named_policies(chosen: Sequence[str] | None, added: Sequence[str]) -> dict[str, str]:
    """Expressions of the policies to run: some of `POLICIES`, all if None, and ``NAME=...``.

    Raises:
        PolicyError: if a name is unknown, missing or given twice.
    """
    unknown = sorted(set(chosen or ()) - set(POLICIES))
    if unknown:
        raise PolicyError(f"Policies are {', '.join(POLICIES)}, but got {', '.join(unknown)}.")
    found = {name: POLICIES[name] for name in POLICIES if chosen is None or name in chosen}
    for text in added:
        name, equals, expression = (part.strip() for part in text.partition("="))
        # in "StyleAugment(p=0.5)" the first = is that of an argument
        if not (equals and name) or "(" in name:
            raise PolicyError(f"--policy must be NAME=..., but got {text!r}.")
        if name in POLICIES or name in found:
            raise PolicyError(f"There is a policy {name!r} already; choose another name.")
        found[name] = expression
    if not found:
        raise PolicyError("There must be at least one policy, but --policies is empty.")
    return found


# ---------------------------------------------------------------- images


def load_task(folder: Path, settings: Settings) -> DefectImages:
    """Read images named after their class, or class folders; all seeds share one split.

    Raises:
        DataError: if ``folder`` makes no task.
        OSError: if an image named after its class cannot be read.
    """
    files = _flat_images(folder) or _flat_images(folder / "images")
    notes = ("Split at random, class by class: 80 % to train on, 20 % to test on.",)
    if files:
        names = [re.sub(r"[\s_-]*\d+$", "", path.stem) for path in files]
        classes = tuple(sorted(set(names)))
        if len(classes) < 2:
            raise DataError(
                f"The images in {folder} must be named after at least two classes (as "
                f"crazing_1.jpg), but all begin with {classes[0]!r}; use one sub-folder per class."
            )
        labels = np.array([classes.index(name) for name in names], dtype=np.int64)
        train, test = stratified_split(labels, test_fraction=0.2)
    else:
        defects = read_defects(folder)
        classes = defects.classes
        parts = defects.split()
        samples = [sample for part in parts for sample in part.samples]
        files = [sample.path for sample in samples]
        labels = np.array([classes.index(sample.label) for sample in samples], dtype=np.int64)
        train, test = np.split(np.arange(len(samples)), [len(parts[0].samples)])
        if any(sample.split for sample in defects.samples):
            notes = ("The set's own split.",)
    train = stratified_subset(train, labels, settings.max_train)
    test = stratified_subset(test, labels, settings.max_test)

    def read(places: np.ndarray) -> Tensor:
        images = []
        for place in places:
            with Image.open(files[place]) as image:
                images.append(to_square(image, settings.size))
        return stack(images, settings.size)

    return DefectImages(
        name=folder.resolve().name,
        classes=classes,
        train=read(train),
        train_labels=torch.from_numpy(labels[train]),
        test=read(test),
        test_labels=torch.from_numpy(labels[test]),
        examples=stack([], EXAMPLE_SIZE),
        notes=notes,
    )


def _flat_images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def corrupt_test_images(
    images: DefectImages, settings: Settings, cache: Path, *, workers: int
) -> Path:
    """Write the corrupted test sets that the cache lacks; returns their folder."""
    version = package_versions(["imagecorruptions-imaug"])
    folder = cache / "corrupted" / _digest(images.test, json.dumps(version))[:16]
    wanted = [
        condition
        for condition in conditions(settings.corruptions, settings.severities)
        if not (folder / _set_name(condition)).is_file()
    ]
    if wanted:
        pixels = images.test.permute(0, 2, 3, 1).contiguous().numpy()
        sets = corrupted_sets(pixels, wanted, workers=workers)
        for condition, corrupted in tqdm(sets, total=len(wanted), desc="corrupting", unit="set"):
            _save_array(folder / _set_name(condition), corrupted)
    return folder


def _save_array(path: Path, array: np.ndarray) -> None:
    write_atomically(path, lambda temporary: np.save(temporary, array))


def _set_name(condition: Condition) -> str:
    return f"{condition.corruption}-{condition.severity}.npy"


def _digest(*parts: Tensor | str) -> str:
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part.encode() if isinstance(part, str) else part.numpy().tobytes())
    return sha.hexdigest()


# ---------------------------------------------------------------- cells


def make_cells(
    policies: Mapping[str, str],
    seeds: Sequence[int],
    images: DefectImages,
    settings: Settings,
    pack: str,
) -> list[Cell]:
    """All policies with the first seed, then all with the next, so that a broken run compares."""
    pack_id = StylePack.load(pack).id
    protocol = asdict(settings)
    # the images say what these came to
    for name in ("size", "max_train", "max_test"):
        del protocol[name]
    tensors = (images.train, images.train_labels, images.test, images.test_labels)
    shared = {**protocol, "data": _digest(*tensors), "trainer": _CODE["trainer"]}
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
    cell: Cell, images: DefectImages, settings: Settings, sets: Path, *, device: torch.device
) -> dict[str, Any]:
    """Train and test one cell: its key, its balanced accuracies in percent, its seconds."""
    start, cpu_start = time.perf_counter(), time.process_time()
    policy = make_policy(cell.expression, cell.pack)
    augment = torch.autocast(device.type, enabled=False)(policy)  # styling has its own precision
    with _fast_arithmetic(device):
        model = small_cnn.train_cnn(
            images.train,
            images.train_labels,
            classes=len(images.classes),
            augment=augment,
            steps=max(1, round(settings.epochs * len(images.train) / settings.batch_size)),
            learning_rate=settings.learning_rate,
            seed=cell.seed,
            batch_size=settings.batch_size,
            device=device,
            title=f"seed {cell.seed}, {cell.name}",
        )
    trained = time.perf_counter()
    labels = images.test_labels.numpy()

    def accuracy(test: Tensor) -> float:
        with _fast_arithmetic(device):
            answers = small_cnn.predict(model, test, device=device)
        correct = answers.numpy() == labels
        return float(balanced_accuracy(correct, labels))

    corrupted: dict[str, dict[str, float]] = {}
    for condition in conditions(settings.corruptions, settings.severities):
        test = torch.from_numpy(np.load(sets / _set_name(condition))).permute(0, 3, 1, 2)
        corrupted.setdefault(condition.corruption, {})[str(condition.severity)] = accuracy(test)
    return {
        "key": cell.key,
        "clean": accuracy(images.test),
        "corrupted": corrupted,
        "seconds": {
            "train": trained - start,
            "test": time.perf_counter() - trained,
            "cpu": time.process_time() - cpu_start,
        },
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def _fast_arithmetic(device: torch.device) -> torch.autocast:
    """bfloat16 where the device computes in it: half the time, and no accuracy lost."""
    quick = torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bf16()
    # the cache would hand the first step's weights to all later ones
    return torch.autocast(device.type, torch.bfloat16, enabled=quick, cache_enabled=False)


def _code_digest(*sources: str) -> str:
    """Digest of source code that comments and layout do not change."""
    return _digest(*(ast.dump(ast.parse(source)) for source in sources))


def _styling_sources() -> list[str]:
    root = Path(styleaug.__file__).parent
    files = sorted(path for name in _STYLING for path in root.glob(f"{name}.py"))
    return [path.read_text(encoding="utf-8") for path in files]


# At import: what is edited while a run goes on is not what the run uses.
_CODE = {
    "trainer": _code_digest(
        *map(inspect.getsource, (small_cnn, PerImage, run_cell, _fast_arithmetic))
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
    images: DefectImages,
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
    shared = {"images": images, "settings": settings, "sets": sets, "device": device}
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


# ---------------------------------------------------------------- figures


def policy_scores(
    records: Sequence[Mapping[str, Any]], *, industrial: bool = False
) -> PolicyScores:
    """Gather the records of one policy, one a seed: of corruptions, or of industrial shifts."""
    corrupted = {
        name: {int(level): tuple(r["corrupted"][name][level] for r in records) for level in levels}
        for name, levels in records[0]["corrupted"].items()
        if (name in INDUSTRIAL) == industrial
    }
    return PolicyScores(tuple(record["clean"] for record in records), corrupted)


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation over seeds (None of one seed), and the values themselves."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": deviation, "per_seed": list(values)}


def difference(values: Sequence[float], baseline: Sequence[float]) -> dict[str, Any]:
    """Values minus baseline, seed by seed, with the 95 % interval of their mean by Student's t.

    The interval is for other seeds on the same images. One seed has none.
    """
    from scipy import stats  # comes with imagecorruptions

    gains = spread([a - b for a, b in zip(values, baseline, strict=True)])
    low = high = None
    if gains["std"] is not None:
        count = len(values)
        margin = float(stats.t.ppf(0.975, count - 1)) * gains["std"] / count**0.5
        low, high = gains["mean"] - margin, gains["mean"] + margin
    return {**gains, "low": low, "high": high}


def figures(records: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Scores of each policy, and its differences to the baselines that were run."""
    scores = {name: policy_scores(entries) for name, entries in records.items()}
    columns = {name: _columns(entries) for name, entries in records.items()}
    return {
        "scores": {
            name: {
                **{column: spread(values) for column, values in columns[name].items()},
                "rPC": spread(scores[name].rpc),
                "corrupted": {
                    **scores[name].corrupted,
                    **policy_scores(entries, industrial=True).corrupted,
                },
                "seconds": [record["seconds"] for record in entries],
            }
            for name, entries in records.items()
        },
        "differences": {
            baseline: {
                name: {c: difference(v, columns[baseline][c]) for c, v in columns[name].items()}
                for name in records
                if name != baseline
            }
            for baseline in BASELINES
            if baseline in records
        },
    }


def _columns(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, ...]]:
    scores, shifts = policy_scores(records), policy_scores(records, industrial=True)
    quiet = [scores.under(name) for name in scores.corrupted if "noise" not in name]
    return {
        "P": scores.clean,
        "mPC": scores.mpc,
        "mPC without noise": tuple(float(np.mean(seed)) for seed in zip(*quiet, strict=True)),
        **_industrial(shifts),
        **{name: each.under(name) for each in (scores, shifts) for name in each.corrupted},
    }


def _industrial(shifts: PolicyScores) -> dict[str, tuple[float, ...]]:
    """The mean over industrial shifts; and without the lamp's colour, which gray cameras miss."""
    gray = [shifts.under(name) for name in shifts.corrupted if name != "colour_temperature"]
    if not gray:
        return {}
    means = tuple(float(np.mean(seed)) for seed in zip(*gray, strict=True))
    return {"industrial": shifts.mpc, "industrial without colour": means}


def table(record: Mapping[str, Any]) -> str:
    """Markdown: all policies by falling mPC, and what each gains under each corruption."""
    scores = dict(sorted(record["scores"].items(), key=lambda item: -item[1]["mPC"]["mean"]))
    baselines = list(record["differences"])
    corruptions = record["settings"]["corruptions"]
    columns = ["P", "mPC", "mPC without noise", "rPC"]
    first = next(iter(scores.values()))
    columns += [c for c in ("industrial", "industrial without colour") if c in first]
    heads = ["policy", *columns, *(f"mPC over {name}" for name in baselines), "a run"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, row in scores.items():
        entries = [_plus_minus(row[column]) for column in columns]
        for baseline in baselines:
            change = record["differences"][baseline].get(name)
            entries.append(_interval(change["mPC"]) if change else "")
        lines.append(f"| {name} | {' | '.join(entries)} | {_seconds(row['seconds'])} |")
    lines += ["", "| policy | " + " | ".join(c.replace("_", " ") for c in corruptions) + " |"]
    lines.append("|---" + "|---" * len(corruptions) + "|")
    for name, row in scores.items():
        means = " | ".join(f"{row[corruption]['mean']:.1f}" for corruption in corruptions)
        lines.append(f"| {name} | {means} |")
    return "\n".join(lines)


def _seconds(entries: Sequence[Mapping[str, float]]) -> str:
    wall, cpu = np.mean([(e["train"] + e["test"], e["cpu"]) for e in entries], axis=0)
    return f"{wall:.0f} s, {cpu:.0f} s of CPU"


def _plus_minus(entry: Mapping[str, Any]) -> str:
    deviation = "" if entry["std"] is None else f" ± {entry['std']:.1f}"
    return f"{entry['mean']:.1f}{deviation}"


def _interval(entry: Mapping[str, Any]) -> str:
    bounds = "" if entry["low"] is None else f" ({entry['low']:+.1f} to {entry['high']:+.1f})"
    return f"{entry['mean']:+.1f}{bounds}"


# ---------------------------------------------------------------- command line


def run(options: argparse.Namespace, arguments: Sequence[str]) -> dict[str, Any]:
    """Run what was asked for and write the result; returns what it holds."""
    policies = named_policies(options.policies, options.policy)
    settings = Settings(
        epochs=options.epochs,
        max_train=options.max_train,
        max_test=options.max_test,
        corruptions=SUITES["validation"] if options.validation else Settings.corruptions,
    )
    for expression in policies.values():  # before anything takes time
        make_policy(expression, options.pack)
    device = torch.device(options.device)
    images = load_task(options.data, settings)
    cells = make_cells(policies, options.seeds, images, settings, options.pack)
    workers = options.jobs if options.jobs > 1 else 0
    sets = corrupt_test_images(images, settings, options.cache, workers=workers)
    found: dict[tuple[str, int], dict[str, Any]] = {}
    running = run_cells(
        cells, images, settings, sets, options.cache / "cells", jobs=options.jobs, device=device
    )
    for cell, record in running:
        found[cell.name, cell.seed] = record
        mpc = policy_scores([record]).mpc[0]
        print(
            f"{len(found)}/{len(cells)} seed {cell.seed}, {cell.name}: P {record['clean']:.1f}, "
            f"mPC {mpc:.1f}; {_seconds([record['seconds']])}",
            flush=True,
        )
    records = {name: [found[name, seed] for seed in options.seeds] for name in policies}
    result = {
        "command": shlex.join(["python", "benchmarks/robustness.py", *map(_shown, arguments)]),
        "pack": _shown(options.pack),
        "pack_id": StylePack.load(options.pack).id,
        "task": images.record(),
        "settings": asdict(settings),
        "seeds": list(options.seeds),
        "parameters": next(iter(found.values()))["parameters"],
        "policies": {
            name: f"flips + {text}" if text else "flips" for name, text in policies.items()
        },
        **figures(records),
        "machine": machine_record(device),
        "versions": package_versions(_VERSIONS_OF),
    }
    parts = ["robustness", options.name, "validation" if options.validation else None]
    out = options.out or RESULTS / ("_".join(filter(None, parts)) + ".json")
    write_json(out, result)
    print(f"\n{table(result)}\n\n{out}")
    return result


def _shown(argument: str) -> str:
    """A path without the folders of this machine."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def _cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "styleaug-robustness"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    default = Settings()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    count: dict[str, Any] = {"type": _at_least_one, "metavar": "N"}
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR")
    add("--name", metavar="NAME", help="of the result, for a set beside the first")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    add("--policies", nargs="*", metavar="NAME", help=f"some of: {', '.join(POLICIES)}")
    add("--policy", action="append", default=[], metavar="NAME=STAGE(...)", help="add a policy")
    add(
        "--validation", action="store_true", help="use the validation corruptions and lamps instead"
    )
    add("--pack", default="base", help="style pack: name or path")
    add("--epochs", **count, default=default.epochs)
    add("--max-train", **count, default=default.max_train, help="training images at most")
    add("--max-test", **count, default=default.max_test, help="test images at most")
    add("--jobs", **count, default=1, help="cells at once, each on one thread (1: in-process)")
    add("--device", default="cpu")
    add("--cache", type=Path, default=_cache_dir(), metavar="DIR", help="default: %(default)s")
    add("--out", type=Path, metavar="FILE", help="default: in benchmarks/results")
    options = parser.parse_args(arguments)
    if len(set(options.seeds)) < len(options.seeds):
        parser.error("--seeds must differ from each other")
    return options


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer >= 1, but is {text!r}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse_arguments(arguments)
    if options.jobs > 1:  # bars of several processes would overwrite each other
        os.environ["TQDM_DISABLE"] = "1"  # read by tqdm when the processes import it
    try:
        run(options, arguments)
    except (DataError, OSError, PolicyError, StyleAugError, ValueError) as error:
        sys.stderr.write(f"robustness: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
