"""``styleaug preview --pipeline``: what a user's whole pipeline feeds to the model."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from helpers import pictures, pil_picture
from styleaug.cli import main
from styleaug.cli.pipeline import feed, load_pipeline
from styleaug.images.io import load_rgb, to_tensor

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
TO_FLOAT = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]


def array(picture):
    return np.asarray(picture)


@pytest.mark.parametrize(
    "pipeline",
    [
        v2.Identity(),
        v2.ToImage(),
        v2.Compose(TO_FLOAT),
        v2.Compose([*TO_FLOAT, v2.Normalize(MEAN, STD)]),
        v2.Compose([v2.Compose([*TO_FLOAT, v2.Normalize(MEAN, STD)])]),
        torch.nn.Sequential(v2.ToImage()),
        array,
        lambda picture: array(picture) / 255,
        lambda picture: {"image": picture},
        lambda picture: (picture, 3),
        lambda picture: np.concatenate([array(picture), array(picture)], axis=2),
        lambda picture: picture.convert("RGBA"),
    ],
)
def test_what_a_pipeline_gives_is_made_visible_again(pipeline):
    picture = pil_picture()
    out = feed(pipeline, picture)
    assert (out.dtype, out.shape) == (torch.uint8, (3, 17, 41))
    assert (out.int() - to_tensor(picture).int()).abs().max() <= 1


def test_albumentations_pipelines_are_called_their_way():
    A = pytest.importorskip("albumentations")
    picture = pil_picture()
    out = feed(A.Compose([A.Normalize(MEAN, STD)]), picture)
    assert (out.int() - to_tensor(picture).int()).abs().max() <= 1


def test_pipelines_for_tensors_get_tensors():
    out = feed(v2.ConvertBoundingBoxFormat("XYXY"), pil_picture())  # passes images by
    assert out.shape == (3, 17, 41)

    def tensors_only(image):
        if not isinstance(image, torch.Tensor):
            raise TypeError
        return image

    assert torch.equal(feed(tensors_only, pil_picture()), to_tensor(pil_picture()))


def test_unknown_normalization_is_stretched():
    out = feed(lambda picture: to_tensor(picture).float() * 3 - 100, pil_picture())
    assert (out.amin().item(), out.amax().item()) == (0, 255)


def test_gray_results_are_shown_gray():
    out = feed(v2.Compose([v2.Grayscale(), v2.ToImage()]), pil_picture())
    assert torch.equal(out[0], out[2])


@pytest.mark.parametrize("wrong", [lambda p: 3, lambda p: torch.zeros(2, 3, 8, 8)])
def test_what_is_no_image_is_refused(wrong):
    with pytest.raises(ValueError, match="must give one image"):
        feed(wrong, pil_picture())


@pytest.fixture
def folder(tmp_path, pack_file):
    """A user's folder: images, and a file with a pipeline."""
    (tmp_path / "data").mkdir()
    for k in range(5):
        Image.fromarray(pictures(24, 32, 3, seed=k).numpy()).save(tmp_path / f"data/{k}.png")
    (tmp_path / "beside.py").write_text("P = 1.0\n")
    (tmp_path / "mine.py").write_text(
        "from beside import P\n"
        "from torchvision.transforms import v2\n"
        "from styleaug import StyleAugment\n"
        f"transform = v2.Compose([v2.RandomHorizontalFlip(), StyleAugment(p=P, "
        f"pack={str(pack_file)!r})])\n"
        "number = 3\n"
    )
    return tmp_path


def preview(folder, *arguments):
    return main(["preview", "--data", str(folder / "data"), "--size", "32", *arguments])


def test_the_sheet_has_a_row_for_each_image_and_repeats_under_a_seed(folder, capsys):
    sheets = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        out = folder / f"{name}.png"
        options = ("--rows", "3", "--columns", "4", "--seed", str(seed), "--out", str(out))
        assert preview(folder, "--pipeline", f"{folder}/mine.py:transform", *options) == 0
        sheets.append(np.asarray(load_rgb(out)))
    assert sheets[0].shape == (3 * 36 + 4, 5 * 36 + 4, 3)
    assert np.array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])
    assert "a.png" in capsys.readouterr().out


def test_a_folder_will_do_without_a_pipeline(folder, pack_file):
    out = folder / "sheet.png"
    options = ("--pack", str(pack_file), "--rows", "2", "--columns", "1", "--strengths", "1")
    assert preview(folder, "--out", str(out), *options) == 0
    assert load_rgb(out).size == (2 * 36 + 4, 2 * 36 + 4)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("mine.py", "must be FILE.py:NAME"),
        ("missing.py:transform", "with a file that exists"),
        ("mine.py:missing", "'missing' is missing"),
        ("mine.py:number", "'number' is int"),
        ("data/0.png:transform", "must name a Python file"),
    ],
)
def test_what_is_no_pipeline_is_refused(folder, where, words):
    with pytest.raises(ValueError, match=words):
        load_pipeline(f"{folder}/{where}")


def test_options_without_effect_are_refused(folder, capsys):
    assert preview(folder, "--pipeline", f"{folder}/mine.py:transform", "--style", "rust") == 1
    assert "say it there" in capsys.readouterr().err


def test_no_images_are_an_error(capsys):
    assert main(["preview"]) == 1
    assert "name files, or a folder by --data" in capsys.readouterr().err
