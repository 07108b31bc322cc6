"""Pascal VOC's XML files."""

import pytest

from labelled import VOC_OBJECT, draw, draw_mask, labels, read, write, write_voc
from styleaug.datasets import Box, read_defects


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
