"""Drawn media, and the rows that both bundled packs have of them."""

import pytest
import torch

from styleaug.augment.presets import LOOKS
from styleaug.networks import encode
from styleaug.pack import StylePack
from styleaug.styles.media import MEDIA, draw_medium


def test_each_look_is_a_medium():
    assert list(MEDIA) == list(LOOKS)


@pytest.mark.parametrize("name", MEDIA)
def test_a_picture_depends_on_its_name_and_size_alone(name):
    state = torch.get_rng_state()
    picture = draw_medium(name, size=96)
    assert torch.equal(state, torch.get_rng_state())
    assert picture.shape == (3, 96, 96)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.std() > 0.05
    assert torch.equal(picture, draw_medium(name, size=96))


@pytest.mark.parametrize("pack", ["fast", "base"])
def test_rows_are_what_the_encoder_makes_of_the_pictures(pack):
    loaded = StylePack.load(pack)
    for name in MEDIA:
        found = encode(loaded, draw_medium(name)[None])[0]
        row = loaded.codes[loaded.names.index(name)]
        torch.testing.assert_close(found, row, atol=0.02, rtol=0.02)
