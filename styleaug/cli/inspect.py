"""``styleaug inspect``: what a folder of images holds, and what is wrong with it."""

from __future__ import annotations

import argparse
import json
import sys
from io import TextIOWrapper
from itertools import zip_longest
from pathlib import Path
from textwrap import fill
from typing import Any

from PIL import Image
from tqdm import tqdm

from styleaug.audit import AuditConfig
from styleaug.cli.advice import faults, hints, steps
from styleaug.cli.options import add_command, add_options
from styleaug.cli.outputs import check_outside
from styleaug.cli.overview import counted, overview
from styleaug.cli.parser import new_file
from styleaug.cli.sheet import contact_sheet, labelled
from styleaug.cli.values import sheet
from styleaug.datasets import DefectSet, Sample, read_defects
from styleaug.datasets.summary import Summary, summarize
from styleaug.errors import UnknownLayoutError
from styleaug.files import atomic_path
from styleaug.images.io import list_images, save_image, spread

EXAMPLES = """examples:
  styleaug inspect parts/
  styleaug inspect parts/ --masks masks/ --out sheet.png
  styleaug inspect scans/ --bits 12                    12-bit values in 16-bit files
  styleaug inspect parts/ --json parts.json            all that was found, for scripts

Prints layout, classes, splits, masks, boxes, sizes and bit depths; which files cannot be read, are
there twice or contradict each other; and which commands fit. The sheet shows images of all classes
with their labels drawn on: look whether they are right. The exit status is 1 if something must be
mended.
"""
_COLUMNS, _TILE = 4, 256
"""Of the sheet: pictures in a row, and the longer side of each in pixels."""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = (
        "Show how a folder of images and its labels are understood, what is wrong with it, and "
        "which commands fit."
    )
    parser = add_command(commands, "inspect", run, does=does, examples=EXAMPLES)
    parser.add_argument("data", type=Path, metavar="DIR", help="folder of images, labelled or not")
    parser.add_argument(
        "--out",
        type=sheet,
        default=Path("inspect.png"),
        metavar="SHEET",
        help="contact sheet to write, .png or .jpg",
    )
    parser.add_argument(
        "--json",
        type=new_file,
        metavar="FILE",
        help="write all that was found, for scripts (default: not written)",
    )
    add_options(parser, "masks", "bits", limit=12, size=AuditConfig.size)


def run(arguments: argparse.Namespace) -> int:
    """Read, look, print, write the sheet."""
    for option in ("out", "json"):
        if (path := getattr(arguments, option)) is not None:
            read = [arguments.data, arguments.masks]
            check_outside(path, read, "the data and --masks", written=f"--{option}")
    if isinstance(sys.stdout, TextIOWrapper):  # whatever files are called, their names can be shown
        sys.stdout.reconfigure(errors="backslashreplace")
    defects, unlabelled, wrong = _read(arguments)
    summary = summarize(
        defects,
        arguments.data,
        size=arguments.size,
        progress=lambda items, title: tqdm(items, desc=title, unit="image"),
    )
    print(overview(summary))
    wrong += faults(summary)
    for title, sentences in (
        ("To mend", wrong),
        ("To know", [*unlabelled, *hints(summary)]),
    ):
        if sentences:
            print(f"\n{title}:", *map(_wrapped, sentences), sep="\n")
    if following := steps(summary, arguments.masks):
        print("\nNext:", *(f"  {line}".rstrip() for line in following), sep="\n")
    shown = chosen(summary, arguments.limit)
    if shown:
        save_image(arguments.out, _sheet(shown))
        drawn = " with their labels drawn on" if defects.layout else ""
        print(f"\n{counted(len(shown), 'image')}{drawn}: {arguments.out}")
    if arguments.json is not None:
        with atomic_path(arguments.json) as temporary:
            temporary.write_text(json.dumps(summary.to_dict(), indent=1), encoding="utf-8")
        print(f"All that was found: {arguments.json}")
    return 1 if wrong else 0


def _read(arguments: argparse.Namespace) -> tuple[DefectSet, list[str], list[str]]:
    """The images with their labels; else why there are none, or what is wrong with them."""
    root, bits = arguments.data, arguments.bits
    if root.is_file():
        return without_labels(root, bits), [], []
    try:
        return read_defects(root, masks=arguments.masks, bits=bits), [], []
    except UnknownLayoutError as error:
        return without_labels(root, bits), [str(error)], []
    except ValueError as error:
        return without_labels(root, bits), [], [f"The labels cannot be read. {error}"]


def without_labels(root: Path, bits: int | None = None) -> DefectSet:
    """The images of a folder, or a single one, as a set of no layout.

    Raises:
        ValueError: if there is no image.
    """
    samples = tuple(Sample(path, bits=bits) for path in list_images(root))
    return DefectSet(root.resolve().name, (), samples, layout="")


def _wrapped(sentence: str) -> str:
    return fill(
        sentence,
        100,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def chosen(summary: Summary, limit: int) -> list[Sample]:
    """At most ``limit`` readable images, classes in turn, marked defects before none."""
    groups: dict[tuple[bool, bool, str], list[Sample]] = {}
    for look in summary.looks:
        if not look.damage and not look.misfit:
            label = look.sample.label
            groups.setdefault((not look.pixels, not label, label), []).append(look.sample)
    turns = zip_longest(*(spread(group, limit) for _, group in sorted(groups.items())))
    return [sample for turn in turns for sample in turn if sample is not None][:limit]


def _sheet(samples: list[Sample]) -> Image.Image:
    """Pictures with their labels drawn on, and names below."""
    tiles = [labelled(sample, _TILE) for sample in samples]
    texts = [
        "\n".join(filter(None, [sample.path.name, sample.label, sample.split]))
        for sample in samples
    ]
    columns = min(_COLUMNS, len(tiles))
    missing = -len(tiles) % columns
    tiles += [tiles[0].new_full((3, 1, 1), 255)] * missing
    texts += [""] * missing
    rows = range(0, len(tiles), columns)
    return contact_sheet(
        [tiles[k : k + columns] for k in rows], _TILE, [texts[k : k + columns] for k in rows]
    )
