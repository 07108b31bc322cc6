"""The demo: reading images, splitting, corrupting, scoring, and one quick run from end to end."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

pytest.importorskip("imagecorruptions", reason="the demo's packages are an extra")
pytest.importorskip("matplotlib", reason="the demo's packages are an extra")

SMALL = {"size": 16, "max_train": 100, "max_test": 100}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folders(tmp_path):
    """Two classes that differ in brightness, ten images each, of odd sizes and several modes."""
    rng = np.random.default_rng(0)
    for name, level in (("good", 60), ("scratch", 180)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(10):
            mode = ("L", "RGB", "RGBA")[number % 3]
            shape = (23 + number, 41) if mode == "L" else (23 + number, 41, len(mode))
            pixels = np.uint8(level + rng.integers(0, 40, shape))
            suffix = "png" if mode == "RGBA" else "bmp"
            Image.fromarray(pixels, mode).save(tmp_path / "data" / name / f"{number}.{suffix}")
    return tmp_path / "data"


class Darker(torch.nn.Module):
    """Stands in for StyleAugment: a batch in, a batch of another look out."""

    def forward(self, images):
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise AssertionError(f"a policy gets a uint8 batch, not {images.dtype} {images.shape}")
        darker = torch.rand(len(images), 1, 1, 1) < 0.5
        return torch.where(darker, images // 2, images)


# ---------------------------------------------------------------- reading class folders


def test_class_folders_become_a_task(module, folders):
    task = module("class_folders").load_class_folders(folders, **SMALL)
    assert task.classes == ("good", "scratch")
    assert task.train.shape == (14, 3, 16, 16)
    assert task.test.shape == (6, 3, 16, 16)
    assert task.train.dtype == torch.uint8
    assert task.test_labels.bincount().tolist() == [3, 3]
    brightness = task.train.float().mean((1, 2, 3))
    assert brightness[task.train_labels == 0].max() < brightness[task.train_labels == 1].min()
    assert task.examples.shape[0] == 5


def test_given_split_is_kept(module, folders):
    for part, numbers in (("train", range(8)), ("test", range(8, 10))):
        for path in [p for p in folders.glob("*/*") if p.stem.isdigit() and int(p.stem) in numbers]:
            new = folders / part / path.parent.name / path.name
            new.parent.mkdir(parents=True, exist_ok=True)
            path.rename(new)
    task = module("class_folders").load_class_folders(folders, **SMALL)
    assert (len(task.train), len(task.test)) == (16, 4)
    assert task.test_labels.tolist() == [0, 0, 1, 1]


def test_bad_files_are_named_and_left_out(module, folders):
    (folders / "good" / "broken.png").write_bytes(b"no image at all")
    (folders / "good" / "notes.txt").write_text("hello")
    (folders / "scratch" / ".hidden.png").write_bytes(b"")
    task = module("class_folders").load_class_folders(folders, **SMALL)
    notes = " ".join(task.notes)
    assert "good/broken.png" in notes
    assert "notes.txt" in notes
    assert "hidden" not in notes
    assert str(folders) not in notes
    assert len(task.train) + len(task.test) == 20


def test_deep_images_are_stretched_not_clipped(module):
    deep = Image.fromarray(np.linspace(1000, 4000, 400, dtype=np.uint16).reshape(20, 20))
    pixels = module("defect_images").to_square(deep, 20)
    assert pixels.shape == (20, 20, 3)
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_caps_draw_the_same_share_of_each_class(module, folders):
    load = module("class_folders").load_class_folders
    task = load(folders, size=16, max_train=8, max_test=4)
    assert task.train_labels.bincount().tolist() == [4, 4]
    assert "8 of 14 training images" in " ".join(task.notes)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: None, "only the class good"),
        (lambda root: [path.unlink() for path in root.glob("*/*")], "no images in sub-folders"),
        (lambda root: _save(root / "scratch" / "1.png"), "scratch has 1"),
        (
            lambda root: [_write(root / "scratch" / f"{n}.png") for n in range(5)],
            "scratch has none",
        ),
        (
            lambda root: _save(root / "train" / "good" / "1.png", root / "test" / "x" / "1.png"),
            "train",
        ),
    ],
)
def test_impossible_tasks_are_refused_in_one_sentence(module, tmp_path, spoil, words):
    _save(*[tmp_path / "good" / f"{number}.png" for number in range(4)])
    spoil(tmp_path)
    with pytest.raises(module("defect_images").DataError, match=words) as caught:
        module("class_folders").load_class_folders(tmp_path, **SMALL)
    assert "\n" not in str(caught.value)


def test_unknown_test_class_is_refused(module, tmp_path):
    names = ("train/good", "train/bad", "test/good", "test/dent")
    _save(*[tmp_path / name / "1.png" for name in names])
    with pytest.raises(module("defect_images").DataError, match="dent is not"):
        module("class_folders").load_class_folders(tmp_path, **SMALL)


def test_missing_folder_ends_with_one_line(module, tmp_path, capsys):
    status = module("demo").main(["--data", str(tmp_path / "nowhere"), "--out", str(tmp_path)])
    assert status == 2
    assert capsys.readouterr().err.count("\n") == 1


def _save(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20, 20)).save(path)


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


# ---------------------------------------------------------------- splitting


def test_split_is_stratified_fixed_and_complete(module):
    split = module("defect_images").stratified_split
    groups = np.repeat([0, 1, 2], [40, 20, 2])
    train, test = split(groups, test_fraction=0.25)
    assert np.bincount(groups[test]).tolist() == [10, 5, 1]
    assert sorted([*train, *test]) == list(range(62))
    again = split(groups, test_fraction=0.25)
    assert (again[0] == train).all()
    assert (split(groups, test_fraction=0.25, seed=1)[1] != test).any()


@pytest.mark.slow
def test_solar_cells_leave_the_unsure_ones_out(module):
    pytest.importorskip("elpv_dataset", reason="the demo's packages are an extra")
    task = module("defect_images").load_elpv(size=16, max_train=4000, max_test=4000)
    counts = (task.train_labels.bincount() + task.test_labels.bincount()).tolist()
    assert counts == [588 + 920, 56 + 50 + 313 + 402]
    assert task.test_labels.float().mean() == pytest.approx(821 / 2329, abs=0.01)


# ---------------------------------------------------------------- corruptions


def test_corruptions_are_deterministic_and_leave_global_state(module):
    corruptions = importlib.import_module("styleaug.evaluate.corruptions")
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    for name in ("gaussian_noise", "impulse_noise", "motion_blur", "frost"):
        condition = corruptions.Condition(name, 3)
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        first = corruptions.corrupt_images(images, condition, seed=1)
        assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
        assert (first == corruptions.corrupt_images(images, condition, seed=1)).all()
        assert (first != images).any()
        assert not (first[0] == first[1]).all()


def test_images_below_the_corruptions_smallest_size_keep_their_size(module):
    corruptions = importlib.import_module("styleaug.evaluate.corruptions")
    images = np.zeros((1, 17, 20, 3), dtype=np.uint8)
    assert corruptions.corrupt_images(images, corruptions.Condition("fog", 5)).shape == images.shape


@pytest.mark.slow
def test_number_of_processes_changes_nothing(module):
    corruptions = importlib.import_module("styleaug.evaluate.corruptions")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    wanted = corruptions.conditions(corruptions.CORRUPTIONS, [1, 5])
    alone = list(corruptions.corrupted_sets(images, wanted, workers=0))
    shared = list(corruptions.corrupted_sets(images, wanted, workers=2))
    assert [condition for condition, _ in shared] == wanted
    for (_, a), (_, b) in zip(alone, shared, strict=True):
        assert (a == b).all()


# ---------------------------------------------------------------- scores and report


def test_balanced_accuracy_is_the_mean_recall(module):
    labels = np.array([0, 0, 0, 0, 1, 1])
    correct = np.array([True, True, True, False, True, False])
    assert module("scores").balanced_accuracy(correct, labels) == pytest.approx(62.5)


def test_gain_is_claimed_only_where_seeds_and_images_agree(module):
    scores = module("scores")
    labels = np.repeat([0, 1], 50)
    rng = np.random.default_rng(0)
    plain = rng.random((2, 3, 100)) < 0.5
    better = plain | (rng.random(plain.shape) < 0.6)
    assert scores.gain_between(plain, better, labels).verdict == "higher"
    assert scores.gain_between(better, plain, labels).verdict == "lower"
    assert scores.gain_between(plain, plain, labels).verdict == "no clear difference"
    assert "one seed" in scores.gain_between(plain[:1], better[:1], labels).verdict


def test_gain_agrees_with_the_accuracies(module):
    scores = module("scores")
    corruptions = importlib.import_module("styleaug.evaluate.corruptions")
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [10, 20, 30])
    every = [None, *corruptions.conditions(["fog", "snow"], [1, 3])]
    correct = {name: {c: rng.random((2, 60)) < 0.7 for c in every} for name in ("plain", "styled")}
    found = scores.compare(correct, labels, corruptions=["fog", "snow"], severities=[1, 3])
    first, second = found.scores
    assert found.robust.mean == pytest.approx(np.mean(second.mpc) - np.mean(first.mpc))
    assert found.by_corruption["fog"].per_seed == pytest.approx(
        np.subtract(second.under("fog"), first.under("fog"))
    )


def test_interrupted_writing_leaves_the_former_file(module, tmp_path):
    common = module("common")
    path = common.write_text(tmp_path / "report.md", "first")

    def fail(temporary):
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        common.write_atomically(path, fail)
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_sheet_shows_the_same_draw_in_each_row(module):
    """Two rows of one image look alike, and the caller's random state is left alone."""
    examples = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8).expand(2, -1, -1, -1)
    state = torch.random.get_rng_state()
    sheet = module("demo_report").contact_sheet(examples, Darker(), columns=4, seed=0)
    assert torch.equal(state, torch.random.get_rng_state())
    pixels = np.asarray(sheet)
    assert pixels.shape == (18 + 2 * 36 - 4, 5 * 36 - 4, 3)
    assert (pixels[18:50] == pixels[54:86]).all()


# ---------------------------------------------------------------- training and the whole


def test_quick_demo_from_end_to_end(module, folders, tmp_path, monkeypatch, capsys):
    demo = module("demo")
    policies = {"flips": v2.Identity(), "flips + darker": Darker()}
    monkeypatch.setattr(demo, "make_policies", lambda: policies)
    monkeypatch.setattr(demo, "make_sheet_transform", Darker)
    out = tmp_path / "out"
    assert (
        demo.main(
            ["--quick", "--size=24", "--model=small-cnn", f"--data={folders}", f"--out={out}"]
        )
        == 0
    )
    assert sorted(p.name for p in out.iterdir()) == [
        "gains.png",
        "report.json",
        "report.md",
        "sheet.png",
    ]
    record = json.loads((out / "report.json").read_text())
    assert set(record["scores"]) == set(policies)
    assert set(record["gains"]) == {"clean", "mPC", *record["settings"]["corruptions"]}
    text = (out / "report.md").read_text()
    assert record["conclusion"] in text
    assert "Darker()" in text
    assert text in capsys.readouterr().out
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.width > 3 * 224
