"""``bench_target``: which augmentation, adapted or not, carries a model over to a new line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from styleaug.augment.presets import PRESETS, preset
from styleaug.datasets import DefectSet, Sample, read_defects
from styleaug.evaluate.benchmark import best_row, preset_code
from styleaug.evaluate.corruptions import SUITES, installed_corruptions
from styleaug.evaluate.experiment import Experiment
from styleaug.evaluate.policies import FLIPS, name_policies, paste_policy, presets_to_try
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.results import ADAPTATIONS, AS_TRAINED, ELSEWHERE, MATCHED, Result
from styleaug.evaluate.split import Split, read_split, split_samples
from styleaug.evaluate.statistics import Interval, paired_difference
from styleaug.evaluate.tasks import BACKGROUND, ImageSet, Task, kind_of, make_task
from styleaug.images.io import list_images
from styleaug.pack import DEFAULT_PACK


@dataclass(frozen=True)
class TargetReport:
    """Result of a bench for a new line.

    Attributes:
        result: every score of every policy and seed.
        labelled: whether the new line's images are labelled, so that policies are scored on them.
        policy: the recommended one.
        adapted: how to adapt the trained network to images of the new line, of
            :data:`~styleaug.evaluate.results.ADAPTATIONS`.
        code: the lines to paste.
        gain: gain on the new line over flips as trained; None without labels.
    """

    result: Result
    labelled: bool
    policy: str
    adapted: str
    code: str
    gain: Interval | None

    @property
    def needs_progress(self) -> bool:
        """Whether what is recommended must be told how far training has come."""
        name = self.policy.partition(",")[0]
        return name in PRESETS and preset(name).schedule is not None


def bench_target(
    defects: DefectSet,
    target: DefectSet,
    *,
    protocol: Protocol | None = None,
    task: str | None = None,
    baselines: Sequence[str] = ("photometric mix",),
    pack: str = DEFAULT_PACK,
    cache: Path | None = None,
    device: str = "cpu",
    workers: int = 0,
) -> TargetReport:
    """Compare flips, presets, and presets with the new line's images as styles.

    Each network is scored on test images of the old line and, if they are labelled, on images of
    the new line: as trained, and with batch norms adapted to them in both ways, without labels. The
    best score there decides the recommendation. It is optimistic, since the same images select it.
    Without labels, policies are tested under the validation suite of
    :func:`~styleaug.evaluate.bench`, and adaptation is always recommended.

    It takes nine arguments because it adds the new line to those of
    :func:`~styleaug.evaluate.bench`.

    Args:
        defects: labelled images of the old line.
        target: images of the new line, labelled in the same terms or not, see :func:`read_target`.
        protocol: how networks are trained and tested; by default that of the task.
        task: as for :func:`~styleaug.evaluate.bench`.
        baselines: the same.
        pack: name or path of the style pack.
        cache: folder that stores the outcome of each trained network.
        device: where networks train.
        workers: processes that corrupt images; 0 works in this one.

    Raises:
        ValueError: if the labels do not allow the task, or a baseline is unknown.
        OSError: if an image cannot be read.
    """
    kind = task or kind_of(defects)
    protocol = protocol or Protocol.of(kind)
    split, labelled = _read(defects, target, kind, protocol)
    suite = () if labelled else installed_corruptions(SUITES["validation"])
    protocol = replace(protocol, corruptions=suite, thorough=labelled)
    first, *_ = presets = presets_to_try(kind, protocol.model)
    policies = {FLIPS: ""} | {name: preset_code(name) for name in presets}
    own_styles = f"{first}, styles of the new line"
    policies[own_styles] = _with_styles(first, "TARGET")
    policies |= name_policies(baselines)
    with TemporaryDirectory() as temporary:
        experiment = Experiment(split, protocol, cache or Path(temporary), pack, device)
        runs = experiment.run(policies, workers=workers, title="compare")
        experiment.drop_corrupted()
    result = experiment.result(
        runs,
        name=defects.name,
        purpose=f"What carries a model from {defects.name} to {target.name}.",
        command="styleaug bench --target",
    )
    gain = None
    if labelled:
        scores = {
            (name, way): result.scores(name, ELSEWHERE, adapted=way)
            for name in policies
            for way in ADAPTATIONS
        }
        policy, how = max(scores, key=lambda key: sum(scores[key].values()))
        gain = paired_difference(scores[policy, how], scores[FLIPS, AS_TRAINED])
    else:
        robust = experiment.robustness(runs)
        policy = best_row({n: {"P": r.performance, "mPC": r.mpc()} for n, r in robust.items()})
        how = MATCHED
    styled = _with_styles(first, repr(f"{target.name}/"))
    code = paste_policy(styled if policy == own_styles else policies[policy])
    meta = {**result.meta, "recommended": policy, "adapted": how, "code": code}
    return TargetReport(replace(result, meta=meta), labelled, policy, how, code, gain)


def _with_styles(name: str, styles: str) -> str:
    return f"StyleAugment(preset({name!r}, styles={styles}))"


def read_target(folder: Path, **settings: Any) -> DefectSet:
    """Read the images of a new line, as a labelled dataset or, without labels, as plain images.

    Args:
        folder: folder of the images.
        **settings: arguments of :func:`~styleaug.datasets.read_defects`.

    Raises:
        OSError: if there is no such folder.
        ValueError: if it holds no images.
    """
    try:
        return read_defects(folder, **settings)
    except ValueError:
        samples = tuple(Sample(path, bits=settings.get("bits")) for path in list_images(folder))
        return DefectSet(folder.name, (), samples, folder.name)


def _read(
    defects: DefectSet, target: DefectSet, kind: str, protocol: Protocol
) -> tuple[Split, bool]:
    """The old line's parts, the new line elsewhere, and whether that is labelled."""
    task = make_task(defects, kind, protocol.size)
    split = read_split(defects.name, task, *split_samples(defects), protocol)
    samples = _labelled(task, target)
    if samples:
        return replace(split, elsewhere=task.read(samples, protocol.train)), True
    images = task.read_images(target.samples, protocol.train)
    return replace(split, elsewhere=ImageSet(images, None)), False


def _labelled(task: Task, target: DefectSet) -> list[Sample]:
    """Images whose labels the task knows; none if that does not serve to score."""
    samples = target.samples
    if task.kind == "segmentation":
        return list(samples) if any(s.masks or s.boxes for s in samples) else []
    if task.kind == "detection":
        known = [s for s in samples if {box.label for box in s.boxes} <= set(task.classes)]
        return known if any(s.boxes for s in known) else []
    known = [s for s in samples if (s.label or BACKGROUND) in task.classes]
    return known if len({s.label for s in known}) > 1 else []
