"""Style statistics and the encoder that turns them into embeddings."""

import pytest
import torch

from helpers import TINY, pictures
from styleaug.nn.encoder import ENCODER_LAYERS, StyleEncoder, Stylizer, style_statistics
from styleaug.nn.features import cached_features
from styleaug.nn.noise import white_noise

CHANNELS = dict(zip(ENCODER_LAYERS, (64, 128, 256, 512), strict=True))


@pytest.fixture
def stylizer():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Stylizer(TINY).eval().requires_grad_(False)


def test_statistics_are_logarithms_of_mean_and_std_layer_by_layer():
    found = {name: torch.rand(2, c, 4, 6) * (i + 1) for i, (name, c) in enumerate(CHANNELS.items())}
    parts = []
    for name in ENCODER_LAYERS:
        parts += [found[name].mean((2, 3)), found[name].std((2, 3), correction=0)]
    expected = torch.log(1 + torch.cat(parts, 1))
    torch.testing.assert_close(style_statistics(found), expected)
    assert expected.shape == (2, 1920)


def test_the_encoder_standardizes_by_its_training_styles():
    """Channels that hardly vary are not blown up: 0.1 is added to each standard deviation."""
    scale = torch.logspace(-4, 2, 1920)
    statistics = torch.rand(50, 1920, generator=torch.Generator().manual_seed(0)) * scale
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = StyleEncoder(8).eval().requires_grad_(False)
    encoder.fit_standardization(statistics)
    z = (statistics - statistics.mean(0)) / (statistics.std(0, correction=0) + 0.1)
    torch.testing.assert_close(
        encoder(statistics), encoder.norm(encoder.shallow(z) + encoder.deep(z))
    )
    assert encoder(statistics).std(0).min() > 0.05  # styles differ


def test_noise_disturbs_the_embedding(stylizer):
    statistics = torch.rand(2, 1920)
    plain = stylizer.encoder(statistics)
    torch.testing.assert_close(stylizer.encoder(statistics, torch.zeros(2, 1920)), plain)
    assert (stylizer.encoder(statistics, torch.ones(2, 1920)) - plain).abs().max() > 1e-3


def test_a_code_is_embedding_then_statistics(stylizer):
    images, statistics = pictures(2, 3, 32, 40, dtype=torch.float32), torch.rand(2, 1920)
    code = stylizer.codes(statistics, images)
    torch.testing.assert_close(code[:, :8], stylizer.encoder(statistics))
    torch.testing.assert_close(code[:, 8:], stylizer.net.statistics(images))


def test_encoding_reads_the_statistics_of_the_pictures(stylizer):
    trunk = cached_features("vgg16", torch.device("cpu"), torch.float32)
    images = pictures(2, 3, 32, 32, dtype=torch.float32)
    expected = stylizer.codes(style_statistics(trunk(images, ENCODER_LAYERS)), images)
    torch.testing.assert_close(stylizer.encode(images, trunk), expected)
    assert (expected[0] - expected[1]).abs().max() > 1e-4
    assert (expected - stylizer.encode(1 - images, trunk)).abs().max() > 1e-2


def test_training_stacks_parts_of_content_under_the_same_styles(stylizer):
    """``content`` (B * k): part after part, each under styles 1 ... B."""
    content = pictures(4, 3, 16, 16, dtype=torch.float32)
    statistics, styles = torch.rand(2, 1920), pictures(2, 3, 32, 32, dtype=torch.float32, seed=1)
    noise, seeds = torch.zeros(2, 1920), torch.arange(4)
    code = stylizer.codes(statistics, styles)
    expected = stylizer.net(content, torch.cat([code, code]), white_noise(seeds, 1, 16, 16))
    torch.testing.assert_close(stylizer(content, statistics, styles, noise, seeds), expected)
