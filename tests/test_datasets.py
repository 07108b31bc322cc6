"""Readers of labelled images: each layout is told and read, each mistake in it is named."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from styleaug.datasets import Box, DefectSet, MaskFile, Sample, read_defects

WIDTH, HEIGHT = 20, 10
"""Of all images here: sides differ, so that swapping them fails."""
VOC_OBJECT = """<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>
<ymax>{}</ymax></bndbox></object>"""


def draw(root: Path, *names: str, size=(WIDTH, HEIGHT)) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 90).save(root / name)


def draw_mask(path: Path, levels, *, mode: str | None = None) -> None:
    """A mask of one row of ``levels``, then of zeros."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    pixels[0, : len(levels)] = levels
    mask = Image.fromarray(pixels)
    if mode == "P":
        mask.putpalette([level for level in range(256) for _ in "RGB"])
    elif mode is not None:
        mask = mask.convert(mode)
    mask.save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_voc(path: Path, *objects) -> None:
    write(path, f"<annotation>{''.join(VOC_OBJECT.format(*o) for o in objects)}</annotation>")


def coco(images: dict[int, str], boxes=(), names=("crack", "spot")) -> str:
    """The text of a COCO file; ``boxes`` are (image's id, category's id, bbox)."""
    return json.dumps(
        {
            "images": [{"id": key, "file_name": name} for key, name in images.items()],
            "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
            "annotations": [{"image_id": i, "category_id": c, "bbox": b} for i, c, b in boxes],
        }
    )


def read(root: Path, **options) -> tuple[str, dict[str, Sample]]:
    """The layout, and the samples by their paths below ``root``."""
    found = read_defects(root, **options)
    assert list(found.samples) == sorted(found.samples, key=lambda sample: sample.path)
    return found.layout, {s.path.relative_to(root).as_posix(): s for s in found.samples}


def labels(samples: dict[str, Sample]) -> dict[str, str]:
    return {name: sample.label for name, sample in samples.items()}


def mask_of(sample: Sample) -> Path | None:
    """The mask file of a sample, of which it has one at most."""
    assert len(sample.masks) <= 1
    return sample.masks[0].path if sample.masks else None


def splits(samples: dict[str, Sample]) -> dict[str, str]:
    return {name: sample.split for name, sample in samples.items()}


# ---------------------------------------------------------------- YOLO


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


# ---------------------------------------------------------------- COCO


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


# ---------------------------------------------------------------- Pascal VOC


@pytest.mark.parametrize(
    ("image", "note"),
    [
        ("images/a.jpg", "annotations/a.xml"),
        ("JPEGImages/a.JPG", "Annotations/a.xml"),
        ("a.png", "Annotations/a.xml"),
        ("a.png", "a.xml"),
        ("images/a_gt.jpg", "annotations/a_gt.xml"),
        ("train/images/crack/a.png", "train/annotations/a.xml"),
        ("images/train/a.png", "annotations/train/a.xml"),
    ],
)
def test_voc_boxes_count_from_one_and_hold_their_last_pixel(tmp_path, image, note):
    draw(tmp_path, image)
    write_voc(tmp_path / note, ("crack", 1, 1, 20, 3), ("spot", 7, 5, 7, 5), ("dot", 0, 0, 99, 1))
    layout, samples = read(tmp_path)
    assert layout == "voc"
    assert samples[image].boxes == (
        Box("crack", 0, 0, 20, 3),
        Box("spot", 6, 4, 7, 5),
        Box("dot", 0, 0, 20, 1),
    )
    assert samples[image].label == "crack"
    assert samples[image].split == ("train" if "train" in image else "")


def test_voc_images_without_objects_or_file_are_background_and_others_none(tmp_path):
    draw(tmp_path, "images/a.png", "images/b.png", "images/c.png", "preview/sheet.png")
    write_voc(tmp_path / "annotations/a.xml")
    write_voc(tmp_path / "annotations/b.xml", ("crack", 1, 1, 2, 2))
    assert labels(read(tmp_path)[1]) == {
        "images/a.png": "",
        "images/b.png": "crack",
        "images/c.png": "",
    }


def test_voc_segmentations_are_masks(tmp_path):
    draw(tmp_path, "JPEGImages/a.jpg", "SegmentationObject/a.png")
    write_voc(tmp_path / "Annotations/a.xml", ("crack", 1, 1, 2, 2))
    draw_mask(tmp_path / "SegmentationClass/a.png", [1, 15, 255], mode="P")
    layout, samples = read(tmp_path)
    assert layout == "voc"
    assert list(samples) == ["JPEGImages/a.jpg"]
    assert samples["JPEGImages/a.jpg"].load_mask().sum() == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>\n<object>\n</annotation>", r"a\.xml, line 3, must be XML"),
        ("<a><object><name>x</name></object></a>", "object 1, must be a bndbox"),
        (f"<a>{VOC_OBJECT.format('x', 1, 'two', 3, 4)}</a>", "object 1, must be a bndbox"),
        (f"<a>{VOC_OBJECT.format('', 1, 2, 3, 4)}</a>", "object 1, must be named"),
        (f"<a>{VOC_OBJECT.format('x', 9, 2, 3, 4)}</a>", "left is before its right"),
    ],
)
def test_mistakes_in_a_voc_file_are_named(tmp_path, text, message):
    draw(tmp_path, "images/a.png")
    write(tmp_path / "annotations/a.xml", text)
    with pytest.raises(ValueError, match=message):
        read_defects(tmp_path)


def test_annotations_without_images_are_counted_and_the_first_named(tmp_path):
    draw(tmp_path, "images/a.png")
    for stem in "abc":
        write_voc(tmp_path / f"annotations/{stem}.xml")
    with pytest.raises(ValueError, match=r"2 have none, the first: .*b\.xml\. Add the images"):
        read_defects(tmp_path)


def test_annotations_and_images_must_be_one_to_one(tmp_path):
    draw(tmp_path, "1/a.png", "2/a.png")
    write_voc(tmp_path / "annotations/a.xml")
    with pytest.raises(ValueError, match=r"belong to one image, but .*a\.xml fits"):
        read_defects(tmp_path)
    (tmp_path / "2/a.png").unlink()
    write_voc(tmp_path / "1/a.xml")
    with pytest.raises(ValueError, match=r"must have one annotation, but .*a\.png has"):
        read_defects(tmp_path)


# ---------------------------------------------------------------- text files beside the images


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


# ---------------------------------------------------------------- folders, names, masks


def test_class_folders_with_and_without_splits(tmp_path):
    draw(tmp_path, "plain/Ölfleck/größe 1.PNG", "plain/crack/deep/1.png")
    assert labels(read(tmp_path / "plain")[1]) == {
        "crack/deep/1.png": "crack",
        "Ölfleck/größe 1.PNG": "Ölfleck",
    }
    draw(tmp_path, *(f"parted/{s}/{c}/1.png" for s in ("train", "Val") for c in ("crack", "spot")))
    layout, samples = read(tmp_path / "parted")
    assert layout == "folders"
    assert labels(samples)["Val/spot/1.png"] == "spot"
    assert splits(samples)["train/spot/1.png"] == "train"
    assert splits(samples)["Val/spot/1.png"] == "test"


def test_images_to_validate_on_are_trained_on_where_others_are_to_test_on(tmp_path):
    draw(tmp_path, *(f"{s}/{c}/1.png" for s in ("train", "valid", "test") for c in "ab"))
    found = set(splits(read(tmp_path)[1]).items())
    assert {
        ("train/a/1.png", "train"),
        ("valid/a/1.png", "train"),
        ("test/a/1.png", "test"),
    } < found


@pytest.mark.parametrize(
    ("folder", "split"), [("", ""), ("images/", ""), ("train/", "train"), ("images/test/", "test")]
)
def test_images_may_be_named_after_their_class(tmp_path, folder, split):
    names = ["crazing_1.jpg", "crazing_2.JPG", "rolled-in_scale_10.jpg", "Weiße Stelle 3.png"]
    draw(tmp_path, *(folder + name for name in names))
    layout, samples = read(tmp_path)
    assert layout == "names"
    assert read_defects(tmp_path).classes == ("Weiße Stelle", "crazing", "rolled-in_scale")
    assert set(splits(samples).values()) == {split}


def test_masks_beside_are_known_by_their_suffix(tmp_path):
    draw(tmp_path, "crack/1.jpg", "crack/2.JPG", "free/1.jpg")
    for name in ("crack/1.png", "crack/2.png"):
        draw_mask(tmp_path / name, [255])
    layout, samples = read(tmp_path)
    assert layout == "folders"
    assert list(samples) == ["crack/1.jpg", "crack/2.JPG", "free/1.jpg"]
    assert mask_of(samples["crack/2.JPG"]) == tmp_path / "crack/2.png"
    assert mask_of(samples["free/1.jpg"]) is None
    assert samples["free/1.jpg"].load_mask() is None
    # and a mask that has lost its image is not taken for one
    draw_mask(tmp_path / "free/9.png", [255])
    with pytest.raises(ValueError, match=r"Every mask must have its image, but 1 .*9\.png"):
        read_defects(tmp_path)


@pytest.mark.parametrize("tail", ["_mask", "_label", "_GT"])
def test_masks_beside_are_known_by_what_follows_the_stem(tmp_path, tail):
    draw(tmp_path, "1.png", "2.png")
    draw_mask(tmp_path / f"1{tail}.bmp", [255])
    layout, samples = read(tmp_path)
    assert layout == "masks"
    assert labels(samples) == {"1.png": "", "2.png": ""}
    assert mask_of(samples["1.png"]) == tmp_path / f"1{tail}.bmp"
    assert read_defects(tmp_path).classes == ()


def test_files_of_one_stem_are_masks_only_if_lossless(tmp_path):
    draw(tmp_path, "a/1.jpg", "a/1.webp", "b/1.jpg")
    assert len(read_defects(tmp_path).samples) == 3


def test_of_two_lossless_files_of_one_stem_the_png_is_the_mask(tmp_path):
    draw(tmp_path, "crack/1.bmp", "free/1.bmp")
    draw_mask(tmp_path / "crack/1.png", [255])
    _, samples = read(tmp_path)
    assert {name: mask_of(s) for name, s in samples.items()} == {
        "crack/1.bmp": tmp_path / "crack/1.png",
        "free/1.bmp": None,
    }


def test_folders_of_masks_and_images_correspond_in_order(tmp_path):
    draw(tmp_path, "test/deep/crack/1.png", "test/good/1.png")
    draw_mask(tmp_path / "ground_truth/crack/deep/1.png", [255])
    with pytest.raises(ValueError, match=r"Every mask must have its image, but 1 .*1\.png"):
        read_defects(tmp_path)


def test_mvtec_layout(tmp_path):
    draw(tmp_path, *(f"{name}/000.png" for name in ("train/good", "test/good", "test/crack")))
    draw(tmp_path, "test/spot/000.png")
    draw_mask(tmp_path / "ground_truth/crack/000_mask.png", [255])
    draw_mask(tmp_path / "ground_truth/spot/000.png", [255, 255])
    layout, samples = read(tmp_path)
    assert layout == "folders"
    marked = {n: mask_of(s) and mask_of(s).parent.name for n, s in samples.items()}
    assert marked == {
        "test/crack/000.png": "crack",
        "test/good/000.png": None,
        "test/spot/000.png": "spot",
        "train/good/000.png": None,
    }
    assert labels(samples)["train/good/000.png"] == "good"
    assert splits(samples)["test/crack/000.png"] == "test"


@pytest.mark.parametrize("mask", ["crack/1.png", "crack/1_mask.bmp", "1_mask.png", "1.tif"])
def test_masks_of_another_folder_mirror_the_images(tmp_path, mask):
    draw(tmp_path, "in/crack/1.jpg", "in/spot/2.jpg")
    draw_mask(tmp_path / "marks" / mask, [255])
    layout, samples = read(tmp_path / "in", masks=tmp_path / "marks")
    assert layout == "folders"
    assert mask_of(samples["crack/1.jpg"]) == tmp_path / "marks" / mask
    assert mask_of(samples["spot/2.jpg"]) is None


def test_masks_may_lie_in_the_folder_itself(tmp_path):
    draw(tmp_path, "images/train/a.png", "images/test/b.png")
    draw_mask(tmp_path / "marks/train/a.png", [255])
    layout, samples = read(tmp_path, masks=tmp_path / "marks")
    assert layout == "masks"
    assert list(samples) == ["images/test/b.png", "images/train/a.png"]
    (tmp_path / "marks").rename(tmp_path / "masks")  # the name tells
    assert mask_of(read(tmp_path)[1]["images/train/a.png"]) == tmp_path / "masks/train/a.png"


def test_masks_come_with_boxes_too(tmp_path):
    draw(tmp_path, "images/a.png")
    draw_mask(tmp_path / "masks/a.png", [255])
    write(tmp_path / "labels/a.txt", "3 0.5 0.5 1 1")
    layout, samples = read(tmp_path)
    assert layout == "yolo"
    assert samples["images/a.png"].label == "3"
    assert samples["images/a.png"].load_mask().sum() == 1  # the mask, not the box


def test_a_folder_of_nothing_but_masks_is_an_error(tmp_path):
    draw(tmp_path, "1.png")
    with pytest.raises(ValueError, match="all of its 1 images are masks"):
        read_defects(tmp_path, masks=tmp_path)


# ---------------------------------------------------------------- what cannot be told


def test_a_missing_folder_and_one_without_images_are_errors(tmp_path):
    draw(tmp_path, "in/a_1.png", "in/b_1.png")
    (tmp_path / "empty").mkdir()
    for folder, masks in [("none", None), ("in", "none")]:
        with pytest.raises(ValueError, match=r"must exist at .*none"):
            read_defects(tmp_path / folder, masks=masks and tmp_path / masks)
    with pytest.raises(ValueError, match="must hold images"):
        read_defects(str(tmp_path / "empty"))


@pytest.mark.parametrize(
    "names",
    [
        ["a.png", "b.png"],  # no numbers
        ["1.png", "2.png"],  # nothing else
        ["20240101_1.png", "20240102_1.png"],  # dates
        ["crack_1.png", "crack_2.png"],  # one class
        ["crack/1.png", "crack/2.png"],
        ["crack/1.png", "spot/1.png", "overview.png"],
        ["train/a.png", "test/b.png"],
        ["images/x.png", "preview/x.png"],
    ],
)
def test_a_layout_that_cannot_be_told_is_an_error(tmp_path, names):
    draw(tmp_path, *names)
    with pytest.raises(ValueError, match=f"must be laid out as .* its {len(names)} images"):
        read_defects(tmp_path)


def test_damaged_images_are_found_when_loaded(tmp_path):
    write(tmp_path / "images/a.png", "no picture")
    write(tmp_path / "labels/a.txt", "0 0.9 0.5 0.1 0.1\n2 0.5 0.5 0.5 0.5")
    (sample,) = read_defects(tmp_path).samples
    assert sample.label == "2"
    with pytest.raises(OSError, match=r"a\.png must be a readable image"):
        sample.load()
    with pytest.raises(OSError, match=r"a\.png must be a readable image"):
        sample.load_mask()


# ---------------------------------------------------------------- samples


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


# ---------------------------------------------------------------- splits


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
    with pytest.raises(ValueError, match="must have two images of a label"):
        made(("a", 1, ""), ("b", 1, "")).split()
