"""Triangles and UVs out of the buffers of a glTF file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from styleaug.mesh.uv import Array, Surface

Json = dict[str, Any]
Use = tuple[int, Json]
"""A material, and its entry of a texture: which UVs, moved how."""

_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_TRANSFORM = "KHR_texture_transform"


def surface_of(gltf: Json, buffers: Sequence[bytes], uses: Sequence[Use]) -> Surface | None:
    """What a texture covers; None if it has no UVs anywhere.

    Args:
        gltf: the file's JSON.
        buffers: their content.
        uses: of the texture.

    Raises:
        LookupError, TypeError: if the file is damaged.
    """
    surfaces = []
    for mesh in gltf.get("meshes", []):
        found = [
            parts
            for primitive in mesh["primitives"]
            for material, info in uses
            if material in _materials(primitive)
            for parts in _triangles(gltf, buffers, primitive, info)
        ]
        if found:
            points, uv = (np.concatenate(parts) for parts in zip(*found, strict=True))
            surfaces.append(Surface.of(points, uv))
    return Surface.join(surfaces) if surfaces else None


def _materials(primitive: Json) -> list[int | None]:
    variants = primitive.get("extensions", {}).get("KHR_materials_variants", {})
    others = [mapping["material"] for mapping in variants.get("mappings", [])]
    return [primitive.get("material"), *others]


def _triangles(
    gltf: Json, buffers: Sequence[bytes], primitive: Json, info: Json
) -> Iterator[tuple[Array, Array]]:
    """Points (T, 3, 3) and UVs (T, 3, 2); nothing if the primitive has none."""
    moved = info.get("extensions", {}).get(_TRANSFORM, {})
    name = f"TEXCOORD_{moved.get('texCoord', info.get('texCoord', 0))}"
    attributes, mode = primitive["attributes"], primitive.get("mode", _TRIANGLES)
    if name not in attributes or mode not in (_TRIANGLES, _STRIP, _FAN):
        return
    points = _read(gltf, buffers, attributes["POSITION"])
    uv = _moved(_read(gltf, buffers, attributes[name]), moved)
    order = np.arange(len(points))
    if "indices" in primitive:
        order = _read(gltf, buffers, primitive["indices"])[:, 0].astype(np.int64)
    if mode == _TRIANGLES:
        faces = order[: len(order) // 3 * 3].reshape(-1, 3)
    elif mode == _STRIP:
        faces = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    else:
        faces = np.stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]], axis=1)
    if len(faces):
        yield points[faces], uv[faces]


def _moved(uv: Array, transform: Json) -> Array:
    """UVs after scaling, rotation and translation."""
    angle = transform.get("rotation", 0.0)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    scale, offset = (
        np.array(transform.get(k, v)) for k, v in (("scale", (1, 1)), ("offset", (0, 0)))
    )
    moved: Array = (uv * scale) @ turn.T + offset
    return moved


def _read(gltf: Json, buffers: Sequence[bytes], index: int) -> Array:
    """Values of an accessor (count, width), float64."""
    accessor = gltf["accessors"][index]
    kind, width = np.dtype(_TYPES[accessor["componentType"]]), _WIDTHS[accessor["type"]]
    values = np.zeros((accessor["count"] if "bufferView" not in accessor else 0, width))
    if "bufferView" in accessor:
        values = _view(gltf, buffers, accessor, kind, accessor["count"], width)
    if "sparse" in accessor:
        sparse = accessor["sparse"]
        places, count = sparse["indices"], sparse["count"]
        rows = _view(gltf, buffers, places, np.dtype(_TYPES[places["componentType"]]), count, 1)
        new = _view(gltf, buffers, sparse["values"], kind, count, width)
        values = values.copy()
        values[rows[:, 0].astype(np.int64)] = new
    if accessor.get("normalized"):
        values = (values / np.iinfo(kind).max).clip(-1)
    return values


def _view(
    gltf: Json, buffers: Sequence[bytes], part: Json, kind: np.dtype[Any], count: int, width: int
) -> Array:
    view = gltf["bufferViews"][part["bufferView"]]
    stride = view.get("byteStride", kind.itemsize * width)
    first = view.get("byteOffset", 0) + part.get("byteOffset", 0)
    content = buffers[view["buffer"]]
    if count < 1 or first + (count - 1) * stride + kind.itemsize * width > len(content):
        raise IndexError(f"an accessor leaves buffer {view['buffer']}")
    rows: Array = np.ndarray((count, width), kind, content, first, (stride, kind.itemsize))
    return rows.astype(np.float64)
