"""Killed at any moment and started again, a command ends as a run that nobody has touched.

Moments are counted in what a command does to files in its output folder, so they do not depend on
how fast the machine is. Commands run in processes that are forked from one that has loaded all
modules; what takes long in them is made short there.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

import styleaug.audit.run
import styleaug.cli.bench
import styleaug.evaluate.benchmark
import styleaug.evaluate.corruptions
import styleaug.networks
import styleaug.styles.rows
from helpers import grey_parts
from styleaug.augment.transform import StyleAugment
from styleaug.cli import main
from styleaug.evaluate.models import SMALL
from styleaug.evaluate.protocol import Protocol
from styleaug.files import digest_file
from styleaug.manifest import LINES, Manifest
from styleaug.stages.relight import Relight
from styleaug.styles import NewStyle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
MODULES = [
    *(f"styleaug.cli.{name}" for name in ("addstyle", "audit", "bench", "gatys", "stylize")),
    *("styleaug.cli.train", "pytest"),
]
CHANGES = {"open", *(f"os.{does}" for does in ("rename", "remove", "mkdir", "rmdir", "chmod"))}
BENCH = Protocol(
    SMALL,
    size=16,
    steps=1,
    batch_size=8,
    learning_rate=5e-3,
    corruptions=("exposure",),
    severities=(3,),
    seeds=(0,),
)


class Case(NamedTuple):
    """A command, and how to compare what it has written.

    Attributes:
        words: what is typed, without where it writes.
        out: where it writes, below the folder that is given to it.
        same: of that folder, what must be equal.
    """

    words: list[str]
    out: str
    same: Callable[[Path], Any]


# ---------------------------------------------------------------- processes


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    return context


def run(processes, words: list[str], out: Path, *, die_at: int = 0) -> tuple[int, int]:
    """Run a command in a process of its own, killed before its n-th change of a file in a folder.

    Returns:
        Its exit status, and how many changes it made.
    """
    receive, send = processes.Pipe(duplex=False)
    process = processes.Process(target=work, args=(words, str(out), die_at, send))
    process.start()
    send.close()
    count = 0
    with receive, suppress(EOFError):  # it was killed
        assert receive.poll(120), "the command hangs"
        count = receive.recv()
    process.join()
    return process.exitcode, count


def work(words: list[str], out: str, die_at: int, send: Any) -> None:
    """What a process does."""
    torch.set_num_threads(1)
    quicken()
    count = 0

    def listen(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        if event in CHANGES and str(args[0]).startswith(out):
            count += 1
            if count == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        sys.stdout = sys.stderr = nowhere
        sys.addaudithook(listen)
        status = main(words)
    send.send(count)
    sys.exit(status)


def quicken() -> None:
    """Keep commands to the seconds that the test is about."""
    styleaug.networks.STYLE_SIZE = 32
    picture = {"content": torch.full((3, 32, 32), 0.5)}
    styleaug.styles.rows.learn_style = lambda pack, _, name, **options: NewStyle(
        name, "fit", pack.codes[1], pictures=picture
    )
    styleaug.audit.run.recommend = lambda *_: StyleAugment([Relight(strength=0.5)])
    Protocol.of = lambda kind, **changes: replace(BENCH, **changes)
    styleaug.evaluate.corruptions.SUITES["validation"] = ("lamp_dim",)
    styleaug.evaluate.benchmark.presets_to_try = lambda *_: ("lighting", "sensor")


# ---------------------------------------------------------------- what is compared


def files(folder: Path) -> dict[str, str]:
    """Digests of all files but the record, and of the record what it tells."""
    found = {str(p.relative_to(folder)): digest_file(p) for p in folder.rglob("*") if p.is_file()}
    if found.pop(LINES, None):
        found |= {f"entry {n}": repr(entry) for n, entry in Manifest(folder).entries.items()}
    return found


def without_times(value: Any) -> Any:
    """A report without durations."""
    if isinstance(value, Mapping):
        return {name: without_times(v) for name, v in value.items() if name != "seconds"}
    if isinstance(value, list):
        kept = [v for v in value if not (isinstance(v, list) and {"seconds", "cpu seconds"} & {*v})]
        return [without_times(v) for v in kept]
    return value


def told(folder: Path, *names: str) -> Any:
    return [without_times(json.loads((folder / name).read_text())) for name in names]


def named(folder: Path, *names: str) -> dict[str, str]:
    return {name: digest_file(folder / name) for name in names}


# ---------------------------------------------------------------- commands


@pytest.fixture(scope="module")
def cases(tmp_path_factory, pack_file) -> tuple[dict[str, Case], Path]:
    """Commands, and the folder of all that they read."""
    data = tmp_path_factory.mktemp("sources")
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png", "sub/c.jpg", "sub/d.png"):
        path = data / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(path)
    for k in range(2):
        (data / "marked").mkdir(exist_ok=True)
        part, mask = 128 + 6 * rng.standard_normal((48, 48)), np.zeros((48, 48), np.uint8)
        mask[18:26, 20:28] = 255
        part[mask > 0] -= 60
        Image.fromarray(part.clip(0, 255).astype(np.uint8)).save(data / f"marked/{k}.jpg")
        Image.fromarray(mask).save(data / f"marked/{k}.png")
    grey_parts(data / "parts", {"bad": 160, "good": 90}, count=6)
    shutil.copyfile(pack_file, data / "pack.safetensors")
    images, pack = str(data / "images"), ["--pack", str(data / "pack.safetensors")]
    network = ["--stem", "8", "--width", "16", "--blocks", "0", "--embedding", "8"]
    recipe = ["--steps", "3", "--batch", "1", "--crop", "32", "--views", "1", "--workers", "0"]
    recipe += ["--holdout", "0", "--checkpoint-every", "1", "--sheet-every", "2", "--resume"]
    reference = str(data / "images" / "a.png")
    train = ["train", "--content", images, "--styles", f"s={data / 'images' / 'sub'}", *network]
    found = {
        "stylize": Case(["stylize", images, "--copies", "2", *pack], "", files),
        "gatys": Case(
            ["gatys", images, "--reference", reference, "--steps", "1", "--batch", "3"], "", files
        ),
        "add-style": Case(
            ["add-style", images, "--name", "x", *pack],
            "new.safetensors",
            lambda f: (named(f, "new.safetensors", "new.report.png"), told(f, "new.report.json")),
        ),
        "train": Case(
            [*train, *recipe],
            "new.safetensors",
            lambda f: named(
                *(f, "new.safetensors", "new.run/log.jsonl"),
                *(f"new.run/sheet-00000{step}.jpg" for step in (2, 3)),
            ),
        ),
        "audit": Case(
            ["audit", "--data", str(data / "marked"), "--draws", "1", *pack],
            "",
            lambda f: (named(f, "worst.png"), told(f, "audit.json")),
        ),
        "bench": Case(
            ["bench", "--data", str(data / "parts"), "--baselines", *pack],
            "",
            lambda f: (named(f, "bench.html"), told(f, "bench.json")),
        ),
    }
    cpu = ["--device", "cpu"]
    return {
        name: case._replace(words=case.words + cpu * (name != "audit"))
        for name, case in found.items()
    }, data


@pytest.fixture(scope="module")
def unbroken(cases, processes, tmp_path_factory):
    """Of each command, once: what a run that nobody touches writes, and in how many changes."""
    known: dict[str, tuple[Any, int]] = {}

    def of(name: str) -> tuple[Any, int]:
        if name not in known:
            case, out = cases[0][name], tmp_path_factory.mktemp(name)
            status, count = run(processes, arguments(case, out), out)
            assert status == 0
            known[name] = case.same(out), count
        return known[name]

    return of


def arguments(case: Case, out: Path) -> list[str]:
    return [*case.words, "--out", str(out / case.out)]


COMMANDS = ["stylize", "gatys", "add-style", "train", "audit", "bench"]


@pytest.mark.parametrize("command", COMMANDS)
def test_killed_again_and_again_a_command_ends_as_an_unbroken_run(
    cases, processes, unbroken, tmp_path, command
):
    """It goes on where it was killed, at five random moments, and reads what it reads untouched."""
    case, data = cases[0][command], cases[1]
    sources = files(data)
    expected, count = unbroken(command)
    moments = random.Random(command).choices(range(1, count + 1), k=5)
    killed = [run(processes, arguments(case, tmp_path), tmp_path, die_at=k)[0] for k in moments]
    assert killed[0] == -signal.SIGKILL
    assert {*killed} <= {0, -signal.SIGKILL}
    assert run(processes, arguments(case, tmp_path), tmp_path)[0] == 0
    assert case.same(tmp_path) == expected
    assert list(tmp_path.rglob(".styleaug-*")) == []
    assert files(data) == sources


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_killed_once_at_any_moment_a_command_ends_as_an_unbroken_run(
    cases, processes, unbroken, tmp_path, command
):
    case = cases[0][command]
    expected, count = unbroken(command)
    for moment in random.Random(f"{command} once").sample(range(1, count + 1), 5):
        out = tmp_path / str(moment)
        out.mkdir()
        assert run(processes, arguments(case, out), out, die_at=moment)[0] == -signal.SIGKILL
        assert run(processes, arguments(case, out), out)[0] == 0
        assert case.same(out) == expected, f"killed before change {moment} of {count}"
        assert list(out.rglob(".styleaug-*")) == []
