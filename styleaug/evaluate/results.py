"""Result files of experiments: metadata and rows, from which all means and tables are computed."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from styleaug.errors import StyleAugError
from styleaug.files import atomic_path

FORMAT = 1
CLEAN = "clean"
"""Condition of test images as they are."""
ELSEWHERE = "elsewhere"
"""Condition of images from another line, or from the other side of a split by look."""
AS_TRAINED, TARGET, MATCHED = ADAPTATIONS = ("", "target", "matched")
"""Batch norms as trained; with the statistics of the images that are scored; with these matched to
those of plain training images, see :func:`styleaug.adapt.adapt_batchnorm`."""
SECONDS = ("seconds", "cpu seconds")
"""Metrics that are durations; their conditions are the phases "train", "test" and "run"."""

_REQUIRED = ("name", "purpose", "command", "machine", "versions", "protocol", "task", "seeds")


class ResultError(StyleAugError):
    """A result file is not what it must be."""


class Row(NamedTuple):
    """One measured value.

    Attributes:
        policy: name of the augmentation policy.
        seed: of the training.
        condition: ``"clean"``, the name of a corruption or shift, ``"elsewhere"``; of durations
            ``"train"``, ``"test"`` or ``"run"``.
        severity: 1 to 5; 0 where there is none.
        metric: what was measured.
        adapted: how batch norms were adapted to those images, of :data:`ADAPTATIONS`.
        value: percent of a score, or seconds.
    """

    policy: str
    seed: int
    condition: str
    severity: int
    metric: str
    adapted: str
    value: float


@dataclass(frozen=True)
class Result:
    """Results of an experiment: metadata, and one row per value.

    Attributes:
        meta: JSON-able; see ``benchmarks/README.md`` for its entries.
        rows: the values; no two rows differ in their value alone.

    Raises:
        ResultError: if an entry or a row is invalid.
    """

    meta: Mapping[str, Any]
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        missing = [name for name in _REQUIRED if name not in self.meta]
        if missing:
            raise ResultError(f"The metadata of a result lacks {', '.join(missing)}.")
        known: set[tuple[Any, ...]] = set()
        for number, row in enumerate(self.rows):
            _check_row(row, number, self.meta)
            if row[:-1] in known:
                raise ResultError(f"Row {number} repeats {row[:-1]}; each is measured once.")
            known.add(row[:-1])

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read a result file.

        Raises:
            ResultError: if it is no result file of this format.
            OSError: if it cannot be read.
        """
        path = Path(path)
        meta, columns, rows = read_table(path)
        try:
            if columns != list(Row._fields):
                raise ResultError(f"its columns must be {', '.join(Row._fields)}")
            return cls(meta, tuple(_row(*row) for row in rows))
        except (TypeError, ResultError) as error:
            raise ResultError(f"{path.name} is no experiment's result: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write a result file, a row a line, atomically.

        Raises:
            ValueError: if the metadata holds NaN or an infinity, which JSON has not.
        """
        write_table(Path(path), self.meta, Row._fields, self.rows)

    # ------------------------------------------------------------ what it holds

    @property
    def metric(self) -> str:
        """What the task is judged by."""
        return str(self.meta["task"]["metric"])

    @property
    def policies(self) -> list[str]:
        """Names of the policies, in the order of the rows."""
        return list(dict.fromkeys(row.policy for row in self.rows))

    @property
    def seeds(self) -> list[int]:
        """Seeds, sorted."""
        return sorted({row.seed for row in self.rows})

    @property
    def metrics(self) -> list[str]:
        """Scores that were taken, without durations; what the task is judged by comes first."""
        found = dict.fromkeys(row.metric for row in self.rows if row.metric not in SECONDS)
        return sorted(found, key=lambda name: name != self.metric)

    @property
    def conditions(self) -> list[str]:
        """Conditions under which all policies were scored, ``"clean"`` among them, in order."""
        scored: dict[str, set[str]] = {}
        for row in self.rows:
            if row.metric == self.metric and not row.adapted:
                scored.setdefault(row.condition, set()).add(row.policy)
        everyone = {row.policy for row in self.rows}
        return [name for name, by in scored.items() if by == everyone]

    # ------------------------------------------------------------ selecting rows

    def select(self, **wanted: Any) -> Result:
        """Rows whose columns have the wanted values.

        Args:
            **wanted: column -> a value, or a collection of values; columns that are not named may
                hold anything.

        Raises:
            ValueError: if there is no such column.

        Examples:
            ``result.select(policy="flips only", condition={"fog", "snow"}, severity=3)``
        """
        unknown = sorted(set(wanted) - set(Row._fields))
        if unknown:
            raise ValueError(f"Columns are {', '.join(Row._fields)}, but got {unknown}.")
        places = [(Row._fields.index(name), _accepting(value)) for name, value in wanted.items()]
        kept = (row for row in self.rows if all(row[k] in values for k, values in places))
        return replace(self, rows=tuple(kept))

    def scores(
        self,
        policy: str,
        conditions: str | Collection[str] = CLEAN,
        *,
        metric: str | None = None,
        adapted: str = AS_TRAINED,
        severity: int | Collection[int] | None = None,
    ) -> dict[int, float]:
        """Seed -> the mean over conditions and severities; of one metric, never of several.

        Args:
            policy: name of the policy.
            conditions: a condition or several. All of them must have been measured: a mean over
                fewer does not compare.
            metric: by default what the task is judged by.
            adapted: how batch norms were adapted to the images, of :data:`ADAPTATIONS`.
            severity: one or several; by default all.

        Returns:
            An empty dict if nothing was measured.

        Raises:
            ResultError: if a part of the conditions was not measured with every seed.
        """
        names = [conditions] if isinstance(conditions, str) else list(conditions)
        chosen = {"policy": policy, "condition": names, "metric": metric or self.metric}
        levels = {} if severity is None else {"severity": severity}
        rows = self.select(**chosen, adapted=adapted, **levels).rows
        found: dict[int, dict[tuple[str, int], float]] = {}
        for row in rows:
            found.setdefault(row.seed, {})[row.condition, row.severity] = row.value
        measured = {key for values in found.values() for key in values}
        lacking = set(names) - {condition for condition, _ in measured}
        if found and (lacking or any(set(values) != measured for values in found.values())):
            raise ResultError(
                f"{self.meta['name']}: {policy!r} was not measured under all of "
                f"{', '.join(names)} with every seed; take a mean over conditions that were."
            )
        return {seed: math.fsum(v.values()) / len(v) for seed, v in sorted(found.items())}


def read_results(folder: str | Path) -> dict[str, Result]:
    """Read all results of a folder, by the name in their metadata.

    Raises:
        ResultError: if a file is no result.
    """
    loaded: Iterable[Result] = map(Result.load, sorted(Path(folder).glob("*.json")))
    return {result.meta["name"]: result for result in loaded}


def read_table(path: Path) -> tuple[dict[str, Any], list[str], list[list[Any]]]:
    """Metadata, columns and rows of a result file of any suite.

    Raises:
        ResultError: if it is none.
        OSError: if it cannot be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise ValueError(f"it has format {data['format']!r}")
        return data["meta"], data["columns"], data["rows"]
    except (ValueError, KeyError, TypeError) as error:
        raise ResultError(f"{path.name} is no result of format {FORMAT}: {error!r}.") from error


def write_table(
    path: Path, meta: Mapping[str, Any], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write a result file, a row a line, atomically.

    Raises:
        ValueError: if a value is NaN or an infinity, which JSON has not.
    """
    head = json.dumps(meta, indent=1, allow_nan=False, ensure_ascii=False)
    lines = ",\n".join(json.dumps(row, allow_nan=False, ensure_ascii=False) for row in rows)
    with atomic_path(path) as temporary:
        temporary.write_text(
            f'{{"format": {FORMAT},\n"meta": {head},\n"columns": {json.dumps(columns)},\n'
            f'"rows": [\n{lines}\n]}}\n',
            encoding="utf-8",
        )


def _row(*values: Any) -> Row:
    """A row; where results of before tell whether norms were adapted, they were to the target."""
    row = Row(*values)
    known = {True: TARGET, False: AS_TRAINED}
    return row._replace(adapted=known[row.adapted]) if isinstance(row.adapted, bool) else row


def _accepting(value: Any) -> Collection[Any]:
    """What a column may hold: a single value, or each of a collection."""
    return (value,) if isinstance(value, str) or not isinstance(value, Collection) else value


def _check_row(row: Row, number: int, meta: Mapping[str, Any]) -> None:
    types = (str, int, str, int, str, str, (int, float))
    for name, value, kind in zip(Row._fields, row, types, strict=True):
        if not isinstance(value, kind) or isinstance(value, bool):  # type: ignore[arg-type]
            raise ResultError(f"Row {number}: {name} must not be {value!r}.")
    if row.adapted not in ADAPTATIONS:
        raise ResultError(f"Row {number}: adapted must not be {row.adapted!r}.")
    if not 0 <= row.severity <= 5:
        raise ResultError(f"Row {number}: severity must be 0 to 5, but is {row.severity}.")
    if not math.isfinite(row.value):
        raise ResultError(f"Row {number}: value must be finite, but is {row.value}.")
    if "policies" in meta and row.policy not in meta["policies"]:
        raise ResultError(f"Row {number}: the metadata knows no policy {row.policy!r}.")
