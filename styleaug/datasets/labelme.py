"""The reader of labelme's JSON files, one for each image."""

from __future__ import annotations

from collections import Counter
from math import dist
from pathlib import Path
from typing import Any

from styleaug.datasets.folder import Folder, Reading, note_ignored, note_left_out
from styleaug.datasets.marks import Mark, bitmap, ellipse, line, make_samples, outlined
from styleaug.datasets.pairing import check_none_missing
from styleaug.datasets.parsing import (
    decode_base64,
    fields,
    items,
    malformed,
    parse_json,
    points,
    read_content,
)


def read_labelme(folder: Folder) -> Reading | None:
    """Read JSON files with ``shapes``, beside their images or in a folder of their own.

    Polygons, rectangles, circles and masks are read, and lines, which are one pixel wide. Points
    have no area and are left out. Of images without shapes, the first flag that is set tells the
    label. Images without a file are background, if others in their folder
    have one, or in a folder ``OK`` or the like; else they are left out.
    """
    beside = {image.with_suffix(""): image for image in reversed(folder.images)}
    known = {*folder.images}
    marks: dict[Path, list[Mark]] = {}
    labels: dict[Path, str] = {}
    missing: list[str] = []
    ignored: Counter[str] = Counter()
    for file in folder.others(".json"):
        content = _load(file)
        if content is None:
            continue
        written = content.get("imagePath")
        named = written if isinstance(written, str) else file.stem
        tries = (
            file.parent / Path(named.replace("\\", "/")).name,
            beside.get(file.with_suffix("")),
        )
        image = next((i for i in tries if i in known), None)
        image = image or folder.find(named, near=file.parent)
        image = image or folder.find(file.stem, near=file.parent)
        if image is None:
            missing.append(f"{named} in {file}")
            continue
        if image in marks:
            raise ValueError(
                f"An image must have one labelme file, but {image} has several, {file} among them. "
                "Remove one."
            )
        marks[image] = []
        flags = content.get("flags")
        if isinstance(flags, dict):
            labels[image] = next((str(name) for name, on in flags.items() if on is True), "")
        for number, shape in enumerate(items(content, f"{file}", "shapes"), start=1):
            mark = _read_shape(shape, f"{file}, shape {number},", ignored)
            marks[image] += [mark] if mark else []
    check_none_missing(missing)
    if not marks:
        return None
    homes = {image.parent for image in marks}
    for image in folder.images:
        if image.parent in homes or folder.passed(image):
            marks.setdefault(image, [])
    notes = note_left_out(
        len(folder.images) - len(marks), "no image in their folders has a labelme file"
    )
    notes += note_ignored(ignored)
    return Reading(make_samples(marks, {i: folder.split_of(i) for i in marks}, labels), notes)


def _load(file: Path) -> dict[str, Any] | None:
    """The content of a labelme file; None of another JSON file."""
    text = read_content(file)
    if '"shapes"' not in text:
        return None
    content = parse_json(text, file)
    return content if isinstance(content, dict) and "shapes" in content else None


def _read_shape(shape: Any, where: str, ignored: Counter[str]) -> Mark | None:
    name, corners = fields(shape, where, "label", "points")
    label, kind = str(name), shape.get("shape_type") or "polygon"
    try:
        at = points(corners)
    except ValueError:
        raise malformed(where, "a shape with points [[x, y], ...]", corners) from None
    needed = {"rectangle": 2, "circle": 2, "mask": 2, "line": 2, "linestrip": 2, "polygon": 3}
    needed |= {"rotation": 3, "oriented_rectangle": 3}
    if not isinstance(kind, str) or kind not in needed:
        ignored[str(kind)] += 1
        return None
    if len(at) < needed[kind]:
        raise malformed(where, f"a {kind} of at least {needed[kind]} points", corners)
    if kind in ("line", "linestrip"):
        return line(label, at, where)
    if kind == "circle":
        radius = dist(at[0], at[1])
        return ellipse(label, at[0], (radius, radius), 0, where)
    if kind == "mask":
        (left, top), png = at[0], decode_base64(shape.get("mask"), where)
        return bitmap(label, png, int(left), int(top), where)
    area = outlined(label, at, where)
    return Mark(label, area.corners, where) if kind == "rectangle" else area
