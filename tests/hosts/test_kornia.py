"""The kornia twin: what kornia asks of any of its augmentations, and of this one."""

import copy
import pickle

import pytest
import torch

from helpers import FULL, distance, pictures, torch_generator_stays
from styleaug import Defocus, Relight, Restyle, SensorNoise
from styleaug import StyleAugment as TorchTwin
from styleaug.augment.plan import Plan
from styleaug.augment.presets import PRESETS, preset

pytest.importorskip("kornia")

from kornia.augmentation import (
    AugmentationSequential,
    ImageSequential,
    IntensityAugmentationBase2D,
    RandomHorizontalFlip,
    VideoSequential,
)
from kornia.geometry.boxes import Boxes

from styleaug.hosts.kornia import StyleAugment

pytestmark = pytest.mark.usefixtures("seeded")
EVERY = [Relight(strength=1), Defocus(sigma=4), SensorNoise(sigma=0.09)]


@pytest.fixture
def make(pack):
    """``make(...)``: the augmentation, with a tiny pack, and all stages at full unless told.

    It takes further stages, the options of the augmentation, and those of ``Restyle``.
    """

    def build(*further, p=1.0, p_batch=1.0, same_on_batch=False, keepdim=False, **settings):
        options = {n: settings.pop(n) for n in ("schedule", "callback") if n in settings}
        stages = [Restyle(**{"pack": pack, **FULL, "mix": 0.5, **settings}), *(further or EVERY)]
        own = {"p": p, "p_batch": p_batch, "same_on_batch": same_on_batch, "keepdim": keepdim}
        return StyleAugment(stages, **own, **options)

    return build


def floats(*shape, dtype=torch.float32):
    return pictures(*shape, dtype=dtype)


def test_it_is_an_augmentation_of_kornia(make):
    augment = make()
    assert isinstance(augment, IntensityAugmentationBase2D)
    shape = (4, 3, 5, 6)
    params = augment.forward_parameters(shape)
    ones = torch.ones(shape)
    matrix = augment.compute_transformation(ones, params, augment.flags)
    assert matrix.shape == (4, 3, 3)
    assert augment.apply_transform(ones, params, augment.flags, matrix).shape == shape
    augment(ones, params=params)
    assert torch.equal(augment.transform_matrix, torch.eye(3).expand(4, 3, 3))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("settings", [{}, {"p": 0.5, "p_batch": 0.5, "same_on_batch": True}])
def test_smoke(name, settings):
    augment = StyleAugment(name, schedule={}, **settings)
    assert augment(floats(2, 3, 16, 16)).shape == (2, 3, 16, 16)
    assert repr(eval(repr(augment))) == repr(augment)


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), TypeError),
        (torch.zeros(2, 2, 3, 8, 8), ValueError),
        (torch.zeros(2, 4, 8, 8), ValueError),
        ("text", AttributeError),
    ],
)
def test_exception(make, images, error):
    with pytest.raises(error):
        make()(images)


@pytest.mark.parametrize("keepdim", [True, False])
@pytest.mark.parametrize("p", [0.0, 1.0])
@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (2, 3, 4, 5), (2, 1, 17, 41), (0, 3, 16, 16)])
def test_cardinality(make, shape, p, keepdim):
    out = make(p=p, keepdim=keepdim)(torch.rand(shape))
    assert out.shape == (shape if keepdim else (1,) * (4 - len(shape)) + shape)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_images_change_and_keep_their_dtype(make, dtype):
    images = floats(3, 3, 24, 32, dtype=dtype)
    before = images.clone()
    out = make()(images)
    assert out.dtype == dtype
    assert all(distance(a, b) > 3 for a, b in zip(out, images, strict=True))
    assert torch.equal(images, before)


def test_p_0_changes_nothing(make):
    images = floats(2, 3, 16, 16)
    assert torch.equal(make(p=0.0)(images), images)


@pytest.mark.parametrize("settings", [{"p": 0.5}, {"p": 0.5, "styles": "batch"}])
def test_each_image_has_a_coin_of_its_own(make, settings):
    augment, images = make(**settings), floats(20, 3, 16, 16)
    out = augment(images)
    changed = torch.tensor([not torch.equal(a, b) for a, b in zip(out, images, strict=True)])
    assert torch.equal(changed, augment._params["batch_prob"] > 0.5)
    assert 0 < changed.sum() < 20


def test_images_that_are_spared_cost_nothing(make, monkeypatch):
    plans = []
    render = TorchTwin.render
    monkeypatch.setattr(
        TorchTwin, "render", lambda self, x, plan, **k: plans.append(plan) or render(self, x, plan)
    )
    augment = make(p=0.5)
    augment(floats(20, 3, 16, 16))
    chosen = augment._params["batch_prob"] > 0.5
    assert all(torch.equal(params.active, chosen) for params in plans[0].values())


@pytest.mark.parametrize("settings", [{"p": 0.5}, {"p_batch": 0.0}, {"same_on_batch": True}])
def test_the_callback_and_the_parameters_tell_what_images_get(make, settings):
    """Not what they would have got, had kornia chosen them."""
    plans = []
    augment, images = make(callback=plans.append, **settings), floats(12, 3, 16, 16)
    out = augment(images)
    changed = [not torch.equal(a, b) for a, b in zip(out, images, strict=True)]
    assert [bool(plans[0].describe(i)) for i in range(12)] == changed
    kept = Plan.from_tensors({n: x for n, x in augment._params.items() if "." in n})
    assert kept["Restyle"].active.tolist() == changed
    assert plans[0]["Restyle"].styles[0].startswith("random-")
    assert len(plans) == 1


def test_p_batch_spares_whole_batches(make):
    images = floats(2, 3, 16, 16)
    assert torch.equal(make(p_batch=0.0)(images), images)


def test_each_image_has_its_own_style_unless_told(make):
    images = floats(1, 3, 24, 24).expand(3, -1, -1, -1)
    own = make()(images)
    assert min(distance(own[i], own[j]) for i, j in [(0, 1), (0, 2), (1, 2)]) > 3
    same = make(same_on_batch=True)(images)
    assert distance(same[0], same[2]) <= 1


def test_parameters_replay(make):
    augment, images = make(p=0.5), floats(6, 3, 16, 16)
    out = augment(images)
    params = copy.deepcopy(augment._params)
    with torch_generator_stays():
        assert torch.equal(augment(images, params=params), out)


def test_a_seed_repeats(make):
    augment, images = make(p=0.5), floats(6, 3, 16, 16)
    outs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outs.append(augment(images))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])


def test_a_sequence_is_one_after_the_other(make):
    one, two, images = make(), make(), floats(2, 3, 5, 5)
    torch.manual_seed(42)
    by_hand = two(one(images))
    torch.manual_seed(42)
    assert torch.allclose(AugmentationSequential(one, two)(images), by_hand, atol=1e-3)


def test_masks_and_boxes_come_back_as_they_are(make):
    augment = AugmentationSequential(make(), data_keys=["image", "mask", "bbox_xyxy"])
    images, masks = floats(2, 3, 24, 32), torch.rand(2, 1, 24, 32).round()
    boxes = torch.tensor([[[2.0, 3.0, 12.0, 13.0]], [[4.0, 5.0, 14.0, 15.0]]])
    out, same_masks, same_boxes = augment(images, masks, boxes)
    assert distance(out, images) > 3
    assert torch.equal(same_masks, masks)
    assert torch.allclose(same_boxes, boxes)
    assert isinstance(Boxes.from_tensor(boxes), Boxes)


def test_in_other_containers(make):
    assert ImageSequential(RandomHorizontalFlip(), make())(floats(2, 3, 16, 16)).shape[0] == 2
    clip = floats(1, 3, 1, 16, 16).expand(2, -1, 4, -1, -1)
    out = VideoSequential(make(), data_format="BCTHW", same_on_frame=True)(clip)
    assert out.shape == clip.shape
    assert distance(out[:, :, 0], out[:, :, 3]) <= 1


def test_values_out_of_range_are_clamped_as_kornia_does(make):
    images = floats(1, 3, 16, 16)
    torch.manual_seed(0)
    expected = make()(images.clamp(0.2, 0.8) * 0 + images.clamp(0, 1))
    torch.manual_seed(0)
    assert torch.equal(make()(images), expected)
    assert make()(images * 3 - 1).isfinite().all()


def test_nothing_leaks_into_the_model(make):
    model = torch.nn.Sequential(make(), torch.nn.Conv2d(3, 1, 1))
    assert len(list(model.parameters())) == 2
    assert set(model.state_dict()) == {"1.weight", "1.bias"}


def test_a_copy_works_and_a_pickle_costs_bytes():
    augment = StyleAugment(p=1.0)
    pickled = pickle.dumps(augment)
    assert len(pickled) < 10_000
    images = floats(1, 3, 16, 16)
    for other in (pickle.loads(pickled), copy.deepcopy(augment)):
        assert repr(other) == repr(augment)
        assert other(images).shape == images.shape


@pytest.mark.parametrize(
    ("augment", "text"),
    [
        (StyleAugment(), "StyleAugment(p=0.7)"),
        (
            StyleAugment("sensor", p=0.25, keepdim=True),
            "StyleAugment('sensor', p=0.25, keepdim=True)",
        ),
        (StyleAugment([Relight()], p_batch=0.5), "StyleAugment([Relight()], p=1.0, p_batch=0.5)"),
    ],
)
def test_repr_rebuilds_the_call(augment, text):
    assert repr(augment) == text
    assert repr(eval(text)) == text


WAYS = {
    "a name": lambda: "masks",
    "a preset": lambda: preset("masks"),
    "a transform": lambda: TorchTwin("masks"),
    "its settings": lambda: TorchTwin("masks").to_dict(),
}


@pytest.mark.parametrize("way", WAYS)
def test_stages_may_be_given_in_many_ways(way):
    augment = StyleAugment(WAYS[way]())
    assert augment.p == 0.7
    assert augment._augment.to_dict() == {**TorchTwin("masks").to_dict(), "p": 1.0}


def test_the_callback_of_a_transform_comes_along():
    plans = []
    augment = StyleAugment(TorchTwin([Relight()], callback=plans.append))
    augment(floats(3, 3, 16, 16))
    assert [plan.count for plan in plans] == [3]


def test_protection_is_refused_since_there_are_no_masks(pack):
    with pytest.raises(ValueError, match=r"protect must be 0 here.*is 0\.5"):
        StyleAugment(TorchTwin([Restyle(pack=pack)], protect=0.5))


def test_a_schedule_follows_the_progress(make):
    augment = make(Relight(strength=0), schedule={"Restyle": [(0, 0), (1, 1)]})
    images = floats(1, 3, 16, 16)
    for progress, same in [(0, True), (1, False)]:
        augment.set_progress(progress)
        assert torch.equal(augment(images), images) == same


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_compiled_code_calls_it_whatever_the_size_of_the_batch(p):
    augment = torch.compile(StyleAugment("sensor", p=p), backend="eager")
    for count in (4, 4, 3):
        assert augment(floats(count, 3, 16, 16)).shape == (count, 3, 16, 16)


def test_no_gradient_and_no_graph_comes_back(make):
    images = floats(2, 3, 16, 16).requires_grad_()
    assert not make()(images).requires_grad
