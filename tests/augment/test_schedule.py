"""Schedules: how settings follow training, who hears of progress, and warnings of what is idle."""

import copy
import json
import pickle
import warnings

import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors

from helpers import pictures
from styleaug import Defocus, Relight, Restyle, SensorNoise, StyleAugment
from styleaug.augment.schedule import Schedule

RAMP = [(0, 0), (1, 1)]
SECONDS = 120
pytestmark = [
    pytest.mark.usefixtures("seeded"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.mark.parametrize(
    ("pairs", "progress", "factor"),
    [
        ([(0, 0), (1, 1)], 0.25, 0.25),
        ([(0.2, 0.5), (0.6, 1)], 0.4, 0.75),
        ([(0.2, 0.5), (0.6, 1)], 0.0, 0.5),  # before the first pair
        ([(0.2, 0.5), (0.6, 0.8)], 1.0, 0.8),  # after the last
        ([[0, 1], [0.9, 1], [0.9, 0]], 1.0, 0.0),  # a step, and lists as JSON has them
        (((0, 1), [1, 0]), 0.5, 0.5),
        ([(0, 0.3)], 0.7, 0.3),
    ],
)
def test_factors_are_linear_between_the_pairs(pairs, progress, factor):
    assert Schedule({"p": pairs}).factors(progress)["p"] == pytest.approx(factor)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ({"hue": [(0, 1)]}, r"among p, Restyle, .*, but names \['hue'\]"),
        ({"Defocus": [(0, 1)]}, r"names \['Defocus'\]"),  # there is none
        ({"Restyle.hue": [(0, 1)]}, r"Restyle\.texture, .*but names \['Restyle\.hue'\]"),
        ({"Restyle.seed": [(0, 1)]}, r"names \['Restyle\.seed'\]"),  # half a seed is no less noise
        ({"Restyle.styles": [(0, 1)]}, r"names \['Restyle\.styles'\]"),
        ({"Relight.values": [(0, 1)]}, r"names \['Relight\.values'\]"),
        ({"p.texture": [(0, 1)]}, r"names \['p\.texture'\]"),
        ({"p": [(0, 1.5)]}, r"pairs \(progress, factor\) in \[0, 1\]"),
        ({"p": [(0.5, 1), (0.2, 0)]}, "by rising progress"),
        ({"p": [(0, 1, 2)]}, r"such as \[\(0, 0.2\), \(1, 1\)\], but is"),
        ({"p": [(0, "much")]}, "pairs"),
        ({"p": [(0, float("nan"))]}, "pairs"),
        ({"p": []}, "pairs"),
        ({"p": 0.5}, "pairs"),
        ([("p", [(0, 1)])], "or settings with pairs"),
        (0.5, "or settings with pairs"),
        ("sudden", "must be one of gradual, or settings with pairs .*, but is 'sudden'"),
    ],
)
def test_wrong_schedules_are_refused_at_once(pack, points, words):
    with pytest.raises(ValueError, match=words):
        StyleAugment([Restyle(pack=pack), Relight()], schedule=points)


def scheduled(pack, schedule):
    full = {"strength": (0.5, 1), "texture": (0.5, 1), "pack": pack}
    return StyleAugment([Restyle(**full), SensorNoise(sigma=(0.1, 0.2))], schedule=schedule)


def drawn(transform, progress):
    transform.set_progress(progress)
    return transform.draw(5, torch.Generator().manual_seed(0)).tensors()


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("Restyle", "Restyle.strength"),
        ("Restyle.strength", "Restyle.strength"),
        ("Restyle.texture", "Restyle.texture"),
        ("SensorNoise", "SensorNoise.sigma"),
        ("SensorNoise.sigma", "SensorNoise.sigma"),
    ],
)
def test_a_schedule_scales_what_is_drawn_and_nothing_else(pack, setting, field):
    transform = scheduled(pack, {setting: RAMP})
    whole, half, none = (drawn(transform, t) for t in (1, 0.5, 0))
    torch.testing.assert_close(half[field], whole[field] / 2)
    assert not none[field].any()
    for other in set(whole) - {field}:
        assert torch.equal(half[other], whole[other])


def test_a_stage_that_the_schedule_switches_off_takes_no_share(pack):
    """Nor does it when one of its fields is its only amount."""
    for setting in ("Restyle", "Restyle.strength"):
        transform = StyleAugment(
            [Restyle(pack=pack, strength=1), SensorNoise(sigma=0.1)], schedule={setting: RAMP}
        )
        torch.testing.assert_close(drawn(transform, 0)["SensorNoise.sigma"], torch.full((5,), 0.1))


def test_factors_of_a_stage_and_of_its_field_multiply(pack):
    transform = scheduled(pack, {"Restyle": RAMP, "Restyle.strength": RAMP})
    whole, half = (drawn(transform, t)["Restyle.strength"] for t in (1, 0.5))
    torch.testing.assert_close(half, whole / 4)


def test_light_shrinks_and_the_second_of_a_kind_has_a_schedule_of_its_own():
    stages = [Relight(strength=1), Relight(strength=1)]
    transform = StyleAugment(stages, schedule={"Relight-2": RAMP})
    transform.set_progress(0)
    plan = transform.draw(20)
    assert plan["Relight"].active.all()
    assert not plan["Relight-2"].active.any()
    transform.set_progress(1)
    assert transform.draw(20)["Relight-2"].active.all()


def test_a_schedule_scales_the_probability():
    transform = StyleAugment([Relight()], p=0.8, schedule={"p": RAMP})
    shares = []
    for progress in (0, 0.5, 1):
        transform.set_progress(progress)
        shares.append(transform.draw(1000)["Relight"].active.float().mean().item())
    assert shares == pytest.approx([0, 0.4, 0.8], abs=0.05)


def test_the_gradual_schedule_begins_with_plain_images(augment):
    transform = augment(p=1, schedule="gradual")
    shares = []
    for progress in (0, 0.3, 0.55, 1):
        transform.set_progress(progress)
        shares.append(transform.draw(400)["Restyle"].active.float().mean().item())
    assert shares == [0, 0, pytest.approx(0.5, abs=0.1), 1]


def strength(transform):
    return transform.draw(1)["Restyle"].strength.item()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_told_a_progress_of_its_own(copied):
    augment = StyleAugment([Relight()], schedule={"p": [(0, 0), (1, 1)]})
    augment.set_progress(0.25)
    twin = copied(augment)
    assert twin._progress.item() == 0.25
    twin.set_progress(1)
    assert augment._progress.item() == 0.25


def test_the_transform_follows_the_progress_that_it_is_told(augment):
    transform = augment(schedule={"Restyle": RAMP})
    for progress in (0, 0.5, 1):
        transform.set_progress(progress)
        assert strength(transform) == progress
        with torch.inference_mode():
            transform.set_progress(1 - progress)
            assert strength(transform) == 1 - progress


def test_a_schedule_that_has_not_begun_says_so_and_changes_nothing(augment):
    transform = augment(schedule={"Restyle": RAMP})
    with pytest.warns(UserWarning, match=r"set_progress\(\); until then the settings hold"):
        assert strength(transform) == 1


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan"), "half", None])
def test_wrong_progress_is_refused(augment, progress):
    with pytest.raises(ValueError, match="progress must be a number in"):
        augment().set_progress(progress)


class Strengths(Dataset):
    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.transform.draw(1)["Restyle"].strength


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_persistent_workers_hear_of_progress(pack_file, context, copied):
    stage = Restyle(strength=1, pack=str(pack_file))
    transform = StyleAugment([stage], schedule={"Restyle": RAMP})
    transform = copy.deepcopy(transform) if copied else transform
    loader = DataLoader(
        Strengths(transform),
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context=context,
        timeout=SECONDS,
    )
    for progress in (0, 0.5, 1):
        transform.set_progress(progress)
        assert torch.cat(list(loader)).flatten().tolist() == [progress] * 4


@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_have_a_progress_of_their_own(augment, way):
    first = augment(schedule={"Restyle": RAMP})
    first.set_progress(0.25)
    second = way(first)
    assert strength(second) == 0.25
    second.set_progress(0.75)
    assert [strength(t) for t in (first, second)] == [0.25, 0.75]


def test_lists_of_json_and_tuples_mean_the_same(pack_file):
    points = {"p": [(0, 0.5)], "Restyle.texture": ((0, 0.2), (1, 1))}
    transform = StyleAugment([Restyle(pack=str(pack_file))], schedule=points)
    twin = StyleAugment.from_dict(json.loads(json.dumps(transform.to_dict())))
    assert twin.to_dict() == transform.to_dict()
    assert torch.equal(
        drawn(twin, 0.4)["Restyle.texture"], drawn(transform, 0.4)["Restyle.texture"]
    )
    assert repr(eval(repr(transform))) == repr(transform)


def test_the_callers_own_points_may_change_later():
    points = {"p": [(0, 0), (1, 1)]}
    transform = StyleAugment([Relight()], schedule=points)
    points["p"][1] = (1, 0)
    points.clear()
    transform.set_progress(0)
    assert not transform.draw(50)["Relight"].active.any()
    assert transform.to_dict()["schedule"] == {"p": [[0, 0], [1, 1]]}


# --- what can do nothing says so ---


@pytest.mark.parametrize(
    ("stages", "p"),
    [
        ([Relight()], 0),
        ([Relight(p=0), Defocus(p=0)], 1),
        ([Relight(strength=0), Defocus(sigma=0), SensorNoise(sigma=0)], 1),
        ([Relight(strength=0), Defocus(p=0)], 0.5),
    ],
)
@pytest.mark.filterwarnings("default:StyleAugment can change nothing")
def test_a_transform_that_can_change_nothing_says_so_once(stages, p):
    with pytest.warns(UserWarning, match="can change nothing") as caught:
        transform = StyleAugment(stages, p=p)
    assert len(caught) == 1
    assert caught[0].filename == __file__  # not some line of ours
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transform(pictures(1, 3, 16, 16))


@pytest.mark.parametrize("stages", [[Relight(strength=0.1), Defocus(p=0)], [Defocus(sigma=(0, 1))]])
def test_a_transform_that_can_change_something_is_quiet(stages):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        StyleAugment(stages)


def test_protect_says_when_it_has_nothing_to_protect(augment):
    with pytest.warns(UserWarning, match=r"protect has no effect.*no masks or boxes") as caught:
        augment(protect=1)(tv_tensors.Image(pictures(3, 16, 16)))
    assert caught[0].filename == __file__  # not some line of torch
