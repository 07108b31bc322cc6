"""The reader of YOLO's layout: images, labels, and the YAML file that describes them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from styleaug.datasets.boxes import clip_box, make_sample, malformed, read_lines
from styleaug.datasets.pairing import check_none_missing, folders_of, split_word
from styleaug.datasets.samples import Box, Sample, image_size

_NAMES_FILE = "classes.txt"
"""One class a line: what annotation tools write, in the folder or among the labels."""


@dataclass(frozen=True)
class _Config:
    """What the YAML file of a dataset says, or nothing."""

    base: str = ""
    entries: dict[str, list[str]] = field(default_factory=dict)
    """Of each split: folders, or text files that list images."""
    names: dict[int, str] = field(default_factory=dict)


def read_yolo(root: Path, images: Sequence[Path]) -> list[Sample] | None:
    """Read ``images/`` with ``labels/``: as a YAML file lists the images, or all.

    The YAML file of a dataset has ``names`` and ``train`` or ``val``, folders or text files that
    list images; its own name does not matter. Lines of labels are ``class cx cy w h``, in shares of
    the image's sides, or ``class x1 y1 x2 y2 x3 y3 ...``, a polygon, of which the box is kept.
    Class names come from the YAML file, or from ``classes.txt``; without these they are the
    numbers.
    """
    config = _find_config(root)
    notes = [
        file
        for file in sorted(root.rglob("*.txt"))
        if "labels" in folders_of(file, root) and file.name != _NAMES_FILE
    ]
    if config.entries:
        listed = _list_images(root, images, config)
    else:
        inside = [image for image in images if "images" in folders_of(image, root)]
        listed = {image: split_word(folders_of(image, root)) for image in inside}
        if not (notes and listed):
            return None
    files = {image: _label_file(image, root) for image in images}
    if not any(files[image].is_file() for image in listed):
        raise ValueError(
            "A YOLO dataset must have labels in labels/ as its images lie in images/, but "
            f"{root} has none for its {len(listed)} images. Add them; images without defects need "
            "none."
        )
    check_none_missing(sorted({*notes} - {*files.values()}))
    names = config.names or _read_class_list(root)
    return [make_sample(i, _read_boxes(files[i], i, names), split) for i, split in listed.items()]


def _find_config(root: Path) -> _Config:
    """The YAML file that describes a YOLO dataset; an empty config if there is none."""
    found = {}
    for file in sorted([*root.glob("*.yaml"), *root.glob("*.yml")]):
        content = _load_yaml(file)
        if isinstance(content, dict) and content.get("names"):
            entries = {
                split: _read_entries(content.get(split), f"{split} in {file}")
                for split in ("train", "val", "test")
            }
            if entries["train"] or entries["val"]:
                names = _read_names(content["names"], file)
                found[file] = _Config(str(content.get("path", "")), entries, names)
    if len(found) > 1:
        raise ValueError(
            f"A folder must hold one YOLO dataset, but {root} has {len(found)} YAML files of "
            f"datasets: {', '.join(file.name for file in found)}. Keep one of them."
        )
    return next(iter(found.values()), _Config())


def _load_yaml(file: Path) -> Any:
    """The first document of a YAML file, all scalars as text: a class may be called ``no``."""
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    try:
        # like SafeLoader it makes no objects, and unlike it neither numbers nor truth values
        return next(yaml.load_all(text, Loader=yaml.BaseLoader), None)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}, line {mark.line + 1}," if mark else f"{file}"
        raise malformed(where, "YAML", getattr(error, "problem", None) or str(error)) from None


def _read_entries(value: Any, where: str) -> list[str]:
    items = value if isinstance(value, list) else [value or ""]
    if not all(isinstance(item, str) for item in items):
        raise malformed(where, "a path or a list of paths", value)
    return [item for item in items if item not in ("", "~", "null")]


def _read_names(value: Any, file: Path) -> dict[int, str]:
    """Names by index, of a list or a mapping; what has an empty name keeps its number."""
    names = dict(enumerate(value)) if isinstance(value, list) else value
    try:
        return {int(index): name.strip() or str(int(index)) for index, name in names.items()}
    except (AttributeError, TypeError, ValueError):
        must = "a list of class names, or a mapping of numbers to names"
        raise malformed(f"names in {file}", must, value) from None


def _list_images(root: Path, images: Sequence[Path], config: _Config) -> dict[Path, str]:
    """The split of each image that the YAML file leads to."""
    # path leads elsewhere where a dataset was moved
    base = _below(root, root / config.base) or root
    listed: dict[Path, str] = {}
    for split, entries in config.entries.items():
        for entry in entries:
            # some exporters write ../train/images, and mean train/images
            tries = (base / entry, root / re.sub(r"^(\.\./)+", "", entry))
            found = next(filter(None, (_below(root, path) for path in tries)), None)
            chosen = [] if found is None else _images_of(found, root, images)
            if not chosen:
                raise ValueError(
                    f"{split} in a YOLO dataset's YAML file must lead to images in {root}, but "
                    f"{entry!r} does not. Correct the path, or name the folder that holds it."
                )
            for image in chosen:
                listed.setdefault(image, split)
    return listed


def _below(root: Path, path: Path) -> Path | None:
    """``path`` as files below ``root`` are written; None if it is not there."""
    plain, above = (Path(os.path.normpath(p.absolute())) for p in (path, root))
    return (
        root / plain.relative_to(above) if path.exists() and plain.is_relative_to(above) else None
    )


def _images_of(entry: Path, root: Path, images: Sequence[Path]) -> list[Path]:
    """Those of ``images`` that are in a folder, or listed in a text file."""
    if entry.is_dir():
        return [image for image in images if image.is_relative_to(entry)]
    lines = [line for _, line in read_lines(entry)]
    found = [_below(root, entry.parent / line) for line in lines]
    known = {*images}
    check_none_missing([n for n, image in zip(lines, found, strict=True) if image not in known])
    return [image for image in found if image is not None]


def _label_file(image: Path, root: Path) -> Path:
    """The last folder ``images`` becomes ``labels``; without one, the file lies beside."""
    names = list(folders_of(image, root))
    if "images" in names:
        names[len(names) - 1 - names[::-1].index("images")] = "labels"
    return root.joinpath(*names, image.with_suffix(".txt").name)


def _read_class_list(root: Path) -> dict[int, str]:
    """Class names by index, of ``classes.txt``; none without that file."""
    for file in (root / _NAMES_FILE, root / "labels" / _NAMES_FILE):
        if file.is_file():
            return dict(enumerate(line for _, line in read_lines(file)))
    return {}


def _read_boxes(file: Path, image: Path, names: dict[int, str]) -> list[Box]:
    if not file.is_file():
        return []
    # of an image that cannot be read the boxes stay shares of its sides
    size = image_size(image)
    width, height = size or (1, 1)
    boxes = []
    for where, line in read_lines(file):
        try:
            index, *numbers = line.split()
            label = names[int(index)] if names else str(int(index))
            left, top, right, bottom = _corners([float(number) for number in numbers])
        except (ValueError, KeyError):
            known = f" with a class in {sorted(names)}" if names else ""
            raise malformed(
                where, f"class cx cy w h, or class x1 y1 x2 y2 x3 y3 ...{known}", line
            ) from None
        corners = (left * width, top * height, right * width, bottom * height)
        boxes += clip_box(label, corners, size, where)
    return boxes


def _corners(shares: list[float]) -> tuple[float, float, float, float]:
    """The corners of a box, or of the box around a polygon, as shares of the image's sides."""
    if len(shares) == 4:
        x, y, width, height = shares
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(shares) < 6 or len(shares) % 2:
        raise ValueError
    return min(shares[::2]), min(shares[1::2]), max(shares[::2]), max(shares[1::2])
