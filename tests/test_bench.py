"""``styleaug bench``: what is tried, chosen, compared, written and kept."""

from dataclasses import replace
from statistics import mean
from textwrap import indent

import numpy as np
import pytest
from PIL import Image

from helpers import grey_parts
from styleaug import StyleAugment
from styleaug.cli import main
from styleaug.datasets import read_defects
from styleaug.evaluate import TargetReport, bench, bench_target, experiment, read_target
from styleaug.evaluate.benchmark import best_row, choose_preset, preset_code
from styleaug.evaluate.corruptions import SUITES
from styleaug.evaluate.models import SMALL
from styleaug.evaluate.policies import presets_to_try
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.results import Result
from styleaug.evaluate.tasks import Task

pytestmark = pytest.mark.usefixtures("one_thread", "seeded")
TINY = Protocol(
    SMALL,
    size=16,
    steps=2,
    batch_size=8,
    learning_rate=5e-3,
    corruptions=("exposure", "dust"),
    severities=(3,),
    seeds=(0, 1),
)


@pytest.fixture
def folder(tmp_path):
    return grey_parts(tmp_path / "parts", {"bad": 160, "good": 90}, count=12)


@pytest.fixture(autouse=True)
def few_conditions(monkeypatch):
    """One lighting to choose by, and no package of corruptions."""
    monkeypatch.setitem(SUITES, "validation", ("lamp_dim",))


@pytest.fixture
def trained(monkeypatch):
    """Titles of the networks that are trained."""
    titles, train = [], experiment.train
    monkeypatch.setattr(
        experiment, "train", lambda *a, title, **k: titles.append(title) or train(*a, **k)
    )
    return titles


def test_a_bench_compares_flips_styles_and_baselines(folder, pack_file, trained):
    found = bench(
        read_defects(folder), pack=str(pack_file), protocol=TINY, baselines=["ColorJitter"]
    )
    names = ["flips only", "StyleAugment", "ColorJitter", "ColorJitter + StyleAugment"]
    assert list(found.robustness) == found.result.policies == names
    tried = ["flips only", *presets_to_try("classification", SMALL)]
    assert list(found.search) == tried
    assert trained[: len(tried)] == [f"{name}, seed 0" for name in tried]
    assert trained[len(tried) :] == [f"{n}, seed {s}" for s in (0, 1) for n in names]
    assert found.chosen in tried[1:]
    assert found.result.meta["policies"]["StyleAugment"] == preset_code(found.chosen)
    assert found.result.meta["chosen"] == found.chosen
    assert found.result.meta["recommended"] == found.recommended
    rows = {name: {"P": r.performance, "mPC": r.mpc()} for name, r in found.robustness.items()}
    assert found.recommended == best_row(rows)
    for name, pooled in found.robustness.items():
        assert len(pooled.scores[None]) == 2
        scores = found.result.scores(name, ["exposure", "dust"])
        assert 100 * pooled.mpc("industrial") == pytest.approx(sum(scores.values()) / 2)


def test_an_interrupted_bench_goes_on(folder, pack_file, trained, tmp_path, monkeypatch):
    settings = {"pack": str(pack_file), "protocol": TINY, "baselines": []}
    cache, defects = tmp_path / "cache", read_defects(folder)
    count = 2 + len(presets_to_try("classification", SMALL))
    train = experiment.train

    def stops(*arguments, **options):
        if len(trained) == count:
            raise KeyboardInterrupt
        return train(*arguments, **options)

    monkeypatch.setattr(experiment, "train", stops)
    with pytest.raises(KeyboardInterrupt):
        bench(defects, **settings, cache=cache)
    monkeypatch.setattr(experiment, "train", train)
    resumed = bench(defects, **settings, cache=cache)
    assert len(trained) == count + 3  # flips with seed 0 were done
    whole = bench(defects, **settings)
    assert [r for r in resumed.result.rows if "seconds" not in r.metric] == [
        r for r in whole.result.rows if "seconds" not in r.metric
    ]
    assert not (cache / "corrupted").exists()


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ({"a": (0.90, 0.5), "b": (0.895, 0.6), "c": (0.80, 0.9)}, "b"),
        ({"a": (0.80, 0.9), "b": (0.85, 0.5)}, "b"),  # all cost more than a point: the cheapest
        ({"a": (0.95, 0.5), "b": (0.90, 0.4)}, "a"),
    ],
)
def test_the_most_robust_preset_that_costs_little_is_chosen(rows, chosen):
    search = {"flips only": {"P": 0.9, "mPC": 0.4}}
    search |= {name: {"P": p, "mPC": mpc} for name, (p, mpc) in rows.items()}
    assert choose_preset(search) == chosen


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ({"StyleAugment": (0.895, 0.6), "mix + StyleAugment": (0.891, 0.7)}, "mix + StyleAugment"),
        ({"StyleAugment": (0.9, 0.3), "mix": (0.85, 0.9)}, "flips only"),
        ({"StyleAugment": (0.95, 0.5)}, "StyleAugment"),
    ],
)
def test_the_best_row_of_the_comparison_is_recommended(rows, best):
    measured = {"flips only": {"P": 0.9, "mPC": 0.4}}
    measured |= {name: {"P": p, "mPC": mpc} for name, (p, mpc) in rows.items()}
    assert best_row(measured) == best


def test_the_recommended_line_builds_what_was_tried():
    for name in ("default", "masks"):
        built = eval(preset_code(name), {"StyleAugment": StyleAugment})
        assert built.to_dict() == StyleAugment(name).to_dict()
    assert preset_code("default") == "StyleAugment()"


def test_validation_images_are_never_tested_on(folder, pack_file, monkeypatch):
    seen, read = [], Task.read

    def watched(self, samples, limit):
        seen.append({sample.path for sample in samples})
        return read(self, samples, limit)

    monkeypatch.setattr(Task, "read", watched)
    quick = replace(TINY, steps=1, seeds=(0,))
    bench(read_defects(folder), pack=str(pack_file), protocol=quick, baselines=[])
    fitting, aside, train, test = seen
    assert not fitting & aside
    assert fitting | aside == train
    assert not train & test


def test_unknown_baselines_are_refused_before_anything_is_trained(folder, trained):
    with pytest.raises(ValueError, match="'Blur'"):
        bench(read_defects(folder), protocol=TINY, baselines=["Blur"])
    assert not trained


# ---------------------------------------------------------------- the command


@pytest.fixture
def command(folder, pack_file, tmp_path, monkeypatch):
    """The command's arguments; it trains for two steps and tests under two shifts."""
    monkeypatch.setattr(Protocol, "of", lambda kind, **changes: replace(TINY, **changes))
    out = ["--out", str(tmp_path / "out"), "--pack", str(pack_file), "--device", "cpu"]
    return ["bench", "--data", str(folder), *out]


def test_the_command_prints_and_writes(command, tmp_path, capsys):
    assert main([*command, "--quick", "--seeds", "3", "--steps", "1"]) == 0
    printed = capsys.readouterr().out
    assert "2 classes, 20 images to train on, 1 steps of 8, 4 to test on" in printed
    assert "photometric mix + StyleAugment" in printed
    told = Result.load(tmp_path / "out/bench.json").meta
    assert f"Recommended ({told['recommended']}):" in printed
    result = Result.load(tmp_path / "out" / "bench.json")
    assert result.seeds == [3]
    assert result.meta["protocol"]["steps"] == 1
    assert "<svg" in (tmp_path / "out" / "bench.html").read_text()


def test_a_recommended_schedule_comes_with_what_it_needs(command, capsys, monkeypatch):
    monkeypatch.setattr("styleaug.evaluate.benchmark.presets_to_try", lambda *_: ("masks",))
    monkeypatch.setattr("styleaug.evaluate.benchmark.best_row", lambda _: "StyleAugment")
    assert main([*command, "--quick", "--baselines"]) == 0
    advice = capsys.readouterr().out.split("Recommended")[1]
    assert "StyleAugment('masks')" in advice
    assert "set_progress(epoch / epochs)" in advice


def test_a_training_has_steps(command, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([*command, "--steps", "0"])
    assert "--steps: must be a whole number from 1 to" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- a new line


@pytest.fixture
def new_line(tmp_path):
    return grey_parts(tmp_path / "line", {"bad": 190, "good": 120}, count=8)


def test_a_new_line_with_labels_is_scored_as_trained_and_adapted(folder, new_line, pack_file):
    target = read_target(new_line)
    found = bench_target(read_defects(folder), target, pack=str(pack_file), protocol=TINY)
    first, *_ = tried = presets_to_try("classification", SMALL)
    styled = f"{first}, styles of the new line"
    assert found.result.policies == ["flips only", *tried, styled, "photometric mix"]
    assert found.labelled
    means = {
        (policy, way): mean(found.result.scores(policy, "elsewhere", adapted=way).values())
        for policy in found.result.policies
        for way in ("", "target", "matched")
    }
    best = found.policy, found.adapted
    assert means[best] == max(means.values())
    assert found.gain.mean == pytest.approx(means[best] - means["flips only", ""])
    assert found.result.meta["task"]["elsewhere"] == 16


def test_a_new_line_without_labels_chooses_by_conditions_of_its_own(folder, tmp_path, pack_file):
    (tmp_path / "plain").mkdir()
    for path in sorted(folder.rglob("*.png"))[:5]:
        (tmp_path / "plain" / path.name).write_bytes(path.read_bytes())
    target = read_target(tmp_path / "plain")
    assert len(target.samples) == 5
    quick = replace(TINY, seeds=(0,))
    found = bench_target(read_defects(folder), target, pack=str(pack_file), protocol=quick)
    assert not found.labelled
    assert found.adapted == "matched"
    assert found.gain is None
    assert not any(row.adapted for row in found.result.rows)  # which nothing would be made of
    assert {row.condition for row in found.result.rows} >= {"clean", "lamp_dim"}
    assert not any(row.condition == "elsewhere" for row in found.result.rows)


def marked_parts(folder):
    """Six gray images with a bright square, in YOLO's layout."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for k in range(6):
        pixels = np.full((64, 64), 60 + 5 * k, np.uint8)
        pixels[16:32, 16:32] = 220
        Image.fromarray(pixels).save(folder / f"images/{k}.png")
        (folder / f"labels/{k}.txt").write_text("0 0.375 0.375 0.25 0.25\n")


@pytest.mark.parametrize("kind", ["segmentation", "detection"])
def test_masks_and_boxes_of_a_new_line_are_scored_too(kind, tmp_path, pack_file):
    for name in ("old", "new"):
        marked_parts(tmp_path / name)
    sets = [read_defects(tmp_path / "old"), read_target(tmp_path / "new")]
    protocol = replace(TINY, size=64, batch_size=2, seeds=(0,))
    found = bench_target(*sets, task=kind, protocol=protocol, pack=str(pack_file), baselines=[])
    assert found.labelled
    assert found.result.scores(found.policy, "elsewhere", adapted="matched")


def test_a_schedule_for_a_new_line_comes_with_what_it_needs():
    report = TargetReport(None, True, "masks, styles of the new line", "matched", "", None)
    assert report.needs_progress
    for policy in ("lighting", "flips only", "photometric mix"):
        assert not replace(report, policy=policy).needs_progress


def test_the_command_prints_what_to_paste_and_how_to_adapt(command, new_line, tmp_path, capsys):
    assert main([*command, "--target", str(new_line)]) == 0
    printed = capsys.readouterr().out
    assert "new line    adapted    matched" in printed
    assert "Recommended (" in printed
    assert "Gain on the new line over flips" in printed
    told = Result.load(tmp_path / "out/bench.json").meta
    assert indent(told["code"], "    ") in printed
    assert ("styleaug adapt MODEL.py:load" in printed) == bool(told["adapted"])
    assert (" --source " in printed) == (told["adapted"] == "matched")
    assert main([*command, "--target", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
