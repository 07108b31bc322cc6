"""Result files of the benchmarks, and the tables that docs get from them."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from benchmarks.docs import figures, robustness
from benchmarks.docs.chart import Chart, draw_results
from benchmarks.docs.pages import PAGES, fill
from benchmarks.docs.shifts import Shifts
from benchmarks.newstyles.__main__ import unseen
from benchmarks.rows import Rows, table
from styleaug.evaluate.corruptions import LAMPS, VALIDATION_CORRUPTIONS
from styleaug.evaluate.models import SMALL
from styleaug.evaluate.policies import build_policy, describe_policy
from styleaug.evaluate.results import Result, ResultError, Row
from styleaug.evaluate.statistics import Interval

pytestmark = pytest.mark.usefixtures("one_thread")

# ---------------------------------------------------------------- files


def test_rows_are_read_as_they_were_written(tmp_path):
    rows = [{"name": "a", "value": 0.1}, {"name": "b", "value": None}]
    path = Rows({"purpose": "p"}, rows).save(tmp_path / "x" / "y.json")
    found = Rows.load(path)
    assert (found.meta, found.rows) == ({"purpose": "p"}, rows)
    assert found.value(name="a") == 0.1
    assert found.each("name") == ["a", "b"]
    assert len(path.read_text().split("rows")[1].splitlines()) == 2 + len(rows)


def test_rows_that_differ_in_their_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match="must have the columns"):
        Rows({}, [{"a": 1}, {"b": 1}]).save(tmp_path / "x.json")
    with pytest.raises(ValueError, match="not JSON compliant"):
        Rows({}, [{"a": float("nan")}]).save(tmp_path / "x.json")
    assert not list(tmp_path.iterdir())


def test_files_of_another_format_are_refused(tmp_path):
    (tmp_path / "x.json").write_text('{"images_per_second": {}}')
    with pytest.raises(ResultError, match=r"x\.json is no result of format 1"):
        Rows.load(tmp_path / "x.json")


def test_a_value_must_be_told_by_what_it_is_asked_for():
    rows = Rows({}, [{"name": "a", "value": 1}, {"name": "a", "value": 2}])
    for asked in ({"name": "a"}, {"name": "b"}):
        with pytest.raises(LookupError, match="one row"):
            rows.value(**asked)


def test_tables_leave_missing_cells_empty():
    assert table(["a", "b"], [[1, None]]) == "| a | b |\n| --- | --- |\n| 1 |  |\n"


# ---------------------------------------------------------------- robustness


def result(kind="classification", name="s", *, policies, protocol=None, train=9, seeds=(0, 1)):
    """Clean scores and mPC by policy, each a value a seed; industrial shifts are always 50 and 52.

    ``elsewhere`` is 30 and 34; with adapted batch norms all is 70 and 72.
    """
    told = {
        "model": "net",
        "steps": 3,
        "batch_size": 2,
        "size": 8,
        "corruptions": ["contrast", "dust"],
        **(protocol or {}),
    }
    task = {"name": name, "kind": kind, "metric": "m", "classes": ["a"], "train": train, "test": 4}
    rows = []
    for policy, (clean, robust) in policies.items():
        for place, seed in enumerate(seeds):
            elsewhere = {"elsewhere": (30, 34)} if {"part_by", "line"} & told.keys() else {}
            by_condition = {"clean": clean, "dust": (50, 52), **elsewhere}
            by_condition |= {c: robust for c in told["corruptions"] if c not in ("clean", "dust")}
            for condition, values in by_condition.items():
                severity = 0 if condition in ("clean", "elsewhere") else 3
                score = (condition, severity, "m")
                rows.append(Row(policy, seed, *score, "", float(values[place])))
                rows.append(Row(policy, seed, *score, "target", 70.0 + 2 * place))
                if severity == 0:
                    rows.append(Row(policy, seed, condition, 0, "AUROC", "", 99.0))
            rows.append(Row(policy, seed, "run", 0, "cpu seconds", "", 60.0))
    expressions = dict.fromkeys(policies, "")
    told_apart = [name, kind, train, *(protocol or {}).values()]
    meta = {"name": "-".join(map(str, told_apart)), "purpose": "To see.", "command": "c"}
    meta |= {"machine": {"cpu": "C", "device": "cpu"}, "versions": {}, "protocol": told}
    meta |= {"task": task, "seeds": list(seeds), "policies": expressions}
    return Result(meta, tuple(rows))


def pages(folder: Path, *results: Result):
    """Fills a block from these results."""
    for number, one in enumerate(results):
        one.save(folder / "robustness" / f"{number}.json")

    def filled(template: str) -> list[str]:
        text = fill(f"<!-- results: {template} -->\n<!-- /results -->", folder)
        return text.splitlines()[1:-1]

    return filled


FLIPS = {"flips only": ((90, 92), (40, 40))}


def test_blocks_without_results_are_left_empty(tmp_path):
    templates = Path(robustness.__file__).parent / "templates"
    names = {path.name.removesuffix(".md.j2") for path in templates.glob("*.md.j2")}
    assert len(names) > 10
    for name in names - {"presets"}:  # which needs no results
        text = f"a\n<!-- results: {name} x -->\nold\n<!-- /results -->\nb"
        assert fill(text, tmp_path) == f"a\n<!-- results: {name} x -->\n<!-- /results -->\nb"


def test_presets_are_shown_with_the_defects_that_they_lose(tmp_path):
    lost = {"lost": 2.25, "lost standard error": 0.6, "count": 275}
    rows = [
        {"part": part, "group": "all", "setting": setting, "statistic": name, "value": value}
        for part, setting in (
            ("presets", "lighting"),
            ("others", "photometric mix"),
            ("others", "ColorJitter"),
        )
        for name, value in lost.items()
    ]
    (tmp_path / "quality").mkdir()
    Rows({"name": "presets", "masks": "tiles"}, rows).save(tmp_path / "quality" / "presets.json")
    text = fill("<!-- results: presets -->\n<!-- /results -->", tmp_path)
    assert re.search(r"^\| lighting \| the lighting .* \| 2\.2 ± 0\.6 % \|$", text, re.MULTILINE)
    assert re.search(r"jitter, blur and noise.*2\.2 ± 0\.6 %", text)
    assert "of 275 defects of tiles" in text
    assert re.search(r"^\| mild \| .* \|  \|$", text, re.MULTILINE), "not measured"


def test_every_template_is_used_by_a_page():
    templates = Path(robustness.__file__).parent / "templates"
    used = re.findall(
        r"<!-- results: (\w+)", "".join(page.read_text(encoding="utf-8") for page in PAGES)
    )
    assert set(used) == {path.name.removesuffix(".md.j2") for path in templates.glob("*.md.j2")}


def test_policies_are_compared_over_datasets_of_one_kind_and_never_over_kinds(tmp_path):
    first = {**FLIPS, "StyleAugment": ((88, 90), (60, 64))}
    second = {"flips only": ((70, 72), (20, 20)), "StyleAugment": ((72, 74), (30, 34))}
    filled = pages(
        tmp_path,
        result(policies={**first, "rare": ((0, 0), (0, 0))}),
        result(name="t", policies=second),
        result("detection", policies={**second, "StyleAugment, more": ((0, 0), (0, 0))}),
    )
    lines = filled("robustness_short")
    assert lines[0] == "**Classification** of s, t: m in percent, 3 steps, 2 seeds."
    # by seed: clean 0 and 0; mPC (20 + 10) / 2 and (24 + 14) / 2
    assert lines[4].startswith("| flips only | 81.0 ± 1.4 |  | 30.0 ± 0.0 |  | 51.0 ± 1.4 |")
    assert lines[5].startswith(
        "| StyleAugment | 81.0 ± 1.4 | +0.0 (+0.0 to +0.0) | 47.0 ± 2.8 | +17.0 (-8.4 to +42.4) |"
    )
    assert "**Detection** of s: m in percent, 3 steps, 2 seeds." in lines
    assert "| StyleAugment | 73.0 ± 1.4 | +2.0 (+2.0 to +2.0) | 32.0 ± 2.8 |" in "\n".join(lines)
    assert "rare" not in lines[4]  # it did not run on both
    assert any(line.startswith("| rare | s | +89.0") for line in lines)  # where it ran
    assert "| StyleAugment | 47 |" in filled("robustness_conditions")  # contrast, over both
    adapted = filled("robustness_adapted")
    assert "| StyleAugment | 47.0 | 71.0 | 51.0 | 71.0 | 71.0 |" in adapted
    assert "| StyleAugment | 99.0 | 60 |" in filled("robustness_datasets")  # AUROC and seconds
    head = "| detection: StyleAugment, more over | on |"
    over = next(n for n, line in enumerate(lines) if line.startswith(head))
    assert [line.split(" | ")[0] for line in lines[over + 2 : over + 4]] == [
        "| flips only",
        "| StyleAugment",
    ]


def test_ours_after_a_baseline_is_compared_with_both(tmp_path):
    policies = {**FLIPS, "x": ((80, 82), (50, 50)), "StyleAugment": ((70, 72), (57, 57))}
    policies["x + StyleAugment"] = ((60, 62), (59, 59))
    lines = pages(tmp_path, result(policies=policies))("robustness_short")
    at = next(n for n, line in enumerate(lines) if "x + StyleAugment over" in line)
    assert [line.split(" | ")[:4] for line in lines[at + 2 : at + 4]] == [
        ["| x", "s", "-20.0 (-20.0 to -20.0)", "+9.0 (+9.0 to +9.0)"],
        ["| StyleAugment", "s", "-10.0 (-10.0 to -10.0)", "+2.0 (+2.0 to +2.0)"],
    ]


def test_policies_of_settings_that_are_no_longer_todays_say_so(tmp_path):
    policies = {**FLIPS, "StyleAugment": ((88, 90), (60, 64))}
    one = result(policies=policies)
    texts = {"flips only": "", "StyleAugment": "StyleAugment()"}
    settings = {name: describe_policy(build_policy(text)) for name, text in texts.items()}
    for p, name in ((0.7, "StyleAugment"), (0.123, "StyleAugment, earlier settings")):
        settings["StyleAugment"][0]["p"] = p
        meta = json.loads(json.dumps({**one.meta, "policies": texts, "settings": settings}))
        run = robustness.Run(Result(meta, one.rows))
        assert run.policies == ["flips only", name]
        assert run.scores(name, "clean") == {0: 88, 1: 90}


def test_the_longest_trainings_with_as_many_images_and_seeds_stand_together(tmp_path):
    def run(steps, mpc, **more):
        policies = {**FLIPS, "StyleAugment": ((90, 92), (mpc, mpc))}
        return result("detection", policies=policies, protocol={"steps": steps}, **more)

    runs = [run(3, 50), run(99, 0, train=5)]
    assert pages(tmp_path / "few", *runs)("robustness_long") == []
    filled = pages(tmp_path / "more", *runs, run(7, 51), run(12, 52))
    assert "12 steps" in filled("robustness_long")[0]
    assert "| +12.0 (+12.0 to +12.0) |" in filled("robustness_long")[5]
    assert " 3 steps" in filled("robustness_short")[0]
    # 3, then 12 steps of 2 images, of 9 to train on
    assert [line.split(" | ")[:2] for line in filled("robustness")[2:]] == [
        ["| detection", "1"],
        ["| detection", "3"],
    ]
    budgets = [line.split(" | ")[:4] for line in filled("robustness_budgets")[2:]]
    assert [(row[1], row[2]) for row in budgets[::2]] == [
        ("9", "3"),
        ("9", "7"),
        ("9", "12"),
        ("5", "99"),
    ]


def test_one_seed_stands_among_the_budgets_alone(tmp_path):
    runs = [result(policies=FLIPS, protocol={"steps": steps}, seeds=(0,)) for steps in (3, 12)]
    filled = pages(tmp_path, *runs)
    assert filled("robustness") == filled("robustness_short") == filled("robustness_long") == []
    assert filled("robustness_budgets")[2].startswith(
        "| s, classification | 9 | 3 | flips only | 90.0 |"
    )


def test_splits_by_look_and_by_line_have_tables_of_their_own(tmp_path):
    policies = {"rare": ((70, 72), (40, 40)), **FLIPS}
    small = {"part_by": "contrast", "model": SMALL}
    filled = pages(
        tmp_path,
        result(policies=policies, protocol={"part_by": "brightness"}),
        result(name="t", policies=FLIPS, protocol=small),
        result(policies=policies, protocol={"line": "other"}),
    )
    looks = filled("robustness_looks")
    assert looks[2] == (
        "| s, by brightness, net, 3 steps | rare | 71.0 ± 1.4 | 32.0 ± 2.8 | "
        "+0.0 (+0.0 to +0.0) | 71.0 ± 1.4 |"
    )
    assert looks[4].startswith(f"| t, by contrast, {SMALL}, 3 steps | flips only |")
    lines = filled("robustness_lines")
    assert lines[2].startswith("| s to other | rare | 71.0 ± 1.4 | 32.0 ± 2.8 |")
    assert lines[2].endswith("| 99.0 ± 0.0 / 99.0 ± 0.0 |")
    assert filled("robustness_short") == filled("robustness_scratch") == []


def test_networks_from_scratch_settings_and_trials_have_tables_of_their_own(tmp_path):
    names = [*VALIDATION_CORRUPTIONS, *LAMPS]
    filled = pages(
        tmp_path,
        result(policies=FLIPS, protocol={"model": SMALL}),
        result(name="t", policies=FLIPS, protocol={"corruptions": names}),
        result(name="u", policies={"mine": ((80, 82), (60, 60))}),
    )
    assert filled("robustness_scratch")[2].startswith("| s, classification | 9 | 3 | flips only |")
    assert filled("robustness_settings")[-1] == (
        "| flips only |  | 91.0 ± 1.4 | 40.0 ± 0.0 | 40.0 ± 0.0 |"
    )
    assert filled("robustness_trials")[-1] == "| mine | 81.0 ± 1.4 | 60.0 ± 0.0 | 51.0 ± 1.4 |"
    assert filled("robustness_short") == []


# ---------------------------------------------------------------- figures


def test_the_same_numbers_draw_the_same_figure(tmp_path):
    pytest.importorskip("matplotlib", reason="figures are an extra")
    drawn = [figures.draw_tradeoff(out=tmp_path / f"{n}.svg").read_text() for n in range(2)]
    assert drawn[0] == drawn[1]
    assert "texture 0.25" in drawn[0]


@pytest.mark.parametrize(
    ("gain", "standing"),
    [
        (Interval(2.0, 0.5, 3.5), "ahead of"),
        (Interval(-2.0, -3.5, -0.5), "behind"),
        (Interval(2.0, -0.5, 4.5), "not significantly different from"),
        (Interval(2.0), "not significantly different from"),
    ],
)
def test_a_policy_is_ahead_only_if_its_interval_excludes_zero(gain, standing):
    """What prose says of a gain must follow from its interval."""
    assert robustness.standing(gain) == standing


# ---------------------------------------------------------------- new styles


def test_new_styles_are_measured_once_each_and_not_on_known_ones(tmp_path):
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


# ---------------------------------------------------------------- real shifts


def shift(name, scores, *, kind="classification", metric="balanced accuracy", seeds=(0, 1)):
    """Scores elsewhere by policy: as trained and matched, each a value a seed."""
    protocol = {"size": 8, "steps": 3, "batch_size": 2}
    task = {"name": "s", "kind": kind, "metric": metric, "classes": ["a"], "train": 9, "test": 4}
    meta = {"name": name, "purpose": f"About {name}.", "command": "c", "machine": {}}
    meta |= {"versions": {}, "protocol": protocol, "task": task, "seeds": list(seeds)}
    rows = []
    for policy, (trained, matched) in scores.items():
        for place, seed in enumerate(seeds):
            values = {"": trained[place], "target": 1.0, "matched": matched[place]}
            rows += [Row(policy, seed, "elsewhere", 0, metric, how, v) for how, v in values.items()]
            rows += [Row(policy, seed, "clean", 0, metric, how, 99.0) for how in values]
    return Result(meta, tuple(rows))


def test_policies_are_compared_over_shifts_of_one_kind_and_over_all(tmp_path):
    flips = ((50.0, 52.0), (70.0, 72.0))
    results = [
        shift("lighting-a", {"flips only": flips, "Relight": ((60.0, 62.0), (80.0, 82.0))}),
        shift("lighting-b", {"flips only": flips, "Relight": ((70.0, 72.0), (72.0, 74.0))}),
        shift("line-c", {"flips only": flips, "Relight": ((50.0, 54.0), (60.0, 62.0)), "x": flips}),
        shift("lighting-d", {"flips only": flips}, kind="segmentation", metric="IoU"),
    ]
    shifts = Shifts.of(results)
    assert [pair.name for pair in shifts.pairs] == [
        "lighting-a",
        "lighting-b",
        "lighting-d",
        "line-c",
    ]
    assert [pair.name for pair in shifts.others] == ["lighting-d"]
    classes = shifts.classes
    assert classes.kinds == ["lighting", "line"]
    assert classes.policies == ["flips only", "Relight"]  # x did not run everywhere
    lit = shift("lighting-a", {"flips only": flips, "lighting": ((60.0, 62.0), (80.0, 82.0))})
    other = shift("line-c", {"flips only": flips, "default": ((40.0, 42.0), (60.0, 62.0))})
    chosen = Shifts.of([lit, other])  # on each pair the preset for what changes there
    assert chosen.policies == ["flips only", "the preset for it"]
    assert chosen.scores("the preset for it") == {0: 50, 1: 52}
    partly, first, second = classes.overview()
    assert partly[:3] == ["x", None, None], "x ran on the other line alone"
    assert (partly[3].mean, partly[4].mean, *partly[5:]) == (0, 20, None, None)
    assert first[0] == "flips only"  # 70, 70, 70 adapted against 80, 72, 60: 70 and 70.67
    assert first[1] is None
    assert first[2].mean == 20  # what adaptation alone gains
    name, lit, lit_adapted, line, line_adapted, mean_of, mean_adapted = second
    assert (name, lit.mean, lit_adapted.mean) == ("Relight", 15, 26)
    assert (line.mean, line_adapted.mean) == (1, 10)
    assert mean_of.mean == pytest.approx((10 + 20 + 1) / 3)
    assert mean_adapted.mean == pytest.approx((30 + 22 + 10) / 3)
    assert classes.gain("Relight", "matched", baseline="matched").mean == pytest.approx(2 / 3)


def test_each_shift_has_a_table_and_boxes_are_not_averaged_with_classes(tmp_path):
    scores = {"flips only": ((50.0, 52.0), (70.0, 72.0)), "b": ((60.0, 62.0), (60.0, 64.0))}
    for one in (shift("lighting-a", scores), shift("line-c", scores, kind="detection")):
        one.save(tmp_path / "real" / f"{one.meta['name']}.json")
    shift("lighting-a", scores).save(tmp_path / "scratch" / "lighting-a.json")

    def filled(template):
        return fill(f"<!-- results: {template} -->\n<!-- /results -->", tmp_path).splitlines()

    text = "\n".join(filled("shifts_pairs"))
    assert text.count("| policy | own side") == 2
    assert "**About line-c.**" in text
    rows = [line for line in text.splitlines() if line.startswith("| b |")]
    assert "| 61.0 ± 1.4 | +10.0 (+10.0 to +10.0) | 1.0 ± 0.0 | 62.0 ± 2.8 |" in rows[0]
    ways = "\n".join(filled("shifts_adapted"))
    assert "| b | 61.0 | 1.0 | 62.0 | +61.0 (+35.6 to +86.4) | 99.0 |" in ways
    overview = "\n".join(filled("shifts"))
    heads = "| policy | lighting | lighting, adapted | mean of 1 pair |"
    assert heads in overview
    small = "\n".join(filled("shifts_scratch"))
    assert "3 steps for each policy, 2 seeds." in small
    assert heads in small
    assert "| b | 61.0 | 1.0 | 62.0 | +61.0 (+35.6 to +86.4) | 99.0 |" in small


def test_the_style_network_is_left_out_of_the_default_in_a_table_of_its_own(tmp_path):
    scores = {
        "flips only": ((50.0, 52.0), (70.0, 72.0)),
        "default, no material": ((60.0, 62.0), (81.0, 83.0)),
        "default": ((63.0, 65.0), (80.0, 82.0)),
    }
    shift("lighting-a", scores).save(tmp_path / "real" / "a.json")
    text = fill("<!-- results: shifts -->\n<!-- /results -->", tmp_path)
    both = "+3.0 (+3.0 to +3.0) | -1.0 (-1.0 to -1.0)"
    assert f"| {both} | {both} |" in text


def test_a_trial_on_a_shift_shows_what_adaptation_reaches(tmp_path):
    """A trial has no flips; its networks are scored on the other side, in three ways."""
    one = shift("lighting-a", {"b": ((60.0, 62.0), (70.0, 72.0))})
    settings = {"size": 8, "corruptions": [], "model": "net", "steps": 3, "batch_size": 2}
    protocol = {**one.meta["protocol"], **settings}
    one = Result({**one.meta, "policies": {"b": ""}, "protocol": protocol}, one.rows)
    one.save(tmp_path / "robustness" / "a.json")
    text = fill("<!-- results: robustness_trials -->\n<!-- /results -->", tmp_path)
    assert "| policy | clean | other side | new statistics | matched |" in text
    assert "| b | 99.0 ± 0.0 | 61.0 ± 1.4 | 1.0 ± 0.0 | 71.0 ± 1.4 |" in text


def test_losses_of_shifts_are_listed_and_gains_are_not(tmp_path):
    """What is ahead of the preset, and what adaptation costs, must be told; if sure, in bold."""
    scores = {
        "flips only": ((50.0, 52.0), (40.0, 41.0)),
        "AugMix": ((69.0, 70.0), (70.0, 91.0)),
        "lighting": ((60.0, 60.0), (80.0, 80.0)),
    }
    shift("lighting-a", scores).save(tmp_path / "real" / "a.json")
    shift("lighting-b", {**scores, "AugMix": scores["flips only"]}).save(
        tmp_path / "real" / "b.json"
    )
    fine = {
        "flips only": ((50.0, 52.0), (70.0, 72.0)),
        "material": ((60.0, 62.0), (50.0, 52.0)),
        "default": ((50.0, 52.0), (80.0, 82.0)),  # the preset for a network that is adapted
    }
    shift("material-c", fine).save(tmp_path / "real" / "c.json")
    table = fill("<!-- results: shifts_losses -->\n<!-- /results -->", tmp_path).splitlines()
    assert table[3:-1] == [
        "| `lighting-a` | **AugMix +9.5** | AugMix +0.5 | **flips only -10.5** |",
        "| `lighting-b` |  |  | **flips only -10.5** |",
        "| `material-c` |  |  | **material -10.0** |",
    ]
    sides = fill("<!-- results: shifts_sides -->\n<!-- /results -->", tmp_path)
    both = "| About material-c | material; adapted: default |"
    assert f"{both} 99.0 | 51.0 | 71.0 | 99.0 | 61.0 | 81.0 |" in sides


# ---------------------------------------------------------------- the chart of README


def charted(runs, *shifts):
    """The chart of long and short trainings with these scores, and of these shifts."""
    both = [result(policies=runs, protocol={"steps": steps}) for steps in (3, 12)]
    return Chart.of(robustness.Runs(both), Shifts.of(shifts) if shifts else None)


RUNS = {
    **FLIPS,
    "TrivialAugmentWide": ((80, 84), (50, 50)),
    "AugMix": ((80, 84), (49, 49)),
    "PixMix": ((80, 84), (99, 99)),  # did not run on the shifts
    "photometric mix": ((90, 92), (60, 60)),
    "StyleAugment": ((90, 92), (70, 70)),
}
SHIFTED = {
    "flips only": ((50.0, 52.0), (70.0, 72.0)),
    "TrivialAugmentWide": ((50.0, 52.0), (70.0, 72.0)),
    "AugMix": ((50.0, 52.0), (99.0, 99.0)),
    "photometric mix": ((50.0, 52.0), (70.0, 72.0)),
    "default": ((60.0, 62.0), (80.0, 82.0)),
    "lighting": ((61.0, 63.0), (90.0, 92.0)),
    "material": ((63.0, 65.0), (70.0, 72.0)),
}
SHIFTS = (shift("lighting-a", SHIFTED), shift("material-b", SHIFTED))


def test_the_chart_has_the_same_policies_everywhere_and_the_preset_for_the_shift_apart():
    """The default must stand beside the baselines in each group, and no other setting for it."""
    groups = charted(RUNS, *SHIFTS).groups
    same = ["flips only", "TrivialAugmentWide", "photometric mix", "StyleAugment()"]
    titles = ["clean\n1 datasets", "corruptions\n1 datasets", "new lighting\n1 shifts"]
    assert list(groups) == [*titles, "new material\n1 shifts"]
    for title, bars in groups.items():
        shifted = "shifts" in title
        extra = ["StyleAugment('lighting' | 'material')"] if shifted else []
        assert [bar.policy for bar in bars] == same + extra
        assert all((bar.adapted is None) == ("datasets" in title) for bar in bars)
    lit = groups["new lighting\n1 shifts"]
    assert [round(bar.trained.mean) for bar in lit] == [51, 51, 51, 61, 62]
    assert lit[-1].adapted.mean == pytest.approx(91)
    assert groups["corruptions\n1 datasets"][-1].trained.mean == 70


def test_there_is_no_chart_until_all_of_it_is_measured():
    """A missing policy or a missing kind of shift must leave the chart out, not break docs."""
    assert charted(RUNS) is None
    assert charted({name: RUNS[name] for name in RUNS if "mix" not in name}, *SHIFTS) is None
    assert charted({**FLIPS, "photometric mix": RUNS["AugMix"]}, *SHIFTS) is None
    assert charted(RUNS, *SHIFTS[:1]) is None


def test_the_chart_is_drawn_for_light_and_dark(tmp_path):
    """The file must hold every policy, group and score, and colours for dark readers."""
    pytest.importorskip("matplotlib", reason="figures are an extra")
    text = draw_results(charted(RUNS, *SHIFTS), tmp_path / "x.svg").read_text()
    for found in ("TrivialAugmentWide", "StyleAugment()", "new material", ">70<", ">91<"):
        assert found in text
    assert "prefers-color-scheme: dark" in text
    assert draw_results(None, tmp_path / "none.svg") is None


def test_sentences_of_the_chart_follow_from_the_scores(tmp_path):
    """README's sentences must say what the results say, and hold when figures move."""
    for steps in (3, 12):
        one = result(policies=RUNS, protocol={"steps": steps})
        one.save(tmp_path / "robustness" / f"{steps}.json")
    for one in SHIFTS:
        one.save(tmp_path / "real" / f"{one.meta['name']}.json")
    SHIFTS[0].save(tmp_path / "scratch" / "lighting-a.json")
    text = fill("<!-- results: chart -->\n<!-- /results -->", tmp_path)
    assert "+30.0 points over flips and +20.0 over TrivialAugmentWide" in text
    # on the shifts another baseline is the best one, once adapted
    best = "the best baselines 51.0 % (TrivialAugmentWide) and 99.0 % (AugMix)"
    mine = "the preset for the change (new material adapted: the default) 63.0 % and 86.0 %"
    assert f"{best}; {mine}" in " ".join(text.split())
    small = next(line for line in text.splitlines() if "from scratch" in line)
    for policy in ("flips only", "photometric mix", "default"):
        for way in ("", "matched"):
            scores = SHIFTS[0].scores(policy, "elsewhere", adapted=way)
            assert f"{sum(scores.values()) / len(scores):.1f}" in small
    gains = "+13.0 (+13.0 to +13.0) against flips, +13.0 (+13.0 to +13.0) against"
    assert gains in text
    assert "against the photometric mix; adapted, it is\n  behind `StyleAugment()`." in text
    assert "`StyleAugment()` is ahead of the photometric mix" in text
