"""The command line when something outside of it fails: the system, a pipe, an interruption."""

import errno
import io
import os
import sys

import pytest

from helpers import pil_picture
from styleaug.cli import COMMANDS, main


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "out/a.png cannot be written, because the drive is full. Free some space"),
        (errno.EACCES, "out/a.png must be a place that you may read or write"),
        (errno.EROFS, "out/a.png cannot be written, because the drive is read-only"),
        (errno.ENOENT, "out/a.png must exist, but is not there. Check the path."),
        (errno.EISDIR, "out/a.png must be a file, but is a folder"),
    ],
)
def test_errors_of_the_system_say_what_to_do(monkeypatch, capsys, number, told):
    """In place of their number."""

    def fail(arguments):
        raise OSError(number, os.strerror(number), "out/a.png")

    monkeypatch.setattr("styleaug.cli.presets.run", fail)
    assert main(["presets"]) == 2
    assert capsys.readouterr().err.startswith(f"styleaug presets: {told}")


class Failing(io.StringIO):
    """A standard output that cannot be written."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def flush(self) -> None:
        raise OSError(self.number, os.strerror(self.number))


def test_a_full_drive_under_the_output_is_an_error(monkeypatch, capsys):
    """Though it is noticed only when the last lines are written."""
    monkeypatch.setattr(sys, "stdout", Failing(errno.ENOSPC))
    assert main(["presets"]) == 2
    assert "The output cannot be written, because the drive is full" in capsys.readouterr().err


def test_a_pipe_whose_reader_has_gone_is_no_error(monkeypatch, capsys):
    """Also if it goes before the last lines."""
    monkeypatch.setattr(sys, "stdout", Failing(errno.EPIPE))
    assert main(["presets"]) == 0
    assert capsys.readouterr().err == ""


def interrupted(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["presets"], "Interrupted.\n"),
        (["stylize", "a.png", "--out", "out"], "The same command continues where it stopped.\n"),
        (["audit", "--data", "parts"], "The same command continues where it stopped.\n"),
        (["bench", "--data", "parts"], "The same command continues where it stopped.\n"),
        (
            ["train", "--content", "a", "--styles", "b", "--out", "c.safetensors"],
            "The same command with --resume continues from the last checkpoint.\n",
        ),
    ],
)
def test_an_interruption_says_how_to_go_on(monkeypatch, capsys, words, told):
    """Where there is something to go on from."""
    monkeypatch.setattr(f"styleaug.cli.{words[0]}.run", interrupted)
    assert main(words) == 130
    assert capsys.readouterr().err.endswith(told)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_interruption_while_a_command_is_loaded_is_told_alike(monkeypatch, capsys, command):
    """Loading torch takes seconds."""
    monkeypatch.setattr("styleaug.cli.import_module", interrupted)
    assert main([command]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_bars_are_for_terminals(monkeypatch):
    """Where the output goes into a file, none is drawn; a user's own wish counts more."""
    monkeypatch.setenv("TQDM_DISABLE", "")
    main(["presets"])
    assert os.environ["TQDM_DISABLE"] == ""
    monkeypatch.delenv("TQDM_DISABLE")
    main(["presets"])
    assert os.environ["TQDM_DISABLE"] == "1"


def test_a_file_that_is_no_image_gets_no_advice_to_go_on(tmp_path, monkeypatch, capsys):
    """Only what is wrong with it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("not an image")
    assert main(["inspect", "text.png"]) == 1
    shown = capsys.readouterr().out
    assert "cannot be read" in shown
    assert "Next:" not in shown


def test_a_preview_ends_with_the_code_to_train_with(tmp_path, capsys):
    """Of a preset as it is, its name; of a changed one, its stages."""
    pil_picture().save(tmp_path / "a.png")
    words = [str(tmp_path / "a.png"), "--draws", "1", "--out", str(tmp_path / "sheet.png")]
    words += ["--preset", "sensor", "--device", "cpu"]
    assert main(["preview", *words]) == 0
    assert capsys.readouterr().out.endswith("To train with it:\n\n    StyleAugment('sensor')\n")
    assert main(["preview", *words, "--noise", "0.01"]) == 0
    assert "SensorNoise(sigma=(0.01, 0.01)" in capsys.readouterr().out
