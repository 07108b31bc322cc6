"""Networks adapted to unlabelled images: statistics of batch norms, or affine parameters."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.ops.misc import FrozenBatchNorm2d

from helpers import pil_picture
from styleaug.adapt import adapt, adapt_affine, adapt_batchnorm, norm_statistics
from styleaug.cli import main


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.SyncBatchNorm])
def test_an_adapted_copy_has_the_statistics_of_all_batches_and_else_what_the_model_has(norm):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norm(4, momentum=0.3), nn.Dropout(0.9))
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batches = [torch.rand(5, 3, 8, 8) + k for k in range(3)]
    adapted = adapt_batchnorm(model, iter(batches))
    features = model[0](torch.cat(batches))
    torch.testing.assert_close(adapted[1].running_mean, features.mean((0, 2, 3)))
    torch.testing.assert_close(adapted[1].running_var, features.var((0, 2, 3), correction=0))
    assert adapted[1].momentum == 0.3
    assert not any(layer.training for layer in adapted.modules())
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
        if "running" not in name and "tracked" not in name:
            assert torch.equal(adapted.state_dict()[name], value)


class TwoHeads(nn.Module):
    """The second one works in training alone."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, images):
        return (self.first(images), self.second(images)) if self.training else self.first(images)


def test_norms_that_no_image_reaches_stay_as_they_are():
    model = TwoHeads()
    model(torch.rand(4, 3, 8, 8) + 5)
    adapted = adapt_batchnorm(model, [torch.rand(4, 3, 8, 8)])
    assert torch.equal(adapted.second.running_mean, model.second.running_mean)
    assert not torch.equal(adapted.first.running_mean, model.first.running_mean)


@pytest.mark.parametrize(
    ("model", "batches", "words"),
    [
        (nn.Conv2d(3, 4, 3), [torch.rand(2, 3, 8, 8)], "has none"),
        (nn.BatchNorm2d(3, track_running_stats=False), [torch.rand(2, 3, 8, 8)], "has none"),
        (nn.BatchNorm2d(3), [], "at least one batch of images, but got none"),
    ],
)
def test_what_cannot_be_adapted_is_refused(model, batches, words):
    with pytest.raises(ValueError, match=words):
        adapt_batchnorm(model, batches)


def test_a_prior_keeps_a_share_of_the_statistics_that_were():
    model = nn.Sequential(nn.BatchNorm2d(3))
    model[0].running_mean.fill_(2.0)
    batches = [torch.full((4, 3, 8, 8), 5.0), torch.full((2, 3, 8, 8), 5.0)]
    adapted = adapt_batchnorm(model, batches, prior=18)
    torch.testing.assert_close(adapted[0].running_mean, torch.full((3,), 0.75 * 2 + 0.25 * 5))
    torch.testing.assert_close(adapted[0].running_var, torch.full((3,), 0.75))
    nearly = adapt_batchnorm(model, batches, prior=1e12)
    torch.testing.assert_close(nearly[0].running_mean, model[0].running_mean)
    with pytest.raises(ValueError, match="prior must"):
        adapt_batchnorm(model, batches, prior=-1)


def deep():
    """A network of two batch norms whose statistics are of augmented images."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3)]
    model = nn.Sequential(*layers, nn.BatchNorm2d(5))
    for layer in (model[1], model[4]):
        nn.init.uniform_(layer.weight, 0.5, 2)
        nn.init.normal_(layer.bias)
    for _ in range(50):
        model(torch.rand(8, 1, 1, 1) * torch.rand(8, 3, 12, 12))
    return model.eval()


def test_what_lighting_changes_is_undone_with_the_source_and_only_with_it():
    """Images of a gain and an offset give what the old ones did, under norms of a mixture."""
    model, old = deep(), torch.rand(64, 3, 12, 12)
    new = 0.4 * old + 0.3
    matched = adapt_batchnorm(model, [new], source=[old])
    torch.testing.assert_close(matched(new), model(old), atol=2e-2, rtol=0)
    replaced = adapt_batchnorm(model, [new])
    assert (replaced(new) - model(old)).abs().mean() > 10 * (matched(new) - model(old)).abs().mean()
    assert (model(new) - model(old)).abs().mean() > 10 * (matched(new) - model(old)).abs().mean()


def test_statistics_kept_with_the_weights_replace_the_training_images(tmp_path):
    model, old = deep(), torch.rand(64, 3, 12, 12)
    new = 0.4 * old + 0.3
    torch.save(norm_statistics(model, old.split(16)), tmp_path / "line.pt")
    kept = torch.load(tmp_path / "line.pt")
    assert list(kept) == ["1", "4"]
    one = adapt_batchnorm(model, new.split(16), source=kept)
    two = adapt_batchnorm(model, new.split(16), source=old.split(16))
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    with pytest.raises(ValueError, match="for '1' these are not two tensors of 4 numbers"):
        adapt_batchnorm(model, new.split(16), source={"1": kept["4"]})
    with pytest.raises(ValueError, match="has none"):
        norm_statistics(nn.Linear(3, 2), [torch.rand(2, 3)])


def test_on_its_own_line_a_matched_model_stays_as_it_is():
    model, old = deep(), torch.rand(64, 3, 12, 12)
    matched = adapt_batchnorm(model, [old], source=[old])
    for name, value in model.state_dict().items():
        torch.testing.assert_close(matched.state_dict()[name], value, atol=1e-5, rtol=1e-4)
    few = adapt_batchnorm(model, old[:8].split(4), source=old.split(16), prior=1e9)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(few.state_dict()[name], value, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="source must hold"):
        adapt_batchnorm(model, [old], source=[])


def test_batches_of_one_class_each_give_the_variance_of_all():
    model = nn.Sequential(nn.BatchNorm2d(3))
    sets = [torch.rand(k, 3, 8, 8) + 5 * k for k in (2, 6, 3)]
    adapted = adapt_batchnorm(model, sets)
    everything = torch.cat(sets)
    torch.testing.assert_close(adapted[0].running_mean, everything.mean((0, 2, 3)))
    wanted = everything.var((0, 2, 3), correction=0)
    torch.testing.assert_close(adapted[0].running_var, wanted, atol=0, rtol=1e-4)


def test_frozen_norms_of_detectors_are_adapted_too():
    model = nn.Sequential(FrozenBatchNorm2d(3))
    adapted = adapt_batchnorm(model, [torch.rand(4, 3, 8, 8) + 2])
    assert adapted[0].running_mean.mean() > 2
    assert adapt(model, [torch.rand(4, 3, 8, 8) + 2])[0].running_mean.mean() > 2


def test_hooks_of_a_model_that_fails_are_taken_off():
    model = deep()
    with pytest.raises(RuntimeError):
        adapt_batchnorm(model, [torch.rand(4, 7, 8, 8)])
    assert not any(layer._forward_pre_hooks for layer in model.modules())


class Detector(nn.Module):
    """Takes a list of images of several sizes, as torchvision's do."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images):
        return [self.norm(image[None]) for image in images]


def test_lists_of_images_count_each():
    model = Detector()
    lists = [[torch.ones(3, 8, 8), torch.ones(3, 6, 4)]]
    adapted = adapt_batchnorm(model, lists, prior=2)
    torch.testing.assert_close(adapted.norm.running_mean, torch.full((3,), 0.5))


def transformer():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.LayerNorm(8), nn.Linear(8, 3))


def entropy(model, batch):
    logs = model(batch).log_softmax(1)
    return float(-(logs.exp() * logs).sum(1).mean().detach())


def test_affine_parameters_make_outputs_surer_and_nothing_else_changes():
    model = transformer().train()
    model[1].requires_grad_(False)
    batches = [torch.rand(16, 3, 2, 2) for _ in range(20)]
    adapted = adapt_affine(model, iter(batches), lr=0.01)
    assert entropy(adapted, batches[0]) < 0.98 * entropy(model, batches[0])
    changed = {
        name
        for name, value in model.state_dict().items()
        if not torch.equal(value, adapted.state_dict()[name])
    }
    assert changed == {"2.weight", "2.bias"}
    assert model.training
    assert not adapted.training
    assert [p.requires_grad for p in adapted.parameters()] == [
        p.requires_grad for p in model.parameters()
    ]


def test_adapt_takes_what_applies():
    batches = [torch.rand(8, 3, 2, 2)]
    assert not torch.equal(adapt(transformer(), batches)[2].weight, transformer()[2].weight)
    normed = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.LayerNorm(12), nn.Linear(12, 3))
    adapted = adapt(normed, batches)
    assert torch.equal(adapted[2].weight, normed[2].weight)
    assert not torch.equal(adapted[0].running_mean, normed[0].running_mean)


@pytest.mark.parametrize(
    ("model", "batches", "words"),
    [
        (nn.Linear(3, 2), [torch.rand(2, 3)], "norms that have a scale and a shift"),
        (nn.LayerNorm(3, elementwise_affine=False), [torch.rand(2, 3)], "scale and a shift"),
        (nn.LayerNorm(1), [torch.rand(2, 1)], "logits .* of at least 2 classes"),
        (nn.LayerNorm(3), [], "at least one batch"),
    ],
)
def test_what_has_no_affine_parameters_is_refused(model, batches, words):
    with pytest.raises(ValueError, match=words):
        adapt_affine(model, batches)


# ---------------------------------------------------------------- what is no batch, no statistics


def test_statistics_of_another_model_are_refused():
    model, new = deep(), [torch.rand(8, 3, 12, 12)]
    kept = norm_statistics(model, new)
    for wrong, words in (
        ({f"module.{name}": value for name, value in kept.items()}, "a norm 'module.1'; the norms"),
        ({}, "but holds none; the norms are '1', '4'"),
        ({"1": torch.zeros(4)}, "not two tensors of 4 numbers"),
        ({"1": (torch.zeros(4), torch.full((4,), torch.nan))}, "of '1' are not"),
        (Path("line.pt"), "must come from a loader or a list, but got a PosixPath"),
        (new[0], "Put a single batch into a list"),
    ):
        with pytest.raises(ValueError, match=words):
            adapt_batchnorm(model, new, source=wrong)


def test_batches_of_images_and_labels_count_as_images():
    model, new = deep(), torch.rand(8, 3, 12, 12)
    labelled = adapt_batchnorm(model, [[new, torch.zeros(8)]], source=[(new, torch.zeros(8))])
    plain = adapt_batchnorm(model, [new], source=[new])
    for name, value in plain.state_dict().items():
        assert torch.equal(value, labelled.state_dict()[name])


def test_a_head_that_nothing_comes_to_in_some_batches_is_adapted_by_the_others():
    """As the mask head of a detector that finds nothing on an image."""
    model, new = deep(), torch.rand(8, 3, 12, 12)
    plain = adapt_batchnorm(model, [new])
    for batches in ([new[:0], new], [new, new[:0]]):
        found = adapt_batchnorm(model, batches)
        for name, value in plain.state_dict().items():
            assert torch.equal(value, found.state_dict()[name])


def test_what_is_not_finite_is_refused():
    nothing = [torch.full((4, 3, 12, 12), torch.nan)]
    for adapted in (adapt_batchnorm, norm_statistics):
        with pytest.raises(ValueError, match="must be finite, but the inputs of '1'"):
            adapted(deep(), nothing)
    model = nn.Sequential(nn.Flatten(), nn.LayerNorm(432), nn.Linear(432, 2))
    with pytest.raises(ValueError, match="must be finite"):
        adapt_affine(model, nothing)
    with pytest.raises(ValueError, match="lost in float16"):
        adapt_affine(model.half(), [torch.rand(4, 3, 12, 12).half()])


def test_norms_that_are_not_called_are_told():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x):
            return nn.functional.batch_norm(x, self.norm.running_mean, self.norm.running_var)

    class Named(Functional):
        def forward(self, x):
            return self.norm(input=x)

    images = [torch.rand(4, 3, 8, 8)]
    with pytest.raises(ValueError, match=r"must be called as modules.*'norm'"):
        adapt_batchnorm(Functional(), images)
    assert adapt_batchnorm(Named(), images).norm.running_mean.abs().sum() > 0
    with pytest.raises(ValueError, match="but got a function"):
        adapt(lambda x: x, images)


# ---------------------------------------------------------------- the command

MODEL = """
import torch
from torch import nn

def load():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(4, 2))

def number():
    return 7
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "new").mkdir()
    for k in range(5):
        pil_picture().save(tmp_path / f"new/{k}.png")
    (tmp_path / "mine.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_writes_a_state_dict_that_the_model_takes(folder, capsys):
    words = ["--data", "new", "--out", "adapted.pt", "--size", "32", "--batch", "2"]
    assert main(["adapt", "mine.py:load", *words, "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    assert "adapted to 5 images" in told
    assert "--prior 16" in told
    assert main(["adapt", "mine.py:load", *words, "--device", "cpu", "--prior", "16"]) == 0
    assert "--prior" not in capsys.readouterr().out
    assert main(["adapt", "mine.py:load", *words, "--device", "cpu"]) == 0
    found = torch.load(folder / "adapted.pt")
    assert found["1.running_mean"].abs().sum() > 0
    assert not list(folder.glob(".styleaug*"))


def test_with_the_training_images_the_command_keeps_the_statistics_of_the_training(folder, capsys):
    words = ["--data", "new", "--source", "new", "--out", "adapted.pt", "--size", "32"]
    assert main(["adapt", "mine.py:load", *words, "--device", "cpu"]) == 0
    found = torch.load(folder / "adapted.pt")
    torch.testing.assert_close(found["1.running_mean"], torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(found["1.running_var"], torch.ones(4), atol=1e-4, rtol=0)


def test_the_command_takes_statistics_that_were_kept(folder, capsys):
    torch.save({"1": (torch.zeros(4), torch.full((4,), 4.0))}, folder / "line.pt")
    words = ["--data", "new", "--out", "adapted.pt", "--size", "32", "--device", "cpu"]
    assert main(["adapt", "mine.py:load", "--source", "line.pt", *words]) == 0
    kept = torch.load(folder / "adapted.pt")
    assert main(["adapt", "mine.py:load", *words]) == 0
    plain = torch.load(folder / "adapted.pt")
    torch.testing.assert_close(kept["1.running_var"], plain["1.running_var"] / 4, atol=1e-5, rtol=0)
    (folder / "line.pt").write_text("no statistics")
    assert main(["adapt", "mine.py:load", "--source", "line.pt", *words]) == 2
    assert "--source must be a folder of images, or a file" in capsys.readouterr().err


def test_masks_beside_the_images_are_no_images(folder, capsys):
    (folder / "new/masks").mkdir()
    images = sorted((folder / "new").glob("*.png"))
    for image in images:
        (folder / "new/masks" / image.name).write_bytes(image.read_bytes())
    assert main(["adapt", "mine.py:load", "--data", "new", "--out", "adapted.pt"]) == 0
    assert f"to {len(images)} images" in capsys.readouterr().out


def test_what_is_no_module_is_refused(folder, capsys):
    words = ["--data", "new", "--out", "adapted.pt", "--device", "cpu"]
    assert main(["adapt", "mine.py:number", *words]) == 2
    assert "must give a torch module, but gives int" in capsys.readouterr().err
    assert not (folder / "adapted.pt").exists()


@pytest.mark.parametrize("name", ["new/0.png", "new/more.pt", "mine.py", "line.pt"])
def test_what_the_command_reads_is_never_replaced(folder, capsys, name):
    torch.save({"1": (torch.zeros(4), torch.ones(4))}, folder / "line.pt")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    words = ["--data", "new", "--source", "line.pt", "--out", name, "--device", "cpu"]
    assert main(["adapt", "mine.py:load", *words]) == 2
    assert "Choose another --out" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


WRONG = """
from mine import load as right
from torch import nn

def argument(path):
    return right()

model = right()

def half():
    return right().half()

def fixed():
    return nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
"""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("argument", "must be a function without arguments.*missing a required argument: 'path'"),
        ("model", "must be a function without arguments.*but is a module"),
        ("half", r"images \(B, 3, 16, 16\), float32 in \[0, 1\], but it fails.*Half"),
        ("fixed", "but it fails on them: mat1 and mat2.*\\)\\. Set --size"),
    ],
)
def test_wrong_loaders_are_told(folder, capsys, name, words):
    (folder / "wrong.py").write_text(WRONG)
    options = ["--data", "new", "--out", "adapted.pt", "--size", "16", "--device", "cpu"]
    assert main(["adapt", f"wrong.py:{name}", *options]) == 2
    assert re.search(words, capsys.readouterr().err)
    assert not (folder / "adapted.pt").exists()


def test_an_unreadable_image_is_skipped_and_told(folder, caplog, capsys):
    (folder / "new/broken.png").write_text("no image")
    options = ["--data", "new", "--out", "adapted.pt", "--size", "16", "--device", "cpu"]
    assert main(["adapt", "mine.py:load", *options]) == 1
    assert "adapted to 5 images" in capsys.readouterr().out
    assert "skipped" in caplog.text
    assert "broken.png" in caplog.text


def test_options_of_batch_norms_are_told_to_have_no_effect(folder, capsys):
    (folder / "plain.py").write_text(
        "from torch import nn\n"
        "def load():\n"
        "    return nn.Sequential(nn.Flatten(), nn.LayerNorm(768), nn.Linear(768, 2))\n"
    )
    options = ["--data", "new", "--out", "adapted.pt", "--size", "16", "--device", "cpu"]
    assert main(["adapt", "plain.py:load", *options, "--prior", "16"]) == 0
    assert "had no effect: this model has no batch norms" in capsys.readouterr().out
    assert main(["adapt", "plain.py:load", *options]) == 0
    assert "--prior" not in capsys.readouterr().out


@pytest.mark.parametrize("model", ["mine.py", "new:load", "nowhere.py:load"])
def test_a_model_without_a_name_is_told_as_such(folder, capsys, model):
    assert main(["adapt", model, "--data", "new", "--out", "adapted.pt", "--device", "cpu"]) == 2
    assert "MODEL must be FILE.py:NAME" in capsys.readouterr().err
