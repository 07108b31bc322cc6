"""YOLO's layouts: shares of the sides, polygons, and the files that describe a dataset."""

import pytest

from labelled import draw, labels, read, splits, write
from styleaug.datasets import Box, read_defects


def test_yolo_boxes_are_shares_of_the_sides_and_polygons_get_boxes(tmp_path):
    draw(tmp_path, "images/a.JPG", "images/b.png", "images/c.png", "images/d.png")
    write(tmp_path / "labels/a.txt", "0 0.5 0.5 0.5 0.2\n\n1 0.1 0.2 0.3 0.4 0.9 0.8\n")
    write(tmp_path / "labels/b.txt", "")
    write(tmp_path / "labels/d.txt", "7 1 0.5 0.5 1\n")
    layout, samples = read(tmp_path)
    assert layout == "yolo"
    box, around = samples["images/a.JPG"].boxes
    assert box == Box("0", 5, 4, 15, 6)
    assert around.label == "1"
    assert (around.left, around.top, around.right, around.bottom) == pytest.approx((2, 2, 18, 8))
    # an empty file and none both mean background; what sticks out is cut off
    assert labels(samples) == {
        "images/a.JPG": "1",
        "images/b.png": "",
        "images/c.png": "",
        "images/d.png": "7",
    }
    assert samples["images/d.png"].boxes == (Box("7", 15, 0, 20, 10),)


YAML_NAMES = [
    "names: [crack, 'red, rust']  # two",
    "names: ['crack',\n  \"red, rust\"]",
    "names:\n- crack\n- red, rust",
    "names:\n  - crack\n  - 'red, rust'",
    "nc: 2\nnames:\n  0: crack\n  1: red, rust",
    "names: {0: crack, 1: 'red, rust'}",
    "names:\n  1: red, rust\n  0: crack",
]


@pytest.mark.parametrize("names", YAML_NAMES)
def test_yolo_names_come_from_every_way_to_write_them_in_yaml(tmp_path, names):
    draw(tmp_path, "images/train/a.png", "images/val/b.png", "images/other/c.png")
    write(tmp_path / "labels/train/a.txt", "1 0.5 0.5 0.5 0.5")
    write(tmp_path / "labels/val/b.txt", "0 0.5 0.5 0.5 0.5")
    write(tmp_path / "data.yaml", f"# ours\ntrain: images/train\nval: images/val\ntest:\n{names}\n")
    layout, samples = read(tmp_path)
    assert layout == "yolo"
    assert labels(samples) == {"images/train/a.png": "red, rust", "images/val/b.png": "crack"}
    assert splits(samples) == {"images/train/a.png": "train", "images/val/b.png": "test"}


def test_yolo_paths_may_be_lists_of_folders_or_files_and_start_at_path(tmp_path):
    draw(tmp_path, *(f"set/images/{name}.png" for name in ("1/a", "2/b", "3/c")))
    write(tmp_path / "set/labels/1/a.txt", "0 0.5 0.5 0.5 0.5")
    write(tmp_path / "set/held.txt", "./images/3/c.png\n")
    write(
        tmp_path / "ours.yml",
        "path: set\ntrain:\n  - images/1\n  - images/2\ntest: held.txt\nnames: [crack]\n",
    )
    samples = read_defects(tmp_path).samples
    assert [(s.path.name, s.label, s.split) for s in samples] == [
        ("a.png", "crack", "train"),
        ("b.png", "", "train"),
        ("c.png", "", "test"),
    ]


def test_yolo_exports_that_point_above_their_folder_are_read(tmp_path):
    """Roboflow writes ../train/images, and means train/images."""
    root = tmp_path / "export"
    draw(root, "train/images/a.png", "valid/images/b.png")
    write(root / "train/labels/a.txt", "0 0.5 0.5 0.5 0.5")
    write(root / "valid/labels/b.txt", "")
    write(root / "data.yaml", "train: ../train/images\nval: ../valid/images\nnames: ['crack']")
    _, samples = read(root)
    assert labels(samples) == {"train/images/a.png": "crack", "valid/images/b.png": ""}
    assert splits(samples) == {"train/images/a.png": "train", "valid/images/b.png": "test"}


def test_yolo_folders_of_splits_need_no_yaml(tmp_path):
    draw(tmp_path, "train/images/a.png", "test/images/a.png")
    write(tmp_path / "train/labels/a.txt", "3 0.5 0.5 0.5 0.5")
    layout, samples = read(tmp_path)
    assert layout == "yolo"
    assert labels(samples) == {"train/images/a.png": "3", "test/images/a.png": ""}
    assert splits(samples) == {"train/images/a.png": "train", "test/images/a.png": "test"}


def test_yolo_labels_stand_for_the_last_folder_of_images(tmp_path):
    draw(tmp_path, "images/lot/images/a.png")
    write(tmp_path / "images/lot/labels/a.txt", "3 0.5 0.5 0.5 0.5")
    assert labels(read(tmp_path)[1]) == {"images/lot/images/a.png": "3"}


def test_yolo_images_to_train_and_to_test_on_are_trained_on(tmp_path):
    draw(tmp_path, "images/a.png", "images/held/b.png")
    write(tmp_path / "labels/a.txt", "0 0.5 0.5 0.5 0.5")
    write(tmp_path / "data.yaml", "train: images\ntest: images/held\nnames: [crack]")
    assert splits(read(tmp_path)[1]) == {"images/a.png": "train", "images/held/b.png": "train"}


@pytest.mark.parametrize("place", ["classes.txt", "labels/classes.txt"])
def test_yolo_names_may_come_from_a_list_of_classes(tmp_path, place):
    draw(tmp_path, "images/a.png")
    write(tmp_path / "labels/a.txt", "1 0.5 0.5 0.5 0.5")
    write(tmp_path / place, "crack\nRöstfleck\n")
    assert read_defects(tmp_path).classes == ("Röstfleck",)


def test_yaml_of_something_else_describes_no_dataset(tmp_path):
    draw(tmp_path, "crack/a.png", "spot/b.png")
    write(tmp_path / "dvc.yaml", "stages:\n  train:\n    cmd: x\n")
    assert read(tmp_path)[0] == "folders"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("names: ['defect #1', 'ok']", ["defect #1", "ok"]),
        ("names: ['', 'ok']", ["0", "ok"]),
        ("names: ['a', '', 'ok']", ["a", "1", "ok"]),
        ("\"names\": ['a', 'b']", ["a", "b"]),
        ("names: {'0': a, '1': b}", ["a", "b"]),
        ("names: [no, 01, 1.10, null]", ["no", "01", "1.10", "null"]),
        ("names:\n- &x a\n- !class b\n- *x", ["a", "b", "a"]),
    ],
    ids=["hash", "empty", "empty in between", "quoted key", "quoted index", "no text", "marks"],
)
def test_yolo_names_keep_their_text_and_their_index(tmp_path, names, expected):
    """YAML's truth values and numbers are names here; an empty name keeps its number."""
    for index in range(len(expected)):
        draw(tmp_path, f"images/{index}.png")
        write(tmp_path / f"labels/{index}.txt", f"{index} 0.5 0.5 0.5 0.5")
    write(tmp_path / "data.yaml", f"'train': images # 'all'\nval: null\n{names}\n---\nmore: 1\n")
    assert [sample.label for sample in read_defects(tmp_path).samples] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: images\nnames: [a", r"data\.yaml, line 2, must be YAML, but got"),
        ("train: images\nnames: [a]\nx: y: z", r"data\.yaml, line 3, must be YAML, but got"),
        ("train: images\nnames: data/coco.names", r"names in .*data\.yaml must be a list of class"),
        ("train: images\nnames: [[a], b]", r"names in .*data\.yaml must be a list of class names"),
        (
            "train: images\nnames: {crack: 0}",
            r"names in .*data\.yaml must be a list of class names",
        ),
        ("train: {a: images}\nnames: [a]", r"train in .*data\.yaml must be a path or a list of"),
        (
            "train: !!python/object/apply:os.getcwd [x]\nnames: [a]",
            "train in .* must lead to images",
        ),
    ],
)
def test_mistakes_in_a_yaml_file_are_named(tmp_path, text, message):
    draw(tmp_path, "images/a.png")
    write(tmp_path / "labels/a.txt", "0 0.5 0.5 0.5 0.5")
    write(tmp_path / "data.yaml", text)
    with pytest.raises(ValueError, match=message):
        read_defects(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "0 0.5 0.5",
        "0 0.5 0.5 0.5",
        "0 0.5 0.5 0.5 0.5 0.9 0.1 0.2",
        "crack 0.5 0.5 0.5 0.5",
        "0 a 0.5 0.5 0.5",
    ],
)
def test_malformed_yolo_lines_are_named(tmp_path, line):
    draw(tmp_path, "images/a.png")
    write(tmp_path / "labels/a.txt", f"0 0.5 0.5 0.5 0.5\n{line}\n")
    with pytest.raises(ValueError, match=r"a\.txt, line 2, must be class cx cy w h"):
        read_defects(tmp_path)


def test_yolo_classes_without_a_name_and_boxes_in_pixels_are_errors(tmp_path):
    draw(tmp_path, "images/a.png")
    write(tmp_path / "classes.txt", "crack")
    write(tmp_path / "labels/a.txt", "1 0.5 0.5 0.5 0.5")
    with pytest.raises(ValueError, match=r"line 1, must be .* with a class in \[0\]"):
        read_defects(tmp_path)
    write(tmp_path / "labels/a.txt", "0 8 9 2 2")
    with pytest.raises(ValueError, match="line 1, must be a box in the image, 20 x 10 pixels"):
        read_defects(tmp_path)


def test_mistakes_in_a_yolo_set_are_named(tmp_path):
    draw(tmp_path, "images/a.png")
    write(tmp_path / "data.yaml", "train: images\nnames: [crack]")
    with pytest.raises(ValueError, match="none for its 1 images"):
        read_defects(tmp_path)
    write(tmp_path / "labels/a.txt", "")
    write(tmp_path / "labels/b.txt", "")
    write(tmp_path / "labels/c.txt", "")
    with pytest.raises(ValueError, match=r"2 have none, the first: .*b\.txt"):
        read_defects(tmp_path)
    write(tmp_path / "data.yaml", "train: pictures\nnames: [crack]")
    with pytest.raises(
        ValueError, match=r"train in .* must lead to images in .*'pictures' does not"
    ):
        read_defects(tmp_path)
    write(tmp_path / "data.yaml", "train: list.txt\nnames: [crack]")
    write(tmp_path / "list.txt", "images/z.png")
    with pytest.raises(ValueError, match=r"1 have none, the first: .*z\.png"):
        read_defects(tmp_path)
    write(tmp_path / "more.yaml", "train: images\nnames: [crack]")
    with pytest.raises(
        ValueError,
        match=r"one YOLO dataset, .* 2 files that describe one: .*data\.yaml, more\.yaml",
    ):
        read_defects(tmp_path)


def test_yolo_polygons_and_turned_boxes_are_masks_and_boxes_are_then_too(tmp_path):
    draw(tmp_path, "images/a.png", "images/b.png")
    write(tmp_path / "labels/a.txt", "0 0.1 0.2 0.5 0.2 0.5 0.8 0.1 0.8\n1 0.8 0.5 0.2 0.4\n")
    _, samples = read(tmp_path)
    sample = samples["images/a.png"]
    assert sample.boxes == (Box("0", 2, 2, 10, 8), Box("1", 14, 3, 18, 7))
    assert len(sample.masks) == 2
    mask = sample.load_mask()
    assert mask[2:8, 2:10].all()
    assert mask[3:7, 14:18].all()
    assert not mask[:, 11:13].any()
    assert samples["images/b.png"].load_mask() is None
    write(tmp_path / "labels/a.txt", "1 0.8 0.5 0.2 0.4\n")
    assert read(tmp_path)[1]["images/a.png"].masks == ()  # boxes alone are none


@pytest.mark.parametrize(
    "line",
    ["0.0 0.5 0.5 0.2 0.4", "0\t0.5  0.5 0.2 0.4\r", "0 0.5 0.5 0.2 0.4 0.93", "0, .5, .5, .2, .4"],
)
def test_yolo_lines_may_have_class_floats_tabs_commas_and_a_confidence(tmp_path, line):
    draw(tmp_path, "images/a.png")
    write(tmp_path / "labels/a.txt", f"{line}\n")
    assert read(tmp_path)[1]["images/a.png"].boxes == (Box("0", 8, 3, 12, 7),)


def test_yolo_keypoints_are_no_polygons(tmp_path):
    draw(tmp_path, "images/a.png")
    write(tmp_path / "labels/a.txt", "0 0.5 0.5 0.2 0.4 0.1 0.1 2 0.9 0.9 2\n")
    write(tmp_path / "data.yaml", "train: images\nnames: [a]\nkpt_shape: [2, 3]\n")
    sample = read(tmp_path)[1]["images/a.png"]
    assert (sample.boxes, sample.masks) == ((Box("a", 8, 3, 12, 7),), ())


@pytest.mark.parametrize(
    "line",
    ["./images/a.png", "images/a.png", "/home/me/set/images/a.png", "D:\\set\\images\\a.png"],
)
def test_yolo_lists_may_have_paths_of_another_machine(tmp_path, line):
    draw(tmp_path, "images/a.png", "images/b.png", "other/a.png")
    write(tmp_path / "labels/a.txt", "0 0.5 0.5 0.2 0.4\n")
    write(tmp_path / "lists/train.txt", f"{line}\r\n")
    write(tmp_path / "data.yaml", "path: /home/me/set\ntrain: lists/train.txt\nnames: [dent]\n")
    assert labels(read(tmp_path)[1]) == {"images/a.png": "dent"}
    assert read_defects(tmp_path).notes == ("2 of the images are left out: no split lists them.",)


def test_yolo_splits_that_are_not_there_are_told_if_another_is(tmp_path):
    draw(tmp_path, "train/images/a.png")
    write(tmp_path / "train/labels/a.txt", "0 0.5 0.5 0.2 0.4\n")
    write(
        tmp_path / "data.yaml",
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 1\nnames: ['x']\n",
    )
    found = read_defects(tmp_path)
    assert [sample.label for sample in found.samples] == ["x"]
    assert len(found.notes) == 2
    assert found.notes[0] == "There are no images at ../valid/images, val of the dataset."


def test_darknet_keeps_labels_beside_the_images(tmp_path):
    """As CVAT exports it, with paths from wherever Darknet runs."""
    draw(tmp_path, "obj_train_data/a.png", "obj_train_data/b.png", "obj_valid_data/c.png")
    write(tmp_path / "obj_train_data/a.txt", "1 0.5 0.5 0.2 0.4\n")
    write(tmp_path / "obj_train_data/b.txt", "")
    write(tmp_path / "obj_valid_data/c.txt", "0 0.5 0.5 0.2 0.4\n")
    write(tmp_path / "obj.names", "crack\nspot\n")
    write(
        tmp_path / "obj.data",
        "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
        "backup = backup/\n",
    )
    write(tmp_path / "train.txt", "data/obj_train_data/a.png\ndata/obj_train_data/b.png\n")
    write(tmp_path / "valid.txt", "data/obj_valid_data/c.png\n")
    layout, samples = read(tmp_path)
    assert layout == "yolo"
    assert list(labels(samples).values()) == ["spot", "", "crack"]
    assert list(splits(samples).values()) == ["train", "train", "test"]


def test_yolo_labels_beside_the_images_are_told_by_their_lines(tmp_path):
    """As labelImg writes them."""
    draw(tmp_path, "a.png", "b.png", "c.png")
    write(tmp_path / "a.txt", "15 0.5 0.5 0.2 0.4\n")
    write(tmp_path / "b.txt", "")
    layout, samples = read(tmp_path)
    assert (layout, list(labels(samples).values())) == ("yolo", ["15", "", ""])
    write(tmp_path / "classes.txt", "\n".join(f"kind {k}" for k in range(16)))
    assert read_defects(tmp_path).classes == ("kind 15",)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("train/a.png", "labels/train/a.txt"),
        ("train/a.png", "train/labels/a.txt"),
        ("JPEGImages/a.png", "labels/a.txt"),
        ("Images/a.png", "Labels/a.txt"),
        ("images/train/lot 1/a.png", "labels/train/lot 1/a.txt"),
    ],
)
def test_yolo_labels_lie_in_a_folder_of_their_own(tmp_path, image, label):
    draw(tmp_path, image)
    write(tmp_path / label, "3 0.5 0.5 0.2 0.4\n")
    layout, samples = read(tmp_path)
    assert (layout, labels(samples)) == ("yolo", {image: "3"})
    assert set(splits(samples).values()) == {"train" if "train" in image else ""}


def test_a_yaml_file_may_lie_in_a_folder_of_its_own(tmp_path):
    draw(tmp_path, "images/a.png")
    write(tmp_path / "labels/a.txt", "1 0.5 0.5 1 1")
    write(tmp_path / "cfg/data.yaml", "train: ../images\nnames: [dent, scratch]\n")
    assert read(tmp_path)[1]["images/a.png"].label == "scratch"
