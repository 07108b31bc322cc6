"""What the robustness benchmark reports: scores, differences with intervals, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scores import PolicyScores
from styleaug.evaluate.corruptions import SUITES

INDUSTRIAL = SUITES["industrial"]
BASELINES = ("flips only", "ColorJitter", "photometric mix")


def policy_scores(
    records: Sequence[Mapping[str, Any]], *, industrial: bool = False
) -> PolicyScores:
    """Gather the records of one policy, one a seed: of corruptions, or of industrial shifts."""
    corrupted = {
        name: {int(level): tuple(r["corrupted"][name][level] for r in records) for level in levels}
        for name, levels in records[0]["corrupted"].items()
        if (name in INDUSTRIAL) == industrial
    }
    return PolicyScores(tuple(record["clean"] for record in records), corrupted)


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation over seeds (None of one seed), and the values themselves."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": deviation, "per_seed": list(values)}


def difference(values: Sequence[float], baseline: Sequence[float]) -> dict[str, Any]:
    """Values minus baseline, seed by seed, with the 95 % interval of their mean by Student's t.

    The interval is for other seeds on the same images. One seed has none.
    """
    from scipy import stats  # comes with imagecorruptions

    gains = spread([a - b for a, b in zip(values, baseline, strict=True)])
    low = high = None
    if gains["std"] is not None:
        count = len(values)
        margin = float(stats.t.ppf(0.975, count - 1)) * gains["std"] / count**0.5
        low, high = gains["mean"] - margin, gains["mean"] + margin
    return {**gains, "low": low, "high": high}


def figures(records: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Scores of each policy, and its differences to the baselines that were run."""
    scores = {name: _scores(entries) for name, entries in records.items()}
    return {"scores": scores, "differences": differences(scores)}


def _scores(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    scores = policy_scores(records)
    return {
        **{column: spread(values) for column, values in _columns(records).items()},
        "rPC": spread(scores.rpc),
        "corrupted": {**scores.corrupted, **policy_scores(records, industrial=True).corrupted},
        "also": {metric: _also(metric, records) for metric in records[0]["also"]},
        "seconds": [record["seconds"] for record in records],
    }


def differences(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What each policy gains over each baseline, seed by seed, in every column."""
    columns = {
        name: {
            c: entry["per_seed"]
            for c, entry in row.items()
            if c != "rPC" and isinstance(entry, Mapping) and "per_seed" in entry
        }
        for name, row in scores.items()
    }
    return {
        baseline: {
            name: {c: difference(v, columns[baseline][c]) for c, v in columns[name].items()}
            for name in scores
            if name != baseline
        }
        for baseline in BASELINES
        if baseline in scores
    }


def _columns(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, ...]]:
    scores, shifts = policy_scores(records), policy_scores(records, industrial=True)
    quiet = [scores.under(name) for name in scores.corrupted if "noise" not in name]
    return {
        "P": scores.clean,
        **_elsewhere(records),
        **_readapted(records),
        "mPC": scores.mpc,
        "mPC without noise": tuple(float(np.mean(seed)) for seed in zip(*quiet, strict=True)),
        **_industrial(shifts),
        **{name: each.under(name) for each in (scores, shifts) for name in each.corrupted},
    }


def _also(metric: str, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Another score than the one that the task is judged by."""
    entries = [record["also"][metric] for record in records]
    scores, shifts = policy_scores(entries), policy_scores(entries, industrial=True)
    columns = {"P": scores.clean, **_elsewhere(entries), "mPC": scores.mpc, **_industrial(shifts)}
    return {name: spread(values) for name, values in columns.items()}


def _elsewhere(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, ...]]:
    """Scores under another lamp or on another line, if there is one; older cells have none."""
    parts = {
        "elsewhere": tuple(record.get("elsewhere") for record in records),
        "elsewhere readapted": tuple(
            record.get("readapted", {}).get("elsewhere") for record in records
        ),
    }
    return {name: found for name, found in parts.items() if None not in found}


def _readapted(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, ...]]:
    """The same with batch norms adapted to each set of images, at one severity."""
    entries = [record["readapted"] for record in records]
    if not entries[0]["corrupted"]:  # that severity was not run
        return {}
    scores, shifts = policy_scores(entries), policy_scores(entries, industrial=True)
    found = {"P readapted": scores.clean}
    for name, part in (("mPC", scores), ("industrial", shifts)):
        if part.corrupted:
            found[f"{name} readapted"] = part.mpc
    return found


def _industrial(shifts: PolicyScores) -> dict[str, tuple[float, ...]]:
    """The mean over industrial shifts; and without the lamp's colour, which gray cameras miss."""
    gray = [shifts.under(name) for name in shifts.corrupted if name != "colour_temperature"]
    if not gray:
        return {}
    means = tuple(float(np.mean(seed)) for seed in zip(*gray, strict=True))
    return {"industrial": shifts.mpc, "industrial without colour": means}


def table(record: Mapping[str, Any]) -> str:
    """Markdown: all policies by falling mPC, and what each gains under each corruption."""
    scores = dict(sorted(record["scores"].items(), key=lambda item: -item[1]["mPC"]["mean"]))
    baselines = list(record["differences"])
    corruptions = record["settings"]["corruptions"]
    columns = ["P", "mPC", "mPC without noise", "rPC"]
    first = next(iter(scores.values()))
    further = ("elsewhere", "elsewhere readapted", "industrial", "industrial without colour")
    columns += [c for c in further if c in first]
    heads = ["policy", *columns, *(f"mPC over {name}" for name in baselines), "a run"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, row in scores.items():
        entries = [plus_minus(row[column]) for column in columns]
        for baseline in baselines:
            change = record["differences"][baseline].get(name)
            entries.append(interval(change["mPC"]) if change else "")
        lines.append(f"| {name} | {' | '.join(entries)} | {seconds(row['seconds'])} |")
    lines += ["", "| policy | " + " | ".join(c.replace("_", " ") for c in corruptions) + " |"]
    lines.append("|---" + "|---" * len(corruptions) + "|")
    for name, row in scores.items():
        means = " | ".join(f"{row[corruption]['mean']:.1f}" for corruption in corruptions)
        lines.append(f"| {name} | {means} |")
    return "\n".join(lines)


def seconds(entries: Sequence[Mapping[str, float]]) -> str:
    """What a run took, on average."""
    wall, cpu = np.mean([(e["train"] + e["test"], e["cpu"]) for e in entries], axis=0)
    return f"{wall:.0f} s, {cpu:.0f} s of CPU"


def plus_minus(entry: Mapping[str, Any]) -> str:
    """``97.8 ± 0.9``, without the deviation if there was one seed."""
    deviation = "" if entry["std"] is None else f" ± {entry['std']:.1f}"
    return f"{entry['mean']:.1f}{deviation}"


def interval(entry: Mapping[str, Any]) -> str:
    """``+1.2 (-0.3 to +2.7)``, without the interval if there was one seed."""
    bounds = "" if entry["low"] is None else f" ({entry['low']:+.1f} to {entry['high']:+.1f})"
    return f"{entry['mean']:+.1f}{bounds}"
