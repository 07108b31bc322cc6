"""Class folders among others: verdicts, kinds of failures, lots and cameras, unknown splits."""

import json

import pytest

from labelled import VOC_OBJECT, draw, labels, read, splits, write
from styleaug.datasets import read_defects
from styleaug.errors import UnknownLayoutError


def draw_in(root, *folders):
    draw(root, *(f"{folder}/{k}.png" for folder in folders for k in (1, 2)))


@pytest.mark.parametrize(
    ("failed", "passed"),
    [("NG", "OK"), ("n.i.O.", "i.O."), ("Defective", "good"), ("不良品", "良品")],
)
def test_kinds_of_failures_are_the_labels_and_what_passed_stays_one_class(tmp_path, failed, passed):
    draw_in(tmp_path, f"{failed}/scratch", f"{failed}/dent", passed)
    assert read_defects(tmp_path).classes == tuple(sorted((passed, "dent", "scratch")))
    assert read_defects(tmp_path).notes == (
        f"dent, scratch, inside {failed}, are taken for classes.",
    )


@pytest.mark.parametrize(
    "inside",
    [
        ("NG/lot1", "NG/lot2", "OK"),  # numbered parts
        ("NG/left", "NG/right", "OK/left", "OK/right"),  # the same of what passed
        ("NG/scratch", "NG/dent", "NG", "OK"),  # some failed for no reason that is told
        ("NG/2024-05-01", "OK/2024-05-02"),
    ],
)
def test_folders_inside_failures_that_do_not_tell_why_are_no_classes(tmp_path, inside):
    draw_in(tmp_path, *inside)
    assert read_defects(tmp_path).classes == ("NG", "OK")


def test_folders_inside_other_classes_are_no_classes_and_are_told(tmp_path):
    draw_in(tmp_path, "crack/fine", "crack/coarse", "free")
    assert read_defects(tmp_path).classes == ("crack", "free")
    assert read_defects(tmp_path).notes == (
        "coarse, fine, inside classes, are not taken for classes.",
    )


@pytest.mark.parametrize(
    "outer", [("line A", "line B"), ("spring", "autumn"), ("训练", "测试"), ("screw", "nut")]
)
@pytest.mark.parametrize("verdicts", [("OK", "NG"), ("合格", "不良"), ("gut", "schlecht")])
def test_verdicts_are_the_classes_whatever_holds_them(tmp_path, outer, verdicts):
    draw_in(tmp_path, *(f"{part}/{verdict}" for part in outer for verdict in verdicts))
    assert read_defects(tmp_path).classes == tuple(sorted(verdicts))
    assert read_defects(tmp_path).notes == (
        f"{', '.join(sorted(outer))} are taken for parts of the dataset, not for classes.",
    )


def test_folders_that_hold_what_lies_beside_them_are_no_classes(tmp_path):
    draw_in(tmp_path, "train/dent", "train/rust", "Validierung/dent", "Validierung/rust")
    _, samples = read(tmp_path)
    assert labels(samples)["Validierung/rust/1.png"] == "rust"
    assert splits(samples)["Validierung/rust/1.png"] == ""
    assert splits(samples)["train/rust/1.png"] == "train"
    assert read_defects(tmp_path).notes == (
        "Validierung is taken for a part of the dataset, and not for a class.",
    )


def test_dates_lots_and_cameras_around_kinds_of_failures(tmp_path):
    draw_in(
        tmp_path,
        *(
            f"2024-05-0{day}/cam{day}/{label}"
            for day in (1, 2)
            for label in ("OK", "NG/scratch", "NG/dent")
        ),
    )
    assert read_defects(tmp_path).classes == ("OK", "dent", "scratch")


def test_parts_of_what_passed_are_no_classes_where_nothing_failed(tmp_path):
    draw_in(tmp_path, "good/left", "good/right")
    with pytest.raises(UnknownLayoutError, match="there is one class folder only, good"):
        read_defects(tmp_path)


def test_copies_that_are_numbered_in_brackets_are_named_after_their_class(tmp_path):
    draw(tmp_path, "crack (1).jpg", "crack (12).jpg", "dent (1).jpg")
    layout, samples = read(tmp_path)
    assert layout == "names"
    assert labels(samples)["crack (12).jpg"] == "crack"


@pytest.mark.parametrize(
    "names",
    [
        ["cam0_1.png", "cam1_1.png"],  # parts
        ["IMG_1.png", "DSC_1.png"],  # cameras
        ["20240501_OK_1.png", "20240502_OK_1.png"],  # dates
    ],
)
def test_names_of_cameras_and_dates_are_no_classes(tmp_path, names):
    draw(tmp_path, *names)
    with pytest.raises(UnknownLayoutError, match="are no names of classes"):
        read_defects(tmp_path)


def test_names_that_are_the_same_but_for_numbers_are_no_classes(tmp_path):
    draw(tmp_path, "part1_light1.png", "part1_light2.png", "part2_light1.png")
    with pytest.raises(UnknownLayoutError, match="part1_light, part2_light are no names"):
        read_defects(tmp_path)


@pytest.mark.parametrize("suffix", ["xml", "txt", "json", "csv"])
def test_what_passed_is_background_though_only_failures_are_annotated(tmp_path, suffix):
    draw(tmp_path, "NG/1.png", "OK/2.png", "preview/3.png")
    box = {"label": "dent", "points": [[1, 1], [5, 5]], "shape_type": "rectangle"}
    text = {
        "xml": f"<annotation>{VOC_OBJECT.format('dent', 1, 1, 5, 5)}</annotation>",
        "txt": "0 0.5 0.5 0.2 0.2",
        "json": json.dumps({"shapes": [box]}),
        "csv": "filename,class,xmin,ymin,xmax,ymax\nNG/1.png,dent,1,1,5,5\n",
    }
    write(tmp_path / f"NG/1.{suffix}", text[suffix])
    _, samples = read(tmp_path)
    assert {name: len(s.boxes) for name, s in samples.items()} == {"NG/1.png": 1, "OK/2.png": 0}
    assert samples["OK/2.png"].label == ""
