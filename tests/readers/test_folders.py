"""Labels from folders and file names, and masks that come with any layout."""

import pytest

from labelled import draw, draw_mask, labels, mask_of, read, splits, write
from styleaug.datasets import read_defects


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
