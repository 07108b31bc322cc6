"""Pack files with damage anywhere, also such as a digest does not show: loaded, or refused."""

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from fuzz.mutations import broken, damages, spoilt
from helpers import TINY, pictures
from styleaug import Restyle, StylePack
from styleaug.errors import WeightsError
from styleaug.weights import digest

PACK = StylePack.random(TINY, rows=3)
METADATA = {
    "kind": "pack",
    "format": 1,
    "config": asdict(TINY),
    "names": list(PACK.names),
    "tags": [list(tags) for tags in PACK.tags],
    "info": {"sources": {"random": "drawn"}},
}
TENSORS = {**PACK.state, "codes": PACK.codes}


def written(tensors, metadata) -> bytes:
    """What somebody else's program might write: the digest is right, the rest is not checked."""
    header = {"styleaug": json.dumps({**metadata, "sha256": digest(tensors)})}
    return save(tensors, metadata=header)


INTACT = written(TENSORS, METADATA)


def load(content: bytes) -> StylePack | None:
    """The pack in a file of this content; None if it is refused."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        path.write_bytes(content)
        try:
            return StylePack.load(path)
        except WeightsError:
            return None


def check_usable(pack: StylePack) -> None:
    """A pack that was loaded restyles, with finite values."""
    stage = Restyle(pack=pack, strength=1)
    out = stage.apply(pictures(1, 3, 8, 8, dtype=torch.float32), stage.draw(1))
    assert out.isfinite().all()


@given(damage=damages)
def test_damaged_bytes_are_refused(damage):
    pack = load(broken(INTACT, damage))
    if pack is not None:
        assert pack.id == PACK.id


@given(metadata=spoilt(METADATA))
def test_metadata_of_another_kind_is_refused_or_usable(metadata):
    try:
        content = written(TENSORS, metadata if isinstance(metadata, dict) else {"kind": metadata})
    except (TypeError, ValueError):  # what JSON cannot hold was never in a file
        return
    pack = load(content)
    if pack is not None:
        check_usable(pack)


@given(
    name=st.sampled_from(sorted(TENSORS)),
    change=st.sampled_from(
        [
            *(torch.nan, torch.inf, -torch.inf, 6e4, 0.0),
            *(torch.float64, torch.bfloat16, torch.int32, torch.bool, torch.uint8),
            *("shape", "drop", "rename"),
        ]
    ),
    place=st.integers(0, 999),
)
def test_tensors_that_do_not_fit_are_refused_or_usable(name, change, place):
    found = dict(TENSORS)
    tensor = found.pop(name)
    if isinstance(change, float):
        found[name] = tensor.clone()
        found[name].flatten()[place % max(1, tensor.numel())] = change
    elif isinstance(change, torch.dtype):
        found[name] = tensor.to(change)
    elif change == "shape":
        found[name] = tensor[..., :-1].contiguous() if tensor.ndim else tensor[None]
    elif change == "rename":
        found[f"other.{name}"] = tensor
    pack = load(written(found, METADATA))
    if pack is not None:
        check_usable(pack)
