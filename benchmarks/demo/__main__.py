"""The demo: what StyleAugment does to images of defects, and what a detector gains from it.

    python -m benchmarks.demo                  solar cells of the package elpv-dataset
    python -m benchmarks.demo --data DIR       your images: DIR/<class>/*, or as styleaug bench

It restyles a few images into a contact sheet, fine-tunes an ImageNet network with flips alone and
with flips and StyleAugment, tests both on the same images under other lighting and sensors and
under corruptions, as trained and adapted to these images, and writes a report. An interrupted demo
goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from benchmarks import elpv
from styleaug import Relight, Restyle, StyleAugment
from styleaug.audit.run import choose
from styleaug.cli.bench import protocol_line, table
from styleaug.cli.options import add_options
from styleaug.cli.sheet import contact_sheet
from styleaug.cli.values import count
from styleaug.datasets import DefectSet, Sample, read_defects
from styleaug.errors import StyleAugError
from styleaug.evaluate.experiment import Experiment
from styleaug.evaluate.policies import FLIPS
from styleaug.evaluate.protocol import ADAPTED_SEVERITY, Protocol
from styleaug.evaluate.records import usable_cores
from styleaug.evaluate.report import write_report
from styleaug.evaluate.results import AS_TRAINED, MATCHED, Result
from styleaug.evaluate.robustness import Robustness
from styleaug.evaluate.split import split_defects
from styleaug.images.io import save_image, to_tensor

POLICIES = {FLIPS: "", "StyleAugment": "StyleAugment()"}
CONDITIONS = (
    *("exposure", "gradient_light", "shadow_edge", "sensor_response", "sensor_noise", "defocus"),
    *("gaussian_noise", "motion_blur", "fog", "pixelate"),
)
"""Six of the industrial shifts, and one of each kind of ImageNet-C's corruptions."""
PROTOCOL = Protocol.of(
    "classification",
    steps=160,
    train=1000,
    test=250,
    corruptions=CONDITIONS,
    severities=(ADAPTED_SEVERITY,),
    seeds=(0, 1, 2),
    thorough=True,
)
# Enough to see that everything runs; the scores mean nothing.
QUICK = replace(
    PROTOCOL,
    steps=8,
    batch_size=16,
    train=200,
    test=60,
    corruptions=("gaussian_noise", "defocus_blur", "contrast"),
    seeds=(0,),
)
_ADAPTED_NOTE = (
    "Adapted: batch norms matched to unlabelled images under each condition; the intervals of "
    "these rows are for other seeds alone."
)
_CHANGES = {
    "model": "backbone, small-cnn or one of timm's",
    "steps": "of each training",
    "size": "side of images, px",
    "train": "images at most",
    "test": "images at most",
}
"""Options that change the protocol."""
COLUMNS = 7
"""Restylings of each image in the contact sheet."""
_EXAMPLE_SIZE = 224  # large enough to see a crack
_SHEET_NOTE = (
    "`sheet.png` and `report.html` show some of these images: share them under their terms only."
)
# Cells of both types whose cracks and dead areas are easy to see.
_ELPV_EXAMPLES = {f"cell{number:04}.png" for number in (56, 398, 800, 1097, 1639)}


def run_demo(
    data: Path | None, out: Path, protocol: Protocol, *, device: str, workers: int
) -> Result:
    """Run all phases and write ``sheet.png``, ``report.html`` and ``result.json``.

    ``data`` is the user's folder, or None for the solar cells.
    """
    print(f"Reading {data if data else 'the solar cells of ELPV'} ...")
    if data is None:
        defects, notes = elpv.read_elpv(), (*elpv.NOTES, _SHEET_NOTE)
        examples = [s for s in defects.samples if s.path.name in _ELPV_EXAMPLES]
    else:
        defects, notes = leave_out_unreadable(read_defects(data))
        examples = [sample for sample, _ in choose(defects, 5, seed=0)][:5]
    split = split_defects(defects, protocol, kind="classification")
    split = replace(split, notes=(*notes, *split.notes))
    for note in split.notes:
        print(f"  {note}")
    save_image(out / "sheet.png", make_sheet(examples, COLUMNS))
    print(f"Contact sheet: {out / 'sheet.png'}")
    experiment = Experiment(split, protocol, out / "cache", device=device)
    runs = experiment.run(
        POLICIES,
        jobs=max(1, workers) if device == "cpu" else 1,
        workers=workers,
        title="train and test",
    )
    experiment.drop_corrupted()
    result = experiment.result(
        runs,
        name=defects.name,
        purpose="What `make demo` finds.",
        command="make demo" + (f" DATA={data.name}" if data else ""),
    )
    result.save(out / "result.json")
    found: dict[str, Robustness] = {}
    for name, how in (("", AS_TRAINED), (", adapted", MATCHED)):
        each = experiment.robustness(runs, how)
        found |= {f"{policy}{name}": robustness for policy, robustness in each.items()}
    notes = [protocol_line(result), *split.notes, _ADAPTED_NOTE]
    notes += [f"{name}: {expression}" for name, expression in POLICIES.items() if expression]
    shown = split.test.images[:3].permute(0, 2, 3, 1).numpy()
    title = f"StyleAugment on {defects.name}"
    write_report(out / "report.html", found, title=title, notes=notes, examples=shown)
    print(f"\n{table(result, found)}\nGain by corruption: {out / 'report.html'}")
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


def make_sheet(examples: Sequence[Sample], columns: int) -> Image.Image:
    """One image a row: the original, then restylings; a column has one style and one lighting."""
    augment = StyleAugment([Restyle(strength=(0.8, 1.0), mix=0.0), Relight(strength=(0.2, 0.8))])
    plan = augment.draw(columns, torch.Generator().manual_seed(0))
    size = (_EXAMPLE_SIZE, _EXAMPLE_SIZE)
    rows: list[list[Tensor]] = []
    for sample in examples:
        image = to_tensor(sample.load().resize(size, Image.Resampling.BILINEAR))
        rows.append([image, *augment.render(image.expand(columns, -1, -1, -1), plan)])
    return contact_sheet(rows, _EXAMPLE_SIZE)


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="your images (default: ELPV solar cells)")
    add("--out", type=Path, metavar="DIR", default=Path("demo-out"), help="default: demo-out")
    add(
        "--seeds",
        type=count,
        metavar="N",
        help=f"trainings a policy (default: {len(PROTOCOL.seeds)})",
    )
    for name, does in _CHANGES.items():
        default = getattr(PROTOCOL, name)
        kind = count if isinstance(default, int) else str
        add(f"--{name}", type=kind, help=f"{does} (default: {default})")
    add(
        "--workers",
        type=int,
        metavar="N",
        help="processes that work beside each other (default: one a core)",
    )
    add_options(parser, "device")
    add("--quick", action="store_true", help="a few images and steps, to see that it runs")
    return parser


def protocol_of(options: argparse.Namespace) -> Protocol:
    """Defaults, ``--quick`` and what was asked for; the latter wins."""
    asked = {name: value for name in _CHANGES if (value := getattr(options, name)) is not None}
    if options.seeds is not None:
        asked["seeds"] = tuple(range(options.seeds))
    return replace(QUICK if options.quick else PROTOCOL, **asked)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo from the command line; returns the exit status."""
    options = make_parser().parse_args(arguments)
    workers = options.workers
    if workers is None:
        workers = 0 if options.quick else min(usable_cores(), 8)
    try:
        protocol = protocol_of(options)
        run_demo(options.data, options.out, protocol, device=str(options.device), workers=workers)
    except (OSError, StyleAugError, ValueError) as error:
        sys.stderr.write(f"demo: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
