"""The robustness benchmark: policies, cells that are not run twice, and the figures it reports."""

import importlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import TINY
from styleaug import StylePack
from styleaug.evaluate.models import SMALL

pytest.importorskip("imagecorruptions", reason="the benchmark's packages are an extra")

BATCH = torch.randint(0, 256, (4, 3, 32, 40), generator=torch.Generator().manual_seed(0)).byte()

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def bench(module):
    return module("robustness")


@pytest.fixture
def cells(module):
    return module("robustness_cells")


@pytest.fixture
def problems(module):
    return module("robustness_problems")


@pytest.fixture
def policies(module):
    return module("robustness_policies")


@pytest.fixture
def figures(module):
    return module("robustness_figures")


@pytest.fixture
def folder(tmp_path):
    """Gray images named after their class, dark ones and bright ones."""
    (tmp_path / "steel" / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, level in (("flat_area", 40), ("rolled-in_scale", 170)):
        for number in range(10):
            pixels = np.uint8(level + rng.integers(0, 40, (37, 45)))
            Image.fromarray(pixels).save(tmp_path / "steel" / "images" / f"{name}_{number}.png")
    return tmp_path / "steel"


@pytest.fixture
def settings(problems):
    return problems.Settings(
        model=SMALL, steps=2, batch_size=8, size=32, corruptions=("saturate",), severities=(1, 5)
    )


@pytest.fixture
def problem(problems, folder, settings):
    return problems.load_problem(folder, None, settings)


@pytest.fixture
def one_cell(cells, problem, settings, pack_file, tmp_path):
    """``one_cell(settings)`` makes what `run_cell` and `run_cells` take."""

    def make(settings=settings, policies=None, seeds=(0,), pack=str(pack_file)):
        images = problem.test.images
        sets = cells.corrupt_test_images(images, settings, tmp_path / "cache", workers=0)
        found = cells.make_cells(policies or {"flips only": ""}, seeds, problem, settings, pack)
        return found, problem, settings, sets

    return make


# ---------------------------------------------------------------- policies


def test_every_policy_keeps_shape_and_type_and_its_input(policies, pack_file, seeded):
    batch = BATCH.repeat(4, 1, 1, 1)  # so that no policy's coins leave all of them out
    for name, expression in policies.POLICIES.items():
        before = batch.clone()
        out = policies.make_policy(expression, str(pack_file), BATCH // 2)(batch)
        assert (out.shape, out.dtype) == (batch.shape, torch.uint8), name
        assert torch.equal(batch, before), name
        assert torch.equal(out, batch) == (name == "flips only"), name


@pytest.mark.parametrize(
    "name", ["ColorJitter", "photometric mix", "RandAugment", "TrivialAugmentWide", "AugMix"]
)
def test_images_of_a_batch_draw_parameters_of_their_own(policies, name, seeded):
    same = BATCH[:1].expand(8, -1, -1, -1)
    out = policies.make_policy(policies.POLICIES[name], "base")(same)
    assert len({image.numpy().tobytes() for image in out}) > 2


def test_noise_is_of_up_to_the_deviation_that_was_asked_for(policies, seeded):
    gray = torch.full((200, 3, 16, 16), 128, dtype=torch.uint8)
    out = policies.make_policy("GaussianNoise(0.1)", "base")(gray)
    deviations = (out.float() - 128).std((1, 2, 3))
    assert deviations.min() < 2
    assert 22 < deviations.max() < 28
    assert abs(deviations.mean() - 25.5 / 2) < 2
    stages = [str(policies.make_policy(f"GaussianNoise({s})", "base")) for s in (0.1, 0.2)]
    assert stages[0] != stages[1]  # the cache tells them apart


def test_stages_follow_each_other_as_they_are_written(policies, pack_file):
    policy = policies.make_policy("AugMix(severity=2) + StyleAugment(p=0.7)", str(pack_file))
    assert [type(stage).__name__ for stage in policy] == ["PerImage", "StyleAugment"]
    assert policy[0].transform.severity == 2
    assert policy[1].p == 0.7


def test_looks_come_from_the_training_images(policies, seeded):
    dark, bright = (torch.randint(k, k + 40, (6, 3, 16, 16)).byte() for k in (10, 200))
    out = policies.make_policy("Reference('HistogramMatching', p=1.0)", "base", bright)(dark)
    assert out.min() > 60
    assert out[0].float().mean() != out[1].float().mean()  # each image draws
    with pytest.raises(policies.PolicyError, match="needs reference images"):
        policies.make_policy("Reference('FDA')", "base")(dark)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("StyleAugment", "must be as"),
        ("StyleAugment(", "must be as"),
        ("StyleAugment() * 2", "must be as"),
        ("torch.load('x')", "must be as"),
        ("__import__('os')", "made of AugMix"),
        ("StyleAugment(p=__import__('os'))", "literals"),
        ("ColorJitter(*[1])", "literals"),
        ("AugMix(severity={[]: 1})", "literals"),
        ("StyleAugment(**{'p': 1})", "refuses"),
        ("StyleAugment(p=2)", "p must be"),
        ("ColorJitter(-1)", "ColorJitter refuses"),
        ("StyleAugment(pack='other')", "--pack"),
    ],
)
def test_policies_that_cannot_be_built_are_refused(policies, pack_file, expression, message):
    with pytest.raises(policies.PolicyError, match=message):
        policies.make_policy(expression, str(pack_file))


def test_policies_are_chosen_and_added(policies):
    assert policies.named_policies(None, []) == policies.POLICIES
    found = policies.named_policies(["AugMix"], ["mine = StyleAugment(p=0.7, light=(0, 0.7))"])
    assert found == {"AugMix": "AugMix()", "mine": "StyleAugment(p=0.7, light=(0, 0.7))"}
    assert list(policies.named_policies([], ["none="])) == ["none"]


@pytest.mark.parametrize(
    ("chosen", "added", "message"),
    [
        (["AugMax"], [], "but got AugMax"),
        ([], [], "at least one"),
        ([], ["StyleAugment(p=0.5)"], "NAME="),
        ([], ["=AugMix()"], "NAME="),
        ([], ["AugMix"], "NAME="),
        ([], ["AugMix=AugMix()"], "already"),
        ([], ["a=AugMix()", "a=AugMix()"], "already"),
    ],
)
def test_names_that_mean_no_policy_are_refused(policies, chosen, added, message):
    with pytest.raises(policies.PolicyError, match=message):
        policies.named_policies(chosen, added)


# ---------------------------------------------------------------- images


def test_the_task_is_what_the_labels_allow(problems, folder, settings):
    problem = problems.load_problem(folder, None, settings)
    assert problem.task.kind == "classification"
    assert problem.task.classes == ("flat_area", "rolled-in_scale")
    assert problem.train.images.shape == (16, 3, 32, 32)
    assert problem.test.targets.bincount().tolist() == [2, 2]
    assert (problem.train.images.float().mean((1, 2, 3)) > 100).long().equal(problem.train.targets)
    assert problem.record()["metric"] == "balanced accuracy"


def test_solar_cells_come_from_their_package(problems, settings):
    problem = problems.load_problem(Path("elpv"), None, replace(settings, size=16))
    assert problem.task.classes == ("functional", "defective")
    assert problem.train.images.shape == (1000, 3, 16, 16)
    assert len(problem.test) == 360


def test_a_split_by_look_trains_in_the_dark_and_tests_in_the_light(
    cells, problems, figures, folder, settings, tmp_path
):
    rng = np.random.default_rng(0)
    for name in ("flat_area", "rolled-in_scale"):
        for number in range(10):
            level = 20 * number + (5 if name == "flat_area" else 0)
            pixels = np.uint8(level + rng.integers(0, 4, (32, 32)))
            Image.fromarray(pixels).save(folder / "images" / f"{name}_{number}.png")
    problem = problems.load_problem(folder, None, settings, look="brightness")
    for part, counts in ((problem.train, [3, 3]), (problem.elsewhere, [4, 4])):
        assert part.targets.bincount().tolist() == counts
    low, high = (p.images.float().mean((1, 2, 3)) for p in (problem.train, problem.elsewhere))
    assert low.max() < 80
    assert high.min() > 115
    assert "lowest in brightness" in problem.notes[0]
    sets = cells.corrupt_test_images(problem.test.images, settings, tmp_path, workers=0)
    (cell,) = cells.make_cells({"flips only": ""}, [0], problem, settings, "base")
    found = cells.run_cell(cell, problem, settings, sets, device=torch.device("cpu"))
    assert (
        figures.figures({"flips only": [found]})["scores"]["flips only"]["elsewhere"]["mean"]
        == (found["elsewhere"])
    )


def test_roughness_is_the_finish_and_not_the_light(problems):
    smooth = torch.arange(32.0).expand(32, 32)  # a gradient has no detail
    speckled = smooth + 8 * torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    images = torch.stack([smooth + 120, smooth, speckled, 2 * speckled]).clamp(0, 255)
    levels = problems.MEASURES["roughness"](images.byte()[:, None].expand(-1, 3, -1, -1))
    assert levels[:2].max() < 1
    assert levels[2] > 2
    assert levels[3] > 1.5 * levels[2]


@pytest.fixture
def other_line(tmp_path):
    """Pale images of the same classes, one of them under another name, and of a third class."""
    for name, level in (("flat_area", 90), ("scale", 220), ("stain", 200)):
        (tmp_path / "plant" / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((32, 32), level + number, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "plant" / name / f"{number}.png")
    return tmp_path / "plant"


def test_another_line_is_seen_in_the_classes_that_both_have(
    cells, problems, figures, folder, other_line, settings, tmp_path
):
    problem = problems.load_problem(
        folder, None, settings, line=other_line, same={"rolled-in_scale": "scale"}
    )
    assert problem.task.classes == ("flat_area", "rolled-in_scale")
    assert (len(problem.train), len(problem.test)) == (16, 4)
    means = problem.elsewhere.images.float().mean((1, 2, 3))
    for label, level in enumerate((91, 221)):  # the stain is left out
        found = means[problem.elsewhere.targets == label]
        assert sorted(found.tolist()) == [level - 1, level, level + 1]
    assert problem.record()["elsewhere"] == 6
    assert problem.notes[1] == "Trained and tested on steel, and tested elsewhere on plant."
    sets = cells.corrupt_test_images(problem.test.images, settings, tmp_path, workers=0)
    (cell,) = cells.make_cells({"flips only": ""}, [0], problem, settings, "base")
    found = cells.run_cell(cell, problem, settings, sets, device=torch.device("cpu"))
    scores = figures.figures({"flips only": [found]})["scores"]["flips only"]
    assert scores["elsewhere"]["mean"] == found["elsewhere"]
    assert scores["elsewhere readapted"]["mean"] == found["readapted"]["elsewhere"]
    far = found["also"]["AUROC"]
    assert scores["also"]["AUROC"]["elsewhere"]["mean"] == far["elsewhere"]
    assert scores["also"]["AUROC"]["elsewhere readapted"]["mean"] == far["readapted"]["elsewhere"]


@pytest.mark.parametrize(
    ("same", "message"),
    [
        ({}, "steel and plant must share two classes at least, but share 1"),
        ({"rolled-in_scale": "rust"}, "there is no rust in plant"),
        ({"rust": "stain"}, "there is no rust in steel"),
        ({"rolled-in_scale": "flat_area"}, "must have a name of its own in plant"),
    ],
)
def test_lines_that_share_too_little_are_refused(
    problems, folder, other_line, settings, same, message
):
    with pytest.raises(ValueError, match=message):
        problems.load_problem(folder, None, settings, line=other_line, same=same)


def test_solar_cells_of_one_crystal_meet_those_of_the_other(problems, settings):
    small = replace(settings, size=16)
    problem = problems.load_problem(Path("elpv"), None, small, line=Path("poly"))
    assert (len(problem.train), len(problem.test), len(problem.elsewhere)) == (718, 239, 1343)
    assert "polycrystalline" in problem.notes[-1]
    with pytest.raises(ValueError, match="parted by roughness, but elpv is none"):
        problems.load_problem(Path("elpv"), None, small, look="roughness")
    with pytest.raises(ValueError, match="mono or poly, but got 'thin'"):
        problems.load_problem(Path("elpv"), None, small, line=Path("thin"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--line", "d", "--part-by", "brightness"], "and not by --part-by as well"),
        (["--line", "d", "--task", "detection"], "--line parts a set of classes"),
        (["--same", "a=b"], "--same needs --line"),
        (["--line", "d", "--same", "a"], "must be CLASS=CLASS, but is 'a'"),
    ],
)
def test_lines_are_asked_for_in_full(bench, arguments, message, capsys):
    with pytest.raises(SystemExit):
        bench.parse_arguments(["--data", "x", *arguments])
    assert message in capsys.readouterr().err


def test_corrupted_sets_are_made_once(cells, problem, settings, tmp_path, monkeypatch):
    images = problem.test.images
    sets = cells.corrupt_test_images(images, settings, tmp_path, workers=0)
    assert sorted(path.name for path in sets.iterdir()) == ["saturate-1.npy", "saturate-5.npy"]
    assert np.load(sets / "saturate-5.npy").shape == (4, 32, 32, 3)
    monkeypatch.delattr(cells, "corrupted_sets")
    assert cells.corrupt_test_images(images, settings, tmp_path, workers=0) == sets


# ---------------------------------------------------------------- cells


def test_a_cell_learns(cells, one_cell, settings):
    lessons = replace(settings, steps=60, learning_rate=5e-3, severities=(1,))
    (cell,), *rest = one_cell(lessons)
    record = cells.run_cell(cell, *rest, device=torch.device("cpu"))
    assert record["clean"] == 100
    assert list(record["corrupted"]) == ["saturate"]
    assert record["seconds"]["train"] > 0


def test_batch_norms_are_adapted_at_one_severity(cells, figures, one_cell, settings):
    (cell,), *rest = one_cell(replace(settings, severities=(1, 3)))
    found = cells.run_cell(cell, *rest, device=torch.device("cpu"))
    assert list(found["readapted"]["corrupted"]) == ["saturate"]
    assert list(found["readapted"]["corrupted"]["saturate"]) == ["3"]
    row = figures.figures({"flips only": [found]})["scores"]["flips only"]
    assert row["mPC readapted"]["mean"] == found["readapted"]["corrupted"]["saturate"]["3"]
    assert row["P readapted"]["mean"] == found["readapted"]["clean"]
    assert "industrial readapted" not in row


def test_finished_cells_are_not_run_again(cells, one_cell, tmp_path, monkeypatch):
    some, *rest = one_cell(seeds=(0, 1))
    ran = []

    def run_cell(cell, **kwargs):
        ran.append(cell.seed)
        return {"key": cell.key, "clean": 50.0 + cell.seed}

    monkeypatch.setattr(cells, "run_cell", run_cell)
    first = dict(zip(["problem", "settings", "sets"], rest, strict=True))
    first |= {"jobs": 1, "device": torch.device("cpu")}
    clean = {c.seed: r["clean"] for c, r in cells.run_cells(some, folder=tmp_path, **first)}
    again = {c.seed: r["clean"] for c, r in cells.run_cells(some, folder=tmp_path, **first)}
    assert clean == again == {0: 50, 1: 51}
    assert ran == [0, 1]
    (tmp_path / some[1].file).write_text("{")  # as after a full disk
    assert len(list(cells.run_cells(some, folder=tmp_path, **first))) == 2
    assert ran == [0, 1, 1]


def test_an_interrupted_run_keeps_its_finished_cells(cells, one_cell, tmp_path, monkeypatch):
    some, problem, settings, sets = one_cell(seeds=(0, 1))

    def run_cell(cell, **kwargs):
        if cell.seed == 1:
            raise KeyboardInterrupt
        return {"key": cell.key}

    monkeypatch.setattr(cells, "run_cell", run_cell)
    cpu = torch.device("cpu")
    with pytest.raises(KeyboardInterrupt):
        list(cells.run_cells(some, problem, settings, sets, tmp_path, jobs=1, device=cpu))
    assert [cells.stored_record(cell, tmp_path) is not None for cell in some] == [True, False]


def test_a_key_tells_all_that_changes_the_outcome(cells, one_cell, settings, pack, tmp_path):
    """And no more: a new pack does not send the policies without styles to work again."""
    StylePack.random(TINY, seed=1).save(tmp_path / "other.safetensors")
    policies = {"flips only": "", "style": "StyleAugment()"}
    flips, style = one_cell(policies=policies)[0]
    flips_other, style_other = one_cell(
        policies=policies, pack=str(tmp_path / "other.safetensors")
    )[0]
    assert flips.key == flips_other.key
    assert style.key != style_other.key
    assert style.key["pack"] == pack.id
    assert "StyleAugment" in style.key["policy"]
    others = [
        one_cell(policies={"style": "StyleAugment(p=0.6)"}),
        one_cell(policies={"style": "StyleAugment()"}, seeds=(1,)),
        one_cell(replace(settings, steps=3), {"style": "StyleAugment()"}),
    ]
    assert len({style.file, *(found[0].file for found, *_ in others)}) == 4
    assert one_cell(policies={"other name": "StyleAugment()"})[0][0].file == style.file


def test_words_do_not_send_cells_to_work_again(cells):
    plain = "def f(x):\n    return x + 1\n"
    told = 'def f(x):\n    """Add."""\n    # one\n    return (x\n            + 1)\n'
    assert cells._code_digest(plain) == cells._code_digest(told)
    assert cells._code_digest(plain) != cells._code_digest(plain.replace("1", "2"))


@pytest.mark.slow
def test_two_jobs_come_to_what_one_comes_to(cells, one_cell, tmp_path):
    some, *rest = one_cell(seeds=(0, 1))
    found = []
    for jobs in (1, 2):
        options = {"jobs": jobs, "device": torch.device("cpu")}
        records = cells.run_cells(some, *rest, tmp_path / str(jobs), **options)
        found.append({c.seed: (r["clean"], r["corrupted"]) for c, r in records})
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["segmentation", "detection"])
def test_pixels_and_boxes_have_a_second_score(
    cells, problems, figures, defect_boxes, settings, tmp_path, kind
):
    problem = problems.load_problem(defect_boxes, kind, settings)
    sets = cells.corrupt_test_images(problem.test.images, settings, tmp_path, workers=0)
    (cell,) = cells.make_cells({"flips only": ""}, [0], problem, settings, "base")
    found = cells.run_cell(cell, problem, settings, sets, device=torch.device("cpu"))
    name = {"segmentation": "pixel AP", "detection": "box AP50"}[kind]
    row = figures.figures({"flips only": [found]})["scores"]["flips only"]["also"][name]
    assert row["P"]["mean"] == found["also"][name]["clean"]
    assert set(found["readapted"]["corrupted"]) == set()  # severity 3 was not asked for
    levels = found["also"][name]["corrupted"]["saturate"].values()
    assert row["mPC"]["mean"] == pytest.approx(np.mean(list(levels)))


# ---------------------------------------------------------------- figures


def record(clean, noise, blur):
    """Accuracies at severities 1 and 5 of two corruptions."""
    corrupted = {"noise": dict(zip("15", noise, strict=True)), "blur": {"1": blur, "5": blur}}
    seconds = {"train": 1, "test": 1, "cpu": 1}
    return {
        "clean": clean,
        "corrupted": corrupted,
        "seconds": seconds,
        "also": {},
        "elsewhere": None,
        "readapted": {"clean": clean, "corrupted": {}},
    }


def test_mpc_rpc_and_differences_by_hand(figures):
    records = {
        "flips only": [record(80, (60, 20), 40), record(100, (80, 40), 20)],  # mPC 40 and 40
        "mine": [record(80, (60, 40), 60), record(90, (90, 70), 60)],  # mPC 55 and 70
    }
    found = figures.figures(records)
    plain, mine = found["scores"]["flips only"], found["scores"]["mine"]
    assert plain["mPC"] == {"mean": 40, "std": 0, "per_seed": [40, 40]}
    assert mine["mPC"]["per_seed"] == [55, 70]
    assert mine["mPC"]["std"] == pytest.approx(112.5**0.5)
    assert plain["rPC"]["per_seed"] == [50, 40]
    assert mine["noise"]["per_seed"] == [50, 80]
    assert mine["mPC without noise"]["per_seed"] == mine["blur"]["per_seed"] == [60, 60]
    gain = found["differences"]["flips only"]["mine"]["mPC"]
    assert gain["per_seed"] == [15, 30]
    # 12.706 standard errors of 7.5 at one degree of freedom
    assert (gain["low"], gain["high"]) == pytest.approx((22.5 - 95.296, 22.5 + 95.296), abs=1e-2)
    assert list(found["differences"]) == ["flips only"]


def test_industrial_shifts_have_a_mean_of_their_own(figures):
    entry = record(80, (60, 20), 40)
    entry["corrupted"] |= {"dust": {"1": 70, "5": 50}, "defocus": {"1": 90, "5": 70}}
    found = figures.figures({"flips only": [entry]})["scores"]["flips only"]
    assert found["mPC"]["mean"] == 40
    assert found["industrial"]["mean"] == found["industrial without colour"]["mean"] == 70
    assert found["dust"]["mean"] == 60
    assert set(found["corrupted"]) == {"noise", "blur", "dust", "defocus"}


def test_one_seed_has_no_interval(figures):
    gain = figures.difference([3.0], [1.0])
    assert gain == {"mean": 2, "std": None, "per_seed": [2], "low": None, "high": None}


def test_the_command_writes_a_complete_record_and_goes_on(
    bench, cells, folder, pack, pack_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(bench.SUITES, "validation", ("gaussian_blur", "saturate"))
    command = ["--data", str(folder), "--validation", "--policies", "flips only"]
    command += ["--policy", "half=StyleAugment(p=0.5)", "--pack", str(pack_file), "--steps", "1"]
    command += ["--model", SMALL, "--size", "32"]
    command += ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out.json")]
    assert bench.main([*command, "--seeds", "3"]) == 0
    first = json.loads((tmp_path / "out.json").read_text())

    real, ran = cells.run_cell, []
    monkeypatch.setattr(
        cells, "run_cell", lambda cell, **k: ran.append(cell.seed) or real(cell, **k)
    )
    assert bench.main([*command, "--seeds", "3", "4"]) == 0
    result = json.loads((tmp_path / "out.json").read_text())

    assert ran == [4, 4]
    for name, row in first["scores"].items():
        assert row["mPC"]["per_seed"] == result["scores"][name]["mPC"]["per_seed"][:1]
    assert result["policies"] == {"flips only": "flips", "half": "flips + StyleAugment(p=0.5)"}
    assert result["seeds"] == [3, 4]
    assert str(tmp_path) not in result["command"]
    assert result["pack_id"] == pack.id
    assert result["settings"]["corruptions"] == ["gaussian_blur", "saturate"]
    assert set(result["scores"]["half"]) == {
        *("P", "mPC", "mPC without noise", "rPC", "P readapted", "mPC readapted"),
        *("corrupted", "also", "seconds"),
        *("gaussian_blur", "saturate"),
    }
    assert {"machine", "versions", "parameters", "task"} <= set(result)
    assert "| half |" in capsys.readouterr().out


def test_policies_are_added_to_a_result_that_was_measured_alike(
    bench, folder, pack_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(bench.SUITES, "validation", ("saturate",))
    command = ["--data", str(folder), "--validation", "--pack", str(pack_file), "--model", SMALL]
    command += ["--size", "32", "--seeds", "3", "--steps", "1", "--policies"]
    files = ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out.json")]
    half = ["--policy", "half=StyleAugment(p=0.5)", *files]
    assert bench.main([*command, "flips only", *half]) == 0
    first = json.loads((tmp_path / "out.json").read_text())
    assert bench.main([*command, "ColorJitter", *files, "--add"]) == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert (
        list(result["scores"]) == list(result["policies"]) == ["flips only", "half", "ColorJitter"]
    )
    assert all(result["scores"][name] == first["scores"][name] for name in first["scores"])
    assert result["command"] == first["command"]
    assert list(result["added"]) == ["ColorJitter"]
    assert "--add" in result["added"]["ColorJitter"]["command"]
    gain = result["differences"]["flips only"]["ColorJitter"]["mPC"]["mean"]
    scores = [result["scores"][name]["mPC"]["mean"] for name in ("ColorJitter", "flips only")]
    assert gain == pytest.approx(scores[0] - scores[1])
    assert result["differences"]["flips only"]["half"] == first["differences"]["flips only"]["half"]

    told = importlib.import_module("robustness_docs").protocol
    assert "On " not in told({"x": result}).partition("\n")[0]
    elsewhere = {"machine": {"cpu": "Other"}}
    result["added"] = {"ColorJitter": elsewhere, "half": elsewhere}
    assert re.search(r"cores\. On Other: ColorJitter on \S+, half on \S+\.", told({"x": result}))
    result = json.loads((tmp_path / "out.json").read_text())

    capsys.readouterr()
    assert bench.main([*command, "ColorJitter", *files, "--add", "--steps", "2"]) == 2
    assert "measured alike, but out.json has another settings." in capsys.readouterr().err
    monkeypatch.setattr(bench, "defaults", lambda: {"p": 0.1})
    assert bench.main([*command, "ColorJitter", *files, "--add"]) == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["defaults"] == {"p": 0.1}
    for part in ("policies", "scores", "differences", "added"):  # half had other defaults
        assert "ColorJitter" in result[part]
        assert "half" not in result[part]
    command.remove("--policies")  # with --add, --policy alone means that one
    assert bench.main([*command, *half, "--add"]) == 0  # and measured anew it is there again
    found = json.loads((tmp_path / "out.json").read_text())
    assert list(found["scores"]) == ["flips only", "ColorJitter", "half"]


def test_mistakes_are_told_in_words(bench, folder, tmp_path, capsys):
    command = ["--data", str(folder), "--cache", str(tmp_path), "--out", str(tmp_path / "o.json")]
    for added in (["--policies", "nothing"], ["--data", str(tmp_path / "nowhere")]):
        assert bench.main([*command, "--policies", "flips only", *added]) == 2
        assert capsys.readouterr().err.startswith("robustness: ")


def test_a_result_is_named_after_what_is_not_as_usual(bench):
    def name(*arguments):
        options = bench.parse_arguments(["--data", "x", *arguments])
        return bench._name("x", "segmentation", options, bench.settings_of(options, "segmentation"))

    assert name() == "robustness_x-segmentation"
    assert name("--max-train", "1000", "--max-test", "9") == name()
    assert name("--max-train", "30", "--steps", "9").endswith("_9-steps_30-images")


def test_quick_asks_for_little(bench):
    options = bench.parse_arguments(["--data", "x", "--quick", "--steps", "7"])
    settings = bench.settings_of(options, "detection")
    assert (settings.severities, settings.steps, settings.size) == ((3,), 7, 128)
    assert set(bench.QUICK) <= set(bench.POLICIES)


@pytest.mark.parametrize("lamp", ["lamp_dim", "lamp_bright", "lamp_veil", "lamp_side"])
def test_lamps_grow_with_severity_and_keep_the_order_of_a_neighbourhood(cells, lamp):
    images = np.repeat(np.uint8([[60, 180]]), 20, axis=1).reshape(1, 1, 40, 1)
    images = np.tile(images, (1, 40, 1, 3))
    changes = []
    for severity in (1, 3, 5):
        out = cells.corrupted_sets(images, [cells.Condition(lamp, severity)], workers=0)
        _, relit = next(out)
        again = next(cells.corrupted_sets(images, [cells.Condition(lamp, severity)], workers=0))[1]
        assert (relit == again).all()
        assert (relit[0, :, 19] <= relit[0, :, 20]).all()
        changes.append(np.abs(relit.astype(float) - images).mean())
    assert 3 < changes[0] < changes[1] < changes[2]
