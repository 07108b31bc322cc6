"""What goes wrong in files: values of another type, missing and foreign entries, broken bytes."""

import copy
import math

from hypothesis import strategies as st

ODD_VALUES = [
    *(None, True, False, 0, -1, 1, 3, 10**9, 10**30, -(10**30)),
    *(0.5, 1e-300, 1e300, math.nan, math.inf, -math.inf),
    *("", " ", "0", "nan", "1e999", "../..", "all", "rust", "a" * 300, "缺陷", "\x00", "\udcfc"),
    *([], {}, [[]], [None], [[1, 2], [3]], {"a": {}}, [0.1, "b"], [1e300] * 3),
]
"""Values that JSON or YAML may hold, and that hardly any place expects."""

odd_values = st.sampled_from(ODD_VALUES) | st.integers() | st.floats() | st.text(max_size=8)


def places(content, path=()):
    """Where something stands in a structure of dicts and lists."""
    if isinstance(content, dict):
        entries = [*content.items()]
    else:
        entries = [*enumerate(content)] if isinstance(content, list) else []
    return [path, *(place for key, value in entries for place in places(value, (*path, key)))]


@st.composite
def spoilt(draw, content):
    """A structure with one to three of its entries replaced, removed, doubled or renamed."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(content)))
        if not path:
            if draw(st.integers(0, 9)) == 0:
                return copy.deepcopy(draw(odd_values))
            continue
        holder = content
        for key in path[:-1]:
            holder = holder[key]
        what, key = draw(st.sampled_from(["replace", "remove", "double", "rename"])), path[-1]
        if what == "remove":
            del holder[key]
        elif what == "double" and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif what == "rename" and isinstance(holder, dict):
            holder[draw(st.text(max_size=4))] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(draw(odd_values))
    return content


@st.composite
def broken(draw, data):
    """Bytes with some cut off, changed, removed or put in."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        what = draw(st.sampled_from(["cut", "change", "remove", "insert", "repeat"]))
        place = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(1, 8))
        if what == "cut":
            del data[place:]
        elif what == "change":
            data[place : place + length] = draw(st.binary(min_size=1, max_size=length))
        elif what == "remove":
            del data[place : place + length]
        elif what == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=length))
        else:
            data[place:place] = data[place : place + 40]
    return bytes(data)


@st.composite
def rewritten(draw, text, words):
    """Text with some of its words replaced: by others of the same format, or by odd ones."""
    parts = text.split(" ")
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(parts) - 1))
        value = draw(st.sampled_from(words) | odd_values.map(str) | st.text(max_size=6))
        parts[place] = value
    return " ".join(parts)
