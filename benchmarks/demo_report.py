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
from scores import Comparison, Gain, spread
from styleaug.evaluate.corruptions import CORRUPTION_GROUPS

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
    axes.set_xlabel("gain in balanced accuracy, points (line: 95 % interval; dots: seeds)")
    axes.set_title(
        f"{comparison.names[1]} against {comparison.names[0]}\n"
        f"mPC {comparison.robust.mean:+.1f}, clean {comparison.clean.mean:+.1f} points",
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
    better = sum(gain.verdict == "higher" for gain in gains.values())
    worse = sum(gain.verdict == "lower" for gain in gains.values())
    ranked = sorted(gains, key=lambda name: gains[name].mean)
    ends = [f"{_words(name)} ({gains[name].mean:+.1f})" for name in (ranked[-1], ranked[0])]
    sentences = [
        f"Under corruption: {_sentence(comparison.robust)}.",
        f"On clean images: {_sentence(comparison.clean)}.",
    ]
    if len(comparison.robust.per_seed) > 1:
        sentences.append(
            f"Of {len(gains)} corruptions, {better} clearly better and {worse} clearly worse."
        )
    sentences.append(f"Best under {ends[0]}, worst under {ends[1]}.")
    return " ".join(sentences)


def _sentence(gain: Gain) -> str:
    low, high = gain.mean - gain.margin, gain.mean + gain.margin
    seeds = ", ".join(f"{value:+.1f}" for value in gain.per_seed)
    return (
        f"{gain.verdict}, {gain.mean:+.1f} points "
        f"(95 % interval {low:+.1f} to {high:+.1f}; by seed {seeds})"
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def markdown_report(comparison: Comparison, record: Mapping[str, Any]) -> str:
    """Write the report; ``record`` is what `demo.py` saves as report.json."""
    lines = [
        f"# StyleAugment on {record['task']['name']}",
        "",
        f"**{conclusion(comparison)}**",
        "",
        *_accuracy_tables(comparison, chance=100 / len(record["task"]["classes"])),
        "",
        "Accuracies are means over the seeds, with their range in brackets. Intervals cover other",
        "test images and, roughly, other training runs.",
        "",
        "![gain under each corruption](gains.png)",
        "",
        "![restyled images](sheet.png)",
        "",
        "## How it was done",
        "",
        *_how_it_was_done(record),
        "",
        *_phase_table(record["phases"]),
        "",
    ]
    return "\n".join(lines)


def _accuracy_tables(comparison: Comparison, *, chance: float) -> list[str]:
    first, second = comparison.scores
    names = " | ".join(comparison.names)
    lines = [
        f"| balanced accuracy, % (chance {chance:.0f}) | {names} | gain |",
        "|---|---|---|---|",
    ]
    for title, before, after in (
        ("clean", first.clean, second.clean),
        ("mPC: mean under corruption", first.mpc, second.mpc),
        ("rPC: mPC / clean", first.rpc, second.rpc),
    ):
        gain = np.mean(after) - np.mean(before)
        lines.append(f"| {title} | {spread(before)} | {spread(after)} | {gain:+.1f} |")
    lines += [
        "",
        f"| corruption | {names} | gain (95 % interval) | by seed |",
        "|---|---|---|---|---|",
    ]
    for name, gain in comparison.by_corruption.items():
        seeds = ", ".join(f"{value:+.1f}" for value in gain.per_seed)
        lines.append(
            f"| {_words(name)} | {spread(first.under(name))} | {spread(second.under(name))} "
            f"| {gain.mean:+.1f} ± {gain.margin:.1f} | {seeds} |"
        )
    return lines


def _how_it_was_done(record: Mapping[str, Any]) -> list[str]:
    task, machine, settings = record["task"], record["machine"], record["settings"]
    severities = ", ".join(map(str, settings["severities"]))
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return [
        f"- {task['train']} images to train on, {task['test']} to test on, classes "
        f"{', '.join(task['classes'])}, {settings['size']} x {settings['size']} px.",
        *[f"- {note}" for note in task["notes"]],
        f"- {settings['model']}, {record['parameters']:,} parameters: {settings['steps']} steps "
        f"of {settings['batch_size']} images, seeds {record['seeds']}; flips under both policies.",
        *[f"- After the flips, {name}: `{text}`" for name, text in record["policies"].items()],
        f"- Severities {severities}; the same corrupted images for all.",
        f"- {machine['cpu']}, {machine['cores']} cores, {machine['system']}, {machine['device']}.",
        f"- Versions: python {machine['python']}, {versions}.",
    ]


def _phase_table(phases: Mapping[str, Mapping[str, float]]) -> list[str]:
    rows = [(name, entry["wall_s"], entry["cpu_s"]) for name, entry in phases.items()]
    rows.append(("total", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    table = [f"| {name} | {wall:.0f} | {cpu:.0f} |" for name, wall, cpu in rows]
    return ["| phase | seconds | CPU seconds |", "|---|---|---|", *table]
