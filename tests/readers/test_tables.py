"""CSV files that tell the labels of images."""

import pytest

from labelled import draw, labels, read, splits, write
from styleaug.datasets import Box, read_defects


def test_one_hot_columns_of_roboflow_are_classes(tmp_path):
    for split in ("train", "valid", "test"):
        draw(tmp_path, f"{split}/a.jpg", f"{split}/b.jpg", f"{split}/c.jpg")
        write(
            tmp_path / split / "_classes.csv",
            "filename, Dent, red rust\na.jpg, 1, 0\nb.jpg, 1, 1\nc.jpg, 0, 0\n",
        )
    layout, samples = read(tmp_path)
    assert layout == "csv"
    assert [labels(samples)[f"valid/{n}.jpg"] for n in "abc"] == ["Dent", "Dent", ""]
    assert splits(samples)["valid/a.jpg"] == "train"
    assert read_defects(tmp_path).notes == (
        "3 images have several labels, of which the first counts.",
    )
    write(tmp_path / "test/_classes.csv", "filename,Dent,rust\na.jpg,1,yes\n")
    with pytest.raises(ValueError, match=r"_classes\.csv, line 2, must be 0 or 1 for each class"):
        read_defects(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,20,10,dent,2,3,8,6\n",
        "Image_ID;x1;y1;x2;y2;Label\na;2.0;3.0;8.0;6.0;dent\n",
        "\ufeffpath,class,xmin,ymin,xmax,ymax\nimages\\a.jpg,dent,2,3,8,6\nimages/b.jpg,,,,,\n",
    ],
)
def test_tables_of_boxes(tmp_path, text):
    draw(tmp_path, "images/a.jpg", "images/b.jpg", "other/c.jpg")
    write(tmp_path / "annotations.csv", text)
    layout, samples = read(tmp_path)
    assert layout == "csv"
    assert labels(samples) == {"images/a.jpg": "dent", "images/b.jpg": ""}
    assert samples["images/a.jpg"].boxes == (Box("dent", 2, 3, 8, 6),)


def test_tables_may_be_utf_16(tmp_path):
    draw(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "labels.csv").write_text("image,label\na.jpg,Öl\nb.jpg,ok\n", encoding="utf-16")
    assert read_defects(tmp_path).classes == ("ok", "Öl")


@pytest.mark.parametrize("cells", ["2,3,8,x", "2,3,8,", "2,3,8", "9,3,8,6", "nan,3,8,6"])
def test_malformed_boxes_of_tables_are_named(tmp_path, cells):
    draw(tmp_path, "a.jpg")
    write(tmp_path / "boxes.csv", f"filename,class,xmin,ymin,xmax,ymax\na.jpg,dent,{cells}\n")
    with pytest.raises(ValueError, match=r"boxes\.csv, line 2, must be a box"):
        read_defects(tmp_path)


def test_tables_of_labels_may_tell_splits_and_leave_images_out(tmp_path):
    draw(tmp_path, "images/1.jpg", "images/2.jpg", "images/3.jpg")
    write(tmp_path / "labels.csv", "image_id,label,split\n1,dent,train\n2.jpg,ok,test\n9,ok,test\n")
    write(tmp_path / "sample_submission.csv", "image_id,label\n3,dent\n")
    layout, samples = read(tmp_path)
    assert (layout, labels(samples)) == ("csv", {"images/1.jpg": "dent", "images/2.jpg": "ok"})
    assert splits(samples) == {"images/1.jpg": "train", "images/2.jpg": "test"}
    assert read_defects(tmp_path).notes == (
        "labels.csv names 1 images that are not there, 9 first.",
        "1 of the images are left out: no table names them.",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "time,temperature\n1,20\n",
        "image,label\nelsewhere.jpg,dent\n",
        "image,camera\na.jpg,left\n",
        "class,count\ndent,3\n",
    ],
)
def test_tables_about_something_else_do_not_matter(tmp_path, text):
    draw(tmp_path, "crack/a.jpg", "spot/b.jpg")
    write(tmp_path / "log.csv", text)
    assert read(tmp_path)[0] == "folders"


def test_a_cell_without_end_is_refused_in_words(tmp_path):
    draw(tmp_path, "a.jpg")
    write(tmp_path / "labels.csv", "image,label\na.jpg," + "x" * 200_000)
    with pytest.raises(ValueError, match=r"labels\.csv, line 2, must be CSV"):
        read_defects(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.tsv", "filename\tlabel\na.jpg\tNG\nb.jpg\tOK\n"),
        ("labels.csv", "Image Name;Defect Type\na.jpg;NG\nb.jpg;OK\n"),
        ("labels.csv", "path,target\na.jpg,NG\nb.jpg,OK\n"),
    ],
)
def test_tables_have_many_spellings(tmp_path, name, text):
    draw(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / name, text)
    assert labels(read(tmp_path)[1]) == {"a.jpg": "NG", "b.jpg": "OK"}


def test_a_column_may_be_called_set_and_tells_the_split(tmp_path):
    draw(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / "labels.csv", "image,label,set\na.jpg,NG,train\nb.jpg,OK,test\n")
    assert splits(read(tmp_path)[1]) == {"a.jpg": "train", "b.jpg": "test"}


def test_rows_that_label_an_image_in_two_ways_are_told(tmp_path):
    draw(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / "labels.csv", "image,label\na.jpg,NG\nb.jpg,OK\na.jpg,OK\nb.jpg,OK\n")
    assert labels(read(tmp_path)[1]) == {"a.jpg": "NG", "b.jpg": "OK"}
    (note,) = read_defects(tmp_path).notes
    assert note == "1 images have several labels, of which the first counts."


def test_a_table_that_contradicts_class_folders_is_told(tmp_path):
    draw(tmp_path, "NG/a.jpg", "NG/b.jpg", "OK/c.jpg")
    write(tmp_path / "results.csv", "image,label\na.jpg,OK\nb.jpg,NG\nc.jpg,OK\n")
    (note,) = read_defects(tmp_path).notes
    assert note == "1 image lies in the folder of another class than the label that is told."


@pytest.mark.parametrize("encoding", ["latin-1", "gbk"])
def test_labels_in_an_unknown_encoding_are_refused(tmp_path, encoding):
    draw(tmp_path, "a.jpg", "b.jpg")
    name = {"latin-1": "größe", "gbk": "合格"}[encoding]
    (tmp_path / "l.csv").write_text(f"image,label\na.jpg,{name}\nb.jpg,x\n", encoding=encoding)
    with pytest.raises(ValueError, match=r"must be in UTF-8, but one reads .*Save the files"):
        read_defects(tmp_path)


def test_boxes_that_are_shares_of_the_sides_are_refused(tmp_path):
    draw(tmp_path, "a.jpg")
    write(tmp_path / "b.csv", "filename,class,xmin,ymin,xmax,ymax\na.jpg,dent,0.1,0.2,0.5,1.0\n")
    with pytest.raises(ValueError, match=r"line 2, must be in pixels, and not in shares"):
        read_defects(tmp_path)
