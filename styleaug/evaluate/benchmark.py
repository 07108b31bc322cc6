"""``bench``: train a network with and without StyleAugment, and measure both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from styleaug.augment.presets import preset
from styleaug.datasets import DefectSet
from styleaug.evaluate.corruptions import SUITES, installed_corruptions
from styleaug.evaluate.experiment import Experiment
from styleaug.evaluate.policies import FLIPS, name_policies, paste_policy, presets_to_try
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.results import Result
from styleaug.evaluate.robustness import Robustness
from styleaug.evaluate.split import read_split, split_samples
from styleaug.evaluate.tasks import kind_of, make_task
from styleaug.pack import DEFAULT_PACK

TOLERANCE = 0.01
"""Clean score that a recommended preset may cost on the validation images."""
OURS = "StyleAugment"


@dataclass(frozen=True)
class BenchReport:
    """Result of a bench.

    Attributes:
        result: every score of every policy and seed; its metadata holds the rest of this, too.
        robustness: by policy, flips alone first; all seeds of each.
        search: P and mPC of flips and of each tested preset, on the validation images.
        chosen: the preset that was compared.
        recommended: the best row of the comparison: the most robust of those that lose at most one
            point on clean images.
    """

    result: Result
    robustness: Mapping[str, Robustness]
    search: Mapping[str, Mapping[str, float]]
    chosen: str
    recommended: str

    @property
    def code(self) -> str:
        """The lines to paste."""
        return paste_policy(self.result.meta["policies"][self.recommended])

    @property
    def needs_progress(self) -> bool:
        """Whether what is recommended must be told how far training has come."""
        return OURS in self.recommended and preset(self.chosen).schedule is not None


def bench(
    defects: DefectSet,
    *,
    protocol: Protocol | None = None,
    task: str | None = None,
    baselines: Sequence[str] = ("photometric mix",),
    pack: str = DEFAULT_PACK,
    cache: Path | None = None,
    device: str = "cpu",
    workers: int = 0,
) -> BenchReport:
    """Compare flips alone, StyleAugment, baselines, and a baseline with StyleAugment.

    A sixth of the training images is held out first. On these, a few presets are compared under the
    validation suite. Among those that lose at most one point on clean images, the one with the
    highest mPC is chosen; if all lose more, the one that loses least. Then every policy trains on
    all training images and is tested under the protocol's corruptions, which play no part in the
    choice.

    Args:
        defects: labelled images.
        protocol: how networks are trained and tested; by default that of the task.
        task: ``"classification"`` of whole images, with the class of the largest box;
            ``"segmentation"`` of defects; ``"detection"`` of boxes; or None for the first of these
            that the labels allow.
        baselines: names in :data:`~styleaug.evaluate.policies.BASELINES`, or expressions such as
            ``"AugMix(severity=5)"``; the first is also tried with StyleAugment after it.
        pack: name or path of the style pack.
        cache: folder that stores the outcome of each trained network, so an interrupted bench can
            continue.
        device: where networks train.
        workers: processes that corrupt images; 0 works in this one.

    Raises:
        ValueError: if the labels do not allow the task, or a baseline is unknown.
        OSError: if an image cannot be read.
    """
    kind = task or kind_of(defects)
    protocol = protocol or Protocol.of(kind)
    protocol = replace(protocol, corruptions=installed_corruptions(protocol.corruptions))
    others = name_policies(baselines)
    learned = make_task(defects, kind, protocol.size)
    train_set, test_set = split_samples(defects)

    def experiment(train: DefectSet, test: DefectSet, protocol: Protocol) -> Experiment:
        split = read_split(defects.name, learned, train, test, protocol)
        return Experiment(split, protocol, folder, pack, device)

    with TemporaryDirectory() as temporary:
        folder = cache or Path(temporary)
        trial = experiment(*train_set.split(test_fraction=1 / 6, seed=1), _choosing(protocol))
        tried = {FLIPS: ""} | {n: preset_code(n) for n in presets_to_try(kind, protocol.model)}
        scores = trial.robustness(trial.run(tried, workers=workers, title="choose"))
        search = {name: {"P": s.performance, "mPC": s.mpc()} for name, s in scores.items()}
        chosen = choose_preset(search)

        policies = {FLIPS: "", OURS: preset_code(chosen), **others}
        for name, expression in list(others.items())[:1]:
            policies[f"{name} + {OURS}"] = f"{expression} + {preset_code(chosen)}"
        final = experiment(train_set, test_set, protocol)
        runs = final.run(policies, workers=workers, title="compare")
        final.drop_corrupted()
    result = final.result(
        runs,
        name=defects.name,
        purpose="What StyleAugment gains and costs on these images.",
        command="styleaug bench",
    )
    found = final.robustness(runs)
    best = best_row({name: {"P": r.performance, "mPC": r.mpc()} for name, r in found.items()})
    meta = {**result.meta, "search": search, "chosen": chosen, "recommended": best}
    return BenchReport(replace(result, meta=meta), found, search, chosen, best)


def _choosing(protocol: Protocol) -> Protocol:
    """The same with the corruptions to choose settings by, and one seed."""
    names = installed_corruptions(SUITES["validation"])
    return replace(protocol, corruptions=names, seeds=protocol.seeds[:1], thorough=False)


def preset_code(name: str) -> str:
    """The call with a preset."""
    return f"{OURS}({'' if name == 'default' else repr(name)})"


def best_row(rows: Mapping[str, Mapping[str, float]]) -> str:
    """The policy with the highest mPC of those that cost at most a point; flips, if none gains."""
    clean = rows[FLIPS]["P"]
    cheap = [name for name, row in rows.items() if row["P"] >= clean - TOLERANCE]
    return max(cheap, key=lambda name: rows[name]["mPC"])


def choose_preset(search: Mapping[str, Mapping[str, float]]) -> str:
    """The preset to compare, see :func:`bench`: ``search`` holds flips, too."""
    clean = search[FLIPS]["P"]
    presets = {name: row for name, row in search.items() if name != FLIPS}
    cheap = {name: row for name, row in presets.items() if row["P"] >= clean - TOLERANCE}
    if cheap:
        return max(cheap, key=lambda name: cheap[name]["mPC"])
    return max(presets, key=lambda name: presets[name]["P"])
