"""``styleaug preview``: what a preset makes of images, or a user's whole pipeline."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

import styleaug
from helpers import pictures, pil_picture
from styleaug import StyleAugment
from styleaug.cli import main
from styleaug.cli import preview as command
from styleaug.cli.pipeline import feed, load_pipeline
from styleaug.cli.sheet import contact_sheet, tile
from styleaug.datasets.outlines import outlined
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
    """A user's folder: images, labelled images, and a file with a pipeline."""
    (tmp_path / "data").mkdir()
    for k in range(5):
        Image.fromarray(pictures(24, 32, 3, seed=k).numpy()).save(tmp_path / f"data/{k}.png")
    (tmp_path / "beside.py").write_text("P = 1.0\n")
    (tmp_path / "mine.py").write_text(
        "from beside import P\n"
        "from torchvision.transforms import v2\n"
        "from styleaug import Restyle, StyleAugment\n"
        "transform = v2.Compose([v2.RandomHorizontalFlip(), "
        f"StyleAugment([Restyle(pack={str(pack_file)!r})], p=P)])\n"
        "number = 3\n"
    )
    return tmp_path


def preview(folder, *arguments):
    return main(["preview", str(folder / "data"), "--thumbnail", "32", *arguments])


def sheet_of(folder, pack_file, *arguments):
    out = folder / "sheet.png"
    fixed = ("--pack", str(pack_file), "--device", "cpu", "--out", str(out))
    assert preview(folder, *fixed, *arguments) == 0
    return to_tensor(load_rgb(out))


@pytest.fixture
def drawn(monkeypatch):
    """The transforms and plans that a sheet is made of."""
    found = []
    draw = StyleAugment.draw

    def noted(self, *arguments):
        found.append((self, draw(self, *arguments)))
        return found[-1][1]

    monkeypatch.setattr(StyleAugment, "draw", noted)
    return found


def test_a_preset_is_shown_as_it_trains_but_for_images_left_alone(folder, pack_file, drawn, capsys):
    sheet = sheet_of(folder, pack_file, "--preset", "masks", "--limit", "3", "--draws", "4")
    assert sheet.shape[2] == 5 * 36 + 4
    assert sheet.shape[1] > 3 * 36 + 4  # captions
    augment = drawn[0][0]
    assert [stage.p for stage in augment.stages] == [0.6, 1, 0.6, 0.6]
    assert augment.p == 1
    assert [plan.count for _, plan in drawn] == [4] * 3
    assert all(plan.describe(row) for _, plan in drawn for row in range(4))
    assert not torch.equal(drawn[0][1]["Relight"].values, drawn[1][1]["Relight"].values)
    assert "preset masks, p = 1 (in training 0.7)" in capsys.readouterr().out


def test_a_lower_probability_leaves_images_unchanged(folder, pack_file, drawn, monkeypatch):
    texts = []
    monkeypatch.setattr(
        command, "contact_sheet", lambda *a: texts.extend(a[2]) or contact_sheet(*a)
    )
    sheet_of(folder, pack_file, "--p", "0", "--limit", "1", "--draws", "2")
    assert texts == [["0.png ", "unchanged", "unchanged"]]


def test_strengths_show_the_same_styles_in_every_row(folder, pack_file, drawn, capsys):
    options = ("--strengths", "0.4", "1", "--limit", "2", "--draws", "3", "--noise", "0.01")
    sheet_of(folder, pack_file, *options)
    assert [plan["Restyle"].strength[0].item() for _, plan in drawn] == pytest.approx([0.4, 1] * 2)
    assert len({plan["Restyle"].styles for _, plan in drawn}) == 1
    assert all(
        (plan["Restyle"].texture == 1).all() and list(plan) == ["Restyle"] for _, plan in drawn
    )
    assert "styles against strengths" in capsys.readouterr().out


def test_strengths_need_a_preset_with_styles(folder, capsys):
    assert preview(folder, "--preset", "sensor", "--strengths", "1") == 2
    assert "--strengths need Restyle" in capsys.readouterr().err


def test_defects_of_labelled_images_are_outlined(folder, pack_file):
    for name in ("images", "masks"):
        (folder / "labelled" / name).mkdir(parents=True)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 255
    for k in range(2):
        Image.fromarray(np.full((64, 64), 128, np.uint8)).save(folder / f"labelled/images/{k}.png")
    Image.fromarray(mask).save(folder / "labelled/masks/1.png")
    out = folder / "marked.png"
    command = ["preview", "--data", str(folder / "labelled"), "--out", str(out)]
    assert main([*command, "--pack", str(pack_file), "--draws", "1", "--thumbnail", "64"]) == 0
    sheet = to_tensor(load_rgb(out)).int()
    red = (sheet[0] - sheet[1]) > 100
    assert red[:68, :68].any()  # of two images, the one with a defect
    assert sheet.shape[2] == 2 * 68 + 4


def test_an_outline_goes_around_what_a_mask_marks():
    mask = torch.zeros(1, 20, 20, dtype=torch.bool)
    mask[:, 5:10, 5:10] = True
    image = outlined(torch.zeros(3, 20, 20, dtype=torch.uint8), mask)
    assert image[0, 3:12, 3:12].eq(230).sum() == 9 * 9 - 5 * 5
    assert image.ne(0).any(0).sum() == 9 * 9 - 5 * 5


def test_a_sheet_holds_each_picture_in_its_place_on_white_with_its_caption():
    images = [torch.full((c, 16, 32), v, dtype=torch.uint8) for c, v in ((1, 10), (3, 60), (3, 90))]
    rows = [[images[0], images[1]], [images[2], images[0]]]
    sheet = to_tensor(contact_sheet(rows, 32))
    assert sheet.shape == (3, 2 * 36 + 4, 2 * 36 + 4)
    assert torch.equal(sheet[:, 4:36, 40:72], tile(images[1], 32))
    assert tile(images[1], 32)[0, :, 0].tolist() == [255] * 8 + [60] * 16 + [255] * 8
    captions = [["a", "two\nlines"], ["number -0.5", ""]]
    texts = to_tensor(contact_sheet(rows, 32, captions))
    assert texts.shape[1] > sheet.shape[1]
    assert torch.equal(texts[:, 4:36, 40:72], tile(images[1], 32))
    below = texts[:, 36 : texts.shape[1] // 2]
    assert (below[:, :, 4:36] < 128).any()
    assert (below[:, 15:, 4:36] == 255).all()  # the left one has one line
    assert (below[:, 15:, 40:72] < 128).any()


def test_the_sheet_has_a_row_for_each_image_and_repeats_under_a_seed(folder, capsys):
    sheets = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        out = folder / f"{name}.png"
        options = ("--limit", "3", "--draws", "4", "--seed", str(seed), "--out", str(out))
        assert preview(folder, "--pipeline", f"{folder}/mine.py:transform", *options) == 0
        sheets.append(np.asarray(load_rgb(out)))
    assert sheets[0].shape == (3 * 36 + 4, 5 * 36 + 4, 3)
    assert np.array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])
    assert "a.png" in capsys.readouterr().out


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
    more = ("--styles", "rust", "--strengths", "1")
    assert preview(folder, "--pipeline", f"{folder}/mine.py:transform", *more) == 2
    assert "--styles, --strengths: no effect on --pipeline" in capsys.readouterr().err


def test_no_images_are_an_error(capsys):
    assert main(["preview"]) == 2
    assert "name files or folders" in capsys.readouterr().err


def test_images_that_are_shown_are_never_replaced(folder, capsys):
    image = folder / "data/0.png"
    before = image.read_bytes()
    for source, out in ((image, image), (folder / "data", image), (folder / "data", "data/s.png")):
        assert main(["preview", str(source), "--out", str(folder / out)]) == 2
        assert "must " in (told := capsys.readouterr().err)
        assert "Choose another --out" in told
    assert image.read_bytes() == before
    assert len(list((folder / "data").iterdir())) == 5


def test_a_sheet_that_no_file_holds_is_refused_before_it_is_drawn(folder, capsys):
    assert preview(folder, "--draws", "9999", "--out", str(folder / "sheet.png")) == 2
    assert "9999 draws of 32 pixels make 320000. Lower --draws" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--pipeline", "mine.py:transform", "--preset", "mild"], "--preset: no effect"),
        (["--pipeline", "mine.py:transform", "--p", "0.5"], "--p: no effect"),
        (["--masks", "."], "--masks needs --data"),
    ],
)
def test_what_has_no_effect_is_refused(folder, monkeypatch, capsys, options, words):
    monkeypatch.chdir(folder)
    assert preview(folder, *options, "--out", "sheet.png") == 2
    assert words in capsys.readouterr().err
    assert not (folder / "sheet.png").exists()


def test_a_pipeline_may_name_its_image_as_others_do():
    picture = pil_picture()
    fed = feed(lambda p: {"label": 1, "pixel_values": to_tensor(p)}, picture)
    assert torch.equal(fed, to_tensor(picture))
    with pytest.raises(ValueError, match=r"pixel_values, .* but gives 'label'"):
        feed(lambda p: {"label": 1}, picture)


def test_a_warning_is_told_as_a_sentence(folder, pack_file):
    """Without the line of code that it comes from."""
    words = ["data", "--p", "0", "--pack", str(pack_file), "--device", "cpu"]
    command = [sys.executable, "-m", "styleaug", "preview", *words, "--out", "sheet.png"]
    environment = {**os.environ, "PYTHONPATH": str(Path(styleaug.__file__).parents[1])}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0
    assert "WARNING: StyleAugment can change nothing" in done.stderr
    assert "UserWarning" not in done.stderr
