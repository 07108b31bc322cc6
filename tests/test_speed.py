"""benchmarks/speed, on tiny batches: who is timed, what is counted, what is compared and shown."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from benchmarks.docs.figures import draw_scaling
from benchmarks.docs.pages import fill
from benchmarks.rows import RESULTS, Rows, quartiles
from benchmarks.speed import __main__ as speed
from benchmarks.speed import (
    commands,
    contestants,
    inspect,
    loader,
    scaling,
    step,
    timing,
)
from benchmarks.speed.compare import compare
from benchmarks.speed.contestants import Key, packs_by_name
from benchmarks.speed.launches import count
from benchmarks.speed.limits import floor, limits
from benchmarks.speed.memory import peak_memory
from styleaug import runtime
from styleaug.datasets import read_defects
from styleaug.datasets.summary import summarize
from styleaug.nn.stylenet import ReferenceNet, StyleNetConfig

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
GPU_SCRIPT = Path(speed.__file__).with_name("gpu.sh")


@pytest.fixture
def packs(pack_file):
    return packs_by_name([str(pack_file)])


@pytest.fixture
def small_predecessor(monkeypatch):
    """The reference network, a hundredth of its size."""
    config = StyleNetConfig(arch="reference", width=8, blocks=1, embedding=4)
    monkeypatch.setattr(contestants, "REFERENCE", config)


def images(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8)


# ---------------------------------------------------------------- taking turns


def test_contestants_take_turns_and_the_first_round_warms_up():
    order = []
    timed = {name: lambda name=name: order.append(name) for name in ("a", "b")}
    seconds = timing.time_in_turn(timed, rounds=2, device=CPU)
    assert order == ["a", "b"] * 3
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}
    assert quartiles([3, 1, 2]) == {"median": 2, "q1": 1.5, "q3": 2.5}


def test_in_a_round_all_draw_from_one_seed_and_rounds_differ():
    drawn = {"a": [], "b": []}
    timed = {name: lambda name=name: drawn[name].append(float(torch.rand(()))) for name in drawn}
    timing.time_in_turn(timed, rounds=2, device=CPU)
    assert drawn["a"] == drawn["b"]
    assert len(set(drawn["a"])) == 3


def test_who_is_slow_sits_later_rounds_out_and_is_compared_over_those_he_ran_in():
    timed = {"slow": lambda: time.sleep(0.02), "quick": lambda: None}
    seconds = timing.time_in_turn(timed, rounds=5, device=CPU, limit=0.01)
    assert len(seconds["slow"]) == timing.LEAST
    assert len(seconds["quick"]) == 5
    assert timing.ratio([2, 4], [1, 1, 100])["median"] == 3


# ---------------------------------------------------------------- contestants


@pytest.mark.usefixtures("small_predecessor")
@pytest.mark.parametrize("kind", ["uint8", "float"])
def test_every_stage_and_every_baseline_is_timed_and_compared(packs, kind):
    pytest.importorskip("kornia", reason="an extra")
    pytest.importorskip("albumentations", reason="an extra")
    rows = speed.measure(packs, 16, 2, kind, device=CPU, rounds=2, limit=9.0)
    timed = {Key(row["contestant"], row["pack"]) for row in rows if row["over"] is None}
    mine = {Key(n, "tiny") for n in (contestants.ALL, "default", "Restyle alone", "network")}
    mine |= {Key(f"{name} alone") for name in ("Relight", "Defocus", "SensorNoise")}
    names = {"JITTER", "JITTER_EACH", "AUGMIX", "JIGGLE", "FDA", "HISTOGRAMS"}
    if kind == "uint8":
        names |= {"PHOTOMETRIC", "ALL_REFERENCE", "REFERENCE_NETWORK", "PREDECESSOR"}
    assert timed == mine | {Key(getattr(contestants, name)) for name in names}
    for other in (contestants.JITTER, contestants.JITTER_EACH):
        over = {Key(r["contestant"], r["pack"]) for r in rows if r["over"] == other}
        assert over == mine
    assert ("reference network in float32" in {r["over"] for r in rows}) == (kind == "uint8")
    for row in rows:
        assert (row["size"], row["batch"], row["input"]) == (16, 2, kind)
        assert 0 < row["q1"] <= row["median"] <= row["q3"]


def test_large_images_are_not_given_to_the_predecessor(packs, monkeypatch):
    monkeypatch.setattr(contestants, "REFERENCE_SIZE", 16)
    for size, there in ((16, True), (20, False)):
        found = contestants.contestants(images(1, 3, size, size), packs)
        assert (Key(contestants.PREDECESSOR) in found) == there


@pytest.mark.usefixtures("small_predecessor")
def test_the_predecessor_runs_in_float32_whatever_networks_run_in(monkeypatch):
    seen = []
    forward = ReferenceNet.forward
    monkeypatch.setattr(
        ReferenceNet,
        "forward",
        lambda net, x, *rest: seen.append(x.dtype) or forward(net, x, *rest),
    )
    monkeypatch.setattr(runtime, "inference_dtype", lambda device: torch.bfloat16)
    found = contestants.predecessors(images(1, 3, 16, 16))
    for key in (contestants.ALL_REFERENCE, contestants.PREDECESSOR, contestants.REFERENCE_NETWORK):
        found[Key(key)]()
    assert seen == [torch.float32, torch.float32, torch.bfloat16]


def test_what_is_not_installed_is_left_out_with_one_line(monkeypatch):
    monkeypatch.setattr(contestants, "find_spec", lambda name: None)
    found = {key.contestant for key in contestants.baselines(images(1, 3, 16, 16))}
    assert contestants.AUGMIX in found
    assert not {contestants.JIGGLE, contestants.FDA, contestants.HISTOGRAMS} & found
    lines = contestants.missing()
    assert [line.split()[0] for line in lines] == ["kornia", "albumentations"]
    assert contestants.HISTOGRAMS in lines[1]


# ---------------------------------------------------------------- a stored result


def stored(**medians):
    head = {"size": 16, "batch": 1, "input": "uint8", "pack": "tiny"}
    rows = [
        {**head, "contestant": name, "over": over, "median": median, "q1": 0, "q3": 0}
        for name, median in medians.items()
        for over in (None, "ColorJitter")
    ]
    return Rows({}, rows)


def test_ratios_tell_whether_a_run_is_slower_than_a_stored_one(capsys):
    before, now = stored(a=2.0, b=1.0, c=1.0), stored(a=1.72, b=5.0).rows
    assert compare(before, now, 0.15)
    printed = capsys.readouterr().out
    assert "1 x 16 uint8: a, tiny over ColorJitter" in printed
    assert "2.00 ->    1.72   -14 %" in printed
    assert "c, tiny over ColorJitter: not measured now" in printed
    assert not compare(before, now, 0.1)
    assert "1 of 2 ratios fell by more than 10 %." in capsys.readouterr().out
    with pytest.raises(SystemExit, match="must hold a ratio that this run measures"):
        compare(stored(d=1.0), now, 0.15)


@pytest.mark.usefixtures("small_predecessor")
def test_a_run_that_is_slower_than_a_stored_one_fails_and_leaves_it(pack_file, tmp_path, capsys):
    options = ["--packs", str(pack_file), "--threads", "1", "--rounds", "1"]
    path = tmp_path / "cpu.json"
    size = ["--sizes", "16", "--batch", "1", "--inputs", "uint8"]
    speed.main([*options, *size, "--out", str(path)])
    found = Rows.load(path)
    assert found.each("size") == [16]
    own = (RESULTS / "speed" / "cpu.json").read_text()
    for factor, slower in ((1000.0, True), (0.001, False)):
        rows = [{**r, "median": factor * r["median"]} for r in found.rows]
        before = Rows(found.meta, rows).save(path).read_text()
        command = [*options, "--batch", "1", "--compare", str(path)]
        if slower:
            with pytest.raises(SystemExit) as exit_:
                speed.main(command)
            assert exit_.value.code == 1
        else:
            speed.main(command)
        assert path.read_text() == before
    assert (RESULTS / "speed" / "cpu.json").read_text() == own
    assert "+" in capsys.readouterr().out


# ---------------------------------------------------------------- limits, and what is asked for


def test_multiply_adds_bytes_and_operators_are_counted_and_views_are_not():
    x, weight = torch.rand(2, 3, 8, 8), torch.rand(4, 3, 3, 3)
    blur, square = torch.rand(3, 1, 3, 3), torch.rand(2, 8, 8)

    def call():
        F.conv2d(x, weight, padding=1)
        F.conv2d(x, blur, padding=1, groups=3)
        torch.bmm(square, square).view(-1)[:3].add_(1)
        torch.empty(5)

    found = count("cpu", lambda batch: call, x)
    assert found.operators == {"convolution": 2, "bmm": 1, "add_": 1}
    conv, depthwise, product = 2 * 4 * 64 * 27, 2 * 3 * 64 * 9, 2 * 8 * 8 * 8
    assert found.macs == {"float32": conv + depthwise + product}
    assert found.moved == 4 * (x.numel() + weight.numel() + 2 * 4 * 64)


def test_a_gpu_is_counted_without_one_and_what_lies_on_the_host_is_not():
    def make(batch):
        assert batch.device.type == "cuda"

        def call():
            torch.rand(3).mul(2)  # on the host
            half = batch.float().mul(2).to(torch.float16)
            return F.conv2d(half, torch.ones(1, 3, 1, 1, device=batch.device).half())

        return call

    found = count("cuda", make, images(2, 3, 8, 8))
    assert found.operators["mul"] == 1
    assert found.macs == {"float16": 2 * 64 * 3}
    with pytest.raises(RuntimeError):
        count("cuda", lambda x: lambda: x.float().mean().item(), images(2, 3, 8, 8))


def test_the_floor_is_the_larger_of_arithmetic_and_memory():
    machine = {"float32": 1.0, "half": 2.0, "int8": None, "memory": 10.0, "cache": 20.0}
    row = {"macs float32": 1e9, "macs half": 1e9, "macs int8": 0, "bytes": 1e9}
    assert floor(row, machine) == 1.5
    assert floor({**row, "bytes": 40e9}, machine) == 2.0


def test_a_machine_has_limits():
    found = limits(CPU, scale=0.02)
    assert list(found) == ["float32", "half", "int8", "memory", "cache"]
    assert all(value is None or value > 0 for value in found.values())


@pytest.mark.usefixtures("fresh_caches")
def test_a_profile_tells_what_each_part_asks_for(pack_file, tmp_path, capsys):
    out = tmp_path / "speed" / "profile.json"
    size = ["--size", "32", "--batch", "2", "--rounds", "1", "--scale", "0.02", "--threads", "1"]
    speed.main(["--profile", "--packs", str(pack_file), *size, "--out", str(out)])
    rows = {row["contestant"]: row for row in Rows.load(out).rows}
    assert {"Relight alone", contestants.ALL, "network"} < set(rows)
    assert "default" not in rows
    assert "time" not in capsys.readouterr().err  # no part was left out
    whole = 2 * 2 * 3 * 32 * 32
    assert rows["Relight alone"]["bytes"] == whole
    assert rows["Restyle alone"]["bytes"] == rows["network"]["bytes"] + whole
    for row in rows.values():
        assert row["operators"] > 0
        assert row["operators on a GPU"] > 0
    parts = [row for name, row in rows.items() if name.endswith(" alone")]
    assert sum(row["operators"] for row in parts) > rows[contestants.ALL]["operators"] / 2
    shown = fill("<!-- results: profile profile -->\n<!-- /results -->", tmp_path)
    assert "| Relight alone |" in shown


# ---------------------------------------------------------------- memory and size


def test_memory_is_the_peak_above_what_was_there_and_the_result():
    x = torch.zeros(256, 1024)
    assert peak_memory(lambda: (x + 1) * 2, CPU) == pytest.approx(x.nbytes, abs=64)
    assert peak_memory(lambda: (x + 1).mul_(2), CPU) == pytest.approx(0, abs=64)


def test_time_and_memory_are_measured_of_every_shape(packs, monkeypatch, tmp_path):
    monkeypatch.setattr(scaling, "BASE", (16, 16))
    monkeypatch.setattr(scaling, "BATCH_SIZE", (16, 16))
    monkeypatch.setitem(scaling.BATCHES, "cpu", (1, 2))
    wanted = scaling.shapes(CPU, [(16, 16), (24, 32)])
    assert wanted == [(1, 16, 16), (1, 24, 32), (2, 16, 16)]
    record = Rows({}, scaling.measure(packs, wanted, device=CPU, rounds=2, limit=9.0))
    assert set(record.each("contestant")) == {contestants.ALL, "Restyle alone", "ColorJitter"}
    assert len(record.where(unit="seconds")) == len(record.where(unit="peak bytes")) == 3 * 3
    assert all(row["median"] > 0 for row in record.rows)
    larger = record.where(over="at 16 x 16")
    assert {(row["height"], row["width"]) for row in larger} == {(24, 32)}
    assert len(record.where(over="ColorJitter")) == 2 * 3
    pytest.importorskip("matplotlib", reason="figures are an extra")
    path = record.save(tmp_path / "scaling.json")
    drawn = [draw_scaling(path, tmp_path / f"{n}.svg").read_text() for n in range(2)]
    assert drawn[0] == drawn[1]
    assert "Restyle alone, tiny" in drawn[0]
    assert draw_scaling(tmp_path / "none.json") is None


# ---------------------------------------------------------------- training


def test_steps_are_compared_with_those_without_augmentation(packs):
    rows = step.measure(packs, "resnet18", 2, 32, device=CPU, rounds=2)
    record = Rows({}, rows)
    assert record.each("contestant") == [step.NONE, "default", "ColorJitter, each image"]
    plain = record.where(contestant=step.NONE, unit="percent")[0]
    assert (plain["median"], plain["q1"], plain["q3"]) == (0, 0, 0)
    assert all(row["median"] > 0 for row in record.where(unit="seconds"))


# ---------------------------------------------------------------- the script for a GPU


def run_script(out, **environment):
    return subprocess.run(
        ["bash", str(GPU_SCRIPT), str(out)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not shutil.which("bash"), reason="the script is bash")
def test_the_script_keeps_what_it_has_when_a_part_fails(tmp_path):
    python = tmp_path / "python"
    python.write_text(
        "#!/usr/bin/env bash\n"
        'while [ "$1" != --out ]; do said="$said $1"; shift; done\n'
        'echo "$said" > "$2"\n'
        '[[ "$said" != *speed.step* ]]\n'
    )
    python.chmod(0o755)
    done = run_script(tmp_path / "out", PYTHON=str(python))
    assert done.returncode == 1
    assert "step-gpu: failed or cut off" in done.stdout
    written = sorted(path.stem for path in (tmp_path / "out").glob("*.json"))
    assert written == ["gpu", "profile-gpu", "scaling-gpu", "step-gpu"]
    assert "--device cuda" in (tmp_path / "out" / "gpu.json").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="the script is bash")
def test_the_script_runs_on_a_cpu(tmp_path):
    settings = {"SIZES": "32", "STEP_BATCHES": "2", "ROUNDS": "1", "SCALE": "0.02"}
    settings |= {"DEVICE": "cpu", "THREADS": "1", "PACKS": "base", "PYTHON": sys.executable}
    done = run_script(tmp_path, **settings)
    assert done.returncode == 0, done.stdout
    for name in ("gpu", "step-gpu", "profile-gpu", "scaling-gpu"):
        assert Rows.load(tmp_path / f"{name}.json").rows


# ---------------------------------------------------------------- tables


def test_a_result_of_several_sizes_has_a_column_each(tmp_path):
    head = {"contestant": "a", "over": None, "median": 1.25, "q1": 1.0, "q3": 1.5}
    rows = [
        {"size": size, "batch": 4, "input": kind, "pack": pack, **head, "over": over}
        for size, kind in ((224, "uint8"), (256, "uint8"), (224, "float"), (256, "float"))
        for pack in ("base", "fast")
        for over in (None, "ColorJitter")
    ]
    machine = {"cpu": "C", "device": "cpu", "torch_threads": 2}
    meta = {"machine": machine, "dtype": "bfloat16", "versions": {"torch": "2"}}
    Rows({**meta, "rounds": 3}, rows).save(tmp_path / "speed" / "cpu.json")
    lines = fill("<!-- results: speed cpu -->\n<!-- /results -->", tmp_path).splitlines()
    head = "| | 4 x 224 x 224 uint8 | 4 x 256 x 256 uint8 | 4 x 256 x 256 float |"
    assert lines[lines.index(head) + 2 :][:2] == [
        "| a (base) | 1.2 | 1.2 | 1.2 |",
        "| a (fast) | 1.2 | 1.2 | 1.2 |",
    ]
    assert "Times the speed of the other, at 4 x 256 x 256 uint8, round by round:" in lines
    assert lines[lines.index("| | ColorJitter |") + 2] == "| a (base) | 1.25 (1.00 to 1.50) |"


# ---------------------------------------------------------------- loops and commands


@pytest.mark.slow
def test_a_training_loop_is_timed_without_workers_and_with_two(pack_file, monkeypatch):
    monkeypatch.setattr(loader, "SETTING", {"images": 4, "batch": 2, "size": 32})
    rows = loader.measure(str(pack_file), 1, torch.device("cpu"))
    assert {row["workers"] for row in rows} == {0, 2}
    assert sum(row["unit"] == "share" for row in rows) == 2 * 3


def test_copies_for_timing_keep_folders_masks_and_boxes(defect_boxes, tmp_path):
    count = commands.copy_some(defect_boxes, 5, tmp_path / "some")
    names = sorted(path.name for path in (tmp_path / "some").iterdir())
    assert count == 5
    assert len(names) == 10
    assert {name.split(".")[0] for name in names} == {n.split(".")[0] for n in names[::2]}


def test_a_look_at_drawn_images_is_timed(tmp_path, monkeypatch):
    """The images that are drawn have masks, and no two are equal."""
    seen = []

    def look(command):
        defects = read_defects(Path(command[1]))
        seen.append(summarize(defects, Path(command[1]), size=256))
        return 3.0, "printed"

    monkeypatch.setattr(inspect, "time_command", look)
    out = tmp_path / "result.json"
    inspect.main(["--images", "6", "--size", "64", "--rounds", "2", "--out", str(out)])
    assert [row["unit"] for row in Rows.load(out).rows] == ["seconds", "cpu seconds"]
    assert Rows.load(out).rows[0]["median"] == 3
    assert {name: c.masked for name, c in seen[0].classes.items()} == {"class0": 3, "class1": 3}
    assert (seen[0].duplicates, seen[0].damaged) == ([], {})


def test_a_command_that_fails_is_no_time(monkeypatch):
    failed = SimpleNamespace(returncode=2, stderr="no such file")
    monkeypatch.setattr(commands.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(SystemExit, match="styleaug audit failed:\nno such file"):
        commands.time_command(["audit"])
