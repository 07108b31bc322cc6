"""Labelled images for the demo: what a task is, how it is split, and the solar cells of ELPV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

# Fixed apart from the training seeds, so that all seeds and all runs share one test set.
SPLIT_SEED = 0
# Large enough to see a crack in the contact sheet.
EXAMPLE_SIZE = 224
# Cells of both types whose cracks and dead areas are easy to see (places in ELPV's labels.csv).
ELPV_EXAMPLES = (55, 1096, 397, 799, 1638)
ELPV_SOURCE = (
    "Images: ELPV (Buerhop-Lutz et al. 2018; Deitsch et al. 2019), electroluminescence images of "
    "solar cells, CC BY-NC-SA 4.0. `sheet.png` shows some of them: share it under these terms only."
)

Array = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]


class DataError(ValueError):
    """The images given cannot make a classification task; the message says what to change."""


@dataclass(frozen=True)
class DefectImages:
    """A classification task, small enough to lie in memory.

    Attributes:
        name: what the images are, for the report.
        classes: names; labels are places in it.
        train: (N, 3, S, S) uint8.
        train_labels: (N,) int64.
        test: (M, 3, S, S) uint8.
        test_labels: (M,) int64.
        examples: (R, 3, `EXAMPLE_SIZE`, `EXAMPLE_SIZE`) uint8, for the contact sheet.
        notes: what a reader of the report must know: source, label rule, files left out.
    """

    name: str
    classes: tuple[str, ...]
    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    examples: Tensor
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """What results say of the task."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "train": len(self.train),
            "test": len(self.test),
            "notes": list(self.notes),
        }


def load_elpv(
    *, size: int, max_train: int, max_test: int, crystal: str | None = None
) -> DefectImages:
    """Read the 2,624 solar cells of the package ``elpv-dataset`` as functional or defective.

    Its four defect probabilities say how sure the experts were: 0 is "functional, sure", 1/3
    "functional, not sure", 2/3 "defective, not sure" and 1 "defective, sure". The task takes 0 as
    functional, 2/3 and 1 as defective, and leaves the 295 cells with 1/3 out: their labels are
    nearly a coin toss, and such noise hides the difference between two policies.

    A quarter of the cells is drawn for testing, the same share of mono- and polycrystalline cells
    of either class. The package does not say which cells come from one module, so modules reach
    into both parts, and accuracies are kinder than on a new module. All policies profit alike.

    With ``crystal``, "mono" or "poly", cells of the other kind are left out.
    """
    from elpv_dataset.utils import load_dataset

    cells, probability, kind = load_dataset()
    sure = (probability < 0.01) | (probability > 0.5)
    labels = (probability > 0.5).astype(np.int64)
    kept = np.flatnonzero(sure & (kind == crystal) if crystal else sure)
    train, test = stratified_split((2 * labels + (kind == "mono"))[kept], test_fraction=0.25)
    train = stratified_subset(kept[train], labels, max_train)
    test = stratified_subset(kept[test], labels, max_test)

    def cut(places: Sequence[int] | Places, side: int) -> Tensor:
        return stack([to_square(Image.fromarray(cells[place]), side) for place in places], side)

    return DefectImages(
        name="ELPV solar cells",
        classes=("functional", "defective"),
        train=cut(train, size),
        train_labels=torch.from_numpy(labels[train]),
        test=cut(test, size),
        test_labels=torch.from_numpy(labels[test]),
        examples=cut(ELPV_EXAMPLES, EXAMPLE_SIZE),
        notes=(
            ELPV_SOURCE,
            f"Labels: functional is defect probability 0, defective 2/3 or 1; {int((~sure).sum())} "
            "cells with 1/3 are left out, because the experts were not sure of them.",
            "Cells of one module may lie in both parts: accuracies are kinder than on new modules.",
        ),
    )


def stratified_split(
    groups: Places, *, test_fraction: float, seed: int = SPLIT_SEED
) -> tuple[Places, Places]:
    """Draw the same fraction of every group for testing, but at least one member and never all.

    Args:
        groups: (N,) group numbers.
        test_fraction: between 0 and 1.
        seed: fixes the split.

    Returns:
        Sorted places of the training and of the test members.

    Raises:
        DataError: if a group has only one member.
    """
    rng = np.random.default_rng(seed)
    test = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(members) < 2:
            raise DataError(f"Each group must have at least 2 images to split, but {group} has 1.")
        count = min(max(round(test_fraction * len(members)), 1), len(members) - 1)
        test.append(rng.permutation(members)[:count])
    chosen = np.sort(np.concatenate(test))
    return np.setdiff1d(np.arange(len(groups)), chosen), chosen


def stratified_subset(
    places: Places, labels: Places, most: int, *, seed: int = SPLIT_SEED
) -> Places:
    """Draw about ``most`` of ``places`` (all, if there are fewer), the same share of each class."""
    if len(places) <= most:
        return places
    rng = np.random.default_rng(seed)
    drawn = []
    for label in np.unique(labels[places]):
        members = places[labels[places] == label]
        count = max(round(len(members) * most / len(places)), 1)
        drawn.append(rng.permutation(members)[:count])
    return np.sort(np.concatenate(drawn))


def to_square(image: Image.Image, size: int) -> Array:
    """Squeeze an image of any mode to (size, size, 3) uint8.

    Nothing is cropped, so no defect at an edge is lost. Modes of 16 or 32 bits, which Pillow would
    clip, are stretched to 8 bits by the image's own range.
    """
    if image.mode[0] in "IF":
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        low, span = values.min(), max(float(np.ptp(values)), 1e-12)
        image = Image.fromarray(np.uint8(255 * (values - low) / span))
    return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


def stack(images: Sequence[Array], size: int) -> Tensor:
    """Stack (size, size, 3) arrays to a tensor (N, 3, size, size); N may be 0."""
    if not images:
        return torch.zeros(0, 3, size, size, dtype=torch.uint8)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
