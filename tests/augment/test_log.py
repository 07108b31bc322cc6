"""Callbacks: who hears of plans, and the log of what each image got."""

import copy
import json
import pickle

import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors

from helpers import pictures
from styleaug import Defocus, Relight, Restyle, StyleAugment
from styleaug.augment.log import JsonLines

pytestmark = [
    pytest.mark.usefixtures("seeded"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]
SECONDS = 120


def test_a_callback_is_called_with_each_plan(augment):
    plans = []
    transform = augment(callback=plans.append)
    transform(pictures(3, 3, 16, 16))
    transform(tv_tensors.Image(pictures(3, 16, 16)))
    assert transform.draw(2) is plans[-1]
    assert [plan.count for plan in plans] == [3, 1, 2]
    assert plans[0].describe(0)["Restyle"]["strength"] == 1.0


def test_a_callback_that_raises_stops_the_call_and_nothing_more(augment):
    def refuse(plan):
        raise RuntimeError("no room on the disk")

    transform, images = augment(callback=refuse), pictures(2, 3, 16, 16)
    before = images.clone()
    with pytest.raises(RuntimeError, match="no room"):
        transform(images)
    assert torch.equal(images, before)
    transform.callback = None
    assert transform(images).shape == images.shape


class Styled(Dataset):
    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.transform(pictures(3, 16, 16))


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_processes_share_a_log(pack_file, tmp_path, context):
    file = tmp_path / "styles.jsonl"
    stages = [Restyle(pack=str(pack_file), strength=1), Relight(strength=1), Defocus(p=0)]
    transform = StyleAugment(stages, callback=JsonLines(file))
    loader = DataLoader(
        Styled(transform), num_workers=2, multiprocessing_context=context, timeout=SECONDS
    )
    list(loader)
    transform(pictures(2, 3, 16, 16))
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 6
    assert len({line["process"] for line in lines}) == 3
    for line in lines:
        assert set(line) == {"process", "Restyle", "Relight"}
        assert set(line["Restyle"]) == {"style", "strength", "texture"}
        assert "exposure" in line["Relight"]


def test_an_image_that_nothing_changes_has_its_line(tmp_path):
    log = JsonLines(tmp_path / "styles.jsonl")
    StyleAugment([Relight(p=0), Defocus(p=1e-9)], callback=log)(pictures(2, 3, 16, 16))
    lines = [json.loads(line) for line in log.path.read_text(encoding="utf-8").splitlines()]
    assert [set(line) for line in lines] == [{"process"}] * 2


def test_a_log_in_no_folder_is_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"folder that exists, but is '.*styles\.jsonl'"):
        JsonLines(tmp_path / "missing" / "styles.jsonl")


def test_a_log_travels_and_shows_with_its_transform(tmp_path):
    transform = StyleAugment([Relight()], callback=JsonLines(tmp_path / "x.jsonl"))
    for twin in (
        pickle.loads(pickle.dumps(transform)),
        copy.deepcopy(transform),
        eval(repr(transform)),
    ):
        assert twin.callback.path == tmp_path / "x.jsonl"
        assert repr(twin) == repr(transform)
    assert "callback" not in transform.to_dict()
