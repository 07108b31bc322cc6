"""Which annotation belongs to which image, by the names of files and of their folders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

MASK_FOLDERS = frozenset({"masks", "ground_truth", "segmentationclass"})
"""Image files in folders of these names are masks."""
MASK_TAILS = ("_mask", "_label", "_gt")
"""What the stem of a mask may end with, beside the stem of its image."""

_ROLES = MASK_FOLDERS | {"images", "jpegimages", "annotations", "labels"}
_SPLITS = {
    **dict.fromkeys(("train", "training", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def folders_of(file: Path, root: Path) -> tuple[str, ...]:
    """The folders from ``root`` down to ``file``."""
    return file.relative_to(root).parts[:-1]


def telling_folders(file: Path, root: Path) -> tuple[str, ...]:
    """``folders_of`` without those that tell images from annotations."""
    return tuple(name for name in folders_of(file, root) if name.lower() not in _ROLES)


def split_word(names: Iterable[str]) -> str:
    """The first of ``names`` that means a split, as "train", "val" or "test"; else ""."""
    words = (name.lower().rstrip("0123456789") for name in names)  # train2017
    return next((_SPLITS[word] for word in words if word in _SPLITS), "")


def pair(
    notes: Sequence[Path],
    images: Sequence[Path],
    *,
    notes_root: Path,
    root: Path,
    kind: str = "annotation",
) -> dict[Path, Path]:
    """Find the image of each annotation: the same stem, in corresponding folders.

    Folders correspond if the annotation's are among the image's, in order:
    ``ground_truth/crack/1_mask.png`` fits ``test/crack/1.png`` and not ``test/good/1.png``. The
    same folders come before others.

    Args:
        notes: annotation files; stems of masks may end with one of ``MASK_TAILS``.
        images: image files.
        notes_root: the folder that ``notes`` lie below.
        root: the same for ``images``.
        kind: what errors call ``notes``.

    Returns:
        The annotation of each image that has one.

    Raises:
        ValueError: if annotations have no image, or are not one to one with images.
    """
    by_stem: defaultdict[str, list[Path]] = defaultdict(list)
    for image in images:
        by_stem[image.stem].append(image)
    found: dict[Path, Path] = {}
    missing = []
    for note in notes:
        where = telling_folders(note, notes_root)
        named = by_stem.get(note.stem) or by_stem.get(without_tail(note.stem), [])
        fitting = [image for image in named if _within(where, telling_folders(image, root))]
        fitting = [image for image in fitting if telling_folders(image, root) == where] or fitting
        if len(fitting) > 1:
            raise ValueError(
                f"Every {kind} must belong to one image, but {note} fits {fitting[0]} and "
                f"{fitting[1]}. Give the images different names, or keep each {kind} in a folder "
                "named as that of its image."
            )
        if not fitting:
            missing.append(note)
        elif fitting[0] in found:
            raise ValueError(
                f"An image must have one {kind}, but {fitting[0]} has {found[fitting[0]]} and "
                f"{note}. Remove one."
            )
        else:
            found[fitting[0]] = note
    check_none_missing(missing, kind)
    return found


def without_tail(stem: str) -> str:
    """``stem`` without the first of ``MASK_TAILS`` that it ends with."""
    tail = next((tail for tail in MASK_TAILS if stem.lower().endswith(tail)), "")
    return stem[: len(stem) - len(tail)]


def check_none_missing(missing: Sequence[Path | str], kind: str = "annotation") -> None:
    """Raise ValueError unless ``missing``, what is of a ``kind`` and has no image, is empty."""
    if missing:
        raise ValueError(
            f"Every {kind} must have its image, but {len(missing)} have none, the first: "
            f"{missing[0]}. Add the images, or remove what has none."
        )


def _within(few: Sequence[str], many: Sequence[str]) -> bool:
    """Whether ``many`` holds all of ``few``, in order."""
    rest = iter(many)
    return all(name in rest for name in few)
