"""VGG features: named layers, no work beyond the deepest, and clear errors for what is missing."""

from urllib.error import URLError

import pytest
import torch
from torchvision.models import VGG19_Weights, vgg

from helpers import pictures, torch_generator_stays
from styleaug.errors import WeightsError
from styleaug.nn import features
from styleaug.nn.features import VGGFeatures, cached_features, layer_names, load_features


@pytest.fixture(scope="module")
def trunk():
    return cached_features("vgg16", torch.device("cpu"), torch.float32)


def test_layer_names_count_within_blocks():
    assert layer_names("vgg16")[:7] == (
        *("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3"),
    )
    assert len(layer_names("vgg16")) == 13
    assert len(layer_names("vgg19")) == 16
    assert layer_names("vgg19")[-1] == "conv5_4"


@pytest.mark.parametrize("call", [layer_names, load_features])
def test_an_unknown_trunk_is_refused(call):
    with pytest.raises(ValueError, match=r"features must be one of vgg16, vgg19, .*'vgg11'"):
        call("vgg11")


def test_the_bundled_trunk_names_its_activations(trunk):
    images = pictures(2, 3, 48, 80, dtype=torch.float32)
    found = trunk(images, ["conv1_1", "conv2_2", "conv3_3", "conv4_1", "conv5_1"])
    assert {name: tuple(x.shape) for name, x in found.items()} == {
        "conv1_1": (2, 64, 48, 80),
        "conv2_2": (2, 128, 24, 40),
        "conv3_3": (2, 256, 12, 20),
        "conv4_1": (2, 512, 6, 10),
        "conv5_1": (2, 512, 3, 5),
    }
    assert all(x.min() == 0 and x.max() > 0 for x in found.values())  # after their ReLU


def test_it_works_no_further_than_the_deepest_layer(trunk):
    reached = []
    hooks = [
        trunk.get_submodule(name).register_forward_hook(lambda *_, name=name: reached.append(name))
        for name in trunk.names
    ]
    trunk(pictures(1, 3, 16, 16, dtype=torch.float32), ["conv2_1"])
    for hook in hooks:
        hook.remove()
    assert reached == ["conv1_1", "conv1_2", "conv2_1"]


def test_an_unknown_layer_is_named(trunk):
    with pytest.raises(ValueError, match=r"layers must be among .*got \['conv5_4'\]"):
        trunk(torch.rand(1, 3, 16, 16), ["conv1_1", "conv5_4"])


def test_the_trunk_is_frozen_but_lets_gradients_through(trunk):
    """Gatys and training follow gradients to the image, past weights loaded in inference mode."""
    features._trunks.clear()
    with torch.inference_mode():
        trunk = cached_features("vgg16", torch.device("cpu"), torch.float32)
    images = torch.rand(1, 3, 16, 16, requires_grad=True)
    trunk(images, ["conv2_1"])["conv2_1"].mean().backward()
    assert images.grad.abs().max() > 0
    assert not any(p.requires_grad for p in trunk.parameters())
    assert not trunk.training


def test_loading_leaves_the_callers_generator_alone():
    with torch_generator_stays():
        load_features("vgg16")


def test_half_precision_weights_take_float32_images():
    trunk = VGGFeatures(["conv1_1", "conv1_2"]).to(torch.bfloat16)
    found = trunk(torch.rand(1, 3, 16, 16), ["conv1_2"])["conv1_2"]
    assert found.dtype == torch.bfloat16


@pytest.mark.parametrize(
    "error", [URLError("no route"), OSError("read-only"), RuntimeError("hash")]
)
def test_vgg19_without_the_internet_points_at_the_bundled_trunk(monkeypatch, error):
    def blocked(*_, **__):
        raise error

    monkeypatch.setattr(VGG19_Weights, "get_state_dict", blocked)
    with pytest.raises(WeightsError, match="features='vgg16'") as caught:
        load_features("vgg19")
    assert caught.value.__cause__ is error


def test_vgg19_layers_are_torchvisions(monkeypatch):
    with torch.random.fork_rng(devices=[]):
        source = vgg.make_layers(vgg.cfgs["E"])
    state = {f"features.{name}": value for name, value in source.state_dict().items()}
    state["classifier.0.weight"] = torch.zeros(1)  # is left alone
    monkeypatch.setattr(VGG19_Weights, "get_state_dict", lambda *_, **__: state)
    images = pictures(1, 3, 32, 32, dtype=torch.float32)
    with torch_generator_stays():
        trunk = load_features("vgg19")
    found = trunk(images, ["conv3_4", "conv5_4"])
    assert not any(p.requires_grad for p in trunk.parameters())
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (features._MEAN, features._STD))
    x = (images - mean) / std
    for index, layer in enumerate(source):
        x = layer(x)
        if index in (17, 35):  # the ReLUs after conv3_4 and conv5_4
            torch.testing.assert_close(found["conv3_4" if index == 17 else "conv5_4"], x)
