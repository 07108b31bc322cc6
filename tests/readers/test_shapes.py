"""Shapes that people draw: labelme, CVAT for images and Supervisely."""

import base64
import json
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from labelled import draw, labels, read, splits, write
from styleaug.datasets import Box, read_defects


def png(rows, mode="L") -> bytes:
    """A picture of 0 and 1, or of what a mode makes of black and white."""
    buffer = BytesIO()
    Image.fromarray(np.array(rows, dtype=np.uint8) * 255).convert(mode).save(buffer, "png")
    return buffer.getvalue()


def shape(kind, points, **more) -> dict:
    return {"label": "dent", "shape_type": kind, "points": points, **more}


def write_labelme(path, *shapes, **more) -> None:
    write(path, json.dumps({"version": "5.2", "shapes": shapes, "imageData": None, **more}))


def sole(root):
    """The first image of a dataset."""
    return next(iter(read(root)[1].values()))


def box_of(sample) -> tuple[float, ...]:
    (box,) = sample.boxes
    return tuple(round(v, 2) for v in (box.left, box.top, box.right, box.bottom))


# ---------------------------------------------------------------- labelme


@pytest.mark.parametrize(
    ("drawn", "box", "pixels"),
    [
        (shape("polygon", [[2, 2], [8, 2], [8, 6], [2, 6]]), (2, 2, 8, 6), 24),
        ({"label": "dent", "points": [[2, 2], [8, 2], [8, 6], [2, 6]]}, (2, 2, 8, 6), 24),
        (shape("rectangle", [[8, 6], [2, 2]]), (2, 2, 8, 6), 24),
        (shape("rotation", [[2, 2], [8, 2], [8, 6], [2, 6]]), (2, 2, 8, 6), 24),
        (shape("circle", [[10, 5], [13, 5]]), (7, 2, 13, 8), 28),
        (shape("line", [[3, 2.5], [12, 2.5]]), (2.5, 2, 12.5, 3), 10),
        (shape("linestrip", [[3, 2.5], [12, 2.5], [12, 8]]), (2.5, 2, 12.5, 8.5), 15),
        (
            shape(
                "mask",
                [[4, 3], [6, 4]],
                mask=base64.b64encode(png([[0, 1, 1], [0, 1, 0]])).decode(),
            ),
            (5, 3, 7, 5),
            3,
        ),
    ],
    ids=lambda value: value.get("shape_type", "none") if isinstance(value, dict) else "",
)
def test_every_shape_of_labelme_has_a_box_and_an_area(tmp_path, drawn, box, pixels):
    draw(tmp_path, "a.jpg", "b.jpg")
    write_labelme(tmp_path / "a.json", drawn, imagePath="a.jpg")
    # an outline in the dataset, so that rectangles are masks, too
    write_labelme(tmp_path / "b.json", shape("polygon", [[0, 0], [2, 0], [2, 2]]))
    layout, samples = read(tmp_path)
    assert (layout, labels(samples)["a.jpg"]) == ("labelme", "dent")
    assert box_of(samples["a.jpg"]) == pytest.approx(box, abs=0.1)
    # Pillow counts the outline in
    assert pixels <= samples["a.jpg"].load_mask().sum() <= pixels * 1.8


def test_labelme_images_without_a_file_are_background_and_points_are_told(tmp_path):
    draw(tmp_path, "set/a.jpg", "set/b.jpg", "elsewhere/c.jpg")
    write_labelme(
        tmp_path / "set/a.json", shape("rectangle", [[2, 2], [8, 6]]), shape("point", [[1, 1]])
    )
    found = read_defects(tmp_path)
    assert [(s.path.name, s.label, s.masks) for s in found.samples] == [
        ("a.jpg", "dent", ()),
        ("b.jpg", "", ()),
    ]
    assert found.notes == (
        "1 of the images are left out: no image in their folders has a labelme file.",
        "1 shapes of kind point are ignored: they mark no area.",
    )


@pytest.mark.parametrize(
    ("image", "file", "path"),
    [
        ("images/a.jpg", "jsons/a.json", "../images/a.jpg"),
        ("images/a.jpg", "labels/a.json", "..\\images\\a.jpg"),
        ("a.png", "a.json", "C:\\work\\other.bmp"),
        ("images/a.jpg", "annotations/x.json", "/home/me/images/a.jpg"),
        ("train/a.jpg", "train/a.json", None),
    ],
)
def test_labelme_files_are_paired_by_name_or_by_what_they_say(tmp_path, image, file, path):
    draw(tmp_path, image)
    write_labelme(tmp_path / file, shape("rectangle", [[2, 2], [8, 6]]), imagePath=path)
    layout, samples = read(tmp_path)
    assert (layout, labels(samples)) == ("labelme", {image: "dent"})
    assert set(splits(samples).values()) == {"train" if "train" in image else ""}


def test_of_two_images_of_a_stem_the_labelme_file_says_which(tmp_path):
    draw(tmp_path, "a.webp", "a.jpg")
    write_labelme(tmp_path / "a.json", shape("rectangle", [[2, 2], [8, 6]]), imagePath="a.jpg")
    assert labels(read(tmp_path)[1]) == {"a.jpg": "dent", "a.webp": ""}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (7, "shape 1, must be an object with label, points"),
        (shape("polygon", [[1, 1], [2, 2]]), "a polygon of at least 3 points"),
        (shape("polygon", 7), r"must be a shape with points \[\[x, y\]"),
        (shape("polygon", [[1, 1], [2, None], [3, 3]]), "must be a shape with points"),
        (shape("circle", [[1, 1]]), "a circle of at least 2 points"),
        (shape("mask", [[1, 1], [2, 2]]), "must be a mask in base 64"),
        (shape("mask", [[1, 1], [2, 2]], mask="%%%"), "must be a mask as a picture"),
        (shape("mask", [[1, 1], [2, 2]], mask="QUJD"), "must be a mask as a picture"),
        (shape("polygon", [[1e9, 1], [2, 2], [3, 3]]), "near its image"),
        (shape("polygon", [[30, 30], [32, 30], [32, 32]]), "must be a box in the image"),
    ],
)
def test_mistakes_in_a_labelme_file_are_named(tmp_path, entry, words):
    draw(tmp_path, "a.jpg")
    write_labelme(tmp_path / "a.json", entry)
    with pytest.raises(ValueError, match=f"a\\.json, shape 1, .*{words}" if entry != 7 else words):
        read_defects(tmp_path)


def test_labelme_files_need_their_image_and_there_is_one_for_each(tmp_path):
    draw(tmp_path, "a.jpg")
    write_labelme(tmp_path / "b.json", imagePath="b.jpg")
    with pytest.raises(ValueError, match=r"1 have none, the first: b\.jpg in .*b\.json"):
        read_defects(tmp_path)
    write_labelme(tmp_path / "b.json", imagePath="a.jpg")
    write_labelme(tmp_path / "a.json", imagePath="a.jpg")
    with pytest.raises(ValueError, match=r"must have one labelme file, but .*a\.jpg has several"):
        read_defects(tmp_path)


# ---------------------------------------------------------------- CVAT


def write_cvat(path, *images) -> None:
    """``images`` are (attributes, shapes)."""
    entries = "".join(f"<image id='0' {named}>{shapes}</image>" for named, shapes in images)
    write(path, f"<?xml version='1.0'?><annotations><version>1.1</version>{entries}</annotations>")


@pytest.mark.parametrize(
    ("drawn", "box", "pixels"),
    [
        ('<box label="dent" xtl="2" ytl="2" xbr="8" ybr="6"/>', (2, 2, 8, 6), 24),
        ('<box label="dent" xtl="5" ytl="2" xbr="11" ybr="4" rotation="90"/>', (7, 0, 9, 6), 12),
        ('<polygon label="dent" points="2,2;8,2;8,6;2,6"/>', (2, 2, 8, 6), 24),
        ('<polyline label="dent" points="3,2.5;12,2.5"/>', (2.5, 2, 12.5, 3), 10),
        ('<ellipse label="dent" cx="10" cy="5" rx="6" ry="3"/>', (4, 2, 16, 8), 56),
        ('<ellipse label="dent" cx="10" cy="5" rx="4" ry="8" rotation="90"/>', (2, 1, 18, 9), 100),
        (
            '<mask label="dent" rle="1, 2, 1, 1, 1" left="4" top="3" width="3" height="2"/>',
            (5, 3, 7, 5),
            3,
        ),
    ],
)
def test_every_shape_of_cvat_has_a_box_and_an_area(tmp_path, drawn, box, pixels):
    draw(tmp_path, "images/a.png", "images/b.png")
    outline = '<polygon label="dent" points="0,0;2,0;2,2"/>'
    write_cvat(tmp_path / "annotations.xml", ('name="a.png"', drawn), ('name="b.png"', outline))
    layout, samples = read(tmp_path)
    assert (layout, labels(samples)["images/a.png"]) == ("cvat", "dent")
    assert box_of(samples["images/a.png"]) == pytest.approx(box, abs=0.1)
    assert pixels <= samples["images/a.png"].load_mask().sum() <= pixels * 1.8


def test_cvat_masks_run_along_rows(tmp_path):
    draw(tmp_path, "a.png")
    drawn = '<mask label="dent" rle="1, 2, 1, 1, 1" left="4" top="3" width="3" height="2"/>'
    write_cvat(tmp_path / "annotations.xml", ('name="a.png"', drawn))
    assert np.argwhere(sole(tmp_path).load_mask()).tolist() == [[3, 5], [3, 6], [4, 5]]


def test_cvat_images_have_subsets_and_tags(tmp_path):
    draw(tmp_path, "images/Train/a.png", "images/Test/a.png", "images/Test/b.png", "images/c.png")
    write_cvat(
        tmp_path / "annotations.xml",
        ('name="a.png" subset="Train"', '<tag label="ok"/><points label="p" points="1,1"/>'),
        ('name="a.png" subset="Test"', '<box label="x" xtl="2" ytl="2" xbr="8" ybr="6"/>'),
        ('name="images/Test/b.png"', ""),
    )
    _, samples = read(tmp_path)
    assert labels(samples) == {
        "images/Test/a.png": "x",
        "images/Test/b.png": "",
        "images/Train/a.png": "ok",
    }
    assert list(splits(samples).values()) == ["test", "test", "train"]
    assert read_defects(tmp_path).notes == (
        "1 of the images are left out: no CVAT file lists them.",
        "1 shapes of kind points are ignored: they mark no area.",
    )


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        ('<box label="x" xtl="2" ytl="2" xbr="8"/>', "must be a box as CVAT writes it"),
        ('<box label="x" xtl="a" ytl="2" xbr="8" ybr="6"/>', "must be a box as CVAT writes it"),
        ('<box xtl="2" ytl="2" xbr="8" ybr="6"/>', "must be a box with a label"),
        ('<polygon label="x" points="2,2;8,2"/>', "must be a polygon as CVAT writes it"),
        ('<polygon label="x" points="2,2;8;9"/>', "must be a polygon as CVAT writes it"),
        ('<ellipse label="x" cx="inf" cy="1" rx="1" ry="1"/>', "must be an? ellipse"),
        ('<mask label="x" rle="1,9" left="4" top="3" width="3" height="2"/>', "must fill an area"),
        ('<mask label="x" rle="" left="4" top="3" width="3" height="2"/>', "must be a mask as"),
        ('<mask label="x" rle="0,6" left="19" top="3" width="3" height="2"/>', "does not fit into"),
        ('<mask label="x" rle="0,6" left="-2" top="3" width="3" height="2"/>', "does not fit into"),
        ("</image><track/><image>", "must be exported as CVAT for images"),
    ],
)
def test_mistakes_in_a_cvat_file_are_named(tmp_path, drawn, words):
    draw(tmp_path, "a.png")
    write_cvat(tmp_path / "annotations.xml", ('name="a.png"', drawn))
    with pytest.raises(ValueError, match=f"annotations\\.xml.*{words}"):
        read_defects(tmp_path)


# ---------------------------------------------------------------- Supervisely


def write_supervisely(path, *objects) -> None:
    entries = [{"classTitle": "dent", **entry} for entry in objects]
    write(path, json.dumps({"description": "", "tags": [], "objects": entries}))


def figure(kind, exterior, interior=()) -> dict:
    return {"geometryType": kind, "points": {"exterior": exterior, "interior": list(interior)}}


def packed(content: bytes, origin=(4, 3)) -> dict:
    data = base64.b64encode(zlib.compress(content)).decode()
    return {"geometryType": "bitmap", "bitmap": {"data": data, "origin": list(origin)}}


def test_supervisely_projects_have_datasets_that_may_be_splits(tmp_path):
    write(tmp_path / "meta.json", '{"classes": [{"title": "dent", "shape": "bitmap"}]}')
    for place in ("train", "test"):
        draw(tmp_path, f"{place}/img/a.png", f"{place}/img/b.png")
        write_supervisely(
            tmp_path / f"{place}/ann/a.png.json", figure("rectangle", [[2, 2], [7, 5]])
        )
        write_supervisely(tmp_path / f"{place}/ann/b.png.json")
    layout, samples = read(tmp_path)
    assert layout == "supervisely"
    assert labels(samples)["train/img/a.png"] == "dent"
    assert labels(samples)["train/img/b.png"] == ""
    # both corners are pixels of the rectangle
    assert samples["train/img/a.png"].boxes == (Box("dent", 2, 2, 8, 6),)
    assert splits(samples)["test/img/b.png"] == "test"


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB"])
def test_supervisely_bitmaps_lie_where_their_origin_is(tmp_path, mode):
    draw(tmp_path, "ds0/img/a.png")
    bitmap = packed(png([[0, 1, 1], [0, 1, 0]], mode))
    write_supervisely(tmp_path / "ds0/ann/a.png.json", bitmap)
    sample = sole(tmp_path)
    assert np.argwhere(sample.load_mask()).tolist() == [[3, 5], [3, 6], [4, 5]]
    assert sample.boxes == (Box("dent", 5, 3, 7, 5),)


def test_supervisely_polygons_may_have_holes(tmp_path):
    draw(tmp_path, "ds0/img/a.png")
    outer, hole = [[1, 1], [18, 1], [18, 9], [1, 9]], [[5, 3], [12, 3], [12, 7], [5, 7]]
    write_supervisely(tmp_path / "ds0/ann/a.png.json", figure("polygon", outer, [hole]))
    mask = sole(tmp_path).load_mask()
    assert mask[2, 2:17].all()
    assert not mask[4:6, 6:11].any()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"geometryType": "bitmap"}, "must be an object with data, origin"),
        (
            {"geometryType": "bitmap", "bitmap": {"data": "%", "origin": [0, 0]}},
            "must be a mask as a picture",
        ),
        (
            {"geometryType": "bitmap", "bitmap": {"data": "QUJD", "origin": [0, 0]}},
            "zlib has packed",
        ),
        (packed(b"nothing"), "must be a mask as a picture"),
        (packed(png([[1]]), origin=(1, None)), r"a bitmap with origin \[x, y\]"),
        (packed(png([[1, 1, 1]]), origin=(18, 0)), "does not fit into 20 x 10"),
        (figure("polygon", [[1, 1], [2, 2]]), "a polygon with enough points"),
        (figure("polygon", [[1, 1], [2]]), "must be points with exterior"),
        ({"geometryType": "polygon"}, "must be an object with points"),
        ({"classTitle": "x"}, "must be an object with classTitle, geometryType"),
    ],
)
def test_mistakes_in_a_supervisely_file_are_named(tmp_path, entry, words):
    draw(tmp_path, "ds0/img/a.png")
    write_supervisely(tmp_path / "ds0/ann/a.png.json", entry)
    with pytest.raises(ValueError, match=f"a\\.png\\.json, object 1, .*({words})"):
        read_defects(tmp_path)


def test_a_supervisely_bitmap_that_unpacks_without_end_is_cut(tmp_path):
    draw(tmp_path, "ds0/img/a.png")
    write_supervisely(tmp_path / "ds0/ann/a.png.json", packed(bytes(100_000_000)))
    with pytest.raises(ValueError, match="must be a mask as a picture"):
        read_defects(tmp_path)


def test_supervisely_files_need_their_image(tmp_path):
    draw(tmp_path, "ds0/img/a.png")
    write_supervisely(tmp_path / "ds0/ann/b.png.json")
    with pytest.raises(ValueError, match=r"1 have none, the first: .*b\.png\.json"):
        read_defects(tmp_path)
    write(tmp_path / "ds0/ann/b.png.json", "[]")
    (tmp_path / "ds0/ann/b.png.json").rename(tmp_path / "ds0/ann/a.png.json")
    with pytest.raises(ValueError, match=r"a\.png\.json must be an object with objects"):
        read_defects(tmp_path)


def test_flags_of_labelme_tell_the_label_where_there_are_no_shapes(tmp_path):
    draw(tmp_path, "1.png", "2.png", "3.png")
    flags = [{"ok": True, "ng": False}, {"ok": False, "ng": True}, {"ok": True}]
    for number, flag in enumerate(flags, start=1):
        shapes = [{"label": "dent", "points": [[1, 1], [5, 5]], "shape_type": "rectangle"}]
        shapes = shapes if number == 3 else []
        write(tmp_path / f"{number}.json", json.dumps({"flags": flag, "shapes": shapes}))
    assert labels(read(tmp_path)[1]) == {"1.png": "ok", "2.png": "ng", "3.png": "dent"}
