"""The reader of text files with corners in pixels, as DeepPCB has them."""

from __future__ import annotations

import re
from pathlib import Path

from styleaug.datasets.folder import Folder, Reading, note_left_out
from styleaug.datasets.marks import Mark, make_samples
from styleaug.datasets.names import split_word
from styleaug.datasets.pairing import check_none_missing
from styleaug.datasets.parsing import malformed, read_lines


def read_text(folder: Folder) -> Reading | str | None:
    """Read text files beside the images, of the same stem, or as lists pair them.

    Lines are ``x1 y1 x2 y2 class``, in pixels; where no file begins so, they are about something
    else. DeepPCB's own lists, ``trainval.txt`` and ``test.txt``, name an image and its text file in
    each line, the image without the ``_test`` that its file name ends with; what they do not name
    is left out.
    """
    if not folder.others(".txt"):
        return None
    pairs, splits = _read_lists(folder)
    if not pairs:
        pairs = _pair(folder)
        splits = {image: folder.split_of(image) for image in pairs}
    files = [file for file in pairs.values() if file]
    if not files:
        return None
    if not any(map(_has_corners, files)):
        return f"{files[0].name} does not begin with x1 y1 x2 y2 class"
    marks = {image: _read_marks(file) if file else [] for image, file in pairs.items()}
    notes = note_left_out(
        len(folder.images) - len(pairs), "they have no text file or are in no list"
    )
    return Reading(make_samples(marks, splits), notes)


def _read_lists(folder: Folder) -> tuple[dict[Path, Path | None], dict[Path, str]]:
    """The text file and the split of each image in lists of pairs."""
    pairs: dict[Path, Path | None] = {}
    splits: dict[Path, str] = {}
    missing = []
    for file in folder.others(".txt"):
        split = split_word([file.stem])
        lines = [line for _, line in read_lines(file)] if split else []
        matches = [re.fullmatch(r"(\S.*\.\w+)\s+(\S.*\.txt)", line) for line in lines]
        if not lines or not all(matches):
            continue
        for match in filter(None, matches):
            stem, dot, suffix = match[1].rpartition(".")
            tested = folder.find(f"{stem}_test{dot}{suffix}", near=file.parent)
            image = tested or folder.find(match[1], near=file.parent)
            text = file.parent / match[2]
            if image is None or not text.is_file():
                missing.append(f"{match[0]} in {file}")
                continue
            pairs[image], splits[image] = text, split
    check_none_missing(missing, "pair of image and text file")
    return pairs, splits


def _pair(folder: Folder) -> dict[Path, Path | None]:
    """The text file of each image, if any, beside it or in a folder ``*_not`` beside its own."""
    files = {*folder.others(".txt")}
    apart: dict[Path, Path | None] = {}
    for image in folder.images:
        name = image.stem.removesuffix("_test") + ".txt"
        text = image.parent.with_name(f"{image.parent.name}_not") / name
        if text in files and not image.stem.endswith("_temp"):
            apart[image] = text
    if apart:
        return apart
    beside = {image: image.with_suffix(".txt") for image in folder.images}
    return {image: text if text in files else None for image, text in beside.items()}


def _has_corners(file: Path) -> bool:
    """Whether its first line begins with four numbers."""
    _, line = next(read_lines(file), ("", ""))
    try:
        return len([float(word) for word in re.split(r"[\s,]+", line)[:4]]) == 4
    except ValueError:
        return False


def _read_marks(file: Path) -> list[Mark]:
    marks = []
    for where, line in read_lines(file):
        *numbers, label = re.split(r"[\s,]+", line)
        try:
            left, top, right, bottom = map(float, numbers)
            if re.fullmatch(r"\d*\.\d*", label):  # a YOLO line
                raise ValueError
        except ValueError:
            raise malformed(where, "x1 y1 x2 y2 class, in pixels", line) from None
        marks.append(Mark(label, (left, top, right, bottom), where))
    return marks
