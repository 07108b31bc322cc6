"""``summarize``: what a folder of labelled images holds, and what is wrong with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from styleaug.datasets.samples import DefectSet, Sample
from styleaug.datasets.survey import LARGEST, Look, Progress, survey
from styleaug.images.io import list_images

SHORTEST = 8
"""Pixels of the shorter side of a box; a detector hardly learns smaller ones."""
_BITS = (10, 12, 14)
"""Of cameras that write files of 16 bits."""


@dataclass(frozen=True)
class ClassCount:
    """How often a class occurs.

    Attributes:
        images: whose label it is.
        train: of these, in the training split.
        test: of these, in the test split.
        boxes: of this class, in images of any label.
        masked: images of this label in which a mask marks something; without a thorough look,
            those that have a mask.
    """

    images: int = 0
    train: int = 0
    test: int = 0
    boxes: int = 0
    masked: int = 0


@dataclass(frozen=True)
class Extent:
    """How large defects are: boxes one by one, or all that masks mark in an image.

    Attributes:
        count: of boxes, or of images in which masks mark something.
        median: pixels of the median one.
        median_share: its share of the image, in [0, 1].
        smallest: pixels of the smallest.
        smallest_share: the smallest share of an image.
    """

    count: int
    median: float
    median_share: float
    smallest: float
    smallest_share: float

    @classmethod
    def of(cls, defects: Iterable[tuple[float, float]]) -> Extent | None:
        """Of pixels and shares of the image; None if there are none."""
        known = list(defects)
        if not known:
            return None
        pixels, shares = zip(*known, strict=True)
        return cls(len(pixels), median(pixels), median(shares), min(pixels), min(shares))


@dataclass(frozen=True)
class Summary:
    """What was seen in a folder; all else is computed from it.

    Attributes:
        root: the folder, or a single image.
        defects: what the reader made of it.
        size: short side, in pixels, that larger images are thought to be brought to.
        thorough: whether files were read to their end; else neither damage nor duplicates nor
            masks were looked at.
        looks: at each sample, in their order.
        strays: images that no label speaks of.
    """

    root: Path
    defects: DefectSet
    size: int
    thorough: bool
    looks: tuple[Look, ...]
    strays: tuple[Look, ...]

    @property
    def seen(self) -> tuple[Look, ...]:
        """All images."""
        return (*self.looks, *self.strays)

    @property
    def classes(self) -> dict[str, ClassCount]:
        """Of each label; last of "", where images have none."""
        samples = [look.sample for look in self.looks]
        images = Counter(s.label for s in samples)
        split = Counter((s.label, s.split) for s in samples)
        boxes = Counter(box.label for s in samples for box in s.boxes)
        masked = Counter(
            look.sample.label
            for look in self.looks
            if look.sample.masks and (look.pixels or not self.thorough)
        )
        return {
            name: ClassCount(
                images[name], split[name, "train"], split[name, "test"], boxes[name], masked[name]
            )
            for name in sorted({*self.defects.classes, *images}, key=lambda name: (not name, name))
        }

    @property
    def sizes(self) -> list[tuple[tuple[int, int], int]]:
        """Width and height with how many images have them, the most common first."""
        return Counter(look.size for look in self.seen if look.size).most_common()

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """Bit depth and channels with how many images have them, the most common first."""
        return Counter(look.kind for look in self.seen if look.kind).most_common()

    @property
    def peak(self) -> int | None:
        """The largest value in images of 16 bits; None if there are none, or it was not looked."""
        return max((look.peak for look in self.seen if look.peak is not None), default=None)

    @property
    def bits(self) -> int | None:
        """How many bits images of 16 bits seem to use; None if all, or there are none."""
        peak = self.peak
        return None if peak is None else next((b for b in _BITS if peak < 2**b), None)

    @property
    def boxes(self) -> Extent | None:
        """How large boxes are."""
        return Extent.of(
            (box.area, box.area / (look.size[0] * look.size[1]))
            for look in self.looks
            if look.size
            for box in look.sample.boxes
        )

    @property
    def marks(self) -> Extent | None:
        """How large an area masks mark, in images in which they mark any."""
        return Extent.of(
            (look.pixels, look.share) for look in self.looks if look.sample.masks and look.pixels
        )

    @property
    def short_boxes(self) -> int:
        """Boxes with a side below ``SHORTEST`` pixels, with images at the size of training."""
        return sum(
            min(box.right - box.left, box.bottom - box.top) * min(1.0, self.size / min(look.size))
            < SHORTEST
            for look in self.looks
            if look.size
            for box in look.sample.boxes
        )

    @property
    def small(self) -> tuple[Path, ...]:
        """Images whose defects are too small for an audit to measure."""
        return tuple(look.sample.path for look in self.looks if look.small)

    @property
    def large(self) -> tuple[Path, ...]:
        """Images of which more than half is marked: too much for an audit to measure."""
        return tuple(look.sample.path for look in self.looks if look.share > LARGEST)

    @property
    def unmarked(self) -> tuple[Path, ...]:
        """Images whose masks mark nothing, though those of most others of their class do."""
        marked = {n for n, count in self.classes.items() if count.masked * 2 > count.images}
        return tuple(
            look.sample.path
            for look in self.looks
            if look.sample.label in marked - {""} and look.sample.masks and look.pixels == 0
        )

    @property
    def measurable(self) -> int:
        """Images whose defects an audit can measure."""
        return sum(
            bool(look.pixels) and not look.small and look.share <= LARGEST for look in self.looks
        )

    @property
    def damaged(self) -> dict[Path, str]:
        """Images that cannot be read, and why."""
        return {look.sample.path: look.damage for look in self.seen if look.damage}

    @property
    def misfits(self) -> dict[Path, str]:
        """Images whose masks cannot be used, and why."""
        return {look.sample.path: look.misfit for look in self.looks if look.misfit}

    @property
    def duplicates(self) -> list[tuple[Path, ...]]:
        """Images that are equal byte by byte, in groups."""
        return [_paths(group) for group in self._equal()]

    @property
    def leaks(self) -> list[tuple[Path, ...]]:
        """Groups of equal images of which some are to train on and some to test on."""
        return [_paths(g) for g in self._equal() if {"train", "test"} <= {s.split for s in g}]

    @property
    def contradictions(self) -> list[tuple[Path, ...]]:
        """Groups of equal images that are labelled in different ways."""
        labelled = {look.sample.path for look in self.looks}
        return [
            _paths(group)
            for group in self._equal()
            if len({(s.label, frozenset(s.boxes)) for s in group if s.path in labelled}) > 1
        ]

    def _equal(self) -> list[list[Sample]]:
        groups: defaultdict[str, list[Sample]] = defaultdict(list)
        for look in self.seen:
            if look.digest:
                groups[look.digest].append(look.sample)
        return [group for group in groups.values() if len(group) > 1]

    def name(self, path: Path) -> str:
        """A path as it is shown: from the folder on."""
        return (path.relative_to(self.root) if path != self.root else Path(path.name)).as_posix()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        found = [look.sample for look in self.looks]
        extents = {"boxes": self.boxes, "masks": self.marks}
        groups = {
            "duplicates": self.duplicates,
            "leaks": self.leaks,
            "contradictions": self.contradictions,
        }
        return {
            "root": str(self.root),
            "layout": self.defects.layout,
            "classes": {name: asdict(count) for name, count in self.classes.items()},
            "images": len(self.seen),
            "labelled": {
                "masks": sum(bool(s.masks) for s in found),
                "boxes": sum(bool(s.boxes) for s in found),
                "neither": sum(not s.masks and not s.boxes for s in found),
            },
            "sizes": [[*size, count] for size, count in self.sizes],
            "kinds": dict(self.kinds),
            "peak": self.peak,
            "bits": self.bits,
            "extents": {n: e and asdict(e) for n, e in extents.items()},
            "size": self.size,
            "short_boxes": self.short_boxes,
            "small": [self.name(path) for path in self.small],
            "large": [self.name(path) for path in self.large],
            "unmarked": [self.name(path) for path in self.unmarked],
            "measurable": self.measurable,
            "damaged": {self.name(path): why for path, why in self.damaged.items()},
            "misfits": {self.name(path): why for path, why in self.misfits.items()},
            **{n: [[self.name(p) for p in group] for group in g] for n, g in groups.items()},
            "strays": [self.name(look.sample.path) for look in self.strays],
            "notes": list(self.defects.notes),
        }


def summarize(
    defects: DefectSet,
    root: Path,
    *,
    size: int,
    thorough: bool = True,
    progress: Progress = lambda items, title: items,
) -> Summary:
    """Look at all images of a folder, whether a label speaks of them or not.

    Args:
        defects: as it was read.
        root: the folder that it was read from, or a single image.
        size: short side, in pixels, that larger images are brought to for training.
        thorough: read files to their end, and draw masks; else headers of images alone.
        progress: wraps the images that are gone through, with a title.
    """
    known = {file.resolve() for sample in defects.samples for file in sample.files}
    strays = [Sample(path) for path in list_images(root) if path.resolve() not in known]
    looks = survey([*defects.samples, *strays], size=size, thorough=thorough, progress=progress)
    count = len(defects.samples)
    return Summary(root, defects, size, thorough, looks[:count], looks[count:])


def _paths(samples: Sequence[Sample]) -> tuple[Path, ...]:
    return tuple(sample.path for sample in samples)
