"""render: the formula, what it preserves, what it leaves alone, and what a large image costs."""

from dataclasses import replace
from math import ceil

import pytest
import torch
from torch.nn import functional as F

import styleaug.pack
from helpers import DTYPES, distance, pictures, torch_generator_stays
from styleaug import StylePack, StylePlan, StyleSampler, render
from styleaug.light import neutral_light, relight
from styleaug.networks import encode
from styleaug.nn.guided import bounded_texture, tone_change, tone_map
from styleaug.render import GRAIN

HALF_LEVELS = 2
"""What half-precision networks may differ by, in levels of 255, when another batch size takes
another kernel: a bfloat16 has 8 bits, so the last of them is worth up to one level."""


def plan_for(pack, count, seed=0, **settings):
    sampler = StyleSampler(pack, **{"mix": 0.5, "texture": (0, 1), **settings})
    return sampler.draw(count, torch.Generator().manual_seed(seed))


def every_kind(pack, count=8, **settings):
    """A plan with untouched, restyled, relit images and both."""
    for seed in range(100):
        ranges = {"strength": (0.3, 1), "light": (0.3, 1), **settings}
        plan = plan_for(pack, count, seed, p=0.7, stage_p=0.6, **ranges)
        lit = torch.arange(count)[:, None] % 2 == 0  # a lamp comes to all that change: take some
        plan = replace(plan, light=torch.where(lit, plan.light, neutral_light(count)))
        if len({(bool(a), bool(b)) for a, b in zip(plan.restyled, plan.relit, strict=True)}) == 4:
            return plan
    raise AssertionError("no seed gave all four kinds")


def restyled(x, y, texture=1.0):
    """At strength 1, for a network that makes y of x."""
    tone = x + tone_change(x, tone_map(x, y))
    return tone + texture * bounded_texture(x, y - tone)


@pytest.mark.parametrize("strength", [0.25, 1.0])
@pytest.mark.parametrize("texture", [0.0, 0.5, 1.0])
def test_the_formula(pack, stand_in, strength, texture):
    """``x + strength * ((tone - x) + texture * bounded(y - tone))`` for a known network."""
    stand_in(lambda x: 0.8 * x.flip(-1) + 0.1)
    x = pictures(2, 3, 32, 40, dtype=torch.float32)
    y = 0.8 * x.flip(-1) + 0.1
    expected = x + strength * (restyled(x, y, texture) - x)
    out = render(x, plan_for(pack, 2, strength=strength, texture=texture), pack)
    torch.testing.assert_close(out, expected.clamp(0, 1), atol=1e-6, rtol=0)
    assert (out - x).abs().max() > 0.05


def test_strength_and_texture_are_each_images_own(pack, stand_in):
    stand_in(lambda x: 1 - x)
    x = pictures(1, 3, 32, 32, dtype=torch.float32).expand(3, 3, 32, 32)
    plan = plan_for(pack, 3)
    plan = replace(plan, strength=torch.tensor([1.0, 0.5, 1.0]), texture=torch.tensor([1.0, 1, 0]))
    out = render(x, plan, pack)
    whole = restyled(x, 1 - x)
    torch.testing.assert_close(out[0], whole[0].clamp(0, 1), atol=1e-6, rtol=0)
    torch.testing.assert_close(out[1], ((x + whole) / 2)[1].clamp(0, 1), atol=1e-6, rtol=0)
    assert (out[2] - out[0]).abs().max() > 0.05


def test_grain_is_noise_of_its_own_in_each_colour_and_comes_last(pack):
    x = 0.3 + 0.4 * pictures(4, 3, 48, 60, dtype=torch.float32)
    plan = plan_for(pack, 4, strength=0, light=0.5, grain=0.7)
    relit = render(x, replace(plan, grain=torch.zeros(4)), pack)
    noise = render(x, plan, pack) - relit
    inside = (relit > 0.25) & (relit < 0.75)  # where nothing is cut off
    assert noise[inside].std() == pytest.approx(0.7 * GRAIN, rel=0.05)
    assert abs(noise[inside].mean()) < 0.003
    both = inside[:, 0] & inside[:, 1]
    red, green = noise[:, 0][both], noise[:, 1][both]
    assert abs((red * green).mean() / (red.std() * green.std())) < 0.1
    assert (noise[0] - noise[1]).abs().mean() > 0.01
    assert torch.equal(render(x, plan, pack), render(x, plan, pack))


def test_images_without_grain_come_back_bit_for_bit(pack):
    images, plan = pictures(3, 3, 32, 40), plan_for(pack, 3, strength=0, grain=1)
    out = render(images, replace(plan, grain=torch.tensor([0.0, 1, 0])), pack)
    assert [torch.equal(a, b) for a, b in zip(out, images, strict=True)] == [True, False, True]


def test_light_falls_on_the_restyled_image(pack, stand_in):
    stand_in(lambda x: 1 - x)
    x = pictures(2, 3, 32, 32, dtype=torch.float32)
    plan = plan_for(pack, 2, texture=1, light=1)
    expected = relight(restyled(x, 1 - x), plan.light)
    torch.testing.assert_close(render(x, plan, pack), expected, atol=1e-5, rtol=0)


def test_a_restyling_that_overshoots_is_relit_all_the_same(pack, stand_in):
    stand_in(lambda x: 4 * x - 1.5)
    x = pictures(8, 3, 32, 32, dtype=torch.float32)
    plan = plan_for(pack, 8, texture=1, light=1)
    expected = relight(restyled(x, 4 * x - 1.5).clamp(0, 1), plan.light)
    torch.testing.assert_close(render(x, plan, pack), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(16, 16), (17, 41), (40, 19)])
def test_shape_and_dtype_stay_and_the_input_too(pack, dtype, channels, size):
    images = pictures(2, channels, *size, dtype=dtype)
    before = images.clone()
    out = render(images, plan_for(pack, 2, light=0.5), pack)
    assert (out.shape, out.dtype, out.device) == (images.shape, dtype, images.device)
    assert distance(out, images) > 5
    assert torch.equal(images, before)


def test_half_a_thousand_pixels_of_odd_size(pack):
    out = render(pictures(1, 3, 511, 300), plan_for(pack, 1), pack)
    assert out.shape == (1, 3, 511, 300)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_untouched_images_come_back_bit_for_bit(pack, dtype):
    """Those of a mixed batch, next to restyled ones; float noise beyond [0, 1] among them."""
    images = pictures(8, 3, 24, 32, dtype=dtype)
    if dtype.is_floating_point:
        images[:, 0, 0, 0] = -5e-4
    plan = every_kind(pack)
    out = render(images, plan, pack)
    still = ~(plan.restyled | plan.relit)
    assert torch.equal(out[still], images[still])
    assert all(distance(out[i], images[i]) > 3 for i in (~still).nonzero().flatten())


def gaussian(sigma):
    """Twenty pixels to either side, cut off beyond three deviations."""
    steps = torch.arange(-20, 21).double()
    taps = torch.exp(-0.5 * (steps / sigma) ** 2) * (steps.abs() <= ceil(3 * sigma))
    return taps / taps.sum()


def test_blur_is_a_gaussian_of_four_pixels_along_each_axis(pack):
    x = torch.zeros(3, 3, 41, 41)
    x[:, :, 20, 20] = 1
    blur = torch.tensor([[1.0, 0.5], [0.0, 1.0], [0.2, 0.2]])
    plan = replace(plan_for(pack, 3, strength=0), blur=blur)
    out = render(x, plan, pack)
    down, along, none, little = (gaussian(sigma) for sigma in (4.0, 2.0, 0.1, 0.8))
    for row, taps in enumerate(((down, along), (none, down), (little, little))):
        torch.testing.assert_close(out[row, 1].double(), torch.outer(*taps), atol=1e-6, rtol=0)
    alone = render(x[2:], plan.select([2]), pack)  # where no other image needs a wider kernel
    torch.testing.assert_close(alone, out[2:], atol=1e-7, rtol=0)


def test_blur_keeps_flat_images_and_their_borders(pack):
    x = torch.full((2, 1, 5, 19), 0.4)
    plan = plan_for(pack, 2, strength=0, blur=1)
    torch.testing.assert_close(render(x, plan, pack), x)
    half = torch.cat([torch.zeros(1, 3, 30, 20), torch.ones(1, 3, 30, 20)], 3)
    out = render(half, plan.select([0]), pack)
    assert out[..., 0].max() < 1e-6
    assert out[..., -1].min() > 1 - 1e-6
    assert (out.diff(dim=-1) >= -1e-6).all()


def test_grain_comes_after_blur(pack):
    """Sensors add noise behind the lens: it stays as fine as ever."""
    x = torch.full((1, 3, 64, 64), 0.5)
    plan = plan_for(pack, 1, strength=0, grain=1)
    sharp = render(x, plan, pack)
    both = render(x, replace(plan, blur=torch.ones(1, 2)), pack)
    torch.testing.assert_close(both, sharp)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_strength_zero_and_light_zero_return_a_copy(pack, dtype):
    images = pictures(2, 3, 17, 41, dtype=dtype)
    out = render(images, plan_for(pack, 2, strength=0, light=0), pack)
    assert torch.equal(out, images)
    out.zero_()
    assert images.any()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_network_without_effect_and_light_without_effect_change_nothing(pack, stand_in, dtype):
    """Through the whole computation, not around it: at full strength uint8 stays exact."""
    stand_in(lambda x: x)
    images = pictures(2, 3, 24, 24, dtype=dtype)
    assert distance(render(images, plan_for(pack, 2), pack), images) < 1e-4


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_its_images_one_by_one(pack, channels):
    images, plan = pictures(8, channels, 24, 40, dtype=torch.float32), every_kind(pack)
    alone = [render(images[i : i + 1], plan.select([i]), pack) for i in range(8)]
    assert distance(render(images, plan, pack), torch.cat(alone)) < 0.01


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_uint8_batch_is_its_images_one_by_one_in_any_precision(pack, monkeypatch, dtype):
    monkeypatch.setattr(styleaug.pack, "inference_dtype", lambda device: dtype)
    images, plan = pictures(8, 3, 24, 40), every_kind(pack)
    alone = [render(images[i : i + 1], plan.select([i]), pack) for i in range(8)]
    assert distance(render(images, plan, pack), torch.cat(alone)) <= HALF_LEVELS


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close_to_float32(pack, monkeypatch, dtype):
    images, plan = pictures(4, 3, 32, 32, dtype=torch.float32), plan_for(pack, 4, texture=1)
    outs = []
    for precision in (torch.float32, dtype):
        monkeypatch.setattr(styleaug.pack, "inference_dtype", lambda device, p=precision: p)
        outs.append(render(images, plan, pack))
    assert 0 < distance(*outs) < 2 * HALF_LEVELS


def test_each_image_takes_its_own_style(pack):
    images = pictures(1, 3, 32, 32).repeat(4, 1, 1, 1)
    plan = plan_for(pack, 4, mix=0, texture=1)
    plan = replace(plan, codes=pack.codes[:4])
    out = render(images, plan, pack)
    assert min(distance(out[i], out[j]) for i in range(4) for j in range(i)) > 3
    again = render(images, replace(plan, codes=pack.codes[:4].flip(0)), pack)
    assert distance(again.flip(0), out) <= HALF_LEVELS


def test_a_plan_can_be_replayed_exactly_and_draws_nothing(pack):
    images, plan = pictures(8, 3, 24, 32), every_kind(pack)
    with torch_generator_stays():
        assert torch.equal(render(images, plan, pack), render(images, plan, pack))


@pytest.mark.parametrize("device_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", ["none", "some", "all"])
def test_the_memory_format_stays(pack, device_format, kind):
    images = pictures(8, 3, 24, 32).contiguous(memory_format=device_format)
    plan = {
        "none": plan_for(pack, 8, p=0),
        "some": every_kind(pack),
        "all": plan_for(pack, 8, light=1),
    }[kind]
    out = render(images, plan, pack)
    assert out.is_contiguous(memory_format=device_format)
    assert torch.equal(out, render(images.contiguous(), plan, pack))


LAYOUTS = {
    "expanded": lambda x: x[:1].expand(2, -1, -1, -1),
    "strided": lambda x: x[..., ::2, 1::2],
    "transposed": lambda x: x.mT,
    "from HWC": lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
    "one channel of three": lambda x: x[:, 1:2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_any_memory_layout_gives_the_same_and_stays_as_it_was(pack, layout, dtype):
    base = pictures(2, 3, 48, 64, dtype=dtype)
    before = base.clone()
    images = LAYOUTS[layout](base)
    plan = plan_for(pack, 2, light=0.5)
    assert distance(render(images, plan, pack), render(images.clone(), plan, pack)) <= HALF_LEVELS
    assert torch.equal(base, before)
    untouched = render(images, plan_for(pack, 2, p=0), pack)
    assert torch.equal(untouched, images)
    untouched[0] = 0  # an expanded result would be written twice, or refuse
    assert torch.equal(base, before)


def test_gray_stays_gray_and_is_styled_as_its_rgb(pack):
    gray, plan = pictures(2, 1, 32, 32, dtype=torch.float32), plan_for(pack, 2)
    rgb = render(gray.expand(2, 3, 32, 32), plan, pack)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    expected = (rgb * weights).sum(1, keepdim=True)
    assert distance(render(gray, plan, pack), expected) < 0.5


def test_no_images_are_no_trouble(pack):
    for dtype in (torch.uint8, torch.float32):
        images = torch.empty(0, 3, 32, 32, dtype=dtype)
        assert render(images, plan_for(pack, 0), pack).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode, torch.no_grad])
@pytest.mark.parametrize("p", [0, 1])
def test_results_carry_no_history_in_any_mode(pack, mode, p):
    images = pictures(2, 3, 16, 16, dtype=torch.float32).requires_grad_()
    with mode():
        out = render(images, plan_for(pack, 2, p=p), pack)
    assert not out.requires_grad


@pytest.mark.usefixtures("fresh_caches", "small_references")
@pytest.mark.parametrize("styles", ["all", "batch"])
def test_results_feed_a_model_that_trains(pack, styles):
    """Inference tensors could not: their values cannot be saved for backward."""
    out = render(
        pictures(2, 3, 16, 16, dtype=torch.float32), plan_for(pack, 2, styles=styles), pack
    )
    layer = torch.nn.Conv2d(3, 2, 3)
    layer(out).square().mean().backward()
    assert layer.weight.grad.abs().max() > 0


@pytest.mark.usefixtures("float32")
def test_autocast_of_the_caller_changes_nothing(pack):
    images, plan = pictures(4, 3, 24, 24, dtype=torch.float32), plan_for(pack, 4, light=0.5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = render(images, plan, pack)
    assert torch.equal(out, render(images, plan, pack))


def test_protected_pixels_keep_their_material_exactly(pack):
    images = pictures(4, 3, 32, 48)
    keep = torch.ones(4, 1, 32, 48)
    keep[0, :, 8:20, 10:30] = 0
    keep[1] = 0
    plan = plan_for(pack, 4, texture=1)
    out, free = render(images, plan, pack, keep=keep), render(images, plan, pack)
    assert torch.equal(out[0, :, 8:20, 10:30], images[0, :, 8:20, 10:30])
    assert torch.equal(out[1], images[1])
    assert torch.equal(out[2:], free[2:])
    outside = (keep[:1] == 1).expand(1, 3, 32, 48)
    assert torch.equal(out[:1][outside], free[:1][outside])


def test_protection_follows_its_image_in_a_mixed_batch(pack):
    images, plan = pictures(8, 3, 24, 32), every_kind(pack)
    keep = torch.zeros(8, 1, 24, 32)
    out = render(images, replace(plan, light=plan_for(pack, 8).light), pack, keep=keep)
    assert torch.equal(out, images)
    last = int(plan.restyled.nonzero()[-1])
    keep[last] = 1
    out = render(images, replace(plan, light=plan_for(pack, 8).light), pack, keep=keep)
    assert [i for i in range(8) if not torch.equal(out[i], images[i])] == [last]


def test_half_protection_halves_the_strength(pack):
    images = pictures(1, 3, 24, 24, dtype=torch.float32)
    plan = plan_for(pack, 1, strength=0.8)
    half = render(images, plan, pack, keep=torch.full((1, 1, 24, 24), 0.5))
    weak = render(images, replace(plan, strength=torch.tensor([0.4])), pack)
    torch.testing.assert_close(half, weak)


def test_a_map_of_the_plan_says_where_and_how_much(pack):
    images = pictures(2, 3, 24, 32, dtype=torch.float32)
    full = StylePlan.of(pack.codes[:2])
    where = torch.tensor([[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])[:, None, None]
    out, free = render(images, replace(full, where=where), pack), render(images, full, pack)
    assert torch.equal(out[0, :, :, :12], images[0, :, :, :12])
    torch.testing.assert_close(out[0, :, :, 20:], free[0, :, :, 20:])
    torch.testing.assert_close(out[1], free[1])
    between = (out[0, :, :, 16] - images[0, :, :, 16]) / (free[0, :, :, 16] - images[0, :, :, 16])
    assert between.median() == pytest.approx(9 / 16, abs=0.01)


def test_the_map_of_the_plan_and_that_of_the_labels_multiply(pack):
    images = pictures(1, 3, 10, 12, dtype=torch.float32)  # smaller than the network takes
    halves = StylePlan.of(pack.codes[:1], where=torch.full((1, 1, 1, 1), 0.5))
    quarter = render(images, halves, pack, keep=torch.full((1, 1, 10, 12), 0.5))
    weak = render(images, StylePlan.of(pack.codes[:1], strength=0.25), pack)
    torch.testing.assert_close(quarter, weak)


def test_a_large_image_costs_the_network_no_more_than_its_small_copy(pack, stand_in):
    network = stand_in(lambda x: 1 - x)
    render(pictures(2, 3, 300, 400), plan_for(pack, 2), pack, working_size=64)
    render(pictures(1, 3, 400, 300), plan_for(pack, 1), pack, working_size=64)
    render(pictures(1, 3, 64, 3000), plan_for(pack, 1), pack, working_size=64)
    render(pictures(1, 3, 16, 16), plan_for(pack, 1), pack, working_size=64)
    shapes = [tuple(images.shape) for images in network.seen]
    assert shapes == [(2, 3, 64, 85), (1, 3, 85, 64), (1, 3, 64, 3000), (1, 3, 16, 16)]


def test_the_small_copy_is_an_average_without_moire(pack, stand_in):
    network = stand_in(lambda x: x)
    stripes = torch.tensor([0.0, 1.0]).repeat(1, 3, 128, 64)
    render(stripes, plan_for(pack, 1), pack, working_size=32)
    torch.testing.assert_close(network.seen[0], torch.full((1, 3, 32, 32), 0.5))


def test_working_size_at_or_above_the_image_changes_nothing(pack):
    images, plan = pictures(1, 3, 64, 80), plan_for(pack, 1)
    assert torch.equal(
        render(images, plan, pack, working_size=64), render(images, plan, pack, working_size=512)
    )


@pytest.mark.parametrize("texture", [0.0, 1.0])
def test_a_thin_line_of_a_large_image_stays_at_its_place(pack, texture):
    """One pixel wide, it all but vanishes in the small copy; the lifted tone keeps it."""
    images = torch.full((1, 3, 300, 400), 0.4)
    images[..., 151, 40:360] = 0.9
    out = render(images, plan_for(pack, 1, texture=texture), pack, working_size=32)
    inner = out[0].mean(0)[100:200, 60:340]
    step = (inner - inner.roll(1, 0))[1:].abs()
    assert set(step.argmax(0).tolist()) <= {50, 51}  # between rows 150, 151 and 152
    contrast = inner[51] - (inner[48] + inner[54]) / 2
    assert contrast.min() > 0.2  # at least half of 0.5, give or take texture


def test_the_small_copy_gives_nearly_what_the_full_image_gives(pack, stand_in):
    """Tone, lifted from a quarter of the pixels, against tone at full size."""
    stand_in(lambda x: 0.5 * x + 0.3)
    images = F.interpolate(pictures(1, 3, 16, 20, dtype=torch.float32), scale_factor=8.0)
    plan = plan_for(pack, 1, texture=1)
    small = render(images, plan, pack, working_size=64)
    assert (small - render(images, plan, pack)).abs().mean() < 0.02


def test_tone_acts_on_detail_that_the_small_copy_does_not_show(pack, stand_in):
    """A network that halves all contrast halves that of single pixels too, at full resolution."""
    stand_in(lambda x: 0.5 * x + 0.25)
    rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    coarse = ((rows // 32 + columns // 32) % 2) * 0.6 + 0.1
    images = (coarse + (columns % 2) * 0.2).expand(1, 3, 256, 256)
    out = render(images, plan_for(pack, 1, texture=0), pack, working_size=32)
    before, after = (x[..., 1::2] - x[..., ::2] for x in (images, out))
    assert (after / before).mean() == pytest.approx(0.5, abs=0.1)


def test_donors_give_their_style_to_the_others(pack, small_references):
    images = torch.cat([pictures(2, 3, 32, 32), 255 - pictures(1, 3, 32, 32, seed=1) // 3])
    plan = plan_for(pack, 3, styles="batch", texture=1)
    plan = replace(plan, donors=torch.tensor([2, -1, 0]))
    out = render(images, plan, pack)
    for row, donor in ((0, 2), (2, 0)):
        told = replace(
            plan.select([row]),
            codes=encode(pack, images[donor : donor + 1]),
            donors=torch.tensor([-1]),
        )
        assert distance(out[row : row + 1], render(images[row : row + 1], told, pack)) <= 2
    own = replace(plan.select([1]), donors=torch.tensor([-1]))
    assert distance(out[1:2], render(images[1:2], own, pack)) <= HALF_LEVELS


def test_donors_outside_the_batch_are_refused(pack):
    plan = replace(plan_for(pack, 3), donors=torch.tensor([-1, 2, 3]))
    with pytest.raises(ValueError, match=r"donors must be rows of this batch of 3.*\[-1, 2, 3\]"):
        render(pictures(3, 3, 16, 16), plan, pack)


@pytest.mark.parametrize(
    ("shape", "count", "words"),
    [
        ((3, 32, 32), 1, r"images \(B, C, H, W\) and a plan of B rows, but got \(3, 32, 32\)"),
        ((2, 3, 32, 32), 3, "and 3 rows"),
        ((1, 2, 32, 32), 1, "1 or 3 channels"),
    ],
)
def test_images_and_plan_must_fit(pack, shape, count, words):
    with pytest.raises(ValueError, match=words):
        render(torch.zeros(shape, dtype=torch.uint8), plan_for(pack, count), pack)


def test_the_plan_of_another_network_is_refused(pack):
    other = StylePack.random()
    with pytest.raises(ValueError, match="drawn from the pack that renders it"):
        render(pictures(2, 3, 16, 16), plan_for(other, 2), pack)


@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (2, 16, 16), (2, 3, 16, 16), (2, 1, 16, 17)])
def test_a_map_that_does_not_fit_is_refused(pack, shape):
    with pytest.raises(ValueError, match=r"keep must be \(B, 1, H, W\)"):
        render(pictures(2, 3, 16, 16), plan_for(pack, 2), pack, keep=torch.ones(shape))


def test_wrong_images_are_refused_before_any_work(pack, stand_in):
    network = stand_in(lambda x: x)
    with pytest.raises(ValueError, match="before Normalize"):
        render(torch.full((1, 3, 32, 32), 2.0), plan_for(pack, 1), pack)
    with pytest.raises(TypeError, match="uint8 or floating point"):
        render(torch.zeros(1, 3, 32, 32, dtype=torch.int32), plan_for(pack, 1), pack)
    assert network.seen == []


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_cuda_gives_what_the_cpu_gives(pack, dtype):
    images, plan = pictures(8, 3, 40, 56, dtype=dtype), every_kind(pack)
    out = render(images.cuda(), plan, pack)
    assert out.is_cuda
    assert distance(out.cpu(), render(images, plan, pack)) < 3 * HALF_LEVELS
