"""Plans and settings that come back from a file, changed by whatever: read, or refused in words."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fuzz.mutations import odd_values, spoilt
from helpers import TINY, pictures
from styleaug import Defocus, Relight, Restyle, SensorNoise, StyleAugment, StylePack
from styleaug.augment.plan import Plan
from styleaug.errors import StyleAugError
from styleaug.images.checks import check_fraction, check_range

OURS = (TypeError, ValueError, StyleAugError)
IMAGES = pictures(2, 3, 9, 12)
AUGMENT = StyleAugment(
    [
        Restyle(pack=StylePack.random(TINY), strength=1),
        Relight(strength=1),
        Defocus(sigma=(1, 2)),
        SensorNoise(sigma=0.1),
    ]
)
PLAN = json.loads(json.dumps(AUGMENT.draw(2, torch.Generator().manual_seed(0)).to_dict()))
SETTINGS = json.loads(
    json.dumps(
        StyleAugment(
            [Relight(strength=0.5), Defocus(sigma=(0, 2), p=0.5), SensorNoise(sigma=0.1)],
            p=0.6,
            schedule={"p": [(0, 0), (1, 1)]},
        ).to_dict()
    )
)


@given(data=spoilt(PLAN))
def test_a_plan_is_read_and_rendered_or_refused(data):
    try:
        plan = Plan.from_dict(data)
        out = AUGMENT.render(IMAGES, plan)
        for row in range(plan.count):
            json.dumps(plan.describe(row), allow_nan=False)
    except OURS:
        return
    assert (out.shape, out.dtype) == (IMAGES.shape, IMAGES.dtype)


@pytest.mark.filterwarnings("ignore")
@given(data=spoilt(SETTINGS))
def test_settings_build_a_transform_or_are_refused(data):
    try:
        augment = StyleAugment.from_dict(data)
    except OURS:
        return
    assert StyleAugment.from_dict(augment.to_dict()).to_dict() == augment.to_dict()
    out = augment.render(IMAGES, augment.draw(2, torch.Generator().manual_seed(0)))
    assert (out.shape, out.dtype) == (IMAGES.shape, IMAGES.dtype)


@given(value=odd_values, low=st.sampled_from([0, -1]), high=st.sampled_from([1, 100]))
def test_a_range_is_an_ordered_pair_in_bounds_or_refused(value, low, high):
    try:
        pair = check_range("strength", value, low, high)
    except OURS:
        return
    assert low <= pair[0] <= pair[1] <= high


@given(value=odd_values)
def test_a_fraction_is_a_number_in_bounds_or_refused(value):
    try:
        number = check_fraction("p", value)
    except OURS:
        return
    assert 0 <= number <= 1
