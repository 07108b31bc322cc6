"""``styleaug bench``: what is tried, chosen, compared, written and kept."""

from dataclasses import replace

import pytest

from helpers import grey_parts
from styleaug import StyleAugment
from styleaug.cli import main
from styleaug.datasets import read_defects
from styleaug.evaluate import bench, experiment
from styleaug.evaluate.benchmark import choose_preset, preset_code
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
    assert found.result.meta["policies"]["StyleAugment"] == found.code
    assert found.result.meta["chosen"] == found.chosen
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
    assert "StyleAugment(" in printed.split("Recommended (of 5 presets tried)")[1]
    result = Result.load(tmp_path / "out" / "bench.json")
    assert result.seeds == [3]
    assert result.meta["protocol"]["steps"] == 1
    assert "<svg" in (tmp_path / "out" / "bench.html").read_text()


def test_a_recommended_schedule_comes_with_what_it_needs(command, capsys, monkeypatch):
    monkeypatch.setattr("styleaug.evaluate.benchmark.presets_to_try", lambda *_: ("masks",))
    assert main([*command, "--quick", "--baselines"]) == 0
    advice = capsys.readouterr().out.split("Recommended")[1]
    assert "StyleAugment('masks')" in advice
    assert "set_progress(epoch / epochs)" in advice


def test_a_training_has_steps(command, tmp_path, capsys):
    assert main([*command, "--steps", "0"]) == 2
    assert "steps must be a whole number of at least 1, but got 0." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
