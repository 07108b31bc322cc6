"""The figure of the trade-off between style and defects."""

from __future__ import annotations

from pathlib import Path

from benchmarks.rows import RESULTS, Rows
from styleaug.files import atomic_path

FIGURE = Path(__file__).parents[2] / "docs" / "assets" / "quality.svg"


def draw_tradeoff(results: Path = RESULTS / "quality" / "base.json", out: Path = FIGURE) -> Path:
    """Draw defects kept against style moved, a point an amount of texture."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    record = Rows.load(results)
    textures = record.each("setting", part="tradeoff")

    def column(statistic: str) -> list[float]:
        found = record.where(part="tradeoff", statistic=statistic)
        return [float(row["value"]) for row in found]

    moved, kept = column("moved"), [100 - lost for lost in column("lost")]
    # the same numbers give the same file
    with matplotlib.rc_context({"svg.hashsalt": "styleaug", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5.6, 3.6), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        errors = column("lost standard error")
        axes.errorbar(moved, kept, yerr=errors, marker="o", color="#4c72b0", capsize=3)
        for x, y, texture in zip(moved, kept, textures, strict=True):
            axes.annotate(f"texture {texture}", (x, y), xytext=(5, 5), textcoords="offset points")
        axes.set_xlabel("style moved, unseen references (median)")
        axes.set_ylabel("defects kept, %")
        axes.set_title("strength 1, no lighting; bars: standard error", fontsize=10)
        axes.grid(alpha=0.3)
        axes.margins(x=0.2, y=0.15)
        with atomic_path(out) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
    return out
