"""The reader of YOLO's layouts: images, and text files with shares of their sides."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from styleaug.datasets.folder import Folder, Reading, note_left_out
from styleaug.datasets.marks import Mark, make_samples, outlined
from styleaug.datasets.names import folders_of
from styleaug.datasets.pairing import check_none_missing, pair
from styleaug.datasets.parsing import floats, malformed, read_lines
from styleaug.datasets.samples import image_size
from styleaug.datasets.yolo_config import Config, find_config, is_class_list

_FOLDERS = ("images", "jpegimages")
"""What ``labels`` stands for in the path of a label file."""


def read_yolo(folder: Folder) -> Reading | None:
    """Read ``images/`` with ``labels/``, or text files beside images: as a file lists them, or all.

    The YAML file of a dataset has ``names`` and ``train`` or ``val``, folders or text files that
    list images; its own name does not matter. Darknet's ``obj.data`` says the same. Lines of labels
    are ``class cx cy w h``, in shares of the image's sides, perhaps with a confidence after them,
    or ``class x1 y1 x2 y2 x3 y3 ...``, a polygon or a turned box. Class names come from the YAML
    file, or from a list such as ``classes.txt``; without these they are the numbers.
    """
    config = find_config(folder)
    if config.file is None and not folder.others(".txt"):
        return None
    files = {image: _label_of(image, folder.root) for image in folder.images}
    labels = [file for file in _label_files(folder) if not is_class_list(file)]
    listed, notes = _list_images(folder, config) if config.file is not None else ({}, ())
    # labels/train/1.txt of train/1.png
    astray = sorted({*labels} - {*files.values()})
    files |= pair(astray, folder.images, notes_root=folder.root, root=folder.root)
    if config.file is None:
        listed = _guess_images(folder, files, {*labels})
        if not listed:
            return None
    if not any(files[image].is_file() for image in listed):
        raise ValueError(
            "A YOLO dataset must have labels in labels/ as its images lie in images/, but "
            f"{folder.root} has none for its {len(listed)} images. Add them; images without "
            "defects need none."
        )
    marks = {image: _read_marks(files[image], image, config) for image in listed}
    why = "no split lists them" if config.file else "no labels lie beside them"
    notes += note_left_out(len(folder.images) - len(listed), why)
    return Reading(make_samples(marks, listed), notes)


def _guess_images(folder: Folder, files: dict[Path, Path], labels: set[Path]) -> dict[Path, str]:
    """The split of all images in folders ``images``, or where one has a label file."""
    homes = {image.parent for image, file in files.items() if file in labels}
    return {
        image: folder.split_of(image)
        for image in folder.images
        if labels
        and (
            image.parent in homes
            or folder.passed(image)
            or {*map(str.lower, folders_of(image, folder.root))}.intersection(_FOLDERS)
        )
    }


def _label_files(folder: Folder) -> list[Path]:
    """Text files in folders ``labels``; without any, those beside images, if they are YOLO's."""
    texts = folder.others(".txt")
    inside = [t for t in texts if "labels" in map(str.lower, folders_of(t, folder.root))]
    if inside:
        return inside
    images = {image.with_suffix(".txt") for image in folder.images}
    beside = [text for text in texts if text in images]
    for text in beside:
        line = next((line for _, line in read_lines(text)), None)
        if line is not None:
            return beside if _is_yolo_line(line) else []
    return beside if any(map(is_class_list, folder.files)) else []


def _is_yolo_line(line: str) -> bool:
    """Whether a line holds a class and shares, unlike the corners of other text files."""
    try:
        index, *shares = floats(line.split())
    except ValueError:
        return False
    return index.is_integer() and len(shares) >= 4 and all(-0.5 <= s <= 1.5 for s in shares)


def _list_images(folder: Folder, config: Config) -> tuple[dict[Path, str], tuple[str, ...]]:
    """The split of each image that the file leads to, and notes about what is not there."""
    root = folder.root
    # path leads elsewhere where a dataset was moved
    base = _below(root, root / config.base) or root
    listed: dict[Path, str] = {}
    lost: list[tuple[str, str]] = []
    for split, entries in config.entries.items():
        for entry in entries:
            chosen = _images_of(entry, base, folder, config)
            if not chosen:
                lost.append((split, entry))
            for image in chosen:
                listed.setdefault(image, split)
    if not listed:
        split, entry = lost[0]
        raise ValueError(
            f"{split} in {config.file} must lead to images in {root}, but {entry!r} does not. "
            "Correct the path, or name the folder that holds it."
        )
    notes = (f"There are no images at {entry}, {split} of the dataset." for split, entry in lost)
    return listed, tuple(notes)


def _images_of(entry: str, base: Path, folder: Folder, config: Config) -> list[Path]:
    """The images of a folder, or those that a text file lists."""
    root, plain = folder.root, entry.replace("\\", "/")
    # some exporters write ../train/images, and mean train/images
    tries = [base / plain, root / re.sub(r"^(\.\./)+", "", plain)]
    if re.match("/|[a-zA-Z]:", plain) or config.darknet:
        # written before the dataset was moved: the end of the path that is there
        parts = Path(plain).parts
        tries += [root.joinpath(*parts[i:]) for i in range(1, len(parts))]
    found = next(filter(None, (_below(root, path) for path in tries)), None)
    if found is None or found.is_dir():
        return [] if found is None else [i for i in folder.images if i.is_relative_to(found)]
    lines = [line for _, line in read_lines(found)]
    images = [folder.find(line, near=found.parent, moved=True) for line in lines]
    check_none_missing([n for n, image in zip(lines, images, strict=True) if image is None])
    return [image for image in images if image is not None]


def _below(root: Path, path: Path) -> Path | None:
    """``path`` as files below ``root`` are written; None if it is not there."""
    plain, above = (Path(os.path.normpath(p.absolute())) for p in (path, root))
    return (
        root / plain.relative_to(above) if path.exists() and plain.is_relative_to(above) else None
    )


def _label_of(image: Path, root: Path) -> Path:
    """The last folder ``images`` becomes ``labels``; without one, the file lies beside."""
    names = list(folders_of(image, root))
    lower = [name.lower() for name in names]
    last = max((k for k, name in enumerate(lower) if name in _FOLDERS), default=None)
    if last is not None:
        names[last] = "Labels" if names[last] == "Images" else "labels"
    return root.joinpath(*names, image.with_suffix(".txt").name)


def _read_marks(file: Path, image: Path, config: Config) -> list[Mark]:
    if not file.is_file():
        return []
    # of an image that cannot be read the boxes stay shares of its sides
    size = image_size(image)
    marks = []
    for where, line in read_lines(file):
        try:
            index, *shares = floats(re.split(r"[\s,]+", line))
            if not index.is_integer():
                raise ValueError("no class")
            label = config.names[int(index)] if config.names else str(int(index))
            marks.append(_read_mark(label, shares, size, where, keypoints=config.keypoints))
        except (ValueError, KeyError):
            known = f" with a class in {sorted(config.names)}" if config.names else ""
            must = f"class cx cy w h, or class x1 y1 x2 y2 x3 y3 ...{known}"
            raise malformed(where, must, line) from None
    return marks


def _read_mark(
    label: str,
    shares: Sequence[float],
    size: tuple[int, int] | None,
    where: str,
    *,
    keypoints: bool,
) -> Mark:
    width, height = size or (1, 1)
    if len(shares) in (4, 5) or (keypoints and len(shares) > 5):  # the fifth is a confidence
        x, y, w, h = (n * side for n, side in zip(shares, (width, height) * 2, strict=False))
        return Mark(label, (x - w / 2, y - h / 2, x + w / 2, y + h / 2), where)
    if len(shares) < 6 or len(shares) % 2:
        raise ValueError("no polygon")
    corners = zip(shares[::2], shares[1::2], strict=True)
    area = outlined(label, tuple((x * width, y * height) for x, y in corners), where)
    return area if size else Mark(label, area.corners, where)
