"""Finding, reading and writing image files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from styleaug.files import atomic_path

T = TypeVar("T")

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})

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
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"An image folder must exist at {root}, but there is none.")
    found = sorted(p for p in walk(root) if p.suffix.lower() in SUFFIXES)
    if not found:
        raise ValueError(f"{root} must hold images ({', '.join(sorted(SUFFIXES))}), but has none.")
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
                yield path
            elif not entry.is_symlink() or path.resolve() not in above:
                yield from walk(path, above=above)


def list_images(sources: str | Path | Iterable[str | Path]) -> list[Path]:
    """Files, as they are given, and all image files of folders.

    Raises:
        ValueError: if a source is neither a file nor a folder with images.
    """
    listed = [sources] if isinstance(sources, str | Path) else sources
    return [
        path
        for source in map(Path, listed)
        for path in ([source] if source.is_file() else find_images(source))
    ]


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
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow raises all of these for damaged files, depending on the format
        raise OSError(f"{path} must be a readable image, but is not ({error}).") from error
    return image


def load_rgb(path: Path, *, bits: int | None = None) -> Image.Image:
    """Read an image completely as RGB; 16-bit gray is scaled to 8 bits.

    Args:
        path: the file.
        bits: how many bits the values of a 16-bit image use; None: all of them.

    Raises:
        OSError: if it cannot be read; the message names the file.
    """
    image = load_image(path)
    if image.mode.startswith("I"):
        image = Image.fromarray(
            (np.asarray(image).astype(np.uint32) >> ((bits or 16) - 8))
            .clip(0, 255)
            .astype(np.uint8)
        )
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns of the straight way to RGB
    return image.convert("RGB")


def to_tensor(image: Image.Image) -> Tensor:
    """PIL image of mode L, RGB or 16-bit gray (I;16, I) -> uint8 or uint16 (C, H, W), a copy.

    Raises:
        ValueError: if values of mode I do not fit into 16 bits.
    """
    array = np.array(image)
    if image.mode.startswith("I"):
        if array.min() < 0 or array.max() > 65535:
            raise ValueError(
                f"Images of mode {image.mode} must hold values of 16 bits, in [0, 65535], but they "
                f"range from {array.min()} to {array.max()}."
            )
        array = array.astype(np.uint16)
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())


def to_image(tensor: Tensor) -> Image.Image:
    """uint8 or, with C = 1, uint16 (C, H, W), C = 1 or 3 -> PIL image of mode L, RGB or I;16."""
    array = tensor.cpu().numpy()
    return Image.fromarray(array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0))


def save_image(path: Path, image: Image.Image) -> None:
    """Write an image atomically; the suffix decides the format."""
    Image.init()  # all formats, of which Pillow otherwise loads those that a path asks for
    suffix = path.suffix.lower()
    if suffix not in Image.EXTENSION:
        raise ValueError(f"An image must be written as {', '.join(sorted(SUFFIXES))}, not {path}.")
    quality = {"quality": 95} if suffix in {".jpg", ".jpeg", ".webp"} else {}
    with atomic_path(path) as temporary:
        image.save(temporary, format=Image.EXTENSION[suffix], **quality)
