"""What an audit found: shares of defects lost, by setting, class and size, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from styleaug.audit.settings import STRENGTHS, TEXTURES, restyle_name, stage_name
from styleaug.augment.transform import StyleAugment
from styleaug.stages.relight import Relight

LOST = 0.5
"""Share of a defect's separability below which it counts as lost."""
POLAR = 0.9
"""Share of a class's defects of one polarity from which on that may tell the class."""
_FEWEST = 5
"""Defects below which a class's polarity may be chance."""
_CLEAR = 0.3
"""Size of a polarity below which a defect is neither brighter nor darker."""


@dataclass(frozen=True)
class Row:
    """One image: what is left of its defect in each draw of each setting, or what appeared.

    Attributes:
        path: of the image.
        label: its class.
        area: share of the image that is marked.
        before: separability of the defect in the image as it is; 0 if it was not measured.
        polarity: towards 1 the brighter than its surroundings the defect is, towards -1 the darker.
        kept: separability after over before, of each draw, by setting.
        added: fine structure added to flat areas of an image without defects, in levels of 255.
        spots: whether something conspicuous appeared in it.
    """

    path: str
    label: str
    area: float = 0.0
    before: float = 0.0
    polarity: float = 0.0
    kept: Mapping[str, Sequence[float]] = field(default_factory=dict)
    added: Mapping[str, float] = field(default_factory=dict)
    spots: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Share:
    """A share in [0, 1], its standard error over images, and how many images it is of."""

    share: float = 0.0
    error: float = 0.0
    count: int = 0

    @classmethod
    def of(cls, values: Sequence[float]) -> Share:
        """The mean of what each image adds."""
        count = len(values)
        if not count:
            return cls()
        error = np.std(values, ddof=1) / count**0.5 if count > 1 else 0.0
        return cls(float(np.mean(values)), float(error), count)


@dataclass(frozen=True)
class AuditReport:
    """The outcome of :func:`styleaug.audit.audit`.

    Attributes:
        name: name of the dataset.
        rows: one row per image.
        budget: share of defects that each stage of the recommended settings may lose.
        recommended: the transform within that budget; None if no stage is.
        checked: rows of the recommended settings, drawn as in training.
    """

    name: str
    rows: tuple[Row, ...]
    budget: float
    recommended: StyleAugment | None = None
    checked: tuple[Row, ...] = ()

    @property
    def settings(self) -> list[str]:
        """Names of the measured settings."""
        tried = next((list(row.kept) for row in self.rows if row.kept), [])
        return [*tried, *(["recommended"] if self.checked else [])]

    @property
    def classes(self) -> list[str]:
        """Classes with a measured defect."""
        return sorted({row.label for row in self.rows if row.kept})

    def lost(self, setting: str, *, label: str | None = None, size: str | None = None) -> Share:
        """Share of defects lost, for a class, a size (``small``, ``medium``, ``large``) or all."""
        rows = self.checked if setting == "recommended" else self.rows
        edges = np.percentile([row.area for row in self.rows if row.kept], [100 / 3, 200 / 3])
        sizes = ("small", "medium", "large")

        def counts(row: Row) -> bool:
            own = sizes[int(np.searchsorted(edges, row.area, side="right"))]
            return bool(row.kept) and label in (None, row.label) and size in (None, own)

        return Share.of(
            [float(np.mean(np.asarray(r.kept[setting]) < LOST)) for r in rows if counts(r)]
        )

    def fades(self, label: str, texture: float, tolerance: float = 0.05) -> float | None:
        """Lowest strength at which a class loses more than ``tolerance``.

        Returns:
            None if no strength does.
        """
        for strength in STRENGTHS:
            if self.lost(restyle_name(strength, texture), label=label).share > tolerance:
                return strength
        return None

    def darker(self, label: str) -> Share:
        """Share of a class's defects that are darker than their surroundings.

        Defects of which that cannot be said are left out, those with as much light as shade.
        """
        signs = [r.polarity for r in self.rows if r.kept and r.label == label]
        return Share.of([float(sign < 0) for sign in signs if abs(sign) >= _CLEAR])

    @property
    def polar(self) -> list[str]:
        """Classes that are darker, or brighter, nearly always: ``Relief`` must not invert them."""
        return [
            label
            for label in self.classes
            for share in [self.darker(label)]
            if share.count >= _FEWEST and max(share.share, 1 - share.share) >= POLAR
        ]

    def invented(self, setting: str) -> tuple[float, Share]:
        """For images without defects: median of the structure added, and share with a new spot."""
        rows = self.checked if setting == "recommended" else self.rows
        free = [row for row in rows if setting in row.added]
        added = float(np.median([row.added[setting] for row in free])) if free else 0.0
        return added, Share.of([row.spots[setting] for row in free])

    def worst(self, count: int) -> list[tuple[Row, int]]:
        """The defects that lose most at full texture or lighting, with the draw."""
        full = [n for n in (restyle_name(1, 1), stage_name(Relight, 1)) if n in self.settings]
        least = [
            (float(draws.min()), row, int(draws.argmin()))
            for row in self.rows
            if row.kept
            for draws in [np.min([row.kept[name] for name in full], axis=0)]
        ]
        return [(row, draw) for _, row, draw in sorted(least, key=lambda x: x[0])[:count]]

    @property
    def code(self) -> str:
        """Line of code to paste."""
        if self.recommended is None:
            return f"# no stage keeps {1 - self.budget:.0%} of the defects: train without"
        return repr(self.recommended)

    def to_dict(self) -> dict[str, Any]:
        """Return tables, rows and settings for ``StyleAugment.from_dict``, ready for JSON."""
        names = self.settings
        return {
            "name": self.name,
            "budget": self.budget,
            "recommended": self.recommended and self.recommended.to_dict(),
            "code": self.code,
            "lost": {s: asdict(self.lost(s)) for s in names},
            "lost_by_class": {
                c: {s: asdict(self.lost(s, label=c)) for s in names} for c in self.classes
            },
            "lost_by_size": {
                z: {s: asdict(self.lost(s, size=z)) for s in names}
                for z in ("small", "medium", "large")
            },
            "fades_at": {
                c: {f"texture {t:g}": self.fades(c, t) for t in TEXTURES} for c in self.classes
            },
            "darker": {c: asdict(self.darker(c)) for c in self.classes},
            "invented": {
                s: {"levels": level, "images": asdict(share)}
                for s in names
                for level, share in [self.invented(s)]
                if share.count
            },
            "rows": [asdict(row) for row in (*self.rows, *self.checked)],
        }
