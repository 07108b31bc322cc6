"""Lists of images to train on and to test on, beside a dataset of any layout."""

from __future__ import annotations

from pathlib import Path

from styleaug.datasets.folder import Folder
from styleaug.datasets.names import split_word
from styleaug.datasets.parsing import read_lines


def read_lists(folder: Folder) -> tuple[dict[Path, str], tuple[str, ...]]:
    """The split of images that ``train.txt`` and the like list, and notes.

    Each line is an image's name or the end of its path, perhaps with something after it. A file of
    which a line names no image is no such list. "val" wins over "trainval".
    """
    splits: dict[Path, str] = {}
    notes: list[str] = []
    files = [file for file in folder.others(".txt") if split_word([file.stem])]
    for file in sorted(files, key=lambda file: file.stem.lower() != "trainval"):
        images = [_find(line, folder, file) for _, line in read_lines(file)]
        found = [image for image in images if image is not None]
        if len(found) == len(images):
            splits |= dict.fromkeys(found, split_word([file.stem]))
        elif found:
            lost = len(images) - len(found)
            notes.append(
                f"{file.name} is not taken for a list of images: {lost} of its lines name none, or "
                "fit several."
            )
    return splits, tuple(notes)


def _find(line: str, folder: Folder, file: Path) -> Path | None:
    """The image that a line names, or its first word."""
    for name in dict.fromkeys((line, line.split()[0])):
        try:
            image = folder.find(name, near=file.parent)
        except ValueError:
            continue  # it fits several
        if image is not None:
            return image
    return None
