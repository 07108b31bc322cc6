"""Corruption suites: one function for ImageNet-C, lamps and industrial shifts."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from styleaug.errors import MissingExtraError
from styleaug.evaluate import corruptions
from styleaug.evaluate.corruptions import (
    LAMPS,
    NAMES,
    SUITES,
    Condition,
    conditions,
    corrupt_images,
    corrupted_sets,
    installed_corruptions,
)
from styleaug.evaluate.shifts import SHIFTS

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


@pytest.mark.parametrize("name", [*PACKAGED, pytest.param("glass_blur", marks=pytest.mark.slow)])
def test_packaged_corruptions_are_repeatable(images, name, package):
    """The package draws from numpy's global generator: it is put back, and told where to begin."""
    same = np.repeat(images[:1], 2, axis=0)
    assert (check_outcome(images, name) != corrupt_images(images, Condition(name, 3))).any()
    first, second = corrupt_images(same, Condition(name, 3))
    assert (first != second).any()


def test_every_image_of_every_condition_has_a_seed_of_its_own(images, monkeypatch):
    seeds = []

    def relit(image, condition, sequence):
        seeds.append(int(sequence.generate_state(1)[0]))
        return image

    monkeypatch.setattr(corruptions, "_relit", relit)
    for condition in conditions(["lamp_dim", "lamp_veil"], [1, 2]):
        for seed in (0, 1):
            corrupt_images(images, condition, seed=seed)
    assert len({*seeds}) == len(seeds) == 2 * 2 * 2 * len(images)


@pytest.mark.parametrize("name", [name for name in LAMPS if name != "lamp_veil"])
def test_lamps_get_stronger(images, name):
    change = [
        np.abs(corrupt_images(images, Condition(name, severity)).astype(float) - images).mean()
        for severity in range(1, 6)
    ]
    assert change == sorted(change)


@pytest.mark.parametrize(
    ("name", "levels"),
    [("lamp_dim", [75, 65, 55, 45, 35]), ("lamp_bright", [139, 154, 170, 185, 201])],
)
def test_lamps_dim_and_brighten(name, levels):
    images = np.full((1, 2, 2, 3), 100, np.uint8)
    out = [corrupt_images(images, Condition(name, severity)) for severity in range(1, 6)]
    assert [{*found.ravel().tolist()} for found in out] == [{level} for level in levels]


def test_a_veil_takes_contrast_and_adds_light_of_any_level():
    images = np.full((8, 1, 2, 3), 100, np.uint8)
    images[:, :, 1] = 200
    for severity, contrast in enumerate([70, 60, 50, 40, 30], start=1):
        out = corrupt_images(images, Condition("lamp_veil", severity)).astype(int)
        np.testing.assert_allclose(out[:, :, 1] - out[:, :, 0], contrast, atol=1)
        assert len(np.unique(out[:, 0, 0, 0])) > 4


def test_a_lamp_at_one_side_leaves_the_other_side():
    out = corrupt_images(np.full((24, 40, 40, 3), 200, np.uint8), Condition("lamp_side", 5))
    assert (out.reshape(24, -1).max(1) == 200).all()
    assert (out.reshape(24, -1).min(1) == 40).all()
    corners = out[:, ::39, ::39, 0].reshape(24, -1)
    assert {*corners.argmin(1)} == {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["fog", "gaussian_noise"])
def test_images_below_the_smallest_size_of_the_package_keep_theirs(name, package):
    images = np.zeros((1, 17, 20, 3), dtype=np.uint8)
    assert corrupt_images(images, Condition(name, 5)).shape == images.shape


def test_the_package_gets_the_severity_and_images_enlarged_on_both_sides(monkeypatch):
    given = []

    def corrupt(image, severity, name):
        given.append((image.shape, severity, name))
        return image

    monkeypatch.setitem(sys.modules, "imagecorruptions", SimpleNamespace(corrupt=corrupt))
    for width in (20, 40):
        corrupt_images(np.zeros((1, 16, width, 3), np.uint8), Condition("fog", 4))
    assert given == [((32, 40, 3), 4, "fog"), ((32, 80, 3), 4, "fog")]


def test_sets_come_in_the_order_of_their_conditions(images):
    wanted = conditions(["lamp_side", "defocus"], [1, 5])
    found = list(corrupted_sets(images, iter(wanted), workers=0))
    assert [condition for condition, _ in found] == wanted
    for condition, corrupted in found:
        np.testing.assert_array_equal(corrupted, corrupt_images(images, condition))


def test_few_copies_are_made_ahead(images, monkeypatch):
    """A suite of a large test set does not fit in memory at once."""
    started = []

    class Pool:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, function, condition):
            started.append(condition)
            return SimpleNamespace(result=lambda: condition)

        def map(self, function, conditions):
            return [self.submit(function, condition).result() for condition in conditions]

    monkeypatch.setattr(corruptions, "ProcessPoolExecutor", Pool)
    wanted = conditions(["dust", "defocus", "exposure"], [1, 2, 3, 4, 5])
    sets = corrupted_sets(images, wanted, workers=2)
    for number, (condition, _) in enumerate(sets, start=1):
        assert condition == wanted[number - 1]
        assert len(started) <= number + 2
    assert started == wanted


def test_without_the_package_our_own_corruptions_are_there(without_package):
    assert installed_corruptions(["fog", "dust", "lamp_dim", "saturate"]) == ("dust", "lamp_dim")


@pytest.mark.slow
def test_number_of_processes_changes_nothing(images, package):
    wanted = conditions([*OWN, *PACKAGED], [1, 5])
    alone = list(corrupted_sets(images, wanted, workers=0))
    shared = list(corrupted_sets(images, wanted, workers=2))
    assert [condition for condition, _ in shared] == wanted
    for (_, a), (_, b) in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- errors


def test_unknown_names_are_refused_with_the_closest():
    with pytest.raises(ValueError, match=r"no corruption 'forg' among .*Did you mean 'fog'"):
        conditions(["fog", "forg"], [1])


@pytest.mark.parametrize(
    ("severity", "error"),
    [(0, ValueError), (6, ValueError), (1.0, TypeError), (True, TypeError), ("3", TypeError)],
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
        (np.zeros((2, 0, 8, 3), np.uint8), ValueError),
        ([[0]], TypeError),
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
