"""Records of pictures, and tables of settings, with damage anywhere: read, or refused."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.mutations import broken, damages, spoilt
from styleaug.gatys.cached import CachedStylization
from styleaug.manifest import LINES, Entry, Manifest

ENTRY = {
    "output": "a/1.png",
    "source": "in/a/1.png",
    "source_sha256": "0" * 64,
    "sha256": "1" * 64,
    "version": "1.0",
    "settings": {"command": "gatys", "strength": 0.5, "references": ["2" * 64]},
    "drawn": {"pixels": "3" * 32},
    "left": 0,
}


def line(entry) -> bytes:
    return json.dumps(entry).encode() + b"\n"


@st.composite
def records(draw):
    """Lines of which some are damaged: in their bytes, or in what they tell."""
    lines = [line({**ENTRY, "output": f"a/{i}.png"}) for i in range(3)]
    place = draw(st.integers(0, 2))
    if draw(st.booleans()):
        lines[place] = line(draw(spoilt(ENTRY)))
        return b"".join(lines)
    return broken(b"".join(lines), draw(damages))


@pytest.mark.filterwarnings("ignore")
@given(content=records(), repair=st.booleans())
def test_a_damaged_record_is_read_or_refused_and_a_repaired_one_is_whole(content, repair):
    with TemporaryDirectory() as name:
        folder = Path(name) / "out"
        folder.mkdir()
        (folder / LINES).write_bytes(content)
        try:
            with Manifest(folder, repair=repair) as manifest:
                entry = Entry(**{**ENTRY, "output": "new.png"})
                manifest.add(entry, b"content")
        except ValueError:
            assert not repair
            assert (folder / LINES).read_bytes() == content
            return
        assert (folder / "new.png").read_bytes() == b"content"
        assert "new.png" in Manifest(folder).entries
        try:
            CachedStylization(folder)
        except (ValueError, OSError):
            return
