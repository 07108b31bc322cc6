"""``styleaug audit``: which settings keep which defects, on the user's own labelled images."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from styleaug.audit import AuditConfig, AuditReport, audit
from styleaug.audit.report import Share
from styleaug.audit.run import SHOWN, draws_of
from styleaug.audit.settings import TEXTURES
from styleaug.augment.edit import as_code
from styleaug.cli.options import GOES_ON, add_command, add_fields, add_options
from styleaug.cli.outputs import check_outside
from styleaug.cli.overview import short_overview
from styleaug.cli.parser import new_folder
from styleaug.cli.pipeline import load_pipeline
from styleaug.cli.sheet import contact_sheet
from styleaug.datasets import read_defects
from styleaug.datasets.outlines import outlined
from styleaug.datasets.summary import summarize
from styleaug.files import atomic_path, remove_leftovers
from styleaug.images.io import save_image

EXAMPLES = """examples:
  styleaug audit --data tiles/ --out audit/
  styleaug audit --data parts/ --masks masks/ --limit 100
  styleaug audit --data classes/ --model mine.py:predict      # no masks: the model's confidence

'styleaug inspect DIR' tells first how a folder is understood. After an interruption the same
command continues where it stopped. To train with what it recommends, paste the code, or load

  StyleAugment.from_dict(json.load(open("audit/audit.json"))["recommended"])
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = (
        "Measure on labelled images how much of each defect is left under each stage and under the "
        "default preset, and recommend settings that keep your defects."
    )
    parser = add_command(commands, "audit", run, does=does, examples=EXAMPLES, resumes=GOES_ON)
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder of labelled images"
    )
    add_options(parser, "masks", "bits")
    parser.add_argument(
        "--model",
        metavar="FILE.py:NAME",
        help="measure what your model still sees, where there are no masks or boxes: a function "
        "from uint8 images (B, 3, H, W) to probabilities (B, classes), classes in alphabetical "
        "order (default: none)",
    )
    parser.add_argument(
        "--out",
        type=new_folder,
        default=Path("audit"),
        metavar="DIR",
        help="folder for the report, the contact sheet, and what is kept to go on from",
    )
    add_fields(
        parser, AuditConfig, budget="share of the defects that a stage may lose, 0 to below 1"
    )
    shared = {n: getattr(AuditConfig, n) for n in ("pack", "limit", "draws", "size", "seed")}
    add_options(parser, **shared)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, write report and sheet."""
    config = AuditConfig(**{f.name: getattr(arguments, f.name) for f in fields(AuditConfig)})
    check_outside(arguments.out, [arguments.data, arguments.masks], "--data and --masks")
    defects = read_defects(arguments.data, masks=arguments.masks, bits=arguments.bits)
    summary = summarize(defects, arguments.data, size=config.size, thorough=False)
    print(short_overview(summary), end="\n\n", flush=True)
    marked = any(sample.masks or sample.boxes for sample in defects.samples)
    if not marked and arguments.model is None:
        raise ValueError(
            f"An audit needs to know where defects are, but none of {len(defects.samples)} images "
            f"of {defects.name} has a mask or a box. Give --masks DIR, or --model FILE.py:NAME."
        )
    remove_leftovers(arguments.out)
    report = audit(
        defects,
        config,
        cache=arguments.out,
        predict=None if arguments.model is None else load_pipeline(arguments.model, "--model"),
        progress=lambda items, title: tqdm(items, desc=title, unit="image"),
    )
    with atomic_path(arguments.out / "audit.json") as temporary:
        temporary.write_text(json.dumps(report.to_dict(), indent=1), encoding="utf-8")
    samples = {str(sample.path): sample for sample in defects.samples}
    rows = [
        [outlined(image, mask), *draws[:, place]]
        for row, place in report.worst(8)
        for image, mask, draws in [draws_of(samples[row.path], SHOWN, config)]
    ]
    captions = [[Path(row.path).name, *SHOWN] for row, _ in report.worst(8)]
    save_image(arguments.out / "worst.png", contact_sheet(rows, 192, captions))
    print(table(report))
    print(f"\nThe defects of which least is left: {arguments.out / 'worst.png'}")
    print(f"All figures: {arguments.out / 'audit.json'}\n\nRecommended:\n")
    print("    " + report.code if report.recommended is None else as_code(report.recommended))
    measured = report.lost(report.settings[0]).count
    if measured * config.budget < 1:
        # of n defects none lost: with 95 % confidence at most 3 / n are (the rule of three)
        print(
            f"\nOnly {measured} defects were measured: up to {min(1.0, 3 / measured):.0%} might be "
            "lost without one of these showing it. Audit more, or take smaller ranges."
        )
    return 0


def table(report: AuditReport) -> str:
    """The report in text."""
    measured = report.lost(report.settings[0]).count
    lines = [
        f"{report.name}: {measured} defects measured. Lost: less than half of what tells a defect "
        "from its surroundings is left.",
        "",
        f"{'defects lost, %':34} {'all':>12} "
        + " ".join(f"{(c or 'defect')[:12]:>12}" for c in report.classes),
    ]
    names = report.settings
    for name in names:
        cells = [report.lost(name), *(report.lost(name, label=c) for c in report.classes)]
        lines.append(f"{name:34} " + " ".join(f"{_percent(c):>12}" for c in cells))
    lines += ["", "A class starts to fade (more than 5 % lost) at strength:"]
    for label in report.classes:
        found = [report.fades(label, texture) for texture in TEXTURES]
        shown = ", ".join(
            f"{'never' if s is None else f'{s:g}'} (texture {t:g})"
            for s, t in zip(found, TEXTURES, strict=True)
        )
        lines.append(f"  {label or 'defect'}: {shown}")
    lines += _polarity(report)
    free = [(n, *report.invented(n)) for n in names]
    if any(share.count for _, _, share in free):
        lines += ["", "On images without defects: structure added to flat areas, and new spots:"]
        lines += [
            f"  {name}: {level:.1f} levels of 255; spots on {_percent(share)} % of {share.count}"
            for name, level, share in free
            if share.count
        ]
    return "\n".join(lines)


def _polarity(report: AuditReport) -> list[str]:
    """Whether defects are darker than their surroundings, and what follows for ``Relief``."""
    known = [(c, share) for c in report.classes for share in [report.darker(c)] if share.count]
    if not known:
        return []
    lines = ["", "Darker than their surroundings, of the defects of which that can be said:"]
    lines += [f"  {c or 'defect'}: {_percent(share)} % of {share.count}" for c, share in known]
    if report.polar:
        names = ", ".join(label or "defect" for label in report.polar)
        lines.append(f"  Polarity may tell {names}: with the stage Relief, take flip=0.")
    return lines


def _percent(share: Share) -> str:
    return f"{100 * share.share:.1f} ± {100 * share.error:.1f}" if share.count else "-"
