"""The tutorials run as a reader follows them, on a few drawn images and for a few steps."""

import re
import runpy
import shlex
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import tutorials
from benchmarks.docs.pages import fill
from benchmarks.rows import Rows
from styleaug.cli import main
from styleaug.datasets import drawn, read_defects
from styleaug.images.io import list_images

pytestmark = pytest.mark.usefixtures("one_thread", "seeded")
SHORT = {r"^EPOCHS = \d+": "EPOCHS = 1", r"--limit \d+": "--limit 2", r"--steps \d+": "--steps 1"}


def shortened(text):
    """A file or command of a page with less to do."""
    for pattern, less in SHORT.items():
        text = re.sub(pattern, less, text, flags=re.MULTILINE)
    if "datasets.drawn" in text:
        text = re.sub(r" --count \d+", "", text) + " --count 48"
    return text


def run_here(command, folder, capsys):
    """What a command prints; its programs run in this process."""
    program, *words = shlex.split(command)
    if program == "styleaug":
        assert main(words) == 0
    elif words[0] == "-m":
        drawn.main(words[2:])
    else:
        runpy.run_path(str(folder / words[0]), run_name="__main__")
    return capsys.readouterr().out


@pytest.mark.parametrize("name", tutorials.PAGES)
def test_a_tutorial_runs_as_its_page_tells(name, tmp_path, monkeypatch, capsys):
    """All but the bench, whose options tests/test_docs.py checks and tests/test_bench.py runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    scores = {}
    try:
        for command in tutorials.follow(tutorials.PAGES[name], tmp_path, shortened):
            if not command.startswith("styleaug bench"):
                printed = run_here(command, tmp_path, capsys)
                scores |= {row[:2]: row[2] for row in tutorials.scores_in(printed)}
    finally:
        for module in ("mine", "train"):  # each page has its own
            sys.modules.pop(module, None)
    trainings = ("flips only", "StyleAugment")
    both = {(training, f"{line} line") for training in trainings for line in drawn.LINES}
    assert scores.keys() == both | {("StyleAugment, adapted", "new line")}
    assert all(0 <= score <= 100 for score in scores.values())
    assert {"inspect.png", "preview.jpg", "audit", "adapted.pt"} <= {
        p.name for p in tmp_path.iterdir()
    }


def test_every_page_says_bench_and_shows_its_results():
    """Else a page would lose its numbers silently."""
    assert set(tutorials.PAGES) == {"classification", "boxes", "masks"}
    for name, page in tutorials.PAGES.items():
        text = page.read_text(encoding="utf-8")
        assert "\nstyleaug bench --data old_line/" in text
        assert f"<!-- results: tutorial {name} -->" in text


def test_a_page_tells_what_was_gained_seed_by_seed(tmp_path):
    """Scores as the programs print them, gains paired by seed, the time of both trainings."""
    rows = []
    for seed, printed in enumerate(
        (
            "flips only     old line  80.0   new line  60.0\n"
            "StyleAugment   old line  79.0   new line  75.0\n",
            "flips only     old line  82.0   new line  64.0\n"
            "StyleAugment   old line  83.5   new line  75.0\n",
        )
    ):
        found = tutorials.scores_in(f"train: 100%\n{printed}")
        assert len(found) == 4
        found += [
            ("StyleAugment, adapted", "new line", 81.0),
            ("python train.py", "cpu seconds", 90),
        ]
        rows += [{"seed": seed, "name": n, "measure": m, "value": v} for n, m, v in found]
    meta = {"machine": {"cpu": "a CPU", "cores": 2}}
    Rows(meta, rows).save(tmp_path / "tutorials" / "masks.json")
    names = ("tutorial", "tutorial_adapted")
    blocks = (f"<!-- results: {name} masks -->\n<!-- /results -->" for name in names)
    text = fill("\n".join(blocks), tmp_path)
    assert "| flips only | 81.0 ± 1.4 | 62.0 ± 2.8 |" in text
    assert "+15.0, +11.0 points on the new line" in text
    assert "-1.0, +1.5 points on the old line." in text
    assert "took 1.5 CPU minutes (a CPU)" in text
    assert "81.0 ± 0.0 adapted" in text


# ---------------------------------------------------------------- drawn parts


def test_a_part_is_a_function_of_its_arguments():
    """Torch's global generator has no say in it, and stays as it is."""
    before = torch.get_rng_state()
    first = drawn.draw_part(3, ["dent"], size=64)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert torch.equal(drawn.draw_part(3, ["dent"], size=64).image, first.image)
    assert first.image.shape == (3, 64, 64)
    assert first.image.dtype == torch.uint8


@pytest.mark.parametrize("line", drawn.LINES)
@pytest.mark.parametrize("kind", drawn.KINDS)
def test_a_defect_changes_the_image_where_its_mask_says(kind, line):
    """And nothing far from it."""
    good, bad = (drawn.draw_part(5, kinds, line=line) for kinds in ([], [kind]))
    ((name, mask),) = bad.defects
    near = torch.nn.functional.max_pool2d(mask[None, None].float(), 25, 1, 12)[0, 0] > 0
    apart = (bad.image.float() - good.image.float()).mean(0).abs()
    assert name == kind
    assert 20 < mask.sum() < 0.2 * mask.numel()
    assert apart[mask].mean() > 4
    assert apart[~near].max() < 1.5


def test_lines_make_the_same_parts_under_other_lighting():
    """The new line is dimmer, and its light falls off to the left."""
    old, new = (drawn.draw_part(7, ["stain"], line=line) for line in drawn.LINES)
    assert torch.equal(old.defects[0][1], new.defects[0][1])
    old, new = (part.image.float().mean(0) for part in (old, new))
    assert new.mean() < 0.85 * old.mean()
    assert new[:, 64:].mean() / new[:, :64].mean() > 1.3 * old[:, 64:].mean() / old[:, :64].mean()


def test_folders_are_read_as_they_are_drawn(tmp_path):
    """Classes in equal numbers, masks and boxes around them."""
    for labels in drawn.LABELS:
        drawn.draw_folder(tmp_path / labels, labels, count=12, size=64)
    classes, boxes, masks = (read_defects(tmp_path / labels) for labels in drawn.LABELS)
    assert (classes.layout, boxes.layout, masks.layout) == ("folders", "yolo", "masks")
    labels = [sample.label for sample in classes.samples]
    assert {labels.count(kind) for kind in (drawn.GOOD, *drawn.KINDS)} == {3}
    marked = read_defects(tmp_path / "classes", masks=tmp_path / "classes_masks").samples
    assert sum(bool(sample.masks) for sample in marked) == 9
    assert len(list_images(tmp_path / "classes")) == 12  # and no mask among them
    assert boxes.classes == drawn.KINDS
    for boxed, masked in zip(boxes.samples, masks.samples, strict=True):
        np.testing.assert_array_equal(Image.open(boxed.path), Image.open(masked.path))
        mask = masked.load_mask()
        assert bool(boxed.boxes) == mask.any()
        if boxed.boxes:
            assert not mask[~boxed.load_mask()].any()


def test_nothing_is_drawn_among_files_of_others(tmp_path, capsys):
    for taken in ("parts", "parts_masks"):
        place = tmp_path / taken
        place.mkdir()
        (place / "mine.txt").write_text("")
        with pytest.raises(SystemExit):
            drawn.main([str(tmp_path / "parts")])
        assert f"must be empty, but {place} is not" in capsys.readouterr().err
        (place / "mine.txt").unlink()
    assert [path.name for path in tmp_path.rglob("*.*")] == []


def test_what_cannot_be_drawn_is_told_in_a_sentence(tmp_path, capsys):
    """A count below 1, and a file in place of the folder."""
    (tmp_path / "file").write_text("")
    for arguments, words in (
        ([str(tmp_path / "parts"), "--count", "0"], "count must be a whole number of at least 1"),
        ([str(tmp_path / "file")], "Not a directory"),
    ):
        with pytest.raises(SystemExit, match="2"):
            drawn.main(arguments)
        assert words in capsys.readouterr().err
    assert not (tmp_path / "parts").exists()
