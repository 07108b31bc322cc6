"""Which annotation belongs to which image, by the names of files and of their folders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from styleaug.datasets.names import (
    split_word,
    telling_folders,
    without_image_affix,
    without_mask_affix,
)


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
    ``ground_truth/crack/1.xml`` fits ``test/crack/1.png`` and not ``test/good/1.png``. The same
    folders come before others.

    Args:
        notes: annotation files.
        images: image files.
        notes_root: the folder that ``notes`` lie below.
        root: the same for ``images``.
        kind: what errors call ``notes``.

    Returns:
        The annotation of each image that has one.

    Raises:
        ValueError: if annotations have no image, or are not one to one with images.
    """
    if not notes:
        return {}
    by_stem = _Index(images, root, lambda stem: stem)
    found: dict[Path, Path] = {}
    missing = []
    for note in notes:
        image = _only(note, by_stem.find(note.stem, telling_folders(note, notes_root)), kind)
        if image is None:
            missing.append(note)
        else:
            if image in found:
                raise ValueError(
                    f"An image must have one {kind}, but {image} has {found[image]} and {note}. "
                    "Remove one."
                )
            found[image] = note
    check_none_missing(missing, kind)
    return found


def pair_masks(
    masks: Sequence[Path], images: Sequence[Path], *, masks_root: Path, root: Path
) -> dict[Path, tuple[Path, ...]]:
    """Find the image of each mask, as :func:`pair` does.

    Stems need not be quite the same: ``1_mask.png`` and ``mask_1.png`` belong to ``1.png`` or
    ``img_1.png``. All masks in a folder that is named like an image belong to that image:
    ``ground_truth/crack/1/0.png``. Where images lie in no folders but those of splits, others of
    masks do not matter: ``masks/crack/1.png`` and ``masks/spot/1.png`` belong to ``images/1.png``.

    Returns:
        The masks of each image that has any.

    Raises:
        ValueError: if masks have no image, or one of them fits several images.
    """
    if not masks:
        return {}
    by_stem = _Index(images, root, lambda stem: stem)
    by_core = _Index(images, root, without_image_affix)
    places = {name for image in images for name in telling_folders(image, root)}
    flat = all(split_word([name]) for name in places)
    found: defaultdict[Path, list[Path]] = defaultdict(list)
    missing = []
    for mask in masks:
        where = tuple(map(without_mask_affix, telling_folders(mask, masks_root)))
        core = without_mask_affix(mask.stem)
        tries = [(by_stem, mask.stem, where), (by_stem, core, where), (by_core, core, where)]
        tries += [(by_stem, where[-1], where[:-1])] if where else []
        if flat:
            place = tuple(name for name in where if split_word([name]))
            tries += [(index, stem, place) for index, stem, _ in tries[:3]]
        fitting = (index.find(stem, place) for index, stem, place in tries)
        image = _only(mask, next(filter(None, fitting), []), "mask")
        if image is None:
            missing.append(mask)
        else:
            found[image].append(mask)
    check_none_missing(missing, "mask")
    return {image: tuple(sorted(several)) for image, several in found.items()}


def check_none_missing(missing: Sequence[Path | str], kind: str = "annotation") -> None:
    """Raise ValueError unless ``missing``, what is of a ``kind`` and has no image, is empty."""
    if missing:
        raise ValueError(
            f"Every {kind} must have its image, but {len(missing)} have none, the first: "
            f"{missing[0]}. Add the images, or remove what has none."
        )


class _Index:
    """Images by their stems and each of their folders, so that none is looked at in vain."""

    def __init__(self, images: Sequence[Path], root: Path, core: Callable[[str], str]) -> None:
        self._images: defaultdict[tuple[str, str], list[tuple[Path, tuple[str, ...]]]]
        self._images = defaultdict(list)
        for image in images:
            folders, stem = telling_folders(image, root), core(image.stem)
            for name in {"", *folders}:
                self._images[stem, name].append((image, folders))

    def find(self, stem: str, where: tuple[str, ...]) -> list[Path]:
        """Images of a stem in folders that correspond; if some are in the same, only those."""
        named = self._images.get((stem, where[-1] if where else ""), [])
        within = [(image, folders) for image, folders in named if _within(where, folders)]
        same = [image for image, folders in within if folders == where]
        return same or [image for image, _ in within]


def _only(note: Path, images: Sequence[Path], kind: str) -> Path | None:
    if len(images) > 1:
        raise ValueError(
            f"Every {kind} must belong to one image, but {note} fits {images[0]} and {images[1]}. "
            f"Give the images different names, or keep each {kind} in a folder named as that of "
            "its image."
        )
    return images[0] if images else None


def _within(few: Sequence[str], many: Sequence[str]) -> bool:
    """Whether ``many`` holds all of ``few``, in order."""
    rest = iter(many)
    return all(name in rest for name in few)
