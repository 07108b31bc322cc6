"""What the names of folders and files say: splits, roles, masks, and parts of one dataset."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

PERHAPS_CLASSES = frozenset({"label", "mask"})
"""What folders of masks are called, and classes of packages, too; a look at some images tells."""

_SPLITS = {
    **dict.fromkeys(("train", "training", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_IMAGE_WORDS = frozenset(
    {"image", "images", "img", "imgs", "jpegimages", "picture", "pictures", "photos", "data"}
)
_MASK_WORDS = frozenset(
    {"mask", "masks", "gt", "gts", "groundtruth", "label", "labels", "annotation", "annotations"}
    | {"annot", "annots", "seg", "segm", "segmentation", "segmentations", "segmentationclass"}
    | {"lab", "labs", "semantic"}
)
_NOTE_WORDS = frozenset({"ann", "anns", "xml", "xmls", "json", "jsons", "lable", "txt"})
_SIDE_WORDS = frozenset({"set", "dataset", "obj", "split", "public", "private", "mixed", "all"})
"""What may stand beside the word of a split: ``obj_train_data``, ``test_public``."""
_CLASS_WORDS = frozenset({"class", "cls", "category", "cat", "type", "label", "defect", "grade"})
"""``Class1`` is a class; ``kos01`` is a part of a dataset."""

_PASSED = frozenset(
    {"ok", "io", "good", "normal", "pass", "passed", "gut", "合格", "合格品", "良品", "正常"}
)
_FAILED = frozenset(
    {"ng", "nok", "nio", "bad", "defect", "defects", "defective", "fail", "failed", "faulty"}
    | {"reject", "rejects", "anomaly", "anomalies", "abnormal", "schlecht", "fehler", "defekt"}
    | {"不合格", "不良", "不良品", "异常", "異常", "缺陷", "欠陥"}
)
"""What parts are called that failed an inspection, whatever is wrong with them."""

_NUMBER = re.compile(r"[\s_.-]*\d[\d\s_.:-]*")
_MASK_AFFIX = re.compile(
    r"^(?:mask|label|gt)[ _.-]+"
    r"|[ _.-]+(?:masks?|labels?|gt|groundtruth|ground[ _-]truth|segm?|segmentation|annotations?)"
    r"(?:[ _-]?\d+)?$",
    re.IGNORECASE,
)
_IMAGE_AFFIX = re.compile(r"^(?:image|img)[ _.-]+|[ _.-]+(?:image|img)$", re.IGNORECASE)

_MASK_NAMES = frozenset({"mask", "gt", "label", "ground_truth"})
_IMAGE_NAMES = frozenset({"image", "img"})
"""Whole names of files of which each has a folder of its own."""


def folders_of(file: Path, root: Path) -> tuple[str, ...]:
    """The folders from ``root`` down to ``file``, which lies below it."""
    return file.parts[len(root.parts) : -1]  # as relative_to has it, ten times as fast


def telling_folders(file: Path, root: Path) -> tuple[str, ...]:
    """``folders_of`` without what tells images from annotations: ``train_masks`` is ``train``."""
    return tuple(filter(None, map(_without_role, folders_of(file, root))))


@cache
def _without_role(name: str) -> str:
    if is_role(name):
        return ""
    if not _split_of(name):
        return name
    kept = [word for word in _words(name) if word not in _IMAGE_WORDS | _MASK_WORDS]
    return "_".join([*kept, *re.findall(r"\d+", name)])


@cache
def is_role(name: str) -> bool:
    """Whether a folder's name tells images from annotations, and nothing else."""
    roles = (
        _IMAGE_WORDS | _MASK_WORDS | _NOTE_WORDS | {"ground", "truth", "maps", "segmentationobject"}
    )
    words = _words(name)
    return bool(words) and roles.issuperset({*words} - {"binary"} or words)


@cache
def is_mask_folder(name: str) -> bool:
    """Whether image files in a folder of this name are masks."""
    words = {*_words(name)}
    marks = words & _MASK_WORDS or {"ground", "truth"} <= words
    rest = words - _MASK_WORDS - _IMAGE_WORDS - {"ground", "truth", "binary", "maps"}
    return bool(marks) and all(word in _SPLITS for word in rest)


@cache
def may_be_mask_folder(name: str) -> bool:
    """Whether it may be one, such as ``NG_mask``, or a class, such as ``with_mask``."""
    return bool(_MASK_WORDS.intersection(_words(name)))


def split_word(names: Iterable[str]) -> str:
    """The first of ``names`` that means a split, as "train", "val" or "test"; else ""."""
    return next(filter(None, map(_split_of, names)), "")


@cache
def _split_of(name: str) -> str:
    """``train2017``, ``TrainingSet``, ``images_val``, ``traincrop``; but not ``test_pieces``."""
    words = [re.sub(r"(?<=.)(set|data|crop)$", "", word) for word in _words(name)]
    found = [_SPLITS[word] for word in words if word in _SPLITS]
    beside = _IMAGE_WORDS | _MASK_WORDS | _SIDE_WORDS
    plain = all(word in _SPLITS or word in beside for word in words)
    return found[0] if found and plain else ""


def _words(name: str) -> list[str]:
    """Its words in lower case, without digits: those of ``train_Images2`` and ``TrainImages``."""
    apart = re.sub(r"(?<!Segmentation)(?<=[a-z])(?=[A-Z][a-z])", " ", name)
    return re.findall(r"[^\W\d_]+", apart.lower())


def are_parts(names: Collection[str]) -> bool:
    """Whether folders are parts of one dataset, no classes: the same but for numbers.

    ``kos01`` and ``kos02``, ``roll 1`` and ``roll 2``, ``part 1 left`` and ``part 2 left``, dates.
    Not so ``Class1``, whose stem says what it is, and bare numbers of one or two digits, as which
    classes are often numbered.
    """
    stems = {_NUMBER.sub(" ", name).strip().lower() for name in names}
    if len(names) < 2 or len(stems) != 1 or not all(map(_NUMBER.search, names)):
        return False
    stem = next(iter(stems))
    if not stem:
        return any(len(name) > 2 for name in names)
    return not _CLASS_WORDS & {*_words(stem)}


def is_verdict(name: str) -> bool:
    """Whether a folder's name is what an inspection says of a part: ``OK``, ``i.O.``, ``NG``."""
    return "".join(_words(name)) in _PASSED or is_failure(name)


def is_passed(name: str) -> bool:
    """Whether it says that parts have no defects: ``OK``."""
    return is_verdict(name) and not is_failure(name)


def is_failure(name: str) -> bool:
    """Whether it says that parts failed, and not what is wrong with them: ``NG``, ``defects``."""
    return "".join(_words(name)) in _FAILED


def without_mask_affix(stem: str) -> str:
    """The stem of a mask without what says that it is one: ``1_mask``, ``mask_1``, ``1-GT``.

    Nothing is left of ``mask``, ``gt`` and ``label``, nor of ``image`` and ``img`` of an image.
    """
    return "" if stem.lower() in _MASK_NAMES else _MASK_AFFIX.sub("", stem, count=1) or stem


def without_image_affix(stem: str) -> str:
    """The stem of an image without what says that it is one: ``img_1``, ``1_image``."""
    return "" if stem.lower() in _IMAGE_NAMES else _IMAGE_AFFIX.sub("", stem, count=1) or stem
