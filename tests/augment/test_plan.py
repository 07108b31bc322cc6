"""Plans: names of stages, probabilities, how stages share an image, and a stage of one's own."""

import json
import re
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from helpers import distance, pictures
from styleaug import Defocus, Relight, Restyle, SensorNoise, StyleAugment
from styleaug.augment.plan import Plan
from styleaug.images.checks import check_range
from styleaug.stages.apply import on_device
from styleaug.stages.base import Stage
from styleaug.stages.params import Params, rows, uniform
from styleaug.stages.relight import NAMES

pytestmark = pytest.mark.usefixtures("seeded", "small_references")

THREE = ("Restyle", "Defocus", "SensorNoise")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def everything(pack):
    """A transform with every source of randomness open."""
    full = {"strength": 1, "mix": 1, "jitter": 0.5, "pack": pack}

    def make(p=1.0, stage_p=1.0, **settings):
        return StyleAugment(
            [
                Restyle("batch", **full, p=stage_p),
                Relight(strength=1),
                Defocus(sigma=4, p=stage_p),
                SensorNoise(sigma=0.3, p=stage_p),
            ],
            p=p,
            **settings,
        )

    return make


def active(plan, *names):
    """Which images each stage changes (stages, B)."""
    return torch.stack([plan[name].active for name in names or plan]).float()


def amounts(plan):
    """What the three that share images do to them, of what they do alone (3, B)."""
    values = plan["Restyle"].strength, plan["Defocus"].sigma.amax(1), plan["SensorNoise"].sigma
    return torch.stack(values) / torch.tensor([1, 4, 0.3])[:, None]


# --- the mapping ---


def test_a_plan_maps_names_of_stages_to_params_in_their_order(everything):
    plan = everything().draw(3)
    assert list(plan) == ["Restyle", "Relight", "Defocus", "SensorNoise"]
    assert len(plan) == 4
    assert plan.count == 3
    assert type(plan["Defocus"]).__name__ == "DefocusParams"
    assert repr(plan) == "Plan(Restyle, Relight, Defocus, SensorNoise; 3 images)"


def test_a_stage_that_comes_twice_has_a_number():
    transform = StyleAugment([Relight(strength=1), Defocus(), Relight(strength=0.2), Relight()])
    plan = transform.draw(2)
    assert list(plan) == ["Relight", "Defocus", "Relight-2", "Relight-3"]
    again = Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    images = pictures(2, 3, 16, 16)
    assert torch.equal(transform.render(images, again), transform.render(images, plan))
    assert Plan.from_tensors(plan.tensors()).keys() == plan.keys()


def test_one_object_may_be_two_stages():
    noise = SensorNoise(sigma=0.1)
    plan = StyleAugment([noise, noise]).draw(2)
    assert not torch.equal(plan["SensorNoise"].seed, plan["SensorNoise-2"].seed)


def test_descriptions_are_of_the_stages_that_act(everything):
    plan = everything(stage_p=0.5).draw(40)
    for row in range(40):
        named = plan.describe(row)
        assert list(named) == [name for name in plan if plan[name].active[row]]
        caption = plan.caption(row)
        assert [name in caption for name in plan] == [name in named for name in plan]
    quiet = plan.only(torch.zeros(40, dtype=torch.bool))
    assert quiet.describe(0) == {}
    assert quiet.caption(0) == "unchanged"


def test_a_caption_is_a_line_for_people(pack):
    transform = StyleAugment([Restyle(pack=pack, strength=0.5, texture=1, mix=0), Defocus(sigma=2)])
    form = r"Restyle: random-\d, strength 0\.35\d*, texture 1; Defocus: sigma 1\.41?"
    assert re.fullmatch(form, transform.draw(1).caption(0))


def test_only_leaves_the_other_images_alone(everything):
    plan, chosen = everything().draw(4), torch.tensor([True, False, False, True])
    assert torch.equal(active(plan.only(chosen)).any(0), chosen)
    some = plan.only(chosen)
    for name in plan:
        for key, tensor in plan[name].tensors().items():
            assert torch.equal(some[name].tensors()[key][chosen], tensor[chosen])


def test_joined_plans_must_be_of_the_same_stages():
    """Else the stages that the first does not have would be lost."""
    one, two = (StyleAugment(s).draw(1) for s in ([Relight()], [Relight(), Defocus()]))
    for plans in ([one, two], [two, one], []):
        with pytest.raises(ValueError, match=r"must be of the same stages, but are \["):
            Plan.join(plans)


@pytest.mark.parametrize(
    "read",
    [lambda: Plan.from_dict({"Blur": {}}), lambda: Plan.from_tensors({"Blur.x": torch.ones(1)})],
)
def test_plans_of_unknown_stages_are_refused(read):
    with pytest.raises(ValueError, match=r"made of .*Defocus.*, but names 'Blur'"):
        read()


@pytest.mark.parametrize("stages", [[Relight(), Defocus()], [Defocus()]])
def test_the_plan_of_other_stages_is_refused(stages):
    plan = StyleAugment(stages).draw(1)
    with pytest.raises(ValueError, match=r"must be of the stages Relight, but is of .*Defocus"):
        StyleAugment([Relight()]).render(pictures(1, 3, 16, 16), plan)


# --- probabilities ---


def test_stages_are_decided_per_image_and_independently(everything):
    chosen = active(everything(stage_p=0.3).draw(4000), *THREE)
    shares = chosen.mean(1)
    assert shares.tolist() == pytest.approx([0.3] * 3, abs=0.03)
    together = (chosen @ chosen.T) / 4000
    expected = shares[:, None] * shares
    torch.testing.assert_close(
        together.fill_diagonal_(0), expected.fill_diagonal_(0), atol=0.02, rtol=0
    )


def test_p_is_the_share_of_changed_images_whatever_the_stages(everything):
    plan = everything(p=0.4, stage_p=0.9).draw(4000)
    assert active(plan).any(0).float().mean().item() == pytest.approx(0.4, abs=0.03)
    assert active(plan, *THREE).mean(1).tolist() == pytest.approx([0.36] * 3, abs=0.03)
    # the light changes on all images that change
    assert torch.equal(active(plan, "Relight")[0], active(plan).amax(0))


def test_settings_of_one_stage_do_not_shift_the_draws_of_others(pack):
    """With a seed, more light leaves the styles as they were: experiments stay comparable."""
    plans = [
        StyleAugment([Relight(strength=s, p=p), Restyle(pack=pack)]).draw(8, generator())
        for s, p in ((0, 1), (1, 0.3))
    ]
    for key, tensor in plans[0]["Restyle"].tensors().items():
        assert torch.equal(tensor, plans[1]["Restyle"].tensors()[key])


# --- sharing ---


def test_stages_that_meet_on_an_image_share_it(everything):
    values = amounts(everything(stage_p=0.5).draw(2000))
    counts = (values > 0).sum(0)
    assert set(counts.tolist()) == {0, 1, 2, 3}
    expected = (values > 0) / counts.clamp_min(1).sqrt()
    torch.testing.assert_close(values, expected)


@pytest.mark.parametrize("off", [Defocus(sigma=0), Defocus(p=0), Relight(strength=1)])
def test_a_stage_that_is_off_takes_no_share_and_light_never_does(pack, off):
    plan = StyleAugment([Restyle(pack=pack, strength=0.8), off]).draw(50)
    torch.testing.assert_close(plan["Restyle"].strength, torch.full((50,), 0.8))


def test_two_of_a_kind_share_too():
    plan = StyleAugment([SensorNoise(sigma=0.2), SensorNoise(sigma=0.1)]).draw(5)
    torch.testing.assert_close(plan["SensorNoise"].sigma, torch.full((5,), 0.2 / 2**0.5))
    torch.testing.assert_close(plan["SensorNoise-2"].sigma, torch.full((5,), 0.1 / 2**0.5))


def test_light_and_texture_are_not_shared_out(pack):
    stages = [Restyle(pack=pack, texture=0.5), Relight(strength=1), SensorNoise(sigma=0.1)]
    plan = StyleAugment(stages).draw(500)
    torch.testing.assert_close(plan["Restyle"].texture, torch.full((500,), 0.5))
    assert plan["Relight"].values[:, NAMES.index("exposure")].abs().max() > 0.85


# --- a stage of one's own: one class, and no other change ---


@dataclass(frozen=True, eq=False)
class DarkenParams(Params):
    """How much darker each image gets, and a word for it."""

    share: Tensor = rows(torch.float32)
    words: tuple[str, ...] = ()

    @property
    def active(self):
        return self.share > 0

    def scaled(self, factor):
        return DarkenParams(self.share * factor, self.words)

    def describe(self, row):
        return {"word": self.words[row], "share": float(self.share[row])}


class Darken(Stage):
    """Darken images."""

    params_type = DarkenParams
    amount = "share"

    def __init__(self, *, share=(0.2, 0.8), p=1.0):
        super().__init__(p)
        self.share = check_range("share", share, 0, 1)

    def draw(self, count, generator=None):
        return DarkenParams(uniform(count, generator, *self.share), ("dark",) * count)

    def apply(self, images, params):
        assert params.active.all()
        return images * (1 - on_device(params.share, images))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32], ids=str)
def test_a_new_stage_works_alone(dtype):
    images = pictures(3, 3, 17, 11, dtype=dtype)
    out = Darken(share=0.5)(images)
    assert out.dtype == dtype
    assert distance(out.float(), images.float() / 2) <= 255 * (dtype != torch.float32)
    assert repr(Darken(share=0.5, p=0.2)) == "Darken(share=(0.5, 0.5), p=0.2)"
    assert Stage.from_dict(Darken(share=(0, 0.5)).to_dict()).share == (0, 0.5)


def test_a_new_stage_works_among_others():
    transform = StyleAugment(
        [Relight(), Darken(share=(0.4, 0.6)), SensorNoise(p=0.5)],
        p=0.8,
        schedule={"Darken": [(0, 0), (1, 1)], "Darken.share": [(0, 0.5)]},
    )
    twin = StyleAugment.from_dict(json.loads(json.dumps(transform.to_dict())))
    for each in (transform, twin):
        each.set_progress(1)
    plan = transform.draw(200, generator())
    again = Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    images = pictures(1, 3, 16, 16).expand(200, -1, -1, -1)
    expected = transform.render(images, plan)
    assert torch.equal(twin.render(images, twin.draw(200, generator())), expected)
    assert torch.equal(transform.render(images, again), expected)
    share = plan["Darken"].share
    assert (share > 0).float().mean().item() == pytest.approx(0.8, abs=0.08)
    alone = share[plan["Darken"].active & ~plan["SensorNoise"].active]
    assert alone.min() >= 0.2  # half of it, by the schedule
    assert alone.max() <= 0.3
    row = int(plan["Darken"].active.nonzero()[0])
    assert plan.describe(row)["Darken"]["word"] == "dark"
    assert "Darken: dark, share" in plan.caption(row)
    transform.set_progress(0)
    assert not transform.draw(50)["Darken"].active.any()


def test_a_stage_sees_what_the_one_before_has_made():
    images = torch.full((2, 3, 16, 16), 0.8)
    transform = StyleAugment([Darken(share=0.5), Defocus(sigma=2), Darken(share=0.5)])
    quarter = 0.8 * (1 - 0.5 / 3**0.5) ** 2
    torch.testing.assert_close(transform(images), torch.full_like(images, quarter))


class Broken(Darken):
    """Fails while it renders."""

    def apply(self, images, params):
        raise RuntimeError("broken")


def test_a_stage_that_fails_leaves_no_trace():
    images = pictures(2, 3, 16, 16, dtype=torch.float32)
    before = images.clone()
    with pytest.raises(RuntimeError, match="broken"):
        StyleAugment([Darken(), Broken()])(images)
    assert torch.equal(images, before)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("name", "value"),
    [("sigma", None), ("sigma", [[1.0, 2.0, 3.0]]), ("sigma", [["wide"]]), ("sigma", 3)],
)
def test_a_malformed_plan_is_refused_in_one_sentence(name, value):
    data = StyleAugment([Defocus()]).draw(1).to_dict()
    if value is None:
        del data["Defocus"][name]
    else:
        data["Defocus"][name] = value
    with pytest.raises(ValueError, match=r"must be what to_dict\(\) gave, but 'sigma'"):
        Plan.from_dict(data)
