"""SensorNoise: of the given deviation, in each colour and image its own; and how much is drawn."""

import pytest
import torch

from helpers import pictures
from styleaug import Defocus, Relight, SensorNoise, StyleAugment
from styleaug.nn.noise import SEEDS, white_noise
from styleaug.stages.noise import SensorNoiseParams

pytestmark = pytest.mark.usefixtures("seeded")


def noisy(x, *sigmas, seed=0):
    seeds = seed + torch.arange(len(sigmas))
    return SensorNoise().render(x, SensorNoiseParams(torch.tensor(sigmas), seeds))


@pytest.mark.parametrize("sigma", [0.02, 0.1])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_white_noise_of_the_given_deviation(sigma, channels):
    x = torch.full((2, channels, 64, 80), 0.5)
    out = noisy(x, sigma, sigma / 2)
    torch.testing.assert_close(
        out[0] - 0.5, sigma * white_noise(torch.tensor([0]), *x.shape[1:])[0]
    )
    assert (out[0] - 0.5).std().item() == pytest.approx(sigma, rel=0.05)
    assert (out[1] - 0.5).std().item() == pytest.approx(sigma / 2, rel=0.05)


def test_each_colour_and_each_image_has_its_own():
    out = noisy(torch.full((2, 3, 64, 64), 0.5), 0.1, 0.1) - 0.5
    found = torch.corrcoef(out.flatten(2).flatten(0, 1))
    assert (found - torch.eye(6)).abs().max() < 0.08


def test_it_is_clamped_and_leaves_the_others_alone():
    x = pictures(3, 3, 32, 40, dtype=torch.float32)
    out = noisy(x, 0.0, 1.0, 0.0)
    assert [torch.equal(a, b) for a, b in zip(out, x, strict=True)] == [True, False, True]
    for result in (out, SensorNoise().apply(x[1:2], SensorNoise(sigma=1).draw(1))):
        assert result.min() == 0
        assert result.max() == 1


def test_uint16_gets_levels_between_those_of_eight_bits():
    x = torch.full((1, 1, 64, 64), 30_000, dtype=torch.uint16)
    out = noisy(x, 0.001).to(torch.int32)
    assert (out - 30_000).double().std().item() == pytest.approx(65.5, rel=0.1)
    assert len(out.unique()) > 100


def test_it_comes_after_light_and_blur():
    """Sensors add noise behind the lens: it stays as fine as ever."""
    x = torch.full((4, 3, 48, 48), 0.5)
    transform = StyleAugment([Relight(strength=0.3), Defocus(sigma=4), SensorNoise(sigma=0.1)])
    plan = transform.draw(4)
    plan_of = {n: p.scaled(torch.zeros(4)) if n == "SensorNoise" else p for n, p in plan.items()}
    smooth = transform.render(x, type(plan)(plan_of))
    alone = SensorNoise().render(smooth, plan["SensorNoise"])
    torch.testing.assert_close(transform.render(x, plan), alone)


def test_little_comes_more_often_than_much():
    """Half of the amounts lie in the lowest eighth of the range, and all of it is met."""
    values = SensorNoise(sigma=(0.2, 0.6)).draw(4000).sigma
    assert 0.2 <= values.min() < 0.21
    assert 0.59 < values.max() <= 0.6
    assert (values < 0.25).float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_any_seed_is_drawn():
    seeds = SensorNoise().draw(2000).seed
    assert 0 <= seeds.min() < 0.01 * SEEDS
    assert 0.99 * SEEDS < seeds.max() < SEEDS


@pytest.mark.parametrize("sigma", [-0.1, (0.2, 0.1), 1.1, float("nan"), None])
def test_wrong_deviations_are_refused(sigma):
    with pytest.raises(ValueError, match=r"^sigma must"):
        SensorNoise(sigma=sigma)
