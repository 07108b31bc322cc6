"""Readers for the layouts in which labelled images of defects are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from styleaug.datasets.coco import read_coco
from styleaug.datasets.cvat import read_cvat
from styleaug.datasets.folder import Folder, Reading
from styleaug.datasets.folders import read_class_folders, read_file_names, read_masks_alone
from styleaug.datasets.labelme import read_labelme
from styleaug.datasets.lists import read_lists
from styleaug.datasets.masks import Mask, MaskFile, Polygon, RunLengths
from styleaug.datasets.samples import Box, DefectSet, Sample
from styleaug.datasets.separate import separate_masks
from styleaug.datasets.supervisely import read_supervisely
from styleaug.datasets.tables import read_tables
from styleaug.datasets.text import read_text
from styleaug.datasets.voc import read_voc
from styleaug.datasets.yolo import read_yolo
from styleaug.errors import UnknownLayoutError
from styleaug.images.io import find_images, walk

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

_READERS: dict[str, Callable[[Folder], Reading | str | None]] = {
    "supervisely": read_supervisely,
    "yolo": read_yolo,
    "labelme": read_labelme,
    "coco": read_coco,
    "cvat": read_cvat,
    "voc": read_voc,
    "text": read_text,
    "csv": read_tables,
    "folders": read_class_folders,
    "names": read_file_names,
    "masks": read_masks_alone,
}
"""In the order in which they are asked. A reader returns None if there is no sign of its layout, or
a text: what does not fit."""
_UNREAD = (".gif", ".heic", ".avif", ".jp2", ".npy", ".npz", ".mat", ".dng", ".raw", ".mp4", ".avi")
"""Suffixes of files that may hold images or masks, and are not read."""
_NOTES = (".json", ".xml", ".txt", ".yaml", ".xlsx", ".xls", *_UNREAD)
"""Suffixes of files that may hold labels, of which an error names one."""


def read_defects(
    folder: Path | str, *, masks: Path | str | None = None, bits: int | None = None
) -> DefectSet:
    """Read a folder of labelled images of defects in any of the supported layouts.

    The first layout that fits is used:

    | ``layout`` | is told by | label |
    |---|---|---|
    | supervisely | ``ann/1.png.json`` of ``img/1.png`` | of the shapes |
    | yolo | its YAML file, or Darknet's; or text files in ``labels/`` or beside | of the boxes |
    | labelme | JSON files with ``shapes`` | of the shapes |
    | coco | a JSON file with COCO's keys | of the boxes |
    | cvat | an XML file of "CVAT for images" | of the shapes, or the tag |
    | voc | ``*.xml`` in ``annotations/``, or beside an image of the same stem | of the boxes |
    | text | ``*.txt`` beside an image of the same stem, or DeepPCB's lists | of the boxes |
    | csv | a table of run lengths (Severstal's), boxes, or labels | of the largest area, or told |
    | folders | every image lies in a class folder, of at least two classes | the folder |
    | names | ``crazing_1.jpg``: every image is named so, after at least two classes | the name |
    | masks | none of these fits, but there are masks | "" |

    With several boxes, the largest determines the label; an image without boxes is background, "".
    Masks alone give no label, because a defect-free image may have an empty mask. The docstring of
    each reader gives details. Other formats can be converted to COCO with CVAT, Label Studio or
    datumaro.

    **Class folders** are the first folders below those of splits that are not numbered parts of a
    dataset, or lower folders if they are named after verdicts: ``OK`` and ``NG`` in ``line
    A/OK/1.png``. Folders in ``NG`` or similar give the label if they hold all failed parts:
    ``scratch`` in ``NG/scratch/1.png``. Folders in other classes do not. ``notes`` records the
    interpretation.

    **Masks** can accompany any layout. They come from ``masks``; otherwise from folders ``masks``,
    ``ground_truth``, ``gt``, ``labels`` and the like, or ``NG_mask`` if its files look like masks;
    otherwise from beside the images, with the same stem and another suffix (``1.jpg``, ``1.png``),
    with ``_mask``, ``_label``, ``_GT``, ``_seg`` or similar after the stem, or as ``mask.png`` of
    ``image.png``. Mask folders have the structure of the image folders, from which levels may be
    missing: ``ground_truth/crack/1_mask.png`` belongs to ``test/crack/1.png``, and so do all files
    in ``ground_truth/crack/1/``. Without such files, annotated outlines become masks. Masks are
    never read as images.

    **Splits** are folders named train, val, test or similar, such as ``train2017``,
    ``images_train`` and ``test_public``; keys of the YAML file; lists in ``ImageSets/Main``; a
    column of a table; words in the name of the COCO file; or lists of images, ``train.txt`` and
    ``test.txt``. "trainval" counts as train. Validation images are test images; in a dataset that
    also has a test split, they are training images.

    Args:
        folder: folder of the images.
        masks: folder of the masks, if it lies elsewhere or has an uncommon name.
        bits: bit depth of the values of 16-bit images, such as 12; None: 16.

    Raises:
        UnknownLayoutError: if no layout fits; the message lists what was looked for.
        ValueError: if there is no such folder or no image in it, or an annotation is malformed or
            has no image. Damaged images are found when they are loaded.
    """
    root = Path(folder)
    found = find_images(root)
    images, mask_files = separate_masks(root, found, None if masks is None else Path(masks))
    known = {*found}
    others = sorted(path for path in walk(root) if path not in known)
    listing = Folder(root, tuple(images), mask_files, tuple(others))
    layout, reading = _read(listing)
    listed, notes = read_lists(listing) if not any(s.split for s in reading.samples) else ({}, ())
    samples = [replace(s, split=listed.get(s.path, s.split)) for s in reading.samples]
    names = {s.label for s in samples} | {b.label for s in samples for b in s.boxes}
    garbled = next((name for name in sorted(names) if "\N{REPLACEMENT CHARACTER}" in name), None)
    if garbled is not None and layout not in ("folders", "names"):
        raise ValueError(
            f"The class names in the annotation files of {root} must be in UTF-8, but one reads "
            f"{garbled!r}. Save the files in UTF-8."
        )
    tested = any(sample.split == "test" for sample in samples)
    splits = {"val": "train" if tested else "test"}
    return DefectSet(
        name=root.resolve().name,
        classes=tuple(sorted(names - {""})),
        samples=tuple(
            replace(
                sample,
                masks=tuple(map(MaskFile, mask_files.get(sample.path, ()))) or sample.masks,
                split=splits.get(sample.split, sample.split),
                bits=bits,
            )
            for sample in sorted(samples, key=lambda sample: sample.path)
        ),
        layout=layout,
        notes=reading.notes + notes + _note_unread(listing),
    )


def _note_unread(folder: Folder) -> tuple[str, ...]:
    files = folder.others(*_UNREAD)
    if not files:
        return ()
    first = files[0].relative_to(folder.root)
    return (f"{len(files)} files are in formats that are not read, {first} first.",)


def _read(folder: Folder) -> tuple[str, Reading]:
    reasons = []
    for layout, reader in _READERS.items():
        reading = reader(folder)
        if isinstance(reading, Reading):
            return layout, reading
        if reading is not None:
            reasons.append(f"{layout}: {reading}")
    notes = [file for file in folder.files if file.suffix.lower() in _NOTES]
    if notes:
        reasons.append(f"{notes[0].relative_to(folder.root)} is in no format that is known")
    raise UnknownLayoutError(
        f"{folder.root} must be laid out as one folder for each of at least two classes, images "
        "named after at least two classes, with masks, or with annotations of YOLO, COCO, Pascal "
        "VOC, labelme, CVAT, Supervisely, or CSV or text files, but none of these fits its "
        f"{len(folder.images)} images, the first {folder.images[0]}. Name the folder that holds "
        "the classes or annotations, give the folder of the masks, or convert other annotations to "
        f"COCO, as CVAT, Label Studio and datumaro do. What was looked for: {'; '.join(reasons)}."
    )
