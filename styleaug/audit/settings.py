"""Settings that an audit tries, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from styleaug.plan import Range
from styleaug.transform import DEFAULTS

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
TEXTURES = (0.0, 0.5, 1.0)
LIGHTS = (0.5, 1.0)
BLURS = (0.25, 0.5, 1.0)
GRAINS = (0.05, 0.1, 0.2, DEFAULTS["grain"][1])  # heavier grain costs under other lamps
_OFF: dict[str, Range] = {
    "p": 1.0,
    "stage_p": 1.0,
    "mix": 0.5,
    "strength": 0.0,
    "light": 0.0,
    "blur": 0.0,
    "grain": 0.0,
}


@dataclass(frozen=True)
class Setting:
    """A name, and what it asks of the sampler."""

    name: str
    options: Mapping[str, Any]


def material(strength: float, texture: float) -> Setting:
    """One strength and texture, on every image, in the light that it has."""
    options = {**_OFF, "strength": strength, "texture": texture}
    return Setting(f"strength {strength:g}, texture {texture:g}", options)


def light(amount: float) -> Setting:
    """A lamp on every image, and nothing else."""
    return Setting(f"light {amount:g}", {**_OFF, "texture": 0.0, "light": amount})


def blur(amount: float) -> Setting:
    """Blur on every image, and nothing else."""
    return Setting(f"blur {amount:g}", {**_OFF, "texture": 0.0, "blur": amount})


def grain(amount: float) -> Setting:
    """Grain on every image, and nothing else."""
    return Setting(f"grain {amount:g}", {**_OFF, "texture": 0.0, "grain": amount})


def training(name: str, **options: Range) -> Setting:
    """As training draws: the defaults of ``StyleAugment``, changed by ``options``."""
    names = ("p", "stage_p", "mix", "strength", "texture", "light", "blur", "grain")
    return Setting(name, {**{n: DEFAULTS[n] for n in names}, **options})


def grid() -> list[Setting]:
    """Each stage alone, in steps; then all of them as the defaults draw."""
    return [
        *(material(s, t) for t in TEXTURES for s in STRENGTHS),
        *(light(a) for a in LIGHTS),
        *(blur(a) for a in BLURS),
        *(grain(a) for a in GRAINS),
        training("defaults"),
    ]


def recommend(lost: Mapping[str, float], budget: float) -> dict[str, Range]:
    """Ranges of each stage, as wide as the share of lost defects allows.

    Each stage is judged alone. Of materials the one with the most texture at the most strength is
    taken, so texture gives way before strength.

    Args:
        lost: share of defects lost by setting of :func:`grid`, in [0, 1].
        budget: largest share that a stage may lose.

    Returns:
        Arguments of ``StyleAugment``.
    """

    def largest(amounts: Sequence[float], setting: Mapping[float, str]) -> float:
        kept = [a for a in amounts if lost[setting[a]] <= budget]
        # a larger amount that loses less than a smaller one is chance: stop at the first loss
        safe = [a for a in kept if all(b in kept for b in amounts if b < a)]
        return max(safe, default=0.0)

    pairs = [
        (s * (1 + t), s, t)
        for t in TEXTURES
        for s in [largest(STRENGTHS, {s: material(s, t).name for s in STRENGTHS})]
    ]
    _, strength, texture = max(pairs)
    return {
        "strength": (0.0, strength),
        "texture": (0.0, texture),
        "light": (0.0, largest(LIGHTS, {a: light(a).name for a in LIGHTS})),
        "blur": (0.0, largest(BLURS, {a: blur(a).name for a in BLURS})),
        "grain": (0.0, largest(GRAINS, {a: grain(a).name for a in GRAINS})),
    }
