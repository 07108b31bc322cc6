"""benchmarks/gatys.py and benchmarks/newstyle.py, on tiny sets."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from helpers import pictures
from styleaug import StylePack
from styleaug.images.io import to_image

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")


@pytest.fixture
def folders(tmp_path):
    for name, seed in (("parts", 0), ("looks", 10)):
        (tmp_path / name).mkdir()
        for k in range(3):
            image = to_image(pictures(3, 40, 48, seed=seed + k))
            image.save(tmp_path / name / f"{name}-{k}.png")
    return tmp_path


def result(monkeypatch, folders, name: str, *options: str):
    """What a benchmark writes."""
    out = folders / "result.json"
    sets = ["--content", str(folders / "parts"), "--styles", str(folders / "looks")]
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "argv", [name, *sets, *options, "--out", str(out)])
    importlib.import_module(name).main()
    return json.loads(out.read_text())


def in_one_line(shown):
    """The text wherever its lines break: they hold the machine's name, long or short."""
    return " ".join(shown.split())


def test_gatys_compares_both_methods_on_each_pair(monkeypatch, folders):
    options = ["--pairs", "2", "--size", "32", "--steps", "8", "--batch", "2", "--rounds", "1"]
    found = result(monkeypatch, folders, "gatys", *options)
    assert [pair["content"] for pair in found["pairs"]] == [
        "parts/parts-0.png",
        "parts/parts-2.png",
    ]
    for pair in found["pairs"]:
        ratio = pair["fast_objective"] / pair["textbook_objective"]
        assert pair["objective_ratio"] == pytest.approx(ratio, rel=1e-4)
        assert pair["speedup"] == pytest.approx(pair["textbook_seconds"] / pair["fast_seconds"])
    assert found["reached"] == 2  # eight steps of the textbook are not many
    assert found["batching"]["batch"] == 2
    assert "--size 32 --steps 8" in found["command"]
    shown = importlib.import_module("fill_docs").gatys(found)
    assert "| parts/parts-2.png | looks/looks-2.png |" in shown
    assert "below the textbook's objective on 2 of 2 pairs" in in_one_line(shown)
    again = result(monkeypatch, folders, "gatys", *options, "--only", "batching")
    assert again["pairs"] == found["pairs"]
    assert again["batching"]["ratio"] != found["batching"]["ratio"]
    assert again["batching"]["command"].endswith("--only batching")


def test_newstyle_judges_every_way_and_the_choice(monkeypatch, folders):
    options = ["--count", "1", "--contents", "1", "--own", "2", "--steps", "2"]
    found = result(monkeypatch, folders, "newstyle", *options)
    assert [row["name"] for row in found["styles"]] == ["looks-1"]
    for row in found["styles"]:
        assert set(row["moved"]) == set(row["objective"]) == {"encode", "fit", "gatys"}
        assert row["objective"]["gatys"] < row["objective"]["encode"]
        for way, objective in row["objective"].items():
            assert 0 < row["style part"][way] < objective
    agreeing = [row["chosen"] == row["best"] for row in found["styles"]]
    assert found["agrees"] == sum(agreeing)
    assert found["median"]["gatys"]["objective_over_gatys"] == 1
    assert found["pack_id"] == StylePack.load("base").id
    shown = importlib.import_module("fill_docs").newstyle(found)
    assert "--contents 1 --steps 2 --own 2" in found["command"]
    assert "| gatys | 1.00 |" in shown
    chosen = found["styles"][0]["chosen"]
    assert "fitted on 1 other images of the same sets" in in_one_line(shown)
    assert f"on 1 more images of these sets: {chosen} 1;" in in_one_line(shown)
    drawn = importlib.import_module("fill_docs").newstyle({**found, "own": 0})
    assert f"Chosen, by measurement on drawn surfaces: {chosen} 1;" in in_one_line(drawn)
