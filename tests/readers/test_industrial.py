"""Public sets of defects, in miniature: each is read as it lies when it is unpacked."""

import pytest

from labelled import draw, draw_mask, labels, read, splits, write, write_voc
from styleaug.datasets import read_defects


def marked(samples) -> set[str]:
    """The names of images of which masks mark something."""
    return {name for name, s in samples.items() if s.masks and s.load_mask().any()}


def test_kolektor_parts_are_no_classes_and_its_labels_no_images(tmp_path):
    """KolektorSDD: a folder for each part; every image has a label, of which most are empty."""
    for part in ("kos01", "kos02", "kos03"):
        draw(tmp_path, f"{part}/Part0.jpg", f"{part}/Part1.jpg")
        draw_mask(tmp_path / part / "Part0_label.bmp", [255])
        draw_mask(tmp_path / part / "Part1_label.bmp", [])
    found = read_defects(tmp_path)
    assert (found.layout, found.classes, len(found.samples)) == ("masks", (), 6)
    assert marked(read(tmp_path)[1]) == {f"kos0{k}/Part0.jpg" for k in (1, 2, 3)}
    assert found.notes == (
        "kos01, kos02, kos03 are taken for parts of the dataset, not for classes.",
    )


def test_kolektor_2_is_split_by_its_folders(tmp_path):
    for split in ("train", "test"):
        draw(tmp_path, f"{split}/10000.png", f"{split}/10001.png")
        draw_mask(tmp_path / split / "10000_GT.png", [255])
        draw_mask(tmp_path / split / "10001_GT.png", [])
    layout, samples = read(tmp_path)
    assert layout == "masks"
    assert splits(samples) == {f"{s}/1000{k}.png": s for s in ("train", "test") for k in (0, 1)}
    assert marked(samples) == {"train/10000.png", "test/10000.png"}


def test_dagm_classes_are_those_of_defects_and_images_without_label_background(tmp_path):
    for k in (1, 2):
        for split in ("Train", "Test"):
            place = tmp_path / f"Class{k}" / split
            draw(place, "0576.PNG", "0577.PNG")
            draw_mask(place / "Label/0576_label.PNG", [255])
            write(place / "Label/Labels.txt", "1\n576\t1\t0576.PNG\t0\t0576_label.PNG\n")
    layout, samples = read(tmp_path)
    assert layout == "folders"
    assert labels(samples) == {
        f"Class{k}/{s}/057{i}.PNG": f"Class{k}" if i == 6 else ""
        for k in (1, 2)
        for s in ("Train", "Test")
        for i in (6, 7)
    }
    assert splits(samples) == {name: name.split("/")[1].lower() for name in samples}
    assert len(read(tmp_path / "Class1")[1]) == 4
    assert read(tmp_path / "Class1")[0] == "masks"


SEVERSTAL = {
    "new": "ImageId,ClassId,EncodedPixels\na.jpg,1,1 3\na.jpg,3,21 10 41 5\nb.jpg,2,191 10\n",
    "old": "ImageId_ClassId,EncodedPixels\n"
    "a.jpg_1,1 3\na.jpg_2,\na.jpg_3,21 10 41 5\na.jpg_4,\nb.jpg_2,191 10\nc.jpg_1,\n",
}


@pytest.mark.parametrize("form", SEVERSTAL)
def test_severstal_run_lengths_go_down_the_columns_from_one(tmp_path, form):
    draw(tmp_path, *(f"train_images/{name}.jpg" for name in "abc"), "test_images/d.jpg")
    write(tmp_path / "train.csv", SEVERSTAL[form])
    write(tmp_path / "sample_submission.csv", "ImageId,EncodedPixels,ClassId\nd.jpg,1 200,0\n")
    layout, samples = read(tmp_path)
    assert layout == "csv"
    # of a the largest area is of class 3
    assert labels(samples) == {
        f"train_images/{n}.jpg": x for n, x in zip("abc", "32 ", strict=True)
    } | {"train_images/c.jpg": ""}
    a, b, c = (samples[f"train_images/{name}.jpg"] for name in "abc")
    mask = a.load_mask()  # columns of 10 pixels
    assert mask.sum() == 3 + 10 + 5
    assert mask[:3, 0].all()
    assert mask[:, 2].all()
    assert mask[:5, 4].all()
    assert b.load_mask()[:, 19].sum() == b.load_mask().sum() == 10
    assert c.load_mask() is None
    assert read_defects(tmp_path).notes == (
        "1 of the images are left out: no table names an image of their folders.",
    )


@pytest.mark.parametrize("runs", ["5 3 4 2", "0 3", "199 3", "1 2 3", "1 x", "3 0", "-1 4"])
def test_run_lengths_that_do_not_fit_an_image_are_named(tmp_path, runs):
    draw(tmp_path, "train_images/a.jpg")
    write(tmp_path / "train.csv", f"ImageId,ClassId,EncodedPixels\na.jpg,1,{runs}\n")
    with pytest.raises(ValueError, match=r"train\.csv, line 2, must be pairs of start and length"):
        read_defects(tmp_path)


def mvtec(root) -> None:
    draw(root, *(f"{place}/000.png" for place in ("train/good", "test/good", "test/bent")))
    draw(root, "test/cut/000.png")
    draw_mask(root / "ground_truth/bent/000_mask.png", [255])
    draw_mask(root / "ground_truth/cut/000_mask.png", [255])


def test_products_of_mvtec_are_no_classes(tmp_path):
    for product in ("bottle", "cable", "wood"):
        mvtec(tmp_path / product)
    found = read_defects(tmp_path)
    assert (found.layout, found.classes) == ("folders", ("bent", "cut", "good"))
    assert (len(found.samples), len(marked(read(tmp_path)[1]))) == (12, 6)
    assert found.notes == ("bottle, cable, wood are taken for products, not for classes.",)


def test_mvtec_2_keeps_its_masks_below_its_public_test_images(tmp_path):
    root = tmp_path / "can"
    draw(root, "train/good/000_regular.png", "validation/good/000_regular.png")
    draw(root, "test_public/good/000_regular.png", "test_public/bad/000_regular.png")
    draw_mask(root / "test_public/ground_truth/bad/000_regular_mask.png", [255])
    draw(root, "test_private/000_regular.png", "test_private_mixed/000_mixed.png")
    for folder, prefix in ((root, ""), (tmp_path, "can/")):
        layout, samples = read(folder)
        assert layout == "folders"
        assert labels(samples) == {
            f"{prefix}train/good/000_regular.png": "good",
            f"{prefix}validation/good/000_regular.png": "good",
            f"{prefix}test_public/good/000_regular.png": "good",
            f"{prefix}test_public/bad/000_regular.png": "bad",
        }
        assert marked(samples) == {f"{prefix}test_public/bad/000_regular.png"}
        assert splits(samples)[f"{prefix}test_public/bad/000_regular.png"] == "test"
        assert splits(samples)[f"{prefix}validation/good/000_regular.png"] == "train"
        assert read_defects(folder).notes == (
            "2 of the images are left out: they are to test on, and in no class folder.",
        )


def test_mvtec_loco_has_a_folder_of_masks_for_each_image(tmp_path):
    draw(tmp_path, "train/good/000.png", "validation/good/000.png", "test/good/000.png")
    for kind in ("logical_anomalies", "structural_anomalies"):
        draw(tmp_path, f"test/{kind}/000.png", f"test/{kind}/001.png")
        draw_mask(tmp_path / f"ground_truth/{kind}/000/000.png", [255])
        draw_mask(tmp_path / f"ground_truth/{kind}/000/001.png", [0, 0, 243])
        draw_mask(tmp_path / f"ground_truth/{kind}/001/000.png", [0, 255])
    write(tmp_path / "defects_config.json", '[{"defect_name": "x", "pixel_value": 255}]')
    found = read_defects(tmp_path)
    assert (found.layout, len(found.samples)) == ("folders", 7)
    assert found.classes == ("good", "logical_anomalies", "structural_anomalies")
    first = read(tmp_path)[1]["test/logical_anomalies/000.png"]
    assert len(first.masks) == 2
    assert first.load_mask()[0, :4].tolist() == [True, False, True, False]


def visa(root, product) -> None:
    draw(root / product, "Data/Images/Normal/0000.JPG", "Data/Images/Anomaly/000.JPG")
    draw(root / product, "Data/Images/Anomaly/001.JPG")
    for k in (0, 1):
        draw_mask(root / product / f"Data/Masks/Anomaly/00{k}.png", [k + 1])
    write(
        root / product / "image_anno.csv",
        f"image,label,mask\n{product}/Data/Images/Normal/0000.JPG,normal,\n"
        f'{product}/Data/Images/Anomaly/000.JPG,"hole,dent",{product}/Data/Masks/Anomaly/000.png\n'
        f"{product}/Data/Images/Anomaly/001.JPG,dent,{product}/Data/Masks/Anomaly/001.png\n",
    )


def test_visa_products_are_split_by_its_table(tmp_path):
    rows = ["object,split,label,image,mask"]
    for product in ("candle", "pcb1"):
        visa(tmp_path, product)
        place = f"{product}/Data/Images"
        rows += [f"{product},train,normal,{place}/Normal/0000.JPG,"]
        rows += [
            f"{product},test,anomaly,{place}/Anomaly/00{k}.JPG,{product}/Data/Masks/Anomaly/00{k}.png"
            for k in (0, 1)
        ]
    rows += ["fryum,train,normal,fryum/Data/Images/Normal/0000.JPG,"]  # not unpacked
    write(tmp_path / "split_csv/1cls.csv", "\n".join(rows))
    write(tmp_path / "split_csv/2cls_fewshot.csv", "\n".join(rows))
    found = read_defects(tmp_path)
    assert (found.layout, found.classes) == ("csv", ("anomaly", "normal"))
    samples = read(tmp_path)[1]
    assert len(samples) == 6
    assert splits(samples)["candle/Data/Images/Normal/0000.JPG"] == "train"
    assert splits(samples)["pcb1/Data/Images/Anomaly/001.JPG"] == "test"
    assert marked(samples) == {n for n in samples if "Anomaly" in n}
    assert len(found.notes) == 2
    assert found.notes[0].startswith("1cls.csv names 1 images that are not there")


def test_one_product_of_visa_has_the_first_of_its_labels(tmp_path):
    visa(tmp_path, "candle")
    _, samples = read(tmp_path / "candle")
    assert labels(samples) == {
        "Data/Images/Anomaly/000.JPG": "hole",
        "Data/Images/Anomaly/001.JPG": "dent",
        "Data/Images/Normal/0000.JPG": "normal",
    }
    (tmp_path / "candle/image_anno.csv").unlink()
    assert read_defects(tmp_path / "candle").classes == ("Anomaly", "Normal")


def test_btad_products_are_numbers(tmp_path):
    for product, suffix in (("01", "png"), ("02", "png"), ("03", "bmp")):
        draw(tmp_path / product, "train/ok/0000.bmp", "test/ok/0000.bmp", "test/ko/0000.bmp")
        draw_mask(tmp_path / product / f"ground_truth/ko/0000.{suffix}", [255])
    found = read_defects(tmp_path)
    assert (found.layout, found.classes, len(found.samples)) == ("folders", ("ko", "ok"), 9)
    assert marked(read(tmp_path)[1]) == {f"0{k}/test/ko/0000.bmp" for k in (1, 2, 3)}


def test_deeppcb_as_it_is_cloned(tmp_path):
    """Its lists name images without the _test that their files have; templates are no samples."""
    root = tmp_path / "PCBData"
    for number, split in (("00041", "trainval"), ("20085", "test")):
        place, name = f"group{number}/{number}", f"{number}000"
        draw(root, f"{place}/{name}_test.jpg", f"{place}/{name}_temp.jpg")
        write(root / f"{place}_not/{name}.txt", "1 2 6 7 3\n8 2 12 9 1\n")
        write(root / f"{split}.txt", f"{place}/{name}.jpg {place}_not/{name}.txt\n")
    layout, samples = read(tmp_path)
    assert layout == "text"
    assert labels(samples) == {
        "PCBData/group00041/00041/00041000_test.jpg": "1",
        "PCBData/group20085/20085/20085000_test.jpg": "1",
    }
    assert set(splits(samples).values()) == {"train", "test"}
    (root / "trainval.txt").unlink()
    (root / "test.txt").unlink()
    assert len(read(tmp_path)[1]) == 2
    assert read_defects(tmp_path).notes == (
        "2 of the images are left out: they have no text file or are in no list.",
    )


def test_magnetic_tiles_stay_classes_though_all_have_masks(tmp_path):
    for kind, levels in (("MT_Blowhole", [255]), ("MT_Free", [])):
        draw(tmp_path, f"{kind}/Imgs/exp1_num_1.jpg", f"{kind}/Imgs/exp1_num_2.jpg")
        for k in (1, 2):
            draw_mask(tmp_path / kind / f"Imgs/exp1_num_{k}.png", levels)
    layout, samples = read(tmp_path)
    assert layout == "folders"
    assert {s.label for s in samples.values()} == {"MT_Blowhole", "MT_Free"}
    assert marked(samples) == {n for n in samples if "Blowhole" in n}


@pytest.mark.parametrize("place", ["lable", "annotations", "ANNOTATIONS"])
def test_xml_files_in_one_folder_belong_to_images_in_folders_of_classes(tmp_path, place):
    """GC10-DET and NEU-DET."""

    draw(tmp_path, "01/img_01_1.jpg", "02/img_02_2.jpg", "images/03/img_03_1.jpg")
    write_voc(tmp_path / place / "img_01_1.xml", ("1_chongkong", 1, 1, 4, 5))
    write_voc(tmp_path / place / "img_02_2.xml", ("2_hanfeng", 1, 1, 4, 5))
    write_voc(tmp_path / place / "img_03_1.xml", ("3_yueyawan", 1, 1, 4, 5))
    layout, samples = read(tmp_path)
    assert layout == "voc"
    assert sorted(labels(samples).values()) == ["1_chongkong", "2_hanfeng", "3_yueyawan"]


def test_neu_det_as_it_is_published(tmp_path):

    for split in ("train", "validation"):
        for kind in ("crazing", "patches"):
            draw(tmp_path, f"{split}/images/{kind}/{kind}_1.jpg")
            write_voc(tmp_path / f"{split}/annotations/{kind}_1.xml", (kind, 1, 1, 4, 5))
    layout, samples = read(tmp_path)
    assert layout == "voc"
    assert labels(samples)["validation/images/patches/patches_1.jpg"] == "patches"
    assert splits(samples)["validation/images/patches/patches_1.jpg"] == "test"


@pytest.mark.parametrize("masks", ["{}_lab/1.png", "{}_masks/1.png", "{}_img/1_mask.png"])
def test_splits_with_masks_in_folders_beside_them(tmp_path, masks):
    """DeepCrack and others."""
    for split in ("train", "test"):
        draw(tmp_path, f"{split}_img/1.jpg", f"{split}_img/2.jpg")
        draw_mask(tmp_path / masks.format(split), [255])
    layout, samples = read(tmp_path)
    assert layout == "masks"
    assert splits(samples) == {f"{s}_img/{k}.jpg": s for s in ("train", "test") for k in (1, 2)}
    assert marked(samples) == {"train_img/1.jpg", "test_img/1.jpg"}


def test_masks_of_roboflow_lie_beside_and_its_names_are_no_classes(tmp_path):
    for split in ("train", "valid"):
        for k in (1, 2):
            draw(tmp_path, f"{split}/a{k}_jpg.rf.9{k}.jpg")
            draw_mask(tmp_path / split / f"a{k}_jpg.rf.9{k}_mask.png", [1])
        write(tmp_path / split / "_classes.csv", "Pixel Value, Class\n0, background\n1, dent\n")
    layout, samples = read(tmp_path)
    assert (layout, len(samples), len(marked(samples))) == ("masks", 4, 4)
    assert {s.label for s in samples.values()} == {""}
    names = ("crack_1_jpg.rf.0a", "crack_2_jpg.rf.1b", "spot_1_png.rf.9")
    draw(tmp_path / "named", *(f"{name}.jpg" for name in names))
    assert read_defects(tmp_path / "named").classes == ("crack", "spot")
