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


damages = st.lists(
    st.tuples(
        st.sampled_from(["cut", "change", "remove", "insert", "repeat"]),
        st.integers(0, 2**32) | st.integers(0, 200),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
)
"""What happens to bytes, and where. Not the bytes themselves: Hypothesis keeps what it draws."""


def broken(data: bytes, damage) -> bytes:
    """Bytes with some cut off, changed, removed, put in or repeated."""
    found = bytearray(data)
    for what, place, foreign in damage:
        start = place % max(1, len(found))
        stop = start + len(foreign)
        if what == "cut":
            del found[start:]
        elif what == "remove":
            del found[start:stop]
        elif what == "repeat":
            found[start:start] = found[start : start + 40]
        else:
            found[start : stop if what == "change" else start] = foreign
    return bytes(found)


@st.composite
def rewritten(draw, text, words):
    """Text with some of its words replaced: by others of the same format, or by odd ones."""
    parts = text.split(" ")
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(parts) - 1))
        value = draw(st.sampled_from(words) | odd_values.map(str) | st.text(max_size=6))
        parts[place] = value
    return " ".join(parts)
