"""The reader of "CVAT for images", versions 1.0 and 1.1."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import Element

from styleaug.datasets.folder import Folder, Reading, note_ignored, note_left_out
from styleaug.datasets.marks import (
    Mark,
    Points,
    ellipse,
    line,
    make_samples,
    outlined,
    run_lengths,
    turned_box,
)
from styleaug.datasets.masks import RunLengths
from styleaug.datasets.names import split_word
from styleaug.datasets.pairing import check_none_missing
from styleaug.datasets.parsing import floats, malformed, parse_xml, points, read_content

_NUMBERS = {
    "box": ("xtl", "ytl", "xbr", "ybr"),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "mask": ("left", "top", "width", "height"),
}
"""Attributes of the shapes, which are numbers."""


def read_cvat(folder: Folder) -> Reading | None:
    """Read XML files of CVAT's own format, which list images with shapes.

    Boxes, polygons, masks and ellipses are read, and polylines, which are one pixel wide. Of images
    without shapes, a tag tells the label. Points and the like are left out, and so are images that
    no file lists.
    """
    marks: dict[Path, list[Mark]] = {}
    splits: dict[Path, str] = {}
    tags: dict[Path, str] = {}
    missing: list[str] = []
    ignored: Counter[str] = Counter()
    for file in folder.others(".xml"):
        if "<annotations" not in read_content(file):
            continue
        root = parse_xml(file)
        if root.tag != "annotations":
            continue
        if root.find("track") is not None:
            raise malformed(f"{file}", "exported as CVAT for images", "tracks of a video")
        for number, entry in enumerate(root.iter("image"), start=1):
            name, subset = entry.get("name", ""), entry.get("subset", "")
            image = _find(folder, name, subset, file)
            if image is None:
                missing.append(f"{name} in {file}")
                continue
            if image in marks:
                raise ValueError(
                    f"An image must be listed once, but {image} is listed again in {file}. Keep "
                    "one of the entries."
                )
            where = f"{file}, image {number} ({name}),"
            found = [_read_shape(shape, where, ignored) for shape in entry if shape.tag != "tag"]
            marks[image] = [mark for mark in found if mark]
            splits[image] = split_word([subset]) or folder.split_of(image)
            tag = entry.find("tag")
            tags[image] = "" if tag is None else tag.get("label", "")
    check_none_missing(missing)
    if not marks:
        return None
    notes = note_left_out(len(folder.images) - len(marks), "no CVAT file lists them")
    return Reading(make_samples(marks, splits, tags), notes + note_ignored(ignored))


def _find(folder: Folder, name: str, subset: str, file: Path) -> Path | None:
    """The image of an entry, in the folder of its subset if there is one."""
    inside = folder.find(f"{subset}/{name}", near=file.parent) if subset else None
    return inside or folder.find(name, split=split_word([subset]), near=file.parent)


def _read_shape(shape: Element, where: str, ignored: Counter[str]) -> Mark | None:
    kind, label = shape.tag, shape.get("label", "")
    if kind not in ("box", "polygon", "polyline", "mask", "ellipse"):
        ignored[kind] += 1
        return None
    if not label:
        raise malformed(where, f"a {kind} with a label", label)
    runs: list[float] = []
    at: Points = ()
    try:
        numbers = floats(shape.get(key, "") for key in _NUMBERS.get(kind, ()))
        (turn,) = floats([shape.get("rotation", 0)])
        if kind == "mask":
            runs = floats(shape.get("rle", "").split(","))
        elif kind in ("polygon", "polyline"):
            at = points(pair.split(",") for pair in shape.get("points", "").split(";"))
            if len(at) < (3 if kind == "polygon" else 2):
                raise ValueError("too few points")
    except ValueError:
        raise malformed(where, f"a {kind} as CVAT writes it", dict(shape.attrib)) from None
    if kind == "mask":
        left, top, width, height = map(int, numbers)
        counts = tuple(map(int, runs))
        return run_lengths(label, RunLengths(counts, width, height, left, top, by_rows=True), where)
    if kind == "polygon":
        return outlined(label, at, where)
    if kind == "polyline":
        return line(label, at, where)
    if kind == "ellipse":
        cx, cy, rx, ry = numbers
        return ellipse(label, (cx, cy), (rx, ry), turn, where)
    x0, y0, x1, y1 = numbers
    if not turn:
        return Mark(label, (x0, y0, x1, y1), where)
    centre, size = ((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0)
    return turned_box(label, centre, size, math.radians(turn), where)
