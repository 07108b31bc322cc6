"""``Look``: what the files of one sample hold, as far as it tells whether they can be used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from styleaug.datasets.samples import Sample, upright_size
from styleaug.errors import MissingExtraError
from styleaug.images.io import read_picture

Progress = Callable[[Iterable[Any], str], Iterable[Any]]

SMALLEST = 12
"""Pixels of the smallest defect that an audit measures: fewer tell no difference from chance."""
LARGEST = 0.5
"""Share of an image up to which an audit measures: beyond, there is too little to compare with."""

_KINDS = {
    "1": "1-bit",
    "L": "8-bit gray",
    "RGB": "8-bit RGB",
    "P": "8-bit palette",
    "LA": "8-bit gray with opacity",
    "RGBA": "8-bit RGB with opacity",
    "PA": "8-bit palette with opacity",
    "F": "float gray",
    "I": "32-bit gray",
}
"""What a mode of Pillow is called, where that is not its name, as CMYK."""


@dataclass(frozen=True)
class Look:
    """What was seen of a sample's files.

    It takes ten arguments because each is one thing that was seen; ``look`` alone fills them.

    Attributes:
        sample: the sample.
        size: width and height of the upright image; None if that cannot be read.
        kind: bit depth and channels in words, as "16-bit gray".
        peak: the largest value of an image of 16 bits; None of others.
        digest: of the image file; equal for equal files.
        pixels: how many are marked by masks, or else by boxes; None if nothing marks defects.
        share: of the image that is marked, in [0, 1].
        small: whether fewer than ``SMALLEST`` pixels are marked, though not none, when the image is
            brought to the size of the survey.
        damage: why the image cannot be read; "" if it can.
        misfit: why its masks cannot be used; "" if they can.
    """

    sample: Sample
    size: tuple[int, int] | None = None
    kind: str = ""
    peak: int | None = None
    digest: str = ""
    pixels: int | None = None
    share: float = 0.0
    small: bool = False
    damage: str = ""
    misfit: str = ""


def survey(
    samples: Sequence[Sample],
    *,
    size: int,
    thorough: bool = True,
    progress: Progress = lambda items, title: items,
) -> tuple[Look, ...]:
    """Look at the files of many samples, on all cores.

    Args:
        samples: which.
        size: short side, in pixels, that larger images are thought to be brought to.
        thorough: read files to their end, and draw masks; else headers of images alone.
        progress: wraps what is gone through, with a title.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes without the lock of Python
        work = partial(look, size=size, thorough=thorough)
        futures = [pool.submit(work, sample) for sample in samples]
        try:
            return tuple(future.result() for future in progress(futures, "images"))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # at an interruption


def look(sample: Sample, *, size: int, thorough: bool = True) -> Look:
    """Look at the files of one sample; see :func:`survey`."""
    try:
        seen = _look_at_image(sample, thorough)
    except (
        *(OSError, SyntaxError, ValueError, Image.DecompressionBombError),  # as in load_image
        MissingExtraError,
    ) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Look(sample, damage="it is no image" if "cannot identify" in reason else reason)
    if not thorough or not (sample.masks or sample.boxes):
        return seen
    try:
        marked = sample.load_mask(seen.size)
    except (OSError, ValueError) as error:
        return replace(seen, misfit=str(error))
    assert marked is not None
    pixels = int(np.count_nonzero(marked))
    small = pixels > 0 and _is_small(marked, pixels, size)
    return replace(seen, pixels=pixels, share=pixels / marked.size, small=small)


def _look_at_image(sample: Sample, thorough: bool) -> Look:
    data = sample.path.read_bytes() if thorough else b""
    with Image.open(BytesIO(data) if thorough else sample.path) as file:
        pages = getattr(file, "n_frames", 1) if file.format == "TIFF" else 1
        if pages > 1:
            raise ValueError(f"it holds {pages} pages instead of one image")
        # before the end is read, which closes some files
        size, kind, peak = upright_size(file), _kind_of(file), None
        if thorough and kind.startswith(("16-bit", "32-bit", "float")):
            sample.load()  # refuses values that cannot be brought to 8 bits
            peak = _peak_of(sample.path) if kind.startswith("16-bit") else None
        elif thorough:
            _read_to_the_end(file)
    digest = hashlib.blake2b(data, digest_size=16).hexdigest() if thorough else ""
    return Look(sample, size, kind, peak, digest)


def _read_to_the_end(file: ImageFile.ImageFile) -> None:
    """Raise if an image is damaged, without decoding more of it than is needed."""
    if file.format == "PNG":
        file.verify()  # the checksums of all its parts
        return
    file.draft(file.mode, (1, 1))  # an eighth of a JPEG's sides, of which all bytes are read
    file.load()


def _peak_of(path: Path) -> int | None:
    """The largest value of an image of 16 bits; None without what reads it."""
    try:
        return int(read_picture(path).numpy().max())
    except (MissingExtraError, ValueError):  # it is read in 8 bits, which is enough to train
        return None


def _kind_of(file: ImageFile.ImageFile) -> str:
    """Bit depth and channels of an image that is opened, and not decoded yet."""
    coded = str(file.tile[0][3]) if file.tile else ""
    deep = (
        file.mode.startswith("I;16") or ";16" in coded or (file.mode, file.format) == ("I", "PPM")
    )
    gray = "gray" if file.mode.startswith("I") else ""
    name = _KINDS.get(file.mode, file.mode)
    return f"16-bit {gray or name.removeprefix('8-bit ')}" if deep else name


def _is_small(marked: NDArray[np.bool_], pixels: int, size: int) -> bool:
    """Whether fewer than ``SMALLEST`` stay marked once a larger image is brought to ``size``."""
    height, width = marked.shape
    scale = min(1.0, size / min(width, height))
    if scale == 1 or pixels * scale**2 >= SMALLEST:
        return pixels < SMALLEST
    # any share of a pixel that is marked marks it, as in an audit: a long scratch stays
    shape = (round(width * scale), round(height * scale))
    shares = Image.fromarray(marked.astype(np.uint8) * 255).resize(shape, Image.Resampling.BOX)
    return int(np.count_nonzero(np.asarray(shares))) < SMALLEST
