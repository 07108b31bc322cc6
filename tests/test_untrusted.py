"""What SECURITY.md says of files from elsewhere: none of them runs code or takes all memory."""

import pickle
import struct
import sys
import zlib

import pytest
import torch

from helpers import pil_picture
from styleaug import StylePack
from styleaug.datasets import read_defects
from styleaug.datasets.parsing import parse_xml
from styleaug.errors import WeightsError
from styleaug.evaluate.policies import PolicyError, build_policy
from styleaug.images.io import load_rgb, read_picture
from styleaug.train.checkpoint import read_checkpoint


class Code:
    """What a pickle runs when it is read."""

    def __reduce__(self):
        return exec, ("import styleaug; styleaug.hacked = True",)


@pytest.fixture(autouse=True)
def nothing_has_run():
    yield
    assert not hasattr(sys.modules["styleaug"], "hacked")


def test_a_pack_that_is_a_pickle_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(pickle.dumps(Code()))
    with pytest.raises(WeightsError, match="safetensors"):
        StylePack.load(tmp_path / "x.safetensors")


def test_a_checkpoint_with_code_is_refused(tmp_path):
    torch.save({"step": Code()}, tmp_path / "checkpoint.pt")
    with pytest.raises(WeightsError):
        read_checkpoint(tmp_path / "checkpoint.pt", {}, torch.device("cpu"))


def test_an_image_that_claims_a_gigantic_size_is_refused(tmp_path):
    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 16, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(99)))
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b""))
    for read in (load_rgb, read_picture):
        with pytest.raises(OSError, match="exceeds limit"):
            read(tmp_path / "x.png")


GROWING = '<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {after} "' + 20 * f"&{before};" + '">'
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
EXTERNAL = '<!ENTITY i SYSTEM "file:///etc/hostname">'


@pytest.mark.parametrize("entities", [GROWING, EXTERNAL], ids=["growing", "external"])
def test_entities_of_xml_neither_grow_nor_reach_other_files(tmp_path, entities):
    (tmp_path / "x.xml").write_text(f"<!DOCTYPE a [{entities}]><a>&i;</a>")
    with pytest.raises(ValueError, match=r"x\.xml.*must be XML"):
        parse_xml(tmp_path / "x.xml")


def test_tags_of_yaml_make_no_objects(tmp_path):
    for folder in ("images/train", "labels/train"):
        (tmp_path / folder).mkdir(parents=True)
    pil_picture().save(tmp_path / "images/train/a.png")
    (tmp_path / "labels/train/a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    names = '[!!python/object/apply:exec ["import styleaug; styleaug.hacked = True"]]'
    (tmp_path / "data.yaml").write_text(f"train: images/train\nnames: {names}\n")
    with pytest.raises(ValueError, match=r"data\.yaml must be a list of class names"):
        read_defects(tmp_path)


@pytest.mark.parametrize(
    "policy", ["exec('1')", "AugMix(severity=exec('1'))", "StyleAugment.mro()"]
)
def test_a_policy_is_not_evaluated(policy):
    with pytest.raises(PolicyError):
        build_policy(policy)
