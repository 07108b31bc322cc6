"""Pictures that commands write: originals stay, and the record of each picture is true."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import pictures
from styleaug import StyleAugment, __version__
from styleaug.cli import main
from styleaug.cli.outputs import list_pictures
from styleaug.files import atomic_path, digest_file
from styleaug.images.io import to_image
from styleaug.manifest import LINES, TABLE, Manifest

LIGHT = ["--preset", "lighting"]
"""A preset without a network: these tests are about files."""


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    to_image(pictures(1, 20, 24)).save(folder / "a.png")
    to_image(pictures(3, 20, 24, seed=1)).save(folder / "sub" / "b.png")
    return folder


def stylize(*words: object) -> int:
    return main(["stylize", *map(str, words), *LIGHT, "--device", "cpu"])


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / TABLE).open(newline="", encoding="utf-8") as file:
        return {row["output"]: row for row in csv.DictReader(file)}


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): digest_file(p) for p in folder.rglob("*") if p.is_file()}


# ---------------------------------------------------------------- originals


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_no_option_makes_a_picture_of_what_is_read(photos, tmp_path, capsys, link):
    """Not where its name is that of a copy, nor where it is a link to an original."""
    before, out = contents(photos), photos / "sub"
    if link is None:  # b.png, read from sub, would become the copy sub/a_1.png
        shutil.copyfile(photos / "a.png", out / "a_1.png")
        before = contents(photos)
        words = [photos / "a.png", out / "a_1.png", "--copies", 2]
    else:
        out = tmp_path / "out"
        out.mkdir()
        link(photos / "a.png", out / "a.png")
        words = [photos]
    assert stylize(*words, "--out", out, "--overwrite") == 2
    assert "What is read must not be written" in capsys.readouterr().err
    assert contents(photos) == before


def test_reference_pictures_are_read_and_so_not_written(photos, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    shutil.copyfile(photos / "sub" / "b.png", out / "a.png")
    words = ["gatys", photos, "--reference", out / "a.png", "--out", out, "--overwrite"]
    assert main(list(map(str, words))) == 2
    assert "What is read must not be written" in capsys.readouterr().err


def test_the_output_folder_is_no_source(photos, tmp_path, capsys):
    (tmp_path / "link").symlink_to(photos)
    for out in (photos, tmp_path / "link", photos / "sub" / ".."):
        assert stylize(photos, "--out", out) == 2
        assert "--out must be another folder than the sources" in capsys.readouterr().err


def test_an_output_folder_inside_a_source_leaves_the_sources_as_they_are(photos):
    before = contents(photos)
    for _ in range(3):
        assert stylize(photos, "--out", photos / "restyled") == 0
        after = contents(photos)
        assert {n for n in after if n.startswith("restyled")} == {
            *(f"restyled/{name}" for name in (*before, LINES, TABLE))
        }
    assert {n: after[n] for n in before} == before


def test_sources_inside_the_output_folder_are_sources(photos, tmp_path):
    (tmp_path / "out").mkdir()
    photos.rename(tmp_path / "out" / "photos")
    found = list_pictures([tmp_path / "out" / "photos"], tmp_path / "out")
    assert [picture.output for picture in found] == ["a.png", "sub/b.png"]


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["audit", "--data", "photos"], "audit"),
        (["bench", "--data", "photos"], "bench"),
        (["train", "--content", "photos", "--styles", "s=photos"], "mine.safetensors"),
    ],
)
def test_reports_do_not_lie_where_the_next_run_would_read_them(photos, capsys, words, out):
    words = [str(photos) if word == "photos" else word for word in words]
    words = [word.replace("s=photos", f"s={photos}") for word in words]
    assert main([*words, "--out", str(photos / "sub" / out)]) == 2
    assert f"--out must lie outside of --{words[1][2:]}" in capsys.readouterr().err


# ---------------------------------------------------------------- the record


def test_the_record_tells_what_each_picture_was_made_of_and_with(photos, tmp_path):
    out = tmp_path / "out"
    assert stylize(photos, "--out", out, "--seed", 3) == 0
    entry = Manifest(out).entries["sub/b.png"]
    assert entry.source == str(photos / "sub" / "b.png")
    assert entry.source_sha256 == digest_file(photos / "sub" / "b.png")
    assert entry.sha256 == digest_file(out / "sub" / "b.png")
    assert entry.version == __version__
    assert entry.settings["command"] == "stylize"
    assert entry.settings["seed"] == 3
    assert entry.settings["Relight.strength"] == list(StyleAugment("lighting").stages[0].strength)
    row = table(out)["sub/b.png"]
    assert {name: str(value) for name, value in entry.drawn.items()}.items() <= row.items()


def test_other_settings_are_refused_in_one_sentence_and_change_nothing(photos, tmp_path, capsys):
    out = tmp_path / "out"
    stylize(photos, "--out", out)
    before = contents(out)
    assert stylize(photos, "--out", out, "--lighting", "0.1", "--seed", 4) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"styleaug stylize: {out / 'a.png'} was made with another Relight.strength, seed. Choose "
        "another --out, or make it anew with --overwrite."
    )
    assert contents(out) == before
    assert stylize(photos, "--out", out, "--lighting", "0.1", "--seed", 4, "--overwrite") == 0
    assert contents(out)["a.png"] != before["a.png"]
    assert Manifest(out).entries["a.png"].settings["seed"] == 4


def test_another_image_under_the_same_name_is_refused(photos, tmp_path, capsys):
    out = tmp_path / "out"
    stylize(photos, "--out", out)
    to_image(pictures(1, 20, 24, seed=5)).save(photos / "a.png")
    assert stylize(photos, "--out", out) == 2
    assert "a.png was made of another image than" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_a_picture_of_the_users_own_is_never_replaced(photos, tmp_path, capsys, options):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    assert stylize(photos, "--out", out, *options) == 2
    assert "does not tell that it was made here, so it is not replaced" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["a.png"]
    assert (out / "a.png").read_bytes() == b"mine"


def test_a_table_of_the_users_own_is_refused(photos, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / TABLE).write_text("mine")
    assert stylize(photos, "--out", tmp_path / "out") == 2
    assert "manifest.csv is there, but was not written by this command" in capsys.readouterr().err
    assert (tmp_path / "out" / TABLE).read_text() == "mine"


def test_more_sources_and_copies_are_added_and_the_record_keeps_all(photos, tmp_path):
    out = tmp_path / "out"
    stylize(photos / "a.png", "--out", out, "--copies", 2)
    first = contents(out)
    assert stylize(photos, "--out", out, "--copies", 3) == 0
    assert set(table(out)) == {f"{n}_{k}.png" for n in ("a", "sub/b") for k in (1, 2, 3)}
    assert {n: contents(out)[n] for n in ("a_1.png", "a_2.png")}.items() <= first.items()


def test_what_is_overwritten_in_part_leaves_other_records_true(photos, tmp_path):
    out = tmp_path / "out"
    stylize(photos, "--out", out, "--seed", 1)
    stylize(photos / "a.png", "--out", out, "--seed", 2, "--overwrite")
    seeds = {name: entry.settings["seed"] for name, entry in Manifest(out).entries.items()}
    assert seeds == {"a.png": 2, "sub/b.png": 1}


def test_another_version_of_the_package_is_told_and_no_reason_to_refuse(
    photos, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    stylize(photos / "a.png", "--out", out)
    monkeypatch.setattr("styleaug.cli.outputs.__version__", "9")
    assert stylize(photos, "--out", out) == 0
    assert {n: row["version"] for n, row in table(out).items()} == {
        "a.png": __version__,
        "sub/b.png": "9",
    }


@pytest.mark.parametrize("cut", [1, 40])
def test_a_line_that_a_killed_run_did_not_end_counts_if_its_picture_is_there(photos, tmp_path, cut):
    """Without its end it is whole, and the picture matches; with less it is nothing."""
    out = tmp_path / "out"
    stylize(photos, "--out", out)
    whole, before = contents(out), (out / LINES).read_bytes()
    (out / LINES).write_bytes(before[:-cut])
    assert len(Manifest(out).entries) == (2 if cut == 1 else 1)
    if cut > 1:
        (out / "sub" / "b.png").unlink()
    assert stylize(photos, "--out", out) == 0
    assert contents(out) | {LINES: ""} == whole | {LINES: ""}


def test_a_line_whose_picture_did_not_come_leaves_the_record_before_it(photos, tmp_path):
    out = tmp_path / "out"
    stylize(photos, "--out", out)
    before = (out / LINES).read_bytes()
    changed = before.splitlines()[0].replace(b'"seed": 0', b'"seed": 7')
    (out / LINES).write_bytes(before + changed.replace(b'"sha256": "', b'"sha256": "0'))
    assert Manifest(out).entries["a.png"].settings["seed"] == 0
    assert stylize(photos, "--out", out) == 0


def test_a_damaged_line_is_told_and_passed_over_if_asked_for(photos, tmp_path, capsys):
    out = tmp_path / "out"
    stylize(photos, "--out", out)
    (out / LINES).write_bytes(b"[]\n" + (out / LINES).read_bytes())
    assert stylize(photos, "--out", out) == 2
    assert f"{LINES} must be what styleaug wrote, but its line 1 is damaged" in (
        capsys.readouterr().err
    )
    assert stylize(photos, "--out", out, "--overwrite") == 0
    assert set(Manifest(out).entries) == {"a.png", "sub/b.png"}


def test_two_runs_at_a_time_do_not_write_to_one_folder(photos, tmp_path, capsys):
    out = tmp_path / "out"
    stylize(photos / "a.png", "--out", out)
    first = Manifest(out)
    stylize(photos / "a.png", "--out", out, "--overwrite")
    with pytest.raises(OSError, match="must not be written by two runs at a time"), first:
        first.add(next(iter(first.entries.values())), b"")


# ---------------------------------------------------------------- names


def test_names_of_any_bytes_and_any_length_are_written_and_told(photos, tmp_path):
    long = "n" * 246 + ".png"
    (photos / "a.png").rename(photos / long)
    os.rename(photos / "sub" / "b.png", os.fsencode(photos) + b"/Pr\xfcf.png")  # noqa: PTH104
    out = tmp_path / "out"
    for _ in range(2):
        assert stylize(photos, "--out", out) == 0
        assert set(table(out)) == {long, "Pr\\udcfcf.png"}
        assert set(Manifest(out).entries) == {long, "Pr\udcfcf.png"}


def test_a_copy_whose_name_is_too_long_is_skipped(photos, tmp_path, caplog):
    (photos / "a.png").rename(photos / ("n" * 250 + ".png"))
    assert stylize(photos, "--out", tmp_path / "out", "--copies", 2) == 1
    assert "File name too long" in caplog.text
    assert set(table(tmp_path / "out")) == {"sub/b_1.png", "sub/b_2.png"}


# ---------------------------------------------------------------- trouble


@pytest.fixture
def fails(monkeypatch):
    """``fails(error)``: the second picture raises it."""
    render, calls = StyleAugment.render, []

    def after(error):
        def rendered(self, *args):
            calls.append(1)
            if len(calls) == 2:
                raise error
            return render(self, *args)

        monkeypatch.setattr(StyleAugment, "render", rendered)

    return after


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_what_finds_too_little_memory_is_skipped_and_the_rest_is_made(
    photos, tmp_path, caplog, fails, error
):
    to_image(pictures(1, 9, 9)).save(photos / "z.png")
    fails(error)
    assert stylize(photos, "--out", tmp_path / "out") == 1
    assert "b.png: out of memory. Try it alone, with a smaller --working-size" in caplog.text
    assert set(table(tmp_path / "out")) == {"a.png", "z.png"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemError("worse")])
def test_whatever_stops_a_run_what_is_done_stays_and_is_told(photos, tmp_path, fails, error):
    fails(error)
    try:
        assert stylize(photos, "--out", tmp_path / "out") in (70, 130)
    except SystemError:
        assert isinstance(error, SystemError)
    assert set(table(tmp_path / "out")) == {"a.png"}
    assert stylize(photos, "--out", tmp_path / "out") == 0
    assert set(table(tmp_path / "out")) == {"a.png", "sub/b.png"}


def test_a_full_disk_is_told_in_one_sentence(photos, tmp_path, capsys, monkeypatch):
    replaced, out = Path.replace, tmp_path / "out"

    def full(self, target):
        if target.name == "b.png":
            raise OSError(28, "No space left on device", str(target))
        return replaced(self, target)

    monkeypatch.setattr(Path, "replace", full)
    assert stylize(photos, "--out", out) == 2
    assert "the drive is full" in capsys.readouterr().err.splitlines()[-1]
    assert set(table(out)) == {"a.png"}
    monkeypatch.undo()
    assert stylize(photos, "--out", out) == 0


def test_what_killed_runs_left_is_cleaned_and_what_others_write_is_not(photos, tmp_path):
    out = tmp_path / "out" / "sub"
    out.mkdir(parents=True)
    (out / ".styleaug-dead.part").write_bytes(b"half")
    with atomic_path(out / "of another.txt") as temporary:
        temporary.write_text("half")
        assert stylize(photos, "--out", tmp_path / "out") == 0
        assert not (out / ".styleaug-dead.part").exists()
    assert (out / "of another.txt").read_text() == "half"


def test_what_no_stage_changes_is_copied_byte_for_byte(tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "in" / "a.jpg", quality=30)
    assert stylize(tmp_path / "in", "--out", tmp_path / "out", "--lighting", 0) == 0
    assert contents(tmp_path / "in")["a.jpg"] == contents(tmp_path / "out")["a.jpg"]
    assert Manifest(tmp_path / "out").entries["a.jpg"].drawn == {}
