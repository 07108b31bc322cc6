"""Text files of corners in pixels, as DeepPCB has them."""

import pytest

from labelled import draw, labels, read, splits, write
from styleaug.datasets import Box, read_defects


def test_text_files_beside_the_images_hold_corners_in_pixels(tmp_path):
    draw(tmp_path, "trainval/a.jpg", "test/b.jpg", "test/c.jpg")
    write(tmp_path / "trainval/a.txt", "\ufeff1 2 3 4 6\n 2.5,3,30,9, pin-hole \n5 5 5 6 1\n")
    write(tmp_path / "test/b.txt", "\n")
    write(tmp_path / "test/readme.txt", "from the camera")
    write(tmp_path / "trainval.txt", "trainval/a.jpg")
    layout, samples = read(tmp_path)
    assert layout == "text"
    # a box without area is none
    assert samples["trainval/a.jpg"].boxes == (Box("6", 1, 2, 3, 4), Box("pin-hole", 2.5, 3, 20, 9))
    assert labels(samples) == {"test/b.jpg": "", "test/c.jpg": "", "trainval/a.jpg": "pin-hole"}
    assert splits(samples) == {
        "test/b.jpg": "test",
        "test/c.jpg": "test",
        "trainval/a.jpg": "train",
    }


def test_the_box_of_the_largest_area_tells_the_label_and_all_tell_the_classes(tmp_path):
    draw(tmp_path, "a.png")
    write(tmp_path / "a.txt", "0 0 12 1 wide\n0 0 5 8 big\n0 0 1 9 tall\n")
    found = read_defects(tmp_path)
    assert found.samples[0].label == "big"
    assert found.classes == ("big", "tall", "wide")


@pytest.mark.parametrize("line", ["1 2 3 4", "1 2 3 four 5", "0 0.1 0.2 0.3 0.4", "crack"])
def test_malformed_lines_of_corners_are_named(tmp_path, line):
    """Among them YOLO's, whose last number would pass for a class."""
    draw(tmp_path, "a.png")
    write(tmp_path / "a.txt", f"1 2 3 4 5\n\n{line}\n")
    with pytest.raises(ValueError, match=r"a\.txt, line 3, must be x1 y1 x2 y2 class"):
        read_defects(tmp_path)


@pytest.mark.parametrize("line", ["5 1 2 3 1", "1 5 3 2 1", "nan 1 2 3 1", "1 2 inf 4 1"])
def test_corners_in_the_wrong_order_are_named(tmp_path, line):
    draw(tmp_path, "a.png")
    write(tmp_path / "a.txt", line)
    with pytest.raises(ValueError, match=r"a\.txt, line 1, must be a box whose left"):
        read_defects(tmp_path)


@pytest.mark.parametrize("text", ["exposure 3 ms", "1.5 2.5 3.5", "NG", ""])
def test_text_files_beside_images_about_something_else_do_not_matter(tmp_path, text):
    draw(tmp_path, "NG/a.png", "OK/b.png")
    write(tmp_path / "NG/a.txt", text)
    layout, samples = read(tmp_path)
    assert layout == "folders"
    assert labels(samples) == {"NG/a.png": "NG", "OK/b.png": "OK"}
