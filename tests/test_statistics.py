"""Intervals: by hand, against Student's t, and by simulation."""

import numpy as np
import pytest

from styleaug.evaluate.statistics import (
    Interval,
    mean_and_deviation,
    mean_interval,
    paired_difference,
    resampled_variance,
)


def test_seeds_alone_have_the_interval_of_students_t():
    found = paired_difference({0: 55, 1: 70, 7: 1}, {0: 40, 1: 40})
    # 12.706 standard errors of 7.5 at one degree of freedom; seed 7 has no partner
    assert found == pytest.approx((22.5, 22.5 - 95.296, 22.5 + 95.296), abs=1e-2)
    many = mean_interval([1.0, 2, 3, 4])
    assert many.high - many.mean == pytest.approx(3.18245 * np.std([1, 2, 3, 4], ddof=1) / 2, 1e-4)


def test_images_alone_have_nearly_the_interval_of_the_normal_distribution():
    found = mean_interval([3.0], image_variance=4, images=1001)
    assert found.high - found.mean == pytest.approx(1.9623 * 2, rel=1e-4)


def test_variances_of_seeds_and_images_add_up():
    both = mean_interval([1.0, 3.0], image_variance=1, images=1001)
    assert both.mean == 2
    # variance 1 of the seeds and 1 of the images, with 4 / (1 / 1 + 1 / 1000) degrees of freedom
    assert both.high - both.mean == pytest.approx(2.777 * 2**0.5, rel=1e-3)


def test_one_seed_without_images_has_no_interval():
    assert mean_interval([2.0]) == Interval(2, None, None)
    assert str(mean_interval([2.0])) == "+2.0"
    assert mean_interval([2.0, 2.0]) == (2, 2, 2)


def test_policies_without_a_seed_in_common_do_not_compare():
    with pytest.raises(ValueError, match="a seed that both"):
        paired_difference({0: 1}, {1: 1})


def test_resampling_images_gives_the_variance_of_their_mean():
    values = np.random.default_rng(1).normal(size=400)
    variance = resampled_variance(lambda drawn: values[drawn].mean(), 400)
    assert variance == pytest.approx(values.var() / 400, rel=0.3)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    """Of scores that vary by seed and by image, three seeds and 100 images."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        images, seeds = rng.normal(size=100), rng.normal(0, 0.1, 3)
        found = mean_interval(seeds + images.mean(), image_variance=images.var() / 100, images=100)
        held += found.low <= 0 <= found.high
    assert 0.92 < held / 400 < 0.98


def test_numbers_are_shown_in_short():
    assert str(Interval(0.012, -0.003, 0.027).in_percent()) == "+1.2 (-0.3 to +2.7)"
    assert mean_and_deviation([97.0, 99.0]) == "98.0 ± 1.4"
    assert mean_and_deviation([97.0]) == "97.0"
