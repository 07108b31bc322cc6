"""Wavefront OBJ with MTL: the images of ``map_Kd`` are restyled, everything else is copied."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from styleaug.mesh.paint import Paint
from styleaug.mesh.references import beside, encode_texture, open_texture, prefixed
from styleaug.mesh.texture import Texture, restyle_texture
from styleaug.mesh.uv import Surface

_MAP = re.compile(
    rb"\s*(?P<kind>map_\w+|bump|disp|decal|refl|norm)\s+"
    rb"(?:-\w+(?:\s+(?:on|off|[-+.\deE]+|[rgbmlz]|sphere|cube_\w+))*\s+)*(?P<file>\S.*?)\s*$",
    re.IGNORECASE,
)
"""A line of a material that names an image, behind options such as ``-s 1 1 1``."""


class Obj:
    """An OBJ file with its materials.

    Args:
        path: of the file.

    Attributes:
        references: the files that it needs, below its folder.

    Raises:
        ValueError: if it is damaged, or has no base-colour texture, or no UVs.
        OSError: if it, its materials or a texture are missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = path.read_bytes().splitlines(keepends=True)
        self._libraries: dict[int, list[PurePosixPath]] = {}  # by line
        for number, line in enumerate(self._lines):
            if rest := _after(b"mtllib", line):
                self._libraries[number] = self._library(rest)
        places = [place for line in self._libraries.values() for place in line]
        self._materials = {
            place: (path.parent / place).read_bytes().splitlines(keepends=True) for place in places
        }
        self._others: set[PurePosixPath] = set()  # of other maps
        self._maps: dict[tuple[PurePosixPath, int], PurePosixPath] = {}  # by file and line
        users: dict[str, PurePosixPath] = {}
        for place, lines in self._materials.items():
            material = ""
            for number, line in enumerate(lines):
                if rest := _after(b"newmtl", line):
                    material = _text(rest)
                elif match := _MAP.match(line):
                    image = place.parent / beside(path.parent / place, _text(match["file"]))
                    if match["kind"].lower() == b"map_kd":
                        self._maps[place, number] = users[material] = image
                    else:
                        self._others.add(image)
        if not self._maps:
            raise ValueError(
                f"{path} must have a base-colour texture, a map_Kd in its MTL, but has none."
            )
        self.references = [*self._materials, *sorted(self._others.union(self._maps.values()))]
        try:
            surfaces = _surfaces(self._lines, users)
        except (ValueError, IndexError, ArithmeticError) as error:
            raise ValueError(
                f"{path} must be a valid OBJ file, but is damaged ({error})."
            ) from error
        if not surfaces:
            raise ValueError(f"{path} must have UVs where it has a texture, but has none.")
        self._textures = {
            image: Texture(
                open_texture((path.parent / image).read_bytes(), str(path.parent / image)),
                surfaces.get(image),
            )
            for image in dict.fromkeys(self._maps.values())
        }

    def _library(self, names: bytes) -> list[PurePosixPath]:
        """Files of a line, which may be one with blanks in its name, or several."""
        whole = _text(names)
        one = (self.path.parent / whole).is_file()
        return [beside(self.path, name) for name in ([whole] if one else whole.split())]

    def restyle(self, paint: Paint, name: str) -> dict[str, bytes]:
        """Its files under a new name, by their paths; that of the model comes last."""
        folder, stem = self.path.parent, PurePosixPath(name).stem
        files: dict[str, bytes] = {}
        changed = set()
        for image, texture in self._textures.items():
            styled = restyle_texture(texture, paint)
            if styled is not texture.image:
                files[str(prefixed(image, stem))] = encode_texture(styled, texture.image)
                changed.add(image)
        lines, needed = list(self._lines), set(self.references)
        if changed:
            needed -= {*self._materials, *(changed - self._others)}
            for place, material in self._materials.items():
                new = list(material)
                for (library, number), image in self._maps.items():
                    if library == place and image in changed:
                        target = prefixed(image, stem).relative_to(place.parent)
                        new[number] = _with_file(material[number], target)
                files[str(prefixed(place, stem))] = b"".join(new)
            for number, places in self._libraries.items():
                targets = " ".join(str(prefixed(place, stem)) for place in places)
                end = lines[number][len(lines[number].rstrip()) :]
                lines[number] = b"mtllib " + _bytes(targets) + end
        files |= {str(place): (folder / place).read_bytes() for place in needed}
        return {**files, name: b"".join(lines)}


def _after(word: bytes, line: bytes) -> bytes:
    """What a line says after its first word, if that is the one; else nothing."""
    words = line.split(None, 1)
    return words[1].strip() if len(words) == 2 and words[0] == word else b""


def _with_file(line: bytes, place: PurePosixPath) -> bytes:
    match = _MAP.match(line)
    assert match is not None
    return line[: match.start("file")] + _bytes(str(place)) + line[match.end("file") :]


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _surfaces(
    lines: list[bytes], users: Mapping[str, PurePosixPath]
) -> dict[PurePosixPath, Surface]:
    """What each image covers, of materials and their images."""
    points: list[list[float]] = []
    uvs: list[list[float]] = []
    corners: dict[PurePosixPath, list[tuple[int, int]]] = {}
    image: PurePosixPath | None = None
    for word, values in _statements(lines):
        if word == b"v":
            points.append([float(value) for value in values[:3]])
        elif word == b"vt":
            uvs.append([float(value) for value in [*values, b"0"][:2]])
        elif word == b"usemtl":
            image = users.get(_text(b" ".join(values)))
        elif word == b"f" and image is not None:
            face = [_corner(value, len(points), len(uvs)) for value in values]
            if all(uv >= 0 for _, uv in face):
                fan = [face[i] for k in range(1, len(face) - 1) for i in (0, k, k + 1)]
                corners.setdefault(image, []).extend(fan)
    space, plane = np.array(points), np.array(uvs)
    surfaces = {}
    for place, index in corners.items():
        pairs = np.array(index).reshape(-1, 3, 2)
        uv = plane[pairs[..., 1]] * (1, -1) + (0, 1)  # v points up in the file
        surfaces[place] = Surface.of(space[pairs[..., 0]], uv)
    return surfaces


def _statements(lines: list[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    for line in lines:
        words = line.partition(b"#")[0].split()
        if words:
            yield words[0], words[1:]


def _corner(value: bytes, points: int, uvs: int) -> tuple[int, int]:
    """Indices from 0 of a corner's point and UV, which count from 1, or from the end; -1: none."""
    point, uv, *_ = [*(int(part or 0) for part in value.split(b"/")), 0]
    return (
        point - 1 if point > 0 else points + point,
        uv - 1 if uv >= 0 else uvs + uv,
    )
