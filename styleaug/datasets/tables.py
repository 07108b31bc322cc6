"""The reader of CSV files: run lengths, boxes, or labels of images."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from styleaug.datasets.folder import Folder, Reading, note_left_out
from styleaug.datasets.folders import note_other_folders
from styleaug.datasets.marks import Mark, make_samples
from styleaug.datasets.masks import RunLengths
from styleaug.datasets.names import split_word
from styleaug.datasets.parsing import floats, malformed, read_table
from styleaug.datasets.samples import Sample, image_size

_IMAGE = (
    *("imageid_classid", "imageid", "image_id", "image", "filename", "file_name", "image_name"),
    *("imagename", "image_path", "filepath", "path", "file", "img"),
)
_LABEL = (
    *("label", "labels", "class", "classid", "class_id", "class_name", "classname", "category"),
    *("defect", "defect_type", "target"),
)
_CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
_RUNS = "encodedpixels"
_SPLIT = ("split", "set", "subset", "partition")
_KNOWN = frozenset({*_IMAGE, *_LABEL, *_CORNERS[0], *_CORNERS[1], _RUNS, *_SPLIT})
_KINDS = ("runs", "boxes", "classes", "labels")
_NO_LABELS = ("submission", "prediction")
"""Words in the names of tables that hold no labels, but the place for answers."""


@dataclass(frozen=True)
class _Row:
    where: str
    image: Path
    cells: dict[str, str]


@dataclass(frozen=True)
class _Table:
    file: Path
    kind: str
    splits: bool
    rows: dict[Path, list[_Row]]
    notes: tuple[str, ...]


def read_tables(folder: Folder) -> Reading | str | None:
    """Read CSV or TSV files that name images in one column, and tell about them in others.

    - ``ImageId, ClassId, EncodedPixels``: the run lengths of Severstal's competition, pairs of
      start and length, counted from 1 down the columns. The class of the largest area is the label.
    - ``filename, class, xmin, ymin, xmax, ymax``: boxes in pixels.
    - ``filename``, then a column of 0 and 1 for each class, in a file ``_classes.csv``.
    - ``image, label``, perhaps with ``split``. Of several labels of an image, the first counts.

    Images that no table names are background where run lengths or boxes of others in their folder
    are told, or in a folder ``OK`` or the like; else they are left out. Of several tables that name
    the same images, one that tells splits counts, or else the first by name.
    """
    files = folder.others(".csv", ".tsv")
    tables = [table for file in files if (table := _read_table(file, folder))]
    if not tables:
        needed = "must have columns such as image and label, or filename, class, xmin, ymin, xmax"
        return f"{files[0].name} {needed}, ymax, and name images that are there" if files else None
    # the most telling first; of several lists of labels, those that tell splits
    tables.sort(key=lambda table: (_KINDS.index(table.kind), not table.splits))
    kind, rows, notes = tables[0].kind, dict(tables[0].rows), tables[0].notes
    aside = 0
    for table in tables[1:]:
        if table.kind == kind and not table.rows.keys() & rows.keys():
            rows |= table.rows
            notes += table.notes
        else:
            aside += 1
    if aside:
        first = tables[0].file.relative_to(folder.root)
        notes += (f"{aside} other tables name images that {first} names, and are not read.",)
    reading = {"runs": _read_runs, "boxes": _read_boxes}.get(kind, _read_labels)(rows, folder)
    left_out = len(folder.images) - len(reading.samples)
    alone = kind in ("classes", "labels")
    if alone:
        notes += note_other_folders(reading, folder)
    why = "no table names them" if alone else "no table names an image of their folders"
    return Reading(reading.samples, reading.notes + notes + note_left_out(left_out, why))


def _read_table(file: Path, folder: Folder) -> _Table | None:
    """A table and the images that it names; None if it tells nothing about any."""
    if any(word in file.stem.lower() for word in _NO_LABELS):
        return None
    columns, lines = read_table(file, _KNOWN)
    kind = _kind_of(columns, file)
    if not kind:
        return None
    column = next(name for name in _IMAGE if name in columns)
    rows: defaultdict[Path, list[_Row]] = defaultdict(list)
    places: dict[str, Path | None] = {}
    for where, cells in lines:
        name = cells[column]
        if column == "imageid_classid":  # 0002cc93b.jpg_1
            name, _, number = name.rpartition("_")
            cells = {**cells, "classid": number}
        if name not in places:
            places[name] = folder.find(name, split=split_word([file.stem]), near=file.parent)
        image = places[name]
        if image is not None:
            rows[image].append(_Row(where, image, cells))
    lost = [name for name, image in places.items() if image is None]
    notes = (
        (f"{file.name} names {len(lost)} images that are not there, {lost[0]} first.",)
        if lost
        else ()
    )
    return (
        _Table(file, kind, bool({*columns}.intersection(_SPLIT)), dict(rows), notes)
        if rows
        else None
    )


def _kind_of(columns: list[str], file: Path) -> str:
    """What a table tells; "" if nothing of images."""
    if not {*columns}.intersection(_IMAGE):
        return ""
    if _RUNS in columns:
        return "runs"
    if any({*columns}.issuperset(corners) for corners in _CORNERS):
        return "boxes"
    if file.stem.lower() == "_classes" and len(columns) > 2:
        return "classes"
    return "labels" if {*columns}.intersection(_LABEL) else ""


def _read_runs(rows: dict[Path, list[_Row]], folder: Folder) -> Reading:
    samples = []
    homes = {image.parent for image in rows}
    for image in folder.images:
        if not (image.parent in homes or folder.passed(image)):
            continue
        size = image_size(image) if image in rows else None
        areas: defaultdict[str, int] = defaultdict(int)
        masks = []
        for row in rows.get(image, []):
            text = row.cells[_RUNS]
            if text in ("", "-1") or size is None:
                continue
            mask = _read_run_lengths(text, size, row.where)
            masks.append(mask)
            areas[_label_of(row, "defect")] += mask.area
        label = max(areas, key=lambda name: areas[name]) if areas else ""
        samples.append(Sample(image, label, tuple(masks), split=folder.split_of(image)))
    return Reading(samples)


def _read_run_lengths(text: str, size: tuple[int, int], where: str) -> RunLengths:
    width, height = size
    counts: list[int] = []
    end = 0
    try:
        numbers = [int(word) for word in text.split()]
        for start, length in zip(numbers[::2], numbers[1::2], strict=True):
            if not (end < start and 0 < length <= width * height - start + 1):
                raise ValueError("out of order, or beyond the image")
            counts += [start - 1 - end, length]
            end = start - 1 + length
    except ValueError:
        must = f"pairs of start and length, rising, in an image of {width} x {height} pixels"
        raise malformed(where, must, text) from None
    return RunLengths(tuple(counts), width, height)


def _read_boxes(rows: dict[Path, list[_Row]], folder: Folder) -> Reading:
    homes = {image.parent for image in rows}
    marks: dict[Path, list[Mark]] = {
        i: [] for i in folder.images if i.parent in homes or folder.passed(i)
    }
    for image, several in rows.items():
        for row in several:
            keys = next(keys for keys in _CORNERS if {*keys} <= row.cells.keys())
            texts = [row.cells[key] for key in keys]
            if not any(texts):
                continue  # an image without boxes
            try:
                left, top, right, bottom = floats(texts)
            except ValueError:
                raise malformed(row.where, f"a box with {', '.join(keys)}", texts) from None
            marks[image].append(
                Mark(_label_of(row, "defect"), (left, top, right, bottom), row.where)
            )
    return Reading(make_samples(marks, {image: folder.split_of(image) for image in marks}))


def _read_labels(rows: dict[Path, list[_Row]], folder: Folder) -> Reading:
    samples, several = [], 0
    for image, own in rows.items():
        labels = list(dict.fromkeys(label for row in own for label in _labels_of(row)))
        several += len(labels) > 1
        words = [own[0].cells.get(column, "") for column in _SPLIT]
        split = split_word(words) or folder.split_of(image)
        samples.append(Sample(image, labels[0] if labels else "", split=split))
    notes = (f"{several} images have several labels, of which the first counts.",)
    return Reading(samples, notes if several else ())


def _labels_of(row: _Row) -> list[str]:
    """All labels of an image: named, or the columns that hold 1."""
    if {*row.cells}.intersection(_LABEL):
        return [label for label in map(str.strip, _label_of(row, "").split(",")) if label]
    marked = {name: cell for name, cell in row.cells.items() if name not in _IMAGE}
    if not all(cell in ("0", "1") for cell in marked.values()):
        raise malformed(row.where, "0 or 1 for each class", marked)
    return [name for name, cell in marked.items() if cell == "1"]


def _label_of(row: _Row, default: str) -> str:
    return next((row.cells[name] for name in _LABEL if row.cells.get(name)), default)
