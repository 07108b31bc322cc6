"""A report of robustness in one HTML file, which loads nothing from elsewhere."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from styleaug.evaluate.corruptions import Condition, corrupt_images
from styleaug.evaluate.robustness import Robustness
from styleaug.files import atomic_path

_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#9d755d", "#888888")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68em; margin: 2em auto; padding: 0 1em;
       color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1em 0; } td, th { padding: .25em .8em; }
td { text-align: right; } td:first-child, th:first-child { text-align: left; }
tr:nth-child(even) { background: #f4f4f4; } svg text { font: 12px system-ui, sans-serif; }
figure { display: inline-block; margin: .3em; text-align: center; } figcaption { font-size: 80%; }
"""


def write_report(
    path: str | Path,
    results: Mapping[str, Robustness],
    *,
    title: str = "Robustness",
    notes: Sequence[str] = (),
    examples: npt.NDArray[np.uint8] | None = None,
) -> None:
    """Write an HTML report on several models; the first is the baseline.

    Args:
        path: path of the HTML file, replaced atomically.
        results: results by model name, all with the same metric and conditions.
        title: title of the page.
        notes: notes for the reader, one paragraph each.
        examples: images (N, H, W, 3), uint8, a few of which are shown under each condition's third
            severity.

    Raises:
        ValueError: if there are no results, or they differ in metric or conditions.
    """
    if not results:
        raise ValueError("A report needs at least one result, but got none.")
    first = next(iter(results.values()))
    for name, result in results.items():
        if (result.metric, set(result.scores)) != (first.metric, set(first.scores)):
            raise ValueError(
                f"A report needs results of one metric and set of conditions (severities too), but "
                f"{name!r} has {result.metric} under {len(result.scores) - 1} and the first "
                f"{first.metric} under {len(first.scores) - 1}."
            )
    parts = [f"<h1>{html.escape(title)}</h1>", *(f"<p>{html.escape(note)}</p>" for note in notes)]
    parts += [_summary(results), _legend(list(results))]
    for suite in first.suites:
        parts += [f"<h2>{html.escape(suite)}</h2>", _chart(results, suite)]
    if len(results) > 1:
        parts += ["<h2>Gain by condition (95 %)</h2>", _gains(results)]
    parts += ["<h2>All conditions</h2>", _every(results)]
    if examples is not None:
        parts += ["<h2>What the conditions look like</h2>", _pictures(first.names, examples[:3])]
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>{''.join(parts)}</html>\n"
    )
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _summary(results: Mapping[str, Robustness]) -> str:
    """P, and for each suite mPC, rPC, relative mCE and the gain over the baseline."""
    first = next(iter(results.values()))
    head = ["model", f"P ({first.metric}, %)", "change (95 %)"]
    for suite in first.suites:
        head += [f"mPC, {suite}", "rPC", "relative mCE", "gain (95 %)"]
    rows = []
    for name, result in results.items():
        over = None if result is first else first
        cells = [name, f"{100 * result.performance:.1f}"]
        cells.append(str(result.interval(clean=True, over=over).in_percent()) if over else "")
        for suite in first.suites:
            cells += [
                f"{100 * result.mpc(suite):.1f}",
                f"{100 * result.rpc(suite):.1f}",
                f"{result.relative_mce(first, suite):.2f}",
                str(result.interval(suite, over=over).in_percent()) if over else "",
            ]
        rows.append(cells)
    seeds = len(first.scores[None])
    drawn = ["test images"] * bool(first.rows) + ["seeds"] * (seeds > 1)
    told = f"Intervals are for other {' and '.join(drawn)}." if drawn else "One seed: no intervals."
    return f"<p>{first.images} test images, seeds: {seeds}. {told}</p>" + _table(head, rows)


def _gains(results: Mapping[str, Robustness]) -> str:
    """What each model gains over the first under each corruption, over its severities."""
    (baseline, first), *others = results.items()
    rows = [
        [name.replace("_", " ")]
        + [str(result.interval(name, over=first).in_percent()) for _, result in others]
        for name in first.names
    ]
    return _table([f"condition; over {baseline}", *(name for name, _ in others)], rows)


def _every(results: Mapping[str, Robustness]) -> str:
    first = next(iter(results.values()))
    rows = [
        [f"{name.replace('_', ' ')}, {level}"]
        + [f"{100 * result.under(name)[level]:.1f}" for result in results.values()]
        for name in first.names
        for level in first.under(name)
    ]
    return _table(["condition, severity", *results], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table>{line(head, 'th')}{body}</table>"


def _legend(names: Sequence[str]) -> str:
    marks = "".join(
        f'<span style="color:{_colour(i)}">&#9632;</span> {html.escape(name)} &emsp;'
        for i, name in enumerate(names)
    )
    return f"<p>{marks}</p>"


def _chart(results: Mapping[str, Robustness], suite: str) -> str:
    """Bars of each model under each corruption of a suite, means over severities; ticks: P."""
    first = next(iter(results.values()))
    names = [name for name in first.suites[suite] if name in first.names]
    thick, gap, left, scale = 8, 8, 150, 4.0
    group = thick * len(results) + gap
    height = group * len(names)
    bars = [
        f'<line x1="{left + at * scale}" x2="{left + at * scale}" y1="0" y2="{height}" '
        f'stroke="#ddd"/><text x="{left + at * scale}" y="{height + 12}" text-anchor="middle">'
        f"{at}</text>"
        for at in (0, 25, 50, 75, 100)
    ]
    for row, name in enumerate(names):
        top = row * group
        middle = top + thick * len(results) / 2 + 4
        label = html.escape(name.replace("_", " "))
        bars.append(f'<text x="{left - 8}" y="{middle:.0f}" text-anchor="end">{label}</text>')
        for i, result in enumerate(results.values()):
            value = 100 * result.mpc(name)
            bars.append(
                f'<rect x="{left}" y="{top + i * thick}" width="{max(0.0, value) * scale:.1f}" '
                f'height="{thick - 1}" fill="{_colour(i)}"><title>{value:.1f}</title></rect>'
            )
            clean = left + 100 * result.performance * scale
            bars.append(
                f'<line x1="{clean:.1f}" x2="{clean:.1f}" y1="{top + i * thick}" '
                f'y2="{top + (i + 1) * thick - 1}" stroke="{_colour(i)}" stroke-width="2"/>'
            )
    width = left + 100 * scale + 20
    return f'<svg width="{width:.0f}" height="{height + 16}">{"".join(bars)}</svg>'


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _pictures(names: Sequence[str], images: npt.NDArray[np.uint8]) -> str:
    figures = [_figure("as they are", images)]
    for name in names:
        shifted = corrupt_images(images, Condition(name, 3))
        figures.append(_figure(f"{name.replace('_', ' ')}, 3", shifted))
    return "".join(figures)


def _figure(caption: str, images: npt.NDArray[np.uint8]) -> str:
    data = io.BytesIO()
    Image.fromarray(np.concatenate(list(images), axis=1)).save(data, "JPEG", quality=85)
    encoded = base64.b64encode(data.getvalue()).decode()
    return (
        f'<figure><img alt="" src="data:image/jpeg;base64,{encoded}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )
