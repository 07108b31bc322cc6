"""glTF and GLB: the images of base colours are replaced, everything else stays bit for bit."""

from __future__ import annotations

import binascii
import json
import struct
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from PIL import Image

from styleaug.mesh.accessors import Use, surface_of
from styleaug.mesh.gltf_bytes import (
    BIN,
    JSON,
    MAGIC,
    Json,
    put_image,
    read_chunks,
    read_data_uri,
    write_chunks,
    write_data_uri,
)
from styleaug.mesh.paint import Paint
from styleaug.mesh.references import beside, encode_texture, open_texture, prefixed
from styleaug.mesh.texture import Texture, restyle_texture

_REPEAT = 10497
_COMPRESSED = ("KHR_draco_mesh_compression", "EXT_meshopt_compression")
_BASE = ("baseColorTexture", "diffuseTexture")
"""Entries of materials; the second one of ``KHR_materials_pbrSpecularGlossiness``."""


class Gltf:
    """A glTF or GLB file.

    Args:
        path: of the file.

    Attributes:
        references: the files that it needs, below its folder.

    Raises:
        ValueError: if it is damaged or compressed, or has no base-colour texture, or no UVs.
        OSError: if it, or a file that it needs, is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path, content = path, path.read_bytes()
        self._plain = not content.startswith(MAGIC)
        try:
            self._chunks = read_chunks(content)
            self._json: Json = json.loads(self._chunks[0][1])
            self._read()
        except (
            *(LookupError, TypeError, AttributeError, ArithmeticError, struct.error),
            *(json.JSONDecodeError, UnicodeDecodeError, binascii.Error),
        ) as error:
            raise ValueError(
                f"{path} must be whole and valid glTF, but is not ({error})."
            ) from error

    def _read(self) -> None:
        gltf, path = self._json, self.path
        for extension in _COMPRESSED:
            if extension in gltf.get("extensionsUsed", []):
                raise ValueError(f"{path} must be uncompressed, but uses {extension}.")
        self.references = [beside(path, uri) for uri in _uris(gltf)]
        self._buffers: list[bytes] = []
        for buffer in gltf.get("buffers", []):
            self._buffers.append(self._load(buffer)[: buffer["byteLength"]])
            if len(self._buffers[-1]) < buffer["byteLength"]:
                raise IndexError(f"a buffer is cut off at {len(self._buffers[-1])} bytes")
        self._uses: dict[int, list[Use]] = {}  # of base colours, by texture
        others = set()  # textures of other maps
        for number, material in enumerate(gltf.get("materials", [])):
            for key, info in _infos(material):
                if key in _BASE:
                    self._uses.setdefault(info["index"], []).append((number, info))
                else:
                    others.add(info["index"])
        self._shared_textures = others & set(self._uses)
        self._shared = {i for t in others for i in _images_of(gltf["textures"][t])}
        images = {i for t in self._uses for i in _images_of(gltf["textures"][t])}
        if not images:
            raise ValueError(
                f"{path} must have a base-colour texture, but its materials have none."
            )
        self._textures = {index: self._texture(index) for index in sorted(images)}
        if all(texture.surface is None for texture in self._textures.values()):
            raise ValueError(f"{path} must have UVs where it has a texture, but has none.")

    def _load(self, part: Json) -> bytes:
        """Bytes of a buffer or an image."""
        uri: str | None = part.get("uri")
        if uri is not None:
            if uri.startswith("data:"):
                return read_data_uri(uri)
            return (self.path.parent / beside(self.path, uri)).read_bytes()
        if "bufferView" not in part:
            return dict(self._chunks)[BIN]
        view = self._json["bufferViews"][part["bufferView"]]
        first: int = view.get("byteOffset", 0)
        content: bytes = self._buffers[view["buffer"]][first : first + view["byteLength"]]
        return content

    def _texture(self, index: int) -> Texture:
        """An image of base colours, with what it covers."""
        gltf = self._json
        textures = [t for t in self._uses if index in _images_of(gltf["textures"][t])]
        samplers = [gltf["textures"][t].get("sampler") for t in textures]
        wraps = [gltf["samplers"][s] for s in samplers if s is not None]
        down, across = (
            all(wrap.get(key, _REPEAT) == _REPEAT for wrap in wraps) for key in ("wrapT", "wrapS")
        )
        uses = [use for texture in textures for use in self._uses[texture]]
        image = open_texture(self._load(gltf["images"][index]), f"{self.path} (image {index})")
        return Texture(image, surface_of(gltf, self._buffers, uses), (down, across))

    def restyle(self, paint: Paint, name: str) -> dict[str, bytes]:
        """Its files under a new name, by their paths; that of the model comes last."""
        styled = {i: restyle_texture(texture, paint) for i, texture in self._textures.items()}
        changed = {i: image for i, image in styled.items() if image is not self._textures[i].image}
        if changed:
            return self._written(changed, name)
        return {**self._beside(self._json), name: self.path.read_bytes()}

    def _beside(self, gltf: Json) -> dict[str, bytes]:
        """Files that a JSON needs, of those that are there."""
        places = [self.path.parent / unquote(uri) for uri in _uris(gltf)]
        return {
            place.relative_to(self.path.parent).as_posix(): place.read_bytes()
            for place in places
            if place.is_file()
        }

    def _written(self, changed: dict[int, Image.Image], name: str) -> dict[str, bytes]:
        """The file with other images, and those files beside it that are new."""
        gltf, buffers = deepcopy(self._json), list(self._buffers)
        files: dict[str, bytes] = {}

        def put(part: Json, content: bytes) -> None:
            if part["uri"].startswith("data:"):
                part["uri"] = write_data_uri(part["uri"], content)
            else:
                place = prefixed(beside(self.path, part["uri"]), PurePosixPath(name).stem)
                part["uri"], files[str(place)] = quote(str(place)), content

        twins = self._twins(gltf, changed)
        for index, image in changed.items():
            content = encode_texture(image, self._textures[index].image)
            target = gltf["images"][twins.get(index, index)]
            if "uri" in target:
                put(target, content)
            else:
                put_image(gltf, buffers, target, content)
        chunks = dict(self._chunks)
        for old, new, part in zip(self._buffers, buffers, gltf.get("buffers", []), strict=True):
            if old is not new and "uri" in part:
                put(part, new)
            elif old is not new:
                chunks[BIN] = new
        files = {**self._beside(gltf), **files}
        layout: dict[str, Any] = {"indent": 2} if self._plain else {"separators": (",", ":")}
        chunks[JSON] = json.dumps(gltf, **layout).encode()
        return {**files, name: chunks[JSON] if self._plain else write_chunks(list(chunks.items()))}

    def _twins(self, gltf: Json, changed: dict[int, Image.Image]) -> dict[int, int]:
        """Second entries for images that other maps need as they are."""
        twins = {}
        for index in self._shared & set(changed):
            twins[index] = len(gltf["images"])
            gltf["images"].append(dict(gltf["images"][index]))
        if not twins:
            return {}
        seconds: dict[int, int] = {}
        for number in self._uses:
            texture = gltf["textures"][number]
            if not twins.keys() & set(_images_of(texture)):
                continue
            if number in self._shared_textures:
                texture = deepcopy(texture)
                seconds[number] = len(gltf["textures"])
                gltf["textures"].append(texture)
            for holder in _holders(texture):
                holder["source"] = twins.get(holder["source"], holder["source"])
        for material in gltf["materials"]:
            for key, info in _infos(material):
                if key in _BASE:
                    info["index"] = seconds.get(info["index"], info["index"])
        return twins


def _uris(gltf: Json) -> list[str]:
    """References to other files, once each."""
    parts = [*gltf.get("buffers", []), *gltf.get("images", [])]
    uris = [part["uri"] for part in parts if not part.get("uri", "data:").startswith("data:")]
    return list(dict.fromkeys(uris))


def _infos(part: Any) -> Iterator[tuple[str, Json]]:
    """All entries of textures in a material, with their names."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key.endswith("Texture") and isinstance(value, dict) and "index" in value:
                yield key, value
            else:
                yield from _infos(value)


def _holders(texture: Json) -> list[Json]:
    """What names an image of a texture: itself, and extensions for other formats."""
    parts = [texture, *texture.get("extensions", {}).values()]
    return [part for part in parts if "source" in part]


def _images_of(texture: Json) -> list[int]:
    return [part["source"] for part in _holders(texture)]
