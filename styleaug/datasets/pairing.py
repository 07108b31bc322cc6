"""Which annotation belongs to which image, by the names of files and of their folders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from styleaug.datasets.names import telling_folders, without_image_affix, without_mask_affix


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
    by_stem = _by_stem(images)
    found: dict[Path, Path] = {}
    missing = []
    for note in notes:
        where = telling_folders(note, notes_root)
        image = _only(note, _fitting(where, by_stem.get(note.stem, []), root), kind)
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
    ``ground_truth/crack/1/0.png``.

    Returns:
        The masks of each image that has any.

    Raises:
        ValueError: if masks have no image, or one of them fits several images.
    """
    by_stem, by_core = _by_stem(images), defaultdict(list)
    for image in images:
        by_core[without_image_affix(image.stem)].append(image)
    found: defaultdict[Path, list[Path]] = defaultdict(list)
    missing = []
    for mask in masks:
        where, core = telling_folders(mask, masks_root), without_mask_affix(mask.stem)
        named = [(where, by_stem, mask.stem), (where, by_stem, core), (where, by_core, core)]
        named += [(where[:-1], by_stem, where[-1])] if where else []
        fitting = (_fitting(place, by.get(name, []), root) for place, by, name in named)
        owner = _only(mask, next(filter(None, fitting), []), "mask")
        if owner is None:
            missing.append(mask)
        else:
            found[owner].append(mask)
    check_none_missing(missing, "mask")
    return {image: tuple(sorted(several)) for image, several in found.items()}


def check_none_missing(missing: Sequence[Path | str], kind: str = "annotation") -> None:
    """Raise ValueError unless ``missing``, what is of a ``kind`` and has no image, is empty."""
    if missing:
        raise ValueError(
            f"Every {kind} must have its image, but {len(missing)} have none, the first: "
            f"{missing[0]}. Add the images, or remove what has none."
        )


def _by_stem(images: Sequence[Path]) -> defaultdict[str, list[Path]]:
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for image in images:
        found[image.stem].append(image)
    return found


def _fitting(where: tuple[str, ...], images: Sequence[Path], root: Path) -> list[Path]:
    """Images in corresponding folders; if some are in the same, only those."""
    folders = {image: telling_folders(image, root) for image in images}
    within = [image for image in images if _within(where, folders[image])]
    return [image for image in within if folders[image] == where] or within


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
