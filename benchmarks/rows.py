"""Result files of the suites that train no detectors: metadata, and one row a measurement.

What trains detectors is an experiment of :mod:`styleaug.evaluate`, whose ``Result`` has columns of
its own; the layout of the files is the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from styleaug.evaluate.records import command_line, machine_record, package_versions
from styleaug.evaluate.results import read_table, write_table

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
        """Read a file."""
        meta, columns, rows = read_table(path)
        return cls(meta, [dict(zip(columns, row, strict=True)) for row in rows])

    def save(self, path: Path) -> Path:
        """Write a file, a row a line, atomically.

        Raises:
            ValueError: if rows differ in their keys, or hold what JSON has not: NaN, infinities.
        """
        columns = list(self.rows[0])
        odd = [row for row in self.rows if list(row) != columns]
        if odd:
            raise ValueError(f"Rows must have the columns {columns}, but one is {odd[0]}.")
        write_table(path, self.meta, columns, [list(row.values()) for row in self.rows])
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

    def values(self, **wanted: Any) -> list[Any]:
        """The ``value`` of each row that has these values, in order."""
        return [row["value"] for row in self.where(**wanted)]

    def each(self, column: str, **wanted: Any) -> list[Any]:
        """What a column holds, once each and in order, of the rows that have these values."""
        return list(dict.fromkeys(row[column] for row in self.where(**wanted)))


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """A parser that tells a suite's docstring as it stands."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def provenance(
    module: str, arguments: Sequence[str], *, device: str = "cpu", packages: Sequence[str] = ()
) -> dict[str, Any]:
    """Entries of the metadata that tell how and where something was measured."""
    return {
        "command": command_line(module, arguments),
        "machine": machine_record(device),
        "versions": package_versions(("styleaug", "torch", "torchvision", *packages)),
    }


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; None is an empty cell."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        f"| {' | '.join('' if cell is None else str(cell) for cell in line)} |\n" for line in lines
    )


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Median, first and third quartile, as columns of a row."""
    low, middle, high = np.percentile(np.asarray(values, dtype=float), [25, 50, 75])
    return {"median": float(middle), "q1": float(low), "q3": float(high)}
