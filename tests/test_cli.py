"""The command line: what each command writes, says and refuses."""

import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import TINY, public_names
from styleaug import StyleAugment, StylePack
from styleaug.augment.edit import as_code
from styleaug.augment.presets import PRESETS
from styleaug.cli import COMMANDS, build_parser, main, options, values


@pytest.fixture(scope="module")
def pack_file(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("pack") / "tiny.safetensors"
    StylePack.random(TINY).save(path)
    return str(path)


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder with a gray image, and a colour one in a subfolder."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 50), dtype=np.uint8)).save(folder / "gray.png")
    pixels = rng.integers(0, 256, (30, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "sub" / "colour.png")
    return folder


def stylize(pack_file: str, photos: Path, out: Path, *more: str) -> int:
    fixed = ["--out", str(out), "--pack", pack_file, "--device", "cpu", *more]
    return main(["stylize", str(photos), *fixed])


def manifest(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_stylize_mirrors_folders_and_keeps_size_and_mode(pack_file, photos, tmp_path):
    out = tmp_path / "out"
    assert stylize(pack_file, photos, out, "--strength", "1", "--defocus", "0", "--noise", "0") == 0
    gray, colour = pixels(out / "gray.png"), pixels(out / "sub" / "colour.png")
    assert gray.shape == (40, 50)
    assert colour.shape == (30, 60, 3)
    assert (gray != pixels(photos / "gray.png")).any()
    rows = manifest(out)
    assert [Path(row["output"]).name for row in rows] == ["gray.png", "colour.png"]
    assert all(
        row["Restyle.strength"] == "1.0" and "random-" in row["Restyle.style"] for row in rows
    )


def test_stylize_sends_every_copy_through_every_stage(pack_file, photos, tmp_path):
    amounts = ["--strength", "0.5", "--defocus", "2", "--noise", "0.03", "--lighting", "0"]
    stylize(pack_file, photos, tmp_path / "out", *amounts, "--copies", "4")
    rows = manifest(tmp_path / "out")
    # three that meet share an image
    assert {row["Restyle.strength"] for row in rows} == {"0.2887"}
    assert {row["Defocus.sigma"] for row in rows} == {"1.15"}
    assert {row["SensorNoise.sigma"] for row in rows} == {"0.0173"}
    assert len(rows) == 8
    assert not [name for name in rows[0] if name.startswith("Relight")]


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


def test_names_of_any_alphabet_come_into_the_manifest(pack_file, photos, tmp_path, monkeypatch):
    """Also where text files default to another encoding, as on Windows."""
    (photos / "gray.png").rename(photos / "缺陷.png")
    written = Path.open

    def cp1252(self, mode="r", buffering=-1, encoding=None, errors=None, newline=None):
        encoding = encoding or (None if "b" in mode else "cp1252")
        return written(self, mode, buffering, encoding, errors, newline)

    monkeypatch.setattr(Path, "open", cp1252)
    assert stylize(pack_file, photos, tmp_path / "out") == 0
    assert "缺陷.png" in [Path(row["output"]).name for row in manifest(tmp_path / "out")]


def test_pictures_serve_as_styles(pack_file, photos, tmp_path, small_references):
    reference = str(photos / "sub" / "colour.png")
    chosen = ["--preset", "material", "--styles", reference, "--mix", "0"]
    stylize(pack_file, photos, tmp_path / "out", *chosen)
    assert {row["Restyle.style"] for row in manifest(tmp_path / "out")} == {reference}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--strength", "2"], "--strength: strength must satisfy"),
        (["--lighting", "7"], "--lighting: strength must satisfy"),
        (["--defocus", "1", "2", "3"], "--defocus: sigma must be a number or a pair"),
        (["--working-size", "-5"], "--working-size: working_size must"),
        (["--styles", "nonesuch"], "nonesuch"),
        (["--pack", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--preset", "maks"], "Did you mean 'masks'?"),
        (["--preset", "lighting", "--noise", "0.1"], "which has no SensorNoise"),
        (["--preset", "sensor", "--styles", "random"], "which has no Restyle"),
    ],
)
def test_wrong_values_are_refused_in_one_sentence(
    pack_file, photos, tmp_path, capsys, more, message
):
    assert stylize(pack_file, photos, tmp_path / "out", *more) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("styleaug stylize: ")
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--copies", "0"], "--copies: must be a whole number from 1 to 999999999, but is '0'"),
        (["--copies", "two"], "but is 'two'"),
        (["--seed", "-1"], "--seed: must be a whole number from 0 to 4294967295"),
        (["--device", "gpu"], "must be auto, cpu, cuda or another device that is here"),
        (["--device", "cuda:99"], "but is 'cuda:99'"),
        (["--strength", "much"], "--strength: must be a finite number, but is 'much'"),
        (["--strong", "1"], "'--strong' is unknown. Did you mean '--strength'"),
        (["--stren", "1"], "'--stren' is unknown. Did you mean '--strength'"),
    ],
)
def test_what_no_option_takes_is_refused_in_one_line(
    pack_file, photos, tmp_path, capsys, more, message
):
    with pytest.raises(SystemExit) as stop:
        stylize(pack_file, photos, tmp_path / "out", *more)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_stylize_never_overwrites_its_sources(pack_file, photos, capsys):
    assert stylize(pack_file, photos, photos) == 2
    assert "--out must be another folder than the sources" in capsys.readouterr().err


def test_sources_that_would_collide_are_refused(pack_file, photos, tmp_path, capsys):
    again = str(photos / "gray.png")
    command = ["stylize", str(photos), again, "--out", str(tmp_path / "o"), "--pack", pack_file]
    assert main(command) == 2
    assert "both become" in capsys.readouterr().err


def test_draws_do_not_touch_the_global_generator(pack_file, photos, tmp_path):
    state = torch.get_rng_state()
    stylize(pack_file, photos, tmp_path / "out")
    assert torch.equal(state, torch.get_rng_state())


def test_presets_are_listed_with_when_to_take_each(capsys):
    assert main(["presets"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed and when in printed for name, when in PRESETS.items())


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_shown_as_code_and_json_that_build_it(name, capsys):

    assert main(["presets", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = StyleAugment.from_dict(json.loads(lines[-1]))
    assert shown.to_dict() == StyleAugment(name).to_dict()
    code = as_code(shown)
    assert code in "\n".join(lines)
    assert eval(code.strip(), public_names()).to_dict() == shown.to_dict()


def test_an_unknown_preset_is_refused(capsys):
    assert main(["presets", "msks"]) == 2
    assert "Did you mean 'masks'?" in capsys.readouterr().err


def test_packs_shows_tags_and_names(pack_file, capsys):
    assert main(["packs", pack_file]) == 0
    assert "8 styles; tags: random (8)" in capsys.readouterr().out
    assert main(["packs", pack_file, "--names"]) == 0
    assert "random-3\trandom" in capsys.readouterr().out


def test_names_without_a_pack_are_those_of_the_default_pack(capsys):
    """Each with its tags, and its source and licence."""
    assert main(["packs", "--names"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert tuple(name for name, _, _ in lines) == StylePack.load().names
    assert [line for line in lines if line[2] == "not stated"] == []


def test_names_tell_what_pictures_were_added_from(tmp_path, capsys):
    """They have no source of their tag, but one of their own."""
    pack = StylePack.random(TINY)
    added = {"line7/a": {"source": "line7/a.png"}}
    pack.extended(pack.codes[:1], ["line7/a"], [("line7",)], added).save(tmp_path / "p.safetensors")
    assert main(["packs", str(tmp_path / "p.safetensors"), "--names"]) == 0
    told = capsys.readouterr().out.splitlines()[-1]
    assert told == "line7/a\tline7\tadded from line7/a.png, licence not stated"


def test_a_card_is_read_alike_under_every_locale(tmp_path):
    StylePack.random(TINY).save(tmp_path / "pack.safetensors")
    (tmp_path / "CARD.md").write_text("Größe: 5 µm\n", encoding="utf-8")
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "styleaug", "packs", str(tmp_path / "pack.safetensors")],
        env={**os.environ, **plain, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stdout.startswith("Größe: 5 µm"), done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(pack_file):
    command = [sys.executable, "-m", "styleaug", "packs", pack_file, "--names"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_packs_lists_every_pack_that_is_bundled(tmp_path, monkeypatch, capsys):
    """Size, number of styles, and the licence that the card states, in a line each."""
    for name in ("fast", "new"):
        (tmp_path / name).mkdir()
        StylePack.random(TINY).save(tmp_path / name / "pack.safetensors")
    card = "# new\n\n| | |\n|---|---|\n| Licence | MIT, see *[Sources](#s)* |\n"
    (tmp_path / "new" / "CARD.md").write_text(card)
    monkeypatch.setattr("styleaug.pack.bundled_dir", lambda: tmp_path)
    assert main(["packs"]) == 0
    fast, new = (line.split(maxsplit=5) for line in capsys.readouterr().out.splitlines()[:2])
    assert fast == ["fast", "8", "styles", fast[3], "MB", "licence: not stated; the default"]
    assert new == ["new", "8", "styles", fast[3], "MB", "licence: MIT, see Sources"]


def test_train_command_writes_a_pack(photos, tmp_path):
    out = tmp_path / "mine.safetensors"
    network = ["--stem", "8", "--width", "16", "--blocks", "1", "--embedding", "8"]
    recipe = ["--steps", "1", "--batch", "1", "--crop", "32", "--views", "1", "--workers", "0"]
    folders = ["--content", str(photos), "--styles", f"mine={photos}", "--out", str(out)]
    assert main(["train", *folders, *network, *recipe, "--holdout", "0", "--device", "cpu"]) == 0
    assert StylePack.load(out).tags[0][0] == "mine"


def test_train_refuses_an_output_of_another_kind(photos, tmp_path, capsys):
    folders = ["--content", str(photos), "--styles", str(photos)]
    assert main(["train", *folders, "--out", str(tmp_path / "mine.pt")]) == 2
    assert ".safetensors" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "least"), [("--width", 4), ("--stem", 1), ("--embedding", 1), ("--blocks", 0)]
)
def test_train_refuses_a_network_of_no_size(photos, tmp_path, capsys, option, least):
    folders = ["--content", str(photos), "--styles", str(photos)]
    out = str(tmp_path / "mine.safetensors")
    assert main(["train", *folders, "--out", out, option, "-3"]) == 2
    assert f"{option[2:]} must be at least {least}, but got -3." in capsys.readouterr().err


def test_train_refuses_a_device_that_is_not_there(photos, tmp_path, capsys):
    folders = ["--content", str(photos), "--styles", str(photos), "--out", str(tmp_path / "m.st")]
    with pytest.raises(SystemExit) as stop:
        main(["train", *folders, "--device", "abacus"])
    assert stop.value.code == 2
    assert "--device: must be auto, cpu, cuda" in capsys.readouterr().err


def test_shared_options_mean_the_same_everywhere():
    """An option of one name has one type and, but for its default, one help text."""
    found: dict[str, set[tuple]] = {}
    for command in COMMANDS:
        subparsers = build_parser(command)._subparsers._group_actions[0]
        for action in subparsers.choices[command]._actions:
            for name in action.option_strings:
                if name.removeprefix("--") in options._SHARED and command != OWN.get(name):
                    found.setdefault(name, set()).add((action.type, action.help.split(" (def")[0]))
    assert {name: len(meanings) for name, meanings in found.items()} == dict.fromkeys(found, 1)


OWN = {"--size": "adapt"}
"""Options of another meaning: adapt resizes to squares."""


def test_a_device_that_is_there_is_found():
    assert values.device("cpu") == torch.device("cpu")
    with pytest.raises(argparse.ArgumentTypeError, match="auto, cpu"):
        values.device("cpus")
