"""Pictures: read as deep as they are, and written as the files they came from."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from helpers import pictures, pil_picture, same_pixels
from styleaug.cli import main
from styleaug.images.deep import encode_deep_colours
from styleaug.images.io import load_image, load_rgb, read_picture, write_picture

cv2 = pytest.importorskip("cv2")

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
DEEP = ["rgb.png", "rgba.png", "rgb.tif", "rgba.tif"]


def deep_picture(path, most=65535):
    """A file of 16-bit colours; and its channels (C, H, W)."""
    count = 4 if "rgba" in path.name else 3
    levels = np.random.default_rng(0).integers(0, most + 1, (17, 41, count), dtype=np.uint16)
    cv2.imwrite(str(path), levels)
    return levels[..., [2, 1, 0, 3][:count]].transpose(2, 0, 1)


def changed(tensor):
    """The same picture, a little darker."""
    if tensor.dtype == torch.float32:
        return tensor * 0.5
    return (tensor.int() // 2).to(tensor.dtype)


@pytest.mark.parametrize("name", DEEP)
def test_colours_of_sixteen_bits_are_read_and_written_in_full(tmp_path, name):
    path, out = tmp_path / name, tmp_path / f"out{name[-4:]}"
    levels = deep_picture(path)
    tensor = read_picture(path)
    assert tensor.dtype == torch.uint16
    assert np.array_equal(tensor.numpy(), levels[:3])
    write_picture(out, changed(tensor), like=path)
    assert torch.equal(read_picture(out), changed(tensor))
    with Image.open(path) as before, Image.open(out) as after:
        assert after.mode == before.mode
    if "rgba" in name:
        assert np.array_equal(cv2.imread(str(out), cv2.IMREAD_UNCHANGED)[..., 3], levels[3])


@pytest.mark.parametrize("kind", [".png", ".tif"])
def test_colours_of_sixteen_bits_keep_profile_and_resolution(tmp_path, kind):
    """Each file is written from one that has them, the first of which Pillow makes of 8 bits."""
    eight, deep, out = (tmp_path / f"{name}{kind}" for name in ("eight", "deep", "out"))
    pil_picture().save(eight, dpi=(300, 300), icc_profile=PROFILE)
    deep.write_bytes(encode_deep_colours(pictures(3, 17, 41, dtype=torch.uint16), eight))
    write_picture(out, changed(read_picture(deep)), like=deep)
    info = load_image(out).info
    assert info["icc_profile"] == PROFILE
    assert info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *((mode, ".png") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *((mode, ".tif") for mode in ("1", "L", "RGB", "RGBA", "CMYK", "I;16", "I;16B")),
        ("L", ".jpg"),
        ("CMYK", ".jpg"),
    ],
)
def test_what_goes_in_comes_out(tmp_path, mode, kind):
    """Mode, alpha, profile and resolution stay, and the picture is changed as it was told."""
    path, out = tmp_path / f"in{kind}", tmp_path / f"out{kind}"
    pil_picture(mode).save(path, dpi=(300, 300), icc_profile=PROFILE)
    tensor = read_picture(path)
    assert tensor.dtype == (torch.uint16 if mode.startswith("I") else torch.uint8)
    write_picture(out, changed(tensor), like=path)
    with Image.open(path) as before, Image.open(out) as after:
        assert (after.mode, after.format) == (before.mode, before.format)
        assert after.info["icc_profile"] == PROFILE
        assert after.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        if mode.endswith("A"):
            assert same_pixels(after.getchannel("A"), before.getchannel("A"))
    if mode not in ("1", "P") and kind != ".jpg":
        off = read_picture(out).int() - changed(tensor).int()
        assert off.abs().max() <= (2 if mode == "CMYK" else 0)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("1", ".png"), ("P", ".png"), ("RGBA", ".png"), ("RGB", ".jpg"), ("CMYK", ".tif")],
)
def test_what_nothing_changes_is_the_same_file(tmp_path, mode, kind):
    path, out = tmp_path / f"in{kind}", tmp_path / f"out{kind}"
    pil_picture(mode).save(path)
    write_picture(out, read_picture(path), like=path)
    assert out.read_bytes() == path.read_bytes()


def test_compressed_tiffs_stay_compressed(tmp_path):
    pil_picture().save(tmp_path / "in.tif", compression="tiff_lzw")
    write_picture(
        tmp_path / "out.tif", pictures(3, 17, 41, dtype=torch.uint8), like=tmp_path / "in.tif"
    )
    assert load_image(tmp_path / "out.tif").info["compression"] == "tiff_lzw"


def test_floats_are_read_as_they_are_and_stay_floats(tmp_path):
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    levels = np.random.default_rng(0).random((17, 41), dtype=np.float32)
    Image.fromarray(levels).save(path)
    tensor = read_picture(path)
    assert np.array_equal(tensor.numpy(), levels[None])
    write_picture(out, changed(tensor), like=path)
    assert torch.equal(read_picture(out), changed(tensor))
    assert np.abs(np.asarray(load_rgb(path)).astype(float)[..., 0] - levels * 255).max() <= 0.51


@pytest.mark.parametrize("read", [read_picture, load_rgb])
@pytest.mark.parametrize(
    ("levels", "told"),
    [((0, 255), "from 0 to 255"), ((-1, 1), "from -1 to 1"), ((0, np.nan), "nan")],
)
def test_floats_of_another_range_are_refused_not_blackened(tmp_path, read, levels, told):
    Image.fromarray(np.array([levels], np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(ValueError, match=rf"x\.tif: .*must hold values in \[0, 1\].*{told}"):
        read(tmp_path / "x.tif")


@pytest.mark.parametrize("name", ["rgb.png", "gray.png"])
def test_twelve_bits_in_files_of_sixteen_are_scaled_by_their_own_white(tmp_path, name):
    path = tmp_path / name
    if name == "rgb.png":
        levels = deep_picture(path, most=4095)
    else:
        levels = np.arange(0, 4096, dtype=np.uint16).reshape(1, 64, 64)
        Image.fromarray(levels[0]).save(path)
    assert np.array_equal(read_picture(path, bits=12).numpy(), levels)
    seen = np.asarray(load_rgb(path, bits=12)).transpose(2, 0, 1)
    assert np.array_equal(seen, np.broadcast_to(levels >> 4, seen.shape))


@pytest.mark.parametrize("read", [read_picture, load_rgb])
def test_values_of_more_bits_than_told_are_refused(tmp_path, read):
    Image.fromarray(np.array([[0, 5000]], np.uint16)).save(tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"x\.png must hold values of 12 bits.*reach 5000"):
        read(tmp_path / "x.png", bits=12)


def test_bits_mean_nothing_to_files_of_eight(tmp_path):
    pil_picture().save(tmp_path / "x.png")
    assert torch.equal(read_picture(tmp_path / "x.png", bits=12), read_picture(tmp_path / "x.png"))
    assert same_pixels(load_rgb(tmp_path / "x.png", bits=12), pil_picture())


@pytest.mark.parametrize("bits", [8, 17, 12.0, True, "12"])
def test_bits_must_be_what_files_of_sixteen_can_hold(tmp_path, bits):
    pil_picture("I;16").save(tmp_path / "x.png")
    for read in (read_picture, load_rgb):
        with pytest.raises(ValueError, match="bits must be a whole number from 9 to 16"):
            read(tmp_path / "x.png", bits=bits)


def test_colours_of_sixteen_bits_that_cannot_be_kept_are_refused(tmp_path):
    """Never are 8 of the bits lost without a word."""
    cv2.imwrite(str(tmp_path / "x.ppm"), np.full((20, 30, 3), 40_000, np.uint16))
    with pytest.raises(ValueError, match=r"must be an upright RGB or RGBA image.*is RGB in PPM"):
        read_picture(tmp_path / "x.ppm")


def test_several_pages_are_refused(tmp_path):
    pil_picture().save(tmp_path / "x.tif", save_all=True, append_images=[pil_picture()])
    with pytest.raises(ValueError, match="must hold one image, but has 2 pages"):
        read_picture(tmp_path / "x.tif")


def test_without_opencv_colours_of_sixteen_bits_say_what_to_install(tmp_path, monkeypatch):
    deep_picture(tmp_path / "rgb.png")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"pip install 'styleaug\[deep\]'"):
        read_picture(tmp_path / "rgb.png")
    assert load_rgb(tmp_path / "rgb.png").mode == "RGB"  # 8 bits are all it needs


@pytest.mark.parametrize("name", ["x.png", "rgb.png", "float.tif"])
def test_stylize_keeps_the_depth(tmp_path, capsys, name):
    path, out = tmp_path / name, tmp_path / "out"
    if name == "rgb.png":
        deep_picture(path, most=4095)
    elif name == "x.png":
        Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(path)
    else:
        Image.fromarray(np.random.default_rng(0).random((64, 64), dtype=np.float32)).save(path)
    words = ["stylize", str(path), "--out", str(out), "--preset", "lighting", "--device", "cpu"]
    assert main([*words, "--bits", "12"]) == 0
    before, after = read_picture(path), read_picture(out / name)
    assert (after.dtype, after.shape) == (before.dtype, before.shape)
    assert not torch.equal(after, before)
    if before.dtype == torch.uint16:
        assert 1000 < after.numpy().max() <= 4095


def test_stylize_skips_what_has_more_bits_than_told(tmp_path, capsys, caplog):
    Image.fromarray(np.full((20, 20), 60_000, np.uint16)).save(tmp_path / "x.png")
    words = ["stylize", str(tmp_path / "x.png"), "--out", str(tmp_path / "out")]
    assert main([*words, "--preset", "lighting", "--device", "cpu", "--bits", "12"]) == 1
    assert "must hold values of 12 bits" in caplog.text
