"""Readers of images with boxes: COCO, Pascal VOC, and text files beside the images."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from styleaug.datasets.pairing import check_none_missing, folders_of, pair, split_word
from styleaug.datasets.samples import Box, Sample, image_size


def read_coco(root: Path, images: Sequence[Path]) -> list[Sample] | None:
    """Read the ``*.json`` of the folder, and of those in it, that hold COCO annotations.

    A ``file_name`` is the end of an image's path, below the folder. Images that no file lists are
    left out; of annotations, the ``bbox`` is read.
    """
    by_name: defaultdict[str, list[Path]] = defaultdict(list)
    for image in images:
        by_name[image.name].append(image)
    samples: dict[Path, Sample] = {}
    missing: list[str] = []
    for file in sorted([*root.glob("*.json"), *root.glob("*/*.json")]):
        content = _load_coco(file)
        if content is None:
            continue
        split = split_word([*folders_of(file, root), *re.split("[^a-zA-Z]+", file.stem)])
        notes = _read_coco_notes(content, file)
        for entry in content["images"]:
            name, key = _fields(entry, file, "image", "file_name", "id")
            found = _find_named(str(name), by_name, split, root)
            if found is None:
                missing.append(f"{name} in {file}")
                continue
            if found in samples:
                raise ValueError(
                    f"An image must be listed once, but {found} is listed again in {file}. Keep "
                    "one of the COCO files in the folder, or one of the entries."
                )
            size = image_size(found)
            boxes = [b for label, *ltrb, at in notes[key] for b in clip_box(label, ltrb, size, at)]
            samples[found] = make_sample(found, boxes, split or split_word(folders_of(found, root)))
    check_none_missing(missing)
    return list(samples.values()) or None


def read_voc(root: Path, images: Sequence[Path]) -> list[Sample] | None:
    """Read XML files of Pascal VOC, in folders ``annotations`` or beside their images.

    An image has the stem of its XML file. Images in folders where none is annotated are left out:
    they are something else, previews or drawn segmentations.
    """
    beside = {image.with_suffix("") for image in images}
    files = [
        file
        for file in sorted(root.rglob("*.xml"))
        if file.with_suffix("") in beside or "annotations" in map(str.lower, folders_of(file, root))
    ]
    if not files:
        return None
    notes = pair(files, images, notes_root=root, root=root)
    homes = {image.parent for image in notes}
    return [
        make_sample(
            image, _read_voc_boxes(notes.get(image), image), split_word(folders_of(image, root))
        )
        for image in images
        if image.parent in homes
    ]


def read_text(root: Path, images: Sequence[Path]) -> list[Sample] | None:
    """Read text files as DeepPCB has them, beside the images, of the same stem.

    Lines are ``x1 y1 x2 y2 class``, in pixels. Other text files are notes.
    """
    if not any(image.with_suffix(".txt").is_file() for image in images):
        return None
    return [
        make_sample(image, _read_text_boxes(image), split_word(folders_of(image, root)))
        for image in images
    ]


def make_sample(image: Path, boxes: Sequence[Box], split: str) -> Sample:
    """A sample with the label of its largest box."""
    label = max(boxes, key=lambda box: box.area).label if boxes else ""
    return Sample(image, label=label, boxes=tuple(boxes), split=split)


def clip_box(
    label: str, corners: Sequence[float], size: tuple[int, int] | None, where: str
) -> list[Box]:
    """A box cut to its image; none if no area is left.

    Args:
        label: its class.
        corners: left, top, right, bottom in pixels.
        size: width and height of the image; None if they are unknown, and nothing is cut.
        where: file and line, for errors.

    Raises:
        ValueError: if the corners are in the wrong order, or outside of the image.
    """
    left, top, right, bottom = corners
    if not (all(map(isfinite, corners)) and left <= right and top <= bottom):
        raise malformed(
            where, "a box whose left is before its right, and top before bottom", corners
        )
    if size is not None:
        width, height = size
        if not (left <= width and top <= height and right >= 0 and bottom >= 0):
            raise malformed(where, f"a box in the image, {width} x {height} pixels", corners)
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, width), min(bottom, height)
    found = Box(label, float(left), float(top), float(right), float(bottom))
    return [found] if found.area > 0 else []


def malformed(where: str, must: str, got: object) -> ValueError:
    """The error about an annotation: ``where`` there ``must`` be something, and what is there."""
    return ValueError(f"{where} must be {must}, but got {got!r:.100}. Correct or remove it.")


def read_lines(file: Path) -> Iterator[tuple[str, str]]:
    """Lines of a text file that are not blank, each after its place, "file, line n"."""
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"{file}, line {number},", line.strip()


def _load_coco(file: Path) -> dict[str, Any] | None:
    """The content of a COCO file; None of another JSON file."""
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig", errors="replace"))
    except json.JSONDecodeError as error:
        raise malformed(f"{file}, line {error.lineno},", "JSON", error.msg) from None
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in keys):
        return None
    return content


def _read_coco_notes(
    content: dict[str, Any], file: Path
) -> defaultdict[Any, list[tuple[Any, ...]]]:
    """By the image's id: label, left, top, right, bottom, and where that stands, for errors."""
    names = dict(_fields(entry, file, "category", "id", "name") for entry in content["categories"])
    notes: defaultdict[Any, list[tuple[Any, ...]]] = defaultdict(list)
    known = {_fields(entry, file, "image", "id")[0] for entry in content["images"]}
    for number, entry in enumerate(content["annotations"]):
        where = f"{file}, annotation {number},"
        image, category, bbox = _fields(
            entry, file, f"annotation {number}", "image_id", "category_id", "bbox"
        )
        if category not in names:
            raise malformed(where, f"of a category in {list(names)}", category)
        if image not in known:
            raise malformed(where, "of an image that is listed under its id", image)
        try:
            left, top, width, height = map(float, bbox)
        except (TypeError, ValueError):
            raise malformed(where, "a bbox [left, top, width, height]", bbox) from None
        notes[image].append((str(names[category]), left, top, left + width, top + height, where))
    return notes


def _fields(entry: Any, file: Path, kind: str, *keys: str) -> list[Any]:
    if not isinstance(entry, dict) or not all(key in entry for key in keys):
        raise malformed(f"{file}, {kind},", f"an object with {', '.join(keys)}", entry)
    return [entry[key] for key in keys]


def _find_named(name: str, by_name: dict[str, list[Path]], split: str, root: Path) -> Path | None:
    """The image whose path ends with ``name``; of several, the one in the file's split."""
    parts = tuple(
        part for part in name.replace("\\", "/").split("/") if part not in {"", ".", ".."}
    )
    if not parts:
        return None
    named = [i for i in by_name.get(parts[-1], []) if i.parts[-len(parts) :] == parts]
    if len(named) > 1:
        named = [image for image in named if split_word(folders_of(image, root)) == split]
        if len(named) != 1:
            raise ValueError(
                f"A COCO file must name each image in one way, but {name!r} fits several files "
                f"below {root}. Write the folders of the images into file_name."
            )
    return named[0] if named else None


def _read_voc_boxes(file: Path | None, image: Path) -> list[Box]:
    if file is None:
        return []
    try:
        objects = ElementTree.parse(file).getroot().findall("object")
    except ElementTree.ParseError as error:
        raise malformed(f"{file}, line {error.position[0]},", "XML", str(error)) from None
    size, boxes = image_size(image), []
    for number, entry in enumerate(objects, start=1):
        where = f"{file}, object {number},"
        label = (entry.findtext("name") or "").strip()
        texts = [entry.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
        try:
            left, top, right, bottom = (float(text or "") for text in texts)
        except ValueError:
            raise malformed(where, "a bndbox with xmin, ymin, xmax, ymax", texts) from None
        if not label:
            raise malformed(where, "named", label)
        # VOC counts pixels from 1, and the last one belongs to the box
        boxes += clip_box(label, (left - 1, top - 1, right, bottom), size, where)
    return boxes


def _read_text_boxes(image: Path) -> list[Box]:
    file = image.with_suffix(".txt")
    if not file.is_file():
        return []
    size, boxes = image_size(image), []
    for where, line in read_lines(file):
        *numbers, label = re.split(r"[\s,]+", line)
        try:
            left, top, right, bottom = map(float, numbers)
            if re.fullmatch(r"\d*\.\d*", label):  # a YOLO line, which belongs into labels/
                raise ValueError
        except ValueError:
            raise malformed(where, "x1 y1 x2 y2 class, in pixels", line) from None
        boxes += clip_box(label, (left, top, right, bottom), size, where)
    return boxes
