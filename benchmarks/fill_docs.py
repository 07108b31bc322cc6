"""Fill the figures of README, docs and cards from benchmarks/results/*.json.

    python benchmarks/fill_docs.py

Between ``<!-- results: NAME -->`` and ``<!-- /results -->`` stands what the function ``NAME`` below
makes of ``NAME.json``. ``demo.json`` is the ``demo-out/report.json`` of a ``make demo``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BLOCK = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- /results -->)", re.DOTALL)


def throughput(record: dict[str, Any]) -> str:
    """Speed: a table, and the ratios that matter."""
    machine, (batch, _, side, _) = record["machine"], record["shape"]
    dtype = record["dtype"].removeprefix("torch.")
    rows = "\n".join(
        f"| {name} | {row['median']:.1f} ({row['q1']:.1f} to {row['q3']:.1f}) |"
        for name, row in record["images_per_second"].items()
    )
    ratios = {name: row["median"] for name, row in record["ratios"].items()}
    whole = ratios["transform / transform with the reference network"]
    alone = ratios["network / reference network"]
    jitter = ratios["transform / ColorJitter"]
    return f"""\
**Speed.** {batch} x {side} x {side} uint8 in, uint8 out, on {machine["torch_threads"]} threads
({machine["cpu"]}, {dtype}); median and quartiles of {record["rounds"]} rounds, all contestants side
by side in each round (`python benchmarks/throughput.py`).

| | images/s |
|---|---|
{rows}

With everything switched on the transform is {whole:.1f} times as fast as with the network that
earlier packages run (10 GMAC; same code, same process); the network alone, {alone:.1f} times. It
has {jitter:.2f} times the speed of ColorJitter, which changes no material.
"""


def quality(record: dict[str, Any]) -> str:
    """Style moved and defects kept: two tables."""
    moved = "\n".join(
        f"| {row['count']} {name} | {row['median']:.2f} | {row['p10']:.2f} to {row['p90']:.2f} |"
        for name, row in record["style_moved"].items()
    )
    kept = "\n".join(
        f"| {name} | {row['median']:.2f} | {row['p10']:.2f} | {row['lost_percent']:.1f} % |"
        for name, row in record["defects_kept"].items()
    )
    count = next(iter(record["defects_kept"].values()))["count"]
    return f"""\
**Strength and safety** (`python benchmarks/quality.py`). *Style moved*: 0 changes nothing, 1
reaches the style's Gram matrices. *Separability kept*: how well a threshold tells a defect from its
surroundings, after restyling over before, on {count} defects of {record["masks"]}.

| style moved | median | 10th to 90th percentile |
|---|---|---|
{moved}

| separability kept | median | 10th percentile | lost (below half) |
|---|---|---|---|
{kept}
"""


def demo(record: dict[str, Any]) -> str:
    """What the demo found: a table of both policies, and its conclusion."""
    rows = []
    for name, scores in record["scores"].items():
        cells = (
            f"{mean(scores[key]):.1f} ({min(scores[key]):.1f} to {max(scores[key]):.1f})"
            for key in ("clean", "mPC")
        )
        rows.append(f"| {name} | {' | '.join(cells)} |")
    table = "\n".join(rows)
    gains = {k: v["mean"] for k, v in record["gains"].items() if k not in ("clean", "mPC")}
    listed = ", ".join(
        f"{name.replace('_', ' ')} {gain:+.1f}"
        for name, gain in sorted(gains.items(), key=lambda item: -item[1])
    )
    task, seeds = record["task"], len(record["seeds"])
    return f"""\
**Robustness** (`make demo`). A small CNN from scratch on {task["name"]}, {task["train"]} training
and {task["test"]} test images; balanced accuracy in percent, mean of {seeds} seeds (lowest to
highest). mPC: mean over {len(gains)} corruptions that neither saw in training.

| training | clean | mPC |
|---|---|---|
{table}

{record["conclusion"]}
Points by corruption: {listed}.
"""


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "throughput": throughput,
    "quality": quality,
    "demo": demo,
}


def fill(text: str) -> str:
    """The text with every block filled from its JSON; a block without JSON is left empty."""

    def block(match: re.Match[str]) -> str:
        path = RESULTS / f"{match[2]}.json"
        body = ""
        if path.is_file():
            body = TABLES[match[2]](json.loads(path.read_text(encoding="utf-8")))
        return match[1] + body + match[3]

    return BLOCK.sub(block, text)


def main() -> None:
    """Rewrite the pages that hold figures."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("pretrained/*/CARD.md")]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        if (filled := fill(text)) != text:
            page.write_text(filled, encoding="utf-8")
            print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
