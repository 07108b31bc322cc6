"""``Params``: what a stage draws for each image, and how it draws."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self

Range = float | tuple[float, float]

LARGEST = 1e4
"""No value of a style code or of any amount comes near: more is damage, and overflows."""
_ROUNDING = 1e-5


Bound = float | tuple[float, ...]


def rows(
    dtype: torch.dtype, *shape: int | None, low: Bound = -LARGEST, high: Bound = LARGEST
) -> Any:
    """A field of :class:`Params` with a row an image.

    Args:
        dtype: of its tensor.
        shape: of a row; None where it is not known beforehand.
        low: the least that its values can be; one number, or one for each entry of a row.
        high: the most.
    """
    return field(metadata={"dtype": dtype, "shape": shape, "low": low, "high": high})


@dataclass(frozen=True, eq=False)
class Params:
    """Parameters of a stage for B images: CPU tensors and tuples, one row per image.

    Subclasses declare tensors with :func:`rows`; other fields are tuples.
    """

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    @property
    @abstractmethod
    def active(self) -> Tensor:
        """Which images change at all (B,), bool."""

    @abstractmethod
    def scaled(self, factor: Tensor) -> Self:
        """Multiply every amount by a factor in [0, 1] per image (B,)."""

    @abstractmethod
    def describe(self, row: int) -> dict[str, str | float]:
        """Describe what one image gets, in readable form."""

    def select(self, index: Sequence[int] | Tensor) -> Self:
        """Return the rows of some images, by indices (repeats allowed) or by a bool mask."""
        index = torch.as_tensor(index, device="cpu")
        index = index.nonzero().flatten() if index.dtype == torch.bool else index.long()
        values: dict[str, Any] = {
            name: value.index_select(0, index.to(value.device, non_blocking=True))
            for name, value in self.tensors().items()
        }
        for name in self._tuples():
            values[name] = tuple(getattr(self, name)[i] for i in index.tolist())
        return replace(self, **values)

    def spread(self, count: int, frames: int = 1) -> Self:
        """Expand to ``count`` images, or clips of ``frames`` frames; one row serves them all.

        Raises:
            ValueError: if there are fewer rows than images.
        """
        if len(self) == count and frames == 1:
            return self
        if len(self) < count and len(self) != 1:
            raise ValueError(
                f"{len(self)} rows cannot serve {count} images: draw as many, or one for all."
            )
        images = torch.zeros(count, dtype=torch.int64, device="cpu")
        if len(self) != 1:
            images = torch.arange(count, device="cpu")
        return self.select(images.repeat_interleave(frames))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Concatenate the rows of several params."""
        tensors = [part.tensors() for part in parts]
        values: dict[str, Any] = {n: torch.cat([t[n] for t in tensors]) for n in tensors[0]}
        for name in parts[0]._tuples():
            values[name] = tuple(entry for part in parts for entry in getattr(part, name))
        return cls(**values)

    def tensors(self) -> dict[str, Tensor]:
        """Tensors by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.metadata}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Rebuild params from :meth:`tensors`; tuples hold empty strings."""
        count = len(next(iter(tensors.values())))
        return cls(**dict.fromkeys(cls._tuples(), ("",) * count), **tensors)

    def to_dict(self) -> dict[str, Any]:
        """Return the params, ready for JSON; :meth:`from_dict` rebuilds them."""
        tensors = {name: value.tolist() for name, value in self.tensors().items()}
        return {**tensors, **{name: list(getattr(self, name)) for name in self._tuples()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild params from :meth:`to_dict`.

        Raises:
            ValueError: if a field is missing, unknown, or out of the range that can be drawn.
        """
        values: dict[str, Any] = {}
        for f in fields(cls):
            try:
                values[f.name] = _read(f, data[f.name])
            except (LookupError, RuntimeError, TypeError, ValueError) as error:
                raise ValueError(
                    f"A plan's {cls.__name__} must be what to_dict() gave, but {f.name!r} is "
                    f"missing or malformed ({error!r})."
                ) from error
        counts = {name: len(value) for name, value in values.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(
                f"A plan's {cls.__name__} must have a row for each image, but the numbers of rows "
                f"differ: {counts}."
            )
        return cls(**values)

    @classmethod
    def _tuples(cls) -> list[str]:
        return [f.name for f in fields(cls) if not f.metadata]


def _read(f: Field[Any], value: Any) -> Any:
    """A field's value from what JSON holds.

    Raises:
        TypeError: if it is of another type.
        ValueError: if it is out of bounds.
        RuntimeError: if it is of another shape.
    """
    if not isinstance(value, list | tuple):
        raise TypeError(f"needs a list, not {value!r:.40}")
    if not f.metadata:
        if not all(isinstance(entry, str) for entry in value):
            raise TypeError("needs texts")
        return tuple(value)
    tensor = torch.tensor(value, dtype=f.metadata["dtype"], device="cpu")
    # of no images, JSON keeps no width
    width = [-1 if n is None and value else n or 0 for n in f.metadata["shape"]]
    tensor = tensor.reshape(len(value), *width)
    low, high = (
        torch.tensor(f.metadata[name], dtype=torch.float64, device="cpu")
        for name in ("low", "high")
    )
    if not ((tensor >= low - _ROUNDING) & (tensor <= high + _ROUNDING)).all():  # false for NaN
        raise ValueError(f"needs values from {f.metadata['low']} to {f.metadata['high']}")
    return tensor


def uniform(
    count: int, generator: torch.Generator | None, low: float = 0.0, high: float = 1.0
) -> Tensor:
    """Uniform numbers in [low, high): (count,), float32 on the CPU, whatever torch's defaults."""
    values = torch.empty(count, dtype=torch.float32, device="cpu").uniform_(generator=generator)
    return low + (high - low) * values


def integers(end: int, count: int, generator: torch.Generator | None) -> Tensor:
    """Integers in [0, end): (count,), int64 on the CPU."""
    return torch.randint(end, (count,), generator=generator, device="cpu")
