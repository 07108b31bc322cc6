"""The figures of the pages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import fill_docs


def test_pages_without_results_keep_an_empty_block(monkeypatch, tmp_path):
    monkeypatch.setattr(fill_docs, "RESULTS", tmp_path)
    text = "a\n<!-- results: quality -->\nold\n<!-- /results -->\nb"
    assert fill_docs.fill(text) == "a\n<!-- results: quality -->\n<!-- /results -->\nb"
