"""An experiment as a TOML file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.elpv import CRYSTALS, NOTES, read_elpv
from benchmarks.robustness.patches import split_patches
from styleaug.datasets import DefectSet, read_defects
from styleaug.evaluate.corruptions import Condition, corrupt_images
from styleaug.evaluate.policies import build_policy
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.split import LOOKS, Split, split_by_line, split_by_look, split_defects
from styleaug.evaluate.tasks import ImageSet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIGS = Path(__file__).parent / "configs"
VARIANTS = Path(__file__).parent / "variants"
COMMON = "common.toml"
ELPV = "elpv"
_TABLES = ("policies", "protocol")


def config_path(text: str) -> Path:
    """The file of a config: its path, or its name here."""
    return _path(CONFIGS, text)


def variant_path(text: str) -> Path:
    """The file of a variant: its path, or its name here."""
    return _path(VARIANTS, text)


def _path(folder: Path, text: str) -> Path:
    named = folder / f"{text}.toml"
    return named if named.is_file() else Path(text)


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
        patches: side in pixels of the squares that images with masks are cut into, to tell those
            with a defect from those without; or None for whole images.
        only: labels whose images are taken, where a dataset has labels; by default all.
        shift: pairs of a shift and its severity, in turn, that the test images go through to be
            seen elsewhere.
        suite: folder of its result.
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
    patches: int | None = None
    only: Sequence[str] = ()
    shift: Sequence[tuple[str, int]] = ()
    suite: str = "robustness"

    def __post_init__(self) -> None:
        for text in self.policies.values():
            build_policy(text)
        if self.part_by not in (None, *LOOKS):
            raise ConfigError(f"part_by must be one of {', '.join(LOOKS)}: {self.part_by!r}.")
        if self.line and self.task != "classification":
            raise ConfigError("line compares classes, and no masks or boxes.")
        if self.part_by and (self.line or self.data == ELPV):
            raise ConfigError("part_by splits folders of images, and not by line as well.")
        if self.data == ELPV and self.line not in (None, *CRYSTALS):
            raise ConfigError(f"line of elpv must be {' or '.join(CRYSTALS)}: {self.line!r}.")
        if self.patches and not self.line:
            raise ConfigError("patches are cut of a dataset and of a line.")

    @classmethod
    def load(cls, path: Path, variant: Path | None = None) -> Config:
        """Read a config; what all of its folder share stands in ``common.toml`` there.

        Args:
            path: of the config.
            variant: of a file whose entries replace those of the config, for another network or
                longer trainings; its policies stand in place of the config's.
        """
        known = {f.name for f in fields(cls)} - {"name"}
        shared = path.with_name(COMMON)
        told = f"{path.name} as {variant.name}" if variant else path.name
        try:
            entries = _read(path)
            if shared.is_file():
                entries = _merged(_read(shared), entries)
            if variant:
                entries = _merged({**entries, "policies": {}}, _read(variant))
            if not entries.keys() <= known:
                raise ConfigError(f"entries are {', '.join(sorted(known))}.")
            config = cls(path.stem, **entries)
            config.make_protocol()
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{told}: {error}") from error
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
        line = self._chosen(folder / self.line) if self.line else None
        return self._split(self._chosen(folder / self.data), line, protocol)

    def _chosen(self, folder: Path) -> DefectSet:
        defects = read_defects(folder)
        kept = tuple(
            s for s in defects.samples if not (self.only and s.label) or s.label in self.only
        )
        return replace(defects, samples=kept)

    def _split(self, defects: DefectSet, line: DefectSet | None, protocol: Protocol) -> Split:
        if line and self.patches:
            split = split_patches(defects, line, protocol, side=self.patches)
        elif line:
            split = split_by_line(defects, line, protocol, same=self.same)
        elif self.part_by:
            split = split_by_look(defects, protocol, look=self.part_by, kind=self.task)
        else:
            split = split_defects(defects, protocol, kind=self.task)
        return shifted(split, self.shift) if self.shift else split


def _read(path: Path) -> dict[str, Any]:
    entries: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return entries


def _merged(entries: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Entries, tables of which are merged; their own ones replace the others."""
    tables = {name: {**entries.get(name, {}), **own.get(name, {})} for name in _TABLES}
    return {**entries, **own, **tables}


def shifted(split: Split, shifts: Sequence[tuple[str, int]]) -> Split:
    """A split whose test images are also seen elsewhere, after shifts in turn."""
    pixels = split.test.images.permute(0, 2, 3, 1).contiguous().numpy()
    for name, severity in shifts:
        pixels = corrupt_images(pixels, Condition(name, severity))
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    told = ", then ".join(f"{name} of severity {severity}" for name, severity in shifts)
    note = f"Tested elsewhere on the same test images under {told}."
    return replace(
        split, notes=(*split.notes, note), elsewhere=ImageSet(images, split.test.targets)
    )
