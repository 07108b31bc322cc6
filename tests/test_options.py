"""The command line: whatever is typed, an error is one sentence with exit status 2."""

import re
import shutil

import pytest
import torch

from helpers import pil_picture
from styleaug.cli import COMMANDS, build_parser, main

NUMBERS = ["", " ", "x", "nan", "inf", "-inf", "-7", "1e999", "9" * 30, "9" * 5000]
BAD = {
    "int": [*NUMBERS, "1.5"],
    "float": NUMBERS[:-2],
    "count": [*NUMBERS, "0", "1.5", "²"],
    "few": [*NUMBERS, "0", "100000000"],
    "bits": [*NUMBERS, "8", "17"],
    "seed": [*NUMBERS, str(2**32)],
    "port": [*NUMBERS, "0", "1.5", "65536"],
    "processes": [*NUMBERS, "257"],
    "sheet": ["", " ", "parts", "a.png/x.png", "x" * 300 + ".png", "new/", "x.docx", "x"],
    "device": ["", "gpu", "xpu", "mps", "meta", "cuda:99", "cpu:x", "0"],
    "Path": ["", " ", "\t"],
    "new_file": ["", " ", "parts", "a.png/x.png", "x" * 300 + ".png", "new/"],
    "new_folder": ["", " ", "a.png", "a.png/x", "x" * 300],
    "new_place": ["", " ", "a.png", "a.png/x", "x" * 300, "a.png/x.mp4", "x" * 300 + ".mp4"],
    "str": ["", " "],
}
"""What no option of a type takes."""

PROGRESS = re.compile(r"\d+/\d+ \[|^ *$")
"""Lines of a progress bar."""

BASE = {
    "presets": [],
    "inspect": ["parts", "--out", "sheet.png"],
    "preview": ["a.png", "--out", "sheet.png", "--draws", "1", "--device", "cpu"],
    "studio": ["a.png", "--no-browser", "--device", "cpu"],
    "stylize": ["a.png", "--out", "out", "--device", "cpu"],
    "audit": ["--data", "parts", "--out", "audit", "--device", "cpu"],
    "bench": ["--data", "parts", "--out", "bench", "--device", "cpu", "--model", "small-cnn"],
    "adapt": ["mine.py:load", "--data", "parts", "--out", "adapted.pt", "--device", "cpu"],
    "packs": [],
    "add-style": ["a.png", "--name", "new", "--out", "new.safetensors", "--device", "cpu"],
    "export": ["base", "--out", "out", "--int8"],
    "gatys": ["a.png", "--reference", "a.png", "--out", "out", "--device", "cpu"],
    "train": ["--content", "parts", "--styles", "parts", "--out", "t.safetensors"],
}
"""A call of each command that is right as far as it goes; audit's device is the library's."""


TRAIN = ["--content", "parts", "--styles", "parts", "--out", "t.safetensors"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two small classes, a picture, and a file that is no picture, in the current folder."""
    for name in ("parts/good/0.png", "parts/good/1.png", "parts/bad/2.png", "parts/bad/3.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pil_picture().save(tmp_path / name)
    shutil.copy(tmp_path / "parts/good/0.png", tmp_path / "a.png")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "mine.py").write_text(
        "import torch\n\ndef load():\n    return torch.nn.Sequential(torch.nn.BatchNorm2d(3))\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options_of(command):
    """Its options that take a value, and what its type is called."""
    (commands,) = (a for a in build_parser(command)._actions if hasattr(a, "choices") and a.choices)
    for action in commands.choices[command]._actions:
        if action.option_strings and action.nargs != 0:
            yield action.option_strings[-1], getattr(action.type, "__name__", "str")


def run(words, capsys):
    """Exit status, and what was said."""
    try:
        status = main(words)
    except SystemExit as stop:
        status = stop.code
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    return status, "\n".join(line for line in lines if not PROGRESS.search(line)).strip()


def is_a_sentence(status, said):
    return status == 2 and said and len(said.splitlines()) == 1 and len(said) < 800


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_refuses_what_it_cannot_take_in_one_sentence(folder, capsys, command):
    base = [word for word in BASE[command] if command != "audit" or word not in ("--device", "cpu")]
    found = {}
    tried = 0
    for option, kind in options_of(command):
        for value in BAD[kind]:
            if option in base and "=" not in option:
                at = base.index(option)
                words = [*base[:at], option, value, *base[at + 2 :]]
            else:
                words = [*base, option, value]
            status, said = run([command, *words], capsys)
            tried += 1
            if not is_a_sentence(status, said):
                found[option, value[:20]] = status, said[:300]
    assert found == {}
    assert tried or command == "presets" or command == "packs"
    assert sorted(p.name for p in folder.iterdir()) == [
        "a.png",
        "mine.py",
        "parts",
        "text.png",
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["stylise", "a.png"], "'stylize'"),
        (["preview", "a.png", "--strenght", "1"], "'--strength'"),
        (["preview", "a.png", "--preset", "maks"], "'masks'"),
        (["preview", "a.png", "--styles", "rsut"], "'rust'"),
        (["preview", "a.png", "--pack", "bsae"], "'base'"),
        (["packs", "bsae"], "'base'"),
        (["presets", "defualt"], "'default'"),
        (
            ["add-style", "a.png", "--name", "x", "--out", "x.safetensors", "--pack", "bas"],
            "'base'",
        ),
        (["bench", "--data", "parts", "--baselines", "photometric mx"], "'photometric mix'"),
        (["bench", "--data", "parts", "--baselines", "AugMx"], "'AugMix'"),
        (["bench", "--data", "parts", "--baselines", "AugMix(severty=5)"], "'severity'"),
        (["bench", "--data", "parts", "--task", "detetion"], "'detection'"),
        (["adapt", "mine.py:laod", "--data", "parts", "--out", "a.pt"], "'load'"),
        (["gatys", "a.png", "--reference", "a.png", "--out", "o", "--variant", "fats"], "'fast'"),
        (["train", *TRAIN, "--precision", "bf61"], "'bf16'"),
        (["train", *TRAIN, "--init", "bsae"], "'base'"),
        (["add-style", "a.png", "--name", "x", "--out", "x.st", "--method", "enocde"], "'encode'"),
    ],
)
def test_what_is_almost_right_gets_the_closest_name(folder, capsys, words, told):
    status, said = run(words, capsys)
    assert is_a_sentence(status, said.splitlines()[-1])
    assert "Did you mean" in said
    assert told in said.partition("Did you mean")[2]


@pytest.mark.parametrize(
    "words",
    [
        ["preview", "text.png"],
        ["preview", "nowhere.png"],
        ["preview", "--data", "a.png"],
        ["preview", "a.png", "--pack", "a.png"],
        ["preview", "a.png", "--pack", "parts"],
        ["preview", "a.png", "--strengths", "3"],
        ["preview", "a.png", "--noise", "0", "0.1", "0.2"],
        ["preview", "a.png", "--strength", "0.5", "0.1"],
        ["preview", "a.png", "--out", "x.docx"],
        ["preview", "a.png", "--pipeline", "a.png:x"],
        ["preview", "a.png", "--pipeline", "nowhere.py:x"],
        ["stylize", "nowhere", "--out", "out"],
        ["add-style", "text.png", "--name", "x", "--out", "x.safetensors"],
        ["add-style", "a.png", "--name", "x", "--out", "x.pt"],
        ["add-style", "a.png", "--name", "rust", "--out", "x.safetensors"],
        ["gatys", "a.png", "--reference", "text.png", "--out", "out"],
        ["gatys", "a.png", "--reference", "a.png", "--out", "out", "--weights", "1", "2"],
        ["gatys", "a.png", "--reference", "a.png", "--out", "out", "--features", "vgg61"],
        ["train", "--content", "parts", "--styles", "nowhere", "--out", "x.safetensors"],
        [
            "train",
            "--content",
            "parts",
            "--styles",
            "parts",
            "--out",
            "x.safetensors",
            "--init",
            "x",
        ],
        ["audit", "--data", "nowhere"],
        ["audit", "--data", "parts", "--model", "a.png"],
        ["bench", "--data", "parts", "--seeds", "-1", "--model", "small-cnn"],
        ["bench", "--data", "parts", "--task", "detection", "--model", "small-cnn"],
        ["packs", "a.png"],
        ["inspect", "nowhere"],
        ["stylize", "nowhere.mp4", "--out", "out"],
        ["stylize", "nowhere.glb", "--out", "out"],
        [""],
        ["--nonsense"],
    ],
)
def test_files_of_another_kind_and_values_out_of_bounds_are_told_in_a_sentence(
    folder, capsys, words
):
    status, said = run(words, capsys)
    assert is_a_sentence(status, said), (status, said)


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (RuntimeError("CUDA error: no kernel\nCompile with X"), 2, "CUDA error: no kernel Compile"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), 2, "out of memory: take smaller"),
        (MemoryError(), 2, "out of memory: take smaller"),
        (ZeroDivisionError("division by zero"), 2, "division by zero"),
        (RecursionError("maximum recursion depth"), 2, "maximum recursion depth"),
        (KeyError("mask"), 70, r"stopped by KeyError ('mask'), which is a fault of styleaug"),
        (AssertionError(), 70, "stopped by AssertionError (AssertionError)"),
        (
            OSError(
                "Caught OSError in DataLoader worker process 0.\nOriginal Traceback (most recent "
                "call last):\n  File ...\nOSError: x.png must be a readable image\n"
            ),
            2,
            "x.png must be a readable image",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_errors_of_every_kind_are_told_in_a_sentence(monkeypatch, capsys, error, status, told):
    """Also those of torch and of this program itself, whose traceback a variable shows."""

    def fail(arguments):
        raise error

    monkeypatch.setattr("styleaug.cli.presets.run", fail)
    monkeypatch.delenv("STYLEAUG_TRACEBACK", raising=False)
    got, said = run(["presets"], capsys)
    assert got == status
    assert said.startswith("styleaug presets: ")
    assert told in said
    assert len(said.splitlines()) == 1
    assert ("STYLEAUG_TRACEBACK=1" in said) == (status == 70)
    monkeypatch.setenv("STYLEAUG_TRACEBACK", "1")
    with pytest.raises(type(error)):
        main(["presets"])


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def f(image):\n    return 1 / 0\n", "your code raised ZeroDivisionError in "),
        (
            "def f(image):\n    return {}['x']\n",
            "mine.py, line 2: 'x'",
        ),
        ("import nosuchmodule\n", "mine.py, line 1: No module named 'nosuchmodule'"),
        ("def f(image:\n", "must name a Python file, but mine.py: "),
        ("import sys\nsys.exit(0)\n", "must name a file that can be imported, but mine.py exits"),
        ("def f(image):\n    return 3\n", "The pipeline must give one image"),
        ("g = 3\n", "must name a transform or function in mine.py, but 'f' is missing"),
    ],
)
def test_a_user_s_own_code_that_fails_is_told_by_file_and_line(folder, capsys, code, told):
    (folder / "mine.py").write_text(code)
    status, said = run(["preview", "a.png", "--pipeline", "mine.py:f"], capsys)
    assert is_a_sentence(status, said)
    assert told in said


def test_a_user_s_own_model_that_fails_is_told_by_file_and_line(folder, capsys):
    (folder / "model.py").write_text("def predict(images):\n    return 1 / 0\n")
    status, said = run(["audit", "--data", "parts", "--model", "model.py:predict"], capsys)
    assert is_a_sentence(status, said)
    assert "model.py, line 2: division by zero" in said


def test_large_values_are_no_trouble_where_they_mean_something(folder, capsys):
    words = ["preview", "a.png", "--size", "100000000", "--draws", "1", "--out", "sheet.png"]
    assert run(words, capsys)[0] == 0
    assert (folder / "sheet.png").is_file()
