"""The demo: what StyleAugment does to defect images, and what a detector gains from it.

    python benchmarks/demo.py                  solar cells from the package elpv-dataset
    python benchmarks/demo.py --data DIR       your images: DIR/<class>/*, or DIR/train and DIR/test

It restyles a few images into a contact sheet, fine-tunes an ImageNet network with flips alone and
with flips and StyleAugment, tests both on clean and on corrupted images, and writes a report.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2
from tqdm import tqdm

from class_folders import load_class_folders
from common import (
    PhaseTimer,
    machine_record,
    package_versions,
    usable_cores,
    write_atomically,
    write_json,
    write_text,
)
from defect_images import DataError, DefectImages, load_elpv
from demo_report import conclusion, contact_sheet, markdown_report, save_gains_figure
from scores import Comparison, Correct, compare
from styleaug import StyleAugment
from styleaug.errors import StyleAugError
from styleaug.evaluate.corruptions import CORRUPTIONS, Condition, conditions, corrupted_sets
from styleaug.evaluate.models import LITE, SMALL
from styleaug.evaluate.tasks import Labelled, Task, fast_arithmetic, predict
from styleaug.evaluate.training import train

Policies = Mapping[str, Callable[[Tensor], Tensor]]

_VERSIONS_OF = (
    "styleaug",
    "torch",
    "torchvision",
    "numpy",
    "imagecorruptions-imaug",
    "elpv-dataset",
)


@dataclass(frozen=True)
class DemoSettings:
    """What the demo does; the command line takes its defaults from here.

    Attributes:
        model: backbone, see `styleaug.evaluate.models.make_backbone`.
        seeds: training runs of each policy.
        steps: optimiser steps of each run.
        batch_size: images a step.
        size: side of the network's input in pixels.
        max_train: most training images used.
        max_test: most test images used.
        corruptions: names of corruptions.
        severities: of 1 to 5.
        columns: restylings of each image in the contact sheet.
        workers: processes that corrupt test images; 0 uses none.
    """

    model: str = LITE
    seeds: int = 2
    steps: int = 160
    batch_size: int = 32
    size: int = 96
    max_train: int = 4000
    max_test: int = 400
    corruptions: tuple[str, ...] = CORRUPTIONS
    severities: tuple[int, ...] = (1, 3, 5)
    columns: int = 7
    workers: int = field(default_factory=lambda: min(usable_cores(), 8))


# Enough to see that everything runs; the accuracies mean nothing.
QUICK: dict[str, Any] = {
    "seeds": 1,
    "steps": 8,
    "batch_size": 16,
    "max_train": 200,
    "max_test": 60,
    "corruptions": ("gaussian_noise", "defocus_blur", "contrast"),
    "severities": (3,),
    "columns": 3,
    "workers": 0,
}


def make_policies() -> Policies:
    """Name the policies that are compared: what each does to a batch after the flips."""
    return {"flips": v2.Identity(), "flips + StyleAugment": StyleAugment()}


def make_sheet_transform() -> Callable[[Tensor], Tensor]:
    """Build the transform of the contact sheet: each image gets one pure style and a lamp."""
    return StyleAugment(
        mix=0.0, p=1.0, stage_p=1.0, strength=(0.8, 1.0), light=(0.2, 0.8), blur=0.0, grain=0.0
    )


def run_demo(
    data: Path | None,
    out: Path,
    settings: DemoSettings,
    *,
    device: torch.device,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Run all phases and write ``sheet.png``, ``gains.png``, ``report.md`` and ``report.json``.

    Args:
        data: the user's folder, or None for the solar cells.
        out: folder of the results, made if missing.
        settings: see `DemoSettings`.
        device: where styling and training happen.
        report: gets one line at a time of what happens.

    Returns:
        What ``report.json`` holds.
    """
    timed = PhaseTimer()
    with timed("read images"):
        report(f"Reading {data if data else 'the solar cells of ELPV'} ...")
        images = _load(data, settings)
        for note in images.notes:
            report(f"  {note}")
    with timed("contact sheet"):
        sheet = contact_sheet(
            images.examples, make_sheet_transform(), columns=settings.columns, seed=0
        )
        report(f"Contact sheet: {write_atomically(out / 'sheet.png', sheet.save)}")
    policies = make_policies()
    models = _train_all(policies, images, settings, timed, device=device)
    with timed("corrupt and evaluate"):
        correct = _evaluate(models, images, settings, device=device)
    comparison = compare(
        correct,
        images.test_labels.numpy(),
        corruptions=settings.corruptions,
        severities=settings.severities,
    )
    some_model = next(iter(models.values()))[0]
    record = {
        "conclusion": conclusion(comparison),
        "task": images.record(),
        "policies": {name: repr(policy) for name, policy in policies.items()},
        "settings": asdict(settings),
        "seeds": list(range(settings.seeds)),
        "parameters": sum(parameter.numel() for parameter in some_model.parameters()),
        **_figures(comparison),
        "machine": machine_record(device),
        "versions": package_versions(_VERSIONS_OF),
        "phases": timed.phases,
    }
    save_gains_figure(out / "gains.png", comparison)
    write_json(out / "report.json", record)
    text = markdown_report(comparison, record)
    write_text(out / "report.md", text)
    report("\n" + text)
    return record


def _load(data: Path | None, settings: DemoSettings) -> DefectImages:
    caps = {"max_train": settings.max_train, "max_test": settings.max_test}
    if data is None:
        return load_elpv(size=settings.size, **caps)
    return load_class_folders(data, size=settings.size, **caps)


def _train_all(
    policies: Policies,
    images: DefectImages,
    settings: DemoSettings,
    timed: PhaseTimer,
    *,
    device: torch.device,
) -> dict[str, list[nn.Module]]:
    models: dict[str, list[nn.Module]] = {name: [] for name in policies}
    for seed in range(settings.seeds):
        for name, augment in policies.items():
            with timed(f"train: {name}"):
                model = train(
                    Task("classification", images.classes, settings.size),
                    Labelled(images.train, images.train_labels),
                    augment=augment,
                    steps=settings.steps,
                    batch_size=settings.batch_size,
                    seed=seed,
                    backbone=settings.model,
                    device=device,
                    title=f"training, seed {seed}, {name}",
                )
            models[name].append(model)
    return models


def _evaluate(
    models: Mapping[str, list[nn.Module]],
    images: DefectImages,
    settings: DemoSettings,
    *,
    device: torch.device,
) -> dict[str, dict[Condition | None, Correct]]:
    """Say for every policy and condition (None: clean) which images were right: (seeds, N)."""
    correct: dict[str, dict[Condition | None, Correct]] = {name: {} for name in models}

    def judge(condition: Condition | None, test: Tensor) -> None:
        for name, runs in models.items():
            with fast_arithmetic(device, "classification"):
                answers = [
                    predict(model, test, device=device).argmax(1) == images.test_labels
                    for model in runs
                ]
            correct[name][condition] = torch.stack(answers).numpy()

    judge(None, images.test)
    wanted = conditions(settings.corruptions, settings.severities)
    pixels = images.test.permute(0, 2, 3, 1).contiguous().numpy()
    sets = corrupted_sets(pixels, wanted, workers=settings.workers)
    progress = tqdm(sets, total=len(wanted), desc="corrupting and testing", unit="set")
    # The processes that corrupt the next images keep the other cores busy meanwhile.
    with _torch_threads(1 if settings.workers else torch.get_num_threads()), progress:
        for condition, corrupted in progress:
            judge(condition, torch.from_numpy(corrupted).permute(0, 3, 1, 2))
    return correct


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _figures(comparison: Comparison) -> dict[str, Any]:
    scores = zip(comparison.names, comparison.scores, strict=True)
    gains = {"clean": comparison.clean, "mPC": comparison.robust, **comparison.by_corruption}
    return {
        "scores": {
            name: {"clean": s.clean, "mPC": s.mpc, "rPC": s.rpc, "corrupted": s.corrupted}
            for name, s in scores
        },
        "gains": {name: asdict(gain) for name, gain in gains.items()},
    }


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    default = DemoSettings()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder: dict[str, Any] = {"type": Path, "metavar": "DIR"}
    count: dict[str, Any] = {"type": _at_least(1), "metavar": "N"}
    side: dict[str, Any] = {"type": _at_least(16), "metavar": "N"}
    workers: dict[str, Any] = {"type": _at_least(0), "metavar": "N"}
    add = parser.add_argument
    add("--data", **folder, help="your class folders (default: ELPV solar cells)")
    add("--out", **folder, default=Path("demo-out"), help="results go here (default: demo-out)")
    add("--model", help=f"backbone, {SMALL} or one of timm's (default: {default.model})")
    add("--seeds", **count, help=f"training runs of each policy (default: {default.seeds})")
    add("--steps", **count, help=f"steps of each run (default: {default.steps})")
    add("--size", **side, help=f"side of the network's input, px (default: {default.size})")
    add("--max-train", **count, help=f"training images at most (default: {default.max_train})")
    add("--max-test", **count, help=f"test images at most (default: {default.max_test})")
    add("--workers", **workers, help="processes that corrupt images (default: one a core)")
    add("--device", help="cpu, cuda, cuda:1 ... (default: cuda if there is one)")
    add("--quick", action="store_true", help="a few images and steps, to see that it runs")
    return parser.parse_args(arguments)


def _at_least(least: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be an integer >= {least}, but is {text!r}")
        return int(text)

    return integer


def settings_from(options: argparse.Namespace) -> DemoSettings:
    """Combine defaults, ``--quick`` and what was asked for; the latter wins."""
    settings = replace(DemoSettings(), **QUICK) if options.quick else DemoSettings()
    names = {entry.name for entry in fields(DemoSettings)}
    asked = {k: v for k, v in vars(options).items() if k in names and v is not None}
    return replace(settings, **asked)


def main(arguments: list[str] | None = None) -> int:
    """Run the demo from the command line; returns the exit status."""
    options = parse_arguments(arguments)
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        run_demo(options.data, options.out, settings_from(options), device=device, report=print)
    except (DataError, StyleAugError) as error:
        sys.stderr.write(f"demo: {error}\n")
        return 2
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"demo: needs {error.name}; install it with: pip install 'styleaug[demo]'\n"
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
