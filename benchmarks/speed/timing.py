"""Timing contestants side by side, and the stages that are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from tqdm import trange

from styleaug import Defocus, Relight, Restyle, SensorNoise, StylePack
from styleaug.stages.base import Stage


def all_stages(pack: str | StylePack) -> list[Stage]:
    """Every stage, on every image, at a fixed amount."""
    return [
        Restyle(strength=1.0, texture=1.0, pack=pack),
        Relight(strength=0.5),
        Defocus(sigma=2.0),
        SensorNoise(sigma=0.15),
    ]


def time_in_turn(
    contestants: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    device: torch.device,
    title: str = "rounds",
) -> dict[str, list[float]]:
    """Seconds of each contestant in each round, after one round to warm up.

    In each round every contestant runs once, so that whatever slows the machine slows all; the
    device is waited for inside the timed region.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in trange(rounds + 1, desc=title):
        for name, function in contestants.items():
            start = time.perf_counter()
            function()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds
