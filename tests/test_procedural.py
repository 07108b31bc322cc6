import pytest
import torch

from styleaug.styles.procedural import FAMILIES, VERSION, draw_finish
from test_fake_cuda import FakeCuda


def luma(picture):
    return (picture * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0)


def test_there_are_many_families_sorted_by_name():
    assert len(FAMILIES) >= 24
    assert list(FAMILIES) == sorted(set(FAMILIES))
    assert all(name == name.lower() and name.replace("-", "").isalpha() for name in FAMILIES)
    assert VERSION >= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_draws_pictures(family):
    """Finite, in range, never a plain colour, each index another one."""
    pictures = [draw_finish(family, index, size=64) for index in range(4)]
    for picture in pictures:
        assert picture.shape == (3, 64, 64)
        assert picture.dtype == torch.float32
        assert picture.isfinite().all()
        assert picture.min() >= 0
        assert picture.max() <= 1
        assert luma(picture).std() >= 0.01
    assert not any(torch.equal(pictures[0], other) for other in pictures[1:])


@pytest.mark.parametrize("family", FAMILIES[::6])
def test_a_picture_depends_on_its_name_alone(family):
    """Not on torch's global random numbers, which stay as they are, nor on what came before."""
    before = torch.get_rng_state()
    first = draw_finish(family, 3, size=48)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    draw_finish(family, 4, size=48)
    assert torch.equal(draw_finish(family, 3, size=48), first)
    torch.set_rng_state(before)


def test_families_differ():
    """No two have the same mean colour and contrast, although they share palettes."""
    pictures = torch.stack([draw_finish(family, 0, size=64) for family in FAMILIES])
    statistics = torch.cat([pictures.mean((2, 3)), pictures.std((2, 3))], 1)
    apart = torch.cdist(statistics, statistics) + torch.eye(len(FAMILIES))
    assert apart.min() > 1e-3


def test_finishes_range_from_dark_to_bright_and_from_gray_to_colourful():
    pictures = torch.stack([draw_finish(family, 1, size=48) for family in FAMILIES])
    brightness = pictures.mean((1, 2, 3))
    colourfulness = (pictures.amax(1) - pictures.amin(1)).mean((1, 2))
    assert brightness.min() < 0.2
    assert brightness.max() > 0.6
    assert colourfulness.min() < 0.05
    assert colourfulness.max() > 0.25


@pytest.mark.parametrize("size", [32, 97])
@pytest.mark.parametrize("family", ["brushed", "galvanised", "pcb", "woven"])
def test_any_size_from_32_on_works(family, size):
    picture = draw_finish(family, 0, size=size)
    assert picture.shape == (3, size, size)
    assert picture.isfinite().all()


@pytest.mark.parametrize("family", FAMILIES[::5])
def test_the_picture_is_drawn_on_the_device_asked_for(family):
    """And nothing of it comes back to the host, where it would wait for the accelerator."""
    with FakeCuda():
        picture = draw_finish(family, 0, size=32, device="cuda")
    assert (picture.device.type, picture.shape) == ("cuda", (3, 32, 32))


@pytest.mark.cuda
@pytest.mark.parametrize("family", FAMILIES[::6])
def test_devices_agree(family):
    """Up to rounding, which moves an edge here and there."""
    apart = (draw_finish(family, 0, device="cuda").cpu() - draw_finish(family, 0)).abs()
    assert apart.mean() < 2e-3


def test_an_unknown_family_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match=r"must be one of .*brushed.*, but got 'marzipan'"):
        draw_finish("marzipan", 0)


def test_a_picture_too_small_for_its_features_is_refused():
    with pytest.raises(ValueError, match="32 pixels a side or more, but size is 31"):
        draw_finish("brushed", 0, size=31)
