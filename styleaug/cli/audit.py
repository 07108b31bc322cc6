"""``styleaug audit``: which settings keep which defects, on the user's own labelled images."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from styleaug.audit import AuditReport, audit
from styleaug.audit.report import Share
from styleaug.audit.run import draws_of
from styleaug.audit.settings import TEXTURES, light, material
from styleaug.cli.options import add_pack_option, add_seed_option
from styleaug.cli.pipeline import load_pipeline
from styleaug.cli.sheet import tile
from styleaug.datasets import read_defects
from styleaug.files import atomic_path
from styleaug.images.io import grid, save_image

EXAMPLES = """examples:
  styleaug audit --data tiles/ --out audit/
  styleaug audit --data parts/ --masks masks/ --limit 100
  styleaug audit --data classes/ --model mine.py:predict      # no masks: the model's confidence

Layouts: class folders, images with masks beside them, YOLO, COCO, Pascal VOC. An interrupted audit
goes on where it was, by the same command.
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "audit",
        help="which settings keep which of your defects",
        description="Measure on labelled images how much of each defect is left under each "
        "setting of StyleAugment, and recommend settings.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="labelled images")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="masks, if they lie elsewhere")
    parser.add_argument(
        "--model",
        metavar="FILE.py:NAME",
        help="without masks and boxes: a function from uint8 images (B, 3, H, W) to probabilities "
        "(B, classes), classes in alphabetical order",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("audit"),
        metavar="DIR",
        help="for the report, the sheet and notes (default: %(default)s)",
    )
    parser.add_argument("--limit", type=int, default=300, help="images (default: %(default)s)")
    parser.add_argument(
        "--size",
        type=int,
        default=256,
        metavar="PIXELS",
        help="short side that larger images are brought to (default: %(default)s)",
    )
    parser.add_argument("--repeats", type=int, default=2, help="draws (default: %(default)s)")
    parser.add_argument(
        "--budget",
        type=float,
        default=0.02,
        help="share of defects that a stage may lose (default: %(default)s)",
    )
    add_pack_option(parser)
    add_seed_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, write report and sheet."""
    for name in ("limit", "size", "repeats"):
        if getattr(arguments, name) < 1:
            raise ValueError(f"--{name} must be at least 1, but got {getattr(arguments, name)}.")
    defects = read_defects(arguments.data, masks=arguments.masks)
    settings = {
        "pack": arguments.pack,
        "size": arguments.size,
        "repeats": arguments.repeats,
        "seed": arguments.seed,
    }
    report = audit(
        defects,
        **settings,
        limit=arguments.limit,
        budget=arguments.budget,
        cache=arguments.out / "notes",
        predict=None if arguments.model is None else load_pipeline(arguments.model),
        progress=lambda items, title: tqdm(items, desc=title, unit="image"),
    )
    with atomic_path(arguments.out / "audit.json") as temporary:
        temporary.write_text(json.dumps(report.to_dict(), indent=1), encoding="utf-8")
    samples = {str(sample.path): sample for sample in defects.samples}
    names = [material(1, 0).name, material(1, 1).name, light(1).name, "defaults"]
    rows = [
        [_outlined(image, mask), *draws[:, place]]
        for row, place in report.worst(8)
        for image, mask, draws in [draws_of(samples[row.path], names, **settings)]
    ]
    save_image(arguments.out / "worst.png", grid([[tile(x, 192) for x in row] for row in rows]))
    print(table(report))
    print(f"Sheet of the worst: {arguments.out / 'worst.png'} (marked image; {'; '.join(names)})")
    print(f"All figures: {arguments.out / 'audit.json'}")
    print(f"\nRecommended:\n\n    {report.code}\n")
    count = report.lost("recommended").count
    if count * arguments.budget < 1:
        # of n defects none lost: with 95 % confidence at most 3 / n are (the rule of three)
        print(
            f"Only {count} defects were measured: up to {min(1.0, 3 / count):.0%} might be lost "
            "without one of these showing it. Audit more, or take smaller ranges.\n"
        )
    return 0


def table(report: AuditReport) -> str:
    """The report in text."""
    measured = report.lost(report.settings[0]).count
    lines = [
        f"{report.name}: {measured} defects measured. Lost: less than half of what tells a defect "
        "from its surroundings is left.",
        "",
        f"{'defects lost, %':32} {'all':>12} " + " ".join(f"{c[:12]:>12}" for c in report.classes),
    ]
    names = [*report.settings, "recommended"]
    for name in names:
        cells = [report.lost(name), *(report.lost(name, label=c) for c in report.classes)]
        lines.append(f"{name:32} " + " ".join(f"{_percent(c):>12}" for c in cells))
    lines += ["", "A class starts to fade (more than 5 % lost) at strength:"]
    for label in report.classes:
        found = [report.fades(label, texture) for texture in TEXTURES]
        shown = ", ".join(
            f"{'never' if s is None else f'{s:g}'} (texture {t:g})"
            for s, t in zip(found, TEXTURES, strict=True)
        )
        lines.append(f"  {label or 'defect'}: {shown}")
    free = [(n, *report.invented(n)) for n in names]
    if any(share.count for _, _, share in free):
        lines += ["", "On images without defects: structure added to flat areas, and new spots:"]
        lines += [
            f"  {name}: {level:.1f} levels of 255; spots on {_percent(share)} % of {share.count}"
            for name, level, share in free
            if share.count
        ]
    return "\n".join(lines)


def _percent(share: Share) -> str:
    return f"{100 * share.share:.1f} ± {100 * share.error:.1f}" if share.count else "-"


def _outlined(image: Tensor, mask: Tensor | None) -> Tensor:
    """An image (3, H, W) with a red line around what its mask marks."""
    if mask is None:
        return image
    line = F.max_pool2d(mask.float(), 5, stride=1, padding=2)[0].bool() & ~mask[0]
    red = torch.tensor([230, 30, 30], dtype=torch.uint8)[:, None, None]
    return torch.where(line, red, image)
