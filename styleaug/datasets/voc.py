"""The reader of Pascal VOC's XML files."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from xml.etree.ElementTree import Element

from styleaug.datasets.folder import Folder, Reading, note_left_out
from styleaug.datasets.marks import Corners, Mark, Points, make_samples, outlined, turned_box
from styleaug.datasets.names import folders_of, is_role, split_word, telling_folders
from styleaug.datasets.pairing import pair
from styleaug.datasets.parsing import floats, malformed, parse_xml, read_content, read_lines

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_TURNED = ("cx", "cy", "w", "h", "angle")


def read_voc(folder: Folder) -> Reading | None:
    """Read XML files of Pascal VOC, in folders ``annotations`` or beside their images.

    An image has the stem of its XML file, or is named in it. Boxes are read, turned boxes of
    roLabelImg, and polygons as Roboflow writes them. Images in folders where none is annotated, but
    for ``OK`` and the like, are left out: they are something else, previews or drawn segmentations.
    Lists in ``ImageSets/Main`` tell the splits.
    """
    roots = _find_files(folder)
    if not roots:
        return None
    notes = _pair(roots, folder)
    homes = {image.parent for image in notes}
    kept = [i for i in folder.images if i.parent in homes or folder.passed(i)]
    lists = _read_lists(folder)
    marks = {
        image: _read_marks(roots[notes[image]], notes[image]) if image in notes else []
        for image in kept
    }
    splits = {image: lists.get(image.stem) or folder.split_of(image) for image in kept}
    left_out = note_left_out(
        len(folder.images) - len(kept), "no image in their folders has an XML file"
    )
    return Reading(make_samples(marks, splits), left_out)


def _find_files(folder: Folder) -> dict[Path, Element]:
    """The roots of XML files with annotations; other XML files do not matter."""
    beside = {image.with_suffix("") for image in folder.images}
    roots = {}
    for file in folder.others(".xml"):
        meant = file.with_suffix("") in beside or any(map(is_role, folders_of(file, folder.root)))
        if meant or "<annotation>" in read_content(file):
            root = parse_xml(file)
            if root.tag == "annotation" or root.find("object") is not None:
                roots[file] = root
    return roots


def _pair(roots: dict[Path, Element], folder: Folder) -> dict[Path, Path]:
    """The XML file of each image: by stem and folders, or else by the name that is written."""
    stems = {image.stem for image in folder.images}
    places = {telling_folders(image, folder.root) for image in folder.images}
    plain, named = [], {}
    for file, root in roots.items():
        where = telling_folders(file, folder.root)
        if file.stem in stems and any(set(where) <= set(place) for place in places):
            plain.append(file)
            continue
        written = (root.findtext("filename") or "").strip()
        tries = (file.stem, written)
        image = next(filter(None, (folder.find(name, near=file.parent) for name in tries)), None)
        if image is None or image in named:
            plain.append(file)  # where the error about it comes from
        else:
            named[image] = file
    return named | pair(plain, folder.images, notes_root=folder.root, root=folder.root)


def _read_lists(folder: Folder) -> dict[str, str]:
    """The split of images by their stems, as lists of VOC tell; "val" wins over "trainval"."""
    files = [f for f in folder.others(".txt") if "imagesets" in map(str.lower, f.parts)]
    found: dict[str, str] = {}
    for file in sorted(files, key=lambda file: file.stem.lower() != "trainval"):
        split = split_word([file.stem])
        for _, line in read_lines(file) if split else ():
            found[line.split()[0]] = split
    return found


def _read_marks(root: Element, file: Path) -> list[Mark]:
    marks = []
    for number, entry in enumerate(root.findall("object"), start=1):
        where = f"{file}, object {number},"
        label = (entry.findtext("name") or "").strip()
        turned, polygon = entry.find("robndbox"), entry.find("polygon")
        if polygon is not None and len(polygon):
            mark = outlined(label, _read_polygon(polygon, where), where)
            if entry.find("bndbox") is not None:
                mark = Mark(label, _read_box(entry, where), where, mark.outline)
        elif turned is not None:
            cx, cy, width, height, angle = _numbers(turned, "", _TURNED, "a robndbox", where)
            mark = turned_box(label, (cx, cy), (width, height), angle, where)
        else:
            mark = Mark(label, _read_box(entry, where), where)
        if not label:
            raise malformed(where, "named", label)
        marks.append(mark)
    return marks


def _read_box(entry: Element, where: str) -> Corners:
    left, top, right, bottom = _numbers(entry, "bndbox/", _SIDES, "a bndbox", where)
    # VOC counts pixels from 1, and the last one belongs to the box
    return left - 1, top - 1, right, bottom


def _read_polygon(polygon: Element, where: str) -> Points:
    """Corners ``x1, y1, x2, y2, ...``, or ``pt`` or ``point`` with x and y each."""
    try:
        several = [*polygon.iterfind("pt"), *polygon.iterfind("point")]
        if several:
            numbers = floats(p.findtext(axis) or "" for p in several for axis in "xy")
        else:
            pairs = len(polygon) // 2
            keys = [f"{axis}{k}" for k in range(1, pairs + 1) for axis in "xy"]
            numbers = floats(polygon.findtext(key) or "" for key in keys)
        if len(numbers) < 6:
            raise ValueError("too few")
    except ValueError:
        shown = {child.tag: child.text for child in polygon}
        raise malformed(where, "a polygon with x1, y1, x2, y2, x3, y3, ...", shown) from None
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _numbers(
    entry: Element, prefix: str, keys: tuple[str, ...], kind: str, where: str
) -> list[float]:
    texts = [entry.findtext(prefix + key) for key in keys]
    try:
        numbers = [float(text or "") for text in texts]
    except ValueError:
        raise malformed(where, f"{kind} with {', '.join(keys)}", texts) from None
    if not all(map(isfinite, numbers)):
        raise malformed(where, f"{kind} of finite numbers", texts)
    return numbers
