"""What an audit measures with, the settings that it tries, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from styleaug.augment.presets import preset
from styleaug.augment.transform import StyleAugment
from styleaug.images.checks import check_number, check_whole
from styleaug.pack import DEFAULT_PACK
from styleaug.stages.base import Stage
from styleaug.stages.defocus import Defocus
from styleaug.stages.noise import SensorNoise
from styleaug.stages.relight import Relight
from styleaug.stages.restyle import Restyle

PRESET = "default"
"""The preset that is measured as it trains, and that the recommendation begins with."""
STRENGTHS = (0.25, 0.5, 0.75, 1.0)
TEXTURES = (0.0, 0.5, 1.0)
SWEEPS: dict[type[Stage], tuple[str, tuple[float, ...]]] = {
    Relight: ("strength", (0.5, 1.0)),
    Defocus: ("sigma", (1.0, 2.0, 4.0)),  # pixels
    SensorNoise: ("sigma", (0.015, 0.03, 0.06, 0.09)),  # of the range
}
"""The one argument of each other stage, and its values, from small to large."""


@dataclass(frozen=True)
class AuditConfig:
    """Settings of an audit.

    Attributes:
        pack: name or path of the style pack.
        size: short side in pixels to which larger images are reduced, as for training.
        limit: number of images with defects, chosen by ``seed``, balanced over classes.
        draws: draws per setting and defect.
        budget: share of defects that each stage of the recommended settings may lose.
        seed: seed of the choice of images and of the draws, which are the same in every setting.

    Raises:
        ValueError: if a value is out of bounds.
    """

    pack: str = DEFAULT_PACK
    size: int = 256
    limit: int = 300
    draws: int = 2
    budget: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("size", "limit", "draws"):
            check_whole(name, getattr(self, name), 1)
        check_whole("seed", self.seed, 0, 2**32 - 1)
        if check_number("budget", self.budget, 0, 1) == 1:
            raise ValueError("budget must be below 1: a share of the defects must be kept.")


def restyle_name(strength: float, texture: float) -> str:
    """What the setting of Restyle alone at this strength and texture is called."""
    return f"Restyle strength {strength:g}, texture {texture:g}"


def stage_name(kind: type[Stage], value: float) -> str:
    """What the setting of another stage alone is called."""
    return f"{kind.__name__} {SWEEPS[kind][0]} {value:g}"


def settings(pack: str) -> dict[str, StyleAugment]:
    """Each stage alone, in steps, on every image; then the preset as it trains."""
    tried = {
        restyle_name(s, t): StyleAugment([Restyle(strength=s, texture=t, pack=pack)])
        for t in TEXTURES
        for s in STRENGTHS
    }
    for kind, (argument, values) in SWEEPS.items():
        tried |= {stage_name(kind, v): StyleAugment([kind(**{argument: v})]) for v in values}
    return {**tried, PRESET: StyleAugment(preset(PRESET, pack=pack))}


def recommend(lost: Mapping[str, float], budget: float, pack: str) -> StyleAugment | None:
    """The preset with each stage's ranges as wide as the share of lost defects allows.

    Each stage is judged alone. Of materials the one with the most texture at the most strength is
    taken, so texture gives way before strength.

    Args:
        lost: share of defects lost by name of :func:`settings`, in [0, 1].
        budget: largest share that a stage may lose.
        pack: name or path of the style pack.

    Returns:
        None if no stage keeps the defects.
    """

    def largest(names: Mapping[float, str]) -> float:
        # a larger amount that loses less than a smaller one is chance: stop at the first loss
        safe = 0.0
        for value, name in names.items():
            if lost[name] > budget:
                break
            safe = value
        return safe

    pairs = [(largest({s: restyle_name(s, t) for s in STRENGTHS}), t) for t in TEXTURES]
    strength, texture = max(pairs, key=lambda pair: (pair[0] * (1 + pair[1]), pair))
    limits: dict[type[Stage], dict[str, float]] = {
        Restyle: {"strength": strength, "texture": texture}
    }
    for kind, (argument, values) in SWEEPS.items():
        limits[kind] = {argument: largest({v: stage_name(kind, v) for v in values})}

    usual = preset(PRESET, pack=pack)
    stages = []
    for stage in usual.stages:
        limit = limits[type(stage)]
        if not any(limit.values()) or limit.get("strength") == 0:
            continue
        ranges = {n: (0.0, v) for n, v in limit.items() if v < getattr(stage, n)[1]}
        stages.append(type(stage)(**{**stage.settings(), **ranges}))
    if not stages:
        return None
    found = StyleAugment(stages, p=usual.p, schedule=usual.schedule)
    whole = StyleAugment(PRESET)
    return whole if found.to_dict() == whole.to_dict() else found
