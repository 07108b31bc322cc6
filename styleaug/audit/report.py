"""What an audit found: shares of defects lost, by setting, class and size, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from styleaug.audit.settings import STRENGTHS, TEXTURES, light, material
from styleaug.plan import Range

LOST = 0.5
"""Share of a defect's separability below which it counts as lost."""


@dataclass(frozen=True)
class Row:
    """One image: what is left of its defect in each draw of each setting, or what appeared.

    Attributes:
        path: of the image.
        label: its class.
        area: share of the image that is marked.
        before: separability of the defect in the image as it is; 0 if it was not measured.
        kept: separability after over before, of each draw, by setting.
        added: fine structure added to flat areas of an image without defects, in levels of 255.
        spots: whether something conspicuous appeared in it.
    """

    path: str
    label: str
    area: float = 0.0
    before: float = 0.0
    kept: Mapping[str, Sequence[float]] = field(default_factory=dict)
    added: Mapping[str, float] = field(default_factory=dict)
    spots: Mapping[str, bool] = field(default_factory=dict)

    def with_kept(self, before: float, kept: Mapping[str, Sequence[float]]) -> Row:
        """The same with a measured defect."""
        return replace(self, before=before, kept=kept)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Row:
        """Rebuild what :meth:`to_dict` gave."""
        return cls(**data)


@dataclass(frozen=True)
class Share:
    """A share in [0, 1], its standard error over defects, and how many defects it is of."""

    share: float
    error: float
    count: int


@dataclass(frozen=True)
class AuditReport:
    """The outcome of :func:`styleaug.audit.audit`.

    Attributes:
        name: of the set.
        rows: one an image.
        budget: share of defects that each stage of the recommended settings may lose.
        recommended: arguments of ``StyleAugment``.
        checked: rows of the recommended settings, drawn as in training.
    """

    name: str
    rows: tuple[Row, ...]
    budget: float
    recommended: Mapping[str, Range] = field(default_factory=dict)
    checked: tuple[Row, ...] = ()

    def with_advice(self, recommended: Mapping[str, Range], checked: Sequence[Row]) -> AuditReport:
        """The same with recommended settings, and what they cost."""
        return replace(self, recommended=dict(recommended), checked=tuple(checked))

    @property
    def settings(self) -> list[str]:
        """Names of the settings that were tried."""
        return next((list(row.kept) for row in self.rows if row.kept), [])

    @property
    def classes(self) -> list[str]:
        """Classes with a measured defect."""
        return sorted({row.label for row in self.rows if row.kept})

    def lost(self, setting: str, *, label: str | None = None, size: str | None = None) -> Share:
        """Share of defects lost, of a class or size (``small``, ``medium``, ``large``) or all."""
        rows = self.checked if setting == "recommended" else self.rows
        edges = np.percentile([row.area for row in self.rows if row.kept], [100 / 3, 200 / 3])
        sizes = ("small", "medium", "large")

        def counts(row: Row) -> bool:
            own = sizes[int(np.searchsorted(edges, row.area, side="right"))]
            return bool(row.kept) and label in (None, row.label) and size in (None, own)

        lost = [np.mean(np.asarray(r.kept[setting]) < LOST) for r in rows if counts(r)]
        if not lost:
            return Share(0.0, 0.0, 0)
        error = float(np.std(lost, ddof=1) / len(lost) ** 0.5) if len(lost) > 1 else 0.0
        return Share(float(np.mean(lost)), error, len(lost))

    def fades(self, label: str, texture: float, tolerance: float = 0.05) -> float | None:
        """Strength at which a class starts to fade: the first that loses more than ``tolerance``.

        Returns:
            None if no strength does.
        """
        for strength in STRENGTHS:
            if self.lost(material(strength, texture).name, label=label).share > tolerance:
                return strength
        return None

    def invented(self, setting: str) -> tuple[float, Share]:
        """On images without defects: median of the structure added, and share with a new spot."""
        rows = self.checked if setting == "recommended" else self.rows
        free = [row for row in rows if setting in row.added]
        if not free:
            return 0.0, Share(0.0, 0.0, 0)
        spots = np.asarray([row.spots[setting] for row in free], dtype=float)
        error = float(spots.std(ddof=1) / len(spots) ** 0.5) if len(spots) > 1 else 0.0
        added = float(np.median([row.added[setting] for row in free]))
        return added, Share(float(spots.mean()), error, len(free))

    def worst(self, count: int) -> list[tuple[Row, int]]:
        """The defects of which least is left at full texture or lamp, and in which draw."""
        full = [name for name in (material(1, 1).name, light(1).name) if name in self.settings]
        least = [
            (float(draws.min()), row, int(draws.argmin()))
            for row in self.rows
            if row.kept
            for draws in [np.min([row.kept[name] for name in full], axis=0)]
        ]
        return [(row, draw) for _, row, draw in sorted(least, key=lambda x: x[0])[:count]]

    @property
    def code(self) -> str:
        """The line to paste."""
        inner = ", ".join(f"{name}={value!r}" for name, value in self.recommended.items())
        return f"StyleAugment({inner})"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: all tables, and the rows that they come from."""
        names = [*self.settings, *(["recommended"] if self.checked else [])]
        return {
            "name": self.name,
            "budget": self.budget,
            "recommended": dict(self.recommended),
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
            "invented": {
                s: {"levels": level, "images": asdict(share)}
                for s in names
                for level, share in [self.invented(s)]
                if share.count
            },
            "rows": [row.to_dict() for row in (*self.rows, *self.checked)],
        }
