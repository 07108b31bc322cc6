"""What the demo shows: the contact sheet, the figure of gains, and the report in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from common import write_atomically
from corruptions import CORRUPTION_GROUPS
from scores import Comparison, Gain, spread

_GROUP_COLOURS = {"noise": "#4c72b0", "blur": "#55a868", "weather": "#dd8452", "digital": "#8172b3"}


def contact_sheet(
    examples: Tensor, restyle: Callable[[Tensor], Tensor], *, columns: int, seed: int
) -> Image.Image:
    """Lay out one image per row: the original, then ``columns`` restylings.

    Each row is one batch with a style for each of its images. All rows draw from the same seed, so
    a column shows one style and one light on different cells.
    """
    rows = []
    for example in examples:
        batch = example.expand(columns, *example.shape).contiguous()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            rows.append([example, *restyle(batch)])
    gap, header = 4, 18
    side = examples.shape[-1] + gap
    sheet = Image.new("RGB", (side * (columns + 1) - gap, header + side * len(rows) - gap), "white")
    draw = ImageDraw.Draw(sheet)
    for column in range(columns + 1):
        draw.text(
            (column * side + 4, 3), f"restyled {column}" if column else "original", fill="black"
        )
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
            sheet.paste(picture, (column * side, header + row * side))
    return sheet


def save_gains_figure(path: Path, comparison: Comparison) -> Path:
    """Draw the gain under each corruption, with a dot per seed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    groups = {name: group for group, names in CORRUPTION_GROUPS.items() for name in names}
    names = list(comparison.by_corruption)[::-1]
    figure = Figure(figsize=(7.5, 1.6 + 0.3 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, name in enumerate(names):
        gain = comparison.by_corruption[name]
        colour = _GROUP_COLOURS[groups[name]]
        axes.barh(place, gain.mean, color=colour, xerr=gain.margin, ecolor="#888888", height=0.7)
        axes.plot(gain.per_seed, [place] * len(gain.per_seed), "o", color="black", markersize=3)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_xlabel("gain in balanced accuracy, points (bar: 95 % interval; dots: seeds)")
    axes.set_title(
        f"{comparison.names[1]} against {comparison.names[0]}\n"
        f"mPC {_signed(comparison.robust)}, clean {_signed(comparison.clean)} points",
        fontsize=11,
    )
    used = dict.fromkeys(groups[name] for name in names[::-1])
    axes.legend(
        handles=[Patch(color=_GROUP_COLOURS[group], label=group) for group in used], fontsize=8
    )
    return write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=130))


def conclusion(comparison: Comparison) -> str:
    """Say what the figures allow to say, whether or not it flatters."""
    gains = comparison.by_corruption
    better = [name for name, gain in gains.items() if gain.verdict == "higher"]
    worse = [name for name, gain in gains.items() if gain.verdict == "lower"]
    best, worst = max(gains, key=lambda n: gains[n].mean), min(gains, key=lambda n: gains[n].mean)
    sentences = [
        f"Under corruption: {_sentence(comparison.robust)}.",
        f"On clean images: {_sentence(comparison.clean)}.",
        f"Of {len(gains)} corruptions, {len(better)} are clearly better and {len(worse)} clearly worse; "
        f"best {_words(best)} ({_signed(gains[best])}), worst {_words(worst)} ({_signed(gains[worst])}).",
    ]
    if len(comparison.robust.per_seed) == 1:
        sentences.append("One seed only: another seed may differ by a few points.")
    return " ".join(sentences)


def _sentence(gain: Gain) -> str:
    low, high = gain.mean - gain.margin, gain.mean + gain.margin
    return (
        f"{gain.verdict}, {gain.mean:+.1f} points (95 % interval over test images {low:+.1f} to "
        f"{high:+.1f}; by seed {', '.join(f'{value:+.1f}' for value in gain.per_seed)})"
    )


def _signed(gain: Gain) -> str:
    return f"{gain.mean:+.1f}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def markdown_report(comparison: Comparison, record: Mapping[str, Any]) -> str:
    """Write the report; ``record`` is what `demo.py` saves as report.json."""
    first, second = comparison.scores
    task, machine = record["task"], record["machine"]
    chance = 100 / len(task["classes"])
    lines = [
        f"# StyleAugment on {task['name']}",
        "",
        f"**{conclusion(comparison)}**",
        "",
        f"| balanced accuracy, % (chance {chance:.0f}) | {' | '.join(comparison.names)} | gain |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {title} | {spread(a)} | {spread(b)} | {np.mean(b) - np.mean(a):+.1f} |"
        for title, a, b in (
            ("clean", first.clean, second.clean),
            ("mPC: mean under corruption", first.mpc, second.mpc),
            ("rPC: mPC / clean", first.rpc, second.rpc),
        )
    ]
    lines += [
        "",
        f"| corruption | {' | '.join(comparison.names)} | gain (95 % interval) | by seed |",
    ]
    lines += ["|---|---|---|---|---|"]
    for name, gain in comparison.by_corruption.items():
        seeds = ", ".join(f"{value:+.1f}" for value in gain.per_seed)
        lines.append(
            f"| {_words(name)} | {spread(first.under(name))} | {spread(second.under(name))} "
            f"| {gain.mean:+.1f} ± {gain.margin:.1f} | {seeds} |"
        )
    settings = record["settings"]
    lines += [
        "",
        "Values are means over the seeds, with their range in brackets. Intervals say how far another",
        "draw of test images would move a gain; seeds say how far another training run would.",
        "",
        "![gain under each corruption](gains.png)",
        "",
        "![restyled images](sheet.png)",
        "",
        "## How it was done",
        "",
        f"- Images: {task['train']} to train on, {task['test']} to test on, classes "
        f"{', '.join(task['classes'])}, {settings['size']} x {settings['size']} px.",
        *[f"- {note}" for note in task["notes"]],
        f"- A CNN with {record['parameters']:,} parameters from scratch, {settings['steps']} steps of "
        f"{settings['batch_size']} images, seeds {record['seeds']}, flips under both policies.",
        *[f"- {name}: `{text}`" for name, text in record["policies"].items()],
        f"- Severities {', '.join(map(str, settings['severities']))}; the same corrupted images for all.",
        f"- Machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}, device "
        f"{machine['device']}.",
        f"- Versions: {', '.join(f'{name} {found}' for name, found in record['versions'].items())}.",
        "",
        "| phase | seconds | CPU seconds |",
        "|---|---|---|",
    ]
    lines += [
        f"| {k} | {v['wall_s']:.0f} | {v['cpu_s']:.0f} |" for k, v in record["phases"].items()
    ]
    totals = [sum(v[key] for v in record["phases"].values()) for key in ("wall_s", "cpu_s")]
    lines += [f"| total | {totals[0]:.0f} | {totals[1]:.0f} |", ""]
    return "\n".join(lines)
