"""Pascal VOC's XML files."""

import pytest

from labelled import VOC_OBJECT, draw, draw_mask, labels, read, splits, write, write_voc
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


def test_voc_lists_tell_the_splits(tmp_path):
    draw(tmp_path, *(f"JPEGImages/{name}.jpg" for name in "abcd"))
    for name in "abcd":
        write_voc(tmp_path / f"Annotations/{name}.xml", ("x", 1, 1, 2, 2))
    sets = tmp_path / "ImageSets/Main"
    write(sets / "trainval.txt", "a\nb\n")
    write(sets / "test.txt", "c\n")
    write(sets / "x_test.txt", "a 1\nb -1\n")
    assert list(splits(read(tmp_path)[1]).values()) == ["train", "train", "test", ""]
    write(sets / "train.txt", "a\n")
    write(sets / "val.txt", "b\n")
    (sets / "test.txt").unlink()
    assert list(splits(read(tmp_path)[1]).values()) == ["train", "test", "", ""]


def test_voc_files_of_roboflow_lie_beside_the_images_of_each_split(tmp_path):
    for split in ("train", "valid"):
        draw(tmp_path, f"{split}/a_jpg.rf.1.jpg")
        write_voc(tmp_path / split / "a_jpg.rf.1.xml", ("x", 1.5, 1, 2.5, 2))
    layout, samples = read(tmp_path)
    assert layout == "voc"
    assert samples["train/a_jpg.rf.1.jpg"].boxes == (Box("x", 0.5, 0, 2.5, 2),)
    assert splits(samples)["valid/a_jpg.rf.1.jpg"] == "test"


TURNED = """<object><name>x</name><robndbox><cx>10</cx><cy>5</cy><w>4</w><h>8</h>
<angle>1.5707963</angle></robndbox></object>"""
POLYGON = """<object><name>x</name><bndbox><xmin>3</xmin><ymin>3</ymin><xmax>8</xmax>
<ymax>6</ymax></bndbox><polygon><x1>2</x1><x2>8</x2><x3>8</x3><y1>2</y1><y2>2</y2><y3>6</y3>
</polygon></object>"""
POINTS = """<object><name>x</name><polygon><pt><x>2</x><y>2</y></pt><pt><x>8</x><y>2</y></pt>
<pt><x>8</x><y>6</y></pt></polygon></object>"""


@pytest.mark.parametrize(
    ("drawn", "box"),
    [(TURNED, (6, 3, 14, 7)), (POLYGON, (2, 2, 8, 6)), (POINTS, (2, 2, 8, 6))],
    ids=["turned", "polygon", "points"],
)
def test_voc_turned_boxes_and_polygons_have_outlines(tmp_path, drawn, box):
    draw(tmp_path, "images/a.png")
    write(tmp_path / "annotations/a.xml", f"<annotation>{drawn}</annotation>")
    (sample,) = read(tmp_path)[1].values()
    (found,) = sample.boxes
    assert (found.left, found.top, found.right, found.bottom) == pytest.approx(box, abs=1e-4)
    assert len(sample.masks) == 1
    assert sample.load_mask()[int(found.top) + 1, int(found.right) - 2]


def test_voc_sizes_and_suffixes_that_are_wrong_do_not_matter(tmp_path):
    draw(tmp_path, "images/a.png")
    box = "<bndbox><xmin>3</xmin><ymin>3</ymin><xmax>8</xmax><ymax>6</ymax></bndbox>"
    write(
        tmp_path / "xml/other.xml",
        "<annotation><filename>a.jpg</filename><size><width>0</width><height>0</height></size>"
        f"<object><name>x</name><difficult>1</difficult>{box}</object></annotation>",
    )
    assert labels(read(tmp_path)[1]) == {"images/a.png": "x"}


def test_xml_files_of_something_else_do_not_matter(tmp_path):
    draw(tmp_path, "crack/a.png", "spot/b.png")
    write(tmp_path / "camera.xml", "<settings><gain>3</gain></settings>")
    write(tmp_path / "broken.xml", "<settings>")
    assert read(tmp_path)[0] == "folders"


@pytest.mark.parametrize(
    "text",
    [
        "<annotation><object><name>x</name><polygon><x1>1</x1></polygon></object></annotation>",
        f"<annotation>{TURNED.replace('<w>4</w>', '')}</annotation>",
        f"<annotation>{TURNED.replace('<w>4</w>', '<w>inf</w>')}</annotation>",
        f"<annotation>{POLYGON.replace('<x1>2</x1>', '<x1>2e9</x1>')}</annotation>",
        "<?xml version='1.0' encoding='x-unknown'?><annotation/>",
    ],
)
def test_mistakes_in_outlines_of_voc_are_named(tmp_path, text):
    draw(tmp_path, "images/a.png")
    write(tmp_path / "annotations/a.xml", text)
    with pytest.raises(ValueError, match=r"a\.xml.* must be "):
        read_defects(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gbk", "gb2312", "big5", "latin-1"])
def test_xml_files_may_have_another_encoding(tmp_path, encoding):
    name = "Ölfleck" if encoding == "latin-1" else "中文"
    draw(tmp_path, "images/a.png")
    text = f"<?xml version='1.0' encoding='{encoding}'?>\n<annotation>{VOC_OBJECT}</annotation>"
    path = tmp_path / "annotations/a.xml"
    path.parent.mkdir()
    path.write_bytes(text.format(name, 1, 1, 2, 2).encode(encoding))
    assert labels(read(tmp_path)[1]) == {"images/a.png": name}
