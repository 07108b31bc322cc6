"""Where networks run: built without a draw, cached once for all threads, refused in forks."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from helpers import TINY, pictures, torch_generator_stays
from styleaug import Restyle, StyleAugment, StylePack, runtime
from styleaug.networks import encode, stylizer_of
from styleaug.nn.features import load_features
from styleaug.pack import build_stylizer
from styleaug.runtime import LeastRecentlyUsed, building, initializing, use_autocast

CPU = torch.device("cpu")


def test_building_takes_no_memory_draws_nothing_and_ends_inference_mode():
    with torch_generator_stays(), torch.inference_mode(), building():
        layer = nn.Linear(2, 2)
        nn.init.normal_(layer.weight)
    assert layer.weight.device.type == "meta"
    layer.load_state_dict({"weight": torch.ones(2, 2), "bias": torch.zeros(2)}, assign=True)
    layer(torch.zeros(1, 2)).sum().backward()  # inference tensors would raise here
    assert layer.weight.grad is not None


def test_initializing_is_a_function_of_its_seed_and_leaves_the_generator():
    with torch_generator_stays(), torch.inference_mode(), torch.device("meta"):
        layers = []
        for seed in (0, 0, 1):
            with initializing(seed):
                layers.append(nn.Linear(2, 2))
    weights = [layer.weight for layer in layers]
    assert weights[0].device.type == "cpu"
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_threads_that_build_networks_leave_the_main_threads_draws_alone(pack):
    """A generator that a thread forks and puts back would give the main thread old numbers anew."""
    stop = threading.Event()

    def build():
        while not stop.is_set():
            StylePack.random(pack.config, rows=2)
            build_stylizer(pack.config, pack.state)
            load_features("vgg16")

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        alone = [torch.rand(3) for _ in range(4000)]
        torch.manual_seed(0)
        with ThreadPoolExecutor(2) as threads:
            running = [threads.submit(build) for _ in range(2)]
            together = [torch.rand(3) for _ in range(4000)]
            stop.set()
        for thread in running:
            thread.result()
    assert all(map(torch.equal, alone, together))


@pytest.mark.usefixtures("fresh_caches")
def test_threads_share_one_network():
    """All ask at once; one builds, and nobody meets a network that is not ready."""
    packs = [StylePack.random(TINY, seed=seed) for seed in range(3)]
    start = threading.Barrier(6)

    def ask(k):
        start.wait()
        return [stylizer_of(packs[(k + i) % 3], CPU, torch.float32) for i in range(3)]

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(ask, range(6)))
    networks = {id(network) for several in found for network in several}
    assert len(networks) == 3
    for k, several in enumerate(found):
        assert several[0] is stylizer_of(packs[k % 3], CPU, torch.float32)


@pytest.mark.usefixtures("fresh_caches")
def test_threads_may_use_more_packs_than_the_cache_holds():
    packs = [StylePack.random(TINY, seed=seed) for seed in range(12)]
    augments = [StyleAugment([Restyle(pack=pack, strength=1.0)]) for pack in packs]
    plans = [augment.draw(1) for augment in augments]
    images = pictures(1, 3, 16, 16)
    alone = [augment.render(images, plan) for augment, plan in zip(augments, plans, strict=True)]
    with ThreadPoolExecutor(8) as threads:
        found = list(
            threads.map(lambda k: augments[k % 12].render(images, plans[k % 12]), range(96))
        )
    assert all(torch.equal(out, alone[k % 12]) for k, out in enumerate(found))


@pytest.mark.usefixtures("fresh_caches", "small_references")
def test_threads_encode_alike(pack):
    images = pictures(1, 3, 32, 32)
    with ThreadPoolExecutor(4) as threads:
        codes = list(threads.map(lambda _: encode(pack, images), range(8)))
    assert all(torch.equal(code, codes[0]) for code in codes)


def test_the_cache_forgets_what_was_not_asked_for_the_longest():
    cache: LeastRecentlyUsed[str] = LeastRecentlyUsed(2)
    made = []

    def get(key):
        return cache.get(key, lambda: made.append(key) or key.upper())

    assert [get(key) for key in "abacab"] == list("ABACAB")
    assert made == ["a", "b", "c", "b"]
    assert len(cache) == 2
    cache.clear()
    assert len(cache) == 0


def test_a_failure_to_make_leaves_the_cache_usable():
    cache: LeastRecentlyUsed[int] = LeastRecentlyUsed(2)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 // 0)
    with ThreadPoolExecutor(1) as threads:  # another thread: the lock is free again
        assert threads.submit(cache.get, "a", lambda: 7).result(timeout=10) == 7


def test_a_forked_child_has_locks_of_its_own():
    """Another thread of the parent may hold a lock at the fork, and is not there to open it."""
    cache: LeastRecentlyUsed[int] = LeastRecentlyUsed(2)
    held, done = threading.Event(), threading.Event()

    def hold():
        cache.get("a", lambda: held.set() or done.wait(10))

    with ThreadPoolExecutor(2) as threads:
        holder = threads.submit(hold)
        held.wait()
        cache.renew_lock()  # what the child does
        assert threads.submit(cache.get, "b", lambda: 1).result(timeout=5) == 1
        done.set()
        holder.result()


def test_cuda_in_a_forked_process_is_refused_before_the_driver_is_asked(pack, monkeypatch):
    monkeypatch.setattr(runtime, "_forked", True)
    with pytest.raises(RuntimeError, match="inside a forked worker"):
        stylizer_of(pack, torch.device("cuda"))


@pytest.mark.parametrize(
    ("device", "bf16", "dtype"),
    [
        ("cuda:1", False, torch.float16),
        ("cpu", True, torch.bfloat16),
        ("cpu", False, torch.float32),
        ("mps", True, torch.float32),
    ],
)
def test_networks_run_in_what_the_device_is_quick_in(monkeypatch, device, bf16, dtype):
    monkeypatch.setattr(runtime, "cpu_has_bf16", lambda: bf16)
    assert runtime.inference_dtype(torch.device(device)) == dtype


def test_bfloat16_is_left_where_its_gradients_are_wrong(monkeypatch):
    monkeypatch.setattr("styleaug.runtime.cpu_has_bf16", lambda: True)
    cpu = torch.device("cpu")
    assert use_autocast("auto", cpu, 32)
    assert not use_autocast("auto", cpu, 24)
    assert use_autocast("bf16", cpu, 24)  # who asks for it gets it
