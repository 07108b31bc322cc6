"""Restyle: the formula, where styles come from, protection, and what a large image costs."""

import copy
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import styleaug.runtime
from helpers import FULL, TINY, distance, pictures, pil_picture
from styleaug import Relight, Restyle, SensorNoise, StyleAugment, StylePack
from styleaug.images.io import load_rgb, to_image, to_tensor
from styleaug.networks import encode
from styleaug.nn.encoder import Stylizer
from styleaug.nn.guided import bounded_texture, tone_change, tone_map
from styleaug.nn.noise import SEEDS
from styleaug.stages import pool
from styleaug.stages.relight import relight
from styleaug.stages.restyle import RestyleParams

pytestmark = pytest.mark.usefixtures("seeded", "small_references")

HALF_LEVELS = 2
"""What half-precision networks may differ by, in levels of 255, when another batch size takes
another kernel: a bfloat16 has 8 bits, so the last of them is worth up to one level."""


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def restyle(pack):
    """``restyle(...)``: a stage at full strength and texture, unless told otherwise."""
    return lambda *styles, **settings: Restyle(*styles, **{"pack": pack, **FULL, **settings})


@pytest.fixture(scope="module")
def tagged():
    """A pack of five styles: names and tags."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stylizer, codes = Stylizer(TINY), torch.rand(5, TINY.code_size)
    names = ["oak", "pine", "steel", "brass", "linen"]
    tags = [("wood", "material"), ("wood",), ("metal", "material"), ("metal",), ()]
    return StylePack(stylizer, codes, names, tags)


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "reference.png"
    pil_picture().save(path)
    return path


def restyled(x, y, texture=1.0):
    """At strength 1, for a network that makes y of x."""
    tone = x + tone_change(x, tone_map(x, y))
    return tone + texture * bounded_texture(x, y - tone)


# --- the formula ---


@pytest.mark.parametrize("strength", [0.25, 1.0])
@pytest.mark.parametrize("texture", [0.0, 0.5, 1.0])
def test_the_formula(restyle, stand_in, strength, texture):
    """``x + strength * ((tone - x) + texture * bounded(y - tone))`` for a known network."""
    stand_in(lambda x: 0.8 * x.flip(-1) + 0.1)
    x = pictures(2, 3, 32, 40, dtype=torch.float32)
    y = 0.8 * x.flip(-1) + 0.1
    expected = x + strength * (restyled(x, y, texture) - x)
    stage = restyle(strength=strength, texture=texture)
    out = stage.render(x, stage.draw(2))
    torch.testing.assert_close(out, expected.clamp(0, 1), atol=1e-6, rtol=0)
    assert (out - x).abs().max() > 0.05


def test_strength_and_texture_are_each_images_own(restyle, stand_in, pack):
    stand_in(lambda x: 1 - x)
    x = pictures(1, 3, 32, 32, dtype=torch.float32).expand(3, 3, 32, 32)
    amounts = {"strength": torch.tensor([1.0, 0.5, 1.0]), "texture": torch.tensor([1.0, 1, 0])}
    out = restyle().render(x, RestyleParams.of(pack.codes[:3], **amounts))
    whole = restyled(x, 1 - x)
    torch.testing.assert_close(out[0], whole[0].clamp(0, 1), atol=1e-6, rtol=0)
    torch.testing.assert_close(out[1], ((x + whole) / 2)[1].clamp(0, 1), atol=1e-6, rtol=0)
    assert (out[2] - out[0]).abs().max() > 0.05


@pytest.mark.parametrize("network", [lambda x: 1 - x, lambda x: 4 * x - 1.5])
def test_light_falls_on_the_restyled_image_even_if_it_overshoots(restyle, stand_in, network):
    stand_in(network)
    x = pictures(8, 3, 32, 32, dtype=torch.float32)
    transform = StyleAugment([restyle(), Relight(strength=1)])
    plan = transform.draw(8)
    expected = relight(restyled(x, network(x)).clamp(0, 1), plan["Relight"].values)
    torch.testing.assert_close(transform.render(x, plan), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32], ids=str)
def test_a_network_without_effect_changes_nothing(restyle, stand_in, dtype):
    """Through the whole computation, not around it: at full strength integers stay exact."""
    stand_in(lambda x: x)
    images = pictures(2, 3, 24, 24, dtype=dtype)
    stage = restyle()
    assert distance(stage.render(images, stage.draw(2)), images) < 1e-4


def test_gray_stays_gray_and_is_styled_as_its_rgb(restyle):
    gray, stage = pictures(2, 1, 32, 32, dtype=torch.float32), restyle()
    params = stage.draw(2)
    rgb = stage.render(gray.expand(2, 3, 32, 32), params)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    expected = (rgb * weights).sum(1, keepdim=True)
    assert distance(stage.render(gray, params), expected) < 0.5


def test_each_image_takes_its_own_style(restyle, pack):
    images = pictures(1, 3, 32, 32).repeat(4, 1, 1, 1)
    out = restyle().render(images, RestyleParams.of(pack.codes[:4]))
    assert min(distance(out[i], out[j]) for i in range(4) for j in range(i)) > 3
    again = restyle().render(images, RestyleParams.of(pack.codes[:4].flip(0)))
    assert distance(again.flip(0), out) <= HALF_LEVELS


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close_to_float32(restyle, monkeypatch, dtype):
    images, stage = pictures(4, 3, 32, 32, dtype=torch.float32), restyle()
    params, outs = stage.draw(4), []
    for precision in (torch.float32, dtype):
        monkeypatch.setattr(styleaug.runtime, "inference_dtype", lambda device, p=precision: p)
        outs.append(stage.render(images, params))
    assert 0 < distance(*outs) < 2 * HALF_LEVELS


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_uint8_batch_is_its_images_one_by_one_in_any_precision(restyle, monkeypatch, dtype):
    monkeypatch.setattr(styleaug.runtime, "inference_dtype", lambda device: dtype)
    images, stage = pictures(8, 3, 24, 40), restyle(strength=(0.3, 1))
    params = stage.draw(8)
    alone = [stage.render(images[i : i + 1], params.select([i])) for i in range(8)]
    assert distance(stage.render(images, params), torch.cat(alone)) <= HALF_LEVELS


# --- protection ---


def test_protected_pixels_keep_their_material_exactly(restyle):
    images, stage = pictures(4, 3, 32, 48), restyle()
    mask = torch.ones(4, 1, 32, 48)
    mask[0, :, 8:20, 10:30] = 0
    mask[1] = 0
    params = stage.draw(4)
    out, free = stage.render(images, params, strength_mask=mask), stage.render(images, params)
    assert torch.equal(out[0, :, 8:20, 10:30], images[0, :, 8:20, 10:30])
    assert torch.equal(out[1], images[1])
    assert torch.equal(out[2:], free[2:])
    outside = (mask[:1] == 1).expand(1, 3, 32, 48)
    assert torch.equal(out[:1][outside], free[:1][outside])


def test_protection_follows_its_image_in_a_mixed_batch(restyle):
    images, stage = pictures(8, 3, 24, 32), restyle()
    params = stage.draw(8).scaled((torch.arange(8) % 2).float())
    mask = torch.zeros(8, 1, 24, 32)
    assert torch.equal(stage.render(images, params, strength_mask=mask), images)
    mask[5] = 1
    out = stage.render(images, params, strength_mask=mask)
    assert [i for i in range(8) if not torch.equal(out[i], images[i])] == [5]


def test_half_protection_halves_the_strength(restyle, pack):
    images = pictures(1, 3, 24, 24, dtype=torch.float32)
    strong, weak = (RestyleParams.of(pack.codes[:1], strength=s) for s in (0.8, 0.4))
    half = restyle().render(images, strong, strength_mask=torch.full((1, 1, 24, 24), 0.5))
    torch.testing.assert_close(half, restyle().render(images, weak))


def test_images_smaller_than_the_network_takes_are_protected_too(restyle):
    images, stage = pictures(1, 3, 10, 12), restyle()
    mask = torch.ones(1, 1, 10, 12)
    mask[..., :6] = 0
    out = stage.render(images, stage.draw(1), strength_mask=mask)
    assert torch.equal(out[..., :6], images[..., :6])
    assert distance(out, images) > 3


# --- working size ---


def test_a_large_image_costs_the_network_no_more_than_its_small_copy(restyle, stand_in):
    network, stage = stand_in(lambda x: 1 - x), restyle(working_size=64)
    for shape in ((2, 3, 300, 400), (1, 3, 400, 300), (1, 3, 64, 3000), (1, 3, 16, 16)):
        stage(pictures(*shape))
    shapes = [tuple(images.shape[1:]) for images in network.seen]
    assert list(dict.fromkeys(shapes)) == [(3, 64, 85), (3, 85, 64), (3, 64, 3000), (3, 16, 16)]


def test_the_small_copy_is_an_average_without_moire(restyle, stand_in):
    network = stand_in(lambda x: x)
    restyle(working_size=32)(torch.tensor([0.0, 1.0]).repeat(1, 3, 128, 64))
    torch.testing.assert_close(network.seen[0], torch.full((1, 3, 32, 32), 0.5))


def test_working_size_at_or_above_the_image_changes_nothing(restyle, pack):
    images, params = pictures(1, 3, 64, 80), RestyleParams.of(pack.codes[:1])
    outs = [restyle(working_size=size).render(images, params) for size in (64, 512)]
    assert torch.equal(*outs)


@pytest.mark.parametrize("texture", [0.0, 1.0])
def test_a_thin_line_of_a_large_image_stays_at_its_place(restyle, pack, texture):
    """One pixel wide, it all but vanishes in the small copy; the lifted tone keeps it."""
    images = torch.full((1, 3, 300, 400), 0.4)
    images[..., 151, 40:360] = 0.9
    params = RestyleParams.of(pack.codes[:1], texture=texture)
    out = restyle(working_size=32).render(images, params)
    inner = out[0].mean(0)[100:200, 60:340]
    step = (inner - inner.roll(1, 0))[1:].abs()
    assert set(step.argmax(0).tolist()) <= {50, 51}  # between rows 150, 151 and 152
    contrast = inner[51] - (inner[48] + inner[54]) / 2
    assert contrast.min() > 0.2  # at least half of 0.5, give or take texture


def test_the_small_copy_gives_nearly_what_the_full_image_gives(restyle, stand_in, pack):
    """Tone, lifted from a quarter of the pixels, against tone at full size."""
    stand_in(lambda x: 0.5 * x + 0.3)
    images = F.interpolate(pictures(1, 3, 16, 20, dtype=torch.float32), scale_factor=8.0)
    params = RestyleParams.of(pack.codes[:1])
    small, full = (restyle(working_size=size).render(images, params) for size in (64, 512))
    assert (small - full).abs().mean() < 0.02


def test_tone_acts_on_detail_that_the_small_copy_does_not_show(restyle, stand_in):
    """A network that halves all contrast halves that of single pixels too, at full resolution."""
    stand_in(lambda x: 0.5 * x + 0.25)
    rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    coarse = ((rows // 32 + columns // 32) % 2) * 0.6 + 0.1
    images = (coarse + (columns % 2) * 0.2).expand(1, 3, 256, 256)
    out = restyle(texture=0, working_size=32)(images)
    before, after = (x[..., 1::2] - x[..., ::2] for x in (images, out))
    assert (after / before).mean() == pytest.approx(0.5, abs=0.1)


def test_half_a_thousand_pixels_of_odd_size(restyle):
    assert restyle()(pictures(1, 3, 511, 300)).shape == (1, 3, 511, 300)


# --- draws ---


@pytest.mark.parametrize("name", ["strength", "texture"])
def test_ranges_are_filled_evenly(pack, name):
    values = getattr(Restyle(pack=pack, **{name: (0.2, 0.6)}).draw(2000), name)
    assert 0.2 <= values.min() < 0.21
    assert 0.59 < values.max() <= 0.6
    assert values.mean().item() == pytest.approx(0.4, abs=0.01)


def test_a_number_is_a_range_of_one_value(pack):
    params = Restyle(pack=pack, strength=0.7, texture=0.3).draw(20)
    torch.testing.assert_close(params.strength, torch.full((20,), 0.7))
    torch.testing.assert_close(params.texture, torch.full((20,), 0.3))


def test_ranges_do_not_shift_the_draw_of_styles(pack):
    """With a seed, another range leaves the styles as they were: experiments stay comparable."""
    drawn = [
        Restyle(pack=pack, strength=s, texture=t, p=p).draw(8, generator())
        for s, t, p in ((0, 0, 1), (1, (0, 1), 0.2))
    ]
    assert torch.equal(drawn[0].codes, drawn[1].codes)
    assert torch.equal(drawn[0].seed, drawn[1].seed)
    assert drawn[0].styles == drawn[1].styles


def test_noise_begins_at_any_seed(pack):
    seeds = Restyle(pack=pack).draw(2000).seed
    assert 0 <= seeds.min() < 0.01 * SEEDS
    assert 0.99 * SEEDS < seeds.max() < SEEDS


def test_without_mix_and_jitter_codes_are_rows_of_the_pack(pack):
    params = Restyle(pack=pack, mix=0).draw(300)
    assert all(
        torch.equal(code, pack.codes[pack.names.index(name)])
        for code, name in zip(params.codes, params.styles, strict=True)
    )
    counts = [params.styles.count(name) for name in pack.names]
    assert min(counts) > 300 / len(pack) / 2  # all of them come up


def test_mixing_lies_between_two_rows_and_keeps_to_its_bound(pack):
    params = Restyle(pack=pack, mix=0.4).draw(300)
    shares = []
    for code, name in zip(params.codes, params.styles, strict=True):
        first, _, share, second = name.split(" ")
        a, b = (pack.codes[pack.names.index(n)] for n in (first, second))
        torch.testing.assert_close(code, torch.lerp(a, b, float(share)), atol=0.03, rtol=0)
        shares.append(float(share))
    assert 0 <= min(shares) < 0.02
    assert 0.38 < max(shares) <= 0.4


def test_jitter_scatters_codes_within_what_the_pack_spans(pack):
    rows = Restyle(pack=pack, mix=0).draw(500, generator())
    params = Restyle(pack=pack, mix=0, jitter=0.5).draw(500, generator())
    noise = (params.codes - rows.codes) / pack.codes.std(0, correction=0)
    assert 0.2 < noise.std() < 0.5  # clamping takes some away
    assert (params.codes <= pack.codes.amax(0)).all()
    assert (params.codes >= pack.codes.amin(0)).all()
    assert len(params.codes.unique(dim=0)) == 500


# --- params by hand ---


def test_params_by_hand_do_what_is_asked_and_nothing_else(pack):
    params = RestyleParams.of(pack.codes[:3], strength=0.5, styles=["a", "b", "c"])
    assert params.active.all()
    assert params.styles == ("a", "b", "c")
    assert params.texture.tolist() == [1, 1, 1]
    drawn = Restyle(pack=pack).draw(3)
    for name, tensor in params.tensors().items():
        other = drawn.tensors()[name]
        assert (tensor.shape, tensor.dtype) == (other.shape, other.dtype)
    each = torch.tensor([0.1, 0.2, 0.3])
    assert torch.equal(RestyleParams.of(pack.codes[:3], strength=each).strength, each)
    assert RestyleParams.of(pack.codes[:3]).describe(2) == {
        "style": "",
        "strength": 1.0,
        "texture": 1.0,
    }


def test_params_by_hand_take_codes_as_they_are_found(pack):
    """Of a fit, say: with gradients, in half precision, expanded."""
    code = pack.codes[:1].half().requires_grad_()
    params = RestyleParams.of(code.expand(4, -1), strength=torch.tensor(0.5))
    assert params.codes.dtype == torch.float32
    assert not params.codes.requires_grad
    assert Restyle(pack=pack).render(pictures(4, 3, 16, 16), params).shape == (4, 3, 16, 16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strength": 1.5}, r"strength must be a number in \[0, 1\].*1.5"),
        ({"texture": float("nan")}, "texture must be a number in"),
        ({"texture": torch.zeros(2)}, r"texture must .*one for each of 3 codes"),
        ({"strength": torch.zeros(3, 1)}, "strength must"),
    ],
)
def test_params_by_hand_are_checked(pack, settings, message):
    with pytest.raises(ValueError, match=message):
        RestyleParams.of(pack.codes[:3], **settings)


def test_the_params_of_another_network_are_refused(restyle):
    other = Restyle(pack=StylePack.random())
    with pytest.raises(ValueError, match="drawn from the pack that renders it"):
        restyle().render(pictures(2, 3, 16, 16), other.draw(2))


# --- styles of the batch ---


@pytest.mark.parametrize("count", [2, 3, 9])
def test_batch_styles_come_from_the_other_images(pack, count):
    stage = Restyle("batch", pack=pack)
    drawn = [stage.draw(count, generator(seed)) for seed in range(50)]
    for params in drawn:
        assert ((params.donors >= 0) & (params.donors < count)).all()
        assert (params.donors != torch.arange(count)).all()
        assert params.styles == tuple(f"batch[{d}]" for d in params.donors)
    others = {int(params.donors[0]) for params in drawn}
    assert others == set(range(1, count))


def test_an_image_alone_in_its_batch_takes_a_style_of_the_pack(pack):
    params = Restyle("batch", mix=0, pack=pack).draw(1)
    assert params.donors.tolist() == [-1]
    assert params.styles[0] in pack.names


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32], ids=str)
def test_donors_give_their_style_to_the_others(restyle, pack, dtype):
    images = pictures(3, 3, 32, 32, dtype=torch.float32)
    images[2] = 1 - images[2] / 3
    images = (images * {torch.uint8: 255, torch.uint16: 65535}.get(dtype, 1)).to(dtype)
    params = replace(RestyleParams.of(pack.codes[:3]), donors=torch.tensor([2, -1, 0]))
    out = restyle().render(images, params)
    for row, donor in ((0, 2), (2, 0)):
        told = RestyleParams.of(encode(pack, images[donor][None]))
        assert distance(out[row], restyle().render(images[row][None], told)[0]) <= HALF_LEVELS
    own = RestyleParams.of(pack.codes[1:2])
    assert distance(out[1], restyle().render(images[1:2], own)[0]) <= HALF_LEVELS


def test_donors_outside_the_batch_are_refused(restyle, pack):
    """Silence would give another style than the plan says."""
    params = replace(RestyleParams.of(pack.codes[:3]), donors=torch.tensor([-1, 2, 3]))
    with pytest.raises(ValueError, match=r"donors must be rows of this batch of 3.*\[2, 3\]|3\]"):
        restyle().render(pictures(3, 3, 16, 16), params)
    with pytest.raises(ValueError, match=r"needs all of it"):
        restyle().render(pictures(1, 3, 16, 16), params.select([1]))


# --- styles by tag, name and picture ---


@pytest.mark.parametrize(
    ("styles", "expected"),
    [
        ("all", {"oak", "pine", "steel", "brass", "linen"}),
        ("wood", {"oak", "pine"}),
        ("linen", {"linen"}),
        (["metal", "oak"], {"steel", "brass", "oak"}),
        (("material", "wood"), {"oak", "pine", "steel"}),
        (["steel", "steel"], {"steel"}),
    ],
)
def test_styles_are_chosen_by_tag_and_name(tagged, styles, expected):
    stage = Restyle(styles, pack=tagged, mix=0)
    assert set(stage.draw(200).styles) == expected
    assert sorted(stage.pool.names) == sorted(expected)  # none counts twice


def test_styles_are_read_from_a_picture(tagged, reference):
    params = Restyle(reference, pack=tagged, mix=0).draw(3)
    expected = encode(tagged, to_tensor(load_rgb(reference))[None])
    assert params.styles == (str(reference),) * 3
    torch.testing.assert_close(params.codes, expected.repeat(3, 1))


def test_styles_are_read_from_folders_and_join_those_of_the_pack(tagged, reference):
    (reference.parent / "deep").mkdir()
    pil_picture("L", 30, 20).save(reference.parent / "deep" / "other.png")
    found = Restyle(["wood", str(reference.parent)], pack=tagged).pool
    assert [n.rpartition("/")[2] for n in found.names] == [
        *["oak", "pine", "other.png", "reference.png"],
    ]
    assert found.codes.shape == (4, TINY.code_size)
    assert len(found.codes.unique(dim=0)) == 4


def test_a_changed_picture_is_read_again(tagged, reference):
    before = Restyle(reference, pack=tagged).pool.codes
    pil_picture("L").save(reference)
    os.utime(reference, ns=(1, 1))
    assert not torch.equal(Restyle(reference, pack=tagged).pool.codes, before)


def test_pictures_of_one_name_and_age_are_told_apart(tagged, tmp_path):
    codes = []
    for folder, mode in (("a", "L"), ("b", "RGB")):
        (tmp_path / folder).mkdir()
        pil_picture(mode).save(tmp_path / folder / "x.png")
        os.utime(tmp_path / folder / "x.png", ns=(1, 1))
        codes.append(Restyle(tmp_path / folder, pack=tagged).pool.codes)
    assert not torch.equal(*codes)


def test_a_path_is_a_path_even_if_a_tag_is_called_so(tagged, tmp_path, monkeypatch):
    """``Path("wood")`` is a folder of that name; ``"wood"`` is the tag; settings keep the two."""
    monkeypatch.chdir(tmp_path)
    tagged.save("tagged.safetensors")
    folder = Path("wood")
    folder.mkdir()
    pil_picture().save(folder / "x.png")
    for styles, names in (("wood", ["oak", "pine"]), (folder, [str(folder / "x.png")])):
        stage = Restyle(styles, pack="tagged.safetensors")
        twin = Restyle.from_dict(json.loads(json.dumps(stage.to_dict())))
        assert stage.pool.names == twin.pool.names == names


@pytest.mark.parametrize(
    ("styles", "words"),
    [
        ([], ["at least one style"]),
        (["batch", "wood"], ["'batch' stands alone"]),
        ("wool", ["'wool' is none of them", "Did you mean 'wood'?", "paths", "lists all"]),
        (["wood", "missing/photo.png"], ["'missing/photo.png'"]),
    ],
)
def test_unknown_styles_are_refused_with_what_there_is(tagged, styles, words):
    with pytest.raises(ValueError, match=r"^styles") as caught:
        Restyle(styles, pack=tagged)
    assert [w for w in words if w not in str(caught.value)] == []


def test_an_unreadable_reference_is_named(tagged, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"reference image must be readable.*broken\.png"):
        Restyle(tmp_path, pack=tagged)


def test_a_reference_is_encoded_once(tagged, reference, monkeypatch):
    calls = []
    monkeypatch.setattr(pool, "_encoded", {})  # another test may have asked for the same picture
    monkeypatch.setattr(pool, "encode", lambda *arguments: calls.append(1) or encode(*arguments))
    for _ in range(3):
        Restyle(reference, pack=tagged)
    assert len(calls) == 1


def test_a_reference_or_a_pack_that_was_replaced_is_read_again(tmp_path, small_references):
    """Also within one process, and where the time of the file is that of the old one."""
    picture, pack = tmp_path / "style.png", tmp_path / "pack.safetensors"
    codes = []
    for seed, pack_seed in ((0, 0), (1, 0), (1, 1), (0, 0)):
        to_image(pictures(3, 40, 40, seed=seed)).save(picture)
        StylePack.random(TINY, seed=pack_seed).save(pack)
        for file in (picture, pack):
            os.utime(file, (1, 1))
        codes.append(Restyle(str(picture), pack=str(pack)).pool.codes)
    assert len({code.numpy().tobytes() for code in codes}) == 3
    assert torch.equal(codes[0], codes[3])


def test_codes_of_references_travel_to_other_processes(pack_file, reference, monkeypatch):
    """Spawned workers would each need the encoder otherwise, and half a minute."""
    stage = Restyle(iter([reference]), pack=str(pack_file))
    pickled = pickle.dumps(stage)
    assert len(pickled) < 10_000
    monkeypatch.setattr(pool, "_encoded", {})  # as in a new process
    monkeypatch.setattr(pool, "encode", None)
    twin = pickle.loads(pickled)
    assert torch.equal(twin.pool.codes, stage.pool.codes)
    assert torch.equal(twin.draw(3, generator()).codes, stage.draw(3, generator()).codes)


def test_a_pickled_stage_is_small_however_many_styles_it_draws_from(tmp_path):
    file = tmp_path / "many.safetensors"
    StylePack.random(TINY, rows=500).save(file)
    for given in (str(file), file, StylePack.load(file)):
        stage = Restyle(["random", "random-1"], pack=given, **FULL)
        stage(pictures(2, 3, 16, 16))
        assert len(pickle.dumps(stage)) < 10_000


def test_a_pack_in_memory_can_be_copied_but_not_named(pack, pack_file):
    stage = Restyle(pack=pack)
    images, params = pictures(2, 3, 16, 16), stage.draw(2)
    for twin in (copy.deepcopy(stage), pickle.loads(pickle.dumps(stage))):
        assert torch.equal(twin.render(images, params), stage.render(images, params))
    with pytest.raises(ValueError, match=r"Save the pack, and give its path"):
        stage.to_dict()
    loaded = Restyle(pack=StylePack.load(pack_file))
    assert loaded.to_dict()["pack"] == str(pack_file)


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32], ids=str)
def test_cuda_gives_what_the_cpu_gives(restyle, dtype):
    images = pictures(8, 3, 40, 56, dtype=dtype)
    transform = StyleAugment([restyle(p=0.6), Relight(p=0.6), SensorNoise(p=0.6)], p=0.8)
    plan = transform.draw(8)
    out = transform.render(images.cuda(), plan)
    assert out.is_cuda
    assert distance(out.cpu(), transform.render(images, plan)) < 3 * HALF_LEVELS
