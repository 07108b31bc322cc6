"""Files of models: which there are, and how each kind is read and written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Protocol

from styleaug.mesh.gltf import Gltf
from styleaug.mesh.obj import Obj
from styleaug.mesh.paint import Paint
from styleaug.mesh.ply import Ply

_KINDS: dict[str, type[Gltf] | type[Obj] | type[Ply]] = {
    ".glb": Gltf,
    ".gltf": Gltf,
    ".obj": Obj,
    ".ply": Ply,
}

SUFFIXES = frozenset(_KINDS)


class Model(Protocol):
    """A model that was read from a file."""

    @property
    def references(self) -> Iterable[PurePosixPath]:
        """The files that it needs, below its folder."""

    def restyle(self, paint: Paint, name: str) -> dict[str, bytes]:
        """Restyle the base colours.

        Args:
            paint: what happens to them.
            name: of the new file, in whose folder the others lie.

        Returns:
            Contents by path; the new file comes last. If no colour changes, it has the old bytes.
        """


def read_model(path: Path) -> Model:
    """Read a model: glTF, GLB, OBJ with MTL, or PLY with vertex colours.

    Raises:
        ValueError: if it is none, damaged, or has no base colours that can be restyled.
        OSError: if it, or a file that it needs, is missing.
    """
    if path.suffix.lower() not in _KINDS:
        raise ValueError(f"A model must be of {', '.join(sorted(SUFFIXES))}, but {path} is not.")
    return _KINDS[path.suffix.lower()](path)
