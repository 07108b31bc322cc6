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
