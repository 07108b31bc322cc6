"""StyleAugment: what it takes for an image, what it leaves alone, and how it travels."""

import copy
import pickle
from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from helpers import DTYPES, FULL, TINY, boxes, distance, pictures, pil_picture, same_pixels
from styleaug import StyleAugment, StylePack

pytestmark = pytest.mark.usefixtures("seeded", "small_references")

OFF = {"p": 1, "strength": 0, "light": 0}


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
    out = augment(light=(0, 1))(images)
    assert type(out) is kind
    assert (out.dtype, out.shape) == (dtype, images.shape)
    assert distance(out, images) > 3
    assert torch.equal(images, before)


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"]


@pytest.mark.parametrize("mode", MODES)
def test_pil_images_keep_mode_size_and_themselves(augment, mode):
    picture = pil_picture(mode)
    before = picture.copy()
    out = augment()(picture)
    assert isinstance(out, Image.Image)
    assert (out.mode, out.size) == (mode, (41, 17))
    assert not same_pixels(out, picture)
    assert same_pixels(picture, before)


@pytest.mark.parametrize("mode", MODES)
def test_pil_images_that_are_left_alone_come_back_exactly(augment, mode):
    picture = pil_picture(mode)
    out = augment(**OFF)(picture)
    assert out is not picture
    assert same_pixels(out, picture)


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


@pytest.mark.parametrize("mode", ["I", "I;16", "I;16B", "F"])
def test_deeper_pil_images_are_refused_with_advice(augment, mode):
    with pytest.raises(TypeError, match=rf"8 bits a channel, but got mode '{mode}'.*float tensor"):
        augment()(Image.new(mode, (32, 32)))


@pytest.mark.parametrize("form", ["tensor", "Image", "PIL", "video"])
@pytest.mark.parametrize("settings", [OFF, {"p": 0, "light": 1}], ids=["strength 0", "p 0"])
def test_off_is_exact(augment, form, settings):
    images = {
        "tensor": pictures(4, 3, 17, 41, dtype=torch.float32) * 1.0005 - 1e-4,
        "Image": tv_tensors.Image(pictures(3, 17, 41)),
        "PIL": pil_picture(),
        "video": tv_tensors.Video(pictures(2, 5, 3, 16, 16)),
    }[form]
    out = augment(**settings)(images)
    assert same_pixels(out, images) if form == "PIL" else torch.equal(out, images)


def test_a_read_only_array_is_read_only(augment):
    """torch warns of read-only arrays when it wraps them; what comes after must not write."""
    array = pictures(2, 3, 24, 24).numpy().copy()
    images = torch.from_numpy(array)
    array.setflags(write=False)
    before = array.copy()
    out = augment(light=1)(images)
    out.zero_()
    assert np.array_equal(array, before)
    picture = Image.fromarray(before[0].transpose(1, 2, 0))
    picture.readonly = 1
    assert augment()(picture).size == (24, 24)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_memory_format_of_a_batch_stays(augment, memory_format):
    images = pictures(4, 3, 24, 32).contiguous(memory_format=memory_format)
    assert augment()(images).is_contiguous(memory_format=memory_format)


def test_an_hwc_array_seen_as_chw_is_an_image(augment):
    array = pictures(24, 32, 3).numpy()
    view = torch.from_numpy(array).permute(2, 0, 1)
    torch.manual_seed(0)
    out = augment()(view)
    torch.manual_seed(0)
    assert distance(out, augment()(view.contiguous())) <= 2


def test_each_image_of_a_batch_has_its_own_style(augment):
    one = pictures(1, 3, 32, 32)
    out = augment(mix=0.5)(one.repeat(6, 1, 1, 1))
    assert min(distance(out[i], out[j]) for i in range(6) for j in range(i)) > 0
    out = augment(mix=0.5)(one.repeat(6, 1, 1, 1).view(2, 3, 3, 32, 32)).flatten(0, 1)
    assert min(distance(out[i], out[j]) for i in range(6) for j in range(i)) > 0


def test_a_clip_has_one_style_and_each_clip_another(augment):
    frame = pictures(1, 3, 32, 32)
    out = augment(light=1)(tv_tensors.Video(frame.expand(2, 4, 3, 32, 32)))
    assert distance(out, out[:, :1].expand_as(out)) == 0
    assert distance(out[0], out[1]) > 3
    clip = augment()(tv_tensors.Video(frame.expand(4, 3, 32, 32)))
    assert distance(clip, clip[:1].expand_as(clip)) == 0


def test_clips_take_the_style_of_other_clips(augment):
    """Donors are clips, not frames: with two clips each takes the other's."""
    clips = torch.stack([pictures(3, 3, 32, 32), 255 - pictures(3, 3, 32, 32, seed=1) // 3])
    out = augment(styles="batch")(tv_tensors.Video(clips))
    expected = augment(styles="batch")(clips[:, 0])
    assert distance(out[:, 0], expected) <= 2


def test_a_batch_gives_its_styles_to_each_other(augment):
    dark, light = pictures(1, 3, 32, 32) // 4, 255 - pictures(1, 3, 32, 32) // 4
    out = augment(styles="batch")(torch.cat([dark, light]))
    pack_style = augment()(torch.cat([dark, light]))
    assert distance(out, pack_style) > 3
    alone = augment(styles="batch")(dark)  # takes one of the pack's
    assert alone.shape == dark.shape


def test_images_of_one_sample_share_their_plan(augment):
    """As everywhere in torchvision: left and right of a stereo pair look alike."""
    left = tv_tensors.Image(pictures(3, 32, 32))
    a, b, c = augment(light=1)(left, tv_tensors.Image(left.clone()), pil_picture(width=32))
    assert torch.equal(a, b)
    assert c.size == (32, 17)
    batch, first = augment(styles="batch")(
        tv_tensors.Image(pictures(4, 3, 32, 32)), tv_tensors.Image(pictures(2, 3, 32, 32))
    )
    assert (batch.shape[0], first.shape[0]) == (4, 2)


def test_a_seed_repeats_the_draws_and_they_differ_from_call_to_call(augment):
    images = pictures(4, 3, 24, 24)
    transform = augment(mix=0.5, p=0.5, strength=(0, 1), light=(0, 1))
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


def test_p_is_the_share_of_images_not_of_batches(augment):
    images = pictures(1, 3, 16, 16).repeat(200, 1, 1, 1)
    out = augment(p=0.3, strength=1)(images)
    changed = (out != images).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(0.3, abs=0.08)


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
        assert augment(**settings)(sample)["boxes"] is sample["boxes"]


@pytest.mark.parametrize("shape", [(0, 3, 32, 32), (2, 0, 3, 32, 32)])
@pytest.mark.parametrize("styles", ["all", "batch"])
def test_no_images_are_no_trouble(augment, shape, styles):
    out = augment(styles=styles, light=1)(tv_tensors.Image(torch.rand(shape)))
    assert out.shape == shape
    masks = tv_tensors.Mask(torch.zeros(0, 32, 32, dtype=torch.bool))
    assert augment(protect=1)(tv_tensors.Image(torch.rand(shape)), masks)[0].shape == shape


def test_it_hides_its_weights_from_the_model_around_it(augment):
    model = nn.Sequential(augment(), nn.Conv2d(3, 4, 3))
    model[0](pictures(2, 3, 16, 16))
    assert sorted(model.state_dict()) == ["1.bias", "1.weight"]
    assert sum(1 for _ in model.parameters()) == 2
    assert sum(1 for _ in model.modules()) == 3
    model.half().train().requires_grad_(False)
    out = model[0](pictures(2, 3, 16, 16))
    assert distance(out, pictures(2, 3, 16, 16)) > 3


def test_a_pickled_transform_is_small_and_draws_alike(tmp_path):
    """However many styles it draws from: the file holds them."""
    file = tmp_path / "many.safetensors"
    StylePack.random(TINY, rows=500).save(file)
    for given in (str(file), file, StylePack.load(file)):
        transform = StyleAugment(["random", "random-1"], pack=given, **FULL)
        transform(pictures(2, 3, 16, 16))
        pickled = pickle.dumps(transform)
        assert len(pickled) < 10_000
        assert_alike(transform, pickle.loads(pickled))


def test_a_copied_transform_draws_alike(augment, pack_file):
    assert_alike(augment(), copy.deepcopy(augment()))
    assert_alike(augment(), copy.copy(augment()))
    from_file = StyleAugment(pack=str(pack_file))
    assert_alike(from_file, copy.deepcopy(from_file))


def assert_alike(a, b):
    images = pictures(4, 3, 16, 16)
    torch.manual_seed(2)
    expected = a(images)
    torch.manual_seed(2)
    assert torch.equal(b(images), expected)
    assert repr(a) == repr(b)


def test_references_travel_by_path(pack_file, tmp_path):
    """The copy reads them itself; styles given as an iterator are not used up."""
    pil_picture().save(tmp_path / "x.png")
    transform = StyleAugment(iter([tmp_path]), pack=str(pack_file), **FULL)
    assert len(pickle.dumps(transform)) < 10_000
    assert_alike(transform, pickle.loads(pickle.dumps(transform)))


def test_repr_is_the_call(pack_file):
    transform = StyleAugment("random", p=0.3, light=(0, 0.7), protect=True, pack=str(pack_file))
    twin = eval(repr(transform))
    assert repr(twin) == repr(transform)
    for part in ["StyleAugment(styles='random'", "p=0.3", "light=(0, 0.7)", "protect=1.0"]:
        assert part in repr(transform)


def test_it_takes_its_place_in_a_pipeline(augment):
    pipeline = v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            augment(protect=0.5),
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


def test_results_feed_a_model_that_trains(augment):
    layer = nn.Conv2d(3, 2, 3)
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    out = augment(light=1)(images)
    assert not out.requires_grad
    layer(out).square().mean().backward()
    assert layer.weight.grad.abs().max() > 0
    assert images.grad is None


@pytest.mark.parametrize("default", [torch.float64, "meta"])
def test_torchs_defaults_of_dtype_and_device_do_not_matter(augment, fresh_caches, default):
    images, transform = pictures(2, 3, 16, 16), augment(light=1, styles="batch", protect=1)
    sample = images, tv_tensors.Mask(torch.ones(2, 16, 16))
    torch.manual_seed(1)
    expected, _ = transform(*sample)
    try:
        if default == "meta":
            torch.set_default_device(default)
        else:
            torch.set_default_dtype(default)
        torch.manual_seed(1)
        out, _ = transform(*sample)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    assert distance(out, expected) <= 1


def test_a_large_image_runs_on_a_small_copy(augment, stand_in):
    network = stand_in(lambda x: 1 - x)
    out = augment(working_size=64)(tv_tensors.Image(pictures(3, 900, 1200)))
    assert [tuple(images.shape) for images in network.seen] == [(1, 3, 64, 85)]
    assert out.shape == (3, 900, 1200)


@pytest.mark.parametrize("threads", [8])
def test_threads_may_share_a_transform(augment, threads):
    """Thread pools of some loaders do: no per-call state lies on the transform."""
    from concurrent.futures import ThreadPoolExecutor

    transform = augment(styles="batch", light=1)
    images = pictures(4, 3, 16, 16)
    params = [transform.make_params([images]) for _ in range(4 * threads)]
    expected = [transform.transform(images, p) for p in params]
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda p: transform.transform(images, p), params)
    assert all(distance(a, b) <= 2 for a, b in zip(found, expected, strict=True))


def test_every_range_reaches_the_plan(augment):
    ranges = {"strength": 0.2, "texture": 0.3, "grain": 0.4}
    plan = augment(**ranges, light=1).make_params([pictures(3, 3, 16, 16)])["plan"]
    for name, value in {"strength": 0.2 / 2**0.5, "texture": 0.3, "grain": 0.4 / 2**0.5}.items():
        torch.testing.assert_close(getattr(plan, name), torch.full((3,), value))
    assert plan.relit.any()
