"""Schedules, records and warnings: how settings follow training, and what tells of it."""

import copy
import json
import pickle
import warnings

import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors

from helpers import pictures
from styleaug import StyleAugment, StyleSampler
from styleaug.schedule import Schedule

RAMP = {"strength": [(0, 0), (1, 1)]}
SECONDS = 120
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.mark.parametrize(
    ("pairs", "progress", "factor"),
    [
        ([(0, 0), (1, 1)], 0.25, 0.25),
        ([(0.2, 0.5), (0.6, 1)], 0.4, 0.75),
        ([(0.2, 0.5), (0.6, 1)], 0.0, 0.5),  # before the first pair
        ([(0.2, 0.5), (0.6, 0.8)], 1.0, 0.8),  # after the last
        ([[0, 1], [0.9, 1], [0.9, 0]], 1.0, 0.0),  # a step, and lists as JSON has them
        ([(0, 0.3)], 0.7, 0.3),
    ],
)
def test_factors_are_linear_between_the_pairs(pairs, progress, factor):
    assert Schedule({"light": pairs}).factor("light", progress) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ({"hue": [(0, 1)]}, "p, strength, texture, light, blur, grain, but names \\['hue'\\]"),
        ({"p": [(0, 1.5)]}, "pairs \\(progress, factor\\) in \\[0, 1\\]"),
        ({"p": [(0.5, 1), (0.2, 0)]}, "by rising progress"),
        ({"p": [(0, 1, 2)]}, "such as \\[\\(0, 0.2\\), \\(1, 1\\)\\], but is"),
        ({"p": [(0, "much")]}, "pairs"),
        ({"p": [(0, float("nan"))]}, "pairs"),
        ({"p": []}, "pairs"),
        ({"p": 0.5}, "pairs"),
        ("", "must be one of gradual"),
        ("sudden", "must be one of gradual, or settings with pairs .*, but is 'sudden'"),
    ],
)
def test_wrong_schedules_are_refused(points, words):
    with pytest.raises(ValueError, match=words):
        Schedule(points)


@pytest.mark.parametrize("name", ["strength", "texture", "grain"])
def test_a_schedule_scales_what_is_drawn(pack, name):
    ranges = {"p": 1, "strength": (0.5, 1), "texture": (0.5, 1), "grain": (0.5, 1)}
    sampler = StyleSampler(pack, **ranges, schedule={name: [(0, 0), (1, 1)]})

    def draw(progress):
        return sampler.draw(5, torch.Generator().manual_seed(0), progress=progress)

    whole, half, none = (getattr(draw(t), name) for t in (1, 0.5, 0))
    assert torch.allclose(half, whole / 2)
    assert not none.any()
    for other in {"strength", "texture", "grain"} - {name}:
        assert torch.equal(getattr(draw(0.5), other), getattr(draw(None), other))


def test_a_schedule_scales_the_lamp_and_the_probability(pack):
    sampler = StyleSampler(pack, light=1, schedule={"light": [(0, 0), (1, 1)]})
    assert not sampler.draw(20, progress=0).relit.any()
    assert sampler.draw(20, progress=1).relit.any()
    sampler = StyleSampler(pack, schedule={"p": [(0, 0), (1, 1)]})
    shares = [sampler.draw(400, progress=t).restyled.float().mean() for t in (0, 0.5, 1)]
    assert shares[0] == 0
    assert shares[1] == pytest.approx(0.5, abs=0.1)
    assert shares[2] == 1


def test_the_gradual_schedule_begins_with_plain_images(augment):
    transform = augment(p=1, schedule="gradual")
    shares = []
    for progress in (0, 0.3, 0.55, 1):
        transform.set_progress(progress)
        shares.append(transform.draw(400).restyled.float().mean().item())
    assert shares == [0, 0, pytest.approx(0.5, abs=0.1), 1]


def test_the_transform_follows_the_progress_that_it_is_told(augment):
    transform = augment(schedule=RAMP)
    for progress in (0, 0.5, 1):
        transform.set_progress(progress)
        assert transform.draw(2).strength.tolist() == [progress] * 2


def test_a_schedule_that_has_not_begun_says_so_and_changes_nothing(augment):
    transform = augment(schedule=RAMP)
    with pytest.warns(UserWarning, match=r"set_progress\(\); until then the settings hold"):
        assert transform.draw(1).strength.item() == 1


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan"), "half"])
def test_wrong_progress_is_refused(augment, progress):
    with pytest.raises(ValueError, match="progress must be a number in"):
        augment().set_progress(progress)


class Strengths(Dataset):
    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.transform.draw(1).strength


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_persistent_workers_hear_of_progress(pack_file, context, copied):
    fixed = {"p": 1, "stage_p": 1, "strength": 1, "blur": 0, "grain": 0}
    transform = StyleAugment(**fixed, schedule=RAMP, pack=str(pack_file))
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


def test_copies_have_a_progress_of_their_own(augment):
    first = augment(schedule=RAMP)
    first.set_progress(0.25)
    second = pickle.loads(pickle.dumps(first))
    second.set_progress(0.75)
    assert [t.draw(1).strength.item() for t in (first, second)] == [0.25, 0.75]


def test_record_calls_a_function_with_each_plan(augment):
    plans = []
    transform = augment(record=plans.append)
    transform(pictures(3, 3, 16, 16))
    transform(tv_tensors.Image(pictures(3, 16, 16)))
    assert [len(plan) for plan in plans] == [3, 1]
    assert plans[0].describe(0)["strength"] == 1.0


class Styled(Strengths):
    def __getitem__(self, index):
        return self.transform(pictures(3, 16, 16))


def test_record_adds_lines_of_all_processes_to_a_file(pack_file, tmp_path):
    file = tmp_path / "styles.jsonl"
    transform = StyleAugment(p=1, pack=str(pack_file), light=1, record=file)
    list(DataLoader(Styled(transform), num_workers=2, timeout=SECONDS))
    transform(pictures(2, 3, 16, 16))
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 6
    assert len({line["process"] for line in lines}) == 3
    for line in lines:
        assert {"style", "strength", "texture", "grain"} <= set(line)


def test_a_record_in_no_folder_is_refused_at_once(augment, tmp_path):
    with pytest.raises(ValueError, match="record must be a file in a folder that exists"):
        augment(record=tmp_path / "missing" / "styles.jsonl")


@pytest.mark.parametrize(
    "settings", [{"p": 0}, {"stage_p": 0}, {"strength": 0, "light": 0, "blur": 0, "grain": 0}]
)
def test_a_transform_that_can_change_nothing_says_so_once(augment, settings):
    with pytest.warns(UserWarning, match="can change nothing") as caught:
        transform = augment(**settings)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transform(pictures(1, 3, 16, 16))


@pytest.mark.parametrize("settings", [{"light": 0.1, "strength": 0}, {"strength": (0, 0.1)}])
def test_a_transform_that_can_change_something_is_quiet(augment, settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        augment(**settings)


def test_protect_says_when_it_has_nothing_to_protect(augment):
    with pytest.warns(UserWarning, match="protect has no effect.*no masks or boxes") as caught:
        augment(protect=1)(tv_tensors.Image(pictures(3, 16, 16)))
    assert caught[0].filename == __file__  # not some line of torch


def test_repr_rebuilds_the_call(pack_file):
    settings = {"styles": ["random-1"], "p": 0.5, "light": (0, 0.5), "schedule": RAMP}
    transform = StyleAugment(**settings, pack=str(pack_file), record="styles.jsonl")
    assert repr(eval(repr(transform))) == repr(transform)
