"""Reading a classification task from the user's own folders, whatever lies in them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from defect_images import (
    EXAMPLE_SIZE,
    Array,
    DataError,
    DefectImages,
    stack,
    stratified_split,
    stratified_subset,
    to_square,
)

_FORMATS = "bmp jp2 jpeg jpg pbm pgm png pnm ppm tga tif tiff webp"
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _FORMATS.split())


@dataclass(frozen=True)
class ImageFile:
    """An image file and the class that its folder names."""

    path: Path
    label: str


def load_class_folders(
    folder: Path, *, size: int, max_train: int, max_test: int, examples: int = 5
) -> DefectImages:
    """Read ``folder/<class>/*`` and split it, or ``folder/train/<class>/*`` and ``folder/test``.

    Class folders are searched to any depth. Files that are no images or cannot be read are left out
    and named in the notes. See `to_square` for what happens to an image.

    Raises:
        DataError: if there is no folder, fewer than two classes, or a class with too few images.
    """
    if not folder.is_dir():
        raise DataError(
            f"--data must be a folder with one sub-folder per class, but {folder} is none."
        )
    notes: list[str] = []
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        train = _list_files(folder / "train", notes)
        test = _list_files(folder / "test", notes)
        classes = _class_names(train, folder / "train")
        _refuse_unknown_classes(test, classes, folder)
    else:
        files = _list_files(folder, notes)
        classes = _class_names(files, folder)
        train, test = _split(files, classes, folder)
        notes.append("Split at random, class by class: 70 % to train on, 30 % to test on.")
    train = _capped(train, classes, max_train, "training", notes)
    test = _capped(test, classes, max_test, "test", notes)
    train_images, train = _read_all(train, size, "reading training images", notes)
    test_images, test = _read_all(test, size, "reading test images", notes)
    _require_images(train, test, classes, folder)
    shown = [_read_image(file, EXAMPLE_SIZE) for file in _in_turn(train)[:examples]]
    return DefectImages(
        name=folder.resolve().name,
        classes=tuple(classes),
        train=train_images,
        train_labels=torch.tensor([classes.index(file.label) for file in train]),
        test=test_images,
        test_labels=torch.tensor([classes.index(file.label) for file in test]),
        examples=stack([image for image in shown if not isinstance(image, str)], EXAMPLE_SIZE),
        notes=tuple(notes),
    )


def _list_files(folder: Path, notes: list[str]) -> list[ImageFile]:
    """List the image files of each class folder, and add other files to the notes."""
    files: list[ImageFile] = []
    others: list[str] = []
    for sub in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."):
        for path in sorted(sub.rglob("*")):
            if not path.is_file() or path.name[0] == "." or path.name == "Thumbs.db":
                continue
            if path.suffix.lower() in IMAGE_SUFFIXES:
                files.append(ImageFile(path, sub.name))
            else:
                others.append(path.name)
    if others:
        notes.append(f"Left out, not an image format known here: {_some(others)}.")
    return files


def _class_names(files: list[ImageFile], folder: Path) -> list[str]:
    classes = sorted({file.label for file in files})
    if len(classes) < 2:
        found = f"only the class {classes[0]}" if classes else "no images in sub-folders"
        raise DataError(
            f"{folder} must hold at least two class folders with images (as good/ and defect/), "
            f"but it holds {found}; sort the images into one sub-folder per class."
        )
    return classes


def _refuse_unknown_classes(test: list[ImageFile], classes: list[str], folder: Path) -> None:
    unknown = sorted({file.label for file in test} - set(classes))
    if unknown:
        raise DataError(
            f"Every class of {folder / 'test'} must be in {folder / 'train'} too, but "
            f"{', '.join(unknown)} is not; add such training images or remove these test folders."
        )


def _split(
    files: list[ImageFile], classes: list[str], folder: Path
) -> tuple[list[ImageFile], list[ImageFile]]:
    single = [name for name, count in Counter(file.label for file in files).items() if count < 2]
    if single:
        raise DataError(
            f"Each class of {folder} must have at least 2 images, one to train and one to test on, "
            f"but {', '.join(single)} has 1; add images or remove the class folder."
        )
    train, test = stratified_split(_labels(files, classes), test_fraction=0.3)
    return [files[i] for i in train], [files[i] for i in test]


def _capped(
    files: list[ImageFile], classes: list[str], most: int, part: str, notes: list[str]
) -> list[ImageFile]:
    places = stratified_subset(np.arange(len(files)), _labels(files, classes), most)
    if len(places) < len(files):
        notes.append(f"{len(places)} of {len(files)} {part} images drawn, to keep the demo short.")
    return [files[i] for i in places]


def _labels(files: list[ImageFile], classes: list[str]) -> np.ndarray:
    return np.array([classes.index(file.label) for file in files], dtype=np.int64)


def _read_all(
    files: list[ImageFile], size: int, title: str, notes: list[str]
) -> tuple[Tensor, list[ImageFile]]:
    """Read what can be read, and name the rest in the notes."""
    with ThreadPoolExecutor(2) as pool:
        reading = pool.map(lambda file: _read_image(file, size), files)
        outcomes = list(tqdm(reading, total=len(files), desc=title, unit="image"))
    pairs = list(zip(files, outcomes, strict=True))
    bad = [f"{file.label}/{file.path.name} ({why})" for file, why in pairs if isinstance(why, str)]
    if bad:
        notes.append(f"Left out, unreadable: {_some(bad)}.")
    good = [(file, image) for file, image in pairs if not isinstance(image, str)]
    return stack([image for _, image in good], size), [file for file, _ in good]


def _read_image(file: ImageFile, size: int) -> Array | str:
    """Read one image as (size, size, 3), or say in a few words why it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which does no harm here
            with Image.open(file.path) as image:
                return to_square(ImageOps.exif_transpose(image), size)
    except Exception as error:
        reason = str(error).partition("\n")[0].replace(str(file.path), file.path.name)
        return reason or type(error).__name__


def _require_images(
    train: list[ImageFile], test: list[ImageFile], classes: list[str], folder: Path
) -> None:
    missing = sorted(set(classes) - {file.label for file in train})
    if missing or len({file.label for file in test}) < 2:
        what = (
            f"{', '.join(missing)} has none to train on"
            if missing
            else "fewer than 2 can be tested"
        )
        raise DataError(
            f"Each class of {folder} needs readable images to train and to test on, but {what}; "
            "add images or remove the class folder."
        )


def _in_turn(files: list[ImageFile]) -> list[ImageFile]:
    """Order files class by class in turn, for a sheet that shows all classes."""
    seen: Counter[str] = Counter()
    turns: list[tuple[int, str, ImageFile]] = []
    for file in files:
        turns.append((seen[file.label], file.label, file))
        seen[file.label] += 1
    return [file for _, _, file in sorted(turns, key=lambda turn: turn[:2])]


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
