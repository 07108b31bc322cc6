"""The command line: what each command writes, says and refuses."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from styleaug import StylePack
from styleaug.cli import build_parser, main
from styleaug.nn.stylenet import StyleNetConfig


@pytest.fixture(scope="module")
def pack_file(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("pack") / "tiny.safetensors"
    StylePack.random(StyleNetConfig(stem=8, width=16, blocks=1, embedding=8)).save(path)
    return str(path)


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder with a gray image, a colour one in a subfolder, and a damaged one."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 50), dtype=np.uint8)).save(folder / "gray.png")
    pixels = rng.integers(0, 256, (30, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "sub" / "colour.png")
    return folder


def stylize(pack_file: str, photos: Path, out: Path, *more: str) -> int:
    options = ["--out", str(out), "--pack", pack_file, "--device", "cpu", *more]
    return main(["stylize", str(photos), *options])


def manifest(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_stylize_mirrors_folders_and_keeps_size_and_mode(pack_file, photos, tmp_path):
    out = tmp_path / "out"
    assert stylize(pack_file, photos, out, "--strength", "1", "--blur", "0", "--grain", "0") == 0
    gray, colour = pixels(out / "gray.png"), pixels(out / "sub" / "colour.png")
    assert gray.shape == (40, 50)
    assert colour.shape == (30, 60, 3)
    assert (gray != pixels(photos / "gray.png")).any()
    rows = manifest(out)
    assert [Path(row["output"]).name for row in rows] == ["gray.png", "colour.png"]
    assert all(row["strength"] == "1.0" and "random-" in row["style"] for row in rows)


def test_stylize_resumes_without_writing_again(pack_file, photos, tmp_path):
    out = tmp_path / "out"
    stylize(pack_file, photos, out)
    first = {path: path.read_bytes() for path in out.rglob("*.png")}
    (out / "gray.png").unlink()
    (out / "sub" / "colour.png").write_bytes(b"kept as it is")
    rows = manifest(out)
    stylize(pack_file, photos, out)
    assert (out / "gray.png").read_bytes() == first[out / "gray.png"]
    assert (out / "sub" / "colour.png").read_bytes() == b"kept as it is"
    assert manifest(out) == rows
    stylize(pack_file, photos, out, "--overwrite")
    assert (out / "sub" / "colour.png").read_bytes() == first[out / "sub" / "colour.png"]


def test_copies_differ_and_seeds_decide(pack_file, photos, tmp_path):
    outs = [tmp_path / name for name in "abc"]
    for out, seed in zip(outs, "112", strict=True):
        stylize(pack_file, photos, out, "--copies", "2", "--seed", seed)
    one, two = (outs[0] / f"gray_{k}.png" for k in (1, 2))
    assert one.read_bytes() != two.read_bytes()
    assert one.read_bytes() == (outs[1] / "gray_1.png").read_bytes()
    assert one.read_bytes() != (outs[2] / "gray_1.png").read_bytes()


def test_damaged_image_is_named_skipped_and_reported_in_the_status(
    pack_file, photos, tmp_path, caplog
):
    (photos / "broken.png").write_bytes(b"no image")
    assert stylize(pack_file, photos, tmp_path / "out") == 1
    assert "broken.png" in caplog.text
    assert len(manifest(tmp_path / "out")) == 2


def test_reference_image_is_the_style(pack_file, photos, tmp_path):
    reference = str(photos / "sub" / "colour.png")
    stylize(pack_file, photos, tmp_path / "out", "--reference", reference, "--mix", "0")
    assert {row["style"] for row in manifest(tmp_path / "out")} == {reference}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--strength", "2"], "strength must"),
        (["--style", "nonesuch"], "nonesuch"),
        (["--copies", "0"], "--copies must"),
        (["--pack", "nowhere.safetensors"], "nowhere.safetensors"),
    ],
)
def test_stylize_refuses_in_one_sentence(pack_file, photos, tmp_path, capsys, more, message):
    assert stylize(pack_file, photos, tmp_path / "out", *more) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_stylize_never_overwrites_its_sources(pack_file, photos, capsys):
    assert stylize(pack_file, photos, photos) == 1
    assert "source folder" in capsys.readouterr().err


def test_sources_that_would_collide_are_refused(pack_file, photos, tmp_path, capsys):
    again = str(photos / "gray.png")
    command = ["stylize", str(photos), again, "--out", str(tmp_path / "o"), "--pack", pack_file]
    assert main(command) == 1
    assert "both become" in capsys.readouterr().err


def test_preview_writes_a_row_for_each_image_and_strength(pack_file, photos, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    images = [str(photos / "gray.png"), str(photos / "sub" / "colour.png")]
    options = ["--columns", "3", "--strengths", "0.5", "1", "--size", "32", "--pack", pack_file]
    assert main(["preview", *images, "--out", str(sheet), "--device", "cpu", *options]) == 0
    assert pixels(sheet).shape == (4 * 36 + 4, 4 * 36 + 4, 3)
    assert "random-" in capsys.readouterr().out


def test_packs_shows_tags_and_names(pack_file, capsys):
    assert main(["packs", pack_file]) == 0
    assert "8 styles; tags: random (8)" in capsys.readouterr().out
    assert main(["packs", pack_file, "--names"]) == 0
    assert "random-3\trandom" in capsys.readouterr().out


def test_a_reader_that_has_seen_enough_is_no_error(pack_file):
    command = [sys.executable, "-m", "styleaug", "packs", pack_file, "--names"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_packs_lists_what_is_bundled(capsys):
    assert main(["packs"]) == 0
    assert capsys.readouterr().out


def test_train_command_writes_a_pack(photos, tmp_path):
    out = tmp_path / "mine.safetensors"
    network = ["--stem", "8", "--width", "16", "--blocks", "1", "--embedding", "8"]
    recipe = ["--steps", "1", "--batch", "1", "--crop", "32", "--views", "1", "--workers", "0"]
    folders = ["--content", str(photos), "--styles", f"mine={photos}", "--out", str(out)]
    assert main(["train", *folders, *network, *recipe, "--holdout", "0", "--device", "cpu"]) == 0
    assert StylePack.load(out).tags[0][0] == "mine"


def test_train_refuses_an_output_of_another_kind(photos, tmp_path, capsys):
    folders = ["--content", str(photos), "--styles", str(photos)]
    assert main(["train", *folders, "--out", str(tmp_path / "mine.pt")]) == 1
    assert ".safetensors" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["stylize", "preview", "packs", "train"])
def test_every_command_has_help_with_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args([command, "--help"])
    assert stop.value.code == 0
    assert "examples:" in capsys.readouterr().out


def test_missing_command_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_draws_do_not_touch_the_global_generator(pack_file, photos, tmp_path):
    state = torch.get_rng_state()
    stylize(pack_file, photos, tmp_path / "out")
    assert torch.equal(state, torch.get_rng_state())
