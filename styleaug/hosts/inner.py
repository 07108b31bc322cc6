"""``inner``: the transform that works inside a host's own class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from styleaug.augment.presets import Preset
from styleaug.augment.schedule import Points
from styleaug.augment.transform import Callback, StyleAugment
from styleaug.stages.base import Stage

Stages = str | Preset | Sequence[Stage | Mapping[str, Any]] | Mapping[str, Any] | StyleAugment


def inner(
    stages: Stages,
    *,
    p: float | None = None,
    schedule: Points | str | None = None,
    protect: float | None = None,
    bits: int | None = None,
    callback: Callback | None = None,
) -> tuple[StyleAugment, float]:
    """The transform inside a twin, and the probability with which the twin lets it act.

    Args:
        stages: a preset or its name; stages or what their ``to_dict()`` gives; a ``StyleAugment``
            or what its ``to_dict()`` gives.
        p: by default, here and below, as ``stages`` has it.
        schedule: see :class:`styleaug.StyleAugment`.
        protect: the same.
        bits: the same.
        callback: the same.

    Returns:
        A transform that changes every image, for the twin has a probability of its own.

    Raises:
        ValueError: if an argument is out of bounds, or stages are unknown.
    """
    if isinstance(stages, Mapping):
        stages = StyleAugment.from_dict(stages)
    chosen: Any = stages
    if isinstance(stages, StyleAugment):
        p = stages.p if p is None else p
        schedule = stages.schedule if schedule is None else schedule
        protect = stages.protect if protect is None else protect
        bits = stages.bits if bits is None else bits
        callback = callback or stages.callback
        chosen = stages.stages
    elif isinstance(stages, Sequence) and not isinstance(stages, str):
        chosen = [Stage.from_dict(x) if isinstance(x, Mapping) else x for x in stages]
    augment = StyleAugment(
        chosen,
        p=p,
        schedule=schedule,
        protect=0.0 if protect is None else protect,
        bits=bits,
        callback=callback,
    )
    probability, augment.p = augment.p, 1.0
    return augment, probability
