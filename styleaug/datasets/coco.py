"""The reader of COCO's JSON files."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from styleaug.datasets.folder import Folder, Reading, note_left_out
from styleaug.datasets.marks import Mark, Points, make_samples, outlined, run_lengths
from styleaug.datasets.masks import RunLengths
from styleaug.datasets.names import folders_of, split_word
from styleaug.datasets.pairing import check_none_missing
from styleaug.datasets.parsing import fields, floats, malformed, parse_json, points, read_content

_KEYS = ("images", "annotations", "categories")


def read_coco(folder: Folder) -> Reading | None:
    """Read the JSON files of COCO, wherever they lie.

    A ``file_name`` is the end of an image's path. Boxes are read, and outlines: polygons, and run
    lengths of both kinds. Images that no file lists are left out.
    """
    marks: dict[Path, list[Mark]] = {}
    splits: dict[Path, str] = {}
    missing: list[str] = []
    files = 0
    for file in folder.others(".json"):
        content = _load(file)
        if content is None:
            continue
        files += 1
        split = split_word([*folders_of(file, folder.root), *re.split("[^a-zA-Z]+", file.stem)])
        notes = _read_annotations(content, file)
        for number, entry in enumerate(content["images"]):
            where = f"{file}, image {number},"
            name, key = fields(entry, where, "file_name", "id")
            found = folder.find(_text(name, where), split=split, near=file.parent)
            if found is None:
                missing.append(f"{name} in {file}")
                continue
            if found in marks:
                raise ValueError(
                    f"An image must be listed once, but {found} is listed again in {file}. Keep "
                    "one of the COCO files in the folder, or one of the entries."
                )
            marks[found] = notes[_key(key, where)]
            splits[found] = split or folder.split_of(found)
    check_none_missing(missing)
    if not files:
        return None
    left_out = len(folder.images) - len(marks)
    return Reading(make_samples(marks, splits), note_left_out(left_out, "no COCO file lists them"))


def _load(file: Path) -> dict[str, Any] | None:
    """The content of a COCO file; None of another JSON file."""
    text = read_content(file)
    present = [f'"{key}"' in text for key in _KEYS]
    if not any(present) or (not all(present) and len(text) > 1000):
        return None  # one file for each image, of another format
    content = parse_json(text, file)
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in _KEYS):
        return None
    return content if content["images"] else None


def _read_annotations(content: dict[str, Any], file: Path) -> defaultdict[Any, list[Mark]]:
    """Marks by the id of the image."""
    names: dict[Any, str] = {}
    for number, entry in enumerate(content["categories"]):
        where = f"{file}, category {number},"
        key, name = fields(entry, where, "id", "name")
        names[_key(key, where)] = str(name)
    known = {
        _key(fields(entry, where, "id")[0], where)
        for where, entry in ((f"{file}, image {n},", e) for n, e in enumerate(content["images"]))
    }
    marks: defaultdict[Any, list[Mark]] = defaultdict(list)
    for number, entry in enumerate(content["annotations"]):
        where = f"{file}, annotation {number},"
        if isinstance(entry, dict) and "segments_info" in entry:
            raise malformed(f"{file}", "of boxes or outlines", "panoptic segments")
        image, category = fields(entry, where, "image_id", "category_id")
        if _key(category, where) not in names:
            raise malformed(where, f"of a category in {list(names)}", category)
        if _key(image, where) not in known:
            raise malformed(where, "of an image that is listed under its id", image)
        marks[image] += _read_mark(entry, names[category], where)
    return marks


def _read_mark(entry: dict[str, Any], label: str, where: str) -> list[Mark]:
    """The box that is written, or else that around the outline; none if both are empty."""
    outlines = _read_outlines(entry.get("segmentation"), label, where)
    if not outlines and entry.get("segmentation") and not entry.get("bbox"):
        return []  # run lengths that mark nothing
    bbox = entry.get("bbox")
    if bbox is None or bbox == []:
        if not outlines:
            raise malformed(where, "a bbox [left, top, width, height], or a segmentation", bbox)
        sides = zip(*(mark.corners for mark in outlines), strict=True)
        corners = tuple(f(side) for f, side in zip((min, min, max, max), sides, strict=True))
    else:
        try:
            left, top, width, height = floats(bbox)
        except ValueError:
            raise malformed(where, "a bbox [left, top, width, height]", bbox) from None
        corners = (left, top, left + width, top + height)
    left, top, right, bottom = corners
    masks = tuple(mask for mark in outlines for mask in mark.outline)
    return [Mark(label, (left, top, right, bottom), where, masks)]


def _read_outlines(value: Any, label: str, where: str) -> list[Mark]:
    if not value:
        return []
    if isinstance(value, dict):
        counts, size = fields(value, where, "counts", "size")
        try:
            height, width = (int(side) for side in floats(size))
            runs = _decode(counts) if isinstance(counts, str) else [int(c) for c in floats(counts)]
        except ValueError:
            must = "run lengths with counts and size [height, width]"
            raise malformed(where, must, value) from None
        found = run_lengths(label, RunLengths(tuple(runs), width, height), where)
        return [] if found is None else [found]
    return [outlined(label, polygon, where) for polygon in _polygons(value, where)]


def _polygons(value: Any, where: str) -> list[Points]:
    """Those of a list of flat lists, or of one flat list, that have three corners."""
    try:
        parts = value if isinstance(value[0], list) else [value]
        polygons = [points(part, flat=True) for part in parts]
    except (KeyError, TypeError, ValueError):
        must = "a segmentation [[x1, y1, x2, y2, x3, y3, ...], ...], or run lengths"
        raise malformed(where, must, value) from None
    return [polygon for polygon in polygons if len(polygon) > 2]


def _decode(text: str) -> list[int]:
    """Run lengths from COCO's compressed text.

    Each number takes characters of five bits, the lowest first: 32 says that more follow, and 16 in
    the last one that the number is negative. From the fourth run on, differences to the run before
    the last are written.
    """
    runs: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("not a character of run lengths")
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            number -= (bits & 16 and 1) << shift
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = shift = 0
    if shift:
        raise ValueError("the last run is not complete")
    return runs


def _key(value: Any, where: str) -> int | str | float:
    if not isinstance(value, int | str | float):
        raise malformed(where, "an id that is a number or a text", value)
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise malformed(where, "a file_name that is a text", value)
    return value
