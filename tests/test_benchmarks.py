"""The measures that the benchmarks report, on inputs whose answer is known."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import fill_docs
import quality


def test_auc_of_separated_equal_and_reversed_values():
    low, high = torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0])
    assert quality._auc(high, low) == 1
    assert quality._auc(low, high) == 0
    assert quality._auc(low, low) == 0.5


@pytest.mark.parametrize("contrast", [0.3, -0.3])
def test_separability_of_a_visible_defect_is_one_and_of_an_absent_one_small(contrast):
    generator = torch.Generator().manual_seed(0)
    image = 0.5 + 0.02 * torch.randn(1, 3, 64, 64, generator=generator)
    inside = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    inside[..., 20:30, 20:30] = True
    ring = ~inside
    assert quality.separability(image, inside, ring) < 0.6
    defect = image + contrast * inside
    assert quality.separability(defect, inside, ring) == pytest.approx(1, abs=0.01)


def test_style_distance_is_zero_at_the_style_itself():
    features = {layer: torch.rand(2, 4, 8, 8) for layer in quality.STYLE_LAYERS}
    other = {layer: value * 2 for layer, value in features.items()}
    assert quality.style_distances(features, features).abs().max() == 0
    torch.testing.assert_close(quality.style_distances(other, features), torch.full((2,), 3.0))


def test_pages_without_results_keep_an_empty_block(monkeypatch, tmp_path):
    monkeypatch.setattr(fill_docs, "RESULTS", tmp_path)
    text = "a\n<!-- results: quality -->\nold\n<!-- /results -->\nb"
    assert fill_docs.fill(text) == "a\n<!-- results: quality -->\n<!-- /results -->\nb"
