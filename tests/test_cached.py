"""Restylings made ahead: found by pixels, blended as the transform blends, the rest passes by."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from helpers import pictures, torch_generator_stays
from styleaug.cli import main
from styleaug.gatys.cached import PIXELS, CachedStylization, digest_pixels
from styleaug.images.io import load_image, to_image, to_tensor
from styleaug.manifest import LINES, Manifest
from styleaug.stages.restyle import Change

ALWAYS = {"p": 1, "strength": 1, "texture": 1}


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    to_image(pictures(3, 24, 32)).save(folder / "colour.png")
    to_image(pictures(1, 24, 32, seed=1)).save(folder / "gray.png")
    to_image(pictures(1, 24, 32, seed=1)).save(folder / "twin.png")
    to_image(pictures(3, 40, 40, seed=2)).save(tmp_path / "style.png")
    return folder


@pytest.fixture
def restyled(photos, tmp_path):
    """What the command writes, with pictures whose colours are known in their place."""
    run(photos, tmp_path / "out" / "one")
    for name, level in (("colour", 40), ("gray", 200), ("twin", 200)):
        mode = "RGB" if name == "colour" else "L"
        picture = Image.new(mode, (32, 24), (level,) * 3 if mode == "RGB" else level)
        picture.save(tmp_path / "out" / "one" / f"{name}.png")
    return tmp_path / "out" / "one"


def run(photos, out, *more: str, sources=None) -> int:
    style = str(photos.parent / "style.png")
    fixed = ["--reference", style, "--steps", "1", "--device", "cpu"]
    return main(["gatys", str(sources or photos), "--out", str(out), *fixed, *more])


def image_of(photos, name: str) -> Image.Image:
    return load_image(photos / f"{name}.png")


@pytest.mark.parametrize(("name", "level"), [("colour", 40), ("gray", 200)])
@pytest.mark.parametrize("form", ["pil", "uint8", "float", "image", "rgb"])
def test_known_images_are_replaced_whatever_their_form(photos, restyled, name, level, form):
    image = image_of(photos, name)
    tensor = to_tensor(image)
    given = {
        "pil": image,
        "uint8": tensor,
        "float": tensor.float() / 255,
        "image": tv_tensors.Image(tensor),
        "rgb": tensor.expand(3, -1, -1),
    }[form]
    out = CachedStylization(restyled, **ALWAYS)(given)
    assert type(out) is type(given)
    shown = to_tensor(out) if form == "pil" else out
    assert shown.shape == (tensor if form != "rgb" else given).shape
    assert shown.dtype == (torch.float32 if form == "float" else torch.uint8)
    levels = shown.float() * (255 if form == "float" else 1)
    assert abs(levels.mean() - level) < 25
    assert torch.equal(to_tensor(image), tensor)


@pytest.mark.parametrize("form", ["pil", "uint16", "float"])
def test_images_of_twelve_bits_are_known_and_replaced(photos, tmp_path, form):
    levels = pictures(24, 32, dtype=torch.uint16).numpy() >> 4
    (tmp_path / "deep").mkdir()
    Image.fromarray(levels).save(tmp_path / "deep" / "x.png")
    run(photos, tmp_path / "deep_out", "--bits", "12", sources=tmp_path / "deep")
    made = np.asarray(load_image(tmp_path / "deep_out" / "x.png"))
    assert made.dtype == np.uint16
    assert 1000 < made.max() <= 4095
    tensor = torch.from_numpy(levels)[None]
    image = Image.fromarray(levels)
    given = {"pil": image, "uint16": tensor, "float": tensor.float() / 4095}[form]
    out = CachedStylization(tmp_path / "deep_out", bits=12, **ALWAYS)(given)
    assert type(out) is type(given)
    shown = torch.from_numpy(np.array(out))[None] if form == "pil" else out
    wanted = torch.from_numpy(made.astype(np.float32))[None] / 4095
    assert not torch.equal(shown, given if form != "pil" else tensor)
    level = shown.float() / (1 if form == "float" else 4095)
    assert (level - wanted).abs().mean() < 0.1


def test_the_blend_is_the_transforms(photos, restyled):
    image = to_tensor(image_of(photos, "colour"))
    out = CachedStylization(restyled, p=1, strength=0.5, texture=0.25)(image)
    y = to_tensor(load_image(restyled / "colour.png"))
    x = image[None].float() / 255
    wanted = Change.between(x, y[None].float() / 255).added_to(
        x, torch.tensor([0.5]), torch.tensor([0.25])
    )
    assert (out.float() / 255 - wanted[0].clamp(0, 1)).abs().max() <= 1 / 255
    assert torch.equal(CachedStylization(restyled, **{**ALWAYS, "strength": 0})(image), image)


def test_p_is_the_share_of_images(photos, restyled):
    image, transform = image_of(photos, "gray"), CachedStylization(restyled, p=0.3)
    torch.manual_seed(0)
    changed = [transform(image) is not image for _ in range(200)]
    assert 0.2 < sum(changed) / len(changed) < 0.4
    with torch_generator_stays():
        params = {"taken": True, "number": 0.0, "strength": 1.0, "texture": 1.0}
        transform.transform(image, params)


def test_one_of_several_styles_is_drawn(photos, restyled):
    run(photos, restyled.parent / "two")
    for name in ("colour", "gray", "twin"):
        Image.new("RGB", (32, 24), (120, 120, 120)).save(restyled.parent / "two" / f"{name}.png")
    transform = CachedStylization(restyled.parent, **ALWAYS)
    image = to_tensor(image_of(photos, "gray"))
    torch.manual_seed(0)
    means = [transform(image).float().mean().item() for _ in range(30)]
    assert {round(mean / 40) for mean in means} == {3, 5}


def test_unknown_images_pass_by_with_one_warning(photos, restyled):
    transform = CachedStylization(restyled, **ALWAYS)
    image = pictures(3, 24, 32, seed=9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(19):
            assert transform(image) is image
    with pytest.warns(UserWarning, match="knows none of 20 images"):
        transform(image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(30):
            transform(image)
        transform = CachedStylization(restyled, **ALWAYS)
        transform(image_of(photos, "gray"))
        for _ in range(30):
            transform(image)


def test_labels_come_back_and_pipelines_pickle(photos, restyled):
    boxes = tv_tensors.BoundingBoxes([[1, 2, 9, 9]], format="XYXY", canvas_size=(24, 32))
    pipeline = v2.Compose([CachedStylization(restyled, **ALWAYS), v2.RandomHorizontalFlip(0)])
    pipeline = pickle.loads(pickle.dumps(pipeline))
    image = tv_tensors.Image(to_tensor(image_of(photos, "colour")))
    out, same, label = pipeline(image, boxes, 7)
    assert (out != image).any()
    assert torch.equal(same, boxes)
    assert label == 7
    assert "p=1.0, strength=(1.0, 1.0)" in repr(pipeline)


def test_a_digest_tells_pixels_and_shape():
    image = pictures(3, 8, 12)
    assert digest_pixels(image) == digest_pixels(image.clone())
    assert digest_pixels(image) != digest_pixels(image.flip(2))
    assert digest_pixels(image) != digest_pixels(image.reshape(3, 12, 8))
    assert digest_pixels(image[:1]) == digest_pixels(image[:1].expand(3, -1, -1))


def test_a_run_notes_what_each_picture_was_made_of(photos, tmp_path):
    assert run(photos, tmp_path / "out") == 0
    entries = Manifest(tmp_path / "out").entries
    assert set(entries) == {"colour.png", "gray.png", "twin.png"}
    pixels = digest_pixels(pictures(1, 24, 32, seed=1))
    assert entries["gray.png"].drawn == entries["twin.png"].drawn == {PIXELS: pixels}


@pytest.mark.parametrize("text", ["[]\n", "{}\n", "half a li\n"])
def test_a_damaged_record_is_one_sentence(tmp_path, text):
    (tmp_path / LINES).write_text(text)
    with pytest.raises(ValueError, match="must be what styleaug wrote, but its line 1 is damaged"):
        CachedStylization(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"p": 2}, "p must be a number in"),
        ({"strength": (0.5, 0.1)}, "strength must satisfy"),
        ({"texture": 3}, "texture must satisfy"),
    ],
)
def test_bad_settings_are_refused(restyled, settings, message):
    with pytest.raises(ValueError, match=message):
        CachedStylization(restyled, **settings)


def test_bad_folders_and_images_are_refused(photos, restyled, tmp_path):
    with pytest.raises(ValueError, match=r"no manifest\.jsonl in .* tells of any"):
        CachedStylization(photos)
    with pytest.raises(ValueError, match=r"one image \(C, H, W\) on the CPU"):
        CachedStylization(restyled)(pictures(2, 3, 24, 32))
    Image.new("L", (5, 5)).save(restyled / "gray.png")
    Image.new("L", (5, 5)).save(restyled / "twin.png")
    with pytest.raises(ValueError, match="must be as large as its image"):
        CachedStylization(restyled, **ALWAYS)(image_of(photos, "gray"))
    (restyled / "colour.png").unlink()
    with pytest.raises(OSError, match="must be an image, but does not exist"):
        CachedStylization(restyled, **ALWAYS)(image_of(photos, "colour"))
