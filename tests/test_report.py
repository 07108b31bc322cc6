"""The report of robustness: one file, complete, with nothing loaded from elsewhere."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import styleaug.evaluate.report
from styleaug.evaluate import Robustness, write_report
from styleaug.evaluate.corruptions import Condition, corrupt_images
from styleaug.evaluate.metrics import METRICS, Metric
from styleaug.evaluate.robustness import pool_seeds

SUITES = {"industrial": ("dust", "defocus")}


def rows(count):
    """Of 20 images of two classes, the first so many are right."""
    told = np.eye(2)[np.arange(20) % 2]
    return np.stack([told, told * (np.arange(20) < count)[:, None]], axis=1)


def result(right, metric="balanced accuracy", names=("dust", "defocus"), levels=(1, 3)):
    """Of 20 images, so many are right under each condition; all when clean."""
    found = {Condition(name, level): rows(right) for name in names for level in levels}
    return Robustness.of(metric, {None: rows(20), **found}, SUITES)


def test_the_report_holds_every_figure(tmp_path):
    path = tmp_path / "report.html"
    write_report(
        path,
        {"flips <only>": result(10), "styled": result(15)},
        title="Parts & lamps",
        notes=["1 < 2"],
    )
    page = path.read_text(encoding="utf-8")
    assert "<h1>Parts &amp; lamps</h1>" in page
    assert "<title>Parts &amp; lamps</title>" in page
    assert "<p>1 &lt; 2</p>" in page
    assert "flips &lt;only&gt;" in page
    assert "flips <only>" not in page
    row = re.search(r"<td>styled</td>(.*?)</tr>", page)[1]
    cells = re.findall(r"<td>(.*?)</td>", row)
    assert cells[:5] == ["100.0", "+0.0 (+0.0 to +0.0)", "75.0", "75.0", "0.50"]
    assert cells[5].startswith("+25.0 (+")
    assert "20 test images, seeds: 1. Intervals are for other test images." in page
    for condition in ("dust, 1", "dust, 3", "defocus, 1", "defocus, 3"):
        assert f"<td>{condition}</td><td>50.0</td><td>75.0</td>" in page
    assert page.count("<rect") == 4
    assert not re.search(r"https?://|<script", page)
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def uneven(tmp_path):
    """Two models that differ everywhere but in names, and the page of their report."""
    suites = {"industrial": ("dust", "defocus"), "lamps <all>": ("exposure",)}

    def model(clean, **right):
        shifted = {
            Condition(name, level): rows(count)
            for name, counts in right.items()
            for level, count in zip((1, 3), counts, strict=True)
        }
        return Robustness.of("balanced accuracy", {None: rows(clean), **shifted}, suites)

    models = {
        "flips": model(20, dust=(8, 8), defocus=(8, 8), exposure=(12, 4)),
        "styled": model(16, dust=(14, 6), defocus=(16, 12), exposure=(14, 14)),
    }
    write_report(tmp_path / "report.html", models)
    return models, (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_summary_tells_suites_and_models_apart(uneven):
    models, page = uneven
    first, second = models.values()
    change = str(second.interval(over=first, clean=True).in_percent())
    gains = [str(second.interval(suite, over=first).in_percent()) for suite in first.suites]
    assert change.startswith("-20.0 (-")
    assert [gain[:8] for gain in gains] == ["+20.0 (+", "+30.0 (+"]
    found = [
        re.findall(r"<td>(.*?)</td>", re.search(rf"<td>{name}</td>(.*?)</tr>", page)[1])
        for name in models
    ]
    assert found == [
        ["100.0", "", "40.0", "40.0", "1.00", "", "40.0", "40.0", "1.00", ""],
        ["80.0", change, "60.0", "75.0", "0.67", gains[0], "70.0", "87.5", "0.50", gains[1]],
    ]
    assert "<h2>lamps &lt;all&gt;</h2>" in page
    assert "<all>" not in page
    for cells in ("dust, 1</td><td>40.0</td><td>70.0", "dust, 3</td><td>40.0</td><td>30.0"):
        assert f"<td>{cells}</td>" in page


def test_gains_are_told_condition_by_condition(uneven):
    (first, second), page = uneven[0].values(), uneven[1]
    for name, mean in (("dust", "+10.0"), ("defocus", "+30.0"), ("exposure", "+30.0")):
        gain = str(second.interval(name, over=first).in_percent())
        assert gain.startswith(f"{mean} (")
        assert f"<td>{name}</td><td>{gain}</td></tr>" in page


def test_bars_are_means_over_severities_and_ticks_are_clean_scores(uneven):
    _, page = uneven
    legend = re.findall(r'color:(#\w+)">&#9632;</span> (\w+)', page)
    assert [name for _, name in legend] == ["flips", "styled"]
    (blue, _), (orange, _) = legend
    bars = re.findall(r'<rect x="150" y="(\d+)" width="([\d.]+)" height="7" fill="(.*?)"', page)
    assert bars == [
        ("0", "160.0", blue), ("8", "200.0", orange), ("24", "160.0", blue),
        ("32", "280.0", orange), ("0", "160.0", blue), ("8", "280.0", orange),
    ]  # fmt: skip
    ticks = re.findall(r'<line x1="([\d.]+)" x2="\1" y1="(\d+)" y2="\d+" stroke="(#\w{6})"', page)
    assert ticks == [
        ("550.0", "0", blue), ("470.0", "8", orange), ("550.0", "24", blue),
        ("470.0", "32", orange), ("550.0", "0", blue), ("470.0", "8", orange),
    ]  # fmt: skip


def test_conditions_of_a_suite_that_were_not_evaluated_are_left_out(tmp_path):
    write_report(tmp_path / "report.html", {"a": result(10, names=("dust",))})
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<rect") == 1
    assert "defocus" not in page


@pytest.mark.parametrize(
    ("seeds", "told", "gain"),
    [
        (1, "One seed: no intervals.", "+25.0"),
        (2, "seeds: 2. Intervals are for other seeds.", "+25.0 (+25.0 to +25.0)"),
    ],
)
def test_slow_metrics_have_intervals_over_seeds_alone(tmp_path, monkeypatch, seeds, told, gain):
    score = METRICS["balanced accuracy"].score
    monkeypatch.setitem(METRICS, "slow", Metric("slow", lambda *_: None, score, quick=False))
    models = {n: pool_seeds([result(r, "slow")] * seeds) for n, r in (("a", 10), ("b", 15))}
    write_report(tmp_path / "report.html", models)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"<td>{gain}</td>" in page
    assert told in page


def test_examples_are_shown_under_each_condition(tmp_path, monkeypatch):
    images = np.full((5, 24, 30, 3), 128, np.uint8)
    wanted = []

    def corrupt(images, condition):
        wanted.append(condition)
        return corrupt_images(images, condition)

    monkeypatch.setattr(styleaug.evaluate.report, "corrupt_images", corrupt)
    write_report(tmp_path / "report.html", {"a": result(10)}, examples=images)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 3
    assert "<figcaption>dust, 3</figcaption>" in page
    assert wanted == [Condition("dust", 3), Condition("defocus", 3)]
    for data in re.findall(r'base64,(.*?)"', page):
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (3 * 30, 24)


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ({}, "at least one result"),
        ({"a": result(1), "b": replace(result(1), metric="AUROC")}, "'b' has AUROC under 4"),
        ({"a": result(1), "b": result(1, names=("dust",))}, "under 2 and the first"),
        ({"a": result(1), "b": result(1, levels=(1, 5))}, "severities too"),
    ],
)
def test_results_that_do_not_compare_are_refused(tmp_path, results, words):
    with pytest.raises(ValueError, match=words):
        write_report(tmp_path / "report.html", results)
    assert not list(tmp_path.iterdir())
