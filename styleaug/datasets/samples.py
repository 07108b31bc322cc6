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

from styleaug.images.io import load_image, load_rgb

_ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held; 5 to 8 mean that the sides are swapped."""


@dataclass(frozen=True)
class Box:
    """A defect's upright box, in pixels of the upright image; ``right`` and ``bottom`` exclusive.

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
    """An image and what is known of it.

    Attributes:
        path: the image file.
        label: the class; of an image with boxes, that of the largest; "" if unknown or background.
        mask: the file that marks the defect's pixels.
        boxes: the defects, cut to the image.
        split: "train", "test", or "" where the dataset does not say.
    """

    path: Path
    label: str = ""
    mask: Path | None = None
    boxes: tuple[Box, ...] = ()
    split: str = ""

    def load(self) -> Image.Image:
        """Read the image as RGB, turned upright.

        Raises:
            OSError: if it cannot be read; the message names the file.
        """
        return load_rgb(self.path)

    def load_mask(self) -> NDArray[np.bool_] | None:
        """Where the defects are: by the mask file, or else by the boxes; None without either.

        A mask whose largest value is below 128 holds classes, and all but 0 counts; so it is with
        palettes. Above, values over half of the largest count: compression and blur leave others.

        Returns:
            (H, W), True in defects.

        Raises:
            OSError: if the image or the mask cannot be read; the message names the file.
            ValueError: if the mask has not the size of the image.
        """
        if self.mask is None and not self.boxes:
            return None
        width, height = image_size(self.path) or self.load().size  # load says what is wrong
        if self.mask is not None:
            marked = _marked(load_image(self.mask))
            if marked.shape != (height, width):
                raise ValueError(
                    f"A mask must have the size of its image, but {self.mask} has "
                    f"{marked.shape[1]} x {marked.shape[0]} pixels and {self.path} has "
                    f"{width} x {height}. Resize the mask, or pair it with its own image."
                )
            return marked
        marked = np.zeros((height, width), dtype=np.bool_)
        for box in self.boxes:
            rows = slice(max(floor(box.top), 0), ceil(box.bottom))
            marked[rows, max(floor(box.left), 0) : ceil(box.right)] = True
        return marked


@dataclass(frozen=True)
class DefectSet:
    """Labelled images of one folder.

    Attributes:
        name: of the folder.
        classes: all labels of samples and boxes, sorted; a part keeps those of the whole.
        samples: sorted by path.
        layout: which reader read them, see ``read_defects``.
    """

    name: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    layout: str

    def split(self, test_fraction: float = 0.2, seed: int = 0) -> tuple[DefectSet, DefectSet]:
        """Split the dataset in two: to train on, and to test on.

        A dataset with samples of both splits is split so, and what is of neither is trained on. All
        others are split at random, label by label; where a label has two samples, each side gets
        one at least.

        Args:
            test_fraction: share of each label to test on, in (0, 1).
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
                "has one. Add images."
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
            width, height = file.size
            # the base class's, because that of PNG reads all pixels
            swapped = Image.Image.getexif(file).get(_ORIENTATION) in range(5, 9)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None  # as in load_image, which reports it when the image is needed
    return (height, width) if swapped else (width, height)


def _marked(mask: Image.Image) -> NDArray[np.bool_]:
    """(H, W) from a mask of any mode; opacity does not count."""
    levels = np.asarray(mask)
    if levels.ndim == 3:
        levels = levels[..., : len(mask.getbands()) - ("A" in mask.getbands())].max(-1)
    top = 0 if mask.mode == "P" else int(levels.max())
    marked: NDArray[np.bool_] = levels > (top / 2 if top >= 128 else 0)
    return marked
