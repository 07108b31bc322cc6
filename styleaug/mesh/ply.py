"""PLY with vertex colours: red, green and blue of vertices change, every other byte stays."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from styleaug.mesh.paint import Paint
from styleaug.mesh.uv import Array

_TYPES = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "i2",
    "int16": "i2",
    "ushort": "u2",
    "uint16": "u2",
    "int": "i4",
    "int32": "i4",
    "uint": "u4",
    "uint32": "u4",
    "float": "f4",
    "float32": "f4",
    "double": "f8",
    "float64": "f8",
}
_COLOURS = ("red", "green", "blue")


class Ply:
    """A PLY file with colours at its vertices.

    Args:
        path: of the file.

    Attributes:
        references: none.

    Raises:
        ValueError: if it is damaged, or its vertices have no colours of 8 bits.
        OSError: if it is missing.
    """

    references: tuple[PurePosixPath, ...] = ()

    def __init__(self, path: Path) -> None:
        self._content = path.read_bytes()
        try:
            self._read_header()
        except (ValueError, KeyError, IndexError) as error:
            raise ValueError(
                f"{path} must be a valid PLY file, but is damaged ({error})."
            ) from error
        if any(self._types.get(name) != "u1" for name in _COLOURS):
            raise ValueError(
                f"{path} must have vertex colours of 8 bits (red, green, blue), but has the "
                f"properties {', '.join(self._types)}."
            )
        try:
            self._colours = self._read_colours()
        except (ValueError, IndexError, OverflowError) as error:
            raise ValueError(
                f"{path} must be whole and valid PLY, but is not ({error})."
            ) from error

    def _read_header(self) -> None:
        head, mark, _ = self._content.partition(b"end_header")
        if not head.startswith(b"ply") or not mark:
            raise ValueError("it has no header")
        self._start = self._content.index(b"\n", len(head)) + 1
        lines = [line.split() for line in head.decode("ascii", "replace").splitlines()]
        self._format = {line[0]: line[1] for line in lines if len(line) > 1}["format"]
        element, self._types, self._count = "", dict[str, str](), 0
        for line in lines:
            if line[:1] == ["element"]:
                if not element and line[1] != "vertex":
                    raise ValueError("its vertices must come first")
                element = line[1]
                if element == "vertex":
                    self._count = int(line[2])
            elif line[:1] == ["property"] and element == "vertex":
                self._types[line[2]] = _TYPES[line[1]]

    def _vertices(self, content: bytes | bytearray) -> Array:
        """The vertices of a binary file, a view of its content."""
        order = ">" if self._format == "binary_big_endian" else "<"
        kind = np.dtype([(name, order + code) for name, code in self._types.items()])
        return np.frombuffer(content, kind, count=self._count, offset=self._start)

    def _rows(self) -> tuple[list[bytes], bytes]:
        """The lines of the vertices of a file of text, and what follows."""
        lines = self._content[self._start :].split(b"\n", self._count)
        if len(lines) < self._count or not lines[self._count - 1].strip():
            raise ValueError(f"it has fewer than {self._count} vertices")
        return lines[: self._count], b"\n".join(lines[self._count :])

    def _read_colours(self) -> Array:
        if self._format != "ascii":
            vertices = self._vertices(self._content)
            return np.stack([vertices[name] for name in _COLOURS], axis=1)
        columns = [list(self._types).index(name) for name in _COLOURS]
        cells = [[line.split()[k] for k in columns] for line in self._rows()[0]]
        return np.array(cells).reshape(-1, 3).astype(np.uint8)

    def restyle(self, paint: Paint, name: str) -> dict[str, bytes]:
        """The file under a new name."""
        colours = paint.tone(self._colours)
        if np.array_equal(colours, self._colours):
            return {name: self._content}
        if self._format != "ascii":
            content = bytearray(self._content)
            for k, colour in enumerate(_COLOURS):
                self._vertices(content)[colour] = colours[:, k]
            return {name: bytes(content)}
        columns = [list(self._types).index(colour) for colour in _COLOURS]
        rows, rest = self._rows()
        written = []
        for row, values in zip(rows, colours.tolist(), strict=True):
            words = row.split()
            for column, value in zip(columns, values, strict=True):
                words[column] = b"%d" % value
            end = b"\r" if row.endswith(b"\r") else b""
            written.append(b" ".join(words) + end)
        tail = [rest] if rest or self._content.endswith(b"\n") else []
        return {name: self._content[: self._start] + b"\n".join([*written, *tail])}
