"""What holds for each stage alone, and for all of them in a ``StyleAugment``."""

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import tv_tensors

from helpers import (
    DTYPES,
    boxes,
    distance,
    pictures,
    pil_picture,
    same_pixels,
    torch_generator_stays,
)
from styleaug import Defocus, Equalize, Relief, Relight, Restyle, SensorNoise, StyleAugment
from styleaug.augment.plan import Plan
from styleaug.stages.base import Stage

pytestmark = pytest.mark.usefixtures("seeded")

KINDS = ["Restyle", "Equalize", "Relief", "Relight", "Defocus", "SensorNoise", "StyleAugment"]
OFF = {
    "Restyle": "strength",
    "Equalize": "strength",
    "Relief": "strength",
    "Relight": "strength",
    "Defocus": "sigma",
    "SensorNoise": "sigma",
}
HALF_LEVELS = 2
"""What half-precision networks may differ by, in levels of 255, when another batch size takes
another kernel: a bfloat16 has 8 bits, so the last of them is worth up to one level."""
SIZES = [(16, 16), (17, 11), (40, 19), (1, 1)]


@pytest.fixture(params=KINDS)
def transform(request, pack_file):
    """One that changes every image much."""
    if request.param != "StyleAugment":
        return stage_of(request.param, pack_file)
    stages = [stage_of(name, pack_file) for name in KINDS[:-1]]
    for stage in (stages[0], *stages[2:]):
        stage.p = 0.6
    return StyleAugment(stages)


@pytest.fixture
def off(transform, pack_file):
    """One of the same kind whose amounts are all 0."""
    names = KINDS[:-1] if isinstance(transform, StyleAugment) else [type(transform).__name__]
    stages = [stage_of(name, pack_file, **{OFF[name]: 0}) for name in names]
    return StyleAugment(stages) if isinstance(transform, StyleAugment) else stages[0]


def stage_of(name, pack_file, **settings):
    strong = {
        "Restyle": {"strength": 1, "texture": 1, "pack": str(pack_file)},
        "Equalize": {"strength": (0.5, 1)},
        "Relief": {"strength": 1, "flip": 1},
        "Relight": {"strength": 1},
        "Defocus": {"sigma": (2, 4)},
        "SensorNoise": {"sigma": (0.1, 0.2)},
    }
    return Stage.kinds[name](**{**strong[name], **settings})


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def steps(drawn):
    return list(drawn.values()) if isinstance(drawn, Plan) else [drawn]


def only(drawn, chosen):
    """The same with nothing done to the other images."""
    return drawn.only(chosen) if isinstance(drawn, Plan) else drawn.scaled(chosen.float())


def equal(a, b):
    """Whether two plans, or params, hold the same."""
    return all(
        type(x) is type(y)
        and [*x.tensors()] == [*y.tensors()]
        and all(torch.equal(v, y.tensors()[k]) for k, v in x.tensors().items())
        and all(getattr(x, name) == getattr(y, name) for name in x._tuples())
        for x, y in zip(steps(a), steps(b), strict=True)
    )


# --- images ---


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_shape_and_dtype_stay_and_the_input_too(transform, dtype, channels, size):
    images = pictures(2, channels, *size, dtype=dtype)
    before = images.clone()
    out = transform.render(images, transform.draw(2, generator()))
    assert (out.shape, out.dtype, out.device) == (images.shape, dtype, images.device)
    assert torch.equal(images, before)
    if size != (1, 1):
        assert distance(out, images) > 3


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_untouched_images_come_back_bit_for_bit(transform, dtype):
    """Those of a mixed batch, next to others; float noise beyond [0, 1] among them."""
    images = pictures(8, 3, 24, 32, dtype=dtype)
    if dtype.is_floating_point:
        images[:, 0, 0, 0] = -5e-4
    chosen = torch.arange(8) % 3 == 1
    out = transform.render(images, only(transform.draw(8, generator()), chosen))
    for one, before, changed in zip(out, images, chosen, strict=True):
        assert distance(one, before) > 3 if changed else torch.equal(one, before)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_amount_zero_returns_a_copy_of_the_same_bits(off, dtype):
    images = pictures(2, 3, 17, 41, dtype=dtype)
    out = off.render(images, off.draw(2))
    assert torch.equal(out, images)
    out.zero_()
    assert images.float().any()


@pytest.mark.parametrize("form", ["tensor", "uint16", "Image", "PIL", "I;16", "video"])
def test_off_is_exact(off, form):
    images = {
        "tensor": pictures(4, 3, 17, 41, dtype=torch.float32) * 1.0005 - 1e-4,
        "uint16": pictures(3, 17, 41, dtype=torch.uint16),
        "Image": tv_tensors.Image(pictures(3, 17, 41)),
        "PIL": pil_picture(),
        "I;16": pil_picture("I;16"),
        "video": tv_tensors.Video(pictures(2, 5, 3, 16, 16)),
    }[form]
    out = off(images)
    assert type(out) is type(images)
    same = same_pixels if isinstance(images, Image.Image) else torch.equal
    assert same(out, images)


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_its_images_one_by_one(transform, channels):
    images = pictures(6, channels, 24, 40, dtype=torch.float32)
    drawn = only(transform.draw(6, generator()), torch.arange(6) != 2)
    alone = [transform.render(images[i : i + 1], drawn.select([i])) for i in range(6)]
    assert distance(transform.render(images, drawn), torch.cat(alone)) < 0.01


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", ["none", "some", "all"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32], ids=str)
def test_the_memory_format_stays(transform, memory_format, kind, dtype):
    images = pictures(6, 3, 24, 32, dtype=dtype).contiguous(memory_format=memory_format)
    chosen = {"none": torch.zeros(6), "some": torch.arange(6) % 2, "all": torch.ones(6)}[kind]
    drawn = only(transform.draw(6, generator()), chosen.bool())
    out = transform.render(images, drawn)
    assert out.is_contiguous(memory_format=memory_format)
    assert distance(out, transform.render(images.contiguous(), drawn)) <= HALF_LEVELS


LAYOUTS = {
    "expanded": lambda x: x[:1].expand(2, -1, -1, -1),
    "strided": lambda x: x[..., ::2, 1::2],
    "transposed": lambda x: x.mT,
    "from HWC": lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
    "one channel of three": lambda x: x[:, 1:2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32], ids=str)
def test_any_memory_layout_gives_the_same_and_stays_as_it_was(transform, layout, dtype):
    base = pictures(2, 3, 48, 64, dtype=dtype)
    before = base.clone()
    images, drawn = LAYOUTS[layout](base), transform.draw(2, generator())
    out = transform.render(images, drawn)
    assert distance(out, transform.render(images.clone(), drawn)) <= HALF_LEVELS
    assert torch.equal(base, before)
    untouched = transform.render(images, only(drawn, torch.tensor([False, False])))
    assert torch.equal(untouched, images)
    untouched[0] = 0  # an expanded result would be written twice, or refuse
    out[0] = 0
    assert torch.equal(base, before)


def test_a_read_only_array_is_read_only(transform):
    """torch warns of read-only arrays when it wraps them; what comes after must not write."""
    array = pictures(2, 3, 24, 24).numpy().copy()
    images = torch.from_numpy(array)
    array.setflags(write=False)
    before = array.copy()
    transform(images).zero_()
    assert np.array_equal(array, before)
    picture = Image.fromarray(before[0].transpose(1, 2, 0))
    picture.readonly = 1
    assert transform(picture).size == (24, 24)


@pytest.mark.parametrize("shape", [(0, 3, 32, 32), (2, 0, 3, 32, 32)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32], ids=str)
def test_no_images_are_no_trouble(transform, shape, dtype):
    images = torch.empty(shape, dtype=dtype)
    assert transform(images).shape == shape
    assert transform(tv_tensors.Video(images)).shape == shape
    flat = images.reshape(-1, 3, 32, 32)
    assert transform.render(flat, transform.draw(0)).shape == flat.shape
    assert transform.render(flat, transform.draw(1)).shape == flat.shape


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"]
DEEP = ["I", "I;16", "I;16B", "I;16L", "I;16N"]


@pytest.mark.parametrize("mode", [*MODES, *DEEP])
def test_pil_images_keep_mode_size_and_themselves(transform, mode):
    picture = pil_picture(mode)
    before = picture.copy()
    out = transform(picture)
    assert isinstance(out, Image.Image)
    assert (out.mode, out.size) == (mode, (41, 17))
    assert mode == "1" or not same_pixels(out, picture)  # light keeps black and white
    assert same_pixels(picture, before)


@pytest.mark.parametrize("mode", [*MODES, *DEEP])
def test_pil_images_that_are_left_alone_come_back_exactly(off, mode):
    picture = pil_picture(mode)
    out = off(picture)
    assert out is not picture
    assert same_pixels(out, picture)


@pytest.mark.parametrize("mode", DEEP)
def test_sixteen_bit_pictures_are_changed_as_their_tensors(transform, mode):
    """Pillow's own conversion between these modes clips to 8 bits."""
    picture = pil_picture(mode)
    tensor = torch.from_numpy(np.array(picture).astype(np.uint16))[None]
    torch.manual_seed(0)
    out = np.array(transform(picture)).astype(np.uint16)
    torch.manual_seed(0)
    assert np.array_equal(out, transform(tensor)[0].numpy())
    assert len(np.unique(out)) > 256


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_a_transparent_level_of_a_sixteen_bit_picture_is_no_trouble(transform, mode):
    """PNG files may name one; Pillow would make 8 bits of the picture."""
    picture = pil_picture(mode)
    picture.info["transparency"] = 0
    assert transform(picture).mode == mode


def test_pil_images_of_floats_are_refused_with_advice(transform):
    with pytest.raises(ValueError, match=r"mode F must hold values in \[0, 1\].*from 7 to 7"):
        transform(Image.new("F", (32, 32), 7))


def test_pil_integers_beyond_sixteen_bits_are_refused(transform):
    with pytest.raises(ValueError, match=r"\[0, 65535\], but they range from 0 to 70000"):
        transform(Image.fromarray(np.array([[0, 70000]], dtype=np.int32)))


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        (torch.full((1, 3, 32, 32), 2.0), ValueError, "before Normalize"),
        (torch.full((3, 32, 32), torch.nan), ValueError, "finite"),
        (torch.full((3, 32, 32), 1e30), ValueError, "finite values"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.int32), TypeError, "uint8, uint16 or floating"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.complex64), TypeError, "uint8, uint16 or floating"),
        (torch.zeros(4, 32, 32), ValueError, "1 or 3 channels"),
        (torch.arange(4), ValueError, r"holds labels.*tv_tensors\.Image"),
    ],
    ids=["255", "NaN", "huge", "int32", "complex", "4 channels", "labels"],
)
def test_what_is_no_image_is_refused(transform, images, error, words):
    with pytest.raises(error, match=words):
        transform(images)


@pytest.mark.parametrize(
    ("shape", "count", "words"),
    [
        ((3, 32, 32), 1, r"images \(B, C, H, W\) and a plan of B rows, or of one.*\(3, 32, 32\)"),
        ((2, 3, 32, 32), 3, r"but got \(2, 3, 32, 32\) and \[3.*\] rows"),
        ((1, 2, 32, 32), 1, "1 or 3 channels"),
    ],
)
def test_images_and_what_was_drawn_must_fit(transform, shape, count, words):
    with pytest.raises(ValueError, match=words):
        transform.render(torch.zeros(shape, dtype=torch.uint8), transform.draw(count))


@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (2, 16, 16), (2, 3, 16, 16), (2, 1, 16, 17)])
def test_a_strength_mask_that_does_not_fit_is_refused(transform, shape):
    with pytest.raises(ValueError, match=r"strength_mask must be \(B, 1, H, W\)"):
        transform.render(pictures(2, 3, 16, 16), transform.draw(2), strength_mask=torch.ones(shape))


# --- randomness ---


def test_a_seed_gives_one_draw_and_another_seed_another(transform):
    with torch_generator_stays():
        assert equal(transform.draw(8, generator()), transform.draw(8, generator()))
        assert not equal(transform.draw(8, generator()), transform.draw(8, generator(1)))


def test_without_a_generator_torchs_own_is_used(transform):
    torch.manual_seed(5)
    first, second = transform.draw(4), transform.draw(4)
    torch.manual_seed(5)
    assert equal(first, transform.draw(4))
    assert not equal(first, second)


def test_what_was_drawn_is_replayed_exactly_and_draws_nothing(transform):
    images, drawn = pictures(4, 3, 24, 32), transform.draw(4, generator())
    with torch_generator_stays():
        assert torch.equal(transform.render(images, drawn), transform.render(images, drawn))


def test_each_image_of_a_batch_has_its_own_draw(transform):
    one = pictures(1, 3, 32, 32)
    for batch in (one.repeat(6, 1, 1, 1), one.repeat(6, 1, 1, 1).view(2, 3, 3, 32, 32)):
        out = transform(batch).reshape(6, 3, 32, 32)
        assert min(distance(out[i], out[j]) for i in range(6) for j in range(i)) > 0


def test_a_clip_has_one_draw_and_each_clip_another(transform):
    frame = pictures(1, 3, 32, 32)
    out = transform(tv_tensors.Video(frame.expand(2, 4, 3, 32, 32)))
    assert distance(out, out[:, :1].expand_as(out)) == 0
    assert distance(out[0], out[1]) > 3
    clip = transform(tv_tensors.Video(frame.expand(4, 3, 32, 32)))
    assert distance(clip, clip[:1].expand_as(clip)) == 0


def test_one_row_serves_every_image_of_a_batch(transform):
    images, drawn = pictures(5, 3, 24, 32), transform.draw(1, generator())
    out = transform.render(images, drawn)
    for i in range(5):
        assert distance(out[i : i + 1], transform.render(images[i : i + 1], drawn)) <= HALF_LEVELS
    assert equal(drawn.spread(5), drawn.select([0] * 5))


@pytest.mark.parametrize("kind", [torch.Tensor, tv_tensors.Image, tv_tensors.Video])
def test_params_of_one_image_serve_a_batch(transform, kind):
    """As torchvision's own helper ``_check_kernel_batched_vs_unbatched`` does it."""
    images = pictures(4, 3, 24, 32)
    params = transform.make_params([images[0]])
    out = transform.transform(images.as_subclass(kind), params)
    assert type(out) is kind
    alone = [transform.transform(image, params) for image in images]
    assert distance(out, torch.stack(alone)) <= HALF_LEVELS


@pytest.mark.parametrize(("drawn_for", "used_on"), [(3, 4), (0, 1), (2, 7)])
def test_too_few_rows_are_refused(transform, drawn_for, used_on):
    images = pictures(7, 3, 16, 16)
    params = transform.make_params([images[:drawn_for]])
    with pytest.raises(ValueError, match=f"{drawn_for} rows cannot serve {used_on} images"):
        transform.transform(images[:used_on], params)


def test_images_of_one_sample_share_their_draw(transform):
    """As everywhere in torchvision: left and right of a stereo pair look alike."""
    left = tv_tensors.Image(pictures(3, 32, 32))
    a, b, c = transform(left, tv_tensors.Image(left.clone()), pil_picture(width=32))
    assert torch.equal(a, b)
    assert c.size == (32, 17)
    batch, first = transform(tv_tensors.Image(left.repeat(4, 1, 1, 1)), left)
    assert distance(batch[0], first) <= HALF_LEVELS


def test_p_is_the_share_of_images_not_of_batches(transform):
    transform.p = 0.3
    images = pictures(1, 3, 16, 16).repeat(200, 1, 1, 1)
    changed = (transform(images) != images).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(0.3, abs=0.08)


@pytest.mark.parametrize("p", [0, 1])
def test_p_zero_is_never_and_p_one_always(transform, p):
    transform.p = p
    drawn = steps(transform.make_params([pictures(500, 1, 1, 1)])["drawn"])
    assert torch.stack([params.active for params in drawn]).any(0).float().mean() == pytest.approx(
        p, abs=0.01
    )


# --- what was drawn ---


def test_what_is_drawn_has_one_row_an_image_on_the_cpu(transform):
    for count in (7, 1, 0):
        drawn = transform.draw(count, generator())
        for params in steps(drawn):
            assert len(params) == len(params.active) == count
            for tensor in params.tensors().values():
                assert len(tensor) == count
                assert tensor.device.type == "cpu"
                assert tensor.dtype in (torch.float32, torch.int64)


@pytest.mark.parametrize("count", [6, 1, 0])
def test_what_is_drawn_survives_json_exactly(transform, count):
    drawn = transform.draw(count, generator())
    again = type(drawn).from_dict(json.loads(json.dumps(drawn.to_dict())))
    assert equal(again, drawn) or not count  # of no images, JSON keeps no width of codes
    images = pictures(count, 3, 16, 16)
    assert torch.equal(transform.render(images, again), transform.render(images, drawn))


def test_rows_are_selected_in_the_order_given_and_joined_row_by_row(transform):
    drawn = transform.draw(5, generator())
    some = drawn.select([3, 0, 0])
    for a, b in zip(steps(some), steps(drawn), strict=True):
        for name, tensor in b.tensors().items():
            assert torch.equal(a.tensors()[name], tensor[[3, 0, 0]])
    assert equal(drawn.select(torch.tensor([3, 0, 0])), some)
    assert equal(type(drawn).join([drawn.select([0, 1]), drawn.select([2, 3, 4])]), drawn)
    assert [len(params) for params in steps(drawn.select([]))] == [0] * len(steps(drawn))


def test_a_mask_selects_the_rows_that_it_marks(transform):
    """As a row index, True would be row 1."""
    drawn = transform.draw(3, generator())
    assert equal(drawn.select(torch.tensor([True, False, True])), drawn.select([0, 2]))
    assert equal(drawn.select([False, False, True]), drawn.select([2]))


def test_tensors_are_enough_to_render(transform):
    drawn, images = transform.draw(4, generator()), pictures(4, 3, 24, 24)
    again = type(drawn).from_tensors(drawn.tensors())
    assert torch.equal(transform.render(images, again), transform.render(images, drawn))


def test_amounts_scale_to_nothing_and_stay_at_one(transform):
    for params in steps(transform.draw(4, generator())):
        assert equal(params.scaled(torch.ones(4)), params)
        assert not params.scaled(torch.zeros(4)).active.any()
        active = params.scaled(torch.tensor([1.0, 0, 1, 0])).active
        assert torch.equal(active, params.active & torch.tensor([True, False, True, False]))


def test_reports_are_plain_values(transform):
    for params in steps(transform.draw(3, generator())):
        for row in range(3):
            assert {type(v) for v in params.describe(row).values()} <= {str, float}
            json.dumps(params.describe(row), allow_nan=False)


# --- torch's modes ---


@pytest.mark.parametrize("default", [torch.float64, torch.float16, "meta"], ids=str)
def test_torchs_defaults_of_dtype_and_device_do_not_matter(transform, default):
    images = pictures(6, 3, 16, 16, dtype=torch.float32)
    transform.p = 0.5
    torch.manual_seed(1)
    params = transform.make_params([images])
    expected = transform.transform(images, params)
    try:
        if default == "meta":
            torch.set_default_device(default)
        else:
            torch.set_default_dtype(default)
        torch.manual_seed(1)
        fresh = transform.make_params([images])["drawn"]
        drawn = type(fresh).from_dict(fresh.select([0, 1, 2, 3, 4, 5]).to_dict())
        out = transform.transform(images, {"drawn": drawn, "masks": {}})
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    assert equal(drawn, params["drawn"])
    for params in (*steps(fresh), *steps(drawn)):
        dtypes = {(tensor.dtype, tensor.device.type) for tensor in params.tensors().values()}
        assert dtypes <= {(torch.float32, "cpu"), (torch.int64, "cpu")}
    assert out.dtype == torch.float32
    assert distance(out, expected) < 0.01


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode, torch.no_grad])
@pytest.mark.parametrize("chosen", [0, 1])
def test_results_carry_no_history_in_any_mode(transform, mode, chosen):
    images = pictures(2, 3, 16, 16, dtype=torch.float32).requires_grad_()
    with mode():
        drawn = only(transform.draw(2), torch.tensor([chosen == 1] * 2))
        out = transform.render(images, drawn)
    assert not out.requires_grad
    assert images.grad is None


@pytest.mark.usefixtures("fresh_caches")
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode])
def test_results_feed_a_model_that_trains(transform, mode):
    """Inference tensors could not: their values cannot be saved for backward."""
    images = pictures(2, 3, 16, 16, dtype=torch.float32)
    with mode():
        drawn = transform.draw(2)  # and the network is built, and cached
        transform.render(images, drawn)
    layer = nn.Conv2d(3, 2, 3)
    layer(transform.render(images, drawn)).square().mean().backward()
    assert layer.weight.grad.abs().max() > 0


@pytest.mark.usefixtures("float32")
def test_autocast_of_the_caller_changes_nothing(transform):
    images, drawn = pictures(4, 3, 24, 24, dtype=torch.float32), transform.draw(4, generator())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = transform.render(images, drawn)
    assert torch.equal(out, transform.render(images, drawn))


class Kind(torch.Tensor):
    """A tensor class of somebody else."""


def test_tensors_of_other_classes_are_images(transform):
    images = pictures(2, 3, 16, 16, dtype=torch.float32)
    drawn = transform.make_params([images])
    expected = transform.transform(images, drawn)
    for other in (images.as_subclass(Kind), nn.Parameter(images)):
        out = transform.transform(other, drawn)
        assert torch.equal(out, expected)
        assert not out.requires_grad


def test_threads_may_share_a_transform(transform):
    """Thread pools of some loaders do: no per-call state lies on the transform."""
    images = pictures(4, 3, 16, 16)
    params = [transform.make_params([images]) for _ in range(16)]
    expected = [transform.transform(images, p) for p in params]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda p: transform.transform(images, p), params)
        assert all(distance(a, b) <= HALF_LEVELS for a, b in zip(found, expected, strict=True))


# --- the transform itself ---


def test_repr_is_the_call(transform):
    twin = eval(repr(transform))
    assert repr(twin) == repr(transform)
    assert_alike(transform, twin)


def test_settings_survive_json(transform):
    written = json.dumps(transform.to_dict())
    kind = StyleAugment if isinstance(transform, StyleAugment) else Stage
    twin = kind.from_dict(json.loads(written))
    assert type(twin) is type(transform)
    assert json.dumps(twin.to_dict()) == written
    assert_alike(transform, twin)


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_draw_alike(transform, way):
    transform(pictures(2, 3, 16, 16))
    assert_alike(transform, way(transform))


def assert_alike(a, b):
    images = pictures(4, 3, 16, 16)
    torch.manual_seed(2)
    expected = a(images)
    torch.manual_seed(2)
    assert torch.equal(b(images), expected)
    assert repr(a) == repr(b)


def test_a_pickled_transform_is_small(transform):
    transform(pictures(2, 3, 16, 16))
    assert len(pickle.dumps(transform)) < 10_000


def test_it_hides_its_weights_from_the_model_around_it(transform):
    model = nn.Sequential(transform, nn.Conv2d(3, 4, 3))
    model[0](pictures(2, 3, 16, 16))
    assert sorted(model.state_dict()) == ["1.bias", "1.weight"]
    assert sum(1 for _ in model.parameters()) == 2
    assert sum(1 for _ in model.modules()) == 3
    model.half().train().requires_grad_(False)
    out = model[0](pictures(2, 3, 16, 16))
    assert distance(out, pictures(2, 3, 16, 16)) > 3


def test_all_that_is_no_image_comes_back_as_the_same_object(transform):
    sample = {
        "image": tv_tensors.Image(pictures(3, 48, 64)),
        "boxes": boxes([[1, 2, 30, 40]], (48, 64)),
        "mask": tv_tensors.Mask(torch.ones(1, 48, 64, dtype=torch.bool)),
        "others": [torch.tensor([1]), "part 7", None, np.zeros(3)],
    }
    out = transform(sample)
    assert distance(out["image"], sample["image"]) > 3
    assert out["boxes"] is sample["boxes"]
    assert out["mask"] is sample["mask"]
    assert [a is b for a, b in zip(out["others"], sample["others"], strict=True)] == [True] * 4


def test_the_classes_are_those_that_are_public():
    assert set(KINDS[:-1]) <= set(Stage.kinds)
    assert {Stage.kinds[n] for n in KINDS[:-1]} == {
        Restyle,
        Equalize,
        Relief,
        Relight,
        Defocus,
        SensorNoise,
    }
