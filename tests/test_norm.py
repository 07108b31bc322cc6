"""Instance norms against their formulas, and what the variance floor is for."""

import pytest
import torch

from helpers import pictures
from styleaug.nn.norm import (
    VARIANCE_FLOOR,
    ColourMatch,
    ConditionalInstanceNorm2d,
    ConditionalMix,
    StyleLinear,
    adain,
    instance_norm,
)


def normalized(x, floor):
    variance, mean = torch.var_mean(x, dim=(2, 3), keepdim=True, correction=0)
    return (x - mean) / torch.sqrt(variance + floor)


@pytest.fixture
def features():
    """Channels of different mean and spread, in float64."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 5, 7, generator=generator, dtype=torch.float64)
    return x * torch.tensor([0.1, 1, 3, 10]).view(1, 4, 1, 1) + torch.arange(4).view(1, 4, 1, 1)


@pytest.mark.parametrize("floor", [0.1, 1e-5, 2.0])
def test_instance_norm_is_its_formula(features, floor):
    torch.testing.assert_close(instance_norm(features, floor), normalized(features, floor))


def test_a_flat_channel_becomes_zero_and_faint_noise_stays_faint():
    flat = torch.full((1, 1, 16, 16), 0.7)
    noise = 0.01 * torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert instance_norm(flat).abs().max() < 1e-5
    assert instance_norm(flat + noise).std() < 0.01 / VARIANCE_FLOOR**0.5 * 1.2
    assert instance_norm(flat + noise, 1e-5).std() > 0.9  # what the floor prevents


def test_adain_is_its_formula(features):
    generator = torch.Generator().manual_seed(1)
    mean, std = torch.rand(2, 2, 4, generator=generator, dtype=torch.float64)
    expected = std[:, :, None, None] * normalized(features, 0.1) + mean[:, :, None, None]
    out = adain(features, mean, std, 0.1)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(out.mean((2, 3)), mean)


def test_conditional_norm_is_its_formula_with_one_style_an_image(features):
    norm = ConditionalInstanceNorm2d(4, 3, floor=0.5).double()
    embedding = torch.randn(2, 3, dtype=torch.float64)
    gamma, beta = (1 + norm.affine(embedding)[:, :4], norm.affine(embedding)[:, 4:])
    expected = gamma[:, :, None, None] * normalized(features, 0.5) + beta[:, :, None, None]
    torch.testing.assert_close(norm(features, embedding), expected)
    assert not torch.allclose(expected[0], norm(features, embedding.flip(0))[0])


def test_fitted_styles_add_their_residuals():
    layer = StyleLinear(3, 5, style_residuals=2)
    assert layer.style_residuals.shape == (5, 2)
    embedding = torch.randn(4, 3)
    shares = torch.tensor([[0, 0], [1, 0], [0, 1], [0.25, 0.75]])
    without = torch.nn.functional.linear(embedding, layer.weight, layer.bias)
    style = torch.cat([embedding, shares], dim=1)
    assert torch.equal(layer(style), without)  # none has been fitted
    torch.nn.init.normal_(layer.style_residuals)
    expected = without + shares @ layer.style_residuals.T
    torch.testing.assert_close(layer(style), expected)
    assert torch.equal(layer(style)[0], without[0])
    assert "style_residuals" not in StyleLinear(3, 5).state_dict()


def test_conditional_norm_starts_plain():
    """Gamma 1 and beta 0 for the zero embedding."""
    norm = ConditionalInstanceNorm2d(4, 3)
    x = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(norm(x, torch.zeros(2, 3)), instance_norm(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_does_not_overflow(dtype):
    """Sums and squares are taken in float32: 300 ** 2 is beyond float16."""
    x = torch.randn(1, 2, 64, 64) * 300
    out = instance_norm(x.to(dtype))
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), instance_norm(x), atol=0.03, rtol=0.03)


def test_conditional_mix_is_a_matrix_at_each_pixel_and_starts_as_identity(features):
    mix = ConditionalMix(4, 3).double()
    embedding = torch.randn(2, 3, dtype=torch.float64)
    assert torch.equal(mix(features, embedding), features)
    torch.nn.init.normal_(mix.matrix.weight)
    matrix = torch.eye(4, dtype=torch.float64) + mix.matrix(embedding).view(2, 4, 4)
    expected = torch.einsum("bchw,bcd->bdhw", features, matrix)
    torch.testing.assert_close(mix(features, embedding), expected)
    channels_last = features.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(mix(channels_last, embedding), expected)


def test_a_mix_may_take_its_channels_from_elsewhere(features):
    mix = ConditionalMix(4, 3, inputs=2).double()
    embedding, other = torch.randn(2, 3, dtype=torch.float64), features[:, :2] ** 2
    assert torch.equal(mix(features, embedding, other), features)
    torch.nn.init.normal_(mix.matrix.weight)
    matrix = mix.matrix(embedding).view(2, 2, 4)
    expected = features + torch.einsum("bchw,bcd->bdhw", other, matrix)
    torch.testing.assert_close(mix(features, embedding, other), expected)


def test_colours_are_matched_and_flat_images_stay_flat():
    images = pictures(3, 3, 24, 32, dtype=torch.float32)
    match = ColourMatch()
    mean, std = match.statistics(0.2 + 0.5 * pictures(3, 3, 20, 20, dtype=torch.float32, seed=1))
    found_mean, found_std = match.statistics(match(images, mean, std))
    torch.testing.assert_close(found_mean, mean, atol=0.01, rtol=0)
    # the floor keeps a little back
    assert ((found_std / std > 0.9) & (found_std / std < 1.01)).all()
    flat = match(torch.full((3, 3, 16, 16), 0.4), mean, std)
    torch.testing.assert_close(match.statistics(flat)[0], mean)
    assert flat.std((2, 3)).max() < 1e-5
    noise = 0.5 + 0.004 * (images - 0.5)
    assert (match(noise, mean, std).std((2, 3)) < 4.2 * noise.std((2, 3))).all()


def test_opponent_statistics_of_known_colours():
    """Gray has lightness alone; red against blue is the second axis."""
    gray = torch.full((1, 3, 8, 8), 0.5)
    mean, std = ColourMatch().statistics(gray)
    torch.testing.assert_close(mean, torch.tensor([[0.5 * 3**0.5, 0, 0]]), atol=1e-6, rtol=0)
    assert std.max() < 1e-3  # the root of a rounding error
    red_blue = gray.clone()
    red_blue[:, 0, :4], red_blue[:, 2, :4] = 0.7, 0.3
    _, std = ColourMatch().statistics(red_blue)
    torch.testing.assert_close(std, torch.tensor([[0, 0.1 * 2**0.5, 0]]), atol=1e-3, rtol=0)


def test_colours_are_matched_in_float32_inside_autocast():
    """Mean square less squared mean: in bfloat16 nothing would be left of a faint colour."""
    match, images = ColourMatch(), 0.7 + 0.02 * pictures(2, 3, 16, 16, dtype=torch.float32)
    mean, std = match.statistics(images)
    with torch.autocast("cpu", torch.bfloat16):
        inside = match.statistics(images)
        torch.testing.assert_close(match(images, mean + 0.01, std), match(images, mean + 0.01, std))
    assert torch.equal(torch.cat(inside), torch.cat([mean, std]))


def test_half_precision_networks_keep_the_colour_axes():
    match, images = ColourMatch(), pictures(2, 3, 16, 16, dtype=torch.float32)
    mean, std = match.statistics(images)
    torch.testing.assert_close(torch.cat(match.half().statistics(images)), torch.cat([mean, std]))


@pytest.mark.parametrize(
    ("spread", "wanted", "gain"),
    [
        (0.02, 0.1, 0.1 / (0.02**2 + 0.05**2) ** 0.5),  # the floor: nearly flat, and stays so
        (0.1, 0.8, 4.0),  # the largest gain
    ],
)
def test_the_floor_and_the_largest_gain_of_colours(spread, wanted, gain):
    """Of lightness alone; its standard deviation is that of gray times the root of three."""
    ramp = torch.tensor([-1.0, 1.0]).repeat(1, 3, 16, 8) / 3**0.5
    mean, std = torch.tensor([[0.5 * 3**0.5, 0, 0]]), torch.tensor([[wanted, 0, 0]])
    matched = ColourMatch()(0.5 + spread * ramp, mean, std) - 0.5
    torch.testing.assert_close(matched, gain * spread * ramp, atol=1e-5, rtol=1e-4)
