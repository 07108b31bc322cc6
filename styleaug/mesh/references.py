"""Images inside of models, and files beside them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from PIL import Image

from styleaug.images.io import encode_image

_FORMATS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}


def beside(model: Path, reference: str) -> PurePosixPath:
    """Where a file lies that a model refers to, below the model's folder.

    Raises:
        ValueError: if it lies elsewhere.
        OSError: if it is not there.
    """
    place = PurePosixPath(unquote(reference).replace("\\", "/"))
    if place.is_absolute() or ".." in place.parts or ":" in place.parts[0]:
        raise ValueError(
            f"{model} must refer to files beside or below it, but names {reference!r:.80}."
        )
    if not (model.parent / place).is_file():
        raise OSError(f"{model} needs the file {place} beside it, which is missing.")
    return place


def prefixed(place: PurePosixPath, stem: str) -> PurePosixPath:
    """The name that a file beside a model gets when it belongs to a copy of it."""
    return place.with_name(f"{stem}_{place.name}")


def open_texture(content: bytes, name: str) -> Image.Image:
    """Decode a texture of 8 bits; palettes become colours.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it has more bits.
    """
    try:
        image = Image.open(BytesIO(content))
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(f"The texture of {name} must be a readable image, but {error}.") from error
    deep = image.format == "PNG" and content[24] == 16  # bit depth, which Pillow halves
    if deep or image.mode.startswith(("I", "F")) or image.format not in _FORMATS:
        raise ValueError(
            f"The texture of {name} must be of 8 bits, in a format such as PNG or JPEG, but is "
            f"{image.format} of mode {image.mode}{', 16 bits' * deep}. Convert it."
        )
    if image.mode in ("1", "P", "PA"):
        mode = "RGBA" if image.has_transparency_data else "L" if image.mode == "1" else "RGB"
        converted = image.convert(mode)
        converted.format, converted.info = image.format, image.info
        return converted
    return image


def encode_texture(image: Image.Image, like: Image.Image) -> bytes:
    """Encode a texture in the format of the one that it was made of."""
    settings: dict[str, Any] = {
        name: like.info[name] for name in ("dpi", "icc_profile") if like.info.get(name)
    }
    if like.format == "JPEG":
        settings["subsampling"] = 0  # colours would bleed over the borders of islands
    if like.format == "WEBP":
        settings["exact"] = True  # colours where alpha is 0
    return encode_image(image, _FORMATS[str(like.format)], **settings)
