"""The figures of the pages."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import fill_docs
from robustness_policies import defaults
from styleaug.evaluate.corruptions import LAMPS, VALIDATION_CORRUPTIONS


def test_pages_without_results_keep_an_empty_block(monkeypatch, tmp_path):
    monkeypatch.setattr(fill_docs, "RESULTS", tmp_path)
    text = "a\n<!-- results: quality -->\nold\n<!-- /results -->\nb"
    assert fill_docs.fill(text) == "a\n<!-- results: quality -->\n<!-- /results -->\nb"


def result(kind, scores):
    """What benchmarks/robustness.py writes, of two seeds, two conditions, and given P and mPC."""

    def row(p, mpc):
        each = dict(zip(("P", "mPC"), (p, mpc), strict=True))
        each |= {"industrial": [50, 52], "contrast": mpc, "dust": [50, 52]}
        each |= {f"{name} readapted": [70, 72] for name in ("P", "mPC", "industrial")}
        each |= {"elsewhere": [30, 34], "elsewhere readapted": [70, 72]}
        return {
            **{name: {"mean": sum(v) / 2, "std": 1.0, "per_seed": v} for name, v in each.items()},
            "also": {},
            "corrupted": {"contrast": {"3": [40, 44]}, "dust": {"3": [60, 62]}},
            "seconds": [{"cpu": 60.0}],
        }

    return {
        "task": {"name": "s", "kind": kind, "metric": "m", "classes": ["a"], "train": 9, "test": 4},
        "settings": {
            "model": "net",
            "size": 8,
            "steps": 3,
            "batch_size": 2,
            "corruptions": ["contrast", "dust"],
        },
        "seeds": [0, 1],
        "defaults": defaults(),
        "machine": {"cpu": "C", "cores": 2},
        "policies": {name: f"flips + {name}" for name in scores},
        "scores": {name: row(*values) for name, values in scores.items()},
    }


def test_policies_are_compared_over_all_pairs_that_they_ran_on(tmp_path):
    both = {"flips only": ([90, 92], [40, 40]), "StyleAugment": ([88, 90], [60, 64])}
    both["x + StyleAugment"] = ([88, 90], [60, 64])
    more = {
        "flips only": ([70, 72], [20, 20]),
        "StyleAugment": ([72, 74], [30, 34]),
        "rare": ([0, 0],) * 2,
    }
    for kind, scores in (("classification", both), ("detection", more)):
        (tmp_path / f"robustness_s-{kind}.json").write_text(json.dumps(result(kind, scores)))
    for other in ("robustness_s-detection_validation", "robustness_s-detection_quick", "quality"):
        (tmp_path / f"{other}.json").write_text("{}")
    monkey = fill_docs.PAIRS["robustness"](tmp_path)
    head, _, flips, mine = monkey.splitlines()[:4]
    assert head.split(" | ")[1:3] == ["clean", "over flips"]
    # gains by seed: mPC (20 + 10) / 2 and (24 + 14) / 2; clean 0 and 0
    assert flips.startswith("| flips only | 81.0 |  | 30.0 |  | 51.0 |")
    assert mine.startswith(
        "| StyleAugment | 81.0 | +0.0 (+0.0 to +0.0) | 47.0 | +17.0 (-8.4 to +42.4) |"
    )
    assert "| rare |" in monkey  # where it ran
    assert sum(line.startswith("| rare | 0.0 ±") for line in monkey.splitlines()) == 1
    assert "| StyleAugment | 47 |" in monkey  # under contrast, over both
    brief = fill_docs.PAIRS["robustness_brief"](tmp_path)
    assert "2 pairs of set and task" in brief
    over = [line for line in brief.splitlines() if line.startswith("| flips only")]
    assert over == [
        "| flips only | classification: s | 3 | -2.0 (-2.0 to -2.0) | +22.0 (-3.4 to +47.4) | "
        "+0.0 (+0.0 to +0.0) |",
        "| flips only | detection: s | 3 | +2.0 (+2.0 to +2.0) | +12.0 (-13.4 to +37.4) | "
        "+0.0 (+0.0 to +0.0) |",
    ]
    assert "| rare | detection: s | 3 | +73.0" in brief
    assert sum(line.startswith("| ") for line in brief.splitlines()) == 2 + len(over) + 1
    assert "| StyleAugment | 42.0 | 71.0 | 61.0 | 71.0 | 71.0 |" in monkey  # severity 3, re-adapted
    assert fill_docs.PAIRS["robustness"](tmp_path / "none") == ""


def test_results_of_other_defaults_are_told_apart(tmp_path):
    scores = {"flips only": ([90, 92], [40, 40]), "StyleAugment": ([88, 90], [60, 64])}
    record = result("classification", scores)
    record["defaults"]["p"] = 0.123
    (tmp_path / "robustness_s-classification.json").write_text(json.dumps(record))
    found = fill_docs.PAIRS["robustness"](tmp_path)
    assert "| StyleAugment, earlier defaults | 89.0 |" in found
    assert "| StyleAugment |" not in found
    assert " over | on |" not in found  # nothing of today to compare


def test_a_longer_run_of_other_defaults_stands_beside_the_usual_one_of_today(tmp_path):
    record = result("classification", {"flips only": ([9, 9],) * 2, "StyleAugment": ([8, 8],) * 2})
    (tmp_path / "robustness_s-classification.json").write_text(json.dumps(record))
    record["defaults"]["p"], record["settings"]["steps"] = 0.123, 12
    (tmp_path / "robustness_s-classification_12-steps.json").write_text(json.dumps(record))
    lines = fill_docs.PAIRS["robustness_budgets"](tmp_path).splitlines()
    assert [tuple(line.split(" | ")[2:4]) for line in lines[2:]] == [
        ("3", "flips only"),
        ("3", "StyleAugment"),
        ("12", "flips only"),
        ("12", "StyleAugment, earlier defaults"),
    ]


@pytest.mark.parametrize("name", ["StyleAugment gradually", "StyleAugment, more of it"])
def test_other_settings_are_compared_where_they_ran(tmp_path, name):
    scores = {"flips only": ([90, 92], [40, 40]), "StyleAugment": ([80, 82], [50, 50])}
    more = {**scores, name: ([89, 91], [52, 52])}
    for kind, some in (("classification", scores), ("segmentation", more)):
        (tmp_path / f"robustness_s-{kind}.json").write_text(json.dumps(result(kind, some)))
    usual, gradual = (
        fill_docs.PAIRS["robustness"](tmp_path)
        .split("| StyleAugment over")[1]
        .split("**")[0]
        .split(f"| {name} over")
    )
    assert name not in usual
    assert "classification" not in gradual
    assert "| flips only | segmentation: s | 3 | -1.0 (-1.0 to -1.0) | +12.0" in gradual
    assert "| StyleAugment | segmentation: s | 3 | +9.0 (+9.0 to +9.0) | +2.0" in gradual


def test_a_peer_followed_by_ours_is_compared_with_both_alone(tmp_path):
    scores = {"flips only": ([90, 92], [40, 40]), "peer": ([80, 82], [50, 50])}
    scores |= {"StyleAugment": ([70, 72], [57, 57]), "peer + StyleAugment": ([60, 62], [59, 59])}
    path = tmp_path / "robustness_s-classification.json"
    path.write_text(json.dumps(result("classification", scores)))
    alone, both = (
        fill_docs.PAIRS["robustness"](tmp_path)
        .split("| StyleAugment over")[1]
        .split("**")[0]
        .split("| peer + StyleAugment over")
    )
    assert [line.split(" | ")[4].split()[0] for line in both.splitlines()[2:5]] == [
        "+19.0",
        "+9.0",
        "+2.0",
    ]
    assert "| peer | classification: s | 3 | -20.0 (-20.0 to -20.0) | +9.0" in both
    assert "peer +" not in alone


def test_the_longest_trainings_are_compared_where_pairs_have_them(tmp_path):
    def write(kind, suffix, steps, images, mine):
        scores = {"flips only": ([90, 92], [40, 40]), "StyleAugment": ([90, 92], mine)}
        record = result(kind, scores)
        record["settings"]["steps"], record["task"]["train"] = steps, images
        (tmp_path / f"robustness_s-{kind}{suffix}.json").write_text(json.dumps(record))

    write("classification", "", 3, 9, [50, 50])
    write("detection", "", 3, 9, [50, 50])
    write("detection", "_99-steps_5-images", 99, 5, [0, 0])
    assert fill_docs.PAIRS["robustness_long"](tmp_path) == ""
    write("detection", "_7-steps", 7, 9, [51, 51])
    write("detection", "_12-steps", 12, 9, [52, 52])
    overall, against = fill_docs.PAIRS["robustness_long"](tmp_path).split("| StyleAugment over")
    assert "| StyleAugment | 91.0 | +0.0 (+0.0 to +0.0) | 52.0 | +12.0" in overall
    assert [line.split(" | ")[:5] for line in against.splitlines()[2:]] == [
        ["| flips only", "detection: s", "12", "+0.0 (+0.0 to +0.0)", "+12.0 (+12.0 to +12.0)"]
    ]


def test_the_readme_has_one_table_of_what_other_settings_gain(tmp_path):
    plain = {"flips only": ([90, 92], [40, 40]), "StyleAugment": ([90, 92], [50, 50])}
    others = {"StyleAugment gradually": 51, "StyleAugment, grainy": 52}
    ours = {name: ([90, 92], [mpc, mpc]) for name, mpc in others.items()}
    after = {"x": ([90, 92], [45, 45]), "x + StyleAugment": ([90, 92], [55, 55])}
    for suffix, steps in (("", 3), ("_7-steps", 7)):
        record = result("detection", {**plain, **ours, **after})
        record["settings"]["steps"] = steps
        (tmp_path / f"robustness_s-detection{suffix}.json").write_text(json.dumps(record))
    brief = fill_docs.PAIRS["robustness_brief"](tmp_path)
    settings = brief.split("| setting, over flips | on |")[1].split("\n\n")[0].splitlines()[2:]
    assert [line.split(" | ")[:3] for line in settings] == [
        [f"| {name}", "detection: s", "7"] for name in others
    ]
    assert settings[1].split(" | ")[4] == "+12.0 (+12.0 to +12.0)"
    assert "| x + StyleAugment over |" in brief
    assert brief.count("| StyleAugment over |") == 2  # after the long training, and the short one


def test_splits_by_look_have_a_table_of_their_own(tmp_path):
    record = result("classification", {"flips only": ([90, 92], [40, 40])})
    assert fill_docs.PAIRS["robustness_looks"](tmp_path) == ""
    for lamp in ("contrast", "brightness", "contrast_small-cnn_9-steps_second-processor"):
        name = f"robustness_s-classification_{lamp}.json"
        (tmp_path / name).write_text(json.dumps(record))
    lines = fill_docs.PAIRS["robustness_looks"](tmp_path).splitlines()
    assert lines[2] == "| s, by brightness | flips only | 91.0 ± 1.0 | 32.0 ± 1.0 |  | 71.0 ± 1.0 |"
    assert lines[3].startswith("| s, by contrast |")
    assert lines[4].startswith("| s, by contrast, small-cnn, 9 steps, second processor |")
    assert fill_docs.PAIRS["robustness"](tmp_path) == ""  # these are no pairs of set and task


def test_other_lines_have_a_table_of_their_own(tmp_path):
    assert fill_docs.PAIRS["robustness_lines"](tmp_path) == ""
    scores = {"rare": ([90, 92], [40, 40]), "flips only": ([80, 84], [40, 40])}
    record = result("classification", scores)
    for row, values in zip(record["scores"].values(), ([70, 72], [60, 60]), strict=True):
        row["elsewhere"] = {"mean": sum(values) / 2, "std": 1.0, "per_seed": values}
        row["elsewhere readapted"] = {"mean": 65.0, "std": 0.0, "per_seed": [65, 65]}
        row["also"] = {"AUROC": {**row, "P": {"mean": 99.0}}}
    (tmp_path / "robustness_s-classification_to-t.json").write_text(json.dumps(record))
    lines = fill_docs.PAIRS["robustness_lines"](tmp_path).splitlines()
    assert (
        lines[2]
        == "| s to t | flips only | 82.0 ± 1.0 | 60.0 ± 1.0 |  | 65.0 ± 0.0 | 99.0 / 60.0 |"
    )
    assert lines[3] == (
        "| s to t | rare | 91.0 ± 1.0 | 71.0 ± 1.0 | +11.0 (-1.7 to +23.7) | 65.0 ± 0.0 | "
        "99.0 / 71.0 |"
    )
    assert fill_docs.PAIRS["robustness"](tmp_path) == ""  # these are no pairs of set and task


def test_runs_of_another_length_or_with_fewer_images_stand_beside_those_of_the_tables(tmp_path):
    for suffix, images, steps, clean in (
        ("", 5, 3, 80),
        ("_12-steps", 5, 12, 90),
        ("_12-steps_2-images", 2, 12, 70),
        ("_12-steps_earlier", 5, 12, 10),
        ("_brightness", 5, 9, 10),
        ("_brightness_small-cnn_9-steps", 5, 9, 10),
    ):
        scores = {"mine": ([clean, clean + 2], [40, 40])} | (
            {} if suffix.startswith("_12-steps") else {"once": ([7, 7], [7, 7])}
        )
        scores["flips only"] = ([9, 9], [9, 9])
        record = result("classification", scores)
        record["settings"]["steps"], record["task"]["train"] = steps, images
        (tmp_path / f"robustness_s-classification{suffix}.json").write_text(json.dumps(record))
    lines = fill_docs.PAIRS["robustness_budgets"](tmp_path).splitlines()
    assert [line.split(" | ")[:6] for line in lines[2:]] == [
        ["| s-classification", "5", "3", "mine", "81.0 ± 1.0", "+72.0 (+59.3 to +84.7)"],
        ["| s-classification", "5", "3", "flips only", "9.0 ± 1.0", ""],
        ["| s-classification", "5", "12", "mine", "91.0 ± 1.0", "+82.0 (+69.3 to +94.7)"],
        ["| s-classification", "5", "12", "flips only", "9.0 ± 1.0", ""],
        ["| s-classification", "2", "12", "mine", "71.0 ± 1.0", "+62.0 (+49.3 to +74.7)"],
        ["| s-classification", "2", "12", "flips only", "9.0 ± 1.0", ""],
    ]
    for other in tmp_path.glob("*_12-steps*.json"):
        other.unlink()
    assert fill_docs.PAIRS["robustness_budgets"](tmp_path) == ""


def test_networks_from_scratch_have_a_table_of_their_own(tmp_path):
    assert fill_docs.PAIRS["robustness_scratch"](tmp_path) == ""
    scores = {"mine": ([80, 82], [60, 60]), "flips only": ([90, 92], [40, 40])}
    record = result("classification", scores)
    for suffix in ("", "_9-steps", "_brightness_small-cnn", "_small-cnn_9-steps"):
        (tmp_path / f"robustness_s-classification{suffix}.json").write_text(json.dumps(record))
    lines = fill_docs.PAIRS["robustness_scratch"](tmp_path).splitlines()
    found = [line.split(" | ") for line in lines[2:]]
    assert [(cells[0], *cells[3:5]) for cells in found] == [
        ("| s-classification", "flips only", "91.0 ± 1.0"),
        ("| s-classification", "mine", "81.0 ± 1.0"),
    ]


def test_settings_are_told_apart_by_means_over_sets_and_seeds(tmp_path):
    assert fill_docs.PAIRS["robustness_ablation"](tmp_path) == ""
    for name, shift in (("s", 0), ("t", 10)):
        record = result("classification", {"mine": ([80, 90], [40, 44])})
        row = record["scores"]["mine"]
        for suite, values in ((VALIDATION_CORRUPTIONS, [20, 30]), (LAMPS, [50, 50])):
            row |= {each: {"per_seed": [v + shift for v in values]} for each in suite}
        path = tmp_path / f"robustness_{name}-classification_validation.json"
        path.write_text(json.dumps(record))
    lines = fill_docs.PAIRS["robustness_ablation"](tmp_path).splitlines()
    assert lines[0] == "Means over s, s; seeds: 2."
    # by seed: (20 + 30) / 2 and (30 + 40) / 2
    assert lines[-1] == "| mine | `flips + mine` | 85.0 ± 7.1 | 30.0 ± 7.1 | 55.0 |"


def test_copies_for_timing_keep_folders_masks_and_boxes(defect_boxes, tmp_path, module):
    commands = module("commands")
    count = commands.copy_some(defect_boxes, 5, tmp_path / "some")
    names = sorted(path.name for path in (tmp_path / "some").iterdir())
    assert count == 5
    assert len(names) == 10
    assert {name.split(".")[0] for name in names} == {n.split(".")[0] for n in names[::2]}
    with pytest.raises(SystemExit, match="styleaug nothing failed"):
        commands.timed(["nothing"])
    assert commands.timed(["packs"])["printed"][0]


def test_new_styles_are_measured_once_each_and_not_on_known_ones(tmp_path):
    from newstyle import unseen

    for folder, count in (("many", 6), ("few", 2)):
        (tmp_path / folder).mkdir()
        for k in range(count):
            Image.new("RGB", (40, 40), (40 * k, 0, 0)).save(tmp_path / folder / f"{folder}{k}.png")
    folders = [tmp_path / "many", tmp_path / "few"]
    pack = SimpleNamespace(info={"settings": {"holdout": 1.0}}, names=("many0",))
    names = [name for name, _ in unseen(folders, pack, 5, {"few0"})]
    assert len(set(names)) == 5
    assert names.count("few1") == 1
    assert not {"many0", "few0"} & set(names)
    with pytest.raises(ValueError, match="--count must be less"):
        unseen(folders, pack, 7, {"few0"})
