"""What was seen in a folder of images, as text: its labels and its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict

from styleaug.datasets.samples import LABELS
from styleaug.datasets.summary import ClassCount, Extent, Summary

_MOST = 20
"""Classes, and folders, of which each gets a line."""
_LONGEST = 60
"""Characters of their names that are shown."""


def overview(summary: Summary) -> str:
    """What a folder holds: its classes in a table, then labels, defects, and images."""
    if not summary.defects.layout:
        return "\n".join([_head(summary), "", *_folders(summary), *_images(summary)])
    lines = [_head(summary), "", *_table(summary.classes), ""]
    return "\n".join([*lines, *_labels(summary), *_images(summary)])


def short_overview(summary: Summary) -> str:
    """The same in a few lines, without the table."""
    counts = [(name, c.images or c.boxes) for name, c in summary.classes.items() if name]
    shown = ", ".join(f"{_printable(name)} {count}" for name, count in counts[:8])
    more = f", and {len(counts) - 8} more" if len(counts) > 8 else ""
    lines = [
        _head(summary),
        *([_line("classes", f"{len(counts)}: {shown}{more}")] if counts else []),
        *_labels(summary),
        *_images(summary),
        *(_line("note", note) for note in summary.defects.notes),
    ]
    if summary.damaged:
        told = f"{counted(len(summary.damaged), 'image')}; 'styleaug inspect' names them"
        lines.append(_line("damaged", told))
    return "\n".join(lines)


def _head(summary: Summary) -> str:
    layout = summary.defects.layout
    told = (
        f"layout: {layout}, labels: {LABELS.get(layout, 'given')}" if layout else "without labels"
    )
    return f"{summary.root}: {counted(len(summary.seen), 'image')}, {told}"


def _table(classes: Mapping[str, ClassCount]) -> list[str]:
    """A line a class; columns in which there is nothing but zeros are left out."""
    columns = [
        name for name in asdict(ClassCount()) if any(getattr(c, name) for c in classes.values())
    ]
    shown = {name: _printable(name) for name in classes}
    width = max(len("no class"), *map(len, shown.values()))
    lines = [f"{'class':{width}}" + "".join(f" {column:>7}" for column in columns)]
    for name, count in [*classes.items()][:_MOST]:
        cells = "".join(f" {getattr(count, column) or '-':>7}" for column in columns)
        lines.append(f"{shown[name] or 'no class':{width}}{cells}")
    return [*lines, *_rest(len(classes))]


def _printable(name: str) -> str:
    """A name in one line, and not too long."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _folders(summary: Summary) -> list[str]:
    """Folders with how many images lie in each."""
    if summary.root.is_file():
        return []
    counts = Counter(summary.name(look.sample.path.parent) for look in summary.seen)
    if len(counts) == 1:
        return []
    told = [(_printable(name), count) for name, count in sorted(counts.items())[:_MOST]]
    width = max(len(name) for name, _ in told)
    shown = [f"{name:{width}} {count:>7}" for name, count in told]
    return [f"{'folder':{width}}  images", *shown, *_rest(len(counts)), ""]


def _rest(count: int) -> list[str]:
    return [f"and {count - _MOST} more"] if count > _MOST else []


def _labels(summary: Summary) -> list[str]:
    """What marks defects, how large they are, and how the folder is split."""
    samples = summary.defects.samples
    masked = sum(bool(s.masks) for s in samples)
    boxed = sum(bool(s.boxes) for s in samples)
    bare = sum(not s.masks and not s.boxes for s in samples)
    told = [f"masks on {masked}"] * bool(masked) + [f"boxes on {boxed}"] * bool(boxed)
    told += [f"neither masks nor boxes on {bare}"] * bool(bare)
    splits = Counter(s.split for s in samples)
    parts = [f"{splits[name]} to {name}" for name in ("train", "test") if splits[name]]
    parts += [f"{splits['']} in neither"] * bool(parts and splits[""])
    drawn = "" if splits["train"] and splits["test"] else "; a fifth is drawn to test on"
    lines = [
        _line("labels", ", ".join(told)),
        _line("splits", f"{', '.join(parts) or 'none'}{drawn}"),
    ]
    if summary.boxes:
        lines.append(_line("boxes", _extent(summary.boxes)))
    if summary.marks:
        lines.append(_line("masked", _extent(summary.marks)))
    return lines


def _extent(extent: Extent) -> str:
    return (
        f"{extent.count}; the median covers {100 * extent.median_share:.2g} % of its image, "
        f"{counted(round(extent.median), 'pixel')}; the smallest "
        f"{counted(round(extent.smallest), 'pixel')}"
    )


def _images(summary: Summary) -> list[str]:
    """Sizes and bit depths."""
    sizes, kinds = summary.sizes, summary.kinds
    if not sizes:
        return []
    shapes = sorted((shape for shape, _ in sizes), key=lambda shape: shape[0] * shape[1])
    (width, height), most = sizes[0]
    told = f"{width} x {height} pixels"
    if len(sizes) > 1:
        small, large = shapes[0], shapes[-1]
        told = (
            f"{small[0]} x {small[1]} to {large[0]} x {large[1]} pixels; most often "
            f"{width} x {height}, {most} times"
        )
    depths = ", ".join(f"{kind} {count}" if len(kinds) > 1 else kind for kind, count in kinds)
    peak = f"; 16-bit values up to {summary.peak}" if summary.peak is not None else ""
    return [_line("size", told), _line("pixels", f"{depths}{peak}")]


def _line(name: str, told: str) -> str:
    return f"{name:8} {told}"


def counted(count: int, one: str, many: str = "") -> str:
    """A number of things; ``many`` is what several are called, where that is not with an s."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
