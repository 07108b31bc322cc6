"""The reader of YOLO's layout, and of the few keys of its YAML file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from styleaug.datasets.boxes import box, malformed, sample, text_lines
from styleaug.datasets.places import check_none_missing, folders_of, split_word
from styleaug.datasets.samples import Box, Sample, image_size

_NAMES_FILE = "classes.txt"
"""One class a line: what annotation tools write, in the folder or among the labels."""
_ITEM = re.compile(r"""(?:[^,'"]|'[^']*'|"[^"]*")+""")
"""An item of a YAML list in brackets, whose quotes may hold commas."""


def read_yolo(root: Path, images: Sequence[Path]) -> list[Sample] | None:
    """Read ``images/`` with ``labels/``: as a YAML file lists the images, or all.

    A YAML file of a set has ``names`` and ``train`` or ``val``, folders or text files that list
    images; its name does not matter. Lines of labels are ``class cx cy w h``, in shares of the
    image's sides, or ``class x1 y1 x2 y2 x3 y3 ...``, a polygon, of which the box is kept. Class
    names come from the YAML file, or from ``classes.txt``; without these they are the numbers.
    """
    config = _config(root)
    notes = [
        file
        for file in sorted(root.rglob("*.txt"))
        if "labels" in folders_of(file, root) and file.name != _NAMES_FILE
    ]
    if config:
        listed = _listed(root, images, config)
    else:
        inside = [image for image in images if "images" in folders_of(image, root)]
        listed = {image: split_word(folders_of(image, root)) for image in inside}
        if not (notes and listed):
            return None
    files = {image: _label_file(image, root) for image in images}
    if not any(files[image].is_file() for image in listed):
        raise ValueError(
            f"A YOLO set must have labels in labels/ as its images lie in images/, but {root} has "
            f"none for its {len(listed)} images. Add them; images without defects need none."
        )
    check_none_missing(sorted({*notes} - {*files.values()}))
    names = _names(root, config)
    return [sample(image, _boxes(files[image], image, names), listed[image]) for image in listed]


def read_keys(file: Path) -> dict[str, list[str]]:
    """The items of each key at the top of a YAML file; a scalar is one item, an empty value none.

    It knows scalars, and lists and mappings of scalars, in brackets or one item a line; an item of
    a mapping comes as "key: value". That is all that YOLO's keys need.
    """
    raw: dict[str, list[str]] = {}
    for line in file.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        line = re.sub(r"(^|\s)#.*$", "", line)
        key = re.match(r"([\w-]+)\s*:(?:\s+(.*))?$", line)
        if key:
            pieces = raw.setdefault(key[1], [])
            pieces.append(key[2] or "")
        elif raw:
            pieces.append(re.sub(r"^\s*-\s+", "", line))
    return {key: _items(pieces) for key, pieces in raw.items()}


def _items(pieces: list[str]) -> list[str]:
    text = " ".join(pieces).strip()
    if text.startswith(("[", "{")):
        pieces = _ITEM.findall(text.strip("[]{} "))
    items = (_unquoted(piece) for piece in pieces)
    return [item for item in items if item not in {"", "~", "null"}]


def _unquoted(text: str) -> str:
    text = text.strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def _config(root: Path) -> dict[str, list[str]]:
    """The keys of the YAML file that describes a YOLO set; none if there is no such file."""
    found = {}
    for file in sorted([*root.glob("*.yaml"), *root.glob("*.yml")]):
        keys = read_keys(file)
        if keys.get("names") and (keys.get("train") or keys.get("val")):
            found[file] = keys
    if len(found) > 1:
        raise ValueError(
            f"A folder must hold one YOLO set, but {root} has {len(found)} YAML files of sets: "
            f"{', '.join(file.name for file in found)}. Keep one of them."
        )
    return next(iter(found.values()), {})


def _listed(root: Path, images: Sequence[Path], config: dict[str, list[str]]) -> dict[Path, str]:
    """The split of each image that the YAML file leads to."""
    # path leads elsewhere where a set was moved
    base = _below(root, root.joinpath(*config.get("path", [])[:1])) or root
    listed: dict[Path, str] = {}
    for split in ("train", "val", "test"):
        for entry in config.get(split, []):
            # some exporters write ../train/images, and mean train/images
            tries = (base / entry, root / re.sub(r"^(\.\./)+", "", entry))
            found = next(filter(None, (_below(root, path) for path in tries)), None)
            chosen = [] if found is None else _images_of(found, root, images)
            if not chosen:
                raise ValueError(
                    f"{split} in a YOLO set's YAML file must lead to images in {root}, but "
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
    lines = [line for _, line in text_lines(entry)]
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


def _names(root: Path, config: dict[str, list[str]]) -> dict[int, str]:
    """Class names by index: of the YAML file, or of ``classes.txt``, or none."""
    items = config.get("names", [])
    for file in (root / _NAMES_FILE, root / "labels" / _NAMES_FILE):
        if not items and file.is_file():
            items = [line for _, line in text_lines(file)]
    pairs = (re.fullmatch(r"(\d+)\s*:\s+(.+)", item) for item in items)
    return {
        int(pair[1]) if pair else index: _unquoted(pair[2]) if pair else item
        for index, (item, pair) in enumerate(zip(items, pairs, strict=True))
    }


def _boxes(file: Path, image: Path, names: dict[int, str]) -> list[Box]:
    if not file.is_file():
        return []
    # of an image that cannot be read the boxes stay shares of its sides
    size = image_size(image)
    width, height = size or (1, 1)
    boxes = []
    for where, line in text_lines(file):
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
        boxes += box(label, corners, size, where)
    return boxes


def _corners(shares: list[float]) -> tuple[float, float, float, float]:
    """The corners of a box, or of the box around a polygon, as shares of the image's sides."""
    if len(shares) == 4:
        x, y, width, height = shares
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(shares) < 6 or len(shares) % 2:
        raise ValueError
    return min(shares[::2]), min(shares[1::2]), max(shares[::2]), max(shares[1::2])
