"""Plans: all randomness, each setting's statistics, replay, and where styles come from."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers import TINY, pil_picture, torch_generator_stays
from styleaug import StylePack, StylePlan, StyleSampler, render
from styleaug.images.io import load_rgb, to_tensor
from styleaug.light import NAMES, is_neutral
from styleaug.nn.encoder import Stylizer
from styleaug.nn.stylenet import NoiseField

pytestmark = pytest.mark.usefixtures("small_references")

FIELDS = ("codes", "strength", "texture", "blur", "grain", "place", "light", "donors", "where")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def equal(a: StylePlan, b: StylePlan) -> bool:
    return a.styles == b.styles and all(torch.equal(getattr(a, f), getattr(b, f)) for f in FIELDS)


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


def everything(pack, **settings):
    """A sampler with every source of randomness open."""
    ranges = {"strength": (0, 1), "texture": (0, 1), "grain": (0, 1), "light": (0, 1)}
    return StyleSampler(pack, **{"mix": 1, "jitter": 0.5, "p": 0.5, **ranges, **settings})


def test_a_seed_gives_one_plan_and_another_seed_another(pack):
    sampler = everything(pack)
    with torch_generator_stays():
        assert equal(sampler.draw(8, generator()), sampler.draw(8, generator()))
        assert not equal(sampler.draw(8, generator()), sampler.draw(8, generator(1)))


def test_without_a_generator_torchs_own_is_used(pack):
    sampler = everything(pack)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        first, second = sampler.draw(4), sampler.draw(4)
        torch.manual_seed(5)
        assert equal(first, sampler.draw(4))
        assert not equal(first, second)


def test_settings_do_not_shift_each_others_draws(pack):
    """With a seed, turning light on leaves the styles as they were: experiments stay comparable."""
    dark, lit = (everything(pack, light=v).draw(8, generator()) for v in (0, 1))
    assert torch.equal(dark.codes, lit.codes)
    assert torch.equal(dark.strength, lit.strength)


@pytest.mark.parametrize("default", ["device", "dtype"])
def test_plans_are_small_float32_cpu_tensors_whatever_torchs_defaults(pack, default):
    sampler = everything(pack, styles="batch")
    try:
        torch.set_default_device("meta") if default == "device" else None
        torch.set_default_dtype(torch.float64) if default == "dtype" else None
        plan = sampler.draw(4, generator())
        plan = StylePlan.from_dict(plan.select([0, 1, 2, 3]).to_dict())
        assert plan.relit.device.type == "cpu"
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    assert {getattr(plan, f).device.type for f in FIELDS} == {"cpu"}
    assert {getattr(plan, f).dtype for f in FIELDS} == {torch.float32, torch.int64}
    assert plan.place.dtype == plan.donors.dtype == torch.int64
    assert equal(plan, sampler.draw(4, generator()))


def test_a_plan_has_one_row_an_image(pack):
    plan = everything(pack).draw(7, generator())
    assert len(plan) == len(plan.styles) == 7
    assert [tuple(getattr(plan, f).shape) for f in FIELDS] == [
        *[(7, TINY.code_size), (7,), (7,), (7, 2), (7,), (7,), (7, len(NAMES)), (7,)],
        (7, 1, 1, 1),
    ]
    assert len(everything(pack).draw(0)) == 0


def test_a_plan_survives_json_exactly(pack):
    plan = everything(pack, styles="batch").draw(6, generator())
    assert equal(StylePlan.from_dict(json.loads(json.dumps(plan.to_dict()))), plan)


def test_a_plan_of_no_images_survives_json_and_renders(pack):
    plan = StylePlan.from_dict(json.loads(json.dumps(everything(pack).draw(0).to_dict())))
    assert render(torch.rand(0, 3, 16, 16), plan, pack).shape == (0, 3, 16, 16)


def test_rows_are_selected_in_the_order_given_and_may_repeat(pack):
    plan = everything(pack).draw(5, generator())
    some = plan.select([3, 0, 0])
    assert some.styles == (plan.styles[3], plan.styles[0], plan.styles[0])
    assert all(torch.equal(getattr(some, f), getattr(plan, f)[[3, 0, 0]]) for f in FIELDS)
    assert len(plan.select([])) == 0


def test_stages_are_decided_per_image_and_independently(pack):
    full = {"strength": 1, "blur": 1, "grain": 1}
    plan = everything(pack, p=1, stage_p=0.3, **full).draw(4000, generator())
    stages = torch.stack([plan.restyled, plan.blurred, plan.grainy]).float()
    shares = stages.mean(1)
    assert shares.tolist() == pytest.approx([0.3] * 3, abs=0.03)
    together = (stages @ stages.T) / 4000
    expected = shares[:, None] * shares
    assert together.fill_diagonal_(0).flatten().tolist() == pytest.approx(
        expected.fill_diagonal_(0).flatten().tolist(), abs=0.02
    )


def test_the_lamp_changes_on_all_images_that_change(pack):
    plan = everything(pack, p=0.5, stage_p=0.3, strength=1, light=1).draw(4000, generator())
    assert plan.relit.float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert (plan.relit | ~plan.restyled).all()


def test_an_image_that_p_leaves_out_stays_as_it_is(pack):
    """So users count: p is the share of changed images, whatever the stages."""
    full = {"strength": 1, "light": 1, "blur": 1, "grain": 1}
    plan = everything(pack, p=0.4, stage_p=0.9, **full).draw(4000, generator())
    stages = torch.stack([plan.restyled, plan.relit, plan.blurred, plan.grainy])
    assert stages.any(0).float().mean().item() == pytest.approx(0.4, abs=0.03)
    for stage in (plan.restyled, plan.blurred, plan.grainy):
        assert stage.float().mean().item() == pytest.approx(0.36, abs=0.03)


@pytest.mark.parametrize("p", [0, 1])
def test_p_zero_is_never_and_p_one_always(pack, p):
    ranges = {"strength": (0.1, 1), "light": (0.1, 1), "blur": (0.1, 1), "grain": (0.1, 1)}
    plan = everything(pack, p=p, **ranges).draw(500, generator())
    assert plan.restyled.float().mean() == p
    assert plan.blurred.float().mean() == p
    assert plan.grainy.float().mean() == p
    assert abs(plan.relit.float().mean() - p) < 0.05


ALONE = {"strength": 0, "blur": 0, "grain": 0}


@pytest.mark.parametrize("name", ["strength", "texture"])
def test_ranges_are_filled_evenly(pack, name):
    alone = {**ALONE, "strength": 1 if name == "texture" else 0, name: (0.2, 0.6)}
    values = getattr(everything(pack, p=1, **alone).draw(2000, generator()), name)
    assert 0.2 <= values.min() < 0.21
    assert 0.59 < values.max() <= 0.6
    assert values.mean().item() == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(("name", "part"), [("blur", 1 / 4), ("grain", 1 / 8)])
def test_little_blur_and_grain_come_more_often_than_much(pack, name, part):
    """Half of the amounts lie in the lowest part of the range, and all of it is met."""
    plan = everything(pack, p=1, **{**ALONE, name: (0.2, 0.6)}).draw(4000, generator())
    values = plan.blur.amax(1) if name == "blur" else plan.grain
    assert 0.2 <= values.min() < 0.21
    assert 0.59 < values.max() <= 0.6
    assert (values < 0.2 + 0.4 * part).float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_a_number_is_a_range_of_one_value(pack):
    settings = {**ALONE, "strength": 0.7, "texture": 0.3, "light": 0}
    plan = everything(pack, p=1, **settings).draw(20, generator())
    torch.testing.assert_close(plan.strength, torch.full((20,), 0.7))
    torch.testing.assert_close(plan.texture, torch.full((20,), 0.3))
    assert is_neutral(plan.light).all()


def test_stages_that_meet_on_an_image_share_it(pack):
    full = {"strength": 0.9, "blur": 0.6, "grain": 0.3}
    plan = everything(pack, p=1, stage_p=0.5, **full).draw(2000, generator())
    amounts = torch.stack([plan.strength, plan.blur.amax(1), plan.grain], 1)
    counts = (amounts > 0).sum(1)
    assert set(counts.tolist()) == {0, 1, 2, 3}
    for amount, of_all in zip(amounts.T, full.values(), strict=True):
        there = amount > 0
        torch.testing.assert_close(amount[there], of_all / counts[there].sqrt())


def test_a_stage_that_is_off_takes_no_share(pack):
    plan = everything(pack, p=1, strength=0.8, blur=0, grain=0.5).draw(50, generator())
    torch.testing.assert_close(plan.strength, torch.full((50,), 0.8 / 2**0.5))
    plan = everything(pack, p=1, strength=0.8, blur=0, grain=0, light=1).draw(50, generator())
    torch.testing.assert_close(plan.strength, torch.full((50,), 0.8))


def test_blur_is_as_wide_along_one_axis_as_it_is_drawn_and_less_along_the_other(pack):
    blur = everything(pack, p=1, **{**ALONE, "blur": 0.8}).draw(2000, generator()).blur
    widest, other = blur.max(1).values, blur.min(1).values
    assert torch.allclose(widest, torch.full((2000,), 0.8))
    assert other.min() < 0.05
    assert 0.35 < other.mean() < 0.45
    assert 0.4 < (blur[:, 0] > blur[:, 1]).float().mean() < 0.6


def test_grain_begins_anywhere_on_the_noise_field(pack):
    places = everything(pack).draw(2000, generator()).place
    assert 0 <= places.min() < 0.01 * NoiseField.PLACES
    assert 0.99 * NoiseField.PLACES < places.max() < NoiseField.PLACES


def test_plans_are_joined_row_by_row(pack):
    plan = everything(pack, styles="batch").draw(6, generator())
    assert equal(StylePlan.join([plan.select([0, 1, 2]), plan.select([3, 4, 5])]), plan)


def test_maps_of_joined_plans_are_brought_to_one_size(pack):
    codes = pack.codes[:1]
    maps = [None, torch.tensor([[[[0.0, 1.0]]]]), torch.full((1, 1, 3, 1), 0.5)]
    joined = StylePlan.join([StylePlan.of(codes, where=where) for where in maps]).where
    assert joined.shape == (3, 1, 3, 2)
    assert (joined[0] == 1).all()
    assert torch.equal(joined[1, 0], torch.tensor([[0.0, 1.0]] * 3))
    assert (joined[2] == 0.5).all()


def test_a_plan_by_hand_does_what_is_asked_and_nothing_else(pack):
    plan = StylePlan.of(pack.codes[:3], strength=0.5, styles=["a", "b", "c"])
    assert plan.restyled.all()
    assert not (plan.relit | plan.blurred | plan.grainy).any()
    assert plan.styles == ("a", "b", "c")
    fields = {name: getattr(plan, name) for name in FIELDS}
    drawn = everything(pack).draw(3)
    for name, value in fields.items():
        assert (value.shape, value.dtype) == (
            getattr(drawn, name).shape,
            getattr(drawn, name).dtype,
        )
    each = torch.tensor([0.1, 0.2, 0.3])
    plan = StylePlan.of(
        pack.codes[:3], strength=each, blur=each, grain=each, light=drawn.light, place=drawn.place
    )
    assert torch.equal(plan.strength, each)
    assert torch.equal(plan.place, drawn.place)
    assert torch.equal(plan.blur, each[:, None].expand(3, 2))
    assert torch.equal(plan.light, drawn.light)
    assert equal(StylePlan.from_dict(json.loads(json.dumps(plan.to_dict()))), replace(plan))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strength": 1.5}, r"strength must lie in \[0, 1\], but got 1.5"),
        ({"texture": float("nan")}, "texture must lie in"),
        ({"grain": torch.zeros(2)}, r"grain must be \(3,\) for 3 codes, but is \(2,\)"),
        ({"where": torch.ones(3, 4, 4)}, r"where must be \(3, 1, 4\)"),
        ({"where": torch.ones(3, 3, 4, 4)}, r"where must be \(3, 1, 4, 4\)"),
        ({"light": torch.zeros(3, 2)}, "light must be"),
    ],
)
def test_a_plan_by_hand_is_checked(pack, settings, message):
    with pytest.raises(ValueError, match=message):
        StylePlan.of(pack.codes[:3], **settings)


def test_without_mix_and_jitter_codes_are_rows_of_the_pack(pack):
    plan = StyleSampler(pack).draw(300, generator())
    assert all(
        torch.equal(code, pack.codes[pack.names.index(name)])
        for code, name in zip(plan.codes, plan.styles, strict=True)
    )
    counts = [plan.styles.count(name) for name in pack.names]
    assert min(counts) > 300 / len(pack) / 2  # all of them come up


def test_mixing_lies_between_two_rows_and_keeps_to_its_bound(pack):
    plan = StyleSampler(pack, mix=0.4).draw(300, generator())
    shares = []
    for code, name in zip(plan.codes, plan.styles, strict=True):
        first, _, share, second = name.split(" ")
        a, b = (pack.codes[pack.names.index(n)] for n in (first, second))
        torch.testing.assert_close(code, torch.lerp(a, b, float(share)), atol=0.03, rtol=0)
        shares.append(float(share))
    assert 0 <= min(shares) < 0.02
    assert 0.38 < max(shares) <= 0.4


def test_jitter_scatters_codes_within_what_the_pack_spans(pack):
    rows = StyleSampler(pack).draw(500, generator())
    plan = StyleSampler(pack, jitter=0.5).draw(500, generator())
    noise = (plan.codes - rows.codes) / pack.codes.std(0, correction=0)
    assert 0.2 < noise.std() < 0.5  # clamping takes some away
    assert (plan.codes <= pack.codes.amax(0)).all()
    assert (plan.codes >= pack.codes.amin(0)).all()
    assert len(plan.codes.unique(dim=0)) == 500


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
    assert set(StyleSampler(tagged, styles).draw(200, generator()).styles) == expected
    assert sorted(StyleSampler(tagged, styles).names) == sorted(expected)  # none counts twice


def test_styles_are_read_from_a_picture(tagged, reference):
    plan = StyleSampler(tagged, reference).draw(3, generator())
    expected = tagged.encode(to_tensor(load_rgb(reference))[None])
    assert plan.styles == (str(reference),) * 3
    torch.testing.assert_close(plan.codes, expected.repeat(3, 1))


def test_styles_are_read_from_folders_and_join_those_of_the_pack(tagged, reference):
    (reference.parent / "deep").mkdir()
    pil_picture("L", 30, 20).save(reference.parent / "deep" / "other.png")
    sampler = StyleSampler(tagged, ["wood", str(reference.parent)])
    assert [n.rpartition("/")[2] for n in sampler.names] == [
        *["oak", "pine", "other.png", "reference.png"],
    ]
    assert sampler.codes.shape == (4, TINY.code_size)
    assert len(sampler.codes.unique(dim=0)) == 4


def test_a_changed_picture_is_read_again(tagged, reference):
    before = StyleSampler(tagged, reference).codes
    pil_picture("L").save(reference)
    os.utime(reference, ns=(1, 1))
    assert not torch.equal(StyleSampler(tagged, reference).codes, before)


def test_pictures_of_one_name_and_age_are_told_apart(tagged, tmp_path):
    codes = []
    for folder, mode in (("a", "L"), ("b", "RGB")):
        (tmp_path / folder).mkdir()
        pil_picture(mode).save(tmp_path / folder / "x.png")
        os.utime(tmp_path / folder / "x.png", ns=(1, 1))
        codes.append(StyleSampler(tagged, tmp_path / folder).codes)
    assert not torch.equal(*codes)


def test_a_path_is_a_path_even_if_a_tag_is_called_so(tagged, tmp_path, monkeypatch):
    """``Path("wood")`` is a folder of that name; ``"wood"`` is the tag."""
    monkeypatch.chdir(tmp_path)
    folder = Path("wood")
    folder.mkdir()
    pil_picture().save(folder / "x.png")
    assert StyleSampler(tagged, "wood").names == ["oak", "pine"]
    assert StyleSampler(tagged, folder).names == [str(folder / "x.png")]


@pytest.mark.parametrize(
    ("styles", "words"),
    [
        ([], ["at least one style"]),
        (["batch", "wood"], ["'batch' stands alone"]),
        ("wool", ["'wool' is none of them", "material, metal, wood", "paths", "styleaug packs"]),
        (["wood", "missing/photo.png"], ["'missing/photo.png'"]),
    ],
)
def test_unknown_styles_are_refused_with_what_there_is(tagged, styles, words):
    with pytest.raises(ValueError, match=r"^styles") as caught:
        StyleSampler(tagged, styles)
    assert [w for w in words if w not in str(caught.value)] == []


def test_an_unreadable_reference_is_named(tagged, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"reference image must be readable.*broken\.png"):
        StyleSampler(tagged, tmp_path)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_batch_styles_come_from_the_other_images(pack, count):
    sampler = StyleSampler(pack, "batch")
    plans = [sampler.draw(count, generator(seed)) for seed in range(50)]
    for plan in plans:
        assert ((plan.donors >= 0) & (plan.donors < count)).all()
        assert (plan.donors != torch.arange(count)).all()
        assert plan.styles == tuple(f"batch[{d}]" for d in plan.donors)
    others = {int(plan.donors[0]) for plan in plans}
    assert others == set(range(1, count))


def test_an_image_alone_in_its_batch_takes_a_style_of_the_pack(pack):
    plan = StyleSampler(pack, "batch").draw(1, generator())
    assert plan.donors.tolist() == [-1]
    assert plan.styles[0] in pack.names


def test_reports_name_the_light_that_acts(pack):
    plan = everything(pack, p=1, light=1).draw(200, generator())
    lights = [
        {name: value for name, value in plan.describe(row).items() if name in NAMES}
        for row in range(200)
    ]
    for row, named in enumerate(lights):
        assert bool(named) == bool(plan.relit[row])
        for name, value in named.items():
            assert value == pytest.approx(plan.light[row, NAMES.index(name)].item(), abs=1e-4)
            assert name.partition("_")[0] in named  # no spot_x without a spot
    assert {name for named in lights for name in named} == set(NAMES)


def test_a_bundle_of_references_is_encoded_once(tagged, reference, monkeypatch):
    calls = []
    encode = StylePack.encode
    monkeypatch.setattr(
        StylePack, "encode", lambda self, images: calls.append(1) or encode(self, images)
    )
    for _ in range(3):
        StyleSampler(tagged, reference)
    assert len(calls) == 1
