"""Figures: the trade-off between style and defects, and how time and memory grow."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.rows import RESULTS, Rows
from styleaug.files import atomic_path

ASSETS = Path(__file__).parents[2] / "docs" / "assets"


@contextmanager
def drawn(
    out: Path, size: tuple[float, float], columns: int = 1, dark: Mapping[str, str] | None = None
) -> Iterator[Any]:
    """Axes to draw on, which become a file; the same numbers give the same file.

    Args:
        out: the SVG.
        size: width and height in inches.
        columns: axes beside each other.
        dark: colours, and what stands for each where the reader's system is dark.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    fonts = {"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"]}
    with matplotlib.rc_context({"svg.hashsalt": "styleaug", **fonts}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        yield figure.subplots(1, columns)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        with atomic_path(out) as temporary:
            text = file.getvalue().replace("</style>", f"{_dark_rules(dark or {})}</style>", 1)
            temporary.write_text(text, encoding="utf-8")


def _dark_rules(colours: Mapping[str, str]) -> str:
    rules = [
        f'[style*="{part}: {light}"] {{{part}: {dark} !important}}'
        for light, dark in colours.items()
        for part in ("fill", "stroke")
    ]
    return f"@media (prefers-color-scheme: dark) {{{' '.join(rules)}}}" if rules else ""


def draw_tradeoff(
    results: Path = RESULTS / "quality" / "base.json", out: Path = ASSETS / "quality.svg"
) -> Path:
    """Draw defects kept against style moved, a point an amount of texture."""
    record = Rows.load(results)
    textures = record.each("setting", part="tradeoff")

    def column(statistic: str) -> list[float]:
        found = record.where(part="tradeoff", statistic=statistic)
        return [float(row["value"]) for row in found]

    moved, kept = column("moved"), [100 - lost for lost in column("lost")]
    with drawn(out, (5.6, 3.6)) as axes:
        errors = column("lost standard error")
        axes.errorbar(moved, kept, yerr=errors, marker="o", color="#4c72b0", capsize=3)
        for x, y, texture in zip(moved, kept, textures, strict=True):
            axes.annotate(f"texture {texture}", (x, y), xytext=(5, 5), textcoords="offset points")
        axes.set_xlabel("style moved, unseen references (median)")
        axes.set_ylabel("defects kept, %")
        axes.set_title("strength 1, no lighting; bars: standard error", fontsize=10)
        axes.grid(alpha=0.3)
        axes.margins(x=0.2, y=0.15)
    return out


def draw_scaling(
    results: Path = RESULTS / "speed" / "scaling.json", out: Path = ASSETS / "scaling.svg"
) -> Path | None:
    """Draw time and memory against megapixels, if they have been measured.

    A line is a contestant on images of growing size; a dashed one, on growing batches of small
    images. Gray is growth in proportion.
    """
    if not results.is_file():
        return None
    record = Rows.load(results)
    names = list(dict.fromkeys((row["contestant"], row["pack"]) for row in record.rows))
    least = min(record.each("batch"))

    def megapixels(row: Mapping[str, Any]) -> float:
        return float(row["batch"] * row["height"] * row["width"] / 1e6)

    with drawn(out, (8.4, 3.6), 2) as (time, memory):
        for number, (name, pack) in enumerate(names):
            found = record.where(contestant=name, pack=pack)
            for style, batches in (("-", False), ("--", True)):
                chosen = [row for row in found if (row["batch"] > least) == batches]
                line = {"linestyle": style, "marker": ".", "color": f"C{number}"}
                label = None if batches else ", ".join(filter(None, (name, pack)))
                rows = sorted((r for r in chosen if r["unit"] == "seconds"), key=megapixels)
                time.plot(
                    [megapixels(r) for r in rows], [r["median"] for r in rows], label=label, **line
                )
                rows = sorted((r for r in chosen if r["unit"] == "peak bytes"), key=megapixels)
                share = [r["median"] / megapixels(r) / 3e6 for r in rows]
                memory.plot([megapixels(r) for r in rows], share, **line)
        ends = [f(map(megapixels, record.rows)) for f in (min, max)]
        start = min(row["median"] for row in record.where(unit="seconds"))
        time.plot(ends, [start, start * ends[1] / ends[0]], ":", color="gray", label="proportional")
        time.set(xscale="log", yscale="log", xlabel="megapixels in the batch", ylabel="seconds")
        memory.set(xscale="log", xlabel="megapixels in the batch")
        memory.set_ylabel("peak bytes for each pixel and channel")
        memory.set_ylim(bottom=0)
        time.legend(fontsize=7)
        for axes in (time, memory):
            axes.grid(alpha=0.3)
        time.set_title("solid: larger images; dashed: more of 256 x 256", fontsize=9)
        memory.set_title("above the images and the result", fontsize=9)
    return out


def draw_images(
    results: Path = RESULTS / "adapt" / "lighting-tiles.json", out: Path = ASSETS / "adapt.svg"
) -> Path | None:
    """Draw what adaptation reaches with so many images, if it has been measured."""
    if not results.is_file():
        return None
    record = Rows.load(results)
    policies = record.each("policy")
    lines = {
        "as trained": ("as trained", 0, ":"),
        "statistics replaced": ("replaced", 0, "--"),
        "matched": ("matched", 0, "-"),
        "matched, prior 16": ("matched", 16, "-."),
    }
    with drawn(out, (3.1 * len(policies), 3.4), len(policies)) as axes:
        for place, policy in zip(axes, policies, strict=True):
            for label, (way, prior, style) in lines.items():
                found = record.where(policy=policy, way=way, prior=prior)
                counts = sorted({row["images"] for row in found})
                means = [mean(r["value"] for r in found if r["images"] == n) for n in counts]
                if way == "as trained":
                    place.axhline(means[0], linestyle=style, color="#888888", label=label)
                else:
                    place.plot(counts, means, linestyle=style, marker="o", ms=3, label=label)
            place.set_xscale("log", base=2)
            place.set_xticks([4, 16, 64, 256], ["4", "16", "64", "256"])
            place.set_title(f"trained with {policy}", fontsize=10)
            place.set_xlabel("images of the new line")
            place.grid(alpha=0.3)
        axes[0].set_ylabel(f"{record.meta['task']['metric']}, %")
        axes[-1].legend(fontsize=8)
    return out
