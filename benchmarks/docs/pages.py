"""Pages whose marked blocks are filled by templates."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from statistics import mean, median

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.docs import robustness
from benchmarks.docs.chart import Chart
from benchmarks.docs.shifts import Shifts
from benchmarks.rows import RESULTS, Rows, table
from benchmarks.speed.limits import floor
from styleaug.augment.presets import PRESETS
from styleaug.evaluate.results import Result, read_results
from styleaug.evaluate.statistics import mean_and_deviation

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("pretrained/*/CARD.md")),
)
"""The pages that may hold blocks."""
_BLOCK = re.compile(
    r"(?P<head><!-- results: (?P<template>\S+?)(?: (?P<name>\S+))? -->\n)"
    r".*?(?P<foot><!-- /results -->)",
    re.DOTALL,
)


def fill(text: str, results: Path = RESULTS) -> str:
    """The text with every block filled; what needs results that are not there is left empty."""
    environment = make_environment(results)

    def block(match: re.Match[str]) -> str:
        template = environment.get_template(f"{match['template']}.md.j2")
        body = re.sub(r"\n{3,}", "\n\n", template.render(name=match["name"])).strip()
        return match["head"] + (f"{body}\n" if body else "") + match["foot"]

    return _BLOCK.sub(block, text)


@cache
def make_environment(results: Path) -> Environment:
    """What templates may use: results, tables of robustness, and formats."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )

    def rows(suite: str, name: str) -> Rows | None:
        path = results / suite / f"{name}.json"
        return Rows.load(path) if path.is_file() else None

    def experiment(suite: str, name: str) -> robustness.Run | None:
        path = results / suite / f"{name}.json"
        return robustness.Run(Result.load(path)) if path.is_file() else None

    @cache
    def runs() -> robustness.Runs:
        return robustness.Runs(read_results(results / "robustness").values())

    @cache
    def shifts(suite: str = "real") -> Shifts | None:
        found = read_results(results / suite).values()
        return Shifts.of(found) if found else None

    environment.globals |= {
        "chart": lambda: Chart.of(runs(), shifts()),
        "deviation": mean_and_deviation,
        "experiment": experiment,
        "floor": floor,
        "presets": PRESETS.items(),
        "robustness": robustness,
        "rows": rows,
        "runs": runs,
        "shifts": shifts,
        "table": table,
        "zip": zip,
    }
    environment.filters |= {
        "fixed": lambda value, digits=2: f"{value:.{digits}f}",
        "mean": mean,
        "median": median,
        "first_upper": lambda text: text[:1].upper() + text[1:],
        "signed": lambda values: ", ".join(f"{value:+.1f}" for value in values),
        "words": lambda text: text.replace("_", " "),
    }
    return environment
