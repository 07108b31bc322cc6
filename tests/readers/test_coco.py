"""COCO's JSON files."""

import json

import numpy as np
import pytest

from labelled import HEIGHT, WIDTH, coco, draw, labels, read, splits, write
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


def coco_of(root, *annotations, size=(WIDTH, HEIGHT)):
    """The first sample of a set with these annotations of one image."""
    draw(root, "images/a.png", size=size)
    entries = [{"image_id": 7, "category_id": 90, **entry} for entry in annotations]
    content = {
        "images": [{"id": 7, "file_name": "a.png"}],
        "categories": [{"id": 0, "name": "all", "supercategory": "none"}, {"id": 90, "name": "x"}],
        "annotations": entries,
    }
    write(root / "annotations/instances_default.json", json.dumps(content))
    (sample,) = read_defects(root).samples
    return sample


SQUARE = np.zeros((HEIGHT, WIDTH), dtype=bool)
SQUARE[2:6, 3:8] = True
RUNS = [3 * HEIGHT + 2, 4, 6, 4, 6, 4, 6, 4, 6, 4]


def test_coco_run_lengths_are_masks_and_give_a_box_where_none_is_written(tmp_path):
    sample = coco_of(
        tmp_path, {"segmentation": {"counts": RUNS, "size": [HEIGHT, WIDTH]}, "iscrowd": 1}
    )
    assert np.array_equal(sample.load_mask(), SQUARE)
    assert sample.boxes == (Box("x", 3, 2, 8, 6),)
    assert read_defects(tmp_path).classes == ("x",)  # Roboflow's first category has no image


def test_coco_compressed_run_lengths_are_those_of_its_own_tools(tmp_path):
    tools = pytest.importorskip("pycocotools.mask")
    generator = np.random.default_rng(0)
    for number, share in enumerate((0.02, 0.3, 0.5, 0.97)):
        marked = generator.random((60, 41)) < share
        code = tools.encode(np.asfortranarray(marked.astype(np.uint8)))
        runs = {"counts": code["counts"].decode(), "size": code["size"]}
        sample = coco_of(tmp_path / str(number), {"segmentation": runs}, size=(41, 60))
        assert np.array_equal(sample.load_mask(), marked)
        left, top, width, height = tools.toBbox(code).tolist()
        assert sample.boxes == (Box("x", left, top, left + width, top + height),)


def test_coco_polygons_may_be_several_and_boxes_are_masks_beside_them(tmp_path):
    sample = coco_of(
        tmp_path,
        {
            "bbox": [3, 2, 5, 4],
            "segmentation": [[3, 2, 5, 2, 5, 6, 3, 6], [6, 2, 8, 2, 8, 6], [1, 1]],
        },
        {"bbox": [12, 2, 2, 2], "segmentation": []},
        {"bbox": [10.5, 5.5, 4, 0], "segmentation": []},  # without area
    )
    assert sample.boxes == (Box("x", 3, 2, 8, 6), Box("x", 12, 2, 14, 4))
    assert len(sample.masks) == 3
    assert sample.load_mask()[2:4, 12:14].all()
    assert coco_of(tmp_path / "boxes", {"bbox": [1, 1, 2, 2]}).masks == ()


@pytest.mark.parametrize(
    "name",
    [
        "images/a b.png",
        "images\\a b.png",
        "a%20b.png",
        "https://host/data/upload/1/a%20b.png?d=1",
        "../../label-studio/upload/1/a b.png",
        "/data/local-files/images/a b.png",
        "C:\\set\\images\\a b.png",
        "A B.PNG",
    ],
)
def test_coco_names_of_images_are_written_in_many_ways(tmp_path, name):
    draw(tmp_path, "images/a b.png", "images/b.png")
    write(tmp_path / "result.json", coco({1: name}, [(1, 0, [1, 1, 2, 2])]))
    assert labels(read(tmp_path)[1]) == {"images/a b.png": "crack"}
    assert read_defects(tmp_path).notes == (
        "1 of the images are left out: no COCO file lists them.",
    )


def test_coco_of_roboflow_has_a_file_in_the_folder_of_each_split(tmp_path):
    for split in ("train", "valid", "test"):
        draw(tmp_path, f"{split}/a_jpg.rf.1.jpg")
        write(
            tmp_path / split / "_annotations.coco.json",
            coco({0: "a_jpg.rf.1.jpg"}, [(0, 1, [1, 1, 2, 2])]),
        )
    layout, samples = read(tmp_path)
    assert layout == "coco"
    assert sorted(splits(samples).values()) == ["test", "train", "train"]


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ({"counts": [1, 2], "size": [HEIGHT]}, "must be run lengths with counts and size"),
        ({"counts": "zzz\u00e9", "size": [HEIGHT, WIDTH]}, "must be run lengths with counts"),
        ({"counts": [0, 999], "size": [HEIGHT, WIDTH]}, "must fill an area of 20 x 10 pixels"),
        ({"counts": [0, 4], "size": [2, 2e9]}, "2000000000 x 2 pixels .* does not fit"),
        ({"counts": [0, 4], "size": [4, 40]}, "40 x 4 pixels .* does not fit into 20 x 10"),
        ({"size": [HEIGHT, WIDTH]}, "must be an object with counts, size"),
        ([[1, 2, 3]], "must be a segmentation"),
        ([["a", 2, 3, 4, 5, 6]], "must be a segmentation"),
        ([[1, 1, 1e300, 1, 5, 5]], "must be an outline near its image"),
        ("x", "must be a segmentation"),
        (7, "must be a segmentation"),
    ],
)
def test_mistakes_in_coco_outlines_are_named(tmp_path, segmentation, words):
    with pytest.raises(ValueError, match=f"annotation 0, .*{words}"):
        coco_of(tmp_path, {"bbox": [1, 1, 2, 2], "segmentation": segmentation})


@pytest.mark.parametrize(
    "text",
    [
        '{"images": 1, "annotations": 1, "categories": ' + "[" * 100_000,
        '{"images": [{"id": [1], "file_name": "a.png"}], "annotations": [], "categories": []}',
        '{"images": [{"id": 1, "file_name": 5}], "annotations": [], "categories": []}',
        '{"images": [{"id": 1, "file_name": "a.png"}], "annotations": [],'
        ' "categories": [{"id": {}, "name": "x"}]}',
        coco({1: "a.png"}, [(1, 0, [1e308, 1e308, 1e308, 1e308])]),
        coco({1: "a.png"}, [(1, 0, ["1", None, 1, 1])]),
        coco({1: "a.png"}, [(1, 0, [10**400, 1, 1, 1])]),
    ],
)
def test_coco_files_of_other_types_are_refused_in_words(tmp_path, text):
    draw(tmp_path, "a.png")
    write(tmp_path / "x.json", text)
    with pytest.raises(ValueError, match=r"x\.json"):
        read_defects(tmp_path)


def test_panoptic_coco_is_refused_in_words(tmp_path):
    draw(tmp_path, "images/1.png")
    content = json.loads(coco({1: "1.png"}))
    content["annotations"] = [{"image_id": 1, "file_name": "1.png", "segments_info": []}]
    write(tmp_path / "panoptic.json", json.dumps(content))
    with pytest.raises(ValueError, match=r"panoptic\.json must be of boxes or outlines"):
        read_defects(tmp_path)
