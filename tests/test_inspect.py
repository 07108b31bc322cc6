"""``styleaug inspect``: what is counted, what is found wrong, what is advised, and the sheet."""

import json
import os
import re
import shlex
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import pil_picture
from styleaug.cli import build_parser, main
from styleaug.cli.advice import faults, hints, steps
from styleaug.cli.inspect import chosen, without_labels
from styleaug.cli.overview import overview, short_overview
from styleaug.cli.sheet import labelled
from styleaug.datasets import Box, Sample, read_defects
from styleaug.datasets.summary import ClassCount, Summary, summarize
from styleaug.images.io import load_rgb, to_tensor


def save(path: Path, image: Image.Image | np.ndarray, **settings) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(path, **settings)
    return path


def noise(seed: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def marked(pixels: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A mask in whose first rows so many pixels are marked."""
    mask = np.zeros(width * height, np.uint8)
    mask[:pixels] = 255
    return mask.reshape(height, width)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two classes of four images in two splits; one class has masks that mark something."""
    root = tmp_path / "parts"
    for number in range(8):
        split, label = ("train", "test")[number % 2], ("dent", "good")[number // 4]
        save(root / f"images/{split}/{label}/{number}.png", noise(number))
        mask = marked(0 if label == "good" else 100)
        save(root / f"masks/{split}/{label}/{number}.png", mask)
    return root


def look_at(root: Path, size: int = 256, thorough: bool = True, **reading) -> Summary:
    return summarize(read_defects(root, **reading), root, size=size, thorough=thorough)


def inspect(root: Path, *options: str) -> int:
    return main(["inspect", str(root), "--out", str(root.parent / "sheet.png"), *options])


def test_images_are_counted_by_class_split_and_label(folder):
    """Masks count where they mark something."""
    summary = look_at(folder)
    assert summary.classes == {
        "dent": ClassCount(images=4, train=2, test=2, masked=4),
        "good": ClassCount(images=4, train=2, test=2),
    }
    assert summary.sizes == [((64, 48), 8)]
    assert (summary.marks.count, summary.marks.median, summary.marks.smallest) == (4, 100, 100)
    assert summary.marks.median_share == pytest.approx(100 / (64 * 48))
    assert summary.measurable == 4
    assert faults(summary) == hints(summary) == []


def test_boxes_are_counted_one_by_one(tmp_path):
    """A class of boxes counts wherever it occurs; an image has the label of its largest."""
    for number, text in enumerate(["0 0 31 15 dent\n40 20 44 24 pit", "0 0 20 20 pit", ""]):
        save(tmp_path / f"{number}.png", noise(number))
        lines = [line.rsplit(" ", 1) for line in text.splitlines()]
        found = "".join(
            f"<object><name>{name}</name><bndbox>"
            + "".join(
                f"<{k}>{v}</{k}>"
                for k, v in zip(("xmin", "ymin", "xmax", "ymax"), corners.split(), strict=True)
            )
            + "</bndbox></object>"
            for corners, name in lines
        )
        (tmp_path / f"{number}.xml").write_text(f"<annotation>{found}</annotation>")
    summary = look_at(tmp_path)
    counts = {n: (c.images, c.boxes) for n, c in summary.classes.items()}
    assert counts == {"": (1, 0), "dent": (1, 1), "pit": (1, 2)}
    assert summary.boxes.count == 3
    assert summary.short_boxes == 1
    assert "1 box would have a side below 8 pixels" in " ".join(hints(summary))
    assert "no class" in overview(summary)


@pytest.mark.parametrize(
    ("image", "suffix", "kind"),
    [
        (pil_picture("1"), "png", "1-bit"),
        (pil_picture("L"), "jpg", "8-bit gray"),
        (pil_picture("RGB"), "webp", "8-bit RGB"),
        (pil_picture("P"), "png", "8-bit palette"),
        (pil_picture("RGBA"), "png", "8-bit RGB with opacity"),
        (pil_picture("CMYK"), "jpg", "CMYK"),
        (pil_picture("I;16"), "png", "16-bit gray"),
        (pil_picture("I;16"), "tif", "16-bit gray"),
        (pil_picture("I;16"), "pgm", "16-bit gray"),
        (Image.fromarray(np.float32(noise(0) / 255)), "tiff", "float gray"),
    ],
)
def test_bit_depth_and_channels_are_told(tmp_path, image, suffix, kind):
    save(tmp_path / f"one.{suffix}", image)
    defects = without_labels(tmp_path)
    assert summarize(defects, tmp_path, size=256).kinds == [(kind, 1)]
    assert summarize(defects, tmp_path, size=256, thorough=False).kinds == [(kind, 1)]


def test_colours_of_16_bits_are_told_from_those_of_8(tmp_path):
    cv2 = pytest.importorskip("cv2")
    pixels = np.full((20, 30, 3), 3000, np.uint16)
    for name in ("a.png", "a.tiff"):
        (tmp_path / name).write_bytes(cv2.imencode(Path(name).suffix, pixels)[1].tobytes())
    summary = summarize(without_labels(tmp_path), tmp_path, size=256)
    assert summary.kinds == [("16-bit RGB", 2)]
    assert summary.peak == 3000


@pytest.mark.parametrize(
    ("peak", "bits"), [(1023, 10), (1024, 12), (4095, 12), (16383, 14), (16384, None)]
)
def test_bits_are_advised_where_values_never_pass_them(tmp_path, capsys, peak, bits):
    for number, label in enumerate("aabb"):
        pixels = np.full((32, 32), peak - number, np.uint16)
        save(tmp_path / f"deep/{label}/{number}.png", pixels)
    assert inspect(tmp_path / "deep") == 0
    out = capsys.readouterr().out
    assert f"16-bit values up to {peak}" in out
    assert (f"say --bits {bits}" in out) == (bits is not None)
    assert (f"--data {tmp_path / 'deep'} --bits {bits}" in out) == (bits is not None)
    assert inspect(tmp_path / "deep", "--bits", str(bits or 16)) == 0
    out = capsys.readouterr().out
    assert "say --bits" not in out
    assert f"bench --data {tmp_path / 'deep'} --bits" in out  # told to the next command, too


def test_what_cannot_be_read_is_named_and_sets_the_status(folder, capsys):
    """Files that are cut off are found in all formats, though headers are in order."""
    for number, (suffix, settings) in enumerate(
        [("jpg", {}), ("jpg", {"progressive": True}), ("png", {}), ("bmp", {}), ("webp", {})]
    ):
        path = save(folder / f"images/train/good/cut{number}.{suffix}", noise(number), **settings)
        path.write_bytes(path.read_bytes()[:-400])
    (folder / "images/train/good/empty.png").write_bytes(b"")
    (folder / "images/train/good/text.jpg").write_text("no image")
    (folder / "images/train/good/gone.jpg").symlink_to(folder / "nowhere")
    assert inspect(folder, "--json", str(folder.parent / "found.json")) == 1
    out = capsys.readouterr().out
    assert "8 images cannot be read: images/train/good/cut0.jpg (" in out
    damaged = json.loads((folder.parent / "found.json").read_text())["damaged"]
    names = [*(f"cut{k}" for k in range(5)), "empty", "gone", "text"]
    assert [Path(name).stem for name in damaged] == names
    assert damaged["images/train/good/text.jpg"] == "it is no image"
    assert damaged["images/train/good/gone.jpg"] == "No such file or directory"


def test_masks_that_cannot_be_used_are_named_and_set_the_status(folder, capsys):
    """Of another size than the image, or damaged."""
    save(folder / "masks/train/dent/0.png", marked(100, 32, 24))
    (folder / "masks/test/dent/1.png").write_bytes(b"no image")
    summary = look_at(folder)
    assert [path.name for path in summary.misfits] == ["1.png", "0.png"]
    assert inspect(folder) == 1
    assert "2 images cannot be used with their masks" in capsys.readouterr().out


def test_equal_images_are_found_wherever_they_are(folder):
    """In one place they are worth knowing; across splits they leak, across classes contradict."""
    images = folder / "images"
    for source, copy in (
        ("train/dent/0.png", "train/dent/again.png"),
        ("train/dent/2.png", "test/dent/leak.png"),
        ("train/good/4.png", "train/dent/other.png"),
    ):
        (images / copy).write_bytes((images / source).read_bytes())
    summary = look_at(folder)
    names = [{path.name for path in group} for group in summary.duplicates]
    assert {"0.png", "again.png"} in names
    assert len(names) == 3
    assert [{p.name for p in group} for group in summary.leaks] == [{"2.png", "leak.png"}]
    assert [{p.name for p in g} for g in summary.contradictions] == [{"4.png", "other.png"}]
    wrong, told = " ".join(faults(summary)), " ".join(hints(summary))
    assert "both to train on and to test on: images/test/dent/leak.png = images/train/" in wrong
    assert "labelled in different ways: images/train/dent/other.png = images/train/good" in wrong
    assert "more than once: images/train/dent/0.png = images/train/dent/again.png." in told
    assert inspect(folder) == 1


def test_equal_images_with_other_boxes_contradict(tmp_path):
    for name, corner in (("a", 10), ("b", 20)):
        save(tmp_path / f"{name}.png", noise(0))
        corners = "".join(f"<{k}>{corner}</{k}>" for k in ("xmin", "ymin"))
        corners += "".join(f"<{k}>{corner + 9}</{k}>" for k in ("xmax", "ymax"))
        (tmp_path / f"{name}.xml").write_text(
            f"<annotation><object><name>pit</name><bndbox>{corners}</bndbox></object></annotation>"
        )
    assert len(look_at(tmp_path).contradictions) == 1


def test_images_of_which_no_label_speaks_are_told(tmp_path):
    for number in range(3):
        save(tmp_path / f"{number}.png", noise(number))
    listed = [{"id": k, "file_name": f"{k}.png", "width": 64, "height": 48} for k in range(2)]
    box = {"id": 1, "image_id": 0, "category_id": 1, "bbox": [0, 0, 20, 20]}
    content = {"images": listed, "annotations": [box], "categories": [{"id": 1, "name": "pit"}]}
    (tmp_path / "labels.json").write_text(json.dumps(content))
    summary = look_at(tmp_path)
    assert [look.sample.path.name for look in summary.strays] == ["2.png"]
    assert len(summary.seen) == 3
    assert "No label speaks of 1 image: 2.png." in " ".join(hints(summary))


def test_what_an_audit_cannot_measure_is_told(folder):
    """Too few pixels once an image is as small as in training, or more than half of the image."""
    save(folder / "masks/train/dent/0.png", marked(11))
    save(folder / "masks/train/dent/2.png", marked(64 * 30))
    summary = look_at(folder)
    assert [path.name for path in summary.small] == ["0.png"]
    assert [path.name for path in summary.large] == ["2.png"]
    assert summary.measurable == 2
    told = " ".join(hints(summary))
    assert "1 image has fewer than 12 marked pixels at a short side of 256" in told
    assert "1 image has more than half of the pixels marked" in told
    # a block shrinks in both directions, a line in one
    block = np.zeros((48, 64), np.uint8)
    block[:6, :6] = 255
    line = np.zeros((48, 64), np.uint8)
    line[20, :60] = 255
    save(folder / "masks/train/dent/0.png", block)
    save(folder / "masks/train/dent/2.png", line)
    assert [path.name for path in look_at(folder, size=12).small] == ["0.png"]


def test_an_empty_mask_among_full_ones_is_told(folder):
    save(folder / "masks/train/dent/0.png", marked(0))
    told = " ".join(hints(look_at(folder)))
    assert "1 image of classes whose defects are marked has an empty mask: images/train/de" in told


def commands(summary: Summary) -> str:
    return "\n".join(steps(summary)).replace(str(summary.root), "DIR")


def test_each_kind_of_label_has_its_commands(folder, tmp_path):
    """And what it does not allow is told with what it would take."""
    told = commands(look_at(folder))
    assert "styleaug preview --data DIR --preset masks" in told
    assert "defects lost, on 4 images   styleaug audit --data DIR\n" in told
    assert "gain in classification      styleaug bench --data DIR --quick\n" in told
    assert "styleaug bench --data DIR --task segmentation --quick" in told
    assert "bench --task detection needs boxes." in told

    classes = tmp_path / "classes"
    for number in range(4):
        save(classes / f"{'ab'[number % 2]}/{number}.png", noise(number))
    told = commands(look_at(classes))
    assert "styleaug preview --data DIR\n" in told
    assert "styleaug audit --data DIR --model mine.py:predict" in told
    assert "bench --task segmentation needs masks or boxes." in told

    alone = tmp_path / "alone"
    for label in "ab":
        save(alone / f"{label}/0.png", noise(ord(label)))
    told = commands(look_at(alone))
    assert "bench is not possible: alone must have two images of a label" in told
    assert "styleaug bench" not in told


def test_a_folder_without_labels_is_told_why_and_what_works(tmp_path, capsys):
    """It is no error: the images are described as any others."""
    root = tmp_path / "plain"
    for number, place in enumerate(("", "left/", "left/")):
        save(root / f"{place}{number}.png", noise(number))
    assert inspect(root) == 0
    out = capsys.readouterr().out
    assert f"{root}: 3 images, without labels" in out
    assert "left" in out
    assert "must be laid out as" in out
    assert "styleaug preview" in out
    assert "styleaug stylize" in out
    assert "audit and bench need labels." in out
    assert (tmp_path / "sheet.png").is_file()


def test_a_single_image_is_described(tmp_path, capsys):
    path = save(tmp_path / "one.png", pil_picture())
    assert inspect(path) == 0
    out = capsys.readouterr().out
    assert f"{path}: 1 image, without labels" in out
    assert "41 x 17 pixels" in out


def test_labels_that_cannot_be_read_are_to_be_mended(tmp_path, capsys):
    """The images are described all the same."""
    root = tmp_path / "broken"
    save(root / "1.png", noise(0))
    (root / "1.xml").write_text("<annotation>")
    assert inspect(root) == 1
    out = capsys.readouterr().out
    assert "To mend:\n  The labels cannot be read." in out
    assert "64 x 48 pixels" in out


def test_names_of_any_alphabet_are_shown(tmp_path, monkeypatch):
    """Also where the output takes ASCII alone."""
    root = tmp_path / "names"
    for number, name in enumerate(("缺陷.png", os.fsdecode(b"\xff.png"))):
        save(root / f"{number}.png", noise(number))
        (root / name).write_bytes(b"")
    out = TextIOWrapper(BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    assert inspect(root, "--json", str(tmp_path / "found.json")) == 1
    out.flush()
    assert b"\\u7f3a\\u9677.png (it is no image)" in out.buffer.getvalue()
    damaged = json.loads((tmp_path / "found.json").read_text())["damaged"]
    assert {os.fsencode(name) for name in damaged} == {"缺陷.png".encode(), b"\xff.png"}


@pytest.mark.parametrize("options", [[], ["--masks", "elsewhere"]])
def test_a_folder_without_images_is_one_sentence(tmp_path, capsys, options):
    assert inspect(tmp_path, *options) == 2
    assert "must hold images" in capsys.readouterr().err
    assert inspect(tmp_path / "missing", *options) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_samples_on_the_sheet_are_of_all_classes_in_turn(folder):
    labels = [sample.label for sample in chosen(look_at(folder), 3)]
    assert labels == ["dent", "good", "dent"]
    (folder / "images/train/dent/0.png").write_bytes(b"no image")
    shown = chosen(look_at(folder), 12)
    assert len(shown) == 7  # what cannot be read cannot be shown


def test_labels_are_drawn_where_they_are(tmp_path):
    """Boxes with their names, at the size of the sheet; also of a sample that has masks."""
    path = save(tmp_path / "1.png", np.zeros((32, 64), np.uint8))
    image = labelled(Sample(path, boxes=(Box("pit", 16, 16, 32, 24),)), 256)
    assert image.shape == (3, 128, 256)
    red = image[0] > image[1] + 100
    assert red[64:96, 63].all()
    assert red[95:97, 64:128].any(0).all()
    assert not red[66:94, 66:126].any()
    assert red[50:62, 64:75].any()  # the name
    assert not red[:, 140:].any()

    corner = labelled(Sample(path, boxes=(Box("a long name", 60, 0, 64, 4),)), 256)
    assert (corner[0] > corner[1] + 100)[:10, 190:].any()  # moved to where it can be read


def test_the_sheet_shows_images_with_names_labels_and_masks(folder, capsys):
    assert inspect(folder, "--limit", "4") == 0
    sheet = to_tensor(load_rgb(folder.parent / "sheet.png")).int()
    assert sheet.shape[2] == 4 * 260 + 4
    assert (sheet[0] - sheet[1] > 100).any()
    assert "4 images with their labels drawn on" in capsys.readouterr().out


def test_all_that_was_found_is_written_as_json(folder, tmp_path):
    inspect(folder, "--json", str(tmp_path / "found.json"))
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["layout"] == "folders"
    assert found["images"] == 8
    assert found["classes"]["dent"]["masked"] == 4
    assert found["labelled"] == {"masks": 8, "boxes": 0, "neither": 0}
    assert found["sizes"] == [[64, 48, 8]]
    assert found["kinds"] == {"8-bit gray": 8}
    assert found["extents"]["masks"]["median"] == 100


@pytest.mark.parametrize("options", [["--out", "new.png"], ["--json", "labels.json"], []])
def test_nothing_is_written_among_the_images(folder, monkeypatch, capsys, options):
    """Not by default either: the sheet would be an image of the next run."""
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    assert main(["inspect", ".", *options]) == 2
    assert "must lie outside" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_masks_may_lie_elsewhere(folder, tmp_path, capsys):
    (folder / "masks").rename(tmp_path / "marks")
    assert inspect(folder, "--masks", str(tmp_path / "marks")) == 0
    out = capsys.readouterr().out
    assert "masks on 8" in out
    assert f"styleaug audit --data {folder} --masks {tmp_path / 'marks'}" in out


def test_a_quick_look_reads_headers_alone(folder, monkeypatch):
    """For the lines that audit and bench print first."""
    monkeypatch.setattr(Sample, "load_mask", None)
    summary = look_at(folder, thorough=False)
    assert {look.digest for look in summary.seen} == {""}
    lines = short_overview(summary).splitlines()
    assert lines[0] == f"{folder}: 8 images, layout: folders, labels: the names of folders"
    assert "classes  2: dent 4, good 4" in lines
    assert "labels   masks on 8" in lines
    assert "size     64 x 48 pixels" in lines
    assert 5 <= len(lines) <= 8


@pytest.mark.parametrize("command", ["audit", "bench"])
def test_audit_and_bench_show_first_what_was_understood(tmp_path, capsys, command):
    """Then say what is missing."""
    root = tmp_path / "classes"
    for number in range(4):
        save(root / f"{'ab'[number % 2]}/{number}.png", noise(number))
    task = ["--task", "detection"] if command == "bench" else []
    assert main([command, "--data", str(root), "--out", str(tmp_path / "out"), *task]) == 2
    printed = capsys.readouterr()
    assert f"{root}: 4 images, layout: folders" in printed.out
    missing = {
        "audit": "none of 4 images of classes has a mask or a box. Give --masks DIR, or --model",
        "bench": "detection needs boxes, but classes has none. Its labels allow classification.",
    }
    assert missing[command] in printed.err


def test_the_page_shows_what_is_printed(capsys):
    """docs/how-to/own-data.md draws the folder whose output it shows."""
    page = (Path(__file__).parents[1] / "docs/how-to/own-data.md").read_text(encoding="utf-8")
    code, shown = (
        re.search(rf"^```{kind}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[1]
        for kind in ("python", "text")
    )
    namespace: dict[str, object] = {}
    exec(code, namespace)
    root = namespace["root"]
    assert isinstance(root, Path)
    out = capsys.readouterr().out.replace(str(root), "parts").replace(f"{root.parent}/", "")
    assert out.split() == shown.split()  # lines break elsewhere where paths are longer


@pytest.mark.parametrize("labels", ["masks", "classes", "none"])
def test_the_commands_to_run_next_are_understood(folder, labels):
    """With the options that told how to read the folder."""
    if labels == "none":
        summary = summarize(without_labels(folder, 12), folder, size=256)
    else:
        summary = look_at(folder / "images" if labels == "classes" else folder, bits=12)
    lines = [line.partition("styleaug ")[2] for line in steps(summary, Path("other masks"))]
    told = [shlex.split(line) for line in lines if line]
    assert len(told) == {"masks": 4, "classes": 3, "none": 2}[labels]
    for words in told:
        arguments = build_parser(words[0]).parse_args(words)  # else it exits
        assert arguments.bits == 12


def test_a_stack_of_images_is_told(tmp_path, capsys):
    pages = [Image.fromarray(noise(k)) for k in range(3)]
    save(tmp_path / "parts/NG/1.tif", pages[0], save_all=True, append_images=pages[1:])
    save(tmp_path / "parts/OK/1.png", noise(4))
    assert inspect(tmp_path / "parts") == 1
    assert "NG/1.tif (it holds 3 pages instead of one image)" in capsys.readouterr().out


def test_names_of_classes_stay_in_their_line(tmp_path):
    for name in ("a\nb", "x" * 250, "OK"):
        save(tmp_path / "parts" / name / "1.png", noise(len(name)))
    lines = overview(look_at(tmp_path / "parts")).splitlines()
    assert [line.split()[0] for line in lines[3:6]] == ["OK", "a\\nb", f"{'x' * 57}..."]


def test_no_audit_is_advised_where_it_could_measure_nothing(tmp_path):
    save(tmp_path / "parts/images/1.png", noise(1))
    save(tmp_path / "parts/images/2.png", noise(2))
    save(tmp_path / "parts/masks/1.png", marked(64 * 48))
    told = commands(look_at(tmp_path / "parts"))
    assert "styleaug audit" not in told
    assert "audit has no image whose defects it could measure." in told


def test_masks_that_lie_elsewhere_are_not_written_to(folder, tmp_path, capsys):
    masks = tmp_path / "elsewhere"
    masks.mkdir()
    for option in ("--out", "--json"):
        words = ["--masks", str(masks), option, str(masks / "new.png")]
        assert main(["inspect", str(folder), *words]) == 2
        assert f"{option} must lie outside of the data and --masks" in capsys.readouterr().err
    assert not list(masks.iterdir())
