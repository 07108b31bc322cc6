"""The report of robustness: one file, complete, with nothing loaded from elsewhere."""

import re

import numpy as np
import pytest

from styleaug.robustness import Robustness, write_report
from styleaug.robustness.corruptions import Condition

SUITES = {"industrial": ("dust", "defocus")}


def result(right, metric="balanced accuracy", names=("dust", "defocus")):
    """Of 20 images of two classes, so many are right under each condition; all when clean."""

    def rows(count):
        told = np.eye(2)[np.arange(20) % 2]
        return np.stack([told, told * (np.arange(20) < count)[:, None]], axis=1)

    shifted = {Condition(name, level): rows(right) for name in names for level in (1, 3)}
    return Robustness(metric, rows(20), shifted, SUITES)


def test_the_report_holds_every_figure(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, {"flips <only>": result(10), "styled": result(15)}, title="Parts & lamps")
    page = path.read_text(encoding="utf-8")
    assert "<h1>Parts &amp; lamps</h1>" in page
    assert "flips &lt;only&gt;" in page
    assert "flips <only>" not in page
    row = re.search(r"<td>styled</td>(.*?)</tr>", page)[1]
    cells = re.findall(r"<td>(.*?)</td>", row)
    assert cells[:4] == ["100.0", "75.0", "75.0", "0.50"]
    assert cells[4].startswith("+25.0 (+")
    for condition in ("dust, 1", "dust, 3", "defocus, 1", "defocus, 3"):
        assert f"<td>{condition}</td><td>50.0</td><td>75.0</td>" in page
    assert page.count("<rect") == 4
    assert not re.search(r"https?://|<script", page)
    assert not list(tmp_path.glob(".*"))


def test_examples_are_shown_under_each_condition(tmp_path):
    images = np.full((5, 24, 24, 3), 128, np.uint8)
    write_report(tmp_path / "report.html", {"a": result(10)}, examples=images)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 3
    assert "<figcaption>dust, 3</figcaption>" in page


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ({}, "at least one result"),
        ({"a": result(1), "b": result(1, "AUROC")}, "'b' has AUROC under 2"),
        ({"a": result(1), "b": result(1, names=("dust",))}, "under 1 and the first"),
    ],
)
def test_results_that_do_not_compare_are_refused(tmp_path, results, words):
    with pytest.raises(ValueError, match=words):
        write_report(tmp_path / "report.html", results)
    assert not list(tmp_path.iterdir())
