"""``styleaug bench``: what StyleAugment gains and costs on the user's own labelled images."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from styleaug.cli.options import add_device_option, add_pack_option
from styleaug.datasets import read_defects
from styleaug.evaluate import BenchReport, bench, write_report
from styleaug.evaluate.metrics import metric
from styleaug.evaluate.models import KINDS
from styleaug.evaluate.policies import PEERS
from styleaug.evaluate.runner import Protocol
from styleaug.evaluate.tasks import kind_of
from styleaug.files import atomic_path

EXAMPLES = """examples:
  styleaug bench --data parts/ --quick
  styleaug bench --data parts/ --task detection
  styleaug bench --data parts/ --steps 1000
  styleaug bench --data parts/ --peers ColorJitter AugMix --seeds 0 1 2 3 4

Layouts: class folders, images named after their class, YOLO, COCO, Pascal VOC, images with masks in
class folders. An interrupted bench goes on where it was, by the same command.
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "bench",
        help="what it gains and costs on your own images",
        description="Train a network on labelled images with flips alone, with "
        "StyleAugment and with other augmentations, and test all under corruptions and industrial "
        "shifts. Settings are chosen on images and conditions of their own.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="labelled images")
    parser.add_argument(
        "--task", choices=KINDS, help="(default: what the labels allow, in this order)"
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="backbone: efficientnet-lite0 (default, with the extra 'bench'), small-cnn, or a "
        "model of timm, which downloads its weights",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("bench"),
        metavar="DIR",
        help="for the report and what was trained (default: %(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="one seed, short training: minutes")
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="of each training: as many as your own takes show best what a mixture gains (default: "
        "300, for masks and boxes 450; with --quick a third)",
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        default=["Photometric"],
        metavar="NAME",
        help=f"to compare with: {', '.join(PEERS)} (default: Photometric)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="(default: 0 1 2)")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that corrupt test images (default: 0)"
    )
    add_pack_option(parser)
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, test, print, write the report."""
    defects = read_defects(arguments.data)
    kind = arguments.task or kind_of(defects)
    protocol = Protocol.of(kind, quick=arguments.quick)
    if arguments.seeds:
        protocol = replace(protocol, seeds=tuple(arguments.seeds))
    if arguments.model:
        protocol = replace(protocol, model=arguments.model)
    if arguments.steps is not None:
        protocol = replace(protocol, steps=arguments.steps)
    report = bench(
        defects,
        task=kind,
        peers=arguments.peers,
        pack=arguments.pack,
        protocol=protocol,
        cache=arguments.out / "trained",
        device=torch.device(arguments.device),
        workers=arguments.workers,
        progress=lambda items, title: tqdm(items, desc=title, unit="network"),
    )
    with atomic_path(arguments.out / "bench.json") as temporary:
        temporary.write_text(json.dumps(report.to_dict(), indent=1), encoding="utf-8")
    write_report(arguments.out / "bench.html", report.results, title=report.name)
    print(table(report))
    print(f"Report: {arguments.out / 'bench.html'}; all figures: {arguments.out / 'bench.json'}")
    print(f"\nRecommended (of {len(report.search) - 1} settings tried):\n\n    {report.code}\n")
    if "schedule" in report.code:
        print("In each epoch of your training, tell it: set_progress(epoch / epochs).\n")
    return 0


def table(report: BenchReport) -> str:
    """The report in text."""
    first = next(iter(report.results.values()))
    suites = list(first.suites)
    train, test = report.images
    lines = [
        f"{report.name}, {report.task.kind} by {report.model}: {len(report.task.classes)} classes, "
        f"{train} images to train on, {report.steps} steps of {report.batch_size}, {test} to test "
        f"on. {report.task.metric} in percent, mean over seeds; gain over flips with its 95 % "
        "interval for other test images.",
        "",
        f"{'':28} {'clean':>7}" + "".join(f" {s:>12} {'gain':>22}" for s in suites),
    ]
    for name, result in report.results.items():
        line = f"{name:28} {100 * np.mean(report.per_seed[name]['P']):7.1f}"
        for suite in suites:
            line += f" {100 * np.mean(report.per_seed[name][suite]):12.1f}"
            gain = ""
            if result is not first:
                change = np.subtract(report.per_seed[name][suite], report.per_seed["flips"][suite])
                gain = f"{100 * change.mean():+.1f}"
                if metric(result.metric).quick:
                    low, high = result.interval(suite, over=first)
                    gain += f" ({100 * low:+.1f} to {100 * high:+.1f})"
            line += f" {gain:>22}"
        lines.append(line)
    return "\n".join(lines)
