"""What a look at a folder of images says to do: what to mend, what to know, what to run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from styleaug.cli.overview import counted
from styleaug.datasets.summary import SHORTEST, Summary
from styleaug.datasets.survey import SMALLEST
from styleaug.evaluate.models import KINDS
from styleaug.evaluate.tasks import NEEDS, kinds_of

PRESETS = {"segmentation": "masks", "detection": "boxes"}
"""The preset to look at first, by task; for classes that is the default."""
_NAMED = 3
"""Files that are named of each kind of trouble."""


def faults(summary: Summary) -> list[str]:
    """What must be mended, a sentence each: it breaks a training or makes its figures untrue."""
    found = []
    if damaged := summary.damaged:
        found.append(
            f"{counted(len(damaged), 'image')} cannot be read: {_reasons(summary, damaged)}. "
            "Replace or remove them."
        )
    if misfits := summary.misfits:
        names = _some([summary.name(path) for path in misfits])
        found.append(
            f"{counted(len(misfits), 'image')} cannot be used with their masks: {names}. "
            f"The first: {next(iter(misfits.values()))}"
        )
    for groups, what, then in (
        (summary.contradictions, "labelled in different ways", "Keep the one that is right."),
        (summary.leaks, "both to train on and to test on", "Remove them from one of the splits."),
    ):
        if groups:
            found.append(f"Equal images are {what}: {_equal(summary, groups)}. {then}")
    return found


def hints(summary: Summary) -> list[str]:
    """What is good to know, a sentence each."""
    found = [*summary.defects.notes] if summary.defects.layout else []
    held = {path for group in (*summary.leaks, *summary.contradictions) for path in group}
    again = [group for group in summary.duplicates if group[0] not in held]
    if again:
        found.append(f"Some images are there more than once: {_equal(summary, again)}.")
    if summary.strays:
        names = _some([summary.name(look.sample.path) for look in summary.strays])
        found.append(
            f"No label speaks of {counted(len(summary.strays), 'image')}: {names}. They are left "
            "out."
        )
    if summary.unmarked:
        names = _some([summary.name(path) for path in summary.unmarked])
        found.append(
            f"{counted(len(summary.unmarked), 'image')} of classes whose defects are marked "
            f"{_have(summary.unmarked)} an empty mask: {names}. Look whether it is complete."
        )
    if summary.small:
        names = _some([summary.name(path) for path in summary.small])
        found.append(
            f"{counted(len(summary.small), 'image')} {_have(summary.small)} fewer than {SMALLEST} "
            f"marked pixels at a short side of {summary.size}: {names}. An audit cannot measure "
            "so few; cut large images into tiles."
        )
    if summary.short_boxes:
        found.append(
            f"{counted(summary.short_boxes, 'box', 'boxes')} would have a side below {SHORTEST} "
            f"pixels at a short side of {summary.size}, which detectors hardly learn. Train on "
            "larger images, or on tiles."
        )
    if summary.large:
        names = _some([summary.name(path) for path in summary.large])
        found.append(
            f"{counted(len(summary.large), 'image')} {_have(summary.large)} more than half of the "
            f"pixels marked: {names}. An audit leaves these out. "
            "If masks mark what is free of defects, invert them."
        )
    if summary.bits and all(look.sample.bits is None for look in summary.seen):
        found.append(
            f"No value passes {summary.peak} in images of 16 bits, so they hold {summary.bits}: "
            f"say --bits {summary.bits}, or they are seen nearly black."
        )
    return found


def steps(summary: Summary, masks: Path | None = None) -> list[str]:
    """What to run next, to be pasted, each with what it tells; and what the labels do not allow.

    Nothing, if no image can be read.

    Args:
        summary: of the folder.
        masks: where its masks lie, if elsewhere.
    """
    if len(summary.damaged) == len(summary.looks):
        return []
    defects = summary.defects
    place = shlex.quote(str(summary.root)) + _options(summary, masks if defects.layout else None)
    if not defects.layout:
        told = {
            "what training will see": f"styleaug preview {place}",
            "changed copies": f"styleaug stylize {place} --out restyled/",
        }
        return [*_commands(told), "", "audit and bench need labels."]
    kinds = kinds_of(defects)
    marks = [kind for kind in kinds if kind != "classification"]
    preset = f" --preset {PRESETS[marks[0]]}" if marks else ""
    told = {"what training will see": f"styleaug preview --data {place}{preset}"}
    missing = []
    if marks and not summary.measurable:
        missing.append("audit has no image whose defects it could measure.")
    elif marks:
        told[f"defects lost, on {counted(summary.measurable, 'image')}"] = (
            f"styleaug audit --data {place}"
        )
    elif kinds:
        told["what your model still sees"] = (
            f"styleaug audit --data {place} --model mine.py:predict"
        )
    else:
        missing.append("audit needs masks or boxes, or classes and a model.")
    try:
        defects.split()
    except ValueError as error:
        missing.append(f"bench is not possible: {error}")
        kinds = ()
    for kind in kinds:
        task = "" if kind == kinds[0] else f" --task {kind}"
        told[f"gain in {kind}"] = f"styleaug bench --data {place}{task} --quick"
    missing += [f"bench --task {kind} needs {NEEDS[kind]}." for kind in KINDS if kind not in kinds]
    return [*_commands(told), *([""] if missing else []), *missing]


def _options(summary: Summary, masks: Path | None) -> str:
    """What the next command must be told, to read the images as they were read or should be."""
    bits = next((look.sample.bits for look in summary.seen), None) or summary.bits
    given = {"masks": masks, "bits": bits}
    return "".join(f" --{n} {shlex.quote(str(v))}" for n, v in given.items() if v is not None)


def _commands(told: Mapping[str, str]) -> list[str]:
    """What each command tells, and the command."""
    width = max(map(len, told))
    return [f"{tells:{width}}   {command}" for tells, command in told.items()]


def _equal(summary: Summary, groups: Sequence[Sequence[Path]]) -> str:
    return _some([" = ".join(map(summary.name, group[:_NAMED])) for group in groups])


def _have(some: Sequence[object]) -> str:
    return "has" if len(some) == 1 else "have"


def _some(names: Sequence[str]) -> str:
    """The first few of many."""
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{rest}"


def _reasons(summary: Summary, troubles: Mapping[Path, str]) -> str:
    return _some([f"{summary.name(path)} ({why.rstrip('.')})" for path, why in troubles.items()])
