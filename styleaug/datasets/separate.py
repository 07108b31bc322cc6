"""Telling masks from images, among the image files of a dataset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from styleaug.datasets.names import (
    PERHAPS_CLASSES,
    folders_of,
    is_mask_folder,
    may_be_mask_folder,
    without_image_affix,
    without_mask_affix,
)
from styleaug.datasets.pairing import pair_masks
from styleaug.images.io import find_images, load_image, spread

_MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".pgm", ".ppm")
"""Of two files of one stem, that with the earlier of these is the mask: it has no lossy pixels."""
_UNUSED_FOLDERS = frozenset({"segmentationobject", "thumbs", "thumbnails"})
"""Pictures that say no more than others: neither images nor needed as masks."""
_LEVELS = 32
"""As many different values a mask has at most, but for what lies close to its darkest and
brightest."""


def separate_masks(
    root: Path, images: Sequence[Path], masks: Path | None
) -> tuple[list[Path], dict[Path, tuple[Path, ...]]]:
    """Tell masks from images, and pair them.

    Args:
        root: the folder of the images.
        images: all image files in it.
        masks: the folder of the masks; None to find them in ``root``.

    Returns:
        The images, and the masks of each that has any.

    Raises:
        ValueError: if nothing but masks is there, or masks and images cannot be paired.
    """
    if masks is not None:
        notes, notes_root = find_images(masks), masks
        marks = {note.resolve() for note in notes}
        known = {image for image in images if image.resolve() in marks}
    else:
        notes, notes_root = _find_masks(root, images), root
        known = {*notes}
    pictures = [
        image
        for image in images
        if image not in known
        and not _UNUSED_FOLDERS.intersection(map(str.lower, folders_of(image, root)))
    ]
    if not pictures:
        raise ValueError(
            f"{root} must hold images besides masks, but all of its {len(images)} images are "
            "masks. Put images and masks into folders of their own."
        )
    return pictures, pair_masks(notes, pictures, masks_root=notes_root, root=root)


def _find_masks(root: Path, images: Sequence[Path]) -> list[Path]:
    """Images in folders of masks, or those that stand beside others as their masks."""
    inside: defaultdict[str, list[Path]] = defaultdict(list)
    for image in images:
        names = folders_of(image, root)
        several = (filter(may, names) for may in (is_mask_folder, may_be_mask_folder))
        name = next(chain.from_iterable(several), None)
        if name is not None:
            inside[name].append(image)
    found = [
        image
        for name, files in inside.items()
        if (is_mask_folder(name) and name.lower() not in PERHAPS_CLASSES) or _look_like_masks(files)
        for image in files
    ]
    if found:
        return found
    suffixes: defaultdict[tuple[Path, str], dict[str, Path]] = defaultdict(dict)
    for image in images:
        suffixes[image.parent, image.stem][image.suffix.lower()] = image
    # what serves as a mask once does so throughout: a mask without its image is no image
    twins: defaultdict[str, list[Path]] = defaultdict(list)
    for mates in suffixes.values():
        lossless = [suffix for suffix in _MASK_SUFFIXES if suffix in mates]
        if len(mates) > 1 and lossless:
            twins[lossless[0]].append(mates[lossless[0]])
    kinds = {suffix for suffix, files in twins.items() if _look_like_masks(files)}
    known = {
        (folder, core.lower())
        for folder, stem in suffixes
        for core in (stem, without_image_affix(stem))
    }
    tails = {
        stem[len(core) :].lower().rstrip("0123456789")
        for folder, stem in suffixes
        if (core := without_mask_affix(stem)) != stem and (folder, core.lower()) in known
    }
    return [image for image in images if image.suffix.lower() in kinds or _has_tail(image, tails)]


def _has_tail(image: Path, tails: set[str]) -> bool:
    core = without_mask_affix(image.stem)
    tail = image.stem[len(core) :].lower().rstrip("0123456789")
    return core != image.stem and tail in tails


def _look_like_masks(files: Sequence[Path]) -> bool:
    """Whether some of them have few values, or most pixels near two; damaged files may be any."""
    seen = []
    for file in spread(files, 3):
        try:
            image = load_image(file)
        except OSError:
            continue
        deep = image.mode[0] in "IF"  # converted, they would be white nearly everywhere
        levels = np.asarray(image if deep else image.convert("L"), dtype=np.float64)
        low, high = float(levels.min()), float(levels.max())
        near = np.minimum(levels - low, high - levels) <= (high - low) / 16
        seen.append(len(np.unique(levels)) <= _LEVELS or float(near.mean()) > 0.95)
    return any(seen) or not seen
