"""What is said of folders that cannot be read."""

import pytest

from labelled import draw, write
from styleaug.datasets import read_defects
from styleaug.errors import UnknownLayoutError


def test_a_missing_folder_and_one_without_images_are_errors(tmp_path):
    draw(tmp_path, "in/a_1.png", "in/b_1.png")
    (tmp_path / "empty").mkdir()
    for folder, masks in [("none", None), ("in", "none")]:
        with pytest.raises(
            ValueError, match=r"none must be a folder of images, but does not exist"
        ):
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


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["crack/1.png", "crack/2.png"], "there is one class folder only, crack"),
        (["crack/1.png", "o.png"], r"o\.png lies in no class folder, as others do"),
        (["kos1/a.png", "kos2/a.png"], "kos1, kos2 are numbered as parts of a dataset"),
        (["a.png", "b_1.png"], r"names: a\.png is not named after a class, as crack_1\.png is"),
        (["a_1.png", "a_2.png"], "names: all images are named after one class, 'a'"),
        (["a_1.png", "a_2.png"], "masks: there are no masks, in folders masks"),
    ],
)
def test_what_was_looked_for_is_told(tmp_path, names, words):
    draw(tmp_path, *names)
    with pytest.raises(UnknownLayoutError, match=words):
        read_defects(tmp_path)


def test_files_that_may_hold_the_labels_are_named(tmp_path):
    draw(tmp_path, "images/1.png")
    write(tmp_path / "export.json", '[{"data": {"image": "1.png"}, "annotations": []}]')
    with pytest.raises(UnknownLayoutError, match=r"export\.json is in no format that is known"):
        read_defects(tmp_path)
    write(tmp_path / "labels.csv", "Datei;Urteil\n1.png;NG\n")
    with pytest.raises(UnknownLayoutError, match=r"csv: labels\.csv must have columns such as"):
        read_defects(tmp_path)


@pytest.mark.parametrize("name", ["a.json", "NG/1.json", "p.yaml", "s.xml", "t.csv", "NG/1.xml"])
def test_broken_files_of_something_else_do_not_matter(tmp_path, name):
    draw(tmp_path, "NG/1.png", "OK/1.png")
    text = {"json": '{"exposure": 3,', "yaml": "a: [1", "xml": "<settings/>", "csv": "x;y"}
    write(tmp_path / name, text[name.rpartition(".")[2]])
    assert read_defects(tmp_path).classes == ("NG", "OK")
