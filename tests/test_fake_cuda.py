"""On an accelerator that is not there: no tensor on the wrong device, no wait for a result.

Everything on "cuda" is a FakeTensor, which knows its shape, dtype and device but no values. Reading
one on the host raises, and so does mixing it with a CPU tensor. What lies on the CPU stays real, so
that plans are drawn as ever.
"""

from contextlib import nullcontext

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torchvision import tv_tensors

from helpers import pictures
from styleaug import Defocus, Equalize, Relief, Relight, Restyle, SensorNoise, StyleAugment
from styleaug.gatys import GatysConfig, gatys
from styleaug.hosts.loader import StyledLoader
from styleaug.networks import encode, network_of

EVERY = (
    Equalize(strength=1),
    Relief(strength=1, flip=1),
    Relight(strength=1),
    Defocus(sigma=4),
    SensorNoise(sigma=0.09),
)
pytestmark = pytest.mark.usefixtures("fresh_caches", "seeded", "small_references")


class FakeCuda(TorchFunctionMode):
    """Runs what touches "cuda" with fake tensors, everything else as it is."""

    def __init__(self):
        super().__init__()
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        fakes = any(isinstance(leaf, FakeTensor) for leaf in leaves)
        named = any(isinstance(x, str | torch.device) and str(x).startswith("cuda") for x in leaves)
        with self.fake if fakes or named else nullcontext():
            out = func(*args, **kwargs)
        if fakes and isinstance(out, torch.Tensor) and out.device.type == "cpu":
            raise AssertionError(f"{func} brings a tensor to the host")
        return out


@pytest.fixture(autouse=True)
def fake_cuda():
    with FakeCuda():
        yield


def on_cuda(*shape, dtype=torch.uint8):
    return torch.empty(shape, dtype=dtype, device="cuda")


def check(out, images):
    assert isinstance(out, FakeTensor)
    assert (out.device, out.dtype, out.shape) == (images.device, images.dtype, images.shape)
    return out


@pytest.mark.parametrize(
    "mistake",
    [
        lambda x: x.float().mean().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x.nonzero(),
        lambda x: x.cpu(),
        lambda x: x.tolist(),
        lambda x: x.index_select(0, torch.tensor([0])),
        lambda x: x + torch.ones(3, 16, 16),
        lambda x: x[x > 0],
    ],
)
def test_the_mistakes_that_this_file_is_about_are_noticed(mistake):
    with pytest.raises((DataDependentOutputException, RuntimeError, AssertionError)):
        mistake(on_cuda(2, 3, 16, 16))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16])
@pytest.mark.parametrize("shape", [(4, 3, 24, 32), (4, 1, 17, 41), (3, 20, 20), (0, 3, 16, 16)])
def test_batches_of_every_kind_stay_on_their_device(augment, shape, dtype):
    images = on_cuda(*shape, dtype=dtype)
    check(augment(*EVERY)(images), images)


@pytest.mark.parametrize(
    ("stages", "settings"),
    [
        (EVERY, {"p": 0.5, "strength": (0, 1)}),
        (EVERY, {"p": 0}),
        (EVERY, {"p": 0.5, "strength": 0}),
        ([Relight(p=0.5), Defocus(p=0.5), SensorNoise(p=0.5)], {"strength": (0, 1)}),
        (EVERY, {"working_size": 24}),
        ((), {"styles": "batch"}),
        (EVERY, {"styles": "batch", "p": 0.5, "jitter": 0.5, "mix": 0.5}),
    ],
)
def test_every_way_through_the_computation_stays_on_the_device(augment, stages, settings):
    images = on_cuda(9, 3, 40, 50)
    for _ in range(3):
        check(augment(*stages, **settings)(images), images)


@pytest.mark.parametrize("stage", EVERY, ids=repr)
def test_a_stage_alone_stays_on_the_device(stage):
    images = on_cuda(4, 3, 24, 32)
    check(stage(images), images)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_protection_may_come_from_the_host_or_the_device(augment, device):
    images, mask = on_cuda(6, 3, 24, 32), torch.ones(6, 1, 24, 32, device=device)
    transform = augment(*EVERY, p=0.5)
    plan = transform.draw(6)
    assert 0 < plan["Restyle"].active.sum() < 6
    check(transform.render(images, plan, strength_mask=mask), images)


def test_one_row_serves_a_batch_on_the_device(augment):
    images, transform = on_cuda(6, 3, 24, 32), augment(*EVERY)
    check(transform.render(images, transform.draw(1)), images)


def test_masks_on_the_host_protect_images_on_the_device(augment):
    images = on_cuda(2, 3, 24, 32)
    masks = tv_tensors.Mask(torch.ones(2, 24, 32, dtype=torch.bool))
    out, same = augment(protect=1)(images, masks)
    check(out, images)
    assert same is masks


def test_channels_last_stays(augment):
    images = on_cuda(4, 3, 24, 32).to(memory_format=torch.channels_last)
    out = check(augment(*EVERY)(images), images)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_the_network_runs_in_half_precision_there(pack):
    network = network_of(pack, torch.device("cuda"))
    assert {p.dtype for p in network.parameters()} == {torch.float16}
    assert {p.device.type for p in network.parameters()} == {"cuda"}


def test_references_on_the_device_give_codes_there(pack):
    code = encode(pack, on_cuda(2, 3, 20, 30))
    assert (code.device.type, code.dtype) == ("cuda", torch.float32)


@pytest.mark.parametrize("form", ["batch", "list", "dict"])
def test_a_loader_brings_batches_there_and_restyles_them(augment, monkeypatch, form):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda x: pinned.append(x) or x)
    images, labels = pictures(4, 3, 24, 32), torch.arange(4)
    batch = {
        "batch": (images, labels),
        "list": [list(images), labels],
        "dict": {"label": labels, "image": images},
    }[form]
    out = StyledLoader([batch], augment(*EVERY, p=0.5), device="cuda").prepare(batch, 0)
    leaves = tree_leaves(out)
    assert len(pinned) == len(leaves)
    assert {leaf.device.type for leaf in leaves} == {"cuda"}
    assert [leaf.shape for leaf in leaves] == [leaf.shape for leaf in tree_leaves(batch)]


def test_kornia_augmentations_stay_on_the_device(augment):
    kornia = pytest.importorskip("styleaug.hosts.kornia")
    augment = kornia.StyleAugment(augment(*EVERY, p=0.5))
    images = on_cuda(6, 3, 24, 32, dtype=torch.float32)
    params = augment.forward_parameters(images.shape)
    check(augment.apply_transform(images, params, {}), images)


def test_the_cpu_is_as_ever_meanwhile(augment):
    out = augment()(pictures(2, 3, 16, 16))
    assert not isinstance(out, FakeTensor)


@pytest.mark.parametrize("masked", [False, True])
def test_gatys(monkeypatch, masked):
    def grad(outputs, inputs):  # the engine of autograd wants a real device
        assert outputs.device == inputs.device
        return (torch.zeros_like(inputs),)

    monkeypatch.setattr(torch.autograd, "grad", grad)
    # the one look at values, at the end
    monkeypatch.setattr("styleaug.gatys.descent._check_finite", lambda finite: None)
    images = on_cuda(2, 3, 48, 40)
    mask = torch.ones(2, 1, 48, 40, device="cuda") if masked else None
    config = GatysConfig(steps=10)
    out = gatys(images, [pictures(3, 40, 40)], config, weights=[1.0], mask=mask).images
    check(out, images)


class Hungry(SensorNoise):
    """A stage that a small GPU takes few images through at a time."""

    most = 3

    def apply(self, images, params):
        self.__dict__.setdefault("seen", []).append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().apply(images, params)


def test_a_batch_that_memory_does_not_hold_is_changed_part_by_part(pack):
    images, hungry = on_cuda(10, 3, 16, 16), Hungry(sigma=0.1)
    with pytest.warns(UserWarning, match="does not hold 10 images at once") as caught:
        check(hungry(images), images)
    assert hungry.seen == [10, 5, 3, 3, 3, 1]
    assert len(caught) == 1
    stage = Restyle("batch", pack=pack)  # its codes lie on the device
    hungry = Hungry(sigma=0.1)
    augment = StyleAugment([stage, hungry], p=1)
    with pytest.warns(UserWarning, match="does not hold 4 images"):
        check(augment(on_cuda(4, 3, 16, 16)), on_cuda(4, 3, 16, 16))


def test_an_image_that_memory_does_not_hold_is_an_error():
    hungry = Hungry(sigma=0.1)
    hungry.most = 0
    with (
        pytest.warns(UserWarning, match="does not hold 2 images"),
        pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"),
    ):
        hungry(on_cuda(2, 3, 16, 16))
