"""The network as it is run: the function of the one that is trained, in fewer passes."""

import pytest
import torch

from helpers import TINY, distance, pictures
from styleaug import StylePack
from styleaug.networks import network_of, stylizer_of
from styleaug.nn.fused import FusedStyleNet
from styleaug.nn.noise import white_noise
from styleaug.nn.stylenet import StyleNetConfig

CPU = torch.device("cpu")


def randomized(config: StyleNetConfig) -> torch.nn.Module:
    """A network in which no layer that a style sets is at its start, where many are 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = config.build().requires_grad_(False)
        for name, value in net.named_parameters():
            if "matrix" in name or "affine" in name:
                value += 0.1 * torch.randn_like(value)
    return net


def given(config: StyleNetConfig, *shape: int) -> tuple[torch.Tensor, ...]:
    images = pictures(*shape, dtype=torch.float32)
    generator = torch.Generator().manual_seed(2)
    codes = torch.rand(shape[0], config.code_size, generator=generator)
    return images, codes, white_noise(torch.arange(shape[0]), 1, *shape[-2:])


@pytest.mark.parametrize("shape", [(1, 3, 32, 48), (3, 3, 32, 48), (2, 3, 33, 19), (1, 3, 16, 17)])
@pytest.mark.parametrize(
    "config",
    [
        TINY,
        StyleNetConfig(stem=4, width=12, blocks=3, embedding=6, style_residuals=2),
        StyleNetConfig(stem=4, width=8, blocks=0, embedding=5),
    ],
    ids=["two", "residuals", "no blocks"],
)
def test_it_is_the_function_of_the_network(config, shape):
    net = randomized(config)
    images, codes, noise = given(config, *shape)
    wanted = net(images, codes, noise)
    assert wanted.std() > 0.05
    found = FusedStyleNet(net).to(memory_format=torch.channels_last)(images, codes, noise)
    assert found.dtype == torch.float32
    assert distance(found, wanted) < 0.05


def test_half_precision_stays_near_float32():
    pack = StylePack.load("base")
    net = stylizer_of(pack, CPU, torch.float32).net
    images = pictures(2, 3, 64, 64, dtype=torch.float32)
    noise = white_noise(torch.arange(2), 1, 64, 64)
    half = FusedStyleNet(net).to(torch.bfloat16, memory_format=torch.channels_last)
    found = half(images, pack.codes[[3, 700]], noise)
    wanted = net(images, pack.codes[[3, 700]], noise)
    assert (found - wanted).abs().mean() * 255 < 2
    assert half.style_weight.dtype == torch.float32


def test_building_it_draws_nothing_and_changes_nothing():
    net = randomized(TINY)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    FusedStyleNet(net)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert network_of(StylePack.random(TINY), CPU).config == TINY
