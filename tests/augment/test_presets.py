"""Presets: each builds and travels; and what an image gets by default does not drift unnoticed."""

import json
import re

import pytest
import torch

from helpers import pictures, public_names
from styleaug import Defocus, Relight, Restyle, SensorNoise, StyleAugment
from styleaug.augment.presets import LOOKS, PRESETS, Preset, preset

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.mark.parametrize("name", PRESETS)
def test_each_builds_and_changes_images(name):
    transform = StyleAugment(name)
    transform.set_progress(1)
    images = pictures(12, 3, 24, 32)
    out = transform(images)
    changed = (out != images).flatten(1).any(1)
    assert 1 <= changed.sum() <= 12
    assert preset(name).when == PRESETS[name]
    assert len(PRESETS[name]) < 100


def built(code):
    return eval(code, public_names())


@pytest.mark.parametrize("name", PRESETS)
def test_each_is_written_as_its_name_and_read_again(name):
    transform = StyleAugment(name)
    assert repr(transform) == ("StyleAugment()" if name == "default" else f"StyleAugment({name!r})")
    assert repr(built(repr(transform))) == repr(transform)
    twin = StyleAugment.from_dict(json.loads(json.dumps(transform.to_dict())))
    assert twin.to_dict() == transform.to_dict()
    assert repr(twin.stages) == repr(transform.stages)
    assert (twin.p, twin.schedule) == (transform.p, transform.schedule)
    # settings by value: a later version may change what a name stands for
    assert repr(built(repr(twin))) == repr(twin)
    assert built(repr(twin)).to_dict() == transform.to_dict()


def test_two_transforms_of_a_preset_share_no_stage():
    one, two = StyleAugment("masks"), StyleAugment("masks")
    one.stages[0].p = 0.1
    assert two.stages[0].p == 0.6


def test_a_stage_that_was_changed_is_shown():
    transform = StyleAugment("sensor")
    transform.stages[1].p = 0.1
    assert "Defocus(sigma=(0.0, 1.5), p=0.1)" in repr(transform)
    assert built(repr(transform)).to_dict() == transform.to_dict()


def test_arguments_go_before_those_of_the_preset():
    transform = StyleAugment("masks", p=0.5, schedule={}, protect=0.5)
    assert (transform.p, transform.schedule, transform.protect) == (0.5, {}, 0.5)
    assert repr(transform) == "StyleAugment('masks', p=0.5, schedule={}, protect=0.5)"
    assert repr(StyleAugment("masks", p=0.7, schedule="gradual")) == "StyleAugment('masks')"


def test_styles_and_a_pack_of_ones_own(pack, pack_file):
    chosen = preset("boxes", styles=["random-1", "random-2"], pack=pack)
    transform = StyleAugment(chosen, p=1)
    assert transform.stages[0].pool.names == ["random-1", "random-2"]
    assert transform.stages[0].pack is pack
    assert (transform.p, transform.schedule) == (1, "gradual")
    named = StyleAugment(preset("mild", styles="random", pack=str(pack_file)))
    assert built(repr(named)).to_dict() == named.to_dict()
    with pytest.raises(ValueError, match="'wood' is none of them"):
        preset("boxes", styles="wood", pack=pack)
    assert [type(stage) for stage in preset("lighting", pack=pack).stages] == [Relight]


def test_a_preset_of_ones_own(pack):
    mine = Preset("line 7", "the new camera", [Relight(), SensorNoise()], p=0.9)
    transform = StyleAugment(mine, protect=0)
    assert transform.stages == list(mine.stages)
    assert transform.p == 0.9


@pytest.mark.parametrize(
    ("name", "near"),
    [("mask", "masks"), ("Boxes", "boxes"), ("light", "lighting"), ("defalt", "default")],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, near):
    with pytest.raises(ValueError, match=rf"one of default, .*, but is '{name}'.*mean '{near}'\?"):
        StyleAugment(name)


def test_a_name_like_no_other_is_refused_with_all():
    with pytest.raises(ValueError, match=rf"must be one of {', '.join(PRESETS)}, .*'xyz'\.$"):
        preset("xyz")


def test_reasons_are_lines_for_a_table():
    for when in PRESETS.values():
        assert re.fullmatch(r"[a-z][^\n|]+[^.\n]", when)


def test_the_classes_and_ranges_of_the_default():
    """The docs' results were measured with these."""
    assert repr(StyleAugment().stages) == repr(
        [
            Restyle(strength=(0.3, 1), texture=(0, 1), mix=0.5, p=0.6),
            Relight(strength=(0.2, 1)),
            Defocus(sigma=(0, 4), p=0.6),
            SensorNoise(sigma=(0, 0.09), p=0.6),
        ]
    )


@pytest.fixture(scope="module")
def drawn():
    return StyleAugment().draw(20_000, torch.Generator().manual_seed(0))


def test_shares_of_images_by_default(drawn):
    """0.7 of the images change, 0.42 of all by each stage, and light on all that change."""
    active = {name: drawn[name].active.float() for name in drawn}
    shares = {name: values.mean().item() for name, values in active.items()}
    assert shares == pytest.approx(
        {"Restyle": 0.42, "Relight": 0.7, "Defocus": 0.42, "SensorNoise": 0.42}, abs=0.015
    )
    three = torch.stack([active[name] for name in ("Restyle", "Defocus", "SensorNoise")])
    counts = three.sum(0).long().bincount().div(20_000)
    expected = [0.3 + 0.7 * 0.4**3, 0.7 * 3 * 0.6 * 0.4**2, 0.7 * 3 * 0.6**2 * 0.4, 0.7 * 0.6**3]
    assert counts.tolist() == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize(
    ("stage", "field", "quantiles"),
    [  # as the first version, whose arguments were those of one class, drew them
        ("Restyle", "strength", (0.220, 0.323, 0.448, 0.566, 0.794)),
        ("Restyle", "texture", (0.05, 0.25, 0.5, 0.75, 0.95)),
        ("Defocus", "sigma", (0.0065, 0.165, 0.656, 1.53, 2.58)),
        ("SensorNoise", "sigma", (0.0, 0.001, 0.0081, 0.0267, 0.0542)),
    ],
)
def test_amounts_by_default(drawn, stage, field, quantiles):
    values = getattr(drawn[stage], field)[drawn[stage].active]
    values = values.amax(1) if values.ndim == 2 else values
    found = values.quantile(torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95]))
    torch.testing.assert_close(found, torch.tensor(quantiles), rtol=0.1, atol=0.005)


def test_light_by_default(drawn):
    """How often each fault acts, how strong exposure is, and how seldom the polarity turns."""
    reports = [drawn["Relight"].describe(row) for row in range(4000)]
    expected = {"exposure": 0.7, "gradient": 0.28, "spot": 0.21, "haze": 0.21, "invert": 0.035}
    shares = {name: sum(name in report for report in reports) / 4000 for name in expected}
    assert shares == pytest.approx(expected, abs=0.025)
    exposure = drawn["Relight"].values[:, 0]
    assert exposure.mean().item() == pytest.approx(0, abs=0.01)
    assert exposure.std().item() == pytest.approx(0.281, abs=0.01)


def test_mixtures_by_default(drawn):
    shares = [float(name.rsplit(" + ", 1)[1][:4]) for name in drawn["Restyle"].styles[:2000]]
    assert max(shares) <= 0.5
    assert sum(shares) / len(shares) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("pack", ["fast", "base"])
@pytest.mark.parametrize("name", LOOKS)
def test_a_look_is_one_style_that_both_packs_have(name, pack):
    chosen = preset(name, pack=pack)
    assert chosen.stages[0].pool.names == [name]
    assert chosen.p == 1
    assert chosen.when == LOOKS[name]
    images = pictures(2, 3, 32, 32)
    assert (StyleAugment(chosen)(images) != images).flatten(1).any(1).all()


def test_a_look_takes_another_style_where_one_is_given():
    assert preset("ink", styles="rust").stages[0].pool.rows == ["rust"]
