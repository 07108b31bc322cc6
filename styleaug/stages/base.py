"""``Stage``: one kind of change to images; ``Params``: what it draws; and the loop over stages."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from styleaug.images.checks import check_fraction, check_image_tensor
from styleaug.images.color import to_dtype, to_float
from styleaug.pack import StylePack
from styleaug.runtime import prepare_process
from styleaug.stages.sample import ImageTransform, count_images

if TYPE_CHECKING:
    from typing_extensions import Self

Range = float | tuple[float, float]


def rows(dtype: torch.dtype, *shape: int | None) -> Any:
    """A field of :class:`Params` with a row an image.

    Args:
        dtype: of its tensor.
        shape: of a row; None where it is not known beforehand.
    """
    return field(metadata={"dtype": dtype, "shape": shape})


@dataclass(frozen=True, eq=False)
class Params:
    """What a stage does to each of B images: CPU tensors and tuples, one row an image.

    Subclasses declare their tensors by :func:`rows`; a field without it is a tuple.
    """

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    @property
    @abstractmethod
    def active(self) -> Tensor:
        """Which images change at all (B,), bool."""

    @abstractmethod
    def scaled(self, factor: Tensor) -> Self:
        """The same with every amount multiplied by a factor in [0, 1] an image (B,)."""

    @abstractmethod
    def describe(self, row: int) -> dict[str, str | float]:
        """What one image gets, for people."""

    def select(self, index: Sequence[int] | Tensor) -> Self:
        """The rows of some images, in that order, one may come twice; or those of a mask, bool."""
        index = torch.as_tensor(index, device="cpu")
        index = index.nonzero().flatten() if index.dtype == torch.bool else index.long()
        values: dict[str, Any] = {n: v.index_select(0, index) for n, v in self.tensors().items()}
        for name in self._tuples():
            values[name] = tuple(getattr(self, name)[i] for i in index.tolist())
        return replace(self, **values)

    def spread(self, count: int, frames: int = 1) -> Self:
        """The rows of ``count`` images, or clips of ``frames`` frames; one row serves them all.

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
        """The rows of several, one after another."""
        tensors = [part.tensors() for part in parts]
        values: dict[str, Any] = {n: torch.cat([t[n] for t in tensors]) for n in tensors[0]}
        for name in parts[0]._tuples():
            values[name] = tuple(entry for part in parts for entry in getattr(part, name))
        return cls(**values)

    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.metadata}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Rebuild it from :meth:`tensors`, as a framework hands them on; tuples are empty text."""
        count = len(next(iter(tensors.values())))
        return cls(**dict.fromkeys(cls._tuples(), ("",) * count), **tensors)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; :meth:`from_dict` gives the same back."""
        tensors = {name: value.tolist() for name, value in self.tensors().items()}
        return {**tensors, **{name: list(getattr(self, name)) for name in self._tuples()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild what :meth:`to_dict` gave.

        Raises:
            ValueError: if a field is missing, or is none of these.
        """
        values: dict[str, Any] = {}
        try:
            for f in fields(cls):
                value = data[f.name]
                if not f.metadata:
                    values[f.name] = tuple(value)
                    continue
                tensor = torch.tensor(value, dtype=f.metadata["dtype"], device="cpu")
                # of no images, JSON keeps no width
                width = [-1 if n is None and value else n or 0 for n in f.metadata["shape"]]
                values[f.name] = tensor.reshape(len(value), *width)
        except (LookupError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"A plan's {cls.__name__} must be what to_dict() gave, but {f.name!r} is missing "
                f"or malformed ({error!r})."
            ) from error
        return cls(**values)

    @classmethod
    def _tuples(cls) -> list[str]:
        return [f.name for f in fields(cls) if not f.metadata]


class Stage(ImageTransform):
    """One kind of change to images, and a torchvision v2 transform of its own.

    A subclass stores its arguments under their names, names its :class:`Params`, and has two
    methods: :meth:`draw` with all randomness, and :meth:`apply` with none.

    Args:
        p: probability that an image is changed.

    Attributes:
        amount: the argument that is the range of its amounts.
        shares: whether its amounts shrink on images that other stages change, too: together, at
            full amounts, they would drown defects that each of them keeps.
        protectable: whether ``protect`` and ``strength_mask`` hold it back inside defects.
    """

    params_type: ClassVar[type[Params]]
    amount: ClassVar[str]
    shares: ClassVar[bool] = True
    protectable: ClassVar[bool] = False
    kinds: ClassVar[dict[str, type[Stage]]] = {}
    """All stages by the name of their class."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Make the stage known to plans and settings that are read from JSON."""
        super().__init_subclass__(**options)
        Stage.kinds[cls.__name__] = cls

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = check_fraction("p", p)

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator | None = None) -> Params:
        """Draw for ``count`` images, without regard to ``p``.

        Args:
            count: B, may be 0.
            generator: a CPU generator; torch's global one if not given.
        """

    @abstractmethod
    def apply(self, images: Tensor, params: Any) -> Tensor:
        """Change images, without randomness.

        Args:
            images: (B, C, H, W), float32, C = 1 or 3; in [0, 1], but for what the stage before
                overshoots; not changed.
            params: one row an image, all of them active.
        """

    def prepare(self, images: Tensor, params: Any) -> Any:
        """Params that no longer need the rest of the batch.

        Args:
            images: the whole batch (B, C, H, W), as it came.
            params: one row for each image that changes.
        """
        return params

    @property
    def acts(self) -> bool:
        """Whether it can change anything at all."""
        return self.p > 0 and getattr(self, self.amount)[1] > 0

    def draw_where(
        self, chosen: Tensor, generator: torch.Generator | None = None, *, scale: float = 1.0
    ) -> Params:
        """Draw for images, of which ``p`` lets some through.

        Args:
            chosen: which may be changed at all (B,), bool.
            generator: a CPU generator; torch's global one if not given.
            scale: of all amounts, in [0, 1].
        """
        drawn = self.draw(len(chosen), generator)
        lucky = uniform(len(chosen), generator) < self.p
        return drawn.scaled((lucky & chosen).float() * scale)

    def make_params(
        self, flat_inputs: list[Any], generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Draw for a sample, see :meth:`ImageTransform.make_params`."""
        prepare_process(torch.device("cpu"))
        everyone = torch.ones(count_images(flat_inputs), dtype=torch.bool, device="cpu")
        return {"drawn": self.draw_where(everyone, generator), "masks": {}}

    def render(
        self, images: Tensor, drawn: Params, *, strength_mask: Tensor | None = None
    ) -> Tensor:
        """Apply params to a batch, see :func:`apply_stages`."""
        return apply_stages(images, [(self, drawn)], strength_mask=strength_mask)

    def settings(self) -> dict[str, Any]:
        """Its arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; :meth:`from_dict` builds the same stage."""
        return {"stage": type(self).__name__, **{n: _plain(v) for n, v in self.settings().items()}}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Stage:
        """Build what :meth:`to_dict` describes.

        Raises:
            ValueError: if there is no such stage, or it has no such argument.
        """
        kind = data.get("stage") if isinstance(data, Mapping) else None
        if not isinstance(kind, str) or kind not in Stage.kinds:
            raise ValueError(f"stage must be one of {', '.join(Stage.kinds)}, but got {data!r}.")
        settings = {name: value for name, value in data.items() if name != "stage"}
        for name, value in settings.items():
            if isinstance(value, list) and len(value) == 2 and not isinstance(value[0], str):
                settings[name] = tuple(value)  # JSON knows lists only
        try:
            return Stage.kinds[kind](**settings)
        except TypeError as error:
            raise ValueError(f"{kind} refuses its arguments {settings}: {error}.") from error

    def __repr__(self) -> str:
        return call_of(self, self.settings())


def call_of(transform: Any, settings: Mapping[str, Any]) -> str:
    """The call that builds a transform: arguments that are not as by default."""
    parameters = inspect.signature(type(transform)).parameters
    changed = {n: v for n, v in settings.items() if v != parameters[n].default}
    positional = [
        name for name, p in parameters.items() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    shown = [f"{v!r}" if n in positional else f"{n}={v!r}" for n, v in changed.items()]
    return f"{type(transform).__name__}({', '.join(shown)})"


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, Path):  # "./wood" is a path, and "wood" may be a tag
        return str(value) if value.is_absolute() else f"./{value.as_posix()}"
    if isinstance(value, StylePack) and value.source is not None:
        return value.source
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"Settings are written as JSON, but {value!r} has no name there. Save the pack, and give "
        "its path."
    )


def uniform(
    count: int, generator: torch.Generator | None, low: float = 0.0, high: float = 1.0
) -> Tensor:
    """Uniform numbers in [low, high): (count,), float32 on the CPU, whatever torch's defaults."""
    values = torch.empty(count, dtype=torch.float32, device="cpu").uniform_(generator=generator)
    return low + (high - low) * values


def integers(end: int, count: int, generator: torch.Generator | None) -> Tensor:
    """Integers in [0, end): (count,), int64 on the CPU."""
    return torch.randint(end, (count,), generator=generator, device="cpu")


def on_device(values: Tensor, images: Tensor) -> Tensor:
    """Amounts (B,) of images as a factor (B, 1, 1, 1) on their device; the host does not wait."""
    return values.to(images.device, non_blocking=True).view(-1, 1, 1, 1)


def apply_stages(
    images: Tensor,
    steps: Sequence[tuple[Stage, Params]],
    *,
    strength_mask: Tensor | None = None,
) -> Tensor:
    """Apply stages in turn, each to the images that it changes; without gradients.

    Args:
        images: (B, C, H, W), uint8, uint16 or float in [0, 1], C = 1 or 3; never changed.
        steps: stages with their params, of one row an image, or of one row that serves all.
        strength_mask: factor at each pixel, in [0, 1], on what stages that are ``protectable``
            change: (B, 1, H, W); 0 protects.

    Returns:
        A new tensor of the same shape, dtype, device and memory format. Images that no stage
        changes come back bit for bit.

    Raises:
        ValueError: if shapes do not fit, or values are out of range.
        TypeError: if the dtype is neither uint8, uint16 nor floating point.
    """
    prepare_process(images.device)
    check_image_tensor(images, "images")
    if images.ndim != 4 or any(len(params) not in (1, len(images)) for _, params in steps):
        raise ValueError(
            f"Rendering needs images (B, C, H, W) and a plan of B rows, or of one for all, but got "
            f"{tuple(images.shape)} and {[len(params) for _, params in steps]} rows."
        )
    if strength_mask is not None and strength_mask.shape != (len(images), 1, *images.shape[-2:]):
        raise ValueError(
            f"strength_mask must be (B, 1, H, W) for images {tuple(images.shape)}, but is "
            f"{tuple(strength_mask.shape)}."
        )
    steps = [(stage, params.spread(len(images))) for stage, params in steps]
    # params lie on the CPU, so which images take part is known without asking the device
    active = [params.active for _, params in steps]
    none = torch.zeros(len(images), dtype=torch.bool, device="cpu")
    touched = torch.stack([none, *active]).any(0).nonzero().flatten()
    # autocast is for the caller's model; inside it, an image must not come out otherwise
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        if not len(touched):
            return images.clone()
        x = to_float(take(images, touched))
        for (stage, params), changes in zip(steps, active, strict=True):
            every = changes.nonzero().flatten()
            if not len(every):
                continue
            params = stage.prepare(images, params.select(every))
            among = changes[touched].nonzero().flatten()
            before = take(x, among)
            after = stage.apply(before, params)
            if strength_mask is not None and stage.protectable:
                mask = take(strength_mask.to(x.device, torch.float32), every)
                after = torch.lerp(before, after, mask)
            x = put(x, among, after)
        out = put(images, touched, to_dtype(x, images.dtype))
        if images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous():
            return out.contiguous(memory_format=torch.channels_last)
        return out.contiguous()


def take(x: Tensor, index: Tensor) -> Tensor:
    """Some rows of ``x``, given in ascending order; all of them are ``x`` itself."""
    if len(index) == len(x):
        return x
    index = index.to(x.device, non_blocking=True)
    if x.dtype == torch.uint16:  # few kernels know it
        return x.view(torch.int16).index_select(0, index).view(torch.uint16)
    return x.index_select(0, index)


def put(x: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """A copy of ``x`` with some rows, given in ascending order, replaced."""
    if len(index) == len(x):
        return values
    index = index.to(x.device, non_blocking=True)
    if x.dtype == torch.uint16:
        return x.view(torch.int16).index_copy(0, index, values.view(torch.int16)).view(torch.uint16)
    return x.index_copy(0, index, values)
