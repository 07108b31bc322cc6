"""Equalize: one rising curve that spreads tones, limited, the same for whole images and bands."""

import pytest
import torch

from styleaug import Equalize
from styleaug.stages.equalize import EqualizeParams

pytestmark = pytest.mark.usefixtures("seeded")


def equalized(x, amount=1.0):
    return Equalize().render(x, EqualizeParams(torch.full((len(x),), amount)))


def test_tones_are_spread_evenly_where_the_limit_allows_it():
    """The distribution of an equalized image is that of a uniform variable."""
    x = 0.35 + 0.4 * torch.rand(2, 1, 64, 64) ** 1.5
    out = equalized(x).flatten(1)
    wanted = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])
    for values in out:
        torch.testing.assert_close(values.quantile(wanted), wanted, atol=0.03, rtol=0)


def test_darker_pixels_stay_darker_in_every_channel():
    x = torch.rand(3, 3, 32, 40)
    out = equalized(x)
    for before, after in zip(x.flatten(0, 1), out.flatten(0, 1), strict=True):
        order = before.flatten().argsort()
        assert (after.flatten()[order].diff() >= 0).all()
    gray = x[:, :1].expand(-1, 3, -1, -1)
    assert torch.equal(equalized(gray)[:, 0], equalized(gray)[:, 2])


def test_nearly_flat_images_are_steepened_some_five_times_and_not_more():
    x = 0.5 + 0.004 * torch.randn(4, 1, 48, 48)
    ratio = equalized(x).std((1, 2, 3)) / x.std((1, 2, 3))
    assert (ratio < 6.1).all()
    assert (ratio > 4).all()
    flat = torch.full((1, 3, 16, 16), 0.25)
    assert equalized(flat).std() == 0


def test_the_amount_blends_with_the_image_as_it_is():
    x = 0.3 * torch.rand(2, 3, 24, 24)
    half = equalized(x, 0.5)
    torch.testing.assert_close(half, (x + equalized(x)) / 2)
    assert torch.equal(equalized(x, 0.0), x)


def test_each_image_has_its_own_curve():
    x = torch.rand(2, 3, 24, 24) * torch.tensor([0.2, 1.0]).view(2, 1, 1, 1)
    both = equalized(x)
    for k in range(2):
        torch.testing.assert_close(both[k : k + 1], equalized(x[k : k + 1]))


def test_large_images_count_a_part_of_their_pixels():
    coarse = torch.rand(1, 1, 30, 30).repeat_interleave(20, 2).repeat_interleave(20, 3) ** 2
    small = coarse[..., ::20, ::20]
    torch.testing.assert_close(
        equalized(coarse)[..., ::20, ::20], equalized(small), atol=0.02, rtol=0
    )


def test_how_far_it_goes_is_drawn():
    drawn = Equalize(strength=(0.2, 0.6)).draw(2000)
    assert drawn.amount.min() >= 0.2
    assert drawn.amount.max() <= 0.6
    assert not Equalize(strength=0).draw(10).active.any()
    assert EqualizeParams(torch.tensor([0.25])).describe(0) == {"amount": 0.25}
    with pytest.raises(ValueError, match="strength must"):
        Equalize(strength=1.5)
