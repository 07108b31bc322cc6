"""Corruption suites: one function for ImageNet-C, lamps and industrial shifts."""

import sys

import numpy as np
import pytest

from styleaug.checks import MissingExtraError
from styleaug.robustness.corruptions import (
    LAMPS,
    NAMES,
    SUITES,
    Condition,
    conditions,
    corrupt_images,
    corrupted_sets,
)
from styleaug.robustness.shifts import SHIFTS, apply_shift

# Outcomes of each kind. Two kinds of seeds are in use by the package.
OWN = ("lamp_dim", "lamp_veil", "lamp_side", "dust", "exposure")
PACKAGED = ("gaussian_noise", "impulse_noise", "motion_blur", "speckle_noise")


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 33, 47, 3), dtype=np.uint8)


@pytest.fixture
def package():
    return pytest.importorskip("imagecorruptions", reason="the package is an extra")


@pytest.fixture
def without_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)


def test_suites_name_each_corruption_once():
    assert {suite: len(names) for suite, names in SUITES.items()} == {
        "imagenet-c": 15,
        "industrial": 11,
        "validation": 8,
    }
    assert len(set(NAMES)) == 34
    assert SUITES["industrial"] == tuple(SHIFTS)


def test_the_package_has_what_the_suites_name(package):
    assert list(SUITES["imagenet-c"]) == package.get_corruption_names("common")
    assert list(SUITES["validation"][:4]) == package.get_corruption_names("validation")


def test_conditions_go_corruption_by_corruption():
    assert conditions(["fog", "dust"], [1, 5]) == [
        Condition("fog", 1), Condition("fog", 5), Condition("dust", 1), Condition("dust", 5),
    ]  # fmt: skip


def check_outcome(images, name):
    condition, before = Condition(name, 3), images.copy()
    first = corrupt_images(images, condition, seed=1)
    assert first.dtype == np.uint8
    assert first.shape == images.shape
    assert first.flags.c_contiguous
    assert (images == before).all()
    assert (first != images).any()
    np.testing.assert_array_equal(first, corrupt_images(images, condition, seed=1))
    np.testing.assert_array_equal(first[:2], corrupt_images(images[:2], condition, seed=1))
    return first


@pytest.mark.parametrize("name", OWN)
def test_own_corruptions_are_repeatable(images, name, without_package):
    """They need no extra; conftest watches numpy's global generator."""
    check_outcome(images, name)


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_corruptions_are_repeatable(images, name, package):
    """The package draws from numpy's global generator: it is put back, and told where to begin."""
    same = np.repeat(images[:1], 2, axis=0)
    assert (check_outcome(images, name) != corrupt_images(images, Condition(name, 3))).any()
    first, second = corrupt_images(same, Condition(name, 3))
    assert (first != second).any()


def test_shifts_are_those_of_apply_shift(images):
    np.testing.assert_array_equal(
        corrupt_images(images, Condition("dust", 4), seed=2),
        apply_shift(images, "dust", 4, seed=2),
    )


@pytest.mark.parametrize("name", [name for name in LAMPS if name != "lamp_veil"])
def test_lamps_get_stronger(images, name):
    change = [
        np.abs(corrupt_images(images, Condition(name, severity)).astype(float) - images).mean()
        for severity in range(1, 6)
    ]
    assert change == sorted(change)


def test_a_lamp_at_one_side_leaves_the_other_side():
    out = corrupt_images(np.full((6, 40, 40, 3), 200, np.uint8), Condition("lamp_side", 5))
    assert (out.reshape(6, -1).max(1) == 200).all()
    assert (out.reshape(6, -1).min(1) == 40).all()


@pytest.mark.parametrize("name", ["fog", "gaussian_noise"])
def test_images_below_the_smallest_size_of_the_package_keep_theirs(name, package):
    images = np.zeros((1, 17, 20, 3), dtype=np.uint8)
    assert corrupt_images(images, Condition(name, 5)).shape == images.shape


def test_sets_come_in_the_order_of_their_conditions(images):
    wanted = conditions(["lamp_side", "defocus"], [1, 5])
    found = list(corrupted_sets(images, iter(wanted), seed=3, workers=0))
    assert [condition for condition, _ in found] == wanted
    for condition, corrupted in found:
        np.testing.assert_array_equal(corrupted, corrupt_images(images, condition, seed=3))


@pytest.mark.slow
def test_number_of_processes_changes_nothing(images, package):
    wanted = conditions([*OWN, *PACKAGED], [1, 5])
    alone = list(corrupted_sets(images, wanted, workers=0))
    shared = list(corrupted_sets(images, wanted, workers=2))
    assert [condition for condition, _ in shared] == wanted
    for (_, a), (_, b) in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- errors


def test_unknown_names_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match="no corruption 'smoke'; there are gaussian_noise") as told:
        conditions(["fog", "smoke"], [1])
    assert all(name in str(told.value) for name in NAMES)


@pytest.mark.parametrize(
    ("severity", "error"), [(0, ValueError), (6, ValueError), (1.0, TypeError), ("3", TypeError)]
)
def test_unknown_severities_are_refused(severity, error):
    with pytest.raises(error, match="severity must be an integer from 1 to 5"):
        Condition("fog", severity)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (np.zeros((2, 8, 8, 3)), TypeError),
        (np.zeros((8, 8, 3), np.uint8), ValueError),
        (np.zeros((2, 3, 8, 8), np.uint8), ValueError),
    ],
)
def test_wrong_images_are_refused_at_once(wrong, error):
    with pytest.raises(error, match="images must"):
        corrupt_images(wrong, Condition("lamp_dim", 1))
    with pytest.raises(error, match="images must"):
        corrupted_sets(wrong, [Condition("lamp_dim", 1)])


@pytest.mark.usefixtures("without_package")
def test_the_missing_extra_is_named_at_once(images):
    message = r"'imagecorruptions-imaug'.*styleaug\[bench\]"
    with pytest.raises(MissingExtraError, match=message):
        corrupt_images(images, Condition("fog", 1))
    with pytest.raises(MissingExtraError, match=message):
        corrupted_sets(images, [Condition("dust", 1), Condition("fog", 1)])
