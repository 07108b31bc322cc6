"""How robust a network becomes under each augmentation policy.

    python -m benchmarks.robustness x-sdd-classification --data DIR --jobs 2
    python -m benchmarks.robustness elpv-classification               # solar cells of a package
    python -m benchmarks.robustness real/lighting-tiles --data DIR    # a real shift
    python -m benchmarks.robustness real/lighting-tiles --variant scratch --data DIR
    python -m benchmarks.robustness x-sdd-classification --data DIR --quick   # a few minutes
    python -m benchmarks.robustness x-sdd-classification --data DIR \\
        --add "brighter=StyleAugment([Relight(strength=(0.5, 1))], p=0.7)"

CONFIG is a TOML file, or the name of one in benchmarks/robustness/configs; a variant changes its
network, its steps or its policies. DIR holds the folders of the datasets, each labelled in any way
that `styleaug.datasets` reads. A network with ImageNet's
weights is fine-tuned to classify whole images, to segment defects (a U-Net), or to detect boxes (an
FCOS), with random flips and then the policy; and tested on clean images, and under corruptions. All
seeds and policies share one split. An interrupted run goes on where it was. --add and --only
keep what the result holds of other policies, unless their settings have changed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.robustness.config import Config, ConfigError, config_path, variant_path
from benchmarks.rows import RESULTS
from benchmarks.rows import table as markdown
from styleaug.errors import StyleAugError
from styleaug.evaluate.corruptions import SUITES
from styleaug.evaluate.experiment import Experiment
from styleaug.evaluate.policies import BASELINES, build_policy, describe_policy, name_policies
from styleaug.evaluate.records import command_line
from styleaug.evaluate.results import CLEAN, ELSEWHERE, Result
from styleaug.evaluate.statistics import mean_and_deviation, paired_difference
from styleaug.pack import DEFAULT_PACK

_PROTOCOL = ("seeds", "task", "protocol", "pack")
"""What must be equal of results whose policies are put together."""


def run(config: Config, options: argparse.Namespace, command: str) -> Result:
    """Run an experiment and write its result."""
    protocol = config.make_protocol()
    if options.quick:
        protocol = protocol.shortened()
    if options.seeds:
        protocol = replace(protocol, seeds=tuple(options.seeds))
    policies = _chosen(config, options)
    experiment = Experiment(
        config.read(options.data, protocol), protocol, options.cache, options.pack, options.device
    )
    workers = options.jobs if options.jobs > 1 else 0
    found = experiment.run(policies, jobs=options.jobs, workers=workers)
    result = experiment.result(found, name=config.name, purpose=config.purpose, command=command)
    split = {"part_by": config.part_by, "line": config.line}
    told = {**result.meta["protocol"], **{name: v for name, v in split.items() if v}}
    result = replace(result, meta={**result.meta, "protocol": told})
    name = f"{config.name}-quick" if options.quick else config.name
    out = options.out or RESULTS / config.suite / f"{name}.json"
    if (options.add or options.only) and out.is_file():
        result = join(Result.load(out), result, options.pack)
    result.save(out)
    print(f"\n{config.purpose}\n\n{table(result)}\n\n{out}")
    return result


def _chosen(config: Config, options: argparse.Namespace) -> dict[str, str]:
    """Policies to run by name: those of the config, some of them, or those to be added alone."""
    policies = dict(config.policies)
    if options.only is not None:
        known = {**BASELINES, **policies}
        unknown = [name for name in options.only if name not in known]
        if unknown:
            raise ConfigError(f"--only takes names of {', '.join(known)}, but got {unknown[0]!r}.")
        policies = {name: known[name] for name in options.only}
    elif options.add:
        policies = {}
    added = name_policies(options.add)
    taken = sorted(added.keys() & {*config.policies, *policies})
    if taken:
        raise ConfigError(f"There is a policy {taken[0]!r} already; choose another name.")
    return {**policies, **added}


def join(old: Result, new: Result, pack: str) -> Result:
    """The new result, and the policies of the old one whose settings are still the same."""
    changed = [name for name in _PROTOCOL if old.meta.get(name) != new.meta[name]]
    if changed:
        raise ConfigError(
            f"Policies can be added to a result that was measured alike, but that of "
            f"{new.meta['name']} has another {', '.join(changed)}. Run all of its policies anew."
        )
    kept = {
        name: text
        for name, text in old.meta["policies"].items()
        if name not in new.policies
        and old.meta.get("settings", {}).get(name) == describe_policy(build_policy(text, pack=pack))
    }
    origin = {name: new.meta[name] for name in ("command", "machine", "versions")}
    added = {name: text for name, text in old.meta.get("added", {}).items() if name in kept}
    settings = {name: old.meta["settings"][name] for name in kept}
    meta = {
        **new.meta,
        **{name: old.meta[name] for name in origin},
        "policies": {**kept, **new.meta["policies"]},
        "settings": {**settings, **new.meta["settings"]},
        "added": {**added, **dict.fromkeys(new.policies, origin)},
    }
    return Result(meta, (*old.select(policy=list(kept)).rows, *new.rows))


def table(result: Result) -> str:
    """Markdown: each policy's scores, and what it changes against flips alone."""
    columns: dict[str, Any] = {CLEAN: CLEAN}
    for suite, names in SUITES.items():
        tested = [name for name in names if name in result.conditions]
        part = "" if len(tested) == len(names) else f", {len(tested)} of {len(names)}"
        columns |= {f"{suite}{part}": tested} if tested else {}
    if ELSEWHERE in result.conditions:
        columns[ELSEWHERE] = ELSEWHERE
    first = result.policies[0]
    heads = ["policy", *(part for name in columns for part in (name, f"over {first}"))]
    rows = []
    for policy in result.policies:
        cells: list[object] = [policy]
        for conditions in columns.values():
            scores, baseline = (result.scores(name, conditions) for name in (policy, first))
            change = None if policy == first else paired_difference(scores, baseline)
            cells += [mean_and_deviation(list(scores.values())), change]
        rows.append(cells)
    return markdown(heads, rows)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("config", type=config_path, metavar="CONFIG", help="a TOML file, or its name in configs/")
    add("--variant", type=variant_path, metavar="NAME", help="one of variants/")
    add("--data", type=Path, metavar="DIR", help="holds the folders of the datasets")
    add("--quick", action="store_true", help="one seed, half the images, 100 steps at most")
    add("--seeds", type=int, nargs="+", metavar="N", help="instead of the config's")
    add("--only", nargs="+", metavar="NAME", help="run some of the policies")
    add("--add", action="append", default=[], metavar="NAME=EXPRESSION", help="run a policy more")
    add("--pack", default=DEFAULT_PACK, help="style pack: name or path (default: %(default)s)")
    add("--device", default="cpu", help="where networks train (default: %(default)s)")
    add("--jobs", type=int, default=1, metavar="N", help="runs at once, each on one thread")
    add("--cache", type=Path, default=_cache_folder(), metavar="DIR", help="default: %(default)s")
    add("--out", type=Path, metavar="FILE", help="default: in benchmarks/results")
    return parser.parse_args(arguments)


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "styleaug-robustness"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse_arguments(arguments)
    if options.jobs > 1:
        torch.set_num_threads(1)
    try:
        config = Config.load(options.config, options.variant)
        run(config, options, command_line("benchmarks.robustness", arguments))
    except (OSError, StyleAugError, ValueError) as error:
        sys.stderr.write(f"robustness: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
