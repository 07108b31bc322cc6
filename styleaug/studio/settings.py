"""What the page sets: the sliders that a preset's stages have, and the transform they amount to."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from math import floor, log10
from pathlib import Path
from textwrap import dedent
from typing import Any

from styleaug.augment.edit import AMOUNTS, as_code, changed
from styleaug.augment.plan import Plan
from styleaug.augment.presets import PRESETS, Preset, preset
from styleaug.augment.transform import StyleAugment
from styleaug.pack import DEFAULT_PACK
from styleaug.stages.base import Stage
from styleaug.stages.restyle import Restyle

Amount = float | tuple[float, float]


@dataclass(frozen=True)
class Knob:
    """An argument of a stage that a slider sets, or two sliders: where its range begins and ends.

    Attributes:
        kind: the stage.
        name: of the argument.
        does: what it means, with its unit.
        ranged: whether images draw from a range.
        top: the most that the sliders give: twice what any preset has, where that is allowed.
    """

    kind: type[Stage]
    name: str
    does: str
    ranged: bool
    top: float

    @property
    def key(self) -> str:
        """What it is called among the others."""
        return f"{self.kind.__name__}.{self.name}"

    @property
    def step(self) -> float:
        """Between two places of a slider: about a hundredth of ``top``, a round number."""
        power = 10.0 ** floor(log10(self.top / 100) + 1e-9)
        lead = max(lead for lead in (1, 2, 5) if lead * power <= self.top / 100 + 1e-12)
        return round(lead * power, 10)


class Board:
    """The presets of a pack, and the sliders that all of them together need.

    Args:
        pack: name or path of the style pack.

    Attributes:
        presets: by name.
        kinds: of stages, in the order in which they are applied.
        knobs: of all kinds, those of one kind together.
    """

    def __init__(self, pack: str) -> None:
        self.pack = pack
        self.presets: dict[str, Preset] = {name: preset(name, pack=pack) for name in PRESETS}
        stages = [stage for entry in self.presets.values() for stage in entry.stages]
        self.kinds = tuple(dict.fromkeys(type(stage) for stage in stages))
        self.knobs = tuple(knob for kind in self.kinds for knob in _knobs_of(kind, stages))

    @cached_property
    def whole(self) -> Restyle:
        """A ``Restyle`` with all styles of the pack."""
        return next(s for s in self.presets["default"].stages if isinstance(s, Restyle))

    def has(self, name: str, kind: type[Stage]) -> bool:
        """Whether a preset has a kind of stage."""
        return any(type(stage) is kind for stage in self.presets[name].stages)

    def values(self, name: str) -> dict[str, Amount]:
        """What the sliders show under a preset; those of a stage that it has not, the default."""
        own = {type(stage): stage for stage in self.presets[name].stages}
        usual = {
            type(stage): stage for entry in self.presets.values() for stage in entry.stages[::-1]
        }
        return {k.key: getattr(own.get(k.kind, usual[k.kind]), k.name) for k in self.knobs}


@lru_cache(maxsize=4)
def board(pack: str) -> Board:
    """The :class:`Board` of a pack; made once."""
    return Board(pack)


def _knobs_of(kind: type[Stage], stages: Sequence[Stage]) -> list[Knob]:
    """Amounts of a kind of stage, each in [0, 1] unless its params allow more, then ``p``."""
    allowed = {f.name: f.metadata["high"] for f in fields(kind.params_type) if f.metadata}
    named = [(name, does) for of, name, does in AMOUNTS.values() if of is kind]
    found = []
    for name, does in [*named, ("p", "probability that the stage changes an image")]:
        values = [getattr(stage, name) for stage in stages if type(stage) is kind]
        if not isinstance(values[0], float | tuple):  # styles, and whole numbers
            continue
        ranged = isinstance(values[0], tuple)
        most = max(value[1] if ranged else value for value in values)
        found.append(Knob(kind, name, does, ranged, min(allowed.get(name, 1.0), 2.0 * most)))
    return found


@dataclass(frozen=True)
class Settings:
    """What is set on the page.

    Attributes:
        preset: its name.
        p: probability that an image is changed at all.
        protect: how much of the new material is taken away inside masks and boxes.
        values: of the sliders, by :attr:`Knob.key`; what is left out is the preset's.
        styles: tags, names and paths of pictures; none: all styles.
        pack: name or path of the style pack.
    """

    preset: str = "default"
    p: float | None = None
    protect: float = 0.0
    values: Mapping[str, Amount] = field(default_factory=dict)
    styles: tuple[str, ...] = ()
    pack: str = DEFAULT_PACK

    def build(self) -> StyleAugment:
        """The transform; the preset by its name where only ``p`` and ``protect`` differ from it.

        Raises:
            ValueError: if a value is out of bounds, or a preset or style is unknown.
        """
        own = preset(self.preset) if self.preset not in PRESETS else None  # raises, and says why
        own = own or board(self.pack).presets[self.preset]
        stages = [self._set(stage) for stage in own.stages]
        protect = self.protect if any(stage.protectable for stage in stages) else 0.0
        with warnings.catch_warnings():  # that nothing can change, the picture shows
            warnings.simplefilter("ignore")
            if self.pack == DEFAULT_PACK and repr(stages) == repr(list(own.stages)):
                return StyleAugment(self.preset, p=self.p, protect=protect)
            return StyleAugment(replace(own, stages=stages), p=self.p, protect=protect)

    def _set(self, stage: Stage) -> Stage:
        found: dict[str, Any] = {}
        for knob in board(self.pack).knobs:
            if knob.kind is type(stage) and knob.key in self.values:
                value = self.values[knob.key]
                # the two sliders of a range may stand in either order
                found[knob.name] = tuple(sorted(value)) if isinstance(value, tuple) else value
        if self.styles and isinstance(stage, Restyle):
            found["styles"] = list(self.styles)
        return changed(stage, **found) if found else stage


def at_once(augment: StyleAugment, *, most: bool = False) -> StyleAugment:
    """Every stage on every image, so that one picture shows them all; those with ``p = 0`` on none.

    Args:
        augment: whose stages they are.
        most: each at the end of its ranges, in place of a draw.
    """
    stages = []
    for stage in augment.stages:
        found: dict[str, Any] = {"p": float(stage.p > 0)}
        if most:
            ranges = {n: v for n, v in stage.settings().items() if isinstance(v, tuple)}
            found |= {name: value[1] for name, value in ranges.items()}
        stages.append(changed(stage, **found))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return StyleAugment(stages, protect=augment.protect)


def line_to_paste(augment: StyleAugment, own: Mapping[str, str] | None = None) -> str:
    """The code that builds a transform, with its import.

    Args:
        augment: the transform.
        own: what to call pictures that lie in a temporary folder, by their paths.
    """
    code = dedent(as_code(augment)) if augment.preset is None else repr(augment)
    names = {"StyleAugment", *(n for n in Stage.kinds if f"{n}(" in code)}
    for path, name in (own or {}).items():
        code = code.replace(repr(path), repr(name))
    return f"from styleaug import {', '.join(sorted(names))}\n\naugment = {code}"


def write_files(
    folder: Path, augment: StyleAugment, plan: Plan, own: Mapping[str, str] | None = None
) -> list[Path]:
    """Write ``settings.json``, for ``StyleAugment.from_dict``, and ``plan.json``, for ``Plan``'s.

    Args:
        folder: that exists.
        augment: the transform.
        plan: what it drew.
        own: see :func:`line_to_paste`.
    """
    settings = augment.to_dict()
    for stage in settings["stages"]:
        if isinstance(stage.get("styles"), list):
            stage["styles"] = [(own or {}).get(style, style) for style in stage["styles"]]
    written = []
    for name, content in (("settings.json", settings), ("plan.json", plan.to_dict())):
        written.append(folder / name)
        written[-1].write_text(json.dumps(content, indent=1), encoding="utf-8")
    return written
