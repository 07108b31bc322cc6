"""evaluate: P, mPC and rPC of any model, with intervals, and with adapted batch norms."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers import pictures, torch_generator_stays
from styleaug.evaluate import Robustness, evaluate
from styleaug.evaluate.corruptions import SUITES, Condition
from styleaug.evaluate.robustness import pool_seeds

pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = {"suites": ["industrial"], "severities": [1, 5], "workers": 0}


def bright_and_dark(count=24, size=24):
    """Two classes that brightness tells apart: exposure harms, blur does not."""
    labels = torch.arange(count) % 2
    images = pictures(count, 3, size, size).float().mul(0.3)
    images += 60 + 70 * labels[:, None, None, None]
    return images.to(torch.uint8), labels


def loader(images, labels, batch_size=7):
    return DataLoader(TensorDataset(images, labels), batch_size=batch_size)


def threshold(images):
    margin = images.mean((1, 2, 3)) - 0.52
    return torch.stack([-margin, margin], dim=1)


def test_scores_are_those_of_the_conditions():
    images, labels = bright_and_dark()
    found = evaluate(threshold, loader(images, labels), **QUICK)
    assert found.performance == 1
    assert found.names == list(SUITES["industrial"])
    assert set(found.under("defocus")) == {1, 5}
    assert found.under("defocus")[5] == 1
    assert found.under("exposure")[5] < 1
    every = [score for name in found.names for score in found.under(name).values()]
    assert found.mpc() == pytest.approx(np.mean(every))
    assert found.mpc("industrial") == found.mpc()
    assert found.rpc() == pytest.approx(found.mpc() / found.performance)
    assert found.relative_mce(found) == pytest.approx(1)
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.to_dict()["images"] == 24


def test_any_batching_gives_the_same():
    images, labels = bright_and_dark()
    batches = list(loader(images, labels))
    with torch_generator_stays():
        one = evaluate(threshold, batches, **QUICK)
    two = evaluate(threshold, loader(images, labels, 5), **QUICK)
    assert one.to_dict() == two.to_dict()


def test_float_images_and_gray_ones_will_do():
    images, labels = bright_and_dark()
    one = evaluate(threshold, loader(images, labels), **QUICK)
    assert evaluate(threshold, loader(images / 255, labels), **QUICK).to_dict() == one.to_dict()
    gray = evaluate(threshold, loader(images[:, :1], labels), **QUICK)
    assert gray.performance == 1


def test_the_model_gets_what_preprocess_gives():
    images, labels = bright_and_dark()
    seen = []

    def preprocess(batch):
        assert batch.dtype == torch.uint8
        return batch.float() / 255 * 2

    def model(batch):
        seen.append(batch.max().item())
        return threshold(batch / 2)

    evaluate(model, loader(images, labels), preprocess=preprocess, **QUICK)
    assert max(seen) > 1


def test_masks_are_scored_too():
    images, _ = bright_and_dark()
    masks = torch.zeros(24, 24, 24)
    masks[:, 4:12, 4:12] = 1
    images[:, :, 4:12, 4:12] = 255
    found = evaluate(
        lambda x: (x.mean(1) > 0.9).float(), loader(images, masks), metric="IoU", **QUICK
    )
    assert found.performance == 1
    assert found.mpc() < 1


def test_detectors_are_scored_too():
    pytest.importorskip("pycocotools")
    images, _ = bright_and_dark(6)
    images[:, :, 6:14, 8:18] = 255
    box = torch.tensor([[8.0, 6, 18, 14]])
    targets = [{"boxes": box, "labels": torch.tensor([1])}] * 6
    batches = [(images[:4], targets[:4]), (images[4:], targets[4:])]

    def detector(pictures):  # a list of pictures, as torchvision's detectors take them
        found = []
        for picture in pictures:
            y, x = (picture.mean(0) > 0.93).nonzero(as_tuple=True)
            corners = [x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else [0, 0, 1, 1]
            boxes = torch.tensor([corners], dtype=torch.float32)
            found.append({"boxes": boxes, "scores": torch.ones(1), "labels": torch.tensor([1])})
        return found

    found = evaluate(
        detector,
        batches,
        metric="box AP50",
        preprocess=lambda x: list(x.float() / 255),
        suites=["industrial"],
        severities=[5],
        workers=0,
    )
    assert found.performance == pytest.approx(1)
    assert 0 <= found.mpc() < 1


def test_intervals_hold_the_mean_and_shrink_with_images():
    images, labels = bright_and_dark(60)
    found = evaluate(threshold, loader(images, labels), **QUICK)
    mean, low, high = found.interval()
    assert low < mean < high
    assert mean == pytest.approx(found.mpc())
    few = evaluate(threshold, loader(images[:12], labels[:12]), **QUICK).interval()
    assert few.high - few.low > high - low
    assert found.interval(clean=True) == (1, 1, 1)


def test_a_difference_is_paired():
    """The same images are drawn for both models, so a model gains nothing over itself."""
    images, labels = bright_and_dark()
    one = evaluate(threshold, loader(images, labels), **QUICK)
    assert one.interval(over=one) == (0, 0, 0)
    two = evaluate(lambda x: -threshold(x), loader(images, labels), **QUICK)
    assert one.interval(over=two).low > 0


def rows(right, count=20):
    """Of images of two classes, the first so many are right."""
    told = np.eye(2)[np.arange(count) % 2]
    return np.stack([told, told * (np.arange(count) < right)[:, None]], axis=1)


def one_seed(*right):
    found = {None: rows(20)} | {Condition("dust", k): rows(r) for k, r in enumerate(right, 1)}
    return Robustness.of("balanced accuracy", found, {"industrial": ("dust",)})


def test_seeds_are_pooled_image_by_image():
    pooled = pool_seeds([one_seed(10, 14), one_seed(12, 16)])
    assert pooled.images == 20
    assert pooled.under("dust") == {1: pytest.approx(0.55), 2: pytest.approx(0.75)}
    assert pooled.scores[Condition("dust", 1)] == (0.5, 0.6)
    assert pooled.rows[None].shape == (2, 20, 2, 2)


def test_an_interval_is_for_other_seeds_and_other_images():
    alone = one_seed(10).interval()
    assert pool_seeds([one_seed(10), one_seed(10)]).interval() == pytest.approx(alone)
    apart = pool_seeds([one_seed(4), one_seed(16)]).interval()
    assert apart.mean == alone.mean
    assert apart.high - apart.low > 2 * (alone.high - alone.low)
    with pytest.raises(ValueError, match="number of seeds"):
        pool_seeds([one_seed(4), one_seed(16)]).interval(over=one_seed(10))


class Normed(nn.Module):
    """Tells bright from dark after a batch norm, whose statistics are of normal exposure."""

    def __init__(self, images):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.norm.train()
        self.norm.momentum = None
        self.norm(images.float() / 255)

    def forward(self, x):
        mean = self.norm(x).mean((1, 2, 3))
        return torch.stack([-mean, mean], dim=1)


def test_adapted_batch_norms_recover_what_an_even_dimming_took(monkeypatch):
    images, labels = bright_and_dark()
    dim = images.permute(0, 2, 3, 1).div(2).to(torch.uint8).numpy()
    condition = Condition("exposure", 5)
    monkeypatch.setattr(
        "styleaug.evaluate.evaluation.corrupted_sets", lambda *a, **k: [(condition, dim)]
    )
    model = Normed(images).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plain = evaluate(model, loader(images, labels), **QUICK)
    adapted = evaluate(model, loader(images, labels), adapt=True, **QUICK)
    assert plain.mpc() == 0.5
    assert adapted.mpc() == 1
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"metric": "accuracy"}, "metric must be one of"),
        ({"suites": ["imagenet"]}, "suites must be some of imagenet-c, industrial"),
        ({"suites": []}, "suites must be some of"),
        ({"severities": [0]}, "severity must be an integer from 1 to 5, but got 0"),
        ({"severities": []}, "severities must be some of 1 to 5"),
        ({"adapt": True}, "needs a module with batch norms"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        evaluate(threshold, loader(*bright_and_dark()), **{**QUICK, **settings})


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([], "the loader yields none"),
        ([(torch.zeros(4, 2, 8, 8), torch.zeros(4))], r"\(B, 3, H, W\), but got \(4, 2, 8, 8\)"),
        ([(torch.randn(4, 3, 8, 8), torch.zeros(4))], "before Normalize"),
    ],
)
def test_wrong_images_are_refused(batches, words):
    with pytest.raises(ValueError, match=words):
        evaluate(threshold, batches, **QUICK)


def test_asking_for_what_was_not_evaluated():
    found = one_seed(10)
    with pytest.raises(ValueError, match="'fog' was not evaluated, only dust"):
        found.under("fog")
    with pytest.raises(ValueError, match=r"'imagenet-c' was not evaluated, only dust.*industrial"):
        found.mpc("imagenet-c")
    other = Robustness.of("balanced accuracy", {None: rows(3, count=6)})
    with pytest.raises(ValueError, match="same metric, images"):
        found.interval(clean=True, over=other)


class Stubborn(nn.Sequential):
    """Fails on dark images."""

    def forward(self, images):
        if images.mean() < 0.2:
            raise RuntimeError("too dark")
        return threshold(super().forward(images))


@pytest.mark.parametrize("fails", [False, True])
def test_each_module_is_left_in_the_mode_in_which_it_was(fails):
    """Norms that the user froze stay frozen, and a failure leaves a training model in training."""
    images, labels = bright_and_dark()
    model = Stubborn(nn.BatchNorm2d(3, affine=False), nn.Identity()).train()
    model[0].eval()
    if fails:
        with pytest.raises(RuntimeError, match="too dark"):
            evaluate(model, loader(images // 8, labels), **QUICK)
    else:
        evaluate(model, loader(images, labels), preprocess=lambda x: x / 255 + 0.5, **QUICK)
    assert [part.training for part in model.modules()] == [True, False, True]
