"""Fill the figures of README, docs and cards from benchmarks/results/*.json.

    python benchmarks/fill_docs.py

Between ``<!-- results: NAME -->`` and ``<!-- /results -->`` stands what the function ``NAME`` below
makes of ``NAME.json`` (of ``NAME_brief``, the same file); what ``robustness`` makes of the results
of all sets and tasks. ``demo.json`` is the ``demo-out/report.json`` of a ``make demo``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean
from typing import Any

from robustness_docs import (
    ablation,
    budgets,
    lines,
    looks,
    robustness,
    robustness_brief,
    robustness_long,
    scratch,
)

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BLOCK = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- /results -->)", re.DOTALL)


def throughput(record: dict[str, Any]) -> str:
    """Speed: a table, and the ratios that matter."""
    machine, (batch, _, side, _) = record["machine"], record["shape"]
    dtype = record["dtype"].removeprefix("torch.")
    where = f"{machine['torch_threads']} threads ({machine['cpu']}, {dtype})"
    if machine["device"] != "cpu":
        where = f"one {machine['device']} ({dtype}, torch {record['versions']['torch']})"
    rows = "\n".join(
        f"| {name} | {row['median']:.1f} ({row['q1']:.1f} to {row['q3']:.1f}) |"
        for name, row in record["images_per_second"].items()
    )
    ratios = {name: row["median"] for name, row in record["ratios"].items()}
    whole = ratios["transform / transform with the reference network"]
    alone = ratios["network / reference network"]
    jitter = ratios["transform / ColorJitter"]
    return f"""\
**Speed.** {batch} x {side} x {side} uint8 in, uint8 out, on {where};
median and quartiles of {record["rounds"]} rounds, all contestants side by side in each round
(`{record["command"]}`).

| | images/s |
|---|---|
{rows}

With everything switched on the transform is {whole:.1f} times as fast as with the network that
earlier packages run (10 GMAC; same code, same process); the network alone, {alone:.1f} times. It
has {jitter:.2f} times the speed of ColorJitter, which changes no material.
"""


def throughput_loader(record: dict[str, Any]) -> str:
    """The cost of styling in a training loop."""
    machine, setting = record["machine"], record["setting"]

    def cells(row: dict[str, Any]) -> str:
        seconds, share = row["seconds"], row.get("share")
        shown = f"{share['median']:.2f} ({share['q1']:.2f} to {share['q3']:.2f})" if share else ""
        return f"{seconds['median']:.2f} | {shown}"

    rows = "\n".join(
        f"| {name} | "
        + " | ".join(cells(tried[name]) for tried in record["workers"].values())
        + " |"
        for name in next(iter(record["workers"].values()))
    )
    return f"""\
An epoch of a {setting["model"]} on {setting["images"]} images of {setting["size"]} pixels, in
batches of {setting["batch"]}, on {machine["torch_threads"]} threads ({machine["cpu"]}); everything
on; median of {record["rounds"]} rounds, all contestants in each
(`python benchmarks/throughput.py --loader`). Share: the time added to training, over the time that
styling takes alone, with quartiles; 1 is the pure cost.

| | no workers, s | share | 2 workers, s | share |
|---|---|---|---|---|
{rows}
"""


def quality(record: dict[str, Any]) -> str:
    """How a pack restyles: a table of each part that was measured."""
    sections = (
        _moved,
        _paths,
        _optimum,
        _diversity,
        _kept,
        _kinds,
        _tradeoff,
        _hallucination,
        _geometry,
    )
    keys = (
        "style_moved",
        "paths",
        "optimum",
        "diversity",
        "defects_kept",
        "defects_by_class",
        "tradeoff",
        "hallucination",
        "geometry",
    )
    tables = [make(record) for make, key in zip(sections, keys, strict=True) if key in record]
    return "**Strength and safety** (`python benchmarks/quality.py`).\n\n" + "\n".join(tables)


def quality_brief(record: dict[str, Any]) -> str:
    """The few figures that decide: style moved, and defects lost at some settings."""
    moved = [
        f"style moved by the network (0 nothing, 1 the style reached), {row['count']} {name} | "
        f"{row['median']:.2f}"
        for name, row in record["style_moved"].items()
    ]
    rendered = record["tradeoff"][-1]["style_moved"]
    moved.append(
        f"the same as rendered, with bounded texture, {rendered['count']} unseen references | "
        f"{rendered['median']:.2f}"
    )
    kept = record["defects_kept"]
    chosen = ("defaults", "tone only, strength 1", "full texture, strength 1")
    lost = [f"defects lost, {name} | {_lost(kept[name])}" for name in chosen]
    lost += [
        f"defects lost, {name}, for comparison | {_lost(row)}"
        for name, row in record.get("defects_kept_by_others", {}).items()
    ]
    return f"""\
**Strength and safety** (`python benchmarks/quality.py`; all figures in the
[card](pretrained/base/CARD.md)). A defect counts as lost when less than half of its separability
from its surroundings is left, on {kept["defaults"]["count"]} defects of {record["masks"]}.

{_table("measure | median or share", moved + lost)}"""


def _table(head: str, rows: Iterable[str]) -> str:
    """A markdown table: ``head`` and rows as ``a | b | c``."""
    rule = "|---" * (head.count("|") + 1) + "|"
    return "\n".join([f"| {head} |", rule, *(f"| {row} |" for row in rows)]) + "\n"


def _moved(record: dict[str, Any]) -> str:
    sources = list(next(iter(record["style_moved"].values()))["by_content"])
    rows = []
    for name, row in record["style_moved"].items():
        by_content = [f"{row['by_content'][source]['median']:.2f}" for source in sources]
        root = record["style_moved_root"][name]["median"]
        cells = [f"{row['count']} {name}", f"{row['median']:.2f}"]
        cells += [f"{row['p10']:.2f} to {row['p90']:.2f}", *by_content, f"{root:.2f}"]
        rows.append(" | ".join(cells))
    head = (
        f"style moved | median | 10th to 90th percentile | on {' | on '.join(sources)} | unsquared"
    )
    return f"""\
*Style moved*: 0 changes nothing, 1 reaches the style's Gram matrices (squared distance, which the
training minimizes; unsquared for comparison). The network's raw output.

{_table(head, rows)}"""


def _paths(record: dict[str, Any]) -> str:
    rows = [
        " | ".join([variant, *(f"{group['median']:.2f}" for group in found.values())])
        for variant, found in record["paths"].items()
    ]
    groups = next(iter(record["paths"].values()))
    return f"""\
*Paths*: style moved when only these parts of the code are the style's, the others the mean of the
pack. The network was trained with all of them.

{_table(" | ".join(["part of the code", *groups]), rows)}"""


def _optimum(record: dict[str, Any]) -> str:
    rows = []
    for name, found in record["optimum"].items():
        for steps, row in found["ratio"].items():
            net, best = found["median"]["network"], found["median"][steps]
            parts = [f"{net[p]:.2f} / {best[p]:.2f}" for p in ("style", "content")]
            time = f"{found['seconds_an_image'][steps]:.0f}"
            cells = [f"{row['count']} {name}, {steps}", f"{row['median']:.2f}", *parts, time]
            rows.append(" | ".join(cells))
    head = "network / optimisation | objective | style | content | seconds an image"
    return f"""\
*Distance from the optimum*: the objective of one pass through the network over that of an
optimisation of the pixels; medians.

{_table(head, rows)}"""


def _diversity(record: dict[str, Any]) -> str:
    rows = []
    for name, row in record["diversity"].items():
        cells = [
            f"{row[kind][key]:.2f}"
            for key in ("spread", "correlation")
            for kind in ("colour", "texture")
        ]
        rows.append(" | ".join([f"{row['count']} {name}", *cells]))
    head = "diversity | colour | texture | colour follows | texture follows"
    return f"""\
*Diversity*: spread of the outputs' statistics over styles, relative to the styles' own: 0 all
alike, 1 as diverse as the styles. *Follows*: correlation with the style's own statistics.

{_table(head, rows)}"""


def _kept(record: dict[str, Any]) -> str:
    rows = [
        f"{name} | {row['median']:.2f} | {row['p10']:.2f} | {_lost(row)}"
        for name, row in (
            *record["defects_kept"].items(),
            *record.get("defects_kept_by_others", {}).items(),
        )
    ]
    count = next(iter(record["defects_kept"].values()))["count"]
    head = "separability kept | median | 10th percentile | lost (below half)"
    return f"""\
*Separability kept*: how well a threshold tells a defect from its surroundings, after restyling over
before, on {count} defects of {record["masks"]}.

{_table(head, rows)}"""


def _kinds(record: dict[str, Any]) -> str:
    rows = []
    settings: list[str] = []
    for key, suffix in (("defects_by_class", ""), ("defects_by_size", " ones")):
        for kind, found in record[key].items():
            settings = list(found)
            count = next(iter(found.values()))["count"]
            cells = [f"{count} {kind}{suffix}", *(_lost(row) for row in found.values())]
            rows.append(" | ".join(cells))
    return _table("lost, by class and size | " + " | ".join(settings), rows)


def _lost(row: dict[str, float]) -> str:
    return f"{row['lost_percent']:.1f} ± {row['lost_standard_error']:.1f} %"


def _tradeoff(record: dict[str, Any]) -> str:
    rows = []
    for row in record["tradeoff"]:
        moved = row["style_moved"]["median"]
        rows.append(f"{row['texture']:g} | {moved:.2f} | {row['median']:.2f} | {_lost(row)}")
    return _table("texture, at strength 1 | style moved | separability kept | lost", rows)


def _hallucination(record: dict[str, Any]) -> str:
    rows = []
    for name, row in record["hallucination"].items():
        new, every = row["new_detections"], row["all_detections"]
        cells = [
            f"{row['mean_change']:.1f}",
            f"{row['flat_energy']['median']:.2f}",
            f"{new['images_percent']:.0f} ± {new['images_standard_error']:.0f} %",
            f"{new['an_image']:.2f}",
            f"{every['an_image']:.1f}",
        ]
        rows.append(" | ".join([name, *cells]))
    count = next(iter(record["hallucination"].values()))["all_detections"]["count"]
    columns = ("mean change", "added to flat areas", "images with new", "new", "all")
    head = " | ".join(["defect-free images", *columns])
    return f"""\
*Hallucination*, on {count} defect-free images of {record["masks"]}: fine structure added to flat
areas (standard deviation, levels of 255), and detections of a simple anomaly scorer an image, *new*
where it saw nothing before.

{_table(head, rows)}"""


def _geometry(record: dict[str, Any]) -> str:
    rows = []
    for name, row in record["geometry"].items():
        if row["count"]:
            used = f"{row['used_percent']:.0f} % of {row['patches']}"
            rows.append(f"{name} | {row['median']:.2f} | {row['p95']:.2f} | {used}")
    head = "edges moved, pixels | median | 95th percentile | distinct patches"
    return f"""\
*Geometry*: displacement of edges by phase correlation, at full strength and texture.

{_table(head, rows)}"""


def gatys(record: dict[str, Any]) -> str:
    """How much sooner the fast optimisation is there."""
    rows = [
        f"{pair['content']} | {pair['style']} | {pair['objective_ratio']:.2f} | "
        f"{pair['textbook_seconds']:.0f} | {pair['fast_seconds']:.0f} | {pair['speedup']:.1f}"
        for pair in record["pairs"]
    ]
    batch, speedup, machine = record["batching"], record["speedup"], record["machine"]
    low, high = batch["quartiles"]
    where = batch.get("machine", machine)
    head = (
        "content | style | objective, over the textbook's | textbook, s | fast, s | times as fast"
    )
    return f"""\
The fast method against 1000 steps of the textbook's recipe (Adam, learning rate 0.003, float32),
from the same start, for the same objective, measured in float32, at {record["size"]} pixels on
{machine["torch_threads"]} threads ({machine["cpu"]}; `python benchmarks/gatys.py`):

{_table(head, rows)}
It arrives below the textbook's objective on {record["reached"]} of {len(rows)} pairs,
{speedup["least"]:.0f} times as fast at least (median {speedup["median"]:.0f}). In a batch of
{batch["batch"]} an image takes {batch["ratio"]:.2f} of the time that it takes alone (quartiles
{low:.2f} to {high:.2f}; {where["cpu"]}).
"""


def newstyle(record: dict[str, Any]) -> str:
    """What the three ways reach."""
    rows = [
        f"{way} | {row['objective_over_gatys']:.2f} | {row['moved']:.2f} | {row['seconds']:.1f}"
        for way, row in record["median"].items()
    ]
    chosen = Counter(style["chosen"] for style in record["styles"])
    listed = ", ".join(f"{way} {count}" for way, count in chosen.items())
    machine, count = record["machine"], len(record["styles"])
    own, measured = record["own"], record["measured"]
    fitted = f"{own - measured} other images of the same sets" if own else "drawn surfaces"
    tried = f"{measured} more images of these sets" if own else "drawn surfaces"
    return f"""\
{count} styles that the pack was not trained on, fitted on {fitted} in {record["steps"]} steps,
judged on real contents that no fit saw; medians; on {machine["torch_threads"]} threads
({machine["cpu"]}; `python benchmarks/newstyle.py`); Gatys' seconds are those of two small images:

{_table("way | objective, Gatys = 1 | style moved | seconds", rows)}
A fit lowers the encoder's objective by a fifth or more on {record["fit_lowers_by_a_fifth"]:.0%} of
them, and moves 0.92 of the style or more for {record["fit_moves_92_percent"]:.0%}. Chosen, by
measurement on {tried}: {listed}; on the real contents the same rule chooses the same way for
{record["agrees"]:.0%}.
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
**Robustness** (`make demo`). {record["settings"]["model"]} on {task["name"]}, {task["train"]}
training and {task["test"]} test images; balanced accuracy in percent, mean of {seeds} seeds (lowest
to highest). mPC: mean over {len(gains)} corruptions that neither saw in training.

| training | clean | mPC |
|---|---|---|
{table}

{record["conclusion"]}
Points by corruption: {listed}.
"""


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "throughput": throughput,
    "throughput_gpu": throughput,
    "throughput_loader": throughput_loader,
    "quality": quality,
    "quality_brief": quality_brief,
    "demo": demo,
    "gatys": gatys,
    "newstyle": newstyle,
}
# What gathers several results.
PAIRS = {
    "robustness": robustness,
    "robustness_brief": robustness_brief,
    "robustness_long": robustness_long,
    "robustness_ablation": ablation,
    "robustness_looks": looks,
    "robustness_budgets": budgets,
    "robustness_lines": lines,
    "robustness_scratch": scratch,
}


def fill(text: str) -> str:
    """The text with every block filled from its JSON; a block without JSON is left empty."""

    def block(match: re.Match[str]) -> str:
        if match[2] in PAIRS:
            return match[1] + PAIRS[match[2]](RESULTS) + match[3]
        path = RESULTS / f"{match[2].removesuffix('_brief')}.json"
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
