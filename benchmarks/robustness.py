"""How robust a network becomes under each augmentation policy.

    python benchmarks/robustness.py --data DIR --task classification --jobs 2
    python benchmarks/robustness.py --data elpv --jobs 2            # solar cells of a package
    python benchmarks/robustness.py --data DIR --quick              # a few minutes
    python benchmarks/robustness.py --data elpv --line poly         # learn on monocrystalline cells
    python benchmarks/robustness.py --data DIR --line DIR --same scratches=surface_scratch
    python benchmarks/robustness.py --data DIR --validation --policies "flips only" \\
        --policy "brighter=StyleAugment(p=0.7, light=(0, 0.7))"

DIR is labelled in any way that ``styleaug.datasets`` reads. A network with ImageNet's weights
(EfficientNet-Lite0) is fine-tuned to classify whole images, to segment defects (as a U-Net), or to
detect boxes (as an FCOS), with random flips and then the policy, and tested on clean images, under
14 corruptions and under the 11 shifts of the industrial suite, at severities 1, 3 and 5. All seeds
share one split.
``--validation`` takes four other corruptions and four other lamps: choose settings by these, and
let the others tell what they are worth.

P is the score on clean images (balanced accuracy, IoU of all pixels, or box AP), mPC its mean over
all corrupted sets, rPC is mPC / P (Michaelis et al. 2019), all in percent; the industrial shifts
have a mean of their own. Grain and noise are akin to the noise corruptions, so mPC without these is
given too. A cell, one policy trained with one seed, is kept in the cache when it is done: an
interrupted run goes on where it was. ``--part-by brightness`` trains on the darkest images of
each class, and tests on the brightest, "elsewhere": a stand-in for a second lamp; by ``roughness``,
for another finish. ``--line DIR`` tests
"elsewhere" on the images of another line. ``--quick`` tries one seed, four policies, one severity.
``--add`` runs the chosen policies alone, and keeps what the result holds of others, but not of
StyleAugment with earlier defaults.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from common import command_line, machine_record, package_versions, shown, write_json
from robustness_cells import corrupt_test_images, make_cells, run_cells
from robustness_figures import differences, figures, policy_scores, seconds, table
from robustness_policies import POLICIES, defaults, make_policy, named_policies
from robustness_problems import MEASURES, Settings, kind_of_data, load_problem
from styleaug import StylePack
from styleaug.errors import StyleAugError
from styleaug.evaluate.corruptions import SUITES
from styleaug.evaluate.models import KINDS

RESULTS = Path(__file__).parent / "results"
QUICK = ("flips only", "ColorJitter", "photometric mix", "StyleAugment")

_VERSIONS_OF = ("styleaug", "torch", "torchvision", "timm", "numpy", "imagecorruptions-imaug")


def run(options: argparse.Namespace, arguments: Sequence[str]) -> dict[str, Any]:
    """Run what was asked for and write the result; returns what it holds."""
    kind = options.task or kind_of_data(options.data)
    settings = settings_of(options, kind)
    chosen = options.policies
    if chosen is None and options.add and options.policy:
        chosen = []  # one policy more, and not all the others once again
    elif chosen is None and options.quick:
        chosen = QUICK
    policies = named_policies(chosen, options.policy)
    seeds = options.seeds or ([0] if options.quick else [0, 1, 2])
    for expression in policies.values():  # before anything takes time
        make_policy(expression, options.pack)
    device = torch.device(options.device)
    problem = load_problem(
        options.data, kind, settings, look=options.part_by, line=options.line, same=options.same
    )
    protocol = {
        "pack_id": StylePack.load(options.pack).id,
        "task": problem.record(),
        "settings": asdict(settings),
        "seeds": list(seeds),
    }
    out = options.out or RESULTS / f"{_name(problem.name, kind, options, settings)}.json"
    old = _kept(out, protocol, policies) if options.add else {}
    cells = make_cells(policies, seeds, problem, settings, options.pack)
    workers = options.jobs if options.jobs > 1 else 0
    sets = corrupt_test_images(problem.test.images, settings, options.cache, workers=workers)
    found: dict[tuple[str, int], dict[str, Any]] = {}
    running = run_cells(
        cells, problem, settings, sets, options.cache / "cells", jobs=options.jobs, device=device
    )
    for cell, record in running:
        found[cell.name, cell.seed] = record
        mpc = policy_scores([record]).mpc[0]
        print(
            f"{len(found)}/{len(cells)} seed {cell.seed}, {cell.name}: P {record['clean']:.1f}, "
            f"mPC {mpc:.1f}; {seconds([record['seconds']])}",
            flush=True,
        )
    records = {name: [found[name, seed] for seed in seeds] for name in policies}
    run_here = {
        "command": command_line("robustness.py", arguments),
        "machine": machine_record(device),
        "versions": package_versions(_VERSIONS_OF),
    }
    result = {
        "pack": shown(options.pack),
        **protocol,
        "defaults": defaults(),
        "parameters": next(iter(found.values()))["parameters"],
        "policies": {
            name: f"flips + {text}" if text else "flips" for name, text in policies.items()
        },
        **figures(records),
        **run_here,
    }
    if old:
        scores = {**old["scores"], **result["scores"]}
        result = {
            **old,
            "defaults": result["defaults"],
            "policies": {**old["policies"], **result["policies"]},
            "scores": scores,
            "differences": differences(scores),
            "added": {**old.get("added", {}), **dict.fromkeys(policies, run_here)},
        }
    write_json(out, result)
    print(f"\n{table(result)}\n\n{out}")
    return result


def _name(task: str, kind: str, options: argparse.Namespace, settings: Settings) -> str:
    """Of the result: it says what is not as usual."""
    usual = Settings.of(kind)
    suffix = "_validation" if options.validation else "_quick" if options.quick else ""
    suffix += f"_{options.part_by}" if options.part_by else ""
    suffix += f"_{settings.model}" if settings.model != usual.model else ""
    suffix += f"_{settings.steps}-steps" if settings.steps != usual.steps else ""
    suffix += f"_{settings.max_train}-images" if settings.max_train != usual.max_train else ""
    suffix += f"_to-{options.line.resolve().name}" if options.line else ""
    return f"robustness_{task}-{kind}{suffix}"


def _kept(out: Path, protocol: Mapping[str, Any], policies: Mapping[str, str]) -> dict[str, Any]:
    """The result that more policies are added to.

    Raises:
        ValueError: if it was measured otherwise.
        OSError: if there is none.
    """
    old: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    changed = [k for k, v in json.loads(json.dumps(protocol)).items() if old.get(k) != v]
    if changed:
        raise ValueError(
            f"--add needs a result that was measured alike, but {out.name} has another "
            f"{', '.join(changed)}."
        )
    if old["defaults"] != defaults():  # what was measured with earlier ones is no longer ours
        mine = {name for name, text in old["policies"].items() if "StyleAugment" in text}
        for part in {"policies", "scores", "added"} & old.keys():
            old[part] = {name: value for name, value in old[part].items() if name not in mine}
    return old


def settings_of(options: argparse.Namespace, kind: str) -> Settings:
    """The protocol that suits the task, with what the command line changes."""
    names = ("model", "steps", "learning_rate", "size", "max_train", "max_test")
    changes: dict[str, Any] = {n: getattr(options, n) for n in names if getattr(options, n)}
    if options.validation:
        changes["corruptions"] = SUITES["validation"]
    if options.part_by or options.line:
        changes["corruptions"] = ("exposure", "contrast")  # the split is the test
    if options.quick:
        changes["severities"] = (3,)
    return replace(Settings.of(kind), **changes)


def _cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "styleaug-robustness"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    count: dict[str, Any] = {"type": _at_least_one, "metavar": "N"}
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="a labelled set, or elpv")
    add("--task", choices=KINDS, help="default: what the labels allow, in this order")
    add("--quick", action="store_true", help="one seed, four policies, one severity")
    add("--seeds", type=int, nargs="+", metavar="N", help="default: 0 1 2")
    add("--policies", nargs="*", metavar="NAME", help=f"some of: {', '.join(POLICIES)}")
    add("--policy", action="append", default=[], metavar="NAME=STAGE(...)", help="add a policy")
    add(
        "--validation", action="store_true", help="use the validation corruptions and lamps instead"
    )
    add(
        "--part-by",
        choices=tuple(MEASURES),
        help="part a set of classes by this, as if another lamp or finish had made the other half",
    )
    add(
        "--line",
        type=Path,
        metavar="DIR",
        help="the set of another line to test on, in the classes that both have; of elpv: mono or "
        "poly, to train on the others",
    )
    add(
        "--same",
        type=_pair,
        nargs="+",
        metavar="CLASS=CLASS",
        help="a class of --data and its name in --line, where these differ",
    )
    add(
        "--add",
        action="store_true",
        help="keep the result's other policies; without --policies, run those of --policy alone",
    )
    add("--pack", default="base", help="style pack: name or path")
    add("--model", metavar="NAME", help="backbone: efficientnet-lite0, small-cnn, or one of timm's")
    add("--steps", **count, help="of training; by default what suits the task, as for the others:")
    add("--learning-rate", type=float, metavar="X", help="at the peak of the schedule")
    add("--size", **count, help="side of the images in pixels")
    add("--max-train", **count, help="training images at most")
    add("--max-test", **count, help="test images at most")
    add("--jobs", **count, default=1, help="cells at once, each on one thread (1: in-process)")
    add("--device", default="cpu")
    add("--cache", type=Path, default=_cache_dir(), metavar="DIR", help="default: %(default)s")
    add("--out", type=Path, metavar="FILE", help="default: in benchmarks/results")
    options = parser.parse_args(arguments)
    if options.seeds and len(set(options.seeds)) < len(options.seeds):
        parser.error("--seeds must differ from each other")
    if options.line and (options.part_by or options.task not in (None, "classification")):
        parser.error("--line parts a set of classes, and not by --part-by as well")
    if options.same and not options.line:
        parser.error("--same needs --line")
    options.same = dict(options.same or ())
    return options


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not (ours and equals and theirs):
        raise argparse.ArgumentTypeError(f"must be CLASS=CLASS, but is {text!r}")
    return ours, theirs


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer >= 1, but is {text!r}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse_arguments(arguments)
    if options.jobs > 1:  # bars of several processes would overwrite each other
        os.environ["TQDM_DISABLE"] = "1"  # read by tqdm when the processes import it
    try:
        run(options, arguments)
    except (OSError, StyleAugError, ValueError) as error:
        sys.stderr.write(f"robustness: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
