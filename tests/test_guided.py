"""The guided filter: tone follows the image, whatever the network has drawn over it."""

import pytest
import torch

from helpers import pictures
from styleaug.images.color import luma
from styleaug.nn.guided import (
    GAIN,
    PLAIN_CONTRAST,
    TEXTURE_SHARE,
    bounded_texture,
    standing_out,
    tone_change,
    tone_map,
)


def changed(images, restyled):
    return tone_change(images, tone_map(images, restyled))


@pytest.mark.parametrize("size", [(16, 16), (17, 41), (64, 64)])
def test_an_unchanged_image_keeps_its_tone_exactly(size):
    images = pictures(2, 3, *size, dtype=torch.float32)
    assert changed(images, images).abs().max() == 0


@pytest.mark.parametrize("size", [(16, 16), (17, 41), (64, 50)])
def test_a_shift_of_colour_is_all_tone(size):
    images = pictures(2, 3, *size, dtype=torch.float32)
    shift = torch.tensor([0.1, -0.2, 0.3]).view(1, 3, 1, 1)
    torch.testing.assert_close(changed(images, images + shift), shift.expand_as(images))


def test_an_affine_map_of_luma_is_found_again():
    """What tone is made of. The regularization shrinks slopes a little; hence the strong edges."""
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    images = (((rows // 8 + columns // 8) % 2).float() * 0.8 + 0.1).expand(1, 3, 64, 64)
    wanted = 0.5 * luma(images).expand_as(images) - 0.1
    assert (changed(images, images + wanted) - wanted).abs().max() < 0.03


def test_texture_is_no_tone():
    """Stripes that are not in the image stay out of its tone."""
    images = torch.full((1, 3, 64, 64), 0.5)
    stripes = 0.2 * torch.sin(torch.arange(64) * torch.pi / 2).expand_as(images)
    assert changed(images, images + stripes).abs().max() < 0.03


@pytest.mark.parametrize("factor", [-20.0, -1.0, 0.0, 5.0, 50.0])
def test_local_contrast_keeps_within_its_bounds(factor):
    """Even if the network inverts, erases or explodes the image."""
    images = pictures(1, 3, 48, 48, dtype=torch.float32)
    a, _ = tone_map(images, 0.5 + factor * (images - 0.5))
    gain = 1 + luma(a)
    assert gain.min() >= GAIN[0] - 1e-5
    assert gain.max() <= GAIN[1] + 1e-5


def test_a_faint_scratch_is_kept_when_the_network_erases_it():
    images = torch.full((1, 3, 64, 64), 0.5)
    images[:, :, 32, 8:56] = 0.55
    out = images + changed(images, torch.full_like(images, 0.3))
    before = images[0, 0, 32, 20:44] - images[0, 0, 28, 20:44]
    after = out[0, 0, 32, 20:44] - out[0, 0, 28, 20:44]
    assert (after > 0.5 * before).all()


def test_the_maps_lift_to_a_larger_image():
    """Fitted on a small copy, they give the large image what they gave the small one."""
    large = pictures(1, 3, 128, 160, dtype=torch.float32)
    small = torch.nn.functional.interpolate(large, size=(64, 80), mode="area")
    maps = tone_map(small, 0.6 * small + 0.3)
    lifted = torch.nn.functional.interpolate(tone_change(large, maps), size=(64, 80), mode="area")
    assert tone_change(large, maps).shape == large.shape
    torch.testing.assert_close(lifted, tone_change(small, maps), atol=0.02, rtol=0)


def test_maps_may_be_used_again():
    images = pictures(1, 3, 32, 32, dtype=torch.float32)
    maps = tone_map(images, 1 - images)
    first = tone_change(images, maps)
    torch.testing.assert_close(tone_change(images, maps), first, atol=0, rtol=0)


def test_images_do_not_mix():
    images = pictures(3, 3, 32, 32, dtype=torch.float32)
    restyled = 1 - images.flip(-1)
    alone = torch.cat([changed(images[i : i + 1], restyled[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(changed(images, restyled), alone, atol=1e-6, rtol=0)


def scratched(contrast: float) -> torch.Tensor:
    image = torch.full((1, 3, 64, 64), 0.5)
    image[..., 28:32, :] += contrast
    return image


def noise(spread: float, count: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return spread * torch.randn(count, 1, 64, 64, generator=generator).expand(-1, 3, -1, -1)


def test_texture_keeps_below_a_share_of_what_stands_out():
    for contrast in (0.3, -0.3):
        out = bounded_texture(scratched(contrast), noise(0.3))
        assert luma(out).std().item() == pytest.approx(TEXTURE_SHARE * 0.3, rel=0.02)
    faint = noise(0.01)
    assert torch.equal(bounded_texture(scratched(0.3), faint), faint)


def drawn_part(shape: str) -> torch.Tensor:
    """A bright part before a dark background, 128 pixels a side."""
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    inside = {
        "rectangle": (x > 20) & (x < 108) & (y > 30) & (y < 98),
        "disc": (x - 64).hypot(y - 64) < 48,
        "turned": ((x - 64).abs() + (y - 64).abs()) < 56,
    }[shape]
    return torch.where(inside, 0.7, 0.05).expand(1, 3, -1, -1).contiguous()


@pytest.mark.parametrize("shape", ["rectangle", "disc", "turned"])
def test_the_outline_of_a_part_does_not_count_as_a_defect(shape):
    """Its contrast of 0.65 would allow a texture that drowns a scratch of 0.15."""
    part, texture = drawn_part(shape), 0.3 * torch.rand(1, 3, 128, 128)
    plain = luma(bounded_texture(part, texture)).std().item()
    assert plain < 1.5 * TEXTURE_SHARE * PLAIN_CONTRAST
    part[..., 62:66, 50:80] -= 0.15
    scratch = luma(bounded_texture(part, texture)).std().item()
    assert scratch <= max(plain, 1.02 * TEXTURE_SHARE * 0.15)


@pytest.mark.parametrize("turn", [False, True])
def test_scratches_and_spots_stand_out(turn):
    values = torch.zeros(2, 1, 24, 30)
    values[0, 0, 11, 4:25] = 0.2  # a scratch
    values[1, 0, 10:12, 10:12] = -0.4  # a spot
    values = values.mT if turn else values
    found = standing_out(values)
    torch.testing.assert_close(found.amax((1, 2, 3)), torch.tensor([0.2, 0.4]))
    assert ((found > 0) <= (values != 0)).all()


def test_plain_images_get_texture_too():
    """As if they held a contrast of PLAIN_CONTRAST: to have no texture would tell on them."""
    out = bounded_texture(scratched(0), noise(0.3))
    expected = TEXTURE_SHARE * PLAIN_CONTRAST
    assert luma(out).std().item() == pytest.approx(expected, rel=0.01)


def test_no_texture_stays_none_and_each_image_has_its_own_bound():
    assert not bounded_texture(scratched(0), torch.zeros(1, 3, 64, 64)).any()
    images = torch.cat([scratched(0), scratched(0.4)])
    together = bounded_texture(images, noise(0.3, 2))
    alone = [bounded_texture(images[i : i + 1], noise(0.3, 2)[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert together[1].std() > 2 * together[0].std()
