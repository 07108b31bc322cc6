"""What of a preset's stages is there to be changed, and the code of what comes of it."""

from __future__ import annotations

from typing import Any

from styleaug.augment.transform import StyleAugment
from styleaug.stages.base import Stage
from styleaug.stages.defocus import LARGEST_SIGMA, Defocus
from styleaug.stages.equalize import Equalize
from styleaug.stages.noise import SensorNoise
from styleaug.stages.relight import Relight
from styleaug.stages.restyle import Restyle

AMOUNTS: dict[str, tuple[type[Stage], str, str]] = {
    "styles": (
        Restyle,
        "styles",
        "tags or names of styles, which 'styleaug packs --names' lists; or pictures, or folders of "
        "pictures, whose style to take, without training",
    ),
    "strength": (Restyle, "strength", "how far material and colour change, 0 to 1"),
    "texture": (
        Restyle,
        "texture",
        "share of the style's texture, 0 to 1; 0 changes tone and colour only",
    ),
    "mix": (Restyle, "mix", "largest share of a second style that is mixed in, 0 to 1"),
    "equalize": (Equalize, "strength", "how far tones are spread over the range, 0 to 1"),
    "lighting": (Relight, "strength", "how far the lighting changes, 0 to 1"),
    "defocus": (
        Defocus,
        "sigma",
        f"standard deviation of the blur in pixels, 0 to {LARGEST_SIGMA:g}",
    ),
    "noise": (
        SensorNoise,
        "sigma",
        "standard deviation of the noise, as a share of the range of values, 0 to 1",
    ),
    "working_size": (
        Restyle,
        "working_size",
        "short side in pixels, 16 or more, above which the network runs on a smaller copy",
    ),
}
"""Arguments of stages by the names of the options that replace them: stage, argument, meaning."""


def changed(stage: Stage, **settings: Any) -> Stage:
    """A stage with other arguments."""
    return type(stage)(**{**stage.settings(), **settings})


def as_code(augment: StyleAugment) -> str:
    """The call that builds a transform, one stage a line."""
    lines = "".join(f"        {stage!r},\n" for stage in augment.stages)
    return f"    {augment!r}".replace(repr(augment.stages), f"[\n{lines}    ]")
