"""The error messages that the FAQ explains must be those that users see."""

import re
from pathlib import Path

import pytest
import torch
from torchvision import tv_tensors

from helpers import pictures
from styleaug import Relight, Restyle, StyleAugment
from styleaug.cli import main
from styleaug.errors import MissingExtraError
from styleaug.hosts.loader import StyledLoader
from styleaug.images.io import to_image

FAQ = Path(__file__).parents[1] / "docs/faq.md"
TABLE = FAQ.read_text(encoding="utf-8").partition("## Error messages\n")[2]
MESSAGES = re.findall(r"^\| `(.+?)`", TABLE, re.MULTILINE)
LIGHT = StyleAugment([Relight()])
BATCH = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)


def box_of_a_batch():
    box = tv_tensors.BoundingBoxes([[1, 1, 9, 9]], format="XYXY", canvas_size=(32, 32))
    StyleAugment([Restyle()], protect=1)(tv_tensors.Image(BATCH), box)


def missing_extra():
    raise MissingExtraError("kornia", "kornia")


MISTAKES = [
    lambda: LIGHT({"labels": torch.zeros(4), "image": BATCH}),
    lambda: LIGHT(BATCH.permute(0, 2, 3, 1)),
    lambda: LIGHT(BATCH.long()),
    lambda: LIGHT(BATCH - 1.0),
    box_of_a_batch,
    lambda: next(iter(StyledLoader([{"photo": BATCH}], LIGHT))),
    lambda: Restyle("rusty"),
    lambda: StyleAugment("mask"),
    lambda: StyleAugment(styles="rust"),
    missing_extra,
]


def matches(message, said):
    """Whether a message with gaps (...) is part of what was said."""
    return re.search(".*".join(map(re.escape, message.split("..."))), said)


@pytest.mark.parametrize(("message", "mistake"), list(zip(MESSAGES, MISTAKES, strict=False)))
def test_a_mistake_gives_the_message_that_the_faq_explains(message, mistake):
    """The rows of the table, in their order, are the mistakes above."""
    with pytest.raises((ValueError, TypeError, ImportError)) as caught:
        mistake()
    assert matches(message, str(caught.value))


def test_the_last_messages_of_the_faq_are_those_of_a_command(tmp_path, capsys):
    """Pictures of others, and of other settings, are refused; no row is without a mistake."""
    assert len(MESSAGES) == len(MISTAKES) + 2
    to_image(pictures(3, 32, 32)).save(tmp_path / "part.png")
    words = ["stylize", str(tmp_path / "part.png"), "--out", str(tmp_path / "out"), "--preset"]
    assert main([*words, "lighting"]) == 0
    assert main([*words, "sensor"]) == 2
    assert matches(MESSAGES[-1], capsys.readouterr().err)
    (tmp_path / "out/manifest.jsonl").unlink()
    assert main([*words, "lighting"]) == 2
    assert matches(MESSAGES[-2], capsys.readouterr().err)
