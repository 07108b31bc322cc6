"""White noise: normal, flat, never repeated, and a function of seed and place alone."""

import pytest
import torch

from styleaug.nn.noise import SEEDS, white_noise


def noise(*seeds, channels=1, height=256, width=256):
    return white_noise(torch.tensor(seeds), channels, height, width)


def correlations(a, b):
    """Of two fields (H, W), b shifted against a by each (rows, columns), around the edges."""
    spectrum = torch.fft.fft2(a.double()) * torch.fft.fft2(b.double()).conj()
    return torch.fft.ifft2(spectrum).real / a.numel()


def test_it_is_normal():
    field = noise(3, 4, height=512, width=512).double()
    assert field.mean().item() == pytest.approx(0, abs=0.005)
    assert field.var().item() == pytest.approx(1, abs=0.01)
    assert (field**3).mean().item() == pytest.approx(0, abs=0.02)
    assert (field**4).mean().item() == pytest.approx(3, abs=0.05)
    assert 4 < field.abs().max() < 4.4
    levels = torch.tensor([-2.0, -1, 0, 1, 2])
    shares = (field.flatten()[:, None] < levels).double().mean(0)
    expected = torch.special.ndtr(levels.double())
    torch.testing.assert_close(shares, expected, atol=0.003, rtol=0)


@pytest.mark.parametrize("size", [(64, 1024), (1024, 64), (37, 1023), (256, 256)], ids=str)
def test_it_never_repeats(size):
    """Nor is any shift alike; a field that is tiled has a correlation of 1 at the tile's size."""
    height, width = size
    found = correlations(*2 * [noise(11, height=height, width=width)[0, 0]])
    assert found[0, 0].item() == pytest.approx(1, abs=0.05)
    found[0, 0] = 0
    # the largest of so many normal numbers lies below 5.5 deviations
    assert found.abs().max() < 5.5 / (height * width) ** 0.5


def test_channels_are_independent_at_any_shift():
    red, green, blue = noise(5, channels=3)[0]
    for a, b in ((red, green), (red, blue), (green, blue)):
        assert correlations(a, b).abs().max() < 5.5 / 256


@pytest.mark.parametrize("seeds", [(0, 1), (1, 2), (7, 2**30 + 7), (SEEDS - 2, SEEDS - 1), (4, 8)])
def test_seeds_are_independent_at_any_shift(seeds):
    a, b = noise(*seeds)[:, 0]
    assert correlations(a, b).abs().max() < 5.5 / 256
    assert correlations(a, b.flip(-1)).abs().max() < 5.5 / 256


def test_squares_of_neighbours_are_independent_too():
    """Noise may be uncorrelated, and still loud in places."""
    field = noise(9, height=512, width=512)[0, 0].square()
    found = correlations(*2 * [(field - field.mean()) / field.std()])
    found[0, 0] = 0
    assert found.abs().max() < 5.5 / 512


def test_its_spectrum_is_flat():
    """In all directions and at all frequencies: no rows, no grid."""
    power = torch.fft.fft2(noise(*range(16))[:, 0].double()).abs().square().mean(0) / 256**2
    power[0, 0] = 1  # the mean
    for part in (power.mean(0), power.mean(1)):  # 256 * 16 exponential numbers in each mean
        assert (part - 1).abs().max() < 5 / (256 * 16) ** 0.5
    assert power.max() < 6  # 16 in each mean: 4.2 in most fields


def test_bits_are_even():
    """Each of the two values in a hash uses all of its 16 bits."""
    bits = (torch.special.ndtr(noise(21).double()) * 2**16).long()
    for half in (bits.flatten()[::2], bits.flatten()[1::2]):
        ones = (half[:, None] >> torch.arange(16)) & 1
        assert (ones.double().mean(0) - 0.5).abs().max() < 0.015


def test_a_batch_is_its_fields_one_by_one():
    together = noise(4, 2, 4, channels=3, height=17, width=11)
    alone = [noise(seed, channels=3, height=17, width=11) for seed in (4, 2, 4)]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(together[0], together[2])
    assert not torch.equal(together[0], together[1])


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 1), (1, 5, 7), (3, 17, 11), (2, 4, 4)])
@pytest.mark.parametrize("count", [1, 3])
def test_any_size_and_odd_counts(shape, count):
    field = white_noise(torch.arange(count), *shape)
    assert field.shape == (count, *shape)
    assert field.dtype == torch.float32
    assert field.isfinite().all()
    assert field.is_contiguous()


def test_no_seeds_are_no_trouble():
    assert white_noise(torch.arange(0), 3, 17, 11).shape == (0, 3, 17, 11)


def test_a_field_is_the_same_in_every_run():
    """A plan that is kept shows the same noise with the next version: these values are fixed."""
    found = noise(0, 1, SEEDS - 1, height=1, width=3)[:, 0, 0]
    fixed = [[0.0, 0.0, 0.5683], [-1.2708, 1.1519, -0.4892], [1.9121, 0.9372, 0.0147]]
    torch.testing.assert_close(found, torch.tensor(fixed), atol=1e-4, rtol=0)


def test_seeds_stay_as_they_are():
    seeds = torch.arange(4)
    white_noise(seeds, 1, 8, 8)
    assert torch.equal(seeds, torch.arange(4))


@pytest.mark.parametrize("default", [torch.float64, torch.float16, "meta"], ids=str)
def test_torchs_defaults_do_not_matter(default):
    expected = noise(1, 2, height=8, width=9)
    seeds = torch.tensor([1, 2])
    try:
        if default == "meta":
            torch.set_default_device(default)
        else:
            torch.set_default_dtype(default)
        found = white_noise(seeds, 1, 8, 9)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found, expected)


def test_all_seeds_of_a_sample_give_fields_of_their_own():
    """Ten thousand seeds: no two begin alike."""
    seeds = torch.randint(SEEDS, (10_000,), generator=torch.Generator().manual_seed(0))
    starts = white_noise(seeds.unique(), 1, 1, 4)[:, 0, 0]
    assert len(starts.unique(dim=0)) == len(seeds.unique())


@pytest.mark.cuda
def test_cuda_gives_what_the_cpu_gives():
    seeds = torch.tensor([0, 5, SEEDS - 1])
    expected = white_noise(seeds, 3, 33, 65)
    torch.testing.assert_close(white_noise(seeds.cuda(), 3, 33, 65).cpu(), expected)
