"""Readers that take labels from the names of folders and files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from styleaug.datasets.folder import Folder, Reading, note_left_out
from styleaug.datasets.names import (
    PERHAPS_CLASSES,
    are_parts,
    folders_of,
    is_failure,
    is_passed,
    is_role,
    is_verdict,
    split_word,
    telling_folders,
    without_image_affix,
)
from styleaug.datasets.samples import Sample

_Place = tuple[tuple[str, ...], tuple[str, ...]]


def read_class_folders(folder: Folder) -> Reading | str:
    """Take labels from folders, or tell why they are none.

    The label is the folder below that of a split, or below ``images``; else the one above. So it is
    ``crack`` in ``train/crack/1.png``, in ``crack/train/1.png`` and in
    ``bottle/train/crack/1.png``. Folders with one stem and numbers, such as ``kos01`` and
    ``kos02``, are parts of a dataset; classes are then looked for below them. They are looked for
    below other folders, too, if those hold verdicts, such as ``OK`` and ``NG`` in
    ``line A/OK/1.png``, or hold what lies beside them as classes. Images to test on that lie in no
    class folder are left out, if others do.

    Where all that failed lies in folders of ``NG`` or the like, these tell the label: ``scratch``
    in ``NG/scratch/1.png``. Other folders inside classes do not matter.

    Where each class holds images with masks and images without, as in DAGM 2007, classes are kinds
    of pieces: those without are background.
    """
    places = {image: _place(image, folder) for image in folder.images}
    kept = {image: place for image, place in places.items() if place[0]}
    lost = [image for image in places if image not in kept]
    if kept and any(folder.split_of(image) != "test" for image in lost):
        return f"{lost[0]} lies in no class folder, as others do"
    chosen = _choose_level(kept or places)
    if isinstance(chosen, str):
        return chosen
    labels, notes = chosen
    notes = (
        *note_left_out(len(places) - len(labels), "they are to test on, and in no class folder"),
        *notes,
    )
    products = sorted({above[-1] for image, (_, above) in places.items() if above})
    if len(products) > 1 and not {*products} & {*labels.values()}:
        notes += (f"{_some(products)} are taken for products, not for classes.",)
    samples = [Sample(i, label, split=folder.split_of(i)) for i, label in labels.items()]
    return _tell_pieces(Reading(samples, notes), folder)


def _place(image: Path, folder: Folder) -> _Place:
    """The folders below the last that means a split or a role, and the others above it."""
    names = folders_of(image, folder.root)
    # masks are no images, so images in a folder "label" are of a class of that name
    plain = [
        name.lower() in PERHAPS_CLASSES or not (is_role(name) or split_word([name]))
        for name in names
    ]
    last = max((k + 1 for k, tells in enumerate(plain) if not tells), default=0)
    return names[last:], tuple(n for n, tells in zip(names[:last], plain, strict=False) if tells)


def _choose_level(
    places: Mapping[Path, _Place],
) -> tuple[dict[Path, str], tuple[str, ...]] | str:
    """Labels and notes, or why there are no classes.

    Classes are at the first level of folders that holds verdicts, or else at the first at which
    folders are named as classes.
    """
    below, notes = _without_unknown_splits({image: place[0] for image, place in places.items()})
    above = {image: place[1] for image, place in places.items()}
    reason = "the images lie in no class folders"
    found: list[tuple[dict[Path, tuple[str, ...]], list[str]]] = []
    for paths in (below, above):
        for level in range(min(map(len, paths.values()))):
            inner = {image: path[level:] for image, path in paths.items()}
            names = sorted({path[0] for path in inner.values()})
            if len(names) == len(paths) and all(map(_is_named_by_folder, paths)):
                reason = "each image lies in a folder of its own"
            elif are_parts(names):
                reason = f"{_some(names)} are numbered as parts of a dataset, not named as classes"
            elif len(names) > 1:
                found.append((inner, names))
            else:
                reason = f"there is one class folder only, {names[0]}"
                if is_passed(names[0]):
                    return reason
    if not found:
        return reason
    chosen, names = next((f for f in found if any(map(is_verdict, f[1]))), found[0])
    if names != found[0][1]:
        notes += (f"{_some(found[0][1])} are taken for parts of the dataset, not for classes.",)
    labels, more = _tell_failures(chosen)
    return labels, notes + more


def _is_named_by_folder(image: Path) -> bool:
    """Whether its folder says which image it is: ``0001/image.png``, ``0001/0001.png``."""
    return not without_image_affix(image.stem) or image.stem in image.parts[:-1]


def _without_unknown_splits(
    paths: dict[Path, tuple[str, ...]],
) -> tuple[dict[Path, tuple[str, ...]], tuple[str, ...]]:
    """Paths without folders that hold nothing but folders of classes that lie beside them too."""
    inside: defaultdict[str, set[str]] = defaultdict(set)
    for path in filter(None, paths.values()):
        inside[path[0]].add(path[1] if len(path) > 1 else "")
    parts = sorted(n for n, names in inside.items() if names <= inside.keys() - {n})
    if not parts:
        return paths, ()
    kept = {i: path[1:] if path and path[0] in parts else path for i, path in paths.items()}
    verb = "is taken for a part" if len(parts) == 1 else "are taken for parts"
    return kept, (f"{_some(parts)} {verb} of the dataset, and not for a class.",)


def _tell_failures(
    paths: Mapping[Path, tuple[str, ...]],
) -> tuple[dict[Path, str], tuple[str, ...]]:
    """The first folder of each path; of parts that failed, the second, if it tells why they did."""
    inside: defaultdict[str, set[str]] = defaultdict(set)
    for path in paths.values():
        inside[path[0]].add(path[1] if len(path) > 1 else "")
    told = set()
    for name in filter(is_failure, inside):
        reasons = inside[name]
        others = {n for other, names in inside.items() if other != name for n in (other, *names)}
        if len(reasons) > 1 and not are_parts(reasons) and reasons.isdisjoint({"", *others}):
            told.add(name)
    labels = {image: path[path[0] in told] for image, path in paths.items()}
    split = sorted(n for name in told for n in inside[name])
    rest = sorted({n for name in inside.keys() - told for n in inside[name]} - {""})
    notes = (f"{_some(split)}, inside {_some(sorted(told))}, are taken for classes.",)
    more = (f"{_some(rest)}, inside classes, are not taken for classes.",)
    return labels, notes * bool(told) + more * (len(rest) > 1 and not are_parts(rest))


def _tell_pieces(reading: Reading, folder: Folder) -> Reading:
    """Where classes are kinds of pieces, images without masks are background."""
    kinds: defaultdict[str, set[bool]] = defaultdict(set)
    for sample in reading.samples:
        kinds[sample.label].add(sample.path in folder.masks)
    if any(len(kind) == 1 for kind in kinds.values()):
        return reading
    samples = [s if s.path in folder.masks else replace(s, label="") for s in reading.samples]
    note = "Every class has images with masks and without; those without are taken for background."
    return Reading(samples, (*reading.notes, note))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{names[0]}, {names[1]}, ... {names[-1]}"


def note_other_folders(reading: Reading, folder: Folder) -> tuple[str, ...]:
    """The note about images that lie in class folders of other labels than theirs; or none."""
    told = read_class_folders(folder)
    labels = {s.path: s.label for s in told.samples} if isinstance(told, Reading) else {}
    names = {*labels.values()}
    found = [s.path for s in reading.samples if s.label in names and s.label != labels.get(s.path)]
    count = f"{len(found)} image lies" if len(found) == 1 else f"{len(found)} images lie"
    return (f"{count} in the folder of another class than the label that is told.",) * bool(found)


def read_file_names(folder: Folder) -> Reading | str:
    """Take labels from names such as ``crazing_1.jpg``: a word, then a number."""
    samples = []
    for image in folder.images:
        words = telling_folders(image, folder.root)
        # what Roboflow adds says nothing: crack_1_jpg.rf.0a1b2c
        stem = re.sub(r"(_(jpe?g|png|bmp))?\.rf\.\w+$", "", image.stem)
        named = re.fullmatch(r"(.*[^\W\d_].*?)[\s_-]*(\d+|\(\d+\))", stem)
        if named is None or any(not split_word([word]) for word in words):
            return f"{image.name} is not named after a class, as crack_1.png is"
        samples.append(Sample(image, label=named[1], split=folder.split_of(image)))
    names = sorted({sample.label for sample in samples})
    if len(names) == 1:
        return f"all images are named after one class, {names[0]!r}"
    if are_parts(names) or any(is_role(name) or re.search(r"\d{4}", name) for name in names):
        return f"{_some(names)} are no names of classes"
    return Reading(samples)


def read_masks_alone(folder: Folder) -> Reading | str:
    """Images of which nothing is known but masks; what their masks mark is not looked at."""
    if not folder.masks:
        return "there are no masks, in folders masks or ground_truth, or beside as 1_mask.png"
    samples = [Sample(image, split=folder.split_of(image)) for image in folder.images]
    folders = (telling_folders(image, folder.root) for image in folder.images)
    parts = sorted({names[0] for names in folders if names and not split_word(names[:1])})
    notes = (f"{_some(parts)} are taken for parts of the dataset, not for classes.",)
    masked = {image.parent for image in folder.masks}
    bare = sorted(
        {str(i.parent.relative_to(folder.root)) for i in folder.images if i.parent not in masked}
    )
    empty = (f"No image in {_some(bare)} has a mask; all of them are taken for background.",)
    return Reading(samples, notes * (len(parts) > 1) + empty * bool(bare))
