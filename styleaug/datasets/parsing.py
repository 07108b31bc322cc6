"""Reading annotation files: whatever is wrong with one is told as a ValueError with its place."""

from __future__ import annotations

import base64
import binascii
import codecs
import csv
import json
import re
import reprlib
from collections.abc import Collection, Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 100


def malformed(where: str, must: str, got: object) -> ValueError:
    """The error about an annotation: ``where`` there ``must`` be something, and what is there."""
    shown = got if isinstance(got, _Reason) else _SHOWN.repr(got)
    return ValueError(f"{where} must be {must}, but got {shown:.160}. Correct or remove it.")


class _Reason(str):
    """Words of a parser, which are shown as they are."""

    __slots__ = ()


def read_content(file: Path) -> str:
    """The text of a file, in UTF-8, or UTF-16 if it says so; other bytes are replaced."""
    data = file.read_bytes()
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if marked else "utf-8-sig", errors="replace")


def read_lines(file: Path) -> Iterator[tuple[str, str]]:
    """Lines of a text file that are not blank, each after its place, "file, line n"."""
    for number, line in enumerate(read_content(file).splitlines(), start=1):
        if line.strip():
            yield f"{file}, line {number},", line.strip()


def parse_json(text: str, file: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: if it is none, or nested too deeply.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise malformed(f"{file}, line {error.lineno},", "JSON", _Reason(error.msg)) from None
    except (ValueError, RecursionError) as error:  # among them integers of thousands of digits
        raise malformed(f"{file}", "JSON", _Reason(error)) from None


def parse_xml(file: Path) -> ElementTree.Element:
    """The root of an XML file.

    Raises:
        ValueError: if it is none.
    """
    data = file.read_bytes()
    try:
        declared = re.match(
            rb"\s*<\?xml[^>]*encoding=[\"'](gb\w+|big5|shift_jis|euc-\w+)", data, re.I
        )
        if declared:  # encodings of several bytes, which the parser does not know
            text = data.decode(declared[1].decode(), errors="replace")
            return ElementTree.fromstring(re.sub(r"<\?xml.*?\?>", "", text, count=1).strip())
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        where = f"{file}, line {error.position[0]},"
        raise malformed(where, "XML", _Reason(error)) from None
    except (ValueError, LookupError) as error:  # encodings that Python does not know
        raise malformed(f"{file}", "XML", _Reason(error)) from None


def read_table(
    file: Path, known: Collection[str]
) -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """The columns of a CSV file, and its rows, each after its place.

    Columns are written as those that are ``known``: ``Image Name`` is ``image_name``. What a short
    row lacks is "".

    Raises:
        ValueError: if it is none.
    """
    lines = read_content(file).splitlines()
    # with semicolons where a decimal point is a comma
    head = lines[0] if lines else ""
    delimiter = max(",;\t", key=head.count)
    columns: list[str] = []
    rows = []
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not columns:
                plain = [re.sub(r"[ -]+", "_", cell.lower()) for cell in cells]
                columns = [p if p in known else c for p, c in zip(plain, cells, strict=True)]
            elif any(cells):
                cells += [""] * (len(columns) - len(cells))
                row = dict(zip(columns, cells, strict=False))
                rows.append((f"{file}, line {reader.line_num},", row))
    except csv.Error as error:
        raise malformed(f"{file}, line {reader.line_num},", "CSV", _Reason(error)) from None
    return columns, rows


def fields(entry: Any, where: str, *keys: str) -> list[Any]:
    """The values of an object's keys.

    Raises:
        ValueError: if it is no object, or lacks one.
    """
    if not isinstance(entry, dict) or not all(key in entry for key in keys):
        raise malformed(where, f"an object with {', '.join(keys)}", entry)
    return [entry[key] for key in keys]


def items(entry: Any, where: str, key: str) -> list[Any]:
    """A list that an object holds; an empty one if it holds none.

    Raises:
        ValueError: if it is not a list.
    """
    found = entry.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise malformed(where, f"a list of {key}", found)
    return found


def decode_base64(text: Any, where: str) -> bytes:
    """The bytes of a text in base 64.

    Raises:
        ValueError: if it is none.
    """
    try:
        return base64.b64decode(text)
    except (binascii.Error, TypeError, ValueError):
        raise malformed(where, "a mask in base 64", text) from None


def floats(values: Any) -> list[float]:
    """Numbers, of a list of numbers or of their texts.

    Raises:
        ValueError: if it is anything else, or one of them is infinite or not a number.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ValueError("no list")
    try:
        numbers = [float(value) for value in values]
    except (TypeError, OverflowError) as error:
        raise ValueError("no numbers") from error
    if not all(map(isfinite, numbers)):
        raise ValueError("no finite numbers")
    return numbers


def points(values: Any, *, flat: bool = False) -> tuple[tuple[float, float], ...]:
    """Corners, of a list of pairs, or of a ``flat`` list of x and y by turns.

    Raises:
        ValueError: if it is anything else.
    """
    if flat:
        numbers = floats(values)
    else:
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise ValueError("no list")
        pairs = [floats(pair) for pair in values]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError("no pairs")
        numbers = [number for pair in pairs for number in pair]
    if len(numbers) % 2:
        raise ValueError("an odd number of numbers")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
