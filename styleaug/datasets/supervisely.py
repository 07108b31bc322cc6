"""The reader of Supervisely's projects."""

from __future__ import annotations

import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from styleaug.datasets.folder import Folder, Reading, note_ignored, note_left_out
from styleaug.datasets.marks import Mark, bitmap, line, make_samples, outlined
from styleaug.datasets.pairing import check_none_missing
from styleaug.datasets.parsing import (
    decode_base64,
    fields,
    floats,
    items,
    malformed,
    parse_json,
    points,
    read_content,
)

_LARGEST = 2**26
"""Bytes of a bitmap, unpacked; larger ones are bombs."""


def read_supervisely(folder: Folder) -> Reading | None:
    """Read ``*/ann/NAME.json`` of images ``*/img/NAME``.

    Polygons, rectangles, bitmaps and lines are read. Images without a file are background.
    """
    files = [file for file in folder.others(".json") if file.parent.name.lower() == "ann"]
    images = {image for image in folder.images if image.parent.name.lower() == "img"}
    if not (files and images):
        return None
    by_stem = {(image.parent.parent, image.stem): image for image in sorted(images)}
    marks: dict[Path, list[Mark]] = {image: [] for image in sorted(images)}
    missing = []
    ignored: Counter[str] = Counter()
    for file in files:
        place = file.parent.parent
        named = (place / name / file.stem for name in ("img", "Img", "IMG"))
        image = next((i for i in named if i in images), by_stem.get((place, file.stem)))
        if image is None:
            missing.append(file)
            continue
        content = parse_json(read_content(file), file)
        fields(content, f"{file}", "objects")
        for number, entry in enumerate(items(content, f"{file}", "objects"), start=1):
            mark = _read_object(entry, f"{file}, object {number},", ignored)
            marks[image] += [mark] if mark else []
    check_none_missing(missing)
    notes = note_left_out(len(folder.images) - len(marks), "they lie in no folder img")
    splits = {image: folder.split_of(image) for image in marks}
    return Reading(make_samples(marks, splits), notes + note_ignored(ignored))


def _read_object(entry: Any, where: str, ignored: Counter[str]) -> Mark | None:
    name, kind = fields(entry, where, "classTitle", "geometryType")
    label = str(name)
    if kind == "bitmap":
        return _read_bitmap(entry.get("bitmap"), label, where)
    if kind not in ("polygon", "rectangle", "line"):
        ignored[str(kind)] += 1
        return None
    (shape,) = fields(entry, where, "points")
    (corners,) = fields(shape, where, "exterior")
    try:
        outer = points(corners)
        holes = [points(hole) for hole in shape.get("interior") or []]
    except (TypeError, ValueError):
        raise malformed(where, "points with exterior [[x, y], ...]", shape) from None
    if len(outer) < (3 if kind == "polygon" else 2) or any(len(hole) < 3 for hole in holes):
        raise malformed(where, f"a {kind} with enough points", shape)
    if kind == "line":
        return line(label, outer, where)
    if kind == "rectangle":
        # both corners are pixels that belong to it
        left, top, right, bottom = outlined(label, outer, where).corners
        return Mark(label, (left, top, right + 1, bottom + 1), where)
    return outlined(label, outer, where, holes)


def _read_bitmap(value: Any, label: str, where: str) -> Mark | None:
    data, origin = fields(value, where, "data", "origin")
    try:
        left, top = (int(number) for number in floats(origin))
    except ValueError:
        raise malformed(where, "a bitmap with origin [x, y]", origin) from None
    unpacker = zlib.decompressobj()
    try:
        png = unpacker.decompress(decode_base64(data, where), _LARGEST)
    except zlib.error as error:
        raise malformed(where, "a bitmap that zlib has packed", str(error)) from None
    return bitmap(label, png, left, top, where)
