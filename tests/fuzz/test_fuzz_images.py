"""Image files with damage anywhere: read as what they are, or refused with their name."""

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fuzz.mutations import broken, damages
from helpers import pil_picture
from styleaug.datasets.samples import image_size
from styleaug.images.io import load_rgb, read_picture, write_picture

OURS = (OSError, ValueError, TypeError)


def file_of(image: Image.Image, form: str, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


EXIF = Image.Exif()
EXIF[0x0112] = 6
FILES = {
    "a.png": file_of(pil_picture("RGB"), "PNG"),
    "b.png": file_of(pil_picture("P"), "PNG"),
    "c.png": file_of(pil_picture("I;16"), "PNG"),
    "d.png": file_of(pil_picture("RGBA"), "PNG"),
    "a.jpg": file_of(pil_picture("RGB"), "JPEG", exif=EXIF),
    "b.jpg": file_of(pil_picture("CMYK"), "JPEG"),
    "a.tiff": file_of(pil_picture("RGB"), "TIFF"),
    "b.tiff": file_of(pil_picture("I;16"), "TIFF", compression="tiff_lzw"),
    "c.tiff": file_of(Image.fromarray(np.linspace(0, 1, 99, dtype=np.float32)[None]), "TIFF"),
    "a.bmp": file_of(pil_picture("L"), "BMP"),
    "a.webp": file_of(pil_picture("RGB"), "WEBP"),
    "a.pgm": file_of(pil_picture("L"), "PPM"),
}


@pytest.mark.filterwarnings("ignore")  # Pillow's about what it met
@given(name=st.sampled_from(sorted(FILES)), damage=damages)
def test_a_damaged_file_is_read_or_refused(name, damage):
    content = broken(FILES[name], damage)
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        image_size(path)
        try:
            assert load_rgb(path).mode == "RGB"
            picture = read_picture(path)
        except OURS as error:
            assert str(error)  # noqa: PT017 -- only the words matter
            return
        assert picture.ndim == 3
        assert picture.numel()
        if picture.is_floating_point():
            assert ((picture >= 0) & (picture <= 1)).all()
        target = Path(folder) / f"out{path.suffix}"
        write_picture(target, picture, like=path)
        if path.suffix in (".png", ".tiff", ".bmp", ".pgm"):
            assert torch.equal(read_picture(target), picture)
        assert path.read_bytes() == content
