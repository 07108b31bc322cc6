"""What describes a YOLO dataset: a YAML file, Darknet's ``obj.data``, a list of classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from styleaug.datasets.folder import Folder
from styleaug.datasets.parsing import malformed, read_content, read_lines

_NAMES_FILES = ("classes.txt", "obj.names", "_darknet.labels", "classes.names", "names.txt")
"""One class a line: what annotation tools write."""


@dataclass(frozen=True)
class Config:
    """What describes a dataset, or nothing.

    Attributes:
        file: that says so; None without any.
        base: what its paths start from.
        entries: of each split: folders, or text files that list images.
        names: classes by their numbers.
        keypoints: whether labels hold points after their boxes.
    """

    file: Path | None = None
    base: str = ""
    entries: dict[str, list[str]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    keypoints: bool = False

    @property
    def darknet(self) -> bool:
        """Whether it is Darknet's, whose paths start from wherever Darknet ran."""
        return self.file is not None and self.file.suffix == ".data"


def find_config(folder: Folder) -> Config:
    """What the YAML file of a dataset says, or else Darknet's file; the names come with it.

    Raises:
        ValueError: if a file is malformed, or there are several.
    """
    written = folder.others(".yaml", ".yml")
    top = [file for file in written if file.parent == folder.root]
    found = [config for config in map(_read_yaml, top) if config]
    if not found:
        below = [config for file in written if file not in top and (config := _read_yaml(file))]
        found = below if len(below) == 1 else []
    if not found:
        data = folder.others(".data")
        found = [config for config in (_read_darknet(file, folder) for file in data) if config]
    if len(found) > 1:
        files = [config.file.name for config in found if config.file]
        raise ValueError(
            f"A folder must hold one YOLO dataset, but {folder.root} has {len(found)} files that "
            f"describe one: {', '.join(files)}. Keep one of them."
        )
    return found[0] if found else Config(names=_read_class_list(folder))


def is_class_list(file: Path) -> bool:
    """Whether a file lists classes, by its name."""
    return file.name.lower() in _NAMES_FILES


def _read_yaml(file: Path) -> Config | None:
    if "names" not in read_content(file):
        return None  # it may be broken: it is about something else
    content = _load_yaml(file)
    if not (isinstance(content, dict) and content.get("names")):
        return None
    entries = {
        split: _read_entries(content.get(split), f"{split} in {file}")
        for split in ("train", "val", "test")
    }
    if not (entries["train"] or entries["val"]):
        return None
    names = _read_names(content["names"], file)
    return Config(file, str(content.get("path", "")), entries, names, "kpt_shape" in content)


def _load_yaml(file: Path) -> Any:
    """The first document of a YAML file, all scalars as text: a class may be called ``no``."""
    try:
        # like SafeLoader it makes no objects, and unlike it neither numbers nor truth values
        return next(yaml.load_all(read_content(file), Loader=yaml.BaseLoader), None)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}, line {mark.line + 1}," if mark else f"{file}"
        raise malformed(where, "YAML", getattr(error, "problem", None) or str(error)) from None
    except RecursionError as error:
        raise malformed(f"{file}", "YAML", str(error)) from None


def _read_entries(value: Any, where: str) -> list[str]:
    items = value if isinstance(value, list) else [value or ""]
    if not all(isinstance(item, str) for item in items):
        raise malformed(where, "a path or a list of paths", value)
    return [item for item in items if item not in ("", "~", "null")]


def _read_names(value: Any, file: Path) -> dict[int, str]:
    """Names by index, of a list or a mapping; what has an empty name keeps its number."""
    names = dict(enumerate(value)) if isinstance(value, list) else value
    try:
        return {int(index): name.strip() or str(int(index)) for index, name in names.items()}
    except (AttributeError, TypeError, ValueError):
        must = "a list of class names, or a mapping of numbers to names"
        raise malformed(f"names in {file}", must, value) from None


def _read_darknet(file: Path, folder: Folder) -> Config | None:
    """Lines ``key = value``, with ``train``, ``valid`` and ``names``."""
    pairs = [line.partition("=") for _, line in read_lines(file)]
    content = {key.strip(): value.strip() for key, _, value in pairs}
    lists = {"train": content.get("train"), "val": content.get("valid") or content.get("val")}
    entries = {split: [value] if value else [] for split, value in lists.items()}
    if not any(entries.values()):
        return None
    return Config(file, "", entries, _read_class_list(folder))


def _read_class_list(folder: Folder) -> dict[int, str]:
    """Class names by index, of the uppermost file that lists them; none without."""
    files = sorted(filter(is_class_list, folder.files), key=lambda file: (len(file.parts), file))
    return dict(enumerate(line for _, line in read_lines(files[0]))) if files else {}
