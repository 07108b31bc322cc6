"""Image files: found, read whatever their mode, reported by name if damaged, written atomically."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import pil_picture, same_pixels
from styleaug.images.io import (
    find_images,
    load_image,
    load_rgb,
    save_image,
    to_image,
    to_tensor,
)


def test_images_are_found_at_any_depth_in_order(tmp_path):
    for name in ["b/z.PNG", "a.jpeg", "b/c/y.TIF", "notes.txt", "b/mask.npy"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()  # a folder is no image, whatever its name
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert found == ["a.jpeg", "b/c/y.TIF", "b/z.PNG"]


def test_a_missing_folder_and_an_empty_one_are_told_apart(tmp_path):
    with pytest.raises(ValueError, match="must be a folder of images, but does not exist"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="must hold images"):
        find_images(tmp_path)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_mode_is_read_as_rgb(tmp_path, mode):
    picture = pil_picture(mode)
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    picture.save(path)
    assert same_pixels(load_rgb(path), picture.convert("RGB"))


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    """Pillow warns when such a palette is converted straight to RGB; warnings fail tests."""
    picture = pil_picture("P")
    picture.save(tmp_path / "x.png", transparency=bytes(range(256)))
    assert load_rgb(tmp_path / "x.png").mode == "RGB"


def test_sixteen_bit_gray_is_scaled_not_clipped(tmp_path):
    levels = np.array([[0x0000, 0x1234], [0x80FF, 0xFFFF]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / "x.png")
    pixels = np.asarray(load_rgb(tmp_path / "x.png"))
    assert pixels[..., 0].tolist() == [[0x00, 0x12], [0x80, 0xFF]]
    assert (pixels == pixels[..., :1]).all()


def test_a_picture_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera turned by a quarter
    pil_picture(width=40, height=20).save(tmp_path / "x.jpg", exif=exif)
    assert load_image(tmp_path / "x.jpg").size == (20, 40)


@pytest.mark.parametrize("content", [b"", b"not an image", None], ids=["empty", "text", "cut off"])
def test_a_damaged_image_is_reported_by_name(tmp_path, content):
    path = tmp_path / "broken.png"
    pil_picture().save(path)
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    with pytest.raises(OSError, match=r"broken\.png"):
        load_rgb(path)


@pytest.mark.parametrize(
    ("mode", "channels", "dtype"),
    [("L", 1, torch.uint8), ("RGB", 3, torch.uint8), ("I;16", 1, torch.uint16)],
)
def test_tensors_and_pil_images_convert_both_ways(mode, channels, dtype):
    picture = pil_picture(mode)
    tensor = to_tensor(picture)
    assert tensor.shape == (channels, 17, 41)
    assert tensor.dtype == dtype
    assert same_pixels(to_image(tensor), picture)


@pytest.mark.parametrize("mode", ["I", "I;16B", "I;16L", "I;16N"])
def test_every_mode_of_sixteen_bits_gives_the_same_tensor(mode):
    assert torch.equal(to_tensor(pil_picture(mode)), to_tensor(pil_picture("I;16")))


@pytest.mark.parametrize("level", [-1, 65_536])
def test_integers_beyond_sixteen_bits_are_refused(level):
    with pytest.raises(ValueError, match=rf"mode I must hold values of 16 bits.*{level}"):
        to_tensor(Image.fromarray(np.array([[level, 300]], dtype=np.int32)))


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "I"])
def test_a_tensor_shares_no_memory_with_its_picture(mode):
    picture = pil_picture(mode)
    before = picture.copy()
    to_tensor(picture).zero_()
    assert same_pixels(picture, before)


def test_jpeg_is_written_with_little_loss(tmp_path):
    picture = pil_picture("L", 80, 80)
    save_image(tmp_path / "x.jpg", picture)
    loss = np.asarray(load_image(tmp_path / "x.jpg")).astype(float) - np.asarray(picture)
    assert np.abs(loss).mean() < 2  # 5 at Pillow's own quality


def test_a_failed_write_leaves_no_file(tmp_path):
    with pytest.raises(OSError, match="RGBA"):
        save_image(tmp_path / "x.jpg", pil_picture("RGBA"))
    assert list(Path(tmp_path).iterdir()) == []
