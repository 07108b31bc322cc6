"""An experiment as a TOML file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.elpv import CRYSTALS, NOTES, read_elpv
from styleaug.datasets import read_defects
from styleaug.evaluate.policies import build_policy
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.split import LOOKS, Split, split_by_line, split_by_look, split_defects

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIGS = Path(__file__).parent / "configs"
ELPV = "elpv"


class ConfigError(ValueError):
    """A config that cannot be run; the message says what to change."""


@dataclass(frozen=True)
class Config:
    """An experiment: policies that are compared on one split of a dataset.

    Attributes:
        name: of the file, and of its result.
        purpose: the question that it answers, in a line.
        data: name of the dataset's folder; or ``elpv``, the solar cells of a package.
        task: ``classification``, ``segmentation`` or ``detection``.
        policies: expressions by name.
        protocol: what differs from what suits the task, see `Protocol`; its second score and
            adapted batch norms are taken, too.
        part_by: a look to split by instead of at random, as if another lighting or finish had made
            the other half.
        line: name of the folder of another line to test on; of ``elpv``, ``mono`` or ``poly``.
        same: classes of ``data`` and their names in ``line``, where these differ.
    """

    name: str
    purpose: str
    data: str
    task: str
    policies: Mapping[str, str]
    protocol: Mapping[str, Any] = field(default_factory=dict)
    part_by: str | None = None
    line: str | None = None
    same: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for text in self.policies.values():
            build_policy(text)
        if self.part_by not in (None, *LOOKS):
            raise ConfigError(f"part_by must be one of {', '.join(LOOKS)}: {self.part_by!r}.")
        if (self.part_by or self.line) and self.task != "classification":
            raise ConfigError("part_by and line split classes, and no masks or boxes.")
        if self.part_by and (self.line or self.data == ELPV):
            raise ConfigError("part_by splits folders of images, and not by line as well.")
        if self.data == ELPV and self.line not in (None, *CRYSTALS):
            raise ConfigError(f"line of elpv must be {' or '.join(CRYSTALS)}: {self.line!r}.")

    @classmethod
    def load(cls, path: Path) -> Config:
        """Read a config."""
        known = {f.name for f in fields(cls)} - {"name"}
        try:
            entries = tomllib.loads(path.read_text(encoding="utf-8"))
            if not entries.keys() <= known:
                raise ConfigError(f"entries are {', '.join(sorted(known))}.")
            config = cls(path.stem, **entries)
            config.make_protocol()
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{path.name}: {error}") from error
        return config

    def make_protocol(self) -> Protocol:
        """How networks are trained and tested."""
        return Protocol.of(self.task, **{"thorough": True, **self.protocol})

    def read(self, folder: Path | None, protocol: Protocol) -> Split:
        """Read the dataset, whose folder lies in ``folder``, and split it."""
        if self.data == ELPV:
            other = {"mono": "poly", "poly": "mono", None: None}[self.line]
            split = self._split(read_elpv(other), read_elpv(self.line), protocol)
            return replace(split, notes=(*split.notes, *NOTES))
        if folder is None:
            raise ConfigError(f"{self.name} needs --data, the folder in which {self.data}/ lies.")
        line = read_defects(folder / self.line) if self.line else None
        return self._split(read_defects(folder / self.data), line, protocol)

    def _split(self, defects: Any, line: Any, protocol: Protocol) -> Split:
        if self.line:
            return split_by_line(defects, line, protocol, same=self.same)
        if self.part_by:
            return split_by_look(defects, protocol, look=self.part_by)
        return split_defects(defects, protocol, kind=self.task)
