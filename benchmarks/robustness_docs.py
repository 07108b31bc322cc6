"""What README and docs say of robustness, from the results of all pairs of set and task."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from robustness_figures import difference, interval, plus_minus, spread
from robustness_policies import defaults
from robustness_problems import MEASURES
from styleaug.evaluate.corruptions import LAMPS, SUITES, VALIDATION_CORRUPTIONS
from styleaug.evaluate.models import KINDS, SMALL

Record = Mapping[str, Any]
MINE = "StyleAugment"
COLUMNS = {"P": "clean", "mPC": "corruptions (mPC)", "industrial": "industrial shifts"}
_EARLIER = ", earlier defaults"
_WITH_GAINS = [part for title in COLUMNS.values() for part in (title, "over flips")]


def pairs(folder: Path) -> dict[str, Record]:
    """The results of whole runs by name of set and task, classification first."""
    found = {}
    for kind in KINDS:
        for path in sorted(folder.glob(f"robustness_*-{kind}.json")):
            found[path.stem.removeprefix("robustness_")] = _read(path)
    return found


def longest(folder: Path) -> dict[str, Record]:
    """Of each pair that was also trained for more steps than usual, the longest such run."""
    found = {}
    for name, usual in pairs(folder).items():
        alike = [r for r in _runs(folder, name) if r["task"]["train"] == usual["task"]["train"]]
        if alike[-1]["settings"]["steps"] > usual["settings"]["steps"]:
            found[name] = alike[-1]
    return found


def _runs(folder: Path, name: str) -> list[Record]:
    """All runs of a pair: most images first, and of as many, fewest steps first.

    Longer ones lie in ``..._900-steps.json``, fewer images in ``..._900-steps_300-images.json``.
    """
    other = re.compile(rf"robustness_{name}(_\d+-steps)?(_\d+-images)?")
    paths = [path for path in folder.glob("*.json") if other.fullmatch(path.stem)]
    return sorted(map(_read, paths), key=lambda r: (-r["task"]["train"], r["settings"]["steps"]))


def _read(path: Path) -> Record:
    """A result; policies of other defaults than today's are not taken for today's."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if record["defaults"] == defaults():
        return record
    names = {
        name: f"{name}{_EARLIER}" if MINE in expression else name
        for name, expression in record["policies"].items()
    }
    for key in ("policies", "scores"):
        record[key] = {names[name]: entry for name, entry in record[key].items()}
    return record


def shared_policies(records: Mapping[str, Record]) -> list[str]:
    """Policies that ran on all pairs, by rising mPC."""
    names = list(next(iter(records.values()))["scores"])
    everywhere = [n for n in names if all(n in r["scores"] for r in records.values())]
    return sorted(everywhere, key=lambda n: _mean(records, n, "mPC"))


def overall(records: Mapping[str, Record]) -> str:
    """Means over all pairs, and what each policy changes against flips alone."""
    rows = []
    for name in shared_policies(records):
        cells = [name]
        for column in COLUMNS:
            cells.append(f"{_mean(records, name, column):.1f}")
            gain = difference(_seeds(records, name, column), _seeds(records, "flips only", column))
            cells.append("" if name == "flips only" else interval(gain))
        rows.append(cells)
    return _table(["policy", *_WITH_GAINS], rows)


def against(records: Mapping[str, Record]) -> str:
    """What ``StyleAugment`` gains: as it is, with other settings, and after a peer."""
    settings = {n: ["flips only", "photometric mix", MINE] for n in _settings(records)}
    return _beside(records, {MINE: _others(records)} | settings | _after_peers(records))


def _beside(records: Mapping[str, Record], others: Mapping[str, Sequence[str]]) -> str:
    """A table for each policy that ran, of what it gains over others."""
    ran = _ran(records)
    return "\n".join(
        _against(records, mine, names) for mine, names in others.items() if mine in ran
    )


def _after_peers(records: Mapping[str, Record]) -> dict[str, list[str]]:
    """``StyleAugment`` after each of the other policies, and what to compare it with."""
    return {f"{peer} + {MINE}": ["flips only", peer, MINE] for peer in _others(records)}


def _settings(records: Mapping[str, Record]) -> list[str]:
    """Other settings of ``StyleAugment`` alone, of today."""
    return [n for n in _ran(records) if n.startswith(MINE) and n != MINE and _EARLIER not in n]


def _settings_over_flips(records: Mapping[str, Record]) -> str:
    """What these gain, in one table."""
    rows = [
        [mine, *gain[1:]]
        for mine in _settings(records)
        for gain in _gained(records, mine, ["flips only"])
    ]
    head = ["setting, over flips", "on", "steps", *COLUMNS.values()]
    return _table(head, rows) if rows else ""


def _ran(records: Mapping[str, Record]) -> list[str]:
    """Policies that ran on any pair."""
    return list(dict.fromkeys(name for record in records.values() for name in record["scores"]))


def _others(records: Mapping[str, Record]) -> list[str]:
    """Those of them without ``StyleAugment``."""
    return [name for name in _ran(records) if MINE not in name]


def _against(records: Mapping[str, Record], mine: str, others: Sequence[str]) -> str:
    """What one policy gains over others, by task, where both ran."""
    head = [f"{mine} over", "on", "steps", *COLUMNS.values()]
    return _table(head, _gained(records, mine, others))


def _gained(records: Mapping[str, Record], mine: str, others: Sequence[str]) -> list[list[str]]:
    """Rows: another policy, where both ran, after how many steps, and the gains over it."""
    gains: list[tuple[float, list[str]]] = []
    for kind in KINDS:
        some = {n: r for n, r in records.items() if r["task"]["kind"] == kind}
        for name in _ran(some):
            both = {n: r for n, r in some.items() if {name, mine} <= r["scores"].keys()}
            if not both or name not in others:
                continue
            found = {
                column: difference(_seeds(both, mine, column), _seeds(both, name, column))
                for column in COLUMNS
            }
            sets = ", ".join(r["task"]["name"] for r in both.values())
            shown = [interval(gain) for gain in found.values()]
            order = KINDS.index(kind) * 1000 - found["mPC"]["mean"]
            steps = dict.fromkeys(str(r["settings"]["steps"]) for r in both.values())
            gains.append((order, [name, f"{kind}: {sets}", " to ".join(steps), *shown]))
    return [row for _, row in sorted(gains, key=lambda gain: gain[0])]


def by_pair(records: Mapping[str, Record]) -> str:
    """P, mPC and industrial mean of every policy on every pair, with deviations over seeds."""
    parts = []
    for name, record in records.items():
        task, settings = record["task"], record["settings"]
        also = {metric: None for row in record["scores"].values() for metric in row["also"]}
        rows = []
        for policy, row in sorted(record["scores"].items(), key=lambda r: r[1]["mPC"]["mean"]):
            others = [row["also"].get(metric) for metric in also]
            curves = [
                " / ".join(f"{o[c]['mean']:.1f}" for c in COLUMNS) if o else "" for o in others
            ]
            cells = [*(plus_minus(row[column]) for column in COLUMNS), *curves]
            rows.append([policy, *cells, f"{mean(e['cpu'] for e in row['seconds']):.0f}"])
        head = ["policy", *COLUMNS.values(), *(f"{m}: clean / mPC / industrial" for m in also)]
        parts.append(
            f"**{name}**: {task['metric']} in percent, {len(task['classes'])} "
            f"{'class' if len(task['classes']) == 1 else 'classes'}, {task['train']} images to "
            f"train on, {task['test']} to test on, {settings['size']} pixels, {settings['steps']} "
            f"steps of {settings['batch_size']}.\n\n{_table([*head, 'CPU, s'], rows)}"
        )
    return "\n".join(parts)


def by_condition(records: Mapping[str, Record]) -> str:
    """Means over all pairs under each corruption and each shift."""
    tables = []
    names = next(iter(records.values()))["settings"]["corruptions"]
    shifts = [name for name in names if name in SUITES["industrial"]]
    for some in ([n for n in names if n not in shifts], shifts):
        rows = [
            [policy, *(f"{_mean(records, policy, name):.0f}" for name in some)]
            for policy in shared_policies(records)
        ]
        tables.append(_table(["policy", *(n.replace("_", " ") for n in some)], rows))
    return "\n".join(tables)


def adapt_batchnorm(records: Mapping[str, Record]) -> str:
    """Severity 3 alone, without and with batch norms adapted to the images; means over pairs."""
    rows = []
    for policy in shared_policies(records):
        cells = [policy]
        for column, industrial in (("mPC", False), ("industrial", True)):
            plain = mean(_at_three(r["scores"][policy], industrial) for r in records.values())
            adapted = _mean(records, policy, f"{column} readapted")
            cells += [f"{plain:.1f}", f"{adapted:.1f}"]
        rows.append([*cells, f"{_mean(records, policy, 'P readapted'):.1f}"])
    head = [
        "policy, severity 3",
        "mPC",
        "re-adapted",
        "industrial",
        "re-adapted",
        "clean, re-adapted",
    ]
    return _table(head, rows)


def _at_three(row: Mapping[str, Any], industrial: bool) -> float:
    """Mean over conditions at severity 3."""
    names = [n for n in row["corrupted"] if (n in SUITES["industrial"]) == industrial]
    return mean(mean(row["corrupted"][name]["3"]) for name in names)


def looks(folder: Path) -> str:
    """Sets parted by look, as if another lamp or finish had made one half."""
    rows = []
    for look in MEASURES:
        for path in sorted(folder.glob(f"robustness_*_{look}*.json")):
            record = _read(path)
            protocol = path.stem.rpartition(f"_{look}")[2]  # _small-cnn_300-steps
            for word, shown in (("_", ", "), ("-steps", " steps"), ("-processor", " processor")):
                protocol = protocol.replace(word, shown)
            name = f"{record['task']['name']}, by {look}{protocol}"
            rows += [[name, *cells] for cells in _elsewhere(record["scores"])]
    head = ["set", "policy", "same side", "other side", "over flips", "other side, re-adapted"]
    return _table(head, rows) if rows else ""


def _elsewhere(scores: Mapping[str, Any]) -> list[list[str]]:
    """Each policy on clean images, elsewhere, there over flips alone, and re-adapted; best last."""
    ranked = sorted(scores.items(), key=lambda entry: entry[1]["elsewhere"]["mean"])
    return [
        [
            policy,
            plus_minus(row["P"]),
            *_over_flips(scores, row, "elsewhere"),
            plus_minus(row["elsewhere readapted"]),
        ]
        for policy, row in ranked
    ]


def budgets(folder: Path) -> str:
    """What longer training and fewer images change: such runs, and the usual one beside them."""
    rows = []
    for name, usual in pairs(folder).items():
        runs = _runs(folder, name)
        unusual = {
            policy.removesuffix(_EARLIER)
            for run in runs
            if run["settings"] != usual["settings"]
            for policy in run["scores"]
        }
        for run in runs:
            ran = [policy for policy in run["scores"] if policy.removesuffix(_EARLIER) in unusual]
            rows += _gains(name, run, ran)
    return _table(_RUN, rows) if rows else ""


def scratch(folder: Path) -> str:
    """Small networks that begin with random weights; what holds best under corruptions, last."""
    rows = []
    for kind in KINDS:
        for path in sorted(folder.glob(f"robustness_*-{kind}_{SMALL}*.json")):
            run = _read(path)
            ranked = shared_policies({path.stem: run})
            rows += _gains(f"{run['task']['name']}-{kind}", run, ranked)
    return _table(_RUN, rows) if rows else ""


_RUN = ["set and task", "images", "steps", "policy", *_WITH_GAINS]


def _gains(name: str, run: Record, policies: Sequence[str]) -> list[list[str]]:
    """Rows of one run: how much it trained, and what its policies scored and gained."""
    counts = [str(run["task"]["train"]), str(run["settings"]["steps"])]
    rows = []
    for policy in policies:
        row = run["scores"][policy]
        gains = [_over_flips(run["scores"], row, column) for column in COLUMNS]
        rows.append([name, *counts, policy, *(cell for pair in gains for cell in pair)])
    return rows


def _over_flips(scores: Mapping[str, Any], row: Mapping[str, Any], column: str) -> list[str]:
    """A policy's score, and what it gains over flips alone in the same run, if these ran."""
    flips = scores.get("flips only", row)
    gain = difference(row[column]["per_seed"], flips[column]["per_seed"])
    return [plus_minus(row[column]), "" if row is flips else interval(gain)]


def lines(folder: Path) -> str:
    """Networks of one line on another one: its materials, finish, camera and lamp."""
    rows = []
    for path in sorted(folder.glob("robustness_*_to-*.json")):
        record = _read(path)
        name = f"{record['task']['name']} to {path.stem.rpartition('_to-')[2]}"
        for cells in _elsewhere(record["scores"]):
            row = record["scores"][cells[0]]
            curve = [row["also"]["AUROC"][c]["mean"] for c in ("P", "elsewhere")]
            rows.append([name, *cells, " / ".join(f"{c:.1f}" for c in curve)])
    head = ["lines", "policy", "same line", "other line", "over flips", "other line, re-adapted"]
    return _table([*head, "AUROC: same / other line"], rows) if rows else ""


def ablation(folder: Path) -> str:
    """What each setting does to the scores that settings are chosen by: means over the sets."""
    records = {
        path.stem: _read(path) for path in sorted(folder.glob("robustness_*_validation.json"))
    }
    if not records:
        return ""
    rows = []
    for policy in shared_policies(records):
        expression = next(iter(records.values()))["policies"][policy]
        groups = [["P"], list(VALIDATION_CORRUPTIONS), list(LAMPS)]
        cells = []
        for group in groups:
            means = np.mean([_seeds(records, policy, column) for column in group], axis=0)
            found = spread([float(v) for v in means])
            cells.append(
                f"{found['mean']:.1f}" + (f" ± {found['std']:.1f}" if found["std"] else "")
            )
        rows.append([policy, f"`{expression}`", *cells])
    sets = ", ".join(r["task"]["name"] for r in records.values())
    head = ["policy", "after loading", "clean", "other corruptions", "other lamps"]
    return f"Means over {sets}; seeds: {_seed_counts(records)}.\n\n{_table(head, rows)}"


def protocol(records: Mapping[str, Record]) -> str:
    """What was measured, in words."""
    first = next(iter(records.values()))
    policies = {n: text for record in records.values() for n, text in record["policies"].items()}
    listed = "\n".join(f"- {name}: `{text}`" for name, text in policies.items())
    machine = first["machine"]
    later: dict[str, list[str]] = {}
    for record in records.values():
        for policy, run in record.get("added", {}).items():
            place = later.setdefault(run["machine"]["cpu"], [])
            place.append(f"{policy} on {record['task']['name']}")
    added = "".join(
        f" On {cpu}: {', '.join(what)}." for cpu, what in later.items() if cpu != machine["cpu"]
    )
    return (
        f"{first['settings']['model']} with ImageNet's weights, fine-tuned on {len(records)} pairs "
        f"of set and task; {_seed_counts(records)} seeds; severities 1, 3 and 5. "
        f"{machine['cpu']}, {machine['cores']} cores.{added}\n\nThe policies:\n\n{listed}\n"
    )


def robustness(folder: Path) -> str:
    """All tables."""
    records = pairs(folder)
    if not records:
        return ""
    return "\n".join(
        [f(records) for f in (overall, against, by_pair, by_condition, adapt_batchnorm, protocol)]
    )


def robustness_brief(folder: Path) -> str:
    """What is gained in the longest trainings, and by ``StyleAugment`` as it is in short ones."""
    records, long = pairs(folder), longest(folder)
    if not records:
        return ""
    metrics = dict.fromkeys(r["task"]["metric"] for r in records.values())
    given_time = ""
    if long:
        asked = {MINE: _others(long)} | _after_peers(long)
        given_time = f"{overall(long)}\n{_beside(long, asked)}\n{_settings_over_flips(long)}"
    return f"""\
**Against other augmentations** (`python benchmarks/robustness.py`). A network with ImageNet's
weights, fine-tuned with each policy after random flips on {len(records)} pairs of set and task;
points of {", ".join(metrics)}, mean of {_seed_counts(records)} seeds, in brackets 95 % intervals.
The photometric mix is no policy of a library: it is what a careful engineer builds of torchvision's
jitter, blur and noise. Gradually is `StyleAugment(schedule="gradual")`: plain images first; heavier
grain is `StyleAugment(grain=(0, 1))`. [All of it](docs/explanation/robustness.md).

{given_time}
A rich mixture takes time ([how long one
trains](docs/explanation/robustness.md#how-long-one-trains)). Trained briefly:

{_against(records, MINE, _others(records))}"""


def robustness_long(folder: Path) -> str:
    """The longest trainings: what is gained where a rich mixture had the time."""
    records = longest(folder)
    return f"{overall(records)}\n{against(records)}" if records else ""


def _seed_counts(records: Mapping[str, Record]) -> str:
    """``3``, or ``2 to 3`` where the pairs differ."""
    counts = sorted({len(record["seeds"]) for record in records.values()})
    return " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))


def _mean(records: Mapping[str, Record], policy: str, column: str) -> float:
    return mean(record["scores"][policy][column]["mean"] for record in records.values())


def _seeds(records: Mapping[str, Record], policy: str, column: str) -> list[float]:
    """Means over the pairs, seed by seed, for the seeds that all have."""
    values = [record["scores"][policy][column]["per_seed"] for record in records.values()]
    count = min(map(len, values))
    return [float(v) for v in np.mean([row[:count] for row in values], axis=0)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
