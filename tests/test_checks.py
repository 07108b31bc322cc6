"""Checks: what passes, what does not, and messages that say how to go on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import DTYPES, pictures
from styleaug import Defocus, Relight, Restyle, SensorNoise, StyleAugment
from styleaug.errors import MissingExtraError, StyleAugError, WeightsError, did_you_mean
from styleaug.images.checks import (
    check_fraction,
    check_image_tensor,
    check_number,
    check_path,
    check_range,
    check_whole,
)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 16, 17), (0, 3, 16, 16), (2, 5, 3, 20, 16)])
def test_images_of_every_dtype_and_leading_dimension_pass(dtype, shape):
    check_image_tensor(pictures(*shape, dtype=dtype))


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        (torch.zeros(4), ValueError, ["(..., C, H, W)", "(4,)", "tv_tensors.Image"]),
        (torch.zeros(16, 16), ValueError, ["(..., C, H, W)", "(16, 16)", "wrap the images"]),
        (torch.zeros(2, 32, 32), ValueError, ["1 or 3 channels", "got 2", "permute"]),
        (torch.zeros(8, 32, 32, 3), ValueError, ["1 or 3 channels", "(8, 32, 32, 3)", "permute"]),
        (torch.zeros(3, 0, 32), ValueError, ["must have pixels", "0 high", "32 wide"]),
        (torch.zeros(3, 32, 0), ValueError, ["must have pixels", "32 high", "0 wide"]),
        (
            torch.zeros(3, 32, 32, dtype=torch.int64),
            TypeError,
            ["uint8", "uint16", "int64", "[0, 0]", ".to(torch.float32)"],
        ),
        (
            torch.full((3, 32, 32), 255, dtype=torch.int32),
            TypeError,
            ["int32", "[255, 255]", "with .to(torch.uint8)."],
        ),
        (
            torch.full((3, 32, 32), 4095, dtype=torch.int64),
            TypeError,
            ["int64", "[4095, 4095]", ".to(torch.uint16)", "bits="],
        ),
        (
            torch.full((3, 32, 32), 70000, dtype=torch.uint32),
            TypeError,
            ["uint32", "[70000, 70000]", "scale them to [0, 1]"],
        ),
        (torch.full((3, 32, 32), -1, dtype=torch.int8), TypeError, ["int8", "[-1, -1]", "scale"]),
        (torch.zeros(3, 32, 32, dtype=torch.complex64), TypeError, ["complex64", "real part"]),
        (torch.zeros(3, 32, 32, dtype=torch.bool), TypeError, ["uint8", "uint16", "bool"]),
        (torch.full((3, 32, 32), 255.0), ValueError, ["[0, 1]", "255", "1/255"]),
        (torch.full((3, 32, 32), -1.0), ValueError, ["[0, 1]", "-1", "before Normalize"]),
        (torch.full((3, 32, 32), torch.nan), ValueError, ["finite", "nan", "Normalize"]),
        (torch.full((3, 32, 32), torch.inf), ValueError, ["finite", "inf", "Normalize"]),
    ],
)
def test_wrong_images_are_refused_with_what_must_hold_what_came_and_what_to_do(
    images, error, words
):
    with pytest.raises(error) as caught:
        check_image_tensor(images, "the batch")
    assert [w for w in ["the batch", *words] if w not in str(caught.value)] == []


@pytest.mark.parametrize("place", [(0, 0, 0), (2, 31, 31)])
def test_one_nan_among_good_pixels_is_found(place):
    images = pictures(3, 32, 32, dtype=torch.float32)
    images[place] = torch.nan
    with pytest.raises(ValueError, match="finite"):
        check_image_tensor(images)


def test_rounding_beyond_the_bounds_is_forgiven():
    """Resizing with antialias leaves values such as 1.0000001."""
    check_image_tensor(torch.tensor([-1e-4, 1 + 1e-4]).repeat(3, 16, 8))


@pytest.mark.parametrize(
    ("value", "pair"),
    [
        (0.5, (0.5, 0.5)),
        (1, (1.0, 1.0)),
        ((0.2, 0.8), (0.2, 0.8)),
        ([0, 1], (0.0, 1.0)),
        (np.float32(0.5), (0.5, 0.5)),
        (np.array([0.25, 0.5]), (0.25, 0.5)),
    ],
)
def test_ranges_are_numbers_or_pairs(value, pair):
    assert check_range("strength", value, 0, 1) == pair


@pytest.mark.parametrize(
    "value",
    [
        *[(0.8, 0.2), (-0.1, 1), (0, 1.1), 2, float("nan"), (0, float("nan")), "01", "x", ()],
        *[(1, 1, 1), True, (0, True), ("0", "1"), (0, float("inf"))],
    ],
)
def test_bad_ranges_are_refused_with_name_and_value(value):
    with pytest.raises(ValueError, match=r"^strength must ") as caught:
        check_range("strength", value, 0, 1)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1", None, 2.5, [1], -1, 9])
def test_numbers_must_be_finite_in_bounds_and_of_their_kind(value):
    with pytest.raises(ValueError, match=r"^steps must be a whole number in \[0, 8\], but got"):
        check_whole("steps", value, 0, 8)
    if value != 2.5:
        with pytest.raises(ValueError, match=r"^lr must be a number in \[0, 8\], but got"):
            check_number("lr", value, 0, 8)


def test_numbers_come_back_in_python_s_own_types():
    assert type(check_whole("steps", np.int64(3))) is int
    assert type(check_number("lr", np.float32(0.5))) is float


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("ruts", " Did you mean 'rust'?"),
        ("RUST", " Did you mean 'rust'?"),
        ("wood", " Did you mean 'wood-3' or 'wood-2' or 'wood-1'?"),
        ("xyz", ""),
    ],
)
def test_unknown_names_suggest_the_closest(word, told):
    assert did_you_mean(word, ["rust", "wood-1", "wood-2", "wood-3", "wood-44"]) == told


@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_a_blank_text_is_not_the_current_folder(value):
    with pytest.raises(ValueError, match=r"^masks must be a path, but got"):
        check_path("masks", value)
    assert check_path("masks", ".") == Path()


def test_none_is_no_range():
    with pytest.raises(ValueError, match="a pair"):
        check_range("light", None, 0, 1)


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5), np.float64(0.25)])
def test_fractions_come_back_as_floats(value):
    assert type(check_fraction("p", value)) is float
    assert check_fraction("p", value) == value


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), True, "0.5", None, (0, 1)])
def test_bad_fractions_are_refused_with_name_and_value(value):
    with pytest.raises(ValueError, match=r"^p must be a number in \[0, 1\], but got") as caught:
        check_fraction("p", value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Restyle, "p", 1.5),
        (Restyle, "mix", -1),
        (Restyle, "jitter", 2),
        (Restyle, "strength", (1, 0)),
        (Restyle, "texture", 1.1),
        (Restyle, "working_size", 8),
        (Restyle, "working_size", 256.0),
        (Restyle, "styles", []),
        (Restyle, "styles", "nosuchstyle"),
        (Relight, "strength", (0, 2)),
        (Relight, "p", "often"),
        (Defocus, "sigma", -1),
        (SensorNoise, "sigma", 3),
        (StyleAugment, "p", 2),
        (StyleAugment, "protect", 3),
        (StyleAugment, "schedule", "soon"),
    ],
)
def test_transforms_name_the_argument_that_is_wrong(kind, name, value):
    with pytest.raises(ValueError, match=f"^{name} must"):
        kind(**{name: value})


def test_errors_have_the_types_that_callers_catch():
    error = MissingExtraError("albumentations", "albumentations")
    assert isinstance(error, ImportError)
    assert isinstance(error, StyleAugError)
    assert "pip install 'styleaug[albumentations]'" in str(error)
    assert issubclass(WeightsError, StyleAugError)
