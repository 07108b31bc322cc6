"""The tasks of the robustness benchmark: sets split at random, by look, or by line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from defect_images import load_elpv
from styleaug.datasets import DefectSet, read_defects
from styleaug.evaluate.corruptions import CORRUPTIONS, SUITES
from styleaug.evaluate.models import LITE
from styleaug.evaluate.tasks import Labelled, Task, kind_of, make_task, parted

# Without glass_blur, the slowest.
TEST_CORRUPTIONS = tuple(name for name in CORRUPTIONS if name != "glass_blur")


@dataclass(frozen=True)
class Settings:
    """The protocol; the command line takes its defaults from here.

    Attributes:
        model: backbone, see `styleaug.evaluate.models.make_backbone`.
        steps: of training.
        batch_size: images a step.
        learning_rate: at the peak of the one-cycle schedule.
        size: side of the network's input in pixels.
        max_train: most training images used.
        max_test: most test images used.
        corruptions: names of corruptions and shifts.
        severities: of 1 to 5.
    """

    model: str = LITE
    steps: int = 160
    batch_size: int = 32
    learning_rate: float = 1e-3
    size: int = 96
    max_train: int = 1000
    max_test: int = 360
    corruptions: tuple[str, ...] = (*TEST_CORRUPTIONS, *SUITES["industrial"])
    severities: tuple[int, ...] = (1, 3, 5)

    @classmethod
    def of(cls, kind: str) -> Settings:
        """What suits a kind of task: pixels and boxes need larger images and longer training."""
        base = cls()
        if kind == "classification":
            return base
        return replace(base, steps=300, batch_size=16, size=128, max_test=200)


@dataclass(frozen=True)
class Problem:
    """A task with its images.

    Attributes:
        name: of the set.
        task: what is learned.
        train: the images to train on.
        test: the images to test on.
        notes: what a reader of the result must know.
        elsewhere: images from under another lamp or of another line.
    """

    name: str
    task: Task
    train: Labelled
    test: Labelled
    notes: tuple[str, ...]
    elsewhere: Labelled | None = None

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


def load_problem(
    folder: Path,
    kind: str | None,
    settings: Settings,
    *,
    look: str | None = None,
    line: Path | None = None,
    same: Mapping[str, str] | None = None,
) -> Problem:
    """Read a labelled set, or ``elpv``, the solar cells of the package; all seeds share one split.

    Args:
        folder: the set.
        kind: of task; by default what the labels allow.
        settings: sizes and limits.
        look: one of `MEASURES`, to part the set by instead of at random.
        line: the set of another line, see `part_by_line`; of ``elpv``, ``mono`` or ``poly``.
        same: what the classes of ``folder`` are called in ``line``, where the names differ.

    Raises:
        ValueError: if the labels do not allow the task, the set cannot be parted by ``look``, or
            the lines share less than two classes.
        OSError: if an image cannot be read.
    """
    if _is_elpv(folder):
        if look is not None:
            raise ValueError(f"A set of folders can be parted by {look}, but elpv is none.")
        return _elpv(settings, None if line is None else str(line))
    defects = read_defects(folder)
    if line is not None:
        return part_by_line(defects, read_defects(line), same or {}, settings)
    task = make_task(defects, kind or kind_of(defects), settings.size)
    if look is not None:
        return part_by_look(task.read(defects.samples, len(defects.samples)), look, task, defects)
    return _at_random(defects, task, settings)


def kind_of_data(folder: Path) -> str:
    """The kind of task that the labels of a set allow; of the solar cells, classes."""
    return "classification" if _is_elpv(folder) else kind_of(read_defects(folder))


def _is_elpv(folder: Path) -> bool:
    return folder == Path("elpv") and not folder.exists()


def _elpv(settings: Settings, line: str | None) -> Problem:
    """The solar cells: all, or those of one crystal with those of the other one elsewhere."""
    if line not in (None, *_CRYSTALS):
        raise ValueError(f"--line of elpv must be {' or '.join(_CRYSTALS)}, but got {line!r}.")
    limits = {"size": settings.size, "max_train": settings.max_train, "max_test": settings.max_test}
    own = load_elpv(**limits, crystal=_CRYSTALS[line] if line else None)
    elsewhere, notes = None, own.notes
    if line:
        other = load_elpv(**limits, crystal=line)
        elsewhere = Labelled(
            torch.cat([other.train, other.test]), torch.cat([other.train_labels, other.test_labels])
        )
        notes += (_line_note(f"{_CRYSTALS[line]}crystalline cells", f"{line}crystalline ones"),)
    return Problem(
        "elpv",
        Task("classification", own.classes, settings.size),
        Labelled(own.train, own.train_labels),
        Labelled(own.test, own.test_labels),
        notes,
        elsewhere,
    )


def _at_random(defects: DefectSet, task: Task, settings: Settings) -> Problem:
    train, test = parted(defects)
    own = any(sample.split for sample in defects.samples)
    split = "The set's own split." if own else "Split at random, class by class, 80 to 20 %."
    return Problem(
        defects.name,
        task,
        task.read(train.samples, settings.max_train),
        task.read(test.samples, settings.max_test),
        (split,),
    )


_CRYSTALS = {"mono": "poly", "poly": "mono"}
"""The other kind of solar cell."""


def part_by_line(
    defects: DefectSet, other: DefectSet, same: Mapping[str, str], settings: Settings
) -> Problem:
    """Classify what two lines share: train and test on one of them, and see the other elsewhere.

    Another plant, camera and material: what a new line brings, as real as it gets.

    Args:
        defects: the set to train on, of which only the shared classes are taken.
        other: the set of the other line.
        same: what classes of ``defects`` are called in ``other``, where the names differ.
        settings: sizes and limits.

    Raises:
        ValueError: if a name is unknown, or the lines share less than two classes.
        OSError: if an image cannot be read.
    """
    names = {label: same.get(label, label) for label in {s.label for s in defects.samples}}
    theirs = {sample.label for sample in other.samples}
    unknown = [f"{n} in {defects.name}" for n in same if n not in names]
    unknown += [f"{n} in {other.name}" for n in same.values() if n not in theirs]
    if len(set(names.values())) < len(names):
        raise ValueError(
            f"Each class of {defects.name} must have a name of its own in {other.name}."
        )
    if unknown:
        raise ValueError(f"--same must pair a class of each set, but there is no {unknown[0]}.")
    ours = {theirs_name: label for label, theirs_name in names.items() if theirs_name in theirs}
    if len(ours) < 2:
        raise ValueError(
            f"{defects.name} and {other.name} must share two classes at least, but share "
            f"{len(ours)}; say with --same which classes are the same."
        )
    kept = tuple(s for s in defects.samples if s.label in ours.values())
    renamed = [replace(s, label=ours[s.label]) for s in other.samples if s.label in ours]
    chosen = replace(defects, classes=tuple(sorted(ours.values())), samples=kept)
    task = make_task(chosen, "classification", settings.size)
    near = _at_random(chosen, task, settings)
    note = _line_note(defects.name, other.name)
    elsewhere = task.read(renamed, settings.max_train)
    return replace(near, notes=(*near.notes, note), elsewhere=elsewhere)


def _line_note(ours: str, theirs: str) -> str:
    return f"Trained and tested on {ours}, and tested elsewhere on {theirs}."


MEASURES: dict[str, Callable[[Tensor], Tensor]] = {
    "brightness": lambda images: images.float().mean((1, 2, 3)),
    "contrast": lambda images: images.float().mean(1).std((1, 2)),
    "roughness": lambda images: _detail(images.float().mean(1, keepdim=True)),
}
"""What tells the light or the finish of an image: of (N, 3, H, W), one value an image."""
_SIDE = 0.4
"""Share of a class on either side of a split by look; the middle is left out."""


def _detail(gray: Tensor) -> Tensor:
    """How far pixels are from the mean of the 3 by 3 around them, on average: of (N, 1, H, W)."""
    padded = F.pad(gray, (1, 1, 1, 1), mode="reflect")
    return (gray - F.avg_pool2d(padded, 3, 1)).abs().mean((1, 2, 3))


def part_by_look(every: Labelled, look: str, task: Task, defects: DefectSet) -> Problem:
    """Train on the darkest (faintest, smoothest) of each class, and see the brightest elsewhere.

    A stand-in for a second lamp or finish: of the low side, four fifths to train on and one to test
    on.
    """
    generator = torch.Generator().manual_seed(0)
    values = MEASURES[look](every.images)
    train, test, elsewhere = [], [], []
    for label in every.targets.unique():
        members = (every.targets == label).nonzero().flatten()
        members = members[values[members].argsort()]
        count = round(_SIDE * len(members))
        low = members[:count][torch.randperm(count, generator=generator)]
        tested = max(1, count // 5)
        train.append(low[tested:])
        test.append(low[:tested])
        elsewhere.append(members[-count:])
    parts = [torch.cat(places) for places in (train, test, elsewhere)]
    chosen = [Labelled(every.images[rows], every.targets[rows]) for rows in parts]
    means = [f"{values[rows].mean().item():.3g}" for rows in parts]
    note = (
        f"Trained and tested on the {_SIDE:.0%} of each class that are lowest in {look} (mean "
        f"{means[0]} levels), and tested elsewhere on the highest (mean {means[2]})."
    )
    return Problem(defects.name, task, chosen[0], chosen[1], (note,), chosen[2])
