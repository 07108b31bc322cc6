"""``styleaug bench``: what StyleAugment gains and costs on the user's own labelled images."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from textwrap import indent
from typing import Any

from styleaug.cli.options import GOES_ON, add_command, add_options
from styleaug.cli.outputs import check_outside
from styleaug.cli.overview import short_overview
from styleaug.cli.parser import new_folder
from styleaug.cli.values import count, processes, seed
from styleaug.datasets import DefectSet, read_defects
from styleaug.datasets.summary import summarize
from styleaug.evaluate import (
    Robustness,
    TargetReport,
    bench,
    bench_target,
    read_target,
    write_report,
)
from styleaug.evaluate.models import KINDS
from styleaug.evaluate.policies import BASELINES, FLIPS
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.results import ADAPTATIONS, CLEAN, ELSEWHERE, MATCHED, Result
from styleaug.evaluate.tasks import kind_of
from styleaug.files import remove_leftovers

EXAMPLES = """examples:
  styleaug bench --data parts/ --quick
  styleaug bench --data parts/ --task detection
  styleaug bench --data parts/ --steps 1000
  styleaug bench --data parts/ --target new_line/      # which of them carries over, adapted or not
  styleaug bench --data parts/ --baselines ColorJitter "AugMix(severity=5)" --seeds 0 1 2 3 4

'styleaug inspect DIR' tells first how a folder is understood, and which tasks its labels allow.
After an interruption the same command continues where it stopped.
"""


_PROGRESS = "In each epoch of your training, tell it: set_progress(epoch / epochs).\n"


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = (
        "Train a network on your labelled images with flips alone, with StyleAugment and with "
        "other augmentations, test each under corruptions and industrial shifts, and recommend a "
        "preset, which is chosen on images and conditions apart from the test. With images of a "
        "new line (--target), compare what carries a model over to it, adapted or not."
    )
    parser = add_command(commands, "bench", run, does=does, examples=EXAMPLES, resumes=GOES_ON)
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder of labelled images"
    )
    parser.add_argument(
        "--target",
        type=Path,
        metavar="DIR",
        help="images of a new line, labelled or not: compare what carries a model over to it "
        "(default: none)",
    )
    parser.add_argument(
        "--task",
        choices=KINDS,
        help="what to train (default: the first of these that the labels allow)",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="backbone: efficientnet-lite0, small-cnn, or a model of timm, which downloads its "
        "weights (default: efficientnet-lite0 with the extra 'bench', else small-cnn)",
    )
    parser.add_argument(
        "--out",
        type=new_folder,
        default=Path("bench"),
        metavar="DIR",
        help="folder for the report, and for trained networks, which are kept to go on from",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one seed, short trainings and fewer images: minutes rather than an hour",
    )
    parser.add_argument(
        "--steps",
        type=count,
        metavar="N",
        help="optimizer steps of each training, 1 or more; as many as your own training takes show "
        "best what it gains (default: 300, for masks and boxes 450; with --quick 100)",
    )
    parser.add_argument(
        "--baselines",
        nargs="*",
        default=["photometric mix"],
        metavar="NAME",
        help="other augmentations to compare with: expressions such as 'AugMix(severity=5)', or "
        f"{', '.join(n for n in BASELINES if n != FLIPS)} (default: photometric mix)",
    )
    parser.add_argument(
        "--seeds",
        type=seed,
        nargs="+",
        metavar="N",
        help="seeds; each augmentation is trained once with each, and several give intervals "
        "(default: 0 1 2; with --quick 0)",
    )
    parser.add_argument(
        "--workers",
        type=processes,
        default=0,
        metavar="N",
        help="processes that corrupt test images, 0 to 256; 0 does it in the main process",
    )
    add_options(parser, "masks", "bits", "pack", "device")


def run(arguments: argparse.Namespace) -> int:
    """Train, test, print, write the report."""
    check_outside(arguments.out, [arguments.data, arguments.masks], "--data and --masks")
    defects = read_defects(arguments.data, masks=arguments.masks, bits=arguments.bits)
    print(
        short_overview(summarize(defects, arguments.data, size=Protocol.size, thorough=False)),
        flush=True,
    )
    kind = arguments.task or kind_of(defects)
    given = {"model": arguments.model, "seeds": arguments.seeds, "steps": arguments.steps}
    changes = {name: value for name, value in given.items() if value is not None}
    protocol = Protocol.of(kind, **changes)
    if arguments.quick:
        protocol = replace(protocol.shortened(), **changes)
    remove_leftovers(arguments.out)
    settings = {
        "protocol": protocol,
        "task": kind,
        "baselines": arguments.baselines,
        "pack": arguments.pack,
        "cache": arguments.out / "trained",
        "device": arguments.device,
        "workers": arguments.workers,
    }
    if arguments.target:
        return _run_target(defects, arguments, settings)
    report = bench(defects, **settings)
    out, meta = arguments.out, report.result.meta
    report.result.save(out / "bench.json")
    notes = [protocol_line(report.result), *meta["task"]["notes"]]
    write_report(out / "bench.html", report.robustness, title=meta["name"], notes=notes)
    print(table(report.result, report.robustness))
    print(f"Report: {out / 'bench.html'}; all scores: {out / 'bench.json'}")
    print(f"\nRecommended ({report.recommended}):\n\n{indent(report.code, '    ')}\n")
    if report.needs_progress:
        print(_PROGRESS)
    return 0


def _run_target(
    defects: DefectSet, arguments: argparse.Namespace, settings: Mapping[str, Any]
) -> int:
    """The same for a new line."""
    check_outside(arguments.out, [arguments.target], "--target")
    if arguments.target.resolve() == arguments.data.resolve():
        raise ValueError("--target must be images of another line than --data, but is the same.")
    target = read_target(arguments.target, masks=arguments.masks, bits=arguments.bits)
    report = bench_target(defects, target, **settings)
    report.result.save(arguments.out / "bench.json")
    print(target_table(report))
    print(f"All scores: {arguments.out / 'bench.json'}")
    ways = " and adaptation" if report.adapted else ""
    print(f"\nRecommended ({report.policy}{ways}):\n\n{indent(report.code, '    ')}\n")
    if report.gain:
        print(f"Gain on the new line over flips, not adapted: {report.gain} points.\n")
    if report.needs_progress:
        print(_PROGRESS)
    if report.adapted:
        source = f" --source {arguments.data}" if report.adapted == MATCHED else ""
        print(
            "and once it is trained, MODEL.py:load giving your network:\n\n    styleaug adapt "
            f"MODEL.py:load --data {arguments.target}{source} --out adapted.pt\n"
        )
    return 0


def target_table(report: TargetReport) -> str:
    """What a bench for a new line found, in text."""
    result = report.result
    scored = ("new line", "adapted", "matched") if report.labelled else ("corrupted",)
    heads = ("old line", *scored)
    lines = [
        f"{protocol_line(result)} {result.metric} in percent, mean over seeds.",
        "",
        f"{'':34}" + "".join(f" {head:>10}" for head in heads),
    ]
    for name in result.policies:
        found = [result.scores(name)]
        if report.labelled:
            found += [result.scores(name, ELSEWHERE, adapted=how) for how in ADAPTATIONS]
        else:
            conditions = [c for c in result.conditions if c != CLEAN]
            found.append(result.scores(name, conditions) if conditions else {})
        cells = (f"{mean(scores.values()):10.1f}" if scores else f"{'':10}" for scores in found)
        lines.append(f"{name:34} " + " ".join(cells))
    if report.labelled:
        lines.append("Adapted: new statistics of batch norms; matched: to those of the old line.")
    else:
        lines.append("The new line's images have no labels that this task knows: not scored there.")
    return "\n".join(lines)


def protocol_line(result: Result) -> str:
    """What was trained, on what."""
    task, protocol = result.meta["task"], result.meta["protocol"]
    return (
        f"{task['name']}, {task['kind']} by {protocol['model']}: {len(task['classes'])} classes, "
        f"{task['train']} images to train on, {protocol['steps']} steps of "
        f"{protocol['batch_size']}, {task['test']} to test on."
    )


def table(result: Result, robustness: Mapping[str, Robustness]) -> str:
    """What an experiment found, in text; the first policy is the baseline."""
    baseline, first = next(iter(robustness.items()))
    suites = list(first.suites)
    drawn = ["test images"] * bool(first.rows) + ["seeds"] * (len(result.seeds) > 1)
    lines = [
        f"{protocol_line(result)} {result.metric} in percent, mean over seeds; gain over "
        f"{baseline} with its 95 % interval for other {' and '.join(drawn) or 'seeds'}.",
        "",
        f"{'':34} {'clean':>7}" + "".join(f" {s:>12} {'gain':>22}" for s in suites),
    ]
    for name, found in robustness.items():
        line = f"{name:34} {100 * found.performance:7.1f}"
        for suite in suites:
            gain = found.interval(suite, over=first).in_percent() if found is not first else ""
            line += f" {100 * found.mpc(suite):12.1f} {gain!s:>22}"
        lines.append(line)
    return "\n".join(lines)
