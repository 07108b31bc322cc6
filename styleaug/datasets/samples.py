"""What the readers return: boxes, samples, and datasets of them."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from math import ceil, floor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from styleaug.datasets.masks import Mask
from styleaug.images.io import load_rgb

_ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held; 5 to 8 mean that the sides are swapped."""


@dataclass(frozen=True)
class Box:
    """An axis-aligned box of a defect in pixels of the upright image, ends exclusive.

    Attributes:
        label: the class.
        left: distance of its left side from the image's, in pixels.
        top: the same from the top.
        right: where it ends; ``right - left`` is its width.
        bottom: where it ends; ``bottom - top`` is its height.
    """

    label: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """In square pixels."""
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True)
class Sample:
    """An image and its annotations.

    Attributes:
        path: the image file.
        label: the class; of an image with boxes, that of the largest; "" if unknown or background.
        masks: files that mark the defects' pixels, all combined.
        boxes: the defects, cut to the image.
        split: "train", "test", or "" where the dataset does not say.
        bits: bit depth of the values of a 16-bit image; None: 16.
    """

    path: Path
    label: str = ""
    masks: tuple[Mask, ...] = ()
    boxes: tuple[Box, ...] = ()
    split: str = ""
    bits: int | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The image file, then its mask files."""
        return (self.path, *(file for mask in self.masks for file in mask.files))

    def load(self) -> Image.Image:
        """Read the image as RGB, turned upright.

        Raises:
            OSError: if it cannot be read; the message names the file.
        """
        return load_rgb(self.path, bits=self.bits)

    def load_mask(self, size: tuple[int, int] | None = None) -> NDArray[np.bool_] | None:
        """Read the mask of the defects, or draw it from the boxes; None without either.

        Args:
            size: width and height of the upright image, if known.

        Returns:
            (H, W), True in defects.

        Raises:
            OSError: if the image or a mask cannot be read; the message names the file.
            ValueError: if a mask does not fit the image.
        """
        if not self.masks and not self.boxes:
            return None
        # load says what is wrong
        width, height = size or image_size(self.path) or self.load().size
        marked = np.zeros((height, width), dtype=np.bool_)
        if self.masks:
            try:
                for mask in self.masks:
                    marked |= mask.draw(width, height)
            except ValueError as error:
                raise ValueError(f"{self.path}: {error}") from error
            return marked
        for box in self.boxes:
            rows = slice(max(floor(box.top), 0), ceil(box.bottom))
            marked[rows, max(floor(box.left), 0) : ceil(box.right)] = True
        return marked


LABELS = {
    **dict.fromkeys(("yolo", "coco", "voc", "text"), "those of the largest boxes"),
    **dict.fromkeys(("supervisely", "labelme", "cvat"), "those of the largest shapes"),
    "csv": "told in a table",
    "folders": "the names of folders",
    "names": "what file names begin with",
    "masks": "unknown",
}
"""Where the labels of samples come from, by the layout of their dataset."""


@dataclass(frozen=True)
class DefectSet:
    """Labelled images of one folder.

    Attributes:
        name: name of the folder.
        classes: all labels of samples and boxes, sorted; a part keeps those of the whole.
        samples: sorted by path.
        layout: layout of the folder, see ``read_defects``.
        notes: what was left out or interpreted, one sentence each.
    """

    name: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    layout: str
    notes: tuple[str, ...] = ()

    def split(self, test_fraction: float = 0.2, seed: int = 0) -> tuple[DefectSet, DefectSet]:
        """Split the dataset into a training and a test part.

        A dataset with samples of both splits keeps them; samples of neither are for training. Other
        datasets are split at random, label by label; if a label has at least two samples, each part
        gets at least one.

        Args:
            test_fraction: test share of each label, in (0, 1).
            seed: the same seed gives the same split.

        Raises:
            ValueError: if ``test_fraction`` is out of bounds, or each label has one sample only.
        """
        if not 0 < test_fraction < 1:
            raise ValueError(f"test_fraction must lie in (0, 1), but is {test_fraction!r}.")
        if {"train", "test"} <= {sample.split for sample in self.samples}:
            test = {sample for sample in self.samples if sample.split == "test"}
        else:
            test = self._draw_test(test_fraction, random.Random(seed))
        if not test:
            raise ValueError(
                f"{self.name} must have two images of a label to be split, but each of its labels "
                f"has one. It was read as {self.layout!r}, whose labels are "
                f"{LABELS.get(self.layout, 'given')}. Add images, or name another folder."
            )
        parts = (
            tuple(sample for sample in self.samples if (sample in test) == tested)
            for tested in (False, True)
        )
        train_set, test_set = (replace(self, samples=part) for part in parts)
        return train_set, test_set

    def _draw_test(self, fraction: float, generator: random.Random) -> set[Sample]:
        by_label: defaultdict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples:
            by_label[sample.label].append(sample)
        drawn: set[Sample] = set()
        for _, group in sorted(by_label.items()):
            count = min(max(round(len(group) * fraction), 1), len(group) - 1)
            drawn.update(generator.sample(group, count))
        return drawn


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height of the upright image, from its header; None if that cannot be read."""
    try:
        with Image.open(path) as file:
            return upright_size(file)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None  # as in load_image, which reports it when the image is needed


def upright_size(file: Image.Image) -> tuple[int, int]:
    """Width and height of an opened image, turned upright."""
    width, height = file.size
    # the base class's, because that of PNG reads all pixels
    swapped = Image.Image.getexif(file).get(_ORIENTATION) in range(5, 9)
    return (height, width) if swapped else (width, height)
