"""Bit depth: white of 16-bit images with fewer bits, and a warning where it was not told."""

import copy
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from styleaug import Relight, Restyle, SensorNoise, StyleAugment, StylePack
from styleaug.images.color import to_dtype, to_float


def levels(*shape, bits=12):
    """uint16 images that reach white, as far as they have bits."""
    images = torch.randint(0, 2**bits, shape).to(torch.uint16)
    images[..., 0, 0] = 2**bits - 1
    return images


def restyle():
    return Restyle("batch", strength=1.0, pack=StylePack.random())


@pytest.mark.parametrize("stages", [[Relight()], [Relight(), SensorNoise(sigma=0.02)]])
def test_twelve_bits_come_out_as_the_same_picture_of_sixteen_does(stages):
    twelve = levels(3, 3, 24, 20)
    sixteen = to_dtype(to_float(twelve, 12), torch.uint16)
    augment, plain = StyleAugment(stages, bits=12), StyleAugment(stages)
    plan = augment.draw(3)
    out, wanted = augment.render(twelve, plan), plain.render(sixteen, plan)
    assert out.numpy().max() <= 4095
    assert (to_float(out, 12) - to_float(wanted)).abs().max() < 1.1 / 4095


def test_styles_of_a_batch_of_twelve_bits_are_read_at_its_own_white():
    augment, plain = StyleAugment([restyle()], bits=12), StyleAugment([restyle()])
    twelve = levels(2, 3, 32, 32)
    plan = augment.draw(2)
    out = to_float(augment.render(twelve, plan), 12)
    assert (out - plain.render(to_float(twelve, 12), plan)).abs().max() < 0.02


def test_untouched_images_stay_as_they_are():
    images = levels(4, 1, 20, 20)
    assert torch.equal(StyleAugment([Relight()], p=0.0, bits=12)(images), images)


def test_pil_images_of_twelve_bits_stay_within_them():
    image = Image.fromarray(levels(24, 20).numpy())
    out = np.asarray(StyleAugment([Relight()], bits=12)(image))
    assert out.dtype == np.uint16
    assert 1000 < out.max() <= 4095


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_other_dtypes_tell_their_white_themselves(dtype):
    images = to_dtype(torch.rand(2, 3, 20, 20), dtype)
    plan = StyleAugment([Relight()]).draw(2)
    assert torch.equal(
        StyleAugment([Relight()], bits=12).render(images, plan),
        StyleAugment([Relight()]).render(images, plan),
    )


def test_values_above_white_are_refused():
    with pytest.raises(ValueError, match=r"must hold values of 10 bits, in \[0, 1023\], .*4095"):
        StyleAugment([Relight()], bits=10)(levels(3, 20, 20))


@pytest.mark.parametrize("bits", [8, 17, 0, -1, True, 12.0, "12", float("nan")])
def test_bits_are_checked(bits):
    with pytest.raises(ValueError, match="bits must be a whole number from 9 to 16"):
        StyleAugment([Relight()], bits=bits)


def test_settings_copies_and_the_printed_call_know_the_bits():
    augment = StyleAugment([Relight()], bits=12)
    assert "bits=12" in repr(augment)
    again = StyleAugment.from_dict(augment.to_dict())
    for other in (again, pickle.loads(pickle.dumps(augment)), copy.deepcopy(augment)):
        assert other.bits == 12


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("stage", [True, False])
def test_many_images_without_bright_values_look_like_fewer_bits(bits, stage):
    transform = Relight(p=0.5) if stage else StyleAugment([Relight()], p=0.5)
    for _ in range(19):
        transform(levels(1, 20, 20, bits=bits))  # might be dark
    with pytest.warns(UserWarning, match=rf"20 uint16 images .*give bits={bits}"):
        transform(levels(1, 20, 20, bits=bits))
    transform(levels(1, 20, 20, bits=bits))  # once


def test_one_bright_image_tells_that_all_bits_are_in_use():
    transform = StyleAugment([Relight()])
    transform(levels(1, 20, 20, bits=13))
    transform(levels(40, 1, 20, 20, bits=12))


def test_nothing_is_said_where_bits_are_told_or_images_are_black():
    StyleAugment([Relight()], bits=12)(levels(30, 1, 20, 20))
    StyleAugment([Relight()])(torch.zeros(30, 1, 20, 20, dtype=torch.uint16))
