"""The bytes of a glTF file: its chunks, its buffers, and images put into them."""

from __future__ import annotations

import base64
import struct
from typing import Any
from urllib.parse import unquote_to_bytes

Json = dict[str, Any]
Chunk = tuple[int, bytes]

JSON, BIN = 0x4E4F534A, 0x004E4942
"""Kinds of chunks."""

MAGIC = b"glTF"
"""What a GLB file begins with."""


def read_chunks(content: bytes) -> list[Chunk]:
    """The chunks of a GLB file; of a glTF file, its JSON as the only one.

    Raises:
        IndexError: if the file is cut off.
    """
    if not content.startswith(MAGIC):
        return [(JSON, content)]
    _, version, length = struct.unpack_from("<4sII", content)
    if version != 2:
        raise LookupError(f"version {version} is not 2")
    if length > len(content):
        raise IndexError(f"it is cut off at {len(content)} of {length} bytes")
    chunks, place = [], 12
    while place < length:
        size, kind = struct.unpack_from("<II", content, place)
        chunks.append((kind, content[place + 8 : place + 8 + size]))
        place += 8 + size
    return chunks


def write_chunks(chunks: list[Chunk]) -> bytes:
    """A GLB file of chunks, each filled up to a multiple of four bytes."""
    body = b""
    for kind, content in chunks:
        content += (b" " if kind == JSON else b"\0") * (-len(content) % 4)
        body += struct.pack("<II", len(content), kind) + content
    return struct.pack("<4sII", MAGIC, 2, 12 + len(body)) + body


def read_data_uri(uri: str) -> bytes:
    """What a ``data:`` URI holds."""
    head, _, body = uri.partition(",")
    raw = unquote_to_bytes(body)
    return base64.b64decode(raw, validate=True) if head.endswith(";base64") else raw


def write_data_uri(uri: str, content: bytes) -> str:
    """A ``data:`` URI of the same type with other content."""
    kind = uri.partition(",")[0].removesuffix(";base64")
    return f"{kind};base64,{base64.b64encode(content).decode()}"


def put_image(gltf: Json, buffers: list[bytes], image: Json, content: bytes) -> None:
    """Put the content of an image into the buffer that holds it.

    It takes the old one's place, and what follows moves by a multiple of four bytes. If something
    else needs the old one, it goes to the end instead.

    Args:
        gltf: the file's JSON; is changed.
        buffers: their contents; one is replaced.
        image: an entry of ``gltf["images"]`` with a ``bufferView``.
        content: the new one.
    """
    views = gltf["bufferViews"]
    view = views[image["bufferView"]]
    number = view["buffer"]
    buffer, start = buffers[number], view.get("byteOffset", 0)
    end = start + view["byteLength"]
    others = [v for v in views if v is not view and v["buffer"] == number]
    users = [i for i in gltf["images"] if i.get("bufferView") == image["bufferView"]]
    if len(users) > 1 or any(
        v.get("byteOffset", 0) < end and v.get("byteOffset", 0) + v["byteLength"] > start
        for v in others
    ):
        buffer += b"\0" * (-len(buffer) % 4)
        image["bufferView"] = len(views)
        views.append({"buffer": number, "byteOffset": len(buffer), "byteLength": len(content)})
        buffers[number] = buffer + content
    else:
        padded = content + b"\0" * ((end - start - len(content)) % 4)
        buffers[number] = buffer[:start] + padded + buffer[end:]
        view["byteLength"] = len(content)
        for v in others:
            if v.get("byteOffset", 0) >= end:
                v["byteOffset"] += len(padded) - (end - start)
    gltf["buffers"][number]["byteLength"] = len(buffers[number])
