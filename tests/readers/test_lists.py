"""Lists of images to train on and to test on, beside class folders."""

import pytest

from labelled import draw, read, splits, write
from styleaug.datasets import read_defects


@pytest.mark.parametrize("after", ["", " 0", "\t1"])
def test_lists_tell_the_splits_of_class_folders(tmp_path, after):
    draw(tmp_path, *(f"{label}/{k}.png" for label in ("NG", "OK") for k in (1, 2)))
    write(tmp_path / "train.txt", f"NG/1.png{after}\nOK/1.png{after}\n")
    write(tmp_path / "test_list.txt", "nothing of images")
    write(tmp_path / "val.txt", f"./NG/2.png{after}\n")
    layout, samples = read(tmp_path)
    assert layout == "folders"
    assert splits(samples) == {
        "NG/1.png": "train",
        "NG/2.png": "test",
        "OK/1.png": "train",
        "OK/2.png": "",
    }


def test_a_list_that_names_other_images_is_told_and_not_followed(tmp_path):
    draw(tmp_path, "NG/1.png", "NG/2.png", "OK/1.png")
    write(tmp_path / "train.txt", "NG/2.png\n1.png\n9.png\n")
    assert {*splits(read(tmp_path)[1]).values()} == {""}
    assert read_defects(tmp_path).notes == (
        "train.txt is not taken for a list of images: 2 of its lines name none, or fit several.",
    )


def test_folders_of_splits_go_before_lists(tmp_path):
    draw(tmp_path, *(f"{split}/{label}/1.png" for split in ("train", "test") for label in "ab"))
    write(tmp_path / "test.txt", "train/a/1.png\n")
    assert splits(read(tmp_path)[1])["train/a/1.png"] == "train"


def test_a_path_from_the_root_goes_before_others_that_end_so(tmp_path):
    draw(tmp_path, "NG/1.png", "old/NG/1.png", "OK/1.png", "old/OK/1.png")
    write(tmp_path / "test.txt", "NG/1.png\n")
    assert splits(read(tmp_path)[1])["NG/1.png"] == "test"
