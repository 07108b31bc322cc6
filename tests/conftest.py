"""Fixtures of all tests, and two watches that run around each of them."""

import random
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import FULL, TINY, StandIn, torch_generator_stays
from styleaug import Restyle, StyleAugment, StylePack, networks
from styleaug.nn import features
from styleaug.stages.sample import ImageTransform

torch.set_num_threads(min(2, torch.get_num_threads()))


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="there is no NVIDIA GPU here"))


@pytest.fixture(autouse=True)
def _other_generators_stay():
    """Randomness comes from torch: nothing here may draw from Python's or numpy's generators."""
    python, numpy = random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    yield
    assert random.getstate() == python, "Python's global generator has moved"
    assert np.random.get_state()[1].tobytes() == numpy, "numpy's has moved"  # noqa: NPY002


@pytest.fixture(autouse=True)
def _transform_draws_nothing(monkeypatch):
    """All randomness is in make_params: transform must leave torch's global generator alone."""
    transform = ImageTransform.transform

    def watched(self, inpt, params):
        if threading.current_thread() is not threading.main_thread():
            return transform(self, inpt, params)  # meanwhile the main thread may well draw
        with torch_generator_stays():
            return transform(self, inpt, params)

    monkeypatch.setattr(ImageTransform, "transform", watched)


@pytest.fixture(scope="session")
def pack():
    """A tiny pack with random weights, in memory."""
    return StylePack.random(TINY)


@pytest.fixture(scope="session")
def pack_file(pack, tmp_path_factory):
    path = tmp_path_factory.mktemp("packs") / "tiny.safetensors"
    pack.save(path)
    return path


@pytest.fixture
def defect_boxes(tmp_path):
    """Gray images with a bright or a dark box each, told by text files beside them."""
    folder = tmp_path / "boxes"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(24):
        pixels = (110 + 10 * rng.standard_normal((40, 48))).clip(0, 255).astype(np.uint8)
        left, top = rng.integers(4, 20, 2)
        pixels[top : top + 14, left : left + 18] = 230 if k % 2 else 20
        Image.fromarray(pixels).save(folder / f"{k}.png")
        (folder / f"{k}.txt").write_text(f"{left} {top} {left + 18} {top + 14} {1 + k % 2}\n")
    return folder


@pytest.fixture
def augment(pack):
    """``augment(...)``: a transform that restyles every image fully, unless told otherwise.

    It takes further stages, the options of ``StyleAugment``, and those of ``Restyle``.
    """

    def make(*further, p=1, schedule=None, protect=0.0, callback=None, **restyle):
        stages = [Restyle(**{"pack": pack, **FULL, **restyle}), *further]
        return StyleAugment(stages, p=p, schedule=schedule, protect=protect, callback=callback)

    return make


@pytest.fixture
def seeded():
    """Draws from torch's generator are the same in each run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def float32(monkeypatch):
    """Let networks run in float32, whatever this machine prefers."""
    monkeypatch.setattr("styleaug.runtime.inference_dtype", lambda device: torch.float32)


@pytest.fixture
def small_references(monkeypatch):
    """Look at reference images in 32 pixels: VGG at 256 takes most of a second an image."""
    monkeypatch.setattr("styleaug.networks.STYLE_SIZE", 32)


@pytest.fixture
def stand_in(monkeypatch):
    """``stand_in(f)`` puts f in the place of every pack's network."""

    def replace(function):
        network = StandIn(function)
        monkeypatch.setattr("styleaug.stages.restyle.network_of", lambda pack, device: network)
        return network

    return replace


@pytest.fixture
def fresh_caches():
    """No network of this test is left to the next one, nor the other way round."""

    def clear():
        networks._stylizers.clear()
        networks._networks.clear()
        features._trunks.clear()

    clear()
    yield
    clear()


@pytest.fixture
def one_thread():
    """Tiny layers gain nothing from threads, and lose minutes where other work holds the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
