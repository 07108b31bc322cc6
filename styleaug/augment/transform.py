"""``StyleAugment``: random materials, finishes, colours and lighting, a torchvision transform."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

from styleaug.augment.plan import Plan, named, share
from styleaug.augment.presets import Preset, preset
from styleaug.augment.schedule import Points, Schedule
from styleaug.errors import warn
from styleaug.images.checks import check_bits, check_fraction, check_whole
from styleaug.runtime import prepare_process
from styleaug.stages.apply import apply_stages
from styleaug.stages.base import Stage, call_of
from styleaug.stages.params import Params, uniform
from styleaug.stages.protect import canvas, marked_by, strength_mask
from styleaug.stages.sample import IMAGES, LABELS, ImageTransform, measure

Callback = Callable[[Plan], object]


class StyleAugment(ImageTransform):
    """Change material, finish, colour, lighting, focus and noise of training images at random.

    Each image of a batch gets its own draw; a video gets one. Labels, boxes and masks come back as
    the same objects. It runs on the images' device, without gradients. Place it before
    ``Normalize``, in a dataset's transform or, faster, on whole batches.

    Args:
        stages: name of a preset (see :data:`styleaug.augment.presets.PRESETS`, or ``styleaug
            presets``), a :class:`~styleaug.augment.presets.Preset`, or stages that are applied in
            order. Each stage has its own probability, for images that ``p`` selects. Where several
            of Restyle, Defocus and SensorNoise meet on an image, their amounts are divided by the
            square root of their number.
        p: probability that an image is changed at all, in [0, 1]; by default that of the preset,
            and 1 for stages.
        schedule: factors on amounts over the training progress: pairs (progress, factor) in [0, 1]
            with linear interpolation, for ``"p"``, for a stage (all its amounts) or one field of
            its params, as in ``{"p": [(0.3, 0), (0.8, 1)], "Restyle.texture": [(0, 0), (1, 1)]}``;
            or ``"gradual"``, which is the first of these and begins with plain images. The training
            loop reports its progress by :meth:`set_progress`. By default that of the preset; ``{}``
            for none.
        protect: share of the new material that is removed inside masks and boxes of the sample, in
            [0, 1]. Lighting, blur and noise still act there: a patch without them would reveal the
            defect.
        bits: bit depth of uint16 images, from 9 to 16: white is 4095 with 12 bits. By default 16.
            Other dtypes are not affected.
        callback: called with each plan, in the process that draws it, such as
            :class:`styleaug.augment.log.JsonLines`, which logs what each image got.

    Raises:
        ValueError: if an argument is out of bounds, or a preset or style is unknown; at call, if an
            image is not of the shape (..., C, H, W) with C = 1 or 3, or its values are not in
            [0, 1].
        TypeError: at call, if an image is neither uint8, uint16 nor floating point.
        WeightsError: if the pack is missing or damaged.

    Shape:
        ``(..., C, H, W)`` uint8, uint16 or float tensors in [0, 1], plain or ``tv_tensors.Image``
        and ``Video``; PIL images of any mode that converts to L or RGB, and 16-bit gray ones. Type,
        dtype, device, memory format and size stay.

    Examples:
        >>> import torch
        >>> from styleaug import Relight, Restyle
        >>> StyleAugment("mild", p=0.5)(torch.rand(3, 32, 48)).shape
        torch.Size([3, 32, 48])
        >>> StyleAugment([Restyle("rust"), Relight(strength=0.5)], p=0.7)
        StyleAugment([Restyle('rust'), Relight(strength=(0.5, 0.5))], p=0.7)
    """

    # what v2.Transform hands to make_params and transform; anything else passes by
    _transformed_types: tuple[Any, ...] = (v2.functional.is_pure_tensor, *IMAGES, *LABELS)

    def __init__(
        self,
        stages: str | Preset | Sequence[Stage] = "default",
        *,
        p: float | None = None,
        schedule: Points | str | None = None,
        protect: float = 0.0,
        bits: int | None = None,
        callback: Callback | None = None,
    ) -> None:
        super().__init__()
        self.preset = stages if isinstance(stages, str) else None
        chosen = preset(stages) if isinstance(stages, str) else stages
        if isinstance(chosen, Preset):
            p = chosen.p if p is None else p
            schedule = chosen.schedule if schedule is None else schedule
            chosen = chosen.stages
        self.stages = _checked(chosen)  # a list, or their attributes would be those of this module
        self.p = check_fraction("p", 1.0 if p is None else p)
        self.schedule = deepcopy(schedule)  # the caller may change his
        self._schedule = Schedule(schedule or {}, _scalable(named(self.stages)))
        self.protect = check_fraction("protect", float(protect) if protect is True else protect)
        self.bits = check_bits(bits)
        if not (callback is None or callable(callback)):
            raise ValueError(f"callback must be callable, but is {callback!r}.")
        self.callback = callback
        self._progress = torch.full((), math.nan, device="cpu")  # NaN: not yet told
        self._share_progress()
        if not self.p or not any(stage.acts for stage in self.stages):
            warn("StyleAugment can change nothing: p is 0, or the amounts of all stages are.")
        if self.protect and not any(stage.protectable for stage in self.stages):
            warn("protect has no effect: it holds new material back, and there is no Restyle.")

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickled or deep-copied: a progress of its own, unless it came to a worker."""
        super().__setstate__(state)
        self._share_progress()

    def __copy__(self) -> StyleAugment:
        """Shallow, but for the progress: each of both is told its own."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__, _progress=self._progress.clone())
        twin._share_progress()
        return twin

    def _share_progress(self) -> None:
        """Let one call of :meth:`set_progress` reach the workers of a DataLoader."""
        if self.schedule:
            self._progress.share_memory_()  # type: ignore[no-untyped-call]  # torch's

    def set_progress(self, progress: float) -> None:
        """Set the training progress for ``schedule``, also in the workers of a DataLoader.

        Args:
            progress: epoch / epochs, or step / steps, in [0, 1].

        Raises:
            ValueError: if it is not in [0, 1].
        """
        self._progress.fill_(check_fraction("progress", progress))

    def draw(self, count: int, generator: torch.Generator | None = None) -> Plan:
        """Draw a plan for ``count`` images, at the current progress.

        :meth:`render` applies it. These are the two steps of the transform, for custom training
        loops.

        Args:
            count: B, may be 0.
            generator: a CPU generator; torch's global one if not given.
        """
        check_whole("count", count, 0)
        prepare_process(torch.device("cpu"))
        progress = self._progress.item() if self.schedule else 1.0
        if math.isnan(progress):
            warn(
                "StyleAugment's schedule begins with the first call of set_progress(); until then "
                "the settings hold as they are."
            )
            factors: Mapping[str, float] = {}
        else:
            factors = self._schedule.factors(progress)
        chosen = uniform(count, generator) < self.p * factors.get("p", 1.0)
        stages = named(self.stages)
        drawn = {
            name: _with_fields(
                stage.draw_where(chosen, generator, scale=factors.get(name, 1.0)), name, factors
            )
            for name, stage in stages.items()
        }
        plan = Plan(share(drawn, stages))
        if self.callback is not None:
            self.callback(plan)
        return plan

    def render(self, images: Tensor, drawn: Plan, *, strength_mask: Tensor | None = None) -> Tensor:
        """Apply a plan to a batch, without randomness, on the images' device.

        Args:
            images: (B, C, H, W), uint8, uint16 or float in [0, 1], C = 1 or 3; never changed.
            drawn: one row per image, or one row for all.
            strength_mask: factor on the strength of the new material at each pixel, (B, 1, H, W),
                in [0, 1]; 0 protects.

        Raises:
            ValueError: if shapes do not fit, values are out of range, or the plan belongs to other
                stages.
        """
        if not isinstance(images, Tensor) or not isinstance(drawn, Plan):
            raise ValueError(
                "render takes images as a tensor (B, C, H, W) and a Plan, of draw or "
                f"Plan.from_dict, but got {type(images).__name__} and {type(drawn).__name__}."
            )
        stages = named(self.stages)
        if set(drawn) != set(stages):
            raise ValueError(
                f"The plan must be of the stages {', '.join(stages)}, but is of {', '.join(drawn)}."
            )
        steps = [(stage, drawn[name]) for name, stage in stages.items()]
        self.notice_bits(images)
        return apply_stages(images, steps, strength_mask=strength_mask, bits=self.bits)

    def make_params(
        self, flat_inputs: list[Any], generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Draw a plan for the sample; its images share it, row by row.

        Args:
            flat_inputs: the images, masks and boxes of the sample.
            generator: a CPU generator; torch's global one if not given.

        Returns:
            ``drawn``: a :class:`Plan`; ``masks``: strength masks (count, 1, H, W) by (count, H, W),
            where masks or boxes protect something.
        """
        images = [x for x in flat_inputs if not isinstance(x, LABELS)]
        labels = [x for x in flat_inputs if isinstance(x, LABELS)]
        params = super().make_params(images, generator)
        sizes = {(count, *size) for count, size in map(measure, images) if count}
        if not self.protect or not sizes:
            return params
        if not labels:
            warn("protect has no effect: the sample holds no masks or boxes (tv_tensors).")
            return params
        for size in sizes:
            marked = marked_by(labels, *size)
            if marked is not None:
                params["masks"][size] = strength_mask(marked, self.protect)
        if not params["masks"]:
            raise ValueError(
                f"protect needs masks or boxes of an image's size, but got images "
                f"{[size[1:] for size in sizes]} and labels {[canvas(x) for x in labels]}."
            )
        return params

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Apply the plan to one image, batch or video; boxes and masks come back unchanged."""
        return inpt if isinstance(inpt, LABELS) else super().transform(inpt, params)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings by value, ready for JSON; see :meth:`from_dict`.

        The callback is left out, and ``bits`` where it is that of the dtype.

        Raises:
            ValueError: if a stage holds a pack without a file.
        """
        schedule: Any = self.schedule
        if schedule and not isinstance(schedule, str):
            schedule = {name: [list(pair) for pair in pairs] for name, pairs in schedule.items()}
        settings = {
            "stages": [stage.to_dict() for stage in self.stages],
            "p": self.p,
            "schedule": schedule,
            "protect": self.protect,
        }
        return settings if self.bits is None else {**settings, "bits": self.bits}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StyleAugment:
        """Build the transform that :meth:`to_dict` describes.

        Raises:
            ValueError: if it names an unknown stage or setting.
        """
        entries = data.get("stages") if isinstance(data, Mapping) else data
        if not isinstance(entries, list | tuple):
            raise ValueError(
                f"Settings need a list of stages, as of to_dict(), but got {entries!r}."
            )
        settings = {**data, "stages": [Stage.from_dict(entry) for entry in entries]}
        try:
            return cls(**settings)
        except TypeError as error:
            raise ValueError(f"Settings of StyleAugment must be known, but {error}.") from error

    def __repr__(self) -> str:
        usual = preset(self.preset) if self.preset else None
        if usual and repr(usual.stages) != repr(self.stages):  # changed meanwhile
            usual = None
        settings: dict[str, Any] = {
            "stages": self.preset if usual else self.stages,
            "p": self.p,
            "schedule": self.schedule,
            "protect": self.protect,
            "bits": self.bits,
            "callback": self.callback,
        }
        if self.p == (usual.p if usual else 1.0):
            settings["p"] = None
        if usual and self.schedule == usual.schedule:
            settings["schedule"] = None
        return call_of(self, settings)


def _checked(stages: Sequence[Stage]) -> list[Stage]:
    found = list(stages) if isinstance(stages, Sequence) else [stages]
    if not found or not all(isinstance(stage, Stage) for stage in found):
        raise ValueError(
            f"stages must be a preset's name, or stages such as [Restyle(), Relight()], but got "
            f"{stages!r}."
        )
    return found


def _scalable(stages: Mapping[str, Stage]) -> list[str]:
    """What a schedule may name: stages, and those of their ranges that images draw from."""
    return [
        *stages,
        *(
            f"{name}.{f.name}"
            for name, stage in stages.items()
            for f in fields(stage.params_type)
            if f.name in stage.settings() and f.metadata and f.metadata["dtype"].is_floating_point
        ),
    ]


def _with_fields(params: Params, name: str, factors: Mapping[str, float]) -> Params:
    """Params with the factors on their fields, such as ``Restyle.texture``."""
    scaled = {
        key.partition(".")[2]: factor
        for key, factor in factors.items()
        if key.startswith(f"{name}.")
    }
    return replace(params, **{n: getattr(params, n) * f for n, f in scaled.items()})
