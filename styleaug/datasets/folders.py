"""Readers that take labels from folders and file names, and the finding of masks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from styleaug.datasets.pairing import (
    MASK_FOLDERS,
    MASK_TAILS,
    folders_of,
    pair,
    split_word,
    telling_folders,
)
from styleaug.datasets.samples import Sample
from styleaug.images.io import find_images

_MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".pgm", ".ppm")
"""Of two files of one stem, that with the earlier of these is the mask: it has no lossy pixels."""


def read_class_folders(root: Path, images: Sequence[Path]) -> list[Sample] | None:
    """Take labels from the uppermost folders, apart from those of splits."""
    samples = []
    for image in images:
        names = [name for name in telling_folders(image, root) if not split_word([name])]
        if not names:
            return None
        samples.append(
            Sample(image, label=names[0], split=split_word(telling_folders(image, root)))
        )
    return samples if len({sample.label for sample in samples}) > 1 else None


def read_file_names(root: Path, images: Sequence[Path]) -> list[Sample] | None:
    """Take labels from names such as ``crazing_1.jpg``: a word, then a number."""
    samples = []
    for image in images:
        words = telling_folders(image, root)
        named = re.fullmatch(r"(.*[^\W\d_].*?)[\s_-]*\d+", image.stem)
        if named is None or any(not split_word([word]) for word in words):
            return None
        samples.append(Sample(image, label=named[1], split=split_word(words)))
    return samples if len({sample.label for sample in samples}) > 1 else None


def separate_masks(
    root: Path, images: Sequence[Path], masks: Path | None
) -> tuple[list[Path], dict[Path, Path]]:
    """Tell masks from images, and pair them.

    Args:
        root: the folder of the images.
        images: all image files in it.
        masks: the folder of the masks; None to find them in ``root``.

    Returns:
        The images, and the mask of each that has one.

    Raises:
        ValueError: if nothing but masks is there, or masks and images cannot be paired.
    """
    if masks is not None:
        notes, notes_root = find_images(masks), masks
    else:
        notes, notes_root = _find_masks(root, images), root
    marks = {note.resolve() for note in notes}
    pictures = [image for image in images if image.resolve() not in marks]
    if not pictures:
        raise ValueError(
            f"{root} must hold images besides masks, but all of its {len(images)} images are "
            "masks. Put images and masks into folders of their own."
        )
    return pictures, pair(notes, pictures, notes_root=notes_root, root=root, kind="mask")


def _find_masks(root: Path, images: Sequence[Path]) -> list[Path]:
    """Images in folders of masks, or those that stand beside others as their masks."""
    inside = [i for i in images if MASK_FOLDERS & set(map(str.lower, folders_of(i, root)))]
    if inside:
        return inside
    suffixes: defaultdict[tuple[Path, str], set[str]] = defaultdict(set)
    for image in images:
        suffixes[image.parent, image.stem].add(image.suffix.lower())
    # what serves as a mask once does so throughout: a mask without its image is no image
    kinds = {
        min(mates & set(_MASK_SUFFIXES), key=_MASK_SUFFIXES.index)
        for mates in suffixes.values()
        if len(mates) > 1 and mates & set(_MASK_SUFFIXES)
    }
    tails = tuple(
        tail
        for tail in MASK_TAILS
        for folder, stem in suffixes
        if stem.lower().endswith(tail) and (folder, stem[: -len(tail)]) in suffixes
    )
    return [i for i in images if i.suffix.lower() in kinds or i.stem.lower().endswith(tails)]
