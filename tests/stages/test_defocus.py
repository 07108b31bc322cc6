"""Defocus: a Gaussian of the given width in pixels along each axis, and how wide it is drawn."""

from math import ceil

import pytest
import torch

from helpers import pictures
from styleaug import Defocus
from styleaug.stages.defocus import DefocusParams

pytestmark = pytest.mark.usefixtures("seeded")


def blurred(x, *sigmas):
    return Defocus().render(x, DefocusParams(torch.tensor(sigmas)))


def gaussian(sigma):
    """Twenty pixels to either side, cut off beyond three deviations."""
    steps = torch.arange(-20, 21).double()
    taps = torch.exp(-0.5 * (steps / sigma) ** 2) * (steps.abs() <= ceil(3 * sigma))
    return taps / taps.sum()


def test_it_is_a_gaussian_of_the_given_pixels_along_each_axis():
    x = torch.zeros(3, 3, 41, 41)
    x[:, :, 20, 20] = 1
    sigmas = [[4.0, 2.0], [0.0, 4.0], [0.8, 0.8]]
    out = blurred(x, *sigmas)
    down, along, none, little = (gaussian(sigma) for sigma in (4.0, 2.0, 0.1, 0.8))
    for row, taps in enumerate(((down, along), (none, down), (little, little))):
        torch.testing.assert_close(out[row, 1].double(), torch.outer(*taps), atol=1e-6, rtol=0)
    alone = blurred(x[2:], sigmas[2])  # where no other image needs a wider kernel
    torch.testing.assert_close(alone, out[2:], atol=1e-7, rtol=0)


@pytest.mark.parametrize("sigma", [4.0, 100.0])
def test_it_keeps_flat_images_and_their_borders(sigma):
    x = torch.full((2, 1, 5, 19), 0.4)
    torch.testing.assert_close(blurred(x, [sigma, sigma], [sigma, 0]), x)


def test_borders_are_repeated():
    half = torch.cat([torch.zeros(1, 3, 30, 20), torch.ones(1, 3, 30, 20)], 3)
    out = blurred(half, [4.0, 4.0])
    assert out[..., 0].max() < 1e-6
    assert out[..., -1].min() > 1 - 1e-6
    assert (out.diff(dim=-1) >= -1e-6).all()


def test_colours_do_not_mix():
    x = pictures(1, 3, 20, 30, dtype=torch.float32)
    x[:, 1] = 0
    out = blurred(x, [2.0, 1.0])
    assert not out[:, 1].any()
    torch.testing.assert_close(out[:, 2:], blurred(x[:, 2:], [2.0, 1.0]))


def test_little_comes_more_often_than_much():
    """Half of the amounts lie in the lowest quarter of the range, and all of it is met."""
    values = Defocus(sigma=(2, 6)).draw(4000).sigma.amax(1)
    assert 2 <= values.min() < 2.1
    assert 5.9 < values.max() <= 6
    assert (values < 3).float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_it_is_as_wide_along_one_axis_as_drawn_and_less_along_the_other():
    sigma = Defocus(sigma=0.8).draw(2000).sigma
    widest, other = sigma.max(1).values, sigma.min(1).values
    assert torch.allclose(widest, torch.full((2000,), 0.8))
    assert other.min() < 0.05
    assert 0.35 < other.mean() < 0.45
    assert 0.4 < (sigma[:, 0] > sigma[:, 1]).float().mean() < 0.6


def test_a_report_tells_the_wider_of_both():
    assert DefocusParams(torch.tensor([[0.5, 1.234]])).describe(0) == {"sigma": 1.23}


@pytest.mark.parametrize("sigma", [-1, (2, 1), 101, float("nan"), "wide"])
def test_wrong_widths_are_refused(sigma):
    with pytest.raises(ValueError, match=r"^sigma must"):
        Defocus(sigma=sigma)
