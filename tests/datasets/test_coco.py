"""COCO's JSON files."""

import pytest

from labelled import coco, draw, labels, read, splits, write
from styleaug.datasets import Box, read_defects


@pytest.mark.parametrize("place", ["x.json", "annotations/x.json"])
def test_coco_boxes_are_left_top_width_height(tmp_path, place):
    draw(tmp_path, "pictures/a.png", "pictures/b.png", "unlisted.png")
    boxes = [(5, 0, [1, 2, 3, 4]), (5, 1, [10, 0, 30, 30])]
    write(tmp_path / place, coco({5: "a.png", 6: "pictures/b.png"}, boxes))
    write(tmp_path / "settings.json", "[1, 2]")  # another JSON file does not matter
    layout, samples = read(tmp_path)
    assert layout == "coco"
    assert labels(samples) == {"pictures/a.png": "spot", "pictures/b.png": ""}
    assert samples["pictures/a.png"].boxes == (Box("crack", 1, 2, 4, 6), Box("spot", 10, 0, 20, 10))


def test_coco_splits_come_from_the_names_of_files_and_folders(tmp_path):
    draw(tmp_path, "train2017/1.png", "val2017/1.png", "test/1.png")
    write(tmp_path / "annotations/instances_train2017.json", coco({1: "1.png"}))
    write(tmp_path / "annotations/instances_val2017.json", coco({1: "1.png"}))
    write(tmp_path / "test/_annotations.coco.json", coco({1: "1.png"}))
    assert splits(read(tmp_path)[1]) == {
        "test/1.png": "test",
        "train2017/1.png": "train",
        "val2017/1.png": "train",
    }


def test_coco_files_of_no_split_leave_it_to_the_folders_of_the_images(tmp_path):
    draw(tmp_path, "train/1.png", "test/2.png")
    write(tmp_path / "all.json", coco({1: "1.png", 2: "2.png"}))
    assert splits(read(tmp_path)[1]) == {"test/2.png": "test", "train/1.png": "train"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [\n1,\n}', r"x\.json, line 3, must be JSON"),
        (
            coco({1: "z.png", 2: "a.png", 3: "y.png"}),
            r"2 have none, the first: z\.png in .*x\.json",
        ),
        (coco({1: ".."}), "1 have none"),
        (coco({1: "b/1.png"}), "1 have none"),  # a/1.png is another image
        (coco({1: "1.png"}), "fits several files"),
        (coco({1: "a.png", 2: "./a.png"}), "must be listed once"),
        (coco({1: "a.png"}, [(1, 9, [0, 0, 1, 1])]), "annotation 0, must be of a category"),
        (coco({1: "a.png"}, [(2, 0, [0, 0, 1, 1])]), "annotation 0, must be of an image"),
        (coco({1: "a.png"}, [(1, 0, [0, 0, 1])]), "annotation 0, must be a bbox"),
        (coco({1: "a.png"}, [(1, 0, None)]), "annotation 0, must be a bbox"),
        (coco({1: "a.png"}, [(1, 0, [0, 0, -1, 1])]), "left is before its right"),
        (coco({1: "a.png"}, [(1, 0, [30, 0, 1, 1])]), "must be a box in the image"),
        (coco({1: "a.png"}, [(1, 0, [0, 15, 1, 1])]), "must be a box in the image"),
        (coco({1: "a.png"}, [(1, 0, [-3, 0, 1, 1])]), "must be a box in the image"),
        (coco({1: "a.png"}, [(1, 0, [0, -3, 1, 1])]), "must be a box in the image"),
        ('{"images": [1], "annotations": [], "categories": []}', "image 0, must be an object with"),
    ],
)
def test_mistakes_in_a_coco_file_are_named(tmp_path, text, message):
    draw(tmp_path, "a.png", "a/1.png", "c/1.png")
    write(tmp_path / "x.json", text)
    with pytest.raises(ValueError, match=message):
        read_defects(tmp_path)
