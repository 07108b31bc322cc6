"""Presets: stages that go together, by what will change on the line, or by what is learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from styleaug.augment.schedule import Points
from styleaug.errors import did_you_mean
from styleaug.pack import DEFAULT_PACK, StylePack
from styleaug.stages import equalize as _equalize  # noqa: F401 -- plans and settings know it
from styleaug.stages import relief as _relief  # noqa: F401
from styleaug.stages.base import Stage
from styleaug.stages.defocus import Defocus
from styleaug.stages.noise import SensorNoise
from styleaug.stages.pool import Styles
from styleaug.stages.relight import Relight
from styleaug.stages.restyle import Restyle


@dataclass(frozen=True)
class Preset:
    """Stages that go together.

    Attributes:
        name: name of the preset.
        when: when to use it, in one line.
        stages: applied in order.
        p: probability that an image is changed at all.
        schedule: factors on amounts over the training progress.
    """

    name: str
    when: str
    stages: Sequence[Stage]
    p: float = 0.7
    schedule: Points | str | None = None


@dataclass(frozen=True)
class _Entry:
    when: str
    stages: Callable[[Callable[..., Restyle]], list[Stage]]
    p: float = 0.7
    schedule: Points | str | None = None


def _all_stages(noise: float = 0.09) -> Callable[[Callable[..., Restyle]], list[Stage]]:
    """Every stage, with noise up to a share of the range.

    A later stage sees what an earlier one has made: the part is restyled, then lit, then seen
    through a lens by a sensor. Restyle, Defocus and SensorNoise change 0.6 of the images each, so
    that each is also met without the others; the lighting changes on all, as in a plant.
    """
    return lambda restyle: [
        restyle(p=0.6),
        Relight(),
        Defocus(p=0.6),
        SensorNoise(sigma=(0, noise), p=0.6),
    ]


_ENTRIES: dict[str, _Entry] = {
    "default": _Entry(
        "classes, a pretrained network, and no idea what will change",
        _all_stages(),
    ),
    "mild": _Entry(
        "defects so faint that the audit finds them lost under the default",
        lambda restyle: [
            restyle(strength=(0, 0.5), texture=(0, 0.5), p=0.6),
            Relight(strength=(0, 0.5)),
            Defocus(sigma=(0, 1), p=0.6),
            SensorNoise(sigma=(0, 0.03), p=0.6),
        ],
    ),
    "strong": _Entry(
        "heavy noise ahead, a pretrained network, and 20 epochs or more",
        _all_stages(noise=0.3),
    ),
    "lighting": _Entry(
        "the lighting ages or is replaced, and nothing else will change",
        lambda restyle: [Relight()],
    ),
    "sensor": _Entry(
        "another camera, exposure or gain, the same parts; heavy noise: audit faint defects first",
        lambda restyle: [
            Relight(p=0.6),
            Defocus(sigma=(0, 1.5), p=0.3),
            SensorNoise(sigma=(0.02, 0.3), p=0.7),
        ],
        p=0.9,
    ),
    "material": _Entry(
        "another supplier, finish or colour; if the network will be adapted, take the default",
        lambda restyle: [restyle()],
    ),
    "masks": _Entry(
        "segmentation: plain images first, since masks are learned slowly",
        _all_stages(),
        schedule="gradual",
    ),
    "boxes": _Entry(
        "detection: plain images first, and heavier noise, in a training of 1,000 steps or more",
        _all_stages(noise=0.3),
        schedule="gradual",
    ),
    "scratch": _Entry(
        "a small network from scratch, if the sensor stays: no noise, which it learns slowly from",
        lambda restyle: [restyle(p=0.6), Relight(), Defocus(p=0.6)],
    ),
}

PRESETS: dict[str, str] = {name: entry.when for name, entry in _ENTRIES.items()}
"""When to use each preset. The docs page on robustness shows the measurements behind them."""

LOOKS: dict[str, str] = {
    "ink": "hatched with a pen",
    "oil": "thick strokes of a brush",
    "watercolour": "washes that bleed into each other",
    "blueprint": "white lines on blue",
}
"""Presets of one style each, for pictures, films and models for viewing; not for training.
A pack has a row of that name, or not."""


def preset(name: str, *, styles: Styles = "all", pack: str | StylePack = DEFAULT_PACK) -> Preset:
    """Return a preset, optionally with other styles or another pack in its ``Restyle``.

    Args:
        name: one of :data:`PRESETS` or :data:`LOOKS`.
        styles: see :class:`~styleaug.Restyle`.
        pack: see :class:`~styleaug.Restyle`.

    Raises:
        ValueError: if there is no such preset, or a style is unknown.

    Examples:
        >>> from styleaug import StyleAugment
        >>> augment = StyleAugment(preset("masks", styles="rust"), p=0.5)
        >>> [type(stage).__name__ for stage in augment.stages]
        ['Restyle', 'Relight', 'Defocus', 'SensorNoise']
    """
    if isinstance(name, str) and name in LOOKS:
        look = Restyle(name if styles == "all" else styles, strength=1.0, texture=1.0, pack=pack)
        return Preset(name, LOOKS[name], [look], p=1.0)
    if not isinstance(name, str) or name not in _ENTRIES:
        raise ValueError(
            f"A preset must be one of {', '.join(_ENTRIES)}, but is {name!r}."
            f"{did_you_mean(name, (*_ENTRIES, *LOOKS))}"
        )
    entry = _ENTRIES[name]

    def restyle(**settings: object) -> Restyle:
        return Restyle(styles, pack=pack, **settings)  # type: ignore[arg-type]  # of this file

    return Preset(name, entry.when, entry.stages(restyle), entry.p, entry.schedule)
