"""Readers for the layouts in which labelled images of defects are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from styleaug.datasets.boxes import read_coco, read_text, read_voc
from styleaug.datasets.folders import read_class_folders, read_file_names, separate_masks
from styleaug.datasets.masks import Mask, MaskFile, Polygon, RunLengths
from styleaug.datasets.samples import Box, DefectSet, Sample
from styleaug.datasets.yolo import read_yolo
from styleaug.errors import UnknownLayoutError
from styleaug.images.io import find_images

__all__ = [
    "Box",
    "DefectSet",
    "Mask",
    "MaskFile",
    "Polygon",
    "RunLengths",
    "Sample",
    "read_defects",
]

_READERS = {
    "yolo": read_yolo,
    "coco": read_coco,
    "voc": read_voc,
    "text": read_text,
    "folders": read_class_folders,
    "names": read_file_names,
}
"""In the order in which they are asked; a reader returns None if the layout is not its own."""


def read_defects(
    folder: Path | str, *, masks: Path | str | None = None, bits: int | None = None
) -> DefectSet:
    """Read a folder of labelled images of defects, in whichever of these layouts it is.

    The first that fits is taken:

    | ``layout`` | is told by | label |
    |---|---|---|
    | yolo | a dataset's YAML file; or ``images/``, and text files in ``labels/`` | of the boxes |
    | coco | a ``*.json`` with COCO's keys in the folder or one below | of the boxes |
    | voc | ``*.xml`` in ``annotations/``, or beside an image of the same stem | of the boxes |
    | text | ``*.txt`` beside an image of the same stem | of the boxes |
    | folders | every image lies in a class folder, of at least two classes | the folder |
    | names | ``crazing_1.jpg``: every image is named so, after at least two classes | the name |
    | masks | none of these fits, but there are masks | "" |

    Of several boxes, the largest tells the label; an image without any is background, "". The
    docstring of each reader tells more.

    **Masks** come with any layout: from ``masks``; else from folders ``masks`` or
    ``ground_truth``; else from beside the images, with the same stem and another suffix
    (``1.jpg``, ``1.png``), or with ``_mask``, ``_label`` or ``_gt`` after the stem. In their
    folders they lie as the images do, but for folders that may be left out:
    ``ground_truth/crack/1_mask.png`` belongs to ``test/crack/1.png``.

    **Splits** are folders named train, val, test or the like; keys of the YAML file; or words in
    the name of the COCO file. "trainval" counts as train. Images to validate on are to test on; in
    a dataset that has a test split too, they are to train on.

    Args:
        folder: where the images are.
        masks: the folder of their masks, if it is another or has another name.
        bits: how many bits the values of 16-bit images use, such as 12; None: all of them.

    Raises:
        UnknownLayoutError: if no layout fits.
        ValueError: if there is no such folder or no image in it, or an annotation is malformed or
            has no image. Damaged images are found when they are loaded.
    """
    root = Path(folder)
    images, mask_of = separate_masks(
        root, find_images(root), None if masks is None else Path(masks)
    )
    layout, samples = _read(root, images, masked=bool(mask_of))
    names = {s.label for s in samples} | {box.label for s in samples for box in s.boxes}
    tested = any(sample.split == "test" for sample in samples)
    splits = {"val": "train" if tested else "test"}
    return DefectSet(
        name=root.resolve().name,
        classes=tuple(sorted(names - {""})),
        samples=tuple(
            replace(s, masks=_masks_of(s, mask_of), split=splits.get(s.split, s.split), bits=bits)
            for s in sorted(samples, key=lambda sample: sample.path)
        ),
        layout=layout,
    )


def _masks_of(sample: Sample, mask_of: Mapping[Path, Path]) -> tuple[Mask, ...]:
    """The mask files of a sample, or else what its annotations outline."""
    return (MaskFile(mask_of[sample.path]),) if sample.path in mask_of else sample.masks


def _read(root: Path, images: Sequence[Path], *, masked: bool) -> tuple[str, list[Sample]]:
    for layout, reader in _READERS.items():
        samples = reader(root, images)
        if samples is not None:
            return layout, samples
    if masked:
        return "masks", [Sample(image) for image in images]
    raise UnknownLayoutError(
        f"{root} must be laid out as YOLO, COCO, Pascal VOC, text files beside the images, one "
        "folder for each of at least two classes, images named after at least two classes, or "
        f"with masks, but none of these fits its {len(images)} images, the first {images[0]}. "
        "Name the folder that holds the classes or annotations, or give the folder of the masks."
    )
