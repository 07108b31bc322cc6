"""The demo: what StyleAugment does to images of defects, and what a detector gains from it.

    python -m benchmarks.demo                  solar cells of the package elpv-dataset
    python -m benchmarks.demo --data DIR       your images: DIR/<class>/*, or as styleaug bench

It restyles a few images into a contact sheet, fine-tunes an ImageNet network with flips alone and
with flips and StyleAugment, tests both on clean and on corrupted images, and writes a report. An
interrupted demo goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from benchmarks import elpv
from benchmarks.demo.report import draw_gains, make_report
from benchmarks.pictures import contact_sheet
from styleaug import Relight, Restyle, StyleAugment
from styleaug.datasets import DefectSet, Sample, read_defects
from styleaug.errors import StyleAugError
from styleaug.evaluate.experiment import Experiment
from styleaug.evaluate.policies import FLIPS
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.records import usable_cores
from styleaug.evaluate.results import Result
from styleaug.evaluate.split import split_defects
from styleaug.files import atomic_path
from styleaug.images.io import to_tensor

POLICIES = {FLIPS: "", "StyleAugment": "StyleAugment()"}
PROTOCOL = Protocol.of(
    "classification", steps=160, train=4000, corruptions=("imagenet-c",), seeds=(0, 1)
)
# Enough to see that everything runs; the scores mean nothing.
QUICK = replace(
    PROTOCOL,
    steps=8,
    batch_size=16,
    train=200,
    test=60,
    corruptions=("gaussian_noise", "defocus_blur", "contrast"),
    severities=(3,),
    seeds=(0,),
)
COLUMNS = 7
"""Restylings of each image in the contact sheet."""
_EXAMPLE_SIZE = 224  # large enough to see a crack
_SHEET_NOTE = "`sheet.png` shows some of these images: share it under their terms only."
# Cells of both types whose cracks and dead areas are easy to see.
_ELPV_EXAMPLES = {f"cell{number:04}.png" for number in (56, 398, 800, 1097, 1639)}


def run_demo(
    data: Path | None, out: Path, protocol: Protocol, *, device: str, workers: int
) -> Result:
    """Run all phases and write ``sheet.png``, ``gains.png``, ``report.md`` and ``result.json``.

    Args:
        data: the user's folder, or None for the solar cells.
        out: folder of the results, made if missing.
        protocol: how networks are trained and tested.
        device: where networks are trained.
        workers: processes that corrupt images; 0 uses none.
    """
    print(f"Reading {data if data else 'the solar cells of ELPV'} ...")
    if data is None:
        defects, notes = elpv.read_elpv(), (*elpv.NOTES, _SHEET_NOTE)
        examples = [s for s in defects.samples if s.path.name in _ELPV_EXAMPLES]
    else:
        defects, notes = leave_out_unreadable(read_defects(data))
        examples = in_turn(defects.samples)[:5]
    split = split_defects(defects, protocol, kind="classification")
    split = replace(split, notes=(*notes, *split.notes))
    for note in split.notes:
        print(f"  {note}")
    with atomic_path(out / "sheet.png") as temporary:
        make_sheet(examples, COLUMNS).save(temporary, "PNG")
    print(f"Contact sheet: {out / 'sheet.png'}")
    experiment = Experiment(split, protocol, out / "cache", device=device)
    runs = experiment.run(POLICIES, workers=workers, title="train and test")
    experiment.drop_corrupted()
    result = experiment.result(
        runs,
        name=defects.name,
        purpose="What `make demo` finds.",
        command="make demo" + (f" DATA={data.name}" if data else ""),
    )
    result.save(out / "result.json")
    both = list(experiment.robustness(runs).values())
    draw_gains(out / "gains.png", *both)
    report = make_report(result, *both)
    with atomic_path(out / "report.md") as temporary:
        temporary.write_text(report, encoding="utf-8")
    print(f"\n{report}")
    return result


def leave_out_unreadable(defects: DefectSet) -> tuple[DefectSet, tuple[str, ...]]:
    """The images that can be read, and a note that names the others."""

    def readable(sample: Sample) -> bool:
        try:
            sample.load()
        except OSError:
            return False
        return True

    samples = defects.samples
    with ThreadPoolExecutor(2) as pool:
        bar = tqdm(pool.map(readable, samples), "look for damaged images", len(samples))
        fine = dict(zip(samples, bar, strict=True))
    bad = [f"{s.path.parent.name}/{s.path.name}" for s, good in fine.items() if not good]
    kept = replace(defects, samples=tuple(sample for sample, good in fine.items() if good))
    more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
    return kept, (f"Left out, unreadable: {', '.join(bad[:5])}{more}.",) if bad else ()


def in_turn(samples: Sequence[Sample]) -> list[Sample]:
    """Class by class in turn, for a sheet that shows all classes."""
    by_label: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_label[sample.label].append(sample)
    turns = chain.from_iterable(zip_longest(*by_label.values()))
    return [sample for sample in turns if sample is not None]


def make_sheet(examples: Sequence[Sample], columns: int) -> Image.Image:
    """One image a row: the original, then restylings; a column has one style and one lighting."""
    augment = StyleAugment([Restyle(strength=(0.8, 1.0), mix=0.0), Relight(strength=(0.2, 0.8))])
    plan = augment.draw(columns, torch.Generator().manual_seed(0))
    size = (_EXAMPLE_SIZE, _EXAMPLE_SIZE)
    rows: list[list[Tensor]] = []
    for sample in examples:
        image = to_tensor(sample.load().resize(size, Image.Resampling.BILINEAR))
        rows.append([image, *augment.render(image.expand(columns, -1, -1, -1), plan)])
    return contact_sheet(rows)


def at_least_one(text: str) -> int:
    """A count from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer >= 1, but is {text!r}")
    return int(text)


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, usual = parser.add_argument, PROTOCOL
    add("--data", type=Path, metavar="DIR", help="your images (default: ELPV solar cells)")
    add("--out", type=Path, metavar="DIR", default=Path("demo-out"), help="default: demo-out")
    add("--model", help=f"backbone, small-cnn or one of timm's (default: {usual.model})")
    add(
        "--seeds",
        type=at_least_one,
        metavar="N",
        help=f"trainings a policy (default: {len(usual.seeds)})",
    )
    add(
        "--steps", type=at_least_one, metavar="N", help=f"of each training (default: {usual.steps})"
    )
    add(
        "--size", type=at_least_one, metavar="N", help=f"side of images, px (default: {usual.size})"
    )
    add("--train", type=at_least_one, metavar="N", help=f"images at most (default: {usual.train})")
    add("--test", type=at_least_one, metavar="N", help=f"images at most (default: {usual.test})")
    add(
        "--workers",
        type=int,
        metavar="N",
        help="processes that corrupt images (default: one a core)",
    )
    add("--device", help="cpu, cuda, cuda:1 ... (default: cuda if there is one)")
    add("--quick", action="store_true", help="a few images and steps, to see that it runs")
    return parser


def protocol_of(options: argparse.Namespace) -> Protocol:
    """Defaults, ``--quick`` and what was asked for; the latter wins."""
    names = ("model", "steps", "size", "train", "test")
    asked = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.seeds is not None:
        asked["seeds"] = tuple(range(options.seeds))
    return replace(QUICK if options.quick else PROTOCOL, **asked)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo from the command line; returns the exit status."""
    options = make_parser().parse_args(arguments)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    workers = options.workers
    if workers is None:
        workers = 0 if options.quick else min(usable_cores(), 8)
    try:
        protocol = protocol_of(options)
        run_demo(options.data, options.out, protocol, device=device, workers=workers)
    except (OSError, StyleAugError, ValueError) as error:
        sys.stderr.write(f"demo: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
