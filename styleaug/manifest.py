"""``Manifest``: a true record of each picture in a folder, and what a rerun may keep."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import FileIO
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Any

from styleaug.files import atomic_path, digest_file, lock, remove_leftovers

LINES, TABLE = "manifest.jsonl", "manifest.csv"
"""The record, a JSON object a line, and a table of it for people."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is known of a picture that was made.

    Attributes:
        output: its path below the folder, with slashes.
        source: path of the image that it was made of.
        source_sha256: of that file's bytes.
        sha256: of its own.
        version: of styleaug.
        settings: all that decides how it was made, by name, as JSON has them.
        drawn: what it got, by name.
        left: how many pictures, made together with it, came after it.
    """

    output: str
    source: str
    source_sha256: str
    sha256: str
    version: str
    settings: Mapping[str, Any]
    drawn: Mapping[str, Any]
    left: int = 0

    def __post_init__(self) -> None:
        """Check what a file has told.

        Raises:
            TypeError: if a value is of another type.
        """
        kinds = {"settings": Mapping, "drawn": Mapping, "left": int}
        for name, value in vars(self).items():
            if not isinstance(value, kinds.get(name, str)):
                raise TypeError(f"{name} is of type {type(value).__name__}")


class Manifest:
    """The record of the pictures in a folder; a context in which pictures are added to it.

    A picture's line is written before the picture takes its place, with a digest of it, and ended
    after. So a line that a killed run has not ended counts if the picture is there, and matches.

    Args:
        folder: that holds the pictures; it need not exist.
        repair: pass over lines that are damaged.

    Attributes:
        entries: by output, in the order in which they came first.
        unfinished: outputs of pictures that were made together, where a killed run did not write
            all of them.

    Raises:
        ValueError: if a line is damaged.
    """

    def __init__(self, folder: Path, *, repair: bool = False) -> None:
        self.folder, self.path = folder, folder / LINES
        self.entries: dict[str, Entry] = {}
        self._file: FileIO | None = None
        self._before = self.path.read_bytes() if self.path.is_file() else b""
        *ended, last = self._before.split(b"\n")
        found = _parse(ended, self.path, repair=repair)
        found += [pair for pair in _parse([last], self.path, repair=True) if self._holds(pair[0])]
        self._lines = b"".join(line for _, line in found)
        self._end = len(self._lines)
        for entry, _ in found:
            self.entries[entry.output] = entry
        together = takewhile(lambda pair: pair[0].left > 0, reversed(found))
        self.unfinished = frozenset(entry.output for entry, _ in together)

    def _has(self, entry: Entry) -> bool:
        """Whether the picture of an entry is there."""
        path = self.folder / entry.output
        return os.path.isfile(path)  # noqa: PTH113 -- Path.is_file raises if a name is too long

    def _holds(self, entry: Entry) -> bool:
        """Whether the picture of an entry is there, and is what the entry says."""
        return self._has(entry) and digest_file(self.folder / entry.output) == entry.sha256

    def __enter__(self) -> Manifest:
        """Clean up behind killed runs; nothing is created before a picture is added."""
        if self.folder.is_dir():
            remove_leftovers(self.folder)
        return self

    def _open(self) -> FileIO:
        """The record, taken for this process."""
        if self._file is not None:
            return self._file
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        file = self.path.open("r+b", buffering=0)
        if not lock(file) or file.read() != self._before:
            file.close()
            raise OSError(
                f"{self.folder} must not be written by two runs at a time, but another one is at "
                "it. Wait for it, or choose another folder."
            )
        if not self._before.startswith(self._lines):  # damaged lines are passed over
            file.seek(0)
            file.write(self._lines)
        self._file = file
        return file

    def add(self, entry: Entry, content: bytes | Path) -> None:
        """Write a picture and its line.

        Args:
            entry: its line.
            content: what it holds, or a file on the same drive that is moved there.

        Raises:
            OSError: if the picture cannot be written, or another process writes to the folder.
        """
        file, line = self._open(), json.dumps(asdict(entry)).encode("ascii")
        with atomic_path(self.folder / entry.output) as temporary:
            if isinstance(content, Path):
                content.replace(temporary)
            else:
                temporary.write_bytes(content)
            file.seek(self._end)
            file.truncate()  # a line that was not ended
            self._put(line)
        self._put(b"\n")
        self._end += len(line) + 1
        self.entries[entry.output] = entry

    def _put(self, content: bytes) -> None:
        if self._open().write(content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the table, whatever has happened, and let others have the folder."""
        try:
            with suppress(*(() if error is None else (OSError,))):
                if self.entries:
                    self._write_table()
        finally:
            if self._file is not None:
                self._file.close()

    def _write_table(self) -> None:
        rows = [_row(entry) for entry in self.entries.values() if self._has(entry)]
        fields = dict.fromkeys(("output", "source", "command", "version"))
        fields.update(dict.fromkeys(name for row in rows for name in row))
        with (
            atomic_path(self.folder / TABLE) as temporary,
            # names of files may be no UTF-8; the table is
            temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            writer = csv.DictWriter(file, list(fields), restval="")
            writer.writeheader()
            writer.writerows(rows)


def _row(entry: Entry) -> dict[str, Any]:
    command = entry.settings.get("command", "")
    told = {"output": entry.output, "source": entry.source, "command": command}
    return {**told, "version": entry.version, **entry.drawn}


def _parse(lines: Sequence[bytes], path: Path, *, repair: bool) -> list[tuple[Entry, bytes]]:
    """Entries, each with its line; those that are damaged are passed over, or raised."""
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append((Entry(**json.loads(line)), line + b"\n"))
        except (ValueError, TypeError) as error:
            if not repair:
                raise ValueError(
                    f"{path} must be what styleaug wrote, but its line {number} is damaged "
                    f"({error}). Choose another --out, or make the pictures anew with --overwrite."
                ) from error
    return found
