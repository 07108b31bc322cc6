"""Losses and synthetic defects: what each one must notice, and what it must not."""

import numpy as np
import pytest
import torch

from styleaug.nn.perceptual import content_distance, gram, style_distance
from styleaug.train import losses
from styleaug.train.data import draw_defects, draw_surfaces


def test_gram_of_known_features():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # two channels, two pixels
    expected = torch.tensor([[[2.5, 5.5], [5.5, 12.5]]])
    torch.testing.assert_close(gram(features), expected)


def test_style_distance_is_zero_for_the_same_style_and_one_for_nothing():
    target = gram(torch.rand(3, 4, 8, 8))
    typical = torch.tensor(0.0)
    torch.testing.assert_close(style_distance(target, target, typical), torch.zeros(3))
    torch.testing.assert_close(
        style_distance(torch.zeros_like(target), target, typical), torch.ones(3)
    )


def test_nearly_black_style_does_not_explode_the_style_distance():
    output = gram(torch.rand(1, 4, 8, 8))
    black = torch.full_like(output, 1e-9)
    assert style_distance(output, black, output.norm()).item() < 60


def test_saturate_keeps_small_distances_and_bounds_large_ones():
    values = losses.saturate(torch.tensor([0.01, 1e6]))
    assert values[0] == pytest.approx(0.01, rel=0.01)
    assert values[1] == pytest.approx(4.0, rel=0.01)


def test_content_distance_ignores_contrast_but_not_structure():
    content = torch.rand(1, 8, 16, 16)
    brighter = content_distance(content * 3 + 5, content)
    other = content_distance(torch.rand(1, 8, 16, 16), content)
    assert brighter < 0.1 * other


def test_total_variation_of_a_step_and_of_a_flat_image():
    image = torch.zeros(1, 1, 4, 4)
    assert losses.total_variation(image) == 0
    image[..., 2:] = 1
    assert losses.total_variation(image) == pytest.approx(1 / 3)


def surfaces(noise: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.5 + noise * torch.randn(8, 3, 64, 64, generator=generator)


def test_defect_contrast_loss_is_zero_for_kept_defects_and_one_for_erased_ones():
    delta, mask, ring = draw_defects(8, 64, np.random.default_rng(0), each=1)
    clean = surfaces(0.02)
    damaged = clean + delta
    assert losses.defect_contrast_loss(damaged, damaged, mask, ring) == 0
    assert losses.defect_contrast_loss(clean, damaged, mask, ring) > 0.8


def test_defect_contrast_loss_notices_texture_that_drowns_a_defect_of_unchanged_contrast():
    delta, mask, ring = draw_defects(8, 64, np.random.default_rng(0))
    damaged = surfaces(0.02) + delta
    assert losses.defect_contrast_loss(surfaces(0.2) + delta, damaged, mask, ring) > 0.3


def test_defect_contrast_loss_notices_a_defect_whose_polarity_turned():
    delta, mask, ring = draw_defects(8, 64, np.random.default_rng(0), each=1)
    clean = surfaces(0.02)
    assert losses.defect_contrast_loss(clean - delta, clean + delta, mask, ring) > 0.9


def patch(side: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Mask and ring of a square defect in the middle: (1, 1, side, side)."""
    mask, near = torch.zeros(1, 1, side, side), torch.zeros(1, 1, side, side)
    mask[..., 24:40, 24:40] = 1
    near[..., 16:48, 16:48] = 1
    return mask, near - mask


def test_defect_contrast_loss_notices_a_rough_patch_that_is_smoothed():
    """A patch that is neither darker nor brighter, but rougher, is a defect by its local energy."""
    mask, ring = patch()
    noise = surfaces(1.0)[:1] - 0.5
    rough = 0.5 + noise * (0.01 + 0.1 * mask)
    assert losses.defect_contrast_loss(rough, rough, mask, ring) == 0
    assert losses.defect_contrast_loss(0.5 + noise * 0.05, rough, mask, ring) > 0.8


def test_a_defect_without_surroundings_does_not_count():
    """Where neighbours cover all of its ring, nothing tells what it stands out of."""
    mask, ring = patch()
    images = surfaces(0.02)[:1] + 0.2 * mask
    assert losses.defect_contrast_loss(surfaces(0.02)[:1], images, mask, 0 * ring) == 0


def test_defect_contrast_is_the_distance_of_the_means_in_deviations_of_the_ring():
    mask, ring = patch()
    values = 0.5 + 0.3 * mask
    values[..., ::2] += 0.04 * ring[..., ::2]  # half of the ring: mean 0.02, deviation 0.02
    expected = (0.3 - 0.02) / (0.02**2 + 0.05**2) ** 0.5
    found = losses.defect_contrast(values, mask, ring, noise=0.05)
    assert found.shape == (1, 1)
    assert found.item() == pytest.approx(expected, rel=1e-3)


def test_hallucination_is_what_lies_beyond_the_noise_of_the_surface():
    """In units of ten levels; the neighbourhood of defects does not count."""
    mask, _ = patch()
    flat, noise = torch.full((1, 3, 64, 64), 0.5), surfaces(1.0)[:1, :1] - 0.5
    assert losses.hallucination_loss(flat, flat, mask) == 0
    assert losses.hallucination_loss(flat + 0.3 * mask, flat + 0.3 * mask, mask) == 0
    assert losses.hallucination_loss(0.5 + 0.02 * noise, 0.5 + 0.01 * noise, mask) == 0
    lattice = flat.clone()
    lattice[..., ::2] += 0.2
    # deviation 0.1, of which the mean over nine pixels takes a ninth; six levels are free
    expected = 0.1 * 25.5 * 8 / 9 - 0.6
    assert losses.hallucination_loss(lattice, flat, mask).item() == pytest.approx(
        expected, abs=0.05
    )


def test_tonal_distance_notices_inversion_but_no_change_of_contrast_or_fine_texture():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(4, 3, 8, 8, generator=generator)
    content = torch.nn.functional.interpolate(coarse, scale_factor=8.0)
    fine = 0.2 * torch.rand(content.shape, generator=generator)
    assert losses.tonal_distance(0.3 * content + 0.5 + fine, content) < 0.05
    assert losses.tonal_distance(1 - content, content) > 1.5
    flat = torch.full_like(content, 0.5)
    assert losses.tonal_distance(content, flat) == 0


def test_synthetic_defects_lie_in_their_mask_and_stay_out_of_their_ring():
    delta, mask, ring = draw_defects(64, 64, np.random.default_rng(1), each=1)
    assert delta.shape == mask.shape == ring.shape == (64, 1, 64, 64)
    assert mask.flatten(1).any(1).all()
    assert ring.flatten(1).any(1).all()
    assert not (mask * ring).any()
    peak = delta.abs().amax((1, 2, 3))
    assert ((peak > 0.02) & (peak <= 0.41)).all()
    assert ((delta.abs() * ring).amax((1, 2, 3)) < 0.1 * peak).all()


def test_rings_keep_clear_of_all_defects_of_their_image():
    _, mask, ring = draw_defects(16, 64, np.random.default_rng(2), each=3)
    assert mask.shape == ring.shape == (16, 3, 64, 64)
    assert not (mask.amax(1, keepdim=True) * ring).any()


def test_surfaces_are_smooth_and_half_of_them_carry_no_noise():
    drawn = draw_surfaces(64, 48, np.random.default_rng(0))
    assert drawn.shape == (64, 3, 48, 48)
    assert drawn.dtype == torch.uint8
    gray = drawn.float().mean(1)
    step = gray.diff(dim=-1).abs().amax((1, 2))
    assert 0.3 < (step <= 2.01).float().mean() < 0.7
    assert gray.std((1, 2)).max() < 60
    assert gray.mean((1, 2)).std() > 40
