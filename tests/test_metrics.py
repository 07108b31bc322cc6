"""Scores against other implementations, and by hand where they are few."""

import numpy as np
import pytest
import torch

from styleaug.evaluate.metrics import METRICS, metric

torchmetrics = pytest.importorskip("torchmetrics")


def score(name, outputs, targets):
    chosen = metric(name)
    return chosen.score(chosen.rows(outputs, targets))


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("classes", [2, 5])
def test_balanced_accuracy_is_the_mean_recall(rng, classes):
    logits = torch.randn(200, classes, generator=rng)
    labels = torch.randint(classes, (200,), generator=rng)
    expected = torchmetrics.functional.accuracy(
        logits, labels, task="multiclass", num_classes=classes, average="macro"
    )
    assert score("balanced accuracy", logits, labels) == pytest.approx(float(expected), abs=1e-6)


def test_classes_that_do_not_occur_do_not_count():
    logits = torch.eye(3)[[0, 0, 1]]
    assert score("balanced accuracy", logits, torch.tensor([0, 0, 0])) == pytest.approx(2 / 3)


@pytest.mark.parametrize("classes", [2, 4])
def test_auroc(rng, classes):
    labels = torch.randint(classes, (150,), generator=rng)
    logits = torch.randn(150, classes, generator=rng) + torch.eye(classes)[labels]
    expected = torchmetrics.functional.auroc(
        logits.softmax(1), labels, task="multiclass", num_classes=classes
    )
    # one against the rest on probabilities; with logits of two classes, their margin
    found = score("AUROC", logits.softmax(1), labels)
    assert found == pytest.approx(float(expected), abs=1e-5)


def test_auroc_of_one_class_is_undefined():
    assert np.isnan(score("AUROC", torch.rand(4, 2), torch.zeros(4)))


def masks(rng, count=6, size=40):
    wanted = torch.zeros(count, size, size)
    for i in range(count - 1):  # the last one marks nothing
        wanted[i, 3 * i : 3 * i + 8, 5:15] = 1
        wanted[i, 30:33, 20 : 24 + i] = 1
    noise = torch.rand(count, size, size, generator=rng)
    return (0.45 * wanted + 0.55 * noise).clamp(0, 0.999), wanted


@pytest.mark.parametrize("channel", [False, True])
def test_iou_of_all_pixels(rng, channel):
    found, wanted = masks(rng)
    outputs = found[:, None] if channel else found
    expected = torchmetrics.functional.jaccard_index(found, wanted.int(), task="binary")
    assert score("IoU", outputs, wanted) == pytest.approx(float(expected), abs=1e-6)


def test_iou_of_nothing_found_where_nothing_is():
    assert score("IoU", torch.zeros(2, 8, 8), torch.zeros(2, 8, 8)) == 1


def test_pixel_ap(rng):
    found, wanted = masks(rng)
    expected = torchmetrics.functional.average_precision(
        found.flatten(), wanted.flatten().int(), task="binary"
    )
    assert score("pixel AP", found, wanted) == pytest.approx(float(expected), abs=0.01)


@pytest.mark.parametrize("name", ["pixel AP", "AU-PRO"])
def test_nothing_marked_is_undefined(name):
    if name == "AU-PRO":
        pytest.importorskip("cv2")
    assert np.isnan(score(name, torch.rand(2, 8, 8), torch.zeros(2, 8, 8)))


def test_au_pro_by_hand():
    """Two regions; scores that find the large one wholly, the small one not, without a mistake."""
    pytest.importorskip("cv2")
    wanted = torch.zeros(1, 40, 40)
    wanted[0, :20, :20] = 1
    wanted[0, 30:32, 30:32] = 1
    found = torch.zeros(1, 40, 40)
    found[0, :20, :20] = 0.9
    assert score("AU-PRO", wanted, wanted) == pytest.approx(1)
    # half of the regions up to any rate below 1; at threshold 0 all pixels count as found
    rate = 0.05
    assert score("AU-PRO", found, wanted) == pytest.approx(0.5 + 0.5 * rate / 2, abs=0.01)


def test_au_pro_needs_no_numpy_2(monkeypatch):
    """np.trapezoid came with it, and pyproject.toml admits 1.26."""
    pytest.importorskip("cv2")
    monkeypatch.delattr(np, "trapezoid", raising=False)
    wanted = torch.zeros(1, 8, 8)
    wanted[0, :4] = 1
    assert score("AU-PRO", wanted, wanted) == pytest.approx(1)


def test_au_pro_counts_small_regions_as_much_as_large_ones():
    pytest.importorskip("cv2")
    wanted = torch.zeros(1, 60, 60)
    wanted[0, :30, :30] = 1
    wanted[0, 50:52, 50:52] = 1
    small = torch.zeros(1, 60, 60)
    small[0, 50:52, 50:52] = 0.9
    large = torch.zeros(1, 60, 60)
    large[0, :30, :30] = 0.9
    assert score("AU-PRO", small, wanted) == pytest.approx(score("AU-PRO", large, wanted))


@pytest.mark.parametrize("name", ["balanced accuracy", "AUROC", "IoU", "pixel AP", "AU-PRO"])
def test_scores_are_of_the_rows_alone(rng, name):
    """So that images can be drawn again for intervals, and sets be put together."""
    if name in ("balanced accuracy", "AUROC"):
        outputs, targets = torch.randn(8, 3, generator=rng), torch.arange(8) % 3
    else:
        if name == "AU-PRO":
            pytest.importorskip("cv2")
        outputs, targets = masks(rng, 8)
    chosen = metric(name)
    rows = chosen.rows(outputs, targets)
    halves = [chosen.rows(outputs[part], targets[part]) for part in (slice(3), slice(3, None))]
    assert chosen.score(np.concatenate(halves)) == chosen.score(rows)
    assert chosen.score(rows[::-1]) == pytest.approx(chosen.score(rows))


def test_unknown_metrics_are_refused():
    with pytest.raises(ValueError, match=r"metric must be one of balanced accuracy, .*'accuracy'"):
        metric("accuracy")


def test_box_scores(rng):
    pytest.importorskip("pycocotools")
    wanted = [{"boxes": torch.tensor([[5.0, 5, 20, 20]]), "labels": torch.tensor([1])}] * 3
    found = [{**boxes, "scores": torch.tensor([0.9])} for boxes in wanted]
    assert score("box AP", found, wanted) == pytest.approx(1)
    shifted = [{**boxes, "boxes": boxes["boxes"] + 3} for boxes in found]
    assert score("box AP50", shifted, wanted) == pytest.approx(1 if _iou(3, 15) > 0.5 else 0)
    assert score("box AP", shifted, wanted) < 0.5
    assert not METRICS["box AP"].quick


def _iou(shift, side):
    inside = (side - shift) ** 2
    return inside / (2 * side**2 - inside)
