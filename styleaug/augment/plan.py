"""``Plan``: what happens to each image of a batch: drawn once, to be kept and replayed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from styleaug.errors import did_you_mean
from styleaug.stages.base import Stage
from styleaug.stages.params import Params


class Plan(Mapping[str, Params]):
    """A mapping from stage names, in order, to the params of B images.

    A stage has the name of its class; a second one of the same class is ``Restyle-2``, and so on.

    Args:
        params: params of each stage, all with B rows.

    Examples:
        >>> from styleaug import Defocus, Relight, StyleAugment
        >>> plan = StyleAugment([Relight(), Defocus(sigma=1.5)]).draw(2)
        >>> list(plan), plan.count
        (['Relight', 'Defocus'], 2)
        >>> plan.describe(0)["Defocus"]
        {'sigma': 1.5}
    """

    def __init__(self, params: Mapping[str, Params]) -> None:
        self._params = dict(params)

    def __getitem__(self, name: str) -> Params:
        return self._params[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __repr__(self) -> str:
        return f"Plan({', '.join(self)}; {self.count} images)"

    @property
    def count(self) -> int:
        """Number of images; 1 serves any number."""
        return len(next(iter(self.values()))) if self else 1

    def select(self, rows: Sequence[int] | Tensor) -> Plan:
        """Return the plan of some images, by indices (repeats allowed) or by a bool mask."""
        return Plan({name: params.select(rows) for name, params in self.items()})

    def spread(self, count: int, frames: int = 1) -> Plan:
        """Expand to ``count`` images, or clips of ``frames`` frames; one row serves them all."""
        return Plan({name: params.spread(count, frames) for name, params in self.items()})

    def only(self, chosen: Tensor) -> Plan:
        """Return the same plan without changes to images outside ``chosen`` (B,), bool."""
        return Plan({name: params.scaled(chosen.float()) for name, params in self.items()})

    @classmethod
    def join(cls, plans: Sequence[Plan]) -> Plan:
        """Concatenate the rows of plans of the same stages; donors are rows of one batch.

        Raises:
            ValueError: if there is no plan, or their stages differ.
        """
        if not plans or any(set(plan) != set(plans[0]) for plan in plans):
            raise ValueError(f"Plans to join must be of the same stages, but are {plans}.")
        return cls({n: type(p).join([plan[n] for plan in plans]) for n, p in plans[0].items()})

    def describe(self, row: int) -> dict[str, dict[str, str | float]]:
        """Describe what one image gets, for the stages that change it."""
        return {n: params.describe(row) for n, params in self.items() if params.active[row]}

    def caption(self, row: int) -> str:
        """Describe what one image gets in a line of text, without positions of lighting."""
        parts = []
        for name, values in self.describe(row).items():
            amounts = {n: value for n, value in values.items() if "_" not in n}
            shown = [v if isinstance(v, str) else f"{n} {v:.2g}" for n, v in amounts.items()]
            parts.append(f"{name}: {', '.join(shown)}")
        return "; ".join(parts) or "unchanged"

    def tensors(self) -> dict[str, Tensor]:
        """All tensors, one row per image, by ``"Stage.field"``, for frameworks that store them."""
        return {f"{n}.{k}": v for n, params in self.items() for k, v in params.tensors().items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Plan:
        """Rebuild a plan from :meth:`tensors`; names of styles are lost."""
        found: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            name, _, entry = key.rpartition(".")
            found.setdefault(name, {})[entry] = value
        return cls({name: _type(name).from_tensors(values) for name, values in found.items()})

    def to_dict(self) -> dict[str, Any]:
        """Return the plan, ready for JSON; :meth:`from_dict` rebuilds it."""
        return {name: params.to_dict() for name, params in self.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Rebuild a plan from :meth:`to_dict`.

        Raises:
            ValueError: if it is malformed, or names an unknown stage.
        """
        if not isinstance(data, Mapping):
            raise ValueError(f"A plan must be what to_dict() gave, but is {data!r:.60}.")
        plan = cls({name: _type(name).from_dict(values) for name, values in data.items()})
        counts = {name: len(params) for name, params in plan.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"A plan must have a row for each image, but has {counts}.")
        return plan


def named(stages: Sequence[Stage]) -> dict[str, Stage]:
    """Stages by the names that a plan gives them."""
    found: dict[str, Stage] = {}
    for stage in stages:
        kind = type(stage).__name__
        number = 1 + sum(type(other).__name__ == kind for other in found.values())
        found[kind if number == 1 else f"{kind}-{number}"] = stage
    return found


def _type(name: str) -> type[Params]:
    kind = name.partition("-")[0]
    if kind not in Stage.kinds:
        raise ValueError(
            f"A plan is made of {', '.join(Stage.kinds)}, but names {name!r}."
            f"{did_you_mean(kind, Stage.kinds)}"
        )
    return Stage.kinds[kind].params_type


def share(params: Mapping[str, Params], stages: Mapping[str, Stage]) -> dict[str, Params]:
    """Divide amounts of stages that meet on an image by the root of their number.

    What a detector will meet is mostly one fault at a time, and all at full amounts would drown
    defects that each of them keeps.
    """
    sharing = [name for name in params if stages[name].shares]
    if len(sharing) < 2:
        return dict(params)
    meeting = torch.stack([params[name].active for name in sharing]).sum(0)
    factor = meeting.clamp_min(1).float().rsqrt()
    return {n: p.scaled(factor) if n in sharing else p for n, p in params.items()}
