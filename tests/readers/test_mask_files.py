"""Which image files are masks, and of which images."""

import numpy as np
import pytest
from PIL import Image

from labelled import HEIGHT, WIDTH, draw, draw_mask, labels, mask_of, read, splits, write
from styleaug.datasets import MaskFile, Sample, read_defects


@pytest.mark.parametrize(
    "name",
    [
        *("masks", "mask", "Masks", "ground_truth", "ground-truth", "GroundTruth", "gt", "GT"),
        *("labels", "label", "annotations", "segmentations", "SegmentationClass", "seg_masks"),
        *("image_masks", "annots", "lab", "Semantic_Maps"),
    ],
)
@pytest.mark.parametrize("stem", ["1", "1_mask", "mask_1"])
def test_folders_of_masks_have_many_names(tmp_path, name, stem):
    draw(tmp_path, "images/1.jpg", "images/2.jpg")
    draw_mask(tmp_path / name / f"{stem}.png", [255])
    layout, samples = read(tmp_path)
    assert layout == "masks"
    assert list(samples) == ["images/1.jpg", "images/2.jpg"]
    assert mask_of(samples["images/1.jpg"]) == tmp_path / name / f"{stem}.png"


@pytest.mark.parametrize(
    "name",
    [
        *("1_mask", "1-mask", "1 mask", "1.mask", "1_Mask", "1_label", "1_GT", "1-gt", "1_seg"),
        *("1_annotation", "1_segmentation", "1_labels", "1_mask_0", "1_ground_truth", "mask_1"),
    ],
)
def test_masks_beside_images_have_many_names(tmp_path, name):
    draw(tmp_path, "1.jpg", "2.jpg")
    draw_mask(tmp_path / f"{name}.png", [255])
    _, samples = read(tmp_path)
    assert list(samples) == ["1.jpg", "2.jpg"]
    assert mask_of(samples["1.jpg"]) == tmp_path / f"{name}.png"


def test_an_image_may_have_several_masks(tmp_path):
    draw(tmp_path, "a (1).png", "b.png")
    draw_mask(tmp_path / "a (1)_mask.png", [255])
    draw_mask(tmp_path / "a (1)_mask_1.png", [0, 0, 1])
    draw_mask(tmp_path / "b_mask.png", [255])
    _, samples = read(tmp_path)
    assert list(samples) == ["a (1).png", "b.png"]
    assert samples["a (1).png"].load_mask()[0, :4].tolist() == [True, False, True, False]


def test_images_and_masks_may_lie_in_a_folder_of_their_own_each(tmp_path):
    """As in the Data Science Bowl: ID/images/ID.png and ID/masks/*.png."""
    for name in ("0a", "1b"):
        draw(tmp_path, f"stage1_train/{name}/images/{name}.png")
        draw_mask(tmp_path / f"stage1_train/{name}/masks/x{name}.png", [255])
        draw_mask(tmp_path / f"stage1_train/{name}/masks/y{name}.png", [0, 255])
    _, samples = read(tmp_path, masks=None)
    assert [len(s.masks) for s in samples.values()] == [2, 2]


@pytest.mark.parametrize("images", ["train", "train_images", "train2"])
def test_folders_of_splits_and_masks_may_be_one(tmp_path, images):
    masks = images.replace("_images", "").replace("train", "train_masks")
    draw(tmp_path, f"{images}/1.png", "test/1.png")
    draw_mask(tmp_path / masks / "1.png", [255])
    _, samples = read(tmp_path)
    assert {name: bool(s.masks) for name, s in samples.items()} == {
        f"{images}/1.png": True,
        "test/1.png": False,
    }


@pytest.mark.parametrize("split", ["train", "Train", "TrainingSet", "train_images", "training"])
def test_splits_hold_images_and_masks_or_are_held_by_them(tmp_path, split):
    draw(tmp_path, f"images/{split}/1.png", f"{split}/images/2.png")
    draw_mask(tmp_path / f"masks/{split}/1.png", [255])
    draw_mask(tmp_path / f"{split}/masks/2.png", [255])
    _, samples = read(tmp_path)
    assert set(splits(samples).values()) == {"train"}
    assert all(sample.masks for sample in samples.values())


@pytest.mark.parametrize("levels", [[1], [255], [7], [128, 255], [50, 100, 150]])
def test_masks_of_any_value_that_is_not_zero_mark_defects(tmp_path, levels):
    draw(tmp_path, "images/1.png")
    draw_mask(tmp_path / "masks/1.png", levels)
    assert read(tmp_path)[1]["images/1.png"].load_mask().sum() == len(levels)


def test_images_of_two_formats_are_no_masks(tmp_path):
    """A dataset that holds each picture as JPEG and as PNG, of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    for place in ("crack", "spot"):
        (tmp_path / place).mkdir()
        for suffix in ("jpg", "png"):
            Image.fromarray(pixels).save(tmp_path / place / f"1.{suffix}")
    layout, samples = read(tmp_path)
    assert (layout, len(samples)) == ("folders", 4)
    deep = Image.fromarray(pixels.astype(np.uint16) * 200)
    deep.save(tmp_path / "spot/2.png")
    deep.save(tmp_path / "spot/2.tiff")
    assert len(read(tmp_path)[1]) == 6


def test_a_class_may_be_called_label(tmp_path):
    """Of bottles with caps and labels, say."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    for place in ("cap", "label"):
        (tmp_path / place).mkdir()
        Image.fromarray(pixels).save(tmp_path / place / "1.png")
    assert read_defects(tmp_path).classes == ("cap", "label")


def test_masks_go_before_outlines_of_annotations(tmp_path):
    draw(tmp_path, "images/a.png")
    draw_mask(tmp_path / "masks/a.png", [255])
    write(tmp_path / "labels/a.txt", "3 0 0 1 0 1 1 0 1")
    sample = read(tmp_path)[1]["images/a.png"]
    assert sample.masks == (MaskFile(tmp_path / "masks/a.png"),)
    assert sample.files == (tmp_path / "images/a.png", tmp_path / "masks/a.png")


# ---------------------------------------------------------------- folders


@pytest.mark.parametrize(
    "parts",
    [
        ("kos01", "kos02", "kos17"),
        ("part_3", "part_12"),
        ("roll 1", "roll 2"),
        ("batch7", "Batch8"),
        ("2021-03-04", "2021-03-05"),
        ("20210304", "20210305"),
        ("lot-1.2", "lot-1.3"),
    ],
)
def test_folders_with_numbers_are_parts(tmp_path, parts):
    for place in parts:
        draw(tmp_path, f"{place}/a.jpg")
        draw_mask(tmp_path / place / "a_mask.png", [255])
    assert (read(tmp_path)[0], read_defects(tmp_path).classes) == ("masks", ())
    # alone they tell nothing, and that is said
    for place in parts:
        (tmp_path / place / "a_mask.png").unlink()
    with pytest.raises(
        ValueError, match="are numbered as parts of a dataset, not named as classes"
    ):
        read_defects(tmp_path)
    # classes may lie below them
    for place in parts:
        draw(tmp_path, f"{place}/crack/a.jpg", f"{place}/spot/a.jpg")
        (tmp_path / place / "a.jpg").unlink()
    assert read_defects(tmp_path).classes == ("crack", "spot")


@pytest.mark.parametrize(
    "names",
    [
        ("Class1", "Class2", "Class3"),
        ("defect_1", "defect_2"),
        ("type 1", "type 2"),
        ("0", "1"),
        ("01", "02", "10"),
        ("crack1", "spot1"),
        ("scratch", "ok2"),
    ],
)
def test_folders_that_are_named_as_classes_are_classes(tmp_path, names):
    draw(tmp_path, *(f"{name}/a.jpg" for name in names))
    assert read_defects(tmp_path).classes == tuple(sorted(names))


@pytest.mark.parametrize(
    "place", ["{}/1.png", "train/{}/1.png", "{}/train/1.png", "images/{}/1.png", "x/train/{}/1.png"]
)
def test_class_folders_lie_below_those_of_splits_or_above(tmp_path, place):
    draw(tmp_path, place.format("crack"), place.format("spot"))
    layout, samples = read(tmp_path)
    assert layout == "folders"
    assert sorted(labels(samples).values()) == ["crack", "spot"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(("train", "train"), ("Training", "train"), ("train2017", "train"), ("trainval", "train")),
        *(("TrainingSet", "train"), ("train_images", "train"), ("images_train", "train")),
        *(("traincrop", "train"), ("testdata", "test"), ("obj_train_data", "train")),
        *(("val", "test"), ("valid", "test"), ("validation", "test"), ("dev", "test")),
        *(("test", "test"), ("Test", "test"), ("test_public", "test"), ("testing", "test")),
        *(("test_pieces", ""), ("contest", ""), ("strain", ""), ("latest", "")),
    ],
)
def test_words_of_splits(tmp_path, name, split):
    draw(tmp_path, f"{name}/crack/1.png", f"{name}/spot/1.png")
    assert set(splits(read(tmp_path)[1]).values()) == {split}


def test_what_systems_leave_behind_is_no_image_and_links_are_followed(tmp_path):
    root = tmp_path / "set"
    draw(tmp_path, "elsewhere/a.jpg", "elsewhere/b.jpg")
    draw(root, "ok/1.jpg", "ng/1.jpg", "ok/.ipynb_checkpoints/1-checkpoint.jpg", "__MACOSX/x.jpg")
    write(root / "ok/._1.jpg", "\0\5\26\7")
    write(root / "ok/Thumbs.db", "\0")
    write(root / "ok/.DS_Store", "x")
    (root / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    found = read_defects(root)
    assert (found.classes, len(found.samples)) == (("linked", "ng", "ok"), 4)


def test_16_bit_images_know_their_bits(tmp_path):
    for name in ("crack", "spot"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((HEIGHT, WIDTH), 4095, np.uint16)).save(tmp_path / name / "1.png")
    for bits, level in ((12, 255), (None, 15), (16, 15)):
        found = read_defects(tmp_path, bits=bits).samples
        assert {sample.bits for sample in found} == {bits}
        assert found[0].load().getpixel((0, 0)) == (level,) * 3
    assert Sample(tmp_path / "crack/1.png").bits is None


@pytest.mark.parametrize("folder", ["NG_mask", "NG-masks", "mask_NG", "NG gt"])
def test_masks_may_lie_in_a_folder_named_after_that_of_their_images(tmp_path, folder):
    draw(tmp_path, "NG/1.png", "OK/1.png")
    draw_mask(tmp_path / folder / "1.png", [255])
    layout, samples = read(tmp_path)
    assert layout == "folders"
    assert labels(samples) == {"NG/1.png": "NG", "OK/1.png": "OK"}
    assert mask_of(samples["NG/1.png"]) == tmp_path / folder / "1.png"


@pytest.mark.parametrize("folder", ["defect_masks", "mask-png", "binary_mask", "masks/crack"])
def test_folders_of_masks_do_not_matter_where_images_lie_in_one_folder(tmp_path, folder):
    draw(tmp_path, "images/1.png")
    draw_mask(tmp_path / folder / "1.png", [255])
    layout, samples = read(tmp_path)
    assert layout == "masks"
    assert mask_of(samples["images/1.png"]) == tmp_path / folder / "1.png"


def test_classes_of_photos_may_have_masks_in_their_names(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    for name in ("with_mask", "without_mask"):
        (tmp_path / name).mkdir()
        Image.fromarray(noise).save(tmp_path / name / "1.png")
    assert read_defects(tmp_path).classes == ("with_mask", "without_mask")


def test_one_folder_of_masks_for_each_class_gives_an_image_several(tmp_path):
    draw(tmp_path, "train/images/1.png", "test/images/1.png")
    for k, name in enumerate(("crack", "spot")):
        draw_mask(tmp_path / f"train/masks/{name}/1.png", [0] * k + [255])
    _, samples = read(tmp_path)
    assert samples["train/images/1.png"].load_mask().sum() == 2
    assert samples["test/images/1.png"].masks == ()
    (note,) = read_defects(tmp_path).notes
    assert note == "No image in test/images has a mask; all of them are taken for background."


def test_images_and_masks_may_both_say_what_they_are(tmp_path):
    draw(tmp_path, "1_img.png", "2_img.png")
    draw_mask(tmp_path / "1_seg.png", [255])
    assert mask_of(read(tmp_path)[1]["1_img.png"]) == tmp_path / "1_seg.png"


def test_a_mask_of_one_colour_marks_by_its_opacity(tmp_path):
    draw(tmp_path, "images/1.png")
    pixels = np.full((HEIGHT, WIDTH, 4), 255, dtype=np.uint8)
    pixels[..., 3] = 0
    pixels[0, :3, 3] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(pixels).save(tmp_path / "masks/1.png")
    assert read(tmp_path)[1]["images/1.png"].load_mask().sum() == 3


def test_thumbnails_are_no_images_of_a_class(tmp_path):
    draw(tmp_path, "NG/1.png", "OK/1.png", "thumbnails/1.png", "OK/thumbs/1.png")
    assert labels(read(tmp_path)[1]) == {"NG/1.png": "NG", "OK/1.png": "OK"}


def test_files_that_are_not_read_are_told(tmp_path):
    draw(tmp_path, "NG/1.png", "OK/1.png")
    write(tmp_path / "OK/2.heic", "?")
    write(tmp_path / "OK/3.npy", "?")
    (note,) = read_defects(tmp_path).notes
    assert note == "2 files are in formats that are not read, OK/2.heic first."


@pytest.mark.parametrize("folders", [("0", "1", "2"), ("a7", "part", "x9")])
@pytest.mark.parametrize(("image", "mask"), [("image.png", "mask.png"), ("img.jpg", "gt.png")])
def test_each_image_may_lie_with_its_mask_in_a_folder_of_its_own(tmp_path, folders, image, mask):
    for folder in folders:
        draw(tmp_path, f"{folder}/{image}")
        draw_mask(tmp_path / folder / mask, [255])
    layout, samples = read(tmp_path)
    assert layout == "masks"
    assert {name: mask_of(s) for name, s in samples.items()} == {
        f"{folder}/{image}": tmp_path / folder / mask for folder in folders
    }
