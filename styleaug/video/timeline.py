"""``Timeline``: what changes while a film runs, from keyframe to keyframe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

import torch
from torch import Tensor

from styleaug.augment.plan import Plan
from styleaug.errors import did_you_mean
from styleaug.images.checks import check_fraction
from styleaug.stages.restyle import RestyleParams

_AMOUNTS = ("strength", "texture")
_NAMES = (*_AMOUNTS, "style")


@dataclass(frozen=True, eq=False)
class Keyframe:
    """Values at a moment of a film; a value of None does not change.

    Attributes:
        seconds: time of the keyframe, in seconds.
        strength: of :class:`~styleaug.Restyle`, in [0, 1].
        texture: the same.
        style: its code (code_size,).
    """

    seconds: float
    strength: float | None = None
    texture: float | None = None
    style: Tensor | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: if one is out of range.
        """
        if not 0 <= self.seconds < inf:
            raise ValueError(f"A keyframe must be at 0 seconds or later, but is at {self.seconds}.")
        for name in _AMOUNTS:
            if getattr(self, name) is not None:
                check_fraction(name, getattr(self, name))

    @classmethod
    def parse(cls, words: Sequence[str], code_of: Callable[[str], Tensor]) -> Keyframe:
        """Read ``["00:12", "strength=0.2", "style=rust"]``.

        Args:
            words: a moment as seconds, ``MM:SS`` or ``HH:MM:SS``, and at least one value.
            code_of: gives the code of a style.

        Raises:
            ValueError: if the words have another form.
        """
        moment, *entries = words
        found: dict[str, float | Tensor] = {}
        for entry in entries:
            name, equals, value = entry.partition("=")
            if name not in _NAMES or not equals or not value:
                raise ValueError(
                    f"A keyframe must give {', '.join(_NAMES)} as NAME=VALUE, but gives {entry!r}."
                    f"{did_you_mean(name, _NAMES)}"
                )
            found[name] = code_of(value) if name == "style" else _number(name, value)
        if not found:
            raise ValueError(
                f"A keyframe must give a value, as '00:12 strength=0.2', but is {moment!r} alone."
            )
        return cls(seconds_of(moment), **found)  # type: ignore[arg-type]  # by name


class Timeline:
    """Amounts and styles of :class:`~styleaug.Restyle` over the time of a film.

    Values change linearly from those of the plan to each keyframe in turn, then stay.

    Args:
        keyframes: keyframes in any order.

    Examples:
        >>> from styleaug import Restyle, StyleAugment
        >>> plan = StyleAugment([Restyle("rust", strength=1.0)]).draw(1)
        >>> fade = Timeline([Keyframe(10, strength=0.0)])
        >>> float(fade.at(2.5, plan)["Restyle"].strength)
        0.75
    """

    def __init__(self, keyframes: Sequence[Keyframe] = ()) -> None:
        self._keyframes = sorted(keyframes, key=lambda keyframe: keyframe.seconds)

    def at(self, seconds: float, plan: Plan) -> Plan:
        """Return the plan at a time in seconds."""
        if not self._keyframes:
            return plan
        return Plan(
            {
                name: self._params(params, seconds) if isinstance(params, RestyleParams) else params
                for name, params in plan.items()
            }
        )

    def _params(self, params: RestyleParams, seconds: float) -> RestyleParams:
        return replace(
            params,
            strength=self._value("strength", params.strength, seconds),
            texture=self._value("texture", params.texture, seconds),
            codes=self._value("style", params.codes, seconds),
        )

    def _value(self, name: str, start: Tensor, seconds: float) -> Tensor:
        """Of one thing, of the shape of its start."""
        before, value = 0.0, start
        for keyframe in self._keyframes:
            aim = getattr(keyframe, name)
            if aim is None:
                continue
            target = torch.as_tensor(aim, dtype=start.dtype, device=start.device).expand_as(start)
            if seconds < keyframe.seconds:
                share = (seconds - before) / (keyframe.seconds - before)
                return torch.lerp(value, target, share)
            before, value = keyframe.seconds, target
        return value


def seconds_of(text: str) -> float:
    """Seconds of a moment: ``12.5``, ``MM:SS`` or ``HH:MM:SS``.

    Raises:
        ValueError: if it is none.
    """
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = [-1.0]
    whole = all(number == int(number) and number >= 0 for number in numbers[:-1])
    if (
        len(parts) > 3
        or not whole
        or not 0 <= numbers[-1] < inf
        or max(numbers[1:], default=0) >= 60
    ):
        raise ValueError(
            f"A moment must be seconds, MM:SS or HH:MM:SS, as 75.5 or 01:15.5, but is {text!r}."
        )
    return float(sum(n * 60**place for place, n in enumerate(reversed(numbers))))


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a number in [0, 1], but is {value!r}.") from error
