"""Relief: local detail stronger, fainter or inverted, on a background that stays."""

import pytest
import torch

from helpers import pictures
from styleaug import Relief
from styleaug.stages.relief import ReliefParams

pytestmark = pytest.mark.usefixtures("seeded")


def relief(x, gain, sigma=4.0):
    count = len(x)
    params = ReliefParams(torch.full((count,), gain), torch.full((count,), sigma))
    return Relief().render(x, params)


def scratched():
    """A gradient with a thin bright line."""
    x = torch.linspace(0.3, 0.6, 96).repeat(1, 3, 80, 1)
    x[..., 40, 20:70] += 0.2
    return x


@pytest.mark.parametrize("gain", [0.5, 1.5, -1.0])
def test_a_scratch_is_changed_by_the_gain_and_its_background_stays(gain):
    x = scratched()
    out = relief(x, gain)
    before = x[..., 40, 45] - x[..., 30, 45]
    after = out[..., 40, 45] - out[..., 30, 45]
    torch.testing.assert_close(after / before, torch.full_like(after, gain), atol=0.25, rtol=0)
    assert (out - x)[..., 5:25, 10:-10].abs().max() < 0.01


def test_it_is_the_formula_with_a_gaussian():
    x = pictures(1, 1, 64, 72, dtype=torch.float32)
    steps = torch.arange(-24, 25, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (steps / 6) ** 2)
    kernel = kernel / kernel.sum()
    low = torch.nn.functional.pad(x, [24] * 4, mode="replicate")
    low = torch.nn.functional.conv2d(low, kernel.view(1, 1, -1, 1))
    low = torch.nn.functional.conv2d(low, kernel.view(1, 1, 1, -1))
    wanted = (low + 1.5 * (x - low)).clamp(0, 1)
    inner = (..., slice(12, -12), slice(12, -12))  # the border goes on otherwise
    assert (relief(x, 1.5, 6.0) - wanted)[inner].abs().max() < 0.01


def test_an_image_does_not_depend_on_what_else_is_in_the_batch():
    x = pictures(3, 3, 40, 48, dtype=torch.float32)
    params = ReliefParams(torch.tensor([0.5, 1.4, -1.0]), torch.tensor([3.0, 10.0, 5.0]))
    both = Relief().apply(x, params)
    for k in range(3):
        alone = Relief().apply(x[k : k + 1], params.select([k]))
        torch.testing.assert_close(both[k], alone[0], atol=1e-5, rtol=0)


def test_draws_lie_in_their_ranges_and_flip_as_often_as_asked():
    drawn = Relief(strength=1.0, sigma=(3, 10), flip=0.25).draw(4000)
    assert drawn.gain.abs().min() >= 0.4
    assert drawn.gain.abs().max() <= 1.6
    assert drawn.sigma.min() >= 3
    assert drawn.sigma.max() <= 10
    assert (drawn.gain < 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert not (Relief(flip=0).draw(1000).gain < 0).any()
    assert not Relief(strength=0).draw(100).active.any()


def test_a_lesser_amount_keeps_the_polarity():
    params = ReliefParams(torch.tensor([-1.6, 0.4]), torch.tensor([4.0, 4.0]))
    half = params.scaled(torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(half.gain, torch.tensor([-(1.6**0.5), 0.4**0.5]))
    assert not params.scaled(torch.zeros(2)).active.any()


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"sigma": (0, 3)}, "sigma"), ({"flip": 2}, "flip"), ({"strength": 1.5}, "strength")],
)
def test_bad_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Relief(**settings)
