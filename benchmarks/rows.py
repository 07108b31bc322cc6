"""Result files of the suites that train no detectors: metadata, and one row a measurement.

What trains detectors is an experiment of :mod:`styleaug.evaluate`, whose ``Result`` has columns of
its own; the layout of the files is the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from styleaug.files import atomic_path

FORMAT = 1
RESULTS = Path(__file__).parent / "results"
"""Results lie in ``SUITE/NAME.json``."""


@dataclass(frozen=True)
class Rows:
    """What a suite measured.

    Attributes:
        meta: JSON-able: ``purpose``, ``command``, ``machine``, ``versions``, and what else holds
            for all rows.
        rows: one dict a measurement, all with the same keys.
    """

    meta: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]

    @classmethod
    def load(cls, path: Path) -> Rows:
        """Read a file.

        Raises:
            ValueError: if it is none of this format.
        """
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"{path.name} must be a result of format {FORMAT}; measure it anew.")
        columns = data["columns"]
        return cls(data["meta"], [dict(zip(columns, row, strict=True)) for row in data["rows"]])

    def save(self, path: Path) -> Path:
        """Write a file, a row a line, atomically.

        Raises:
            ValueError: if rows differ in their keys, or hold what JSON has not: NaN, infinities.
        """
        columns = list(self.rows[0])
        odd = [row for row in self.rows if list(row) != columns]
        if odd:
            raise ValueError(f"Rows must have the columns {columns}, but one is {odd[0]}.")
        lines = [json.dumps(list(row.values()), allow_nan=False) for row in self.rows]
        head = json.dumps({"format": FORMAT, "meta": self.meta, "columns": columns}, indent=1)
        text = f'{head[:-2]},\n "rows": [\n' + ",\n".join(lines) + "\n]}\n"
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return path

    def where(self, **wanted: Any) -> list[Mapping[str, Any]]:
        """Rows that have these values."""
        return [r for r in self.rows if all(r[key] == value for key, value in wanted.items())]

    def value(self, **wanted: Any) -> Any:
        """The ``value`` of the one row that has these values.

        Raises:
            LookupError: if there is none, or more than one.
        """
        found = self.where(**wanted)
        if len(found) != 1:
            raise LookupError(f"There must be one row of {wanted}, but there are {len(found)}.")
        return found[0]["value"]

    def each(self, column: str, **wanted: Any) -> list[Any]:
        """What a column holds, once each and in order, of the rows that have these values."""
        return list(dict.fromkeys(row[column] for row in self.where(**wanted)))


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Median, first and third quartile, as columns of a row."""
    low, middle, high = np.percentile(np.asarray(values, dtype=float), [25, 50, 75])
    return {"median": float(middle), "q1": float(low), "q3": float(high)}
