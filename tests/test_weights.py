"""Weight files: written whole or not at all, read back exactly, refused when damaged."""

import json

import pytest
import torch
from safetensors.torch import save_file

from styleaug.errors import WeightsError
from styleaug.files import atomic_path, remove_leftovers
from styleaug.images.io import SUFFIXES
from styleaug.weights import bundled_dir, digest, load_safetensors, save_safetensors

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(1, dtype=torch.int64)}
METADATA = {"kind": "test", "names": ["ä", "b"]}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "some" / "where" / "x.safetensors"
    save_safetensors(path, TENSORS, METADATA)
    return path


def test_tensors_and_metadata_come_back(path):
    tensors, metadata = load_safetensors(path)
    assert tensors.keys() == TENSORS.keys()
    assert all(
        torch.equal(tensors[k], v) and tensors[k].dtype == v.dtype for k, v in TENSORS.items()
    )
    assert {**METADATA, "sha256": digest(TENSORS)} == metadata


def test_views_and_transposed_tensors_are_saved_by_value(tmp_path):
    base = torch.arange(12.0).view(3, 4)
    save_safetensors(tmp_path / "x", {"t": base.T, "row": base[1], "empty": base[:0]}, {})
    tensors, _ = load_safetensors(tmp_path / "x")
    assert torch.equal(tensors["t"], base.T)
    assert torch.equal(tensors["row"], base[1])
    assert tensors["empty"].shape == (0, 4)


def test_digest_ignores_the_order_and_nothing_else():
    a, b = torch.zeros(4), torch.ones(2)
    reference = digest({"a": a, "b": b})
    assert digest({"b": b, "a": a}) == reference
    others = [
        {"a": a, "c": b},
        {"a": a, "b": b.half()},
        {"a": a.view(2, 2), "b": b},
        {"a": a, "b": torch.tensor([1.0, 1.0001])},
        {"a": a},
    ]
    assert len({reference, *map(digest, others)}) == 6


def test_a_path_takes_the_new_content_only_when_all_went_well(tmp_path):
    path = tmp_path / "deep" / "file.txt"

    def be_interrupted():
        with atomic_path(path) as temporary:
            temporary.write_text("half a fi")
            raise KeyboardInterrupt

    with atomic_path(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_temporary_file_is_of_no_format_and_has_room_for_a_long_name(tmp_path):
    """A folder that is read while one is written, or after a kill, holds no broken picture."""
    path = tmp_path / f"{'x' * 251}.png"
    with atomic_path(path) as temporary:
        assert temporary.suffix not in SUFFIXES
        assert temporary.name.startswith(".")
    assert path.is_file()


def test_leftovers_of_killed_processes_are_removed_and_files_being_written_are_not(tmp_path):
    killed = tmp_path / "deep" / ".styleaug-dead.part"
    killed.parent.mkdir()
    killed.write_text("half a fi")
    with atomic_path(tmp_path / "deep" / "file.txt") as temporary:
        temporary.write_text("all of it")
        remove_leftovers(tmp_path)
        assert not killed.exists()
        assert temporary.exists()
    assert (tmp_path / "deep" / "file.txt").read_text() == "all of it"


@pytest.mark.parametrize("bad", [{"tensors": {"a": "no tensor"}}, {"metadata": {"a": object()}}])
def test_failed_saving_leaves_no_file(tmp_path, bad):
    with pytest.raises((TypeError, AttributeError)):
        save_safetensors(tmp_path / "x.safetensors", **{"tensors": TENSORS, "metadata": {}, **bad})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"must exist at .*gone\.safetensors"):
        load_safetensors(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("length", [0, 4, 8, 50, -1])
def test_a_truncated_file_is_refused(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(WeightsError, match=r"x\.safetensors .*truncated"):
        load_safetensors(path)


@pytest.mark.parametrize("content", [b"PK\x03\x04 a zip of pickles", b"\x80\x02}q\x00."])
def test_a_file_of_another_kind_is_refused(path, content):
    """Pickles among them: nothing of a file is ever executed."""
    path.write_bytes(content * 100)
    with pytest.raises(WeightsError, match="safetensors"):
        load_safetensors(path)


def test_no_flipped_byte_changes_a_tensor(path):
    """Each byte in turn: the file is refused, or its tensors are whole (a letter of a name)."""
    intact = path.read_bytes()
    refused = 0
    for i in range(len(intact)):
        path.write_bytes(intact[:i] + bytes([intact[i] ^ 0x04]) + intact[i + 1 :])
        try:
            tensors, _ = load_safetensors(path)
        except WeightsError:
            refused += 1
        else:
            assert digest(tensors) == digest(TENSORS)
    assert refused > len(intact) / 2


def test_a_foreign_file_is_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "x.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="written by styleaug"):
        load_safetensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize("entry", ["{}", "[]", "7", "{", json.dumps({"sha256": 0})])
def test_a_header_without_its_digest_is_refused(tmp_path, entry):
    save_file({"a": torch.zeros(2)}, tmp_path / "x.safetensors", metadata={"styleaug": entry})
    with pytest.raises(WeightsError, match="damaged"):
        load_safetensors(tmp_path / "x.safetensors")


def test_the_bundled_weights_lie_beside_the_package():
    assert (bundled_dir() / "vgg16" / "vgg16.safetensors").is_file()


def test_missing_bundled_weights_say_where_they_must_lie(monkeypatch, tmp_path):
    monkeypatch.setattr("styleaug.weights.__file__", str(tmp_path / "styleaug" / "weights.py"))
    with pytest.raises(WeightsError, match=r"must lie in .*pretrained.*reinstall"):
        bundled_dir()
