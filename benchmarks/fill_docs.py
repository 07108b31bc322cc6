"""Fill the figures of README, docs and cards from benchmarks/results/*.json.

    python benchmarks/fill_docs.py

Between ``<!-- results: NAME -->`` and ``<!-- /results -->`` stands what ``NAME`` below makes of its JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BLOCK = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- /results -->)", re.DOTALL)


def throughput(record: dict[str, Any]) -> str:
    """Speed, as one sentence and a table."""
    machine, (batch, _, side, _) = record["machine"], record["shape"]
    lines = [
        f"**Speed.** {batch} x {side} x {side} uint8 in, uint8 out, on {machine['torch_threads']} threads of an "
        f"{machine['cpu']}, {record['dtype'].removeprefix('torch.')} network; median and quartiles of "
        f"{record['rounds']} rounds, all contestants in each round.",
        "",
        "| | images/s |",
        "|---|---|",
    ]
    for name, row in record["images_per_second"].items():
        lines.append(f"| {name} | {row['median']:.1f} ({row['q1']:.1f} to {row['q3']:.1f}) |")
    ratios = record["ratios"]
    whole = ratios["transform / transform with the reference network"]["median"]
    alone = ratios["network / reference network"]["median"]
    jitter = 1 / ratios["transform / ColorJitter"]["median"]
    lines += [
        "",
        f"The whole transform runs {whole:.1f} times as fast as with the network that earlier packages run (10 GMAC, "
        f"same code, same process), the network alone {alone:.1f} times. ColorJitter, which changes no "
        f"material, takes 1/{jitter:.1f} of the time." if jitter >= 1 else
        f"The whole transform runs {whole:.1f} times as fast as with the network that earlier packages run (10 GMAC, "
        f"same code, same process), the network alone {alone:.1f} times, and {1 / jitter:.1f} times as fast as "
        "ColorJitter.",
        "`python benchmarks/throughput.py`",
    ]
    return "\n".join(lines)


def quality(record: dict[str, Any]) -> str:
    """Style moved and defects kept."""
    moved = record["style_moved"]
    lines = ["**Strength and safety.**", "", "| style moved | median | 10th to 90th percentile |", "|---|---|---|"]
    for name, row in moved.items():
        lines.append(f"| {row['count']} {name} | {row['median']:.2f} | {row['p10']:.2f} to {row['p90']:.2f} |")
    count = next(iter(record["defects_kept"].values()))["count"]
    lines += [
        "",
        f"| separability kept, {count} defects of {record['masks']} (never trained on) | median | 10th percentile | "
        "lost (below half) |",
        "|---|---|---|---|",
    ]
    for name, row in record["defects_kept"].items():
        lines.append(f"| {name} | {row['median']:.2f} | {row['p10']:.2f} | {row['lost_percent']:.1f} % |")
    lines += [
        "",
        "Style moved: 0 changes nothing, 1 reaches the style's Gram matrices. Separability: how well a threshold tells "
        "a defect from its surroundings, after restyling over before.",
        "`python benchmarks/quality.py`",
    ]
    return "\n".join(lines)


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {"throughput": throughput, "quality": quality}


def fill(text: str) -> str:
    """The text with every block filled from its JSON; a block without JSON is left empty."""

    def block(match: re.Match[str]) -> str:
        path = RESULTS / f"{match[2]}.json"
        body = ""
        if path.is_file():
            body = TABLES[match[2]](json.loads(path.read_text(encoding="utf-8"))) + "\n"
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
