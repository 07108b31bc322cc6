"""Colour images of 16 bits a channel, by OpenCV: Pillow would silently read 8 of them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from styleaug.errors import MissingExtraError

_ORIENTATION = 0x0112
_ICC_PROFILE = 34675
"""Tags of EXIF and TIFF."""


def has_deep_colours(path: Path) -> bool:
    """Whether a file that Pillow reads as colours of 8 bits holds 16 bits a channel."""
    with Image.open(path) as file:
        return _stored(file) is not None


def read_deep_colours(path: Path) -> Tensor:
    """Read what :func:`has_deep_colours` has found: uint16 (3, H, W), or (4, H, W) with alpha.

    Raises:
        ValueError: if it is neither RGB nor RGBA, or lies on its side.
        OSError: if it cannot be read.
        MissingExtraError: without OpenCV.
    """
    with Image.open(path) as file:
        stored, kind = _stored(file), file.format
        turned = file.getexif().get(_ORIENTATION, 1) != 1
    if kind not in ("PNG", "TIFF") or stored not in ("RGB", "RGBA") or turned:
        raise ValueError(
            f"{path} must be an upright RGB or RGBA image in a PNG or TIFF file, since it has 16 "
            f"bits a channel, but is {stored} in {kind}{', turned by its EXIF tag' * turned}. "
            "Convert it, or use gray or 8 bits."
        )
    cv2 = _opencv()
    # from memory: imread knows no names of other encodings
    found = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16 or found.shape[2:] != (len(stored),):
        raise OSError(f"{path} must be a readable image, but OpenCV cannot read it.")
    order = [2, 1, 0, 3][: len(stored)]
    return torch.from_numpy(found[..., order].transpose(2, 0, 1).copy())


def encode_deep_colours(tensor: Tensor, like: Path) -> bytes:
    """A file of 16-bit colours (3 or 4, H, W), in the format of another, with its profile and dpi.

    Raises:
        MissingExtraError: without OpenCV.
    """
    cv2 = _opencv()
    with Image.open(like) as file:
        info, kind = dict(file.info), file.format
    order = [2, 1, 0, 3][: len(tensor)]
    pixels = np.ascontiguousarray(tensor.cpu().numpy()[order].transpose(1, 2, 0))
    profile, dpi = info.get("icc_profile"), info.get("dpi")
    if kind == "PNG":
        return _png(cv2.imencode(".png", pixels)[1].tobytes(), profile, dpi)
    settings = [cv2.IMWRITE_TIFF_COMPRESSION, 5]  # LZW
    if dpi:
        settings += [cv2.IMWRITE_TIFF_RESUNIT, 2]
        settings += [cv2.IMWRITE_TIFF_XDPI, round(dpi[0]), cv2.IMWRITE_TIFF_YDPI, round(dpi[1])]
    tiff = cv2.imencode(".tif", pixels, settings)[1].tobytes()
    return _tiff_with_profile(tiff, profile) if profile else tiff


def _stored(file: Any) -> str | None:
    """The channels of 16 bits that a file holds where Pillow would give 8; None otherwise."""
    if not file.tile or file.mode.startswith(("I", "F")):
        return None
    arguments = file.tile[0][3]
    raw, *rest = (arguments,) if isinstance(arguments, str) else arguments or ("",)
    channels, _, depth = str(raw).partition(";")
    if depth.startswith("16"):
        return channels
    if file.format == "PPM" and any(isinstance(white, int) and white > 255 for white in rest):
        return channels
    return None


def _png(png: bytes, profile: bytes | None, dpi: tuple[float, float] | None) -> bytes:
    """A PNG file with chunks that tell colour profile and resolution."""
    start = 8 + 25  # signature, and the header's chunk
    chunks = b""
    if profile:
        chunks += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))
    if dpi:
        per_metre = [round(value / 0.0254) for value in dpi]
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1))
    return png[:start] + chunks + png[start:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _tiff_with_profile(tiff: bytes, profile: bytes) -> bytes:
    """A TIFF file whose directory, written anew at its end, names a colour profile, too."""
    order = "<" if tiff[:2] == b"II" else ">"
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    entries = [tiff[start + 2 + 12 * k : start + 14 + 12 * k] for k in range(count)]
    place = len(tiff) + len(tiff) % 2  # offsets are even
    entries.append(struct.pack(f"{order}HHII", _ICC_PROFILE, 7, len(profile), place))
    entries.sort(key=lambda entry: struct.unpack_from(f"{order}H", entry))
    content = tiff.ljust(place, b"\0") + profile + b"\0" * (len(profile) % 2)
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
    return content[:4] + struct.pack(f"{order}I", len(content)) + content[8:] + directory


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("cv2", "deep") from error
    return cv2
