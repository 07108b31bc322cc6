"""The networks: any size, quiet on flat images, and every part of the style code counts."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers import TINY, pictures
from styleaug.nn.encoder import Stylizer
from styleaug.nn.noise import white_noise
from styleaug.nn.norm import ColourMatch, adain
from styleaug.nn.stylenet import REFERENCE, StyleNetConfig, without_lattice

TINY_REFERENCE = StyleNetConfig(arch="reference", width=16, blocks=1, embedding=8)
BOTH = pytest.mark.parametrize("config", [TINY, TINY_REFERENCE], ids=["stylenet", "reference"])


def build(config, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return config.build().eval().requires_grad_(False)


def codes(config, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    code = torch.randn(count, config.code_size, generator=generator)
    code[:, config.embedding :].abs_()
    if config.arch == "stylenet":
        colours = pictures(count, 3, 16, 16, dtype=torch.float32, seed=seed)
        code[:, -6:] = torch.cat(ColourMatch().statistics(colours), dim=1)
    return code


@BOTH
@pytest.mark.parametrize("size", [(16, 16), (17, 41), (19, 18), (33, 16), (64, 51)])
def test_any_size_comes_back_within_zero_and_one(config, size):
    out = build(config)(pictures(2, 3, *size, dtype=torch.float32), codes(config, 2))
    assert out.shape == (2, 3, *size)
    assert out.min() >= 0
    assert out.max() <= 1
    assert out.std() > 0.01  # a picture, not one colour


@BOTH
def test_each_image_is_styled_by_its_own_code_alone(config):
    network, images = build(config), pictures(3, 3, 24, 28, dtype=torch.float32)
    code = codes(config, 3)
    alone = torch.cat([network(images[i : i + 1], code[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(network(images, code), alone, atol=1e-5, rtol=0)
    assert (network(images, code.flip(0)) - alone)[0].abs().max() > 1e-3


@pytest.mark.parametrize(
    ("part", "first", "last"),
    [
        ("embedding", 0, 8),
        ("bottleneck mean", 8, 24),
        ("bottleneck std", 24, 40),
        ("mean colour", 40, 43),
        ("colour std", 43, 46),
    ],
)
def test_every_part_of_the_style_code_changes_the_picture(part, first, last):
    network, images, code = build(TINY), pictures(1, 3, 32, 32, dtype=torch.float32), codes(TINY, 1)
    other = code.clone()
    other[:, first:last] += 0.3
    assert (network(images, code) - network(images, other)).abs().max() > 1e-3, part


def test_code_size_counts_embedding_bottleneck_and_colours():
    assert TINY.code_size == 8 + 2 * 16 + 2 * 3
    assert TINY_REFERENCE.code_size == 8
    assert replace(TINY, style_residuals=3).code_size == TINY.code_size + 3


@BOTH
def test_style_residuals_change_the_images_of_their_styles_alone(config):
    stylizer = Stylizer(config)
    count = sum(layer.out_features for layer in stylizer.style_layers().values())
    generator = torch.Generator().manual_seed(0)
    grown = stylizer.with_style_residuals(0.3 * torch.randn(2, count, generator=generator))
    images, code = pictures(3, 3, 32, 32, dtype=torch.float32), codes(config, 3)
    noise = torch.zeros(3, 1, 32, 32)
    shares = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    with torch.no_grad():
        before = stylizer.net(images, code, noise)
        after = grown.net(images, torch.cat([code, shares], dim=1), noise)
    assert torch.equal(before[0], after[0])
    assert (before[1:] - after[1:]).abs().mean((1, 2, 3)).min() > 1e-3
    twice = grown.with_style_residuals(torch.ones(1, count))
    assert twice.net.config.style_residuals == 3
    for layer, grown_layer in zip(
        grown.style_layers().values(), twice.style_layers().values(), strict=True
    ):
        assert torch.equal(grown_layer.style_residuals[:, :2], layer.style_residuals)
        assert (grown_layer.style_residuals[:, 2] == 1).all()


@BOTH
def test_statistics_fill_the_code(config):
    images = pictures(2, 3, 21, 34, dtype=torch.float32)
    statistics = build(config).statistics(images)
    assert statistics.shape == (2, config.code_size - config.embedding)
    assert statistics.dtype == torch.float32


def test_an_images_own_statistics_make_adain_the_identity():
    """The code's std includes the floor, so that adain undoes its own normalization exactly."""
    network, images = build(TINY), pictures(1, 3, 32, 32, dtype=torch.float32)
    _, features = network.encode(images)
    mean, std = network.statistics(images)[:, :-6].chunk(2, dim=1)
    torch.testing.assert_close(adain(features, mean, std, TINY.floor), features)


def test_noise_on_a_flat_surface_is_not_blown_up():
    """What the variance floor is for: with 1e-5 in its place the same network shouts."""
    noise = 0.01 * torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    spread = {}
    for floor in (TINY.floor, 1e-5):
        config = replace(TINY, floor=floor)
        out = build(config)(0.5 + noise, codes(config, 4))
        spread[floor] = out.std((2, 3)).mean().item()
    assert spread[TINY.floor] < 0.03
    assert spread[1e-5] > 3 * spread[TINY.floor]


def test_the_floor_of_the_config_reaches_every_norm(monkeypatch):
    floors = []
    group_norm = nn.functional.group_norm

    def watched(x, groups, eps):
        floors.append(eps)
        return group_norm(x, groups, eps=eps)

    monkeypatch.setattr("styleaug.nn.norm.F.group_norm", watched)
    for config in (TINY, TINY_REFERENCE):
        config = replace(config, floor=0.3)
        build(config)(pictures(1, 3, 16, 16, dtype=torch.float32), codes(config, 1))
    assert floors == [0.3] * (5 + 8)


@BOTH
def test_a_flat_image_stays_flat(config):
    out = build(config)(torch.full((1, 3, 32, 32), 0.4), codes(config, 1))
    assert out.std((2, 3)).max() < 1e-4


def test_upsampling_starts_without_a_checkerboard():
    """ICNR: before training, the four sub-pixels of a cell are alike."""
    network = build(TINY)
    out = network(pictures(1, 3, 32, 32, dtype=torch.float32), codes(TINY, 1))
    cells = out.unfold(2, 2, 2).unfold(3, 2, 2)
    assert (cells.amax((-1, -2)) - cells.amin((-1, -2))).max() < 1e-5


def test_work_per_image():
    """The yardstick has the 10 GMAC of earlier packages, ours at most one."""
    work = {}
    for config in (StyleNetConfig(), REFERENCE):
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            config.build()(torch.empty(1, 3, 256, 256), torch.empty(1, config.code_size))
        work[config.arch] = counter.get_total_flops() / 2e9
    assert work["reference"] == pytest.approx(10.1, abs=0.3)
    assert work["stylenet"] <= 1.0


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ValueError, match=r"arch must be one of .*stylenet.*got 'transformer'"):
        StyleNetConfig(arch="transformer").build()


def test_a_config_survives_json():
    config = StyleNetConfig(stem=8, floor=0.2)
    assert StyleNetConfig(**json.loads(json.dumps(asdict(config)))) == config


def test_what_repeats_every_four_pixels_is_taken_out_and_nothing_else():
    images = pictures(2, 3, 96, 128, dtype=torch.float32)
    lattice = torch.rand(2, 3, 4, 4).tile(1, 1, 24, 32)
    lattice = lattice - lattice.mean((2, 3), keepdim=True)
    clean = without_lattice(images)
    torch.testing.assert_close(without_lattice(images + lattice), clean)
    torch.testing.assert_close(clean.mean((2, 3)), images.mean((2, 3)))
    assert (clean - images).abs().mean() < 0.05 * images.std()
    assert without_lattice(0.5 + lattice).std((2, 3)).max() < 1e-6


def test_a_network_with_a_lattice_leaves_flat_images_flat():
    network = build(TINY)
    torch.nn.init.normal_(network.out.weight)
    torch.nn.init.normal_(network.up.weight)
    out = network(torch.full((1, 3, 32, 32), 0.4), codes(TINY, 1))
    assert out.std((2, 3)).max() < 1e-4


def with_noise(network):
    """The network as training may leave it: it uses its noise."""
    torch.nn.init.normal_(network.coarse_grain.matrix.bias, std=0.1)
    torch.nn.init.normal_(network.fine_grain.matrix.bias, std=0.1)
    return network


@pytest.mark.parametrize("only", ["coarse_grain", "fine_grain"])
def test_noise_at_both_resolutions_gives_a_smooth_surface_texture(only):
    network, flat, code = build(TINY), torch.full((1, 3, 32, 40), 0.4), codes(TINY, 1)
    noise = white_noise(torch.tensor([3]), 1, 32, 40)
    assert network(flat, code, noise).std((2, 3)).max() < 1e-4  # before training, none
    torch.nn.init.normal_(getattr(network, only).matrix.bias, std=0.1)
    assert network(flat, code, noise).std((2, 3)).max() > 1e-3
    assert network(flat, code).std((2, 3)).max() < 1e-4


@pytest.mark.parametrize("size", [(16, 16), (17, 41), (19, 18)])
def test_any_size_takes_noise(size):
    network, code = with_noise(build(TINY)), codes(TINY, 2)
    images = pictures(2, 3, *size, dtype=torch.float32)
    noise = white_noise(torch.arange(2), 1, *size)
    out = network(images, code, noise)
    assert out.shape == images.shape
    alone = network(images[1:], code[1:], noise[1:])
    torch.testing.assert_close(out[1:], alone, atol=1e-5, rtol=0)


def test_a_copy_with_residuals_shares_no_weights():
    """Else whoever trains the copy would change the network that a cache gives to others."""
    stylizer = Stylizer(TINY)
    count = sum(layer.out_features for layer in stylizer.style_layers().values())
    copy = stylizer.with_style_residuals(torch.zeros(1, count))
    before = {name: value.clone() for name, value in stylizer.state_dict().items()}
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.add_(1)
    assert all(torch.equal(before[name], v) for name, v in stylizer.state_dict().items())
