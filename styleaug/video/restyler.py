"""``Restyler``: a plan for a film, and its frames under it, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from styleaug.augment.plan import Plan, named
from styleaug.augment.transform import StyleAugment
from styleaug.images.checks import check_image_tensor
from styleaug.images.io import image_like, pixels_of
from styleaug.nn.noise import SEEDS
from styleaug.stages.apply import apply_stages
from styleaug.stages.base import Stage
from styleaug.stages.noise import SensorNoiseParams
from styleaug.stages.restyle import Restyle
from styleaug.video.motion import Eye
from styleaug.video.steady import SteadyRestyle
from styleaug.video.timeline import Timeline

Frame = TypeVar("Frame", Tensor, Image.Image, "np.ndarray[Any, Any]")

_LAST = "last"


class Restyler:
    """Change the frames of a film one after the other by one plan, without flicker.

    Texture and tone follow the motion, see :class:`~styleaug.video.steady.SteadyRestyle`. Lighting,
    blur and noise are fixed to the screen, like those of a camera. A cut is detected and starts
    anew.

    Args:
        augment: the transform. The plan of a film is drawn with its probabilities.
        plan: a plan of one row, from ``augment.draw(1)``.
        timeline: changes of the plan over time.
        new_noise: whether :class:`~styleaug.SensorNoise` differs in each frame.

    Raises:
        ValueError: if the plan has more than one row, or belongs to other stages.
        MissingExtraError: if OpenCV, which ``Restyle`` needs here, is not installed.

    Examples:
        >>> from styleaug import Restyle, StyleAugment
        >>> augment = StyleAugment([Restyle("rust", strength=0.8)])
        >>> restyler = Restyler(augment, augment.draw(1))
        >>> film = (torch.rand(3, 48, 64) for _ in range(3))
        >>> [frame.shape for frame in restyler.over(film)][-1]
        torch.Size([3, 48, 64])
    """

    def __init__(
        self,
        augment: StyleAugment,
        plan: Plan,
        *,
        timeline: Timeline | None = None,
        new_noise: bool = False,
    ) -> None:
        stages = named(augment.stages)
        if plan.count != 1 or set(plan) != set(stages):
            raise ValueError(
                f"The plan of a film must be of one row and of the stages {', '.join(stages)}, but "
                f"is {plan}."
            )
        self._steady = {n: SteadyRestyle(s) for n, s in stages.items() if isinstance(s, Restyle)}
        self._stages: dict[str, Stage] = {
            name: cast("Stage", self._steady.get(name, stage)) for name, stage in stages.items()
        }
        self._plan, self._timeline = plan, timeline or Timeline()
        self._new_noise, self._bits = new_noise, augment.bits
        self._eye = Eye() if self._steady else None  # lighting alone needs no motion
        self._count = 0

    def over(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield changed frames one by one, from a list, a reader or a camera."""
        for frame in frames:
            yield self(frame)

    def __call__(self, frame: Frame, seconds: float = 0.0) -> Frame:
        """Change the next frame.

        Args:
            frame: (C, H, W) tensor, uint8, uint16 or float in [0, 1], on any device; a PIL image;
                or an array (H, W, C) or (H, W), RGB or gray.
            seconds: where in the film it stands, for the timeline.

        Returns:
            The same kind, dtype and size.

        Raises:
            ValueError: if it is no image by its shape or values.
            TypeError: if it is none by its type.
        """
        if isinstance(frame, Image.Image):
            return image_like(self._next(pixels_of(frame), seconds), frame)
        if isinstance(frame, np.ndarray):
            planes = frame[None] if frame.ndim == 2 else frame.transpose(2, 0, 1)
            out = self._next(torch.from_numpy(np.ascontiguousarray(planes)), seconds).numpy()
            return out[0] if frame.ndim == 2 else np.ascontiguousarray(out.transpose(1, 2, 0))
        return self._next(frame, seconds)

    def _next(self, frame: Tensor, seconds: float) -> Tensor:
        check_image_tensor(frame, "a frame", self._bits)
        if frame.ndim != 3:
            raise ValueError(f"A frame must be (C, H, W), but is {tuple(frame.shape)}.")
        images = frame[None]
        motion = self._eye.see(images, self._bits) if self._eye else None
        plan = self._timeline.at(seconds, self._plan)
        steps = []
        for name, stage in self._stages.items():
            params = plan[name]
            if name in self._steady:
                steady = self._steady[name]
                steady.motion = motion
                if not params.active.any():  # it will not see this frame
                    steady.memory = None
            if self._new_noise and isinstance(params, SensorNoiseParams):
                params = replace(params, seed=(params.seed + self._count) % SEEDS)
            steps.append((stage, params))
        self._count += 1
        return apply_stages(images, steps, bits=self._bits)[0]

    def tensors(self) -> dict[str, Tensor]:
        """State after the frames so far, from which another run can continue."""
        kept = {f"{n}/{k}": v for n, s in self._steady.items() for k, v in s.tensors().items()}
        if self._eye and self._eye.last is not None:
            kept[_LAST] = self._eye.last
        return {**kept, "count": torch.tensor(self._count)}

    def recall(self, tensors: dict[str, Tensor]) -> None:
        """Continue from the state of :meth:`tensors`."""
        self._count = int(tensors["count"])
        if self._eye:
            self._eye.last = tensors.get(_LAST)
        for name, steady in self._steady.items():
            steady.recall(
                {k.rpartition("/")[2]: v for k, v in tensors.items() if k.startswith(f"{name}/")}
            )
