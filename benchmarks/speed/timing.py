"""Timing contestants side by side, and the stages that are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import torch
from tqdm import trange

from benchmarks.rows import quartiles
from styleaug import Defocus, Relight, Restyle, SensorNoise, StylePack
from styleaug.stages.base import Stage

K = TypeVar("K", bound=Hashable)
LEAST = 2
"""Rounds that even the slowest contestant takes part in."""


def all_stages(pack: str | StylePack) -> list[Stage]:
    """Every stage, on every image, at a fixed amount."""
    return [
        Restyle(strength=1.0, texture=1.0, pack=pack),
        Relight(strength=0.5),
        Defocus(sigma=2.0),
        SensorNoise(sigma=0.15),
    ]


def time_in_turn(
    contestants: Mapping[K, Callable[[], object]],
    *,
    rounds: int,
    device: torch.device,
    warm_up: int = 1,
    limit: float = float("inf"),
    title: str = "rounds",
    silent: bool = False,
) -> dict[K, list[float]]:
    """Seconds of each contestant in each round, after some rounds to warm up.

    In each round every contestant runs once, so that whatever slows the machine slows all, and
    draws from the same seed; the device is waited for inside the timed region.

    Args:
        contestants: what to run, by name.
        rounds: that are timed.
        device: that is waited for.
        warm_up: rounds before them.
        limit: seconds. A contestant that has taken as long, and part in :data:`LEAST` timed rounds,
            sits the later ones out: its list is shorter.
        title: of the progress bar.
        silent: show no progress.
    """
    seconds: dict[K, list[float]] = {name: [] for name in contestants}
    used = dict.fromkeys(contestants, 0.0)
    for number in trange(-warm_up, rounds, desc=title, disable=silent):
        for name, function in contestants.items():
            if used[name] > limit and (number < 0 or len(seconds[name]) >= LEAST):
                continue
            torch.manual_seed(number + warm_up)
            wait_for(device)
            start = time.perf_counter()
            function()
            wait_for(device)
            taken = time.perf_counter() - start
            used[name] += taken
            if number >= 0:
                seconds[name].append(taken)
    return seconds


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ratio(slow: Sequence[float], fast: Sequence[float]) -> dict[str, float]:
    """Quartiles of ``slow / fast``, round by round, over the rounds that both took part in."""
    return quartiles([a / b for a, b in zip(slow, fast, strict=False)])
