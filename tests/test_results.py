"""Result files: written, read, checked, and computed from."""

import json

import pytest

from styleaug.evaluate.records import command_line, machine_record, package_versions
from styleaug.evaluate.results import CLEAN, Result, ResultError, Row, read_results

META = {
    "name": "x",
    "purpose": "Try.",
    "command": "python",
    "machine": {},
    "versions": {},
    "protocol": {},
    "task": {"metric": "IoU"},
    "seeds": [0, 1],
    "policies": {"a": "", "b": "AugMix()"},
}


def row(policy="a", seed=0, condition=CLEAN, severity=0, metric="IoU", adapted="", value=50.0):
    return Row(policy, seed, condition, severity, metric, adapted, value)


@pytest.fixture
def result():
    rows = [
        *(row(seed=s, value=90 + s) for s in (0, 1)),
        *(row(seed=s, condition="fog", severity=k, value=k + s) for s in (0, 1) for k in (1, 3)),
        *(row(seed=s, condition="dust", severity=3, value=7) for s in (0, 1)),
        row(metric="pixel AP", value=10),
        row(adapted="target", value=95),
        row(condition="train", metric="seconds", value=3),
        *(row("b", s, value=80) for s in (0, 1)),
        *(row("b", s, "fog", k, value=2) for s in (0, 1) for k in (1, 3)),
    ]
    return Result(META, tuple(rows))


def test_what_is_written_is_read(result, tmp_path):
    result.save(tmp_path / "x.json")
    assert Result.load(tmp_path / "x.json") == result
    assert read_results(tmp_path) == {"x": result}
    assert json.loads((tmp_path / "x.json").read_text())["columns"] == list(Row._fields)
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_results_of_before_tell_whether_norms_were_adapted(result, tmp_path):
    result.save(tmp_path / "x.json")
    text = (tmp_path / "x.json").read_text()
    (tmp_path / "x.json").write_text(text.replace('"",', "false,").replace('"target",', "true,"))
    assert Result.load(tmp_path / "x.json").rows == result.rows


def test_what_it_holds(result):
    assert result.policies == ["a", "b"]
    assert result.seeds == [0, 1]
    assert result.metrics == ["IoU", "pixel AP"]
    assert result.conditions == [CLEAN, "fog"]  # b was not tested under dust


def test_scores_are_means_over_conditions_and_severities_by_seed(result):
    assert result.scores("a") == {0: 90, 1: 91}
    assert result.scores("a", ["fog", "dust"]) == {0: 11 / 3, 1: 13 / 3}
    assert result.scores("a", "fog", severity=3) == {0: 3, 1: 4}
    assert result.scores("a", adapted="target") == {0: 95}
    assert result.scores("a", metric="pixel AP") == {0: 10}
    assert result.scores("a", "fog", adapted="target") == {}


def test_means_over_unequal_conditions_are_refused(result):
    """Fourteen corruptions do not compare with fifteen."""
    with pytest.raises(ResultError, match="not measured under all of fog, dust"):
        result.scores("b", ["fog", "dust"])
    partly = Result(META, tuple(r for r in result.rows if r[:4] != ("a", 1, "fog", 3)))
    with pytest.raises(ResultError, match="with every seed"):
        partly.scores("a", "fog")


def test_rows_are_selected_by_any_column(result):
    assert {r.policy for r in result.select(policy="b").rows} == {"b"}
    assert len(result.select(condition={"fog", "dust"}, seed=1, policy="a").rows) == 3
    with pytest.raises(ValueError, match=r"but got \['colour'\]"):
        result.select(colour=1)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(), row(value=3.0)], "Row 1 repeats"),
        ([row(value=float("nan"))], "value must be finite"),
        ([row(value="3")], "value must not be '3'"),
        ([row(severity=6)], "severity must be 0 to 5"),
        ([row(seed=True)], "seed must not be True"),
        ([row(adapted=True)], "adapted must not be True"),
        ([row(adapted="somehow")], "adapted must not be 'somehow'"),
        ([row("c")], "knows no policy 'c'"),
    ],
)
def test_rows_that_make_no_sense_are_refused(rows, words):
    with pytest.raises(ResultError, match=words):
        Result(META, tuple(rows))


def test_metadata_must_tell_the_purpose():
    with pytest.raises(ResultError, match="lacks purpose"):
        Result({k: v for k, v in META.items() if k != "purpose"}, ())


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        json.dumps({"format": 2, "columns": list(Row._fields), "meta": META, "rows": []}),
        json.dumps({"format": 1, "columns": ["seed"], "meta": META, "rows": []}),
        json.dumps({"format": 1, "columns": list(Row._fields), "meta": META, "rows": [[1]]}),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, text):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(ResultError, match=r"bad\.json is no"):
        Result.load(tmp_path / "bad.json")


def test_records_name_no_host_and_no_folder(tmp_path):
    record = machine_record()
    assert {"cpu", "cores", "torch_threads", "device", "python"} < record.keys()
    assert record["device"] == "cpu"
    assert record["cores"] >= 1
    versions = package_versions(["torch", "no-such-package"])
    assert versions["no-such-package"] == "not installed"
    assert versions["torch"][0].isdigit()
    command = command_line(
        "benchmarks.robustness", [str(tmp_path / "a b"), f"x={tmp_path}/y", "--jobs", "2"]
    )
    assert command == "python -m benchmarks.robustness 'a b' x=y --jobs 2"
