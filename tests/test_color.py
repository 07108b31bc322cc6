"""Conversions between dtypes, and between RGB and gray."""

import pytest
import torch

from helpers import DTYPES, pictures
from styleaug.images.color import WHITE, luma, to_dtype, to_float, to_rgb


@pytest.mark.parametrize("dtype", WHITE, ids=str)
def test_every_level_survives_the_round_trip(dtype):
    levels = torch.arange(WHITE[dtype] + 1).to(dtype).reshape(1, 16, -1)
    assert torch.equal(to_dtype(to_float(levels), dtype), levels)


@pytest.mark.parametrize("dtype", WHITE, ids=str)
def test_integers_span_zero_to_one(dtype):
    white = WHITE[dtype]
    images = to_float(torch.tensor([0, white // 5, white]).to(dtype).view(3, 1, 1))
    torch.testing.assert_close(images.flatten(), torch.tensor([0, 0.2, 1]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_to_float_gives_float32_and_leaves_its_input_alone(dtype):
    images = pictures(3, 16, 16, dtype=dtype)
    before = images.clone()
    assert to_float(images).dtype == torch.float32
    assert torch.equal(images, before)


@pytest.mark.parametrize("dtype", WHITE, ids=str)
def test_integers_are_rounded_to_the_nearest_level(dtype):
    values = torch.tensor([100.4, 100.6]).div(WHITE[dtype]).view(1, 1, 2)
    assert to_dtype(values, dtype).flatten().tolist() == [100, 101]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_lies_outside_is_clamped_and_the_input_stays(dtype):
    values = torch.tensor([-0.5, 1.5]).view(1, 1, 2)
    top = WHITE.get(dtype, 1)
    out = to_dtype(values, dtype)
    assert out.dtype == dtype
    assert out.flatten().tolist() == [0, top]
    assert values.flatten().tolist() == [-0.5, 1.5]


def test_luma_weighs_the_colours_as_bt_601():
    primaries = torch.eye(3).view(3, 3, 1, 1)  # a red, a green and a blue image
    torch.testing.assert_close(luma(primaries).flatten(), torch.tensor([0.299, 0.587, 0.114]))


def test_luma_of_gray_is_gray():
    gray = pictures(2, 1, 16, 16, dtype=torch.float32)
    assert torch.equal(luma(gray), gray)
    torch.testing.assert_close(luma(to_rgb(gray)), gray)


@pytest.mark.parametrize("leading", [(), (2,), (0,), (2, 4)])
def test_leading_dimensions_are_free(leading):
    assert luma(torch.rand(*leading, 3, 16, 20)).shape == (*leading, 1, 16, 20)
    assert to_rgb(torch.rand(*leading, 1, 16, 20)).shape == (*leading, 3, 16, 20)


def test_rgb_comes_back_as_it_is():
    images = torch.rand(2, 3, 16, 16)
    assert to_rgb(images) is images
