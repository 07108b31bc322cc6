"""StyleAugment: what it takes for an image, what it leaves alone, and what it refuses."""

import inspect
import json
from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from helpers import DTYPES, boxes, distance, pictures, pil_picture, same_pixels
from styleaug import Defocus, Relight, Restyle, SensorNoise, StyleAugment
from styleaug.stages.base import Stage

pytestmark = pytest.mark.usefixtures("seeded", "small_references")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (torch.Tensor, (3, 17, 41)),
        (torch.Tensor, (4, 3, 24, 32)),
        (torch.Tensor, (2, 3, 3, 16, 20)),
        (tv_tensors.Image, (1, 16, 16)),
        (tv_tensors.Image, (2, 2, 2, 1, 17, 18)),
        (tv_tensors.Video, (5, 3, 24, 32)),
        (tv_tensors.Video, (2, 2, 2, 1, 16, 16)),
    ],
)
def test_type_dtype_and_shape_stay(augment, kind, shape, dtype):
    images = pictures(*shape, dtype=dtype)
    images = images if kind is torch.Tensor else kind(images)
    before = images.clone()
    out = augment(Relight())(images)
    assert type(out) is kind
    assert (out.dtype, out.shape) == (dtype, images.shape)
    assert distance(out, images) > 3
    assert torch.equal(images, before)


@pytest.mark.parametrize(("mode", "plain"), [("RGBA", "RGB"), ("LA", "L")])
def test_alpha_is_kept_and_the_rest_styled_as_without_it(augment, mode, plain):
    picture = pil_picture(mode)
    alpha = Image.fromarray(np.arange(17 * 41, dtype=np.uint8).reshape(17, 41))
    picture.putalpha(alpha)
    torch.manual_seed(0)
    out = augment()(picture)
    torch.manual_seed(0)
    assert same_pixels(out.convert(plain), augment()(pil_picture(plain)))
    assert same_pixels(out.getchannel("A"), alpha)


def test_palette_images_are_styled_as_their_colours(augment):
    """Not dithered to a fixed palette: a new one is made for the new colours."""
    picture = pil_picture("P")
    torch.manual_seed(0)
    out = augment()(picture)
    torch.manual_seed(0)
    expected = np.asarray(augment()(picture.convert("RGB")), dtype=float)
    assert np.abs(np.asarray(out.convert("RGB")) - expected).mean() < 4


def test_a_palette_with_transparency_keeps_it_without_a_warning(augment):
    picture = pil_picture("P")
    picture.info["transparency"] = bytes([0] * 128 + [255] * 128)
    out = augment()(picture)
    assert out.mode == "P"
    before, after = (np.asarray(p.convert("RGBA"))[..., 3] for p in (picture, out))
    assert np.abs(before.astype(float) - after).mean() < 16


def test_an_hwc_array_seen_as_chw_is_an_image(augment):
    view = torch.from_numpy(pictures(24, 32, 3).numpy()).permute(2, 0, 1)
    torch.manual_seed(0)
    out = augment()(view)
    torch.manual_seed(0)
    assert distance(out, augment()(view.contiguous())) <= 2


def test_clips_take_the_style_of_other_clips(augment):
    """Donors are clips, not frames: with two clips each takes the other's."""
    clips = torch.stack([pictures(3, 3, 32, 32), 255 - pictures(3, 3, 32, 32, seed=1) // 3])
    transform = augment(styles="batch")
    params = transform.make_params([tv_tensors.Video(clips)])
    out = transform.transform(tv_tensors.Video(clips), params)
    expected = transform.transform(clips[:, 0], params)
    assert distance(out[:, 0], expected) <= 2


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16], ids=str)
def test_a_batch_gives_its_styles_to_each_other(augment, dtype):
    images = pictures(2, 3, 32, 32, dtype=torch.float32) / 4
    images[1] = 1 - images[1]
    images = (images * {torch.uint8: 255, torch.uint16: 65535}[dtype]).to(dtype)
    torch.manual_seed(0)
    out = augment(styles="batch")(images)
    torch.manual_seed(0)
    assert distance(out, augment()(images)) > 3
    alone = augment(styles="batch")(images[:1])  # takes one of the pack's
    assert alone.shape == images[:1].shape


def test_batches_of_two_sizes_in_one_sample_share_donors_that_there_are(augment):
    batch, first = augment(styles="batch")(
        tv_tensors.Image(pictures(4, 3, 32, 32)), tv_tensors.Image(pictures(2, 3, 32, 32))
    )
    assert (batch.shape[0], first.shape[0]) == (4, 2)


def test_a_seed_repeats_the_draws_and_they_differ_from_call_to_call(augment):
    images = pictures(4, 3, 24, 24)
    transform = augment(Relight(), mix=0.5, p=0.5, strength=(0, 1))
    runs = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        runs.append([transform(images), transform(images)])
    assert all(torch.equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert not torch.equal(runs[0][0], runs[0][1])
    assert not torch.equal(runs[0][0], runs[2][0])


@pytest.mark.usefixtures("fresh_caches")
def test_the_first_call_leaves_the_generator_where_a_later_one_does(augment):
    """Building the network draws nothing, or the first sample of a process would shift the rest."""
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        augment()(pictures(2, 3, 16, 16))
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


Sample = namedtuple("Sample", ["image", "target"])


def test_everything_but_the_image_comes_back_as_the_same_object(augment):
    target = {
        "boxes": boxes([[1, 2, 30, 40]], (48, 64)),
        "masks": tv_tensors.Mask(torch.eye(64, dtype=torch.bool)[:48]),
        "labels": torch.tensor([1]),
        "depth": torch.rand(3, 48, 64),
        "name": "part 7",
        "array": np.zeros(3),
        "none": None,
    }
    if hasattr(tv_tensors, "KeyPoints"):  # since torchvision 0.23
        target["points"] = tv_tensors.KeyPoints([[3.0, 4.0]], canvas_size=(48, 64))
    sample = Sample(tv_tensors.Image(pictures(3, 48, 64)), [target, (1, 2.5)])
    for settings in ({}, {"protect": 1}):
        out = augment(**settings)(sample)
        assert type(out) is Sample
        assert distance(out.image, sample.image) > 3
        assert [key for key in target if out.target[0][key] is not target[key]] == []
        assert out.target[1] == (1, 2.5)


def test_of_plain_tensors_only_the_first_is_an_image(augment):
    image, mask = pictures(3, 32, 32), pictures(3, 32, 32)
    out = augment()((image, mask))
    assert distance(out[0], image) > 3
    assert out[1] is mask


@pytest.mark.parametrize("labels", [torch.arange(4), torch.rand(4, 10)])
def test_labels_before_the_images_raise_with_the_way_out(augment, labels):
    """torchvision takes the first plain tensor for the image; silence would spoil the labels."""
    sample = {"labels": labels, "image": pictures(4, 3, 32, 32)}
    with pytest.raises(ValueError, match=r"holds labels.*tv_tensors\.Image"):
        augment()(sample)
    sample["image"] = tv_tensors.Image(sample["image"])
    assert augment()(sample)["labels"] is labels


def test_a_sample_without_an_image_passes_by(augment):
    sample = {"boxes": boxes([[1, 2, 3, 4]], (48, 64)), "name": "x"}
    for settings in ({}, {"protect": 1}):
        with pytest.warns(UserWarning, match="changes nothing"):
            assert augment(**settings)(sample)["boxes"] is sample["boxes"]


@pytest.mark.parametrize("shape", [(0, 3, 32, 32), (2, 0, 3, 32, 32)])
@pytest.mark.parametrize("styles", ["all", "batch"])
def test_no_images_are_no_trouble(augment, shape, styles):
    out = augment(Relight(), styles=styles)(tv_tensors.Image(torch.rand(shape)))
    assert out.shape == shape
    masks = tv_tensors.Mask(torch.zeros(0, 32, 32, dtype=torch.bool))
    assert augment(protect=1)(tv_tensors.Image(torch.rand(shape)), masks)[0].shape == shape


def test_it_takes_its_place_in_a_pipeline(augment):
    pipeline = v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            augment(Relight(), protect=0.5),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    image, label = tv_tensors.Image(pictures(3, 48, 64)), boxes([[1, 2, 30, 40]], (48, 64))
    out, moved = pipeline(image, label)
    assert out.dtype == torch.float32
    assert isinstance(out, tv_tensors.Image)
    assert moved.shape == (1, 4)
    with pytest.raises(ValueError, match="before Normalize"):
        augment()(out)


@pytest.mark.parametrize("stage", [Relight(strength=1), Defocus(sigma=3), SensorNoise(sigma=0.1)])
def test_a_stage_takes_its_place_in_a_pipeline_too(stage):
    pipeline = v2.Compose([stage, v2.RandomApply([stage], p=0.5), v2.ToDtype(torch.float32)])
    assert pipeline(pictures(3, 17, 11)).shape == (3, 17, 11)
    choice = v2.RandomChoice([stage, v2.Identity()])
    assert choice(pil_picture()).size == (41, 17)


def test_results_feed_a_model_that_trains(augment):
    layer = nn.Conv2d(3, 2, 3)
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    out = augment(Relight())(images)
    assert not out.requires_grad
    layer(out).square().mean().backward()
    assert layer.weight.grad.abs().max() > 0
    assert images.grad is None


def test_a_large_image_runs_on_a_small_copy(augment, stand_in):
    network = stand_in(lambda x: 1 - x)
    out = augment(working_size=64)(tv_tensors.Image(pictures(3, 900, 1200)))
    assert [tuple(images.shape) for images in network.seen] == [(1, 3, 64, 85)]
    assert out.shape == (3, 900, 1200)


def test_every_argument_of_every_stage_reaches_its_draws(augment):
    stages = [Relight(strength=0.3), Defocus(sigma=1.5), SensorNoise(sigma=0.04)]
    plan = augment(*stages, strength=0.2, texture=0.3).make_params([pictures(3, 3, 16, 16)])
    tensors = plan["drawn"].tensors()
    expected = {"Restyle.strength": 0.2, "SensorNoise.sigma": 0.04}
    for name, value in expected.items():
        torch.testing.assert_close(tensors[name], torch.full((3,), value / 3**0.5))
    torch.testing.assert_close(tensors["Restyle.texture"], torch.full((3,), 0.3))
    widths = tensors["Defocus.sigma"].amax(1)
    torch.testing.assert_close(widths, torch.full((3,), 1.5 / 3**0.5))
    assert plan["drawn"]["Relight"].active.any()
    assert plan["masks"] == {}


# --- settings ---


@pytest.mark.parametrize(
    "stages",
    [[], None, 5, [Relight], [Relight(), "Defocus"], ["masks"], [v2.Identity()], [nn.Identity()]],
    ids=repr,
)
def test_wrong_stages_are_refused(stages):
    with pytest.raises(ValueError, match=r"a preset's name, or stages such as \[Restyle\(\)"):
        StyleAugment(stages)


def test_a_transform_is_no_stage_of_another(augment):
    with pytest.raises(ValueError, match="or stages such as"):
        StyleAugment([augment()])


def test_one_stage_or_a_tuple_is_a_list():
    assert repr(StyleAugment(Relight())) == "StyleAugment([Relight()])"
    assert repr(StyleAugment((Relight(), Defocus()))) == "StyleAugment([Relight(), Defocus()])"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "a list of stages, .*but got None"),
        ({"stages": "masks"}, "a list of stages, .*but got 'masks'"),
        ({"stages": ["Relight"]}, "stage must be one of .*Defocus.*, but got 'Relight'"),
        ({"stages": [{"stage": "Blur"}]}, "stage must be one of .*Defocus.*'Blur'"),
        ({"stages": [{"stage": ["Blur"]}]}, "stage must be one of"),
        ({"stages": [{"strength": 1}]}, "stage must be one of"),
        ({"stages": [{"stage": "Relight", "blur": 1}]}, "Relight refuses its arguments .*'blur'"),
        ({"stages": [{"stage": "Relight", "strength": 2}]}, "^strength must satisfy 0 <= lo"),
        ({"stages": [{"stage": "Relight"}], "light": 1}, "must be known, but .*'light'"),
        ({"stages": [{"stage": "Relight"}], "p": 2}, "^p must be a number"),
    ],
)
def test_wrong_settings_from_a_file_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        StyleAugment.from_dict(json.loads(json.dumps(settings)))


def test_settings_are_not_changed_by_reading_them(pack_file):
    transform = StyleAugment([Restyle(["random-1", "random"], pack=pack_file)])
    settings = transform.to_dict()
    written = json.dumps(settings)
    twin = StyleAugment.from_dict(settings)
    assert json.dumps(settings) == written
    assert twin.stages[0].pool.names == transform.stages[0].pool.names
    assert json.dumps(twin.to_dict()) == written


def test_repr_shows_what_is_not_by_default(pack_file):
    stages = [
        Restyle("random", strength=(0, 0.7), pack=str(pack_file)),
        Relight(strength=0.5, p=0.2),
        SensorNoise(),
    ]
    transform = StyleAugment(stages, p=0.3, protect=True, schedule={"p": [(0, 1)]})
    assert repr(transform) == (
        f"StyleAugment([Restyle('random', strength=(0.0, 0.7), pack={str(pack_file)!r}), "
        "Relight(strength=(0.5, 0.5), p=0.2), SensorNoise()], p=0.3, "
        "schedule={'p': [(0, 1)]}, protect=1.0)"
    )


@pytest.mark.parametrize("name", ["Restyle", "Relight", "Defocus", "SensorNoise"])
def test_settings_of_a_stage_are_all_its_arguments_and_their_defaults(name):
    kind = Stage.kinds[name]
    parameters = inspect.signature(kind).parameters
    assert list(kind().to_dict()) == ["stage", *parameters]
    assert repr(kind()) == f"{name}()"
    for key, parameter in parameters.items():
        value = getattr(kind(), key)
        assert value == parameter.default, key


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_model_around_it_takes_batches_of_any_size(augment):
    """What a batch draws is nothing to compile; the last batch of an epoch is smaller."""
    torch._dynamo.reset()
    model = nn.Sequential(augment(Relight(), SensorNoise()), nn.Conv2d(3, 2, 3))
    compiled = torch.compile(model, backend="eager")
    for count in (4, 4, 3, 1):
        assert compiled(torch.rand(count, 3, 20, 24)).shape == (count, 2, 18, 22)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_may_be_compiled_itself(augment):
    torch._dynamo.reset()
    transform = augment(Relight(), SensorNoise())
    compiled = torch.compile(transform, backend="eager")
    for count in (4, 4, 3, 1):
        images = pictures(count, 3, 20, 24)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(count)
            wanted = transform(images)
            torch.manual_seed(count)
            assert torch.equal(compiled(images), wanted)


@pytest.mark.parametrize(
    "sample",
    [
        np.zeros((32, 32, 3), np.uint8),
        (np.zeros((32, 32, 3), np.uint8), 3),
        {"image": np.zeros((32, 32, 3), np.uint8), "label": 3},
    ],
)
@pytest.mark.parametrize("make", [lambda: StyleAugment([Relight()]), Relight])
def test_a_sample_of_numpy_arrays_changes_nothing_and_says_so_once(make, sample):
    transform = make()
    with pytest.warns(UserWarning, match=r"changes nothing.*holds .*numpy.ndarray.*permute"):
        assert transform(sample) is not None
    transform(sample)  # once: further warnings fail tests


def test_a_sample_of_labels_alone_says_that_nothing_is_changed():
    with pytest.warns(UserWarning, match=r"holds Mask\b|holds torchvision.Mask"):
        StyleAugment([Relight()])(tv_tensors.Mask(torch.zeros(1, 8, 8)))


def test_arguments_of_other_types_are_refused():
    augment, image = StyleAugment("lighting"), torch.rand(1, 3, 8, 8)
    with pytest.raises(ValueError, match="count must be a whole number of at least 0, but got -1"):
        augment.draw(-1)
    plan = augment.draw(1)
    with pytest.raises(ValueError, match="but got Image and Plan"):
        augment.render(pil_picture(), plan)
    with pytest.raises(ValueError, match="but got Tensor and dict"):
        augment.render(image, plan.to_dict())
    with pytest.raises(ValueError, match="callback must be callable, but is 3"):
        StyleAugment("lighting", callback=3)
