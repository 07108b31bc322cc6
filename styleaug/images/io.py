"""Finding, reading and writing image files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from styleaug.files import atomic_path
from styleaug.images.checks import check_bits, check_image_tensor, check_path
from styleaug.images.color import to_dtype, to_float
from styleaug.images.deep import encode_deep_colours, has_deep_colours, read_deep_colours

T = TypeVar("T")

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})

_LOSSLESS = frozenset({"tiff_lzw", "tiff_adobe_deflate", "packbits", "group3", "group4"})
"""Compressions of TIFF files, as Pillow calls them."""

_LEFT_BEHIND = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"})
"""Folders of operating systems and network drives, with previews and remains of images."""


def find_images(folder: str | Path) -> list[Path]:
    """All image files below ``folder``, by suffix, sorted.

    Links to folders are followed, but not in circles. What systems and tools leave behind is passed
    over: hidden files and folders (``._1.jpg``, ``.ipynb_checkpoints``), ``__MACOSX``, ``@eaDir``.
    A link to a file that is gone is listed, so that its loss is noticed.

    Raises:
        ValueError: if it is not a folder, or holds no image.
    """
    root = check_path("An image folder", folder)
    if not root.is_dir():
        trouble = "is a file" if root.exists() else "does not exist"
        raise ValueError(f"{root} must be a folder of images, but {trouble}. Check the path.")
    found = sorted(p for p in walk(root) if p.suffix.lower() in SUFFIXES)
    if not found:
        raise ValueError(
            f"{root} must hold images ({', '.join(sorted(SUFFIXES))}), but has none. Name the "
            "folder that holds them, or convert them."
        )
    return found


def walk(root: Path, *, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """All files below a folder, in no order; see :func:`find_images` for what is passed over.

    Args:
        root: the folder.
        above: the real folders that led here, into which no link leads back.
    """
    above = (*above, root.resolve())
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _LEFT_BEHIND:
                continue
            path = root / entry.name
            if not entry.is_dir():
                if entry.is_file() or entry.is_symlink():  # and no pipe, which would be waited for
                    yield path
            elif not entry.is_symlink() or path.resolve() not in above:
                yield from walk(path, above=above)


def list_images(sources: str | Path | Iterable[str | Path]) -> list[Path]:
    """Files, as they are given, and all image files of folders.

    Raises:
        ValueError: if a source is neither a file nor a folder with images.
    """
    listed = [sources] if isinstance(sources, str | Path) else sources
    found: list[Path] = []
    for entry in listed:
        source = check_path("A file or folder of images", entry)
        if not source.exists():
            raise ValueError(
                f"{source} must be an image or a folder of images, but does not exist. Check the "
                "path."
            )
        found += [source] if source.is_file() else find_images(source)
    return found


def spread(items: Sequence[T], limit: int) -> list[T]:
    """At most ``limit`` of some items, evenly from all."""
    count = min(limit, len(items))
    return [items[k * len(items) // count] for k in range(count)]


def load_image(path: Path) -> Image.Image:
    """Read an image completely, turned upright.

    Raises:
        OSError: if it cannot be read; the message names the file.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            image.load()
    except FileNotFoundError as error:
        raise OSError(f"{path} must be an image, but does not exist. Check the path.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow raises all of these for damaged files, depending on the format
        raise OSError(f"{path} must be a readable image, but is not ({error}).") from error
    return image


def load_rgb(path: Path, *, bits: int | None = None) -> Image.Image:
    """Read an image completely as RGB of 8 bits.

    Args:
        path: of the file.
        bits: that 16-bit files hold, see :func:`read_picture`. The highest 8 of them are kept.

    Raises:
        OSError: if it cannot be read; the message names the file.
        ValueError: if its values have more bits, or are floating point outside [0, 1].
    """
    image = load_image(path)
    if image.mode.startswith(("I", "F")) or (bits and _is_deep(path, image)):
        tensor = _pixels(path, image, check_bits(bits))
        if tensor.dtype == torch.uint16:
            tensor = (tensor.to(torch.int32) >> (bits or 16) - 8).to(torch.uint8)
        image = to_image(to_dtype(to_float(tensor), torch.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns of the straight way to RGB
    return image.convert("RGB")


def read_picture(path: Path, *, bits: int | None = None) -> Tensor:
    """Read an image completely, as deep as it is: gray with C = 1, or RGB; without alpha.

    16-bit colours need the extra ``deep``.

    Args:
        path: of the file.
        bits: that the values of 16-bit files have, from 9 to 16: cameras of 12 bits write files of
            16. Other files tell it themselves.

    Returns:
        (C, H, W), upright: uint8, uint16 of 16-bit files, or float32 in [0, 1] of float TIFFs.

    Raises:
        OSError: if it cannot be read; the message names the file.
        ValueError: if it has several pages, more bits, or values outside [0, 1].
        MissingExtraError: if it needs OpenCV, which is not there.
    """
    check_bits(bits)
    image = load_image(path)
    with Image.open(path) as file:
        # phones add a preview or another view to a JPEG, which Pillow then calls MPO
        pages = getattr(file, "n_frames", 1) if file.format != "MPO" else 1
    if pages > 1:
        raise ValueError(f"{path} must hold one image, but has {pages} pages. Split it.")
    return _pixels(path, image, bits)


def _pixels(path: Path, image: Image.Image, bits: int | None) -> Tensor:
    """What a file holds, of which Pillow has read an image."""
    if _is_deep(path, image):
        tensor = read_deep_colours(path)[:3]
    else:
        try:
            tensor = pixels_of(image)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    check_image_tensor(tensor, str(path), bits)
    return tensor


def _is_deep(path: Path, image: Image.Image) -> bool:
    """Whether Pillow has read half of the bits."""
    return image.mode in ("RGB", "RGBA") and has_deep_colours(path)


def encode_picture(tensor: Tensor, *, like: Path, suffix: str) -> bytes:
    """The content of a file for what became of another file's image, as that file is.

    Mode, bits, alpha, colour profile and resolution are those of the file; where nothing has
    changed, so is every byte.

    Args:
        tensor: (C, H, W), as :func:`read_picture` has given it.
        like: the other file.
        suffix: of the file to write, of the same format.

    Raises:
        OSError: if the other file cannot be read, or the format cannot hold the image.
        MissingExtraError: if it needs OpenCV, which is not there.
    """
    tensor = tensor.cpu()
    before = load_image(like)
    deep = _is_deep(like, before)
    if torch.equal(tensor, _pixels(like, before, None)):
        return like.read_bytes()
    if deep:
        alpha = read_deep_colours(like)[3:]
        return encode_deep_colours(_stacked(tensor, alpha), like)
    return encode_image(image_like(tensor, before), suffix, **_kept(before, suffix))


def write_picture(path: Path, tensor: Tensor, *, like: Path) -> None:
    """Write what became of a file's image, atomically; see :func:`encode_picture`."""
    content = encode_picture(tensor, like=like, suffix=path.suffix)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _stacked(colours: Tensor, alpha: Tensor) -> Tensor:
    both = [part.view(torch.int16) for part in (colours, alpha)]  # few kernels know uint16
    return torch.cat(both).view(torch.uint16)


def _kept(image: Image.Image, suffix: str) -> dict[str, Any]:
    """What a file tells of its image beside the pixels."""
    names = ["dpi", "icc_profile"]
    if suffix.lower() in (".tif", ".tiff") and image.info.get("compression") in _LOSSLESS:
        names.append("compression")
    return {name: image.info[name] for name in names if image.info.get(name)}


def pixels_of(image: Image.Image) -> Tensor:
    """PIL image of any mode -> (C, H, W): gray modes with C = 1, others as RGB; without alpha.

    Raises:
        ValueError: as of :func:`to_tensor`.
    """
    if image.mode.startswith(("I", "F")):
        return to_tensor(image)
    gray = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")  # Pillow warns of the straight way
    return to_tensor(image.convert("L" if gray else "RGB"))


def image_like(tensor: Tensor, image: Image.Image) -> Image.Image:
    """What became of the pixels of a PIL image, in its mode and with its alpha.

    Args:
        tensor: (C, H, W), as :func:`pixels_of` has given it.
        image: the image.
    """
    result = to_image(tensor)
    if image.mode.startswith("I;16"):  # convert() would clip to 8 bits
        levels = np.asarray(result).astype(np.asarray(image).dtype)
        return Image.frombytes(image.mode, image.size, levels.tobytes())
    if image.has_transparency_data and tensor.dtype == torch.uint8:
        result.putalpha(image.convert("RGBA").getchannel("A"))
    if image.mode == "P":  # convert() would dither to a fixed palette of 216 colours
        return result.quantize()
    return result if result.mode == image.mode else result.convert(image.mode)


def to_tensor(image: Image.Image) -> Tensor:
    """PIL image of mode L, RGB, 16-bit gray (I;16, I) or F -> (C, H, W), a copy.

    Returns:
        uint8; uint16 of 16-bit gray; float32 of mode F.

    Raises:
        ValueError: if values of mode I do not fit into 16 bits, or those of F not into [0, 1].
    """
    array = np.array(image)
    if image.mode == "F" and not (array.min() >= 0 and array.max() <= 1):  # also false for NaN
        raise ValueError(
            f"Images of mode F must hold values in [0, 1], but they range from {array.min():.4g} "
            f"to {array.max():.4g}. Scale them first."
        )
    if image.mode.startswith("I"):
        if array.min() < 0 or array.max() > 65535:
            raise ValueError(
                f"Images of mode {image.mode} must hold values of 16 bits, in [0, 65535], but they "
                f"range from {array.min()} to {array.max()}."
            )
        array = array.astype(np.uint16)
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())


def to_image(tensor: Tensor) -> Image.Image:
    """Tensor (C, H, W) -> PIL image: uint8 L or RGB, and with C = 1 uint16 I;16, float32 F."""
    array = tensor.cpu().numpy()
    return Image.fromarray(array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0))


def encode_image(image: Image.Image, suffix: str, **settings: Any) -> bytes:
    """The content of an image's file, in the format that its suffix names.

    Args:
        image: to write.
        suffix: of the file.
        settings: of the format, as ``Image.save`` takes them.

    Raises:
        ValueError: if no format has the suffix.
        OSError: if the format cannot hold the image.
    """
    Image.init()  # all formats, of which Pillow otherwise loads those that a path asks for
    suffix = suffix.lower()
    if suffix not in Image.EXTENSION:
        raise ValueError(
            f"An image must be written as {', '.join(sorted(SUFFIXES))}, not {suffix!r}."
        )
    quality = {"quality": 95} if suffix in {".jpg", ".jpeg", ".webp"} else {}
    file = BytesIO()
    image.save(file, format=Image.EXTENSION[suffix], **quality, **settings)
    return file.getvalue()


def save_image(path: Path, image: Image.Image, **settings: Any) -> None:
    """Write an image atomically; see :func:`encode_image`."""
    content = encode_image(image, path.suffix, **settings)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
