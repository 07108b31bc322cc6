"""Labelled images split into those to train and to test on: at random, by look, or by line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.datasets import DefectSet
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.tasks import ImageSet, Task, draw_samples, kind_of, make_task
from styleaug.images.checks import check_choice


@dataclass(frozen=True)
class Split:
    """A task with its images. All seeds and policies share it.

    Attributes:
        name: of the dataset.
        task: what is learned.
        train: images to train on.
        test: images to test on.
        notes: what a reader of the result must know.
        elsewhere: images from under another lighting, or of another line.
    """

    name: str
    task: Task
    train: ImageSet
    test: ImageSet
    notes: tuple[str, ...] = ()
    elsewhere: ImageSet | None = None

    def record(self) -> dict[str, Any]:
        """What results say of it."""
        return {
            "name": self.name,
            "kind": self.task.kind,
            "metric": self.task.metric,
            "classes": list(self.task.classes),
            "train": len(self.train),
            "test": len(self.test),
            **({"elsewhere": len(self.elsewhere)} if self.elsewhere else {}),
            "notes": list(self.notes),
        }


def split_defects(defects: DefectSet, protocol: Protocol, *, kind: str | None = None) -> Split:
    """By the dataset's own split, or else at random, class by class.

    Args:
        defects: the labelled images.
        protocol: sizes and limits.
        kind: of task; by default what the labels allow.

    Raises:
        ValueError: if the labels do not allow the task.
        OSError: if an image cannot be read.
    """
    task = make_task(defects, kind or kind_of(defects), protocol.size)
    train, test = split_samples(defects)
    own = any(sample.split for sample in test.samples)
    note = "The dataset's own split." if own else "Split at random, class by class, 80 to 20 %."
    return read_split(defects.name, task, train, test, protocol, (note,))


def read_split(
    name: str,
    task: Task,
    train: DefectSet,
    test: DefectSet,
    protocol: Protocol,
    notes: tuple[str, ...] = (),
) -> Split:
    """Read the images of both parts, as many as the protocol takes."""
    parts = task.read(train.samples, protocol.train), task.read(test.samples, protocol.test)
    return Split(name, task, *parts, notes)


def split_samples(defects: DefectSet) -> tuple[DefectSet, DefectSet]:
    """The dataset's own split, or one at random where that trains on good parts alone, as MVTec's.

    Raises:
        ValueError: if no class has two images.
    """
    parts = defects.split()
    if {s.label for s in parts[0].samples} >= {s.label for s in parts[1].samples}:
        return parts
    samples = tuple(replace(sample, split="") for sample in defects.samples)
    return replace(defects, samples=samples).split()


def split_by_line(
    defects: DefectSet, other: DefectSet, protocol: Protocol, *, same: Mapping[str, str] | None
) -> Split:
    """Classify what two lines share: train and test on one of them, and see the other elsewhere.

    Another plant, camera and material: what a new line brings, as real as it gets.

    Args:
        defects: the dataset to train on, of which only the shared classes are taken.
        other: the dataset of the other line.
        protocol: sizes and limits.
        same: what classes of ``defects`` are called in ``other``, where the names differ.

    Raises:
        ValueError: if a name is unknown, or the lines share less than two classes.
        OSError: if an image cannot be read.
    """
    same = same or {}
    names = {label: same.get(label, label) for label in {s.label for s in defects.samples}}
    theirs = {sample.label for sample in other.samples}
    unknown = [f"{n} in {defects.name}" for n in same if n not in names]
    unknown += [f"{n} in {other.name}" for n in same.values() if n not in theirs]
    if unknown:
        raise ValueError(f"Each pair of same classes must exist, but there is no {unknown[0]}.")
    if len(set(names.values())) < len(names):
        raise ValueError(
            f"Each class of {defects.name} must have a name of its own in {other.name}."
        )
    ours = {theirs_name: label for label, theirs_name in names.items() if theirs_name in theirs}
    if len(ours) < 2:
        raise ValueError(
            f"{defects.name} and {other.name} must share two classes at least, but share "
            f"{len(ours)}; say which classes are the same."
        )
    kept = tuple(s for s in defects.samples if s.label in ours.values())
    renamed = [replace(s, label=ours[s.label]) for s in other.samples if s.label in ours]
    chosen = replace(defects, classes=tuple(sorted(ours.values())), samples=kept)
    near = split_defects(chosen, protocol, kind="classification")
    note = f"Trained and tested on {defects.name}, and tested elsewhere on {other.name}."
    elsewhere = near.task.read(renamed, protocol.train)
    return replace(near, notes=(*near.notes, note), elsewhere=elsewhere)


LOOKS: dict[str, Callable[[Tensor], Tensor]] = {
    "brightness": lambda images: images.float().mean((1, 2, 3)),
    "roughness": lambda images: _detail(images.float().mean(1, keepdim=True)),
}
"""What tells the lighting or the finish of an image: of (N, 3, H, W), one value an image."""
_SIDE = 0.4
"""Share of a class on either side of a split by look; the middle is left out."""


def _detail(gray: Tensor) -> Tensor:
    """How far pixels are from the mean of the 3 by 3 around them, on average: of (N, 1, H, W)."""
    padded = F.pad(gray, (1, 1, 1, 1), mode="reflect")
    return (gray - F.avg_pool2d(padded, 3, 1)).abs().mean((1, 2, 3))


def split_by_look(
    defects: DefectSet, protocol: Protocol, *, look: str, kind: str = "classification"
) -> Split:
    """Train on the darkest (faintest, smoothest) of each class, and see the brightest elsewhere.

    A stand-in for another lighting or finish: of the low side, four fifths to train on and one to
    test on.

    Args:
        defects: labelled images of at least two classes.
        protocol: the size; its limits do not count.
        look: one of :data:`LOOKS`.
        kind: of task; images with boxes are of the class of their largest one.

    Raises:
        ValueError: if there is no such look, or the labels do not allow the task.
        OSError: if an image cannot be read.
    """
    check_choice("look", look, LOOKS)
    task = make_task(defects, kind, protocol.size)
    count = len(defects.samples)
    every = task.read(defects.samples, count)
    labels = np.array([sample.label for sample in draw_samples(defects.samples, count)])
    generator = torch.Generator().manual_seed(0)
    values = LOOKS[look](every.images)
    train, test, elsewhere = [], [], []
    for label in sorted(set(labels)):
        members = torch.from_numpy((labels == label).nonzero()[0])
        members = members[values[members].argsort()]
        count = round(_SIDE * len(members))
        low = members[:count][torch.randperm(count, generator=generator)]
        tested = max(1, count // 5)
        train.append(low[tested:])
        test.append(low[:tested])
        elsewhere.append(members[-count:])
    places = [torch.cat(part) for part in (train, test, elsewhere)]
    near, tested_on, far = (every.select(rows) for rows in places)
    means = [f"{values[rows].mean().item():.3g}" for rows in places]
    note = (
        f"Trained and tested on the {_SIDE:.0%} of each class that are lowest in {look} (mean "
        f"{means[0]} levels), and tested elsewhere on the highest (mean {means[2]})."
    )
    return Split(defects.name, task, near, tested_on, (note,), far)
