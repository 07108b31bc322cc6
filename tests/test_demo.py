"""The demo: what it reads and shows, and one quick run from end to end."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import elpv
from benchmarks.demo import __main__ as demo
from styleaug.datasets import Sample, read_defects
from styleaug.evaluate.results import Result

pytest.importorskip("imagecorruptions", reason="the demo's packages are an extra")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folder(tmp_path):
    """Two classes that differ in brightness, ten images each, of odd sizes and several modes."""
    rng = np.random.default_rng(0)
    for name, level in (("good", 60), ("scratch", 180)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(10):
            mode = ("L", "RGB", "RGBA")[number % 3]
            shape = (23 + number, 41) if mode == "L" else (23 + number, 41, len(mode))
            pixels = np.uint8(level + rng.integers(0, 40, shape))
            suffix = "png" if mode == "RGBA" else "bmp"
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.{suffix}")
    return tmp_path / "data"


def test_damaged_images_are_named_and_left_out(folder):
    (folder / "good" / "broken.png").write_bytes(b"no image at all")
    kept, notes = demo.leave_out_unreadable(read_defects(folder))
    assert len(kept.samples) == 20
    assert notes == ("Left out, unreadable: good/broken.png.",)
    assert demo.leave_out_unreadable(kept) == (kept, ())


def test_the_sheet_shows_the_same_draw_in_each_row(folder):
    """Two rows of one image look alike, and the caller's random state is left alone."""
    sample = Sample(next(folder.glob("good/*")))
    state = torch.random.get_rng_state()
    pixels = np.asarray(demo.make_sheet([sample, sample], columns=2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert pixels.shape == (4 + 2 * 228, 4 + 3 * 228, 3)
    assert (pixels[4:228] == pixels[232:456]).all()
    assert (pixels[4:228, 4:228] != pixels[4:228, 232:456]).any()


@pytest.mark.slow
def test_solar_cells_leave_the_unsure_ones_out():
    pytest.importorskip("elpv_dataset", reason="the demo's packages are an extra")
    cells = elpv.read_elpv().samples
    labels = [cell.label for cell in cells]
    assert labels.count("functional") == 588 + 920
    assert labels.count("defective") == 56 + 50 + 313 + 402
    assert sum(cell.path.name in demo._ELPV_EXAMPLES for cell in cells) == 5


# ---------------------------------------------------------------- the whole


def arguments(folder: Path, out: Path, *more: str) -> list[str]:
    options = ["--quick", "--size=24", "--model=small-cnn", "--steps=2"]
    return [*options, f"--data={folder}", f"--out={out}", *more]


def test_quick_demo_from_end_to_end(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "COLUMNS", 2)
    policies = {"flips only": "", "StyleAugment": "StyleAugment([Relight()])"}
    monkeypatch.setattr(demo, "POLICIES", policies)
    out = tmp_path / "out"
    assert demo.main(arguments(folder, out)) == 0
    names = ["cache", "report.html", "result.json", "sheet.png"]
    assert sorted(p.name for p in out.iterdir()) == names
    result = Result.load(out / "result.json")
    assert result.meta["policies"] == policies
    assert result.conditions == ["clean", "gaussian_noise", "defocus_blur", "contrast"]
    assert result.meta["task"]["train"] == 16
    page = (out / "report.html").read_text()
    assert "<h1>StyleAugment on data</h1>" in page
    assert "2 classes, 16 images to train on, 2 steps of 16, 4 to test on." in page
    assert "Split at random, class by class" in page
    assert "StyleAugment: StyleAugment([Relight()])" in page
    printed = capsys.readouterr().out
    assert re.search(r"^StyleAugment  .*\(.* to .*\)$", printed, re.MULTILINE)
    assert str(folder) not in page + (out / "result.json").read_text()
    # what was done is not done again
    monkeypatch.setattr("styleaug.evaluate.experiment.train", None)
    assert demo.main(arguments(folder, out)) == 0


@pytest.mark.parametrize("wrong", ["folder", "option"])
def test_what_cannot_be_run_ends_with_one_line(folder, tmp_path, wrong, capsys):
    if wrong == "folder":
        assert demo.main(arguments(tmp_path / "nowhere", tmp_path)) == 2
        assert capsys.readouterr().err.count("\n") == 1
        return
    with pytest.raises(SystemExit):
        demo.main(arguments(folder, tmp_path, "--seeds=0"))
    assert "must be a whole number from 1 to 999999999, but is '0'" in capsys.readouterr().err


def test_what_is_asked_for_wins_over_quick():
    options = demo.make_parser().parse_args(["--quick", "--steps=5", "--seeds=3", "--train=7"])
    protocol = demo.protocol_of(options)
    assert (protocol.steps, protocol.seeds, protocol.train) == (5, (0, 1, 2), 7)
    assert protocol.test == demo.QUICK.test
    assert demo.protocol_of(demo.make_parser().parse_args([])) == demo.PROTOCOL
