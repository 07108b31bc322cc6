"""Samples: images, masks and boxes as they are loaded; datasets that are split."""

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelled import HEIGHT, WIDTH, draw, draw_mask
from styleaug.datasets import Box, DefectSet, MaskFile, Sample


@pytest.mark.parametrize("orientation", range(1, 9))
def test_samples_are_loaded_as_rgb_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    size = (HEIGHT, WIDTH) if orientation > 4 else (WIDTH, HEIGHT)
    Image.new("L", size).save(tmp_path / "a.jpg", exif=exif)
    sample = Sample(tmp_path / "a.jpg", boxes=(Box("x", 18, 0, 20, 1),))
    assert (sample.load().mode, sample.load().size) == ("RGB", (WIDTH, HEIGHT))
    assert np.argwhere(sample.load_mask()).tolist() == [[0, 18], [0, 19]]


def test_the_mask_of_boxes_is_their_union(tmp_path):
    draw(tmp_path, "a.png")
    boxes = (Box("x", 1.5, 2, 4, 4), Box("y", 3, 3, 5, 4.2), Box("z", -2, -2, 1, 1))
    mask = Sample(tmp_path / "a.png", boxes=boxes).load_mask()
    expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
    expected[2:4, 1:4] = expected[3:5, 3:5] = expected[0, 0] = True
    assert mask.dtype == bool
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize(
    ("levels", "mode", "marked"),
    [
        ([1, 1, 0], None, [1, 1, 0]),  # 0 and 1
        ([1, 2, 11], None, [1, 1, 1]),  # classes
        ([255, 3, 250], None, [1, 0, 1]),  # compressed
        ([176, 2, 90], None, [1, 0, 1]),
        ([128, 2, 90], None, [1, 0, 1]),
        ([127, 2, 90], None, [1, 1, 1]),
        ([255, 3, 250], "RGB", [1, 0, 1]),
        ([255, 0, 255], "RGBA", [1, 0, 1]),  # opaque everywhere
        ([255, 0, 255], "LA", [1, 0, 1]),
        ([255, 0, 255], "1", [1, 0, 1]),
        ([50, 100, 200], None, [1, 1, 1]),  # classes, as levels that one can see
        ([200, 1, 0], "P", [1, 1, 0]),  # numbers of colours are classes
        ([0, 0, 0], None, [0, 0, 0]),
    ],
)
def test_masks_of_every_kind(tmp_path, levels, mode, marked):
    draw(tmp_path, "a.png")
    draw_mask(tmp_path / "m.png", levels, mode=mode)
    mask = Sample(tmp_path / "a.png", masks=(MaskFile(tmp_path / "m.png"),)).load_mask()
    assert mask.shape == (HEIGHT, WIDTH)
    assert mask[0, :3].tolist() == [bool(value) for value in marked]
    assert mask.sum() == sum(marked)


def test_a_mask_must_have_the_size_of_its_image(tmp_path):
    draw(tmp_path, "a.png")
    draw(tmp_path, "m.png", size=(HEIGHT, WIDTH))
    with pytest.raises(
        ValueError, match=r"a\.png: A mask .*m\.png has 10 x 20 pixels and its image 20 x 10"
    ):
        Sample(tmp_path / "a.png", masks=(MaskFile(tmp_path / "m.png"),)).load_mask()


def made(*groups: tuple[str, int, str]) -> DefectSet:
    """A set of so many samples of a label and a split each."""
    samples = [
        Sample(Path(f"{label}{split}{i}.png"), label=label, split=split)
        for label, count, split in groups
        for i in range(count)
    ]
    names = tuple(sorted({label for label, _, _ in groups} - {""}))
    return DefectSet("made", names, tuple(samples), "folders")


def test_a_random_split_is_stratified_disjoint_and_repeatable():
    whole = made(("a", 50, ""), ("b", 8, ""), ("rare", 2, ""), ("lone", 1, ""), ("", 5, ""))
    train, test = whole.split(0.2, seed=3)
    counts = {name: sum(s.label == name for s in test.samples) for name in (*whole.classes, "")}
    assert counts == {"a": 10, "b": 2, "rare": 1, "lone": 0, "": 1}
    assert {*train.samples}.isdisjoint(test.samples)
    assert {*train.samples, *test.samples} == {*whole.samples}
    assert train.classes == test.classes == whole.classes
    assert whole.split(0.2, seed=3) == (train, test)
    assert whole.split(0.2, seed=4) != (train, test)
    # the order stays, and the label with the most samples cannot use a rare one up
    assert [s for s in whole.samples if s in test.samples] == list(test.samples)
    assert sum(s.label == "rare" for s in whole.split(0.99)[0].samples) == 1


def test_a_split_draws_from_a_generator_of_its_own():
    before = random.getstate()
    made(("a", 5, "")).split()
    assert random.getstate() == before


def test_a_set_keeps_its_own_split():
    whole = made(("a", 3, "train"), ("a", 2, "test"), ("b", 1, ""))
    train, test = whole.split(0.9, seed=5)
    assert [s.path.stem for s in test.samples] == ["atest0", "atest1"]
    assert len(train.samples) == 4
    # one side alone is no split
    assert len(made(("a", 10, "train")).split()[1].samples) == 2
    assert len(made(("a", 10, "test")).split()[1].samples) == 2


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_a_share_to_test_on_must_leave_something_on_both_sides(fraction):
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\), but is"):
        made(("a", 3, "")).split(fraction)


def test_a_set_without_two_of_a_label_cannot_be_parted():
    words = (
        "must have two images of a label .* read as 'folders', whose labels are the names of fol"
    )
    with pytest.raises(ValueError, match=words):
        made(("a", 1, ""), ("b", 1, "")).split()
