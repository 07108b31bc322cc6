"""Instance norms against their formulas, and what the variance floor is for."""

import pytest
import torch

from styleaug.nn.norm import (
    VARIANCE_FLOOR,
    ConditionalInstanceNorm2d,
    ConditionalMix,
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
