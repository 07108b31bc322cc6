"""``Stage``: one kind of change to images; ``Params``: what it draws; and the loop over stages."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from styleaug.errors import did_you_mean
from styleaug.images.checks import check_fraction
from styleaug.pack import StylePack
from styleaug.runtime import prepare_process
from styleaug.stages.apply import apply_stages
from styleaug.stages.params import Params, uniform
from styleaug.stages.sample import ImageTransform, count_images


class Stage(ImageTransform):
    """One kind of change to images; also a torchvision v2 transform.

    A subclass stores its arguments under their names, sets ``params_type``, and defines two
    methods: :meth:`draw` with all randomness, and :meth:`apply` without any.

    Args:
        p: probability that an image is changed.

    Attributes:
        amount: name of the argument that is the range of its amounts.
        shares: whether its amounts shrink on images that other stages also change: together at full
            amounts they would hide defects that each alone preserves.
        protectable: whether ``protect`` and ``strength_mask`` attenuate it inside defects.
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
            images: (B, C, H, W), float32, C = 1 or 3, in [0, 1] up to overshoot of the previous
                stage; never modified. The images that the stage changes, or a part of them.
            params: one row per image, all active.
        """

    def prepare(self, images: Tensor, params: Any) -> Any:
        """Return params that no longer need the rest of the batch.

        Args:
            images: the whole input batch (B, C, H, W).
            params: one row for each image that changes.
        """
        return params

    @property
    def acts(self) -> bool:
        """Whether the stage can change anything at all."""
        return self.p > 0 and getattr(self, self.amount)[1] > 0

    def draw_where(
        self, chosen: Tensor, generator: torch.Generator | None = None, *, scale: float = 1.0
    ) -> Params:
        """Draw for images, each selected with probability ``p``.

        Args:
            chosen: which may be changed at all (B,), bool.
            generator: a CPU generator; torch's global one if not given.
            scale: factor on all amounts, in [0, 1].
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
        self.notice_bits(images)
        return apply_stages(images, [(self, drawn)], strength_mask=strength_mask)

    def settings(self) -> dict[str, Any]:
        """Arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, ready for JSON; :meth:`from_dict` builds the same stage."""
        return {"stage": type(self).__name__, **{n: _plain(v) for n, v in self.settings().items()}}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Stage:
        """Build the stage that :meth:`to_dict` describes.

        Raises:
            ValueError: if the stage or one of its arguments is unknown.
        """
        kind = data.get("stage") if isinstance(data, Mapping) else None
        if not isinstance(kind, str) or kind not in Stage.kinds:
            raise ValueError(
                f"stage must be one of {', '.join(Stage.kinds)}, but got {data!r}."
                f"{did_you_mean(kind, Stage.kinds)}"
            )
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
