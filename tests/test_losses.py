"""Losses and synthetic defects: what each one must notice, and what it must not."""

import numpy as np
import pytest
import torch

from styleaug import losses
from styleaug.train.data import draw_defects


def test_gram_of_known_features():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # two channels, two pixels
    expected = torch.tensor([[[2.5, 5.5], [5.5, 12.5]]])
    torch.testing.assert_close(losses.gram(features), expected)


def test_style_distance_is_zero_for_the_same_style_and_one_for_nothing():
    target = losses.gram(torch.rand(3, 4, 8, 8))
    typical = torch.tensor(0.0)
    torch.testing.assert_close(losses.style_distance(target, target, typical), torch.zeros(3))
    torch.testing.assert_close(
        losses.style_distance(torch.zeros_like(target), target, typical), torch.ones(3)
    )


def test_nearly_black_style_does_not_explode_the_style_distance():
    output = losses.gram(torch.rand(1, 4, 8, 8))
    black = torch.full_like(output, 1e-9)
    assert losses.style_distance(output, black, output.norm()).item() < 60


def test_saturate_keeps_small_distances_and_bounds_large_ones():
    values = losses.saturate(torch.tensor([0.01, 1e6]))
    assert values[0] == pytest.approx(0.01, rel=0.01)
    assert values[1] == pytest.approx(4.0, rel=0.01)


def test_content_distance_ignores_contrast_but_not_structure():
    content = torch.rand(1, 8, 16, 16)
    brighter = losses.content_distance(content * 3 + 5, content)
    other = losses.content_distance(torch.rand(1, 8, 16, 16), content)
    assert brighter < 0.1 * other


def test_total_variation_of_a_step_and_of_a_flat_image():
    image = torch.zeros(1, 1, 4, 4)
    assert losses.total_variation(image) == 0
    image[..., 2:] = 1
    assert losses.total_variation(image) == pytest.approx(1 / 3)


def surfaces(noise: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.5 + noise * torch.randn(8, 3, 64, 64, generator=generator)


def test_anomaly_loss_is_zero_for_kept_defects_and_one_for_erased_ones():
    delta, mask, ring = draw_defects(8, 64, np.random.default_rng(0))
    clean = surfaces(0.02)
    damaged = clean + delta
    assert losses.anomaly_loss(damaged, damaged, mask, ring) == 0
    assert losses.anomaly_loss(clean, damaged, mask, ring) > 0.8


def test_anomaly_loss_notices_texture_that_drowns_a_defect_of_unchanged_contrast():
    delta, mask, ring = draw_defects(8, 64, np.random.default_rng(0))
    damaged = surfaces(0.02) + delta
    assert losses.anomaly_loss(surfaces(0.2) + delta, damaged, mask, ring) > 0.3


def test_anomaly_loss_notices_a_defect_whose_polarity_turned():
    delta, mask, ring = draw_defects(8, 64, np.random.default_rng(0))
    clean = surfaces(0.02)
    assert losses.anomaly_loss(clean - delta, clean + delta, mask, ring) > 1


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
    delta, mask, ring = draw_defects(32, 64, np.random.default_rng(1))
    assert delta.shape == mask.shape == ring.shape == (32, 1, 64, 64)
    assert mask.flatten(1).any(1).all()
    assert ring.flatten(1).any(1).all()
    assert not (mask * ring).any()
    peak = delta.abs().amax((1, 2, 3))
    assert ((peak > 0.03) & (peak <= 0.35)).all()
    assert ((delta.abs() * ring).amax((1, 2, 3)) < 0.1 * peak).all()
