"""``StyleAugment`` for kornia: an item of ``AugmentationSequential``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from styleaug.augment.plan import Plan
from styleaug.augment.schedule import Points
from styleaug.augment.transform import Callback
from styleaug.errors import MissingExtraError
from styleaug.hosts.inner import Stages, inner
from styleaug.stages.base import call_of

try:
    from kornia.augmentation import IntensityAugmentationBase2D
except ImportError as error:
    raise MissingExtraError("kornia", "kornia") from error


class StyleAugment(IntensityAugmentationBase2D):
    """Restyle and relight images at random; see :class:`styleaug.StyleAugment`.

    Masks, boxes and keypoints come back unchanged. Images carry no gradient, and ``torch.compile``
    skips the transform.

    Args:
        stages: name of a preset, stages, a :class:`styleaug.StyleAugment`, or its ``to_dict()``.
        schedule: factors on amounts over the progress of :meth:`set_progress`; by default that of
            ``stages``.
        callback: called with the plan of each batch, after kornia has chosen the images.
        p: probability that an image is changed at all; by default that of ``stages``.
        p_batch: probability that a batch is changed at all.
        same_on_batch: whether to draw once for the whole batch.
        keepdim: whether to return (C, H, W) and (H, W) as such, not as batches of one.

    Shape:
        (B, C, H, W), (C, H, W) or (H, W), floating point, C = 1 or 3; clamped to [0, 1].

    Raises:
        ValueError: if an argument is out of bounds, a stage is unknown, or ``protect`` is set:
            kornia passes no masks.

    Examples:
        >>> from kornia.augmentation import AugmentationSequential, RandomHorizontalFlip
        >>> import torch
        >>> augment = AugmentationSequential(RandomHorizontalFlip(), StyleAugment("mild", p=1.0))
        >>> augment(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self,
        stages: Stages = "default",
        *,
        schedule: Points | str | None = None,
        callback: Callback | None = None,
        p: float | None = None,
        p_batch: float = 1.0,
        same_on_batch: bool = False,
        keepdim: bool = False,
    ) -> None:
        augment, p = inner(stages, p=p, schedule=schedule, callback=callback)
        if augment.protect:
            raise ValueError(
                f"protect must be 0 here, for kornia hands no masks to an intensity augmentation, "
                f"but is {augment.protect}. Use styleaug.StyleAugment."
            )
        super().__init__(p=p, p_batch=p_batch, same_on_batch=same_on_batch, keepdim=keepdim)
        self.callback, augment.callback = augment.callback, None
        self._augment = augment

    def set_progress(self, progress: float) -> None:
        """Set the training progress, see :meth:`styleaug.StyleAugment.set_progress`."""
        self._augment.set_progress(progress)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch's
    def forward_parameters(self, batch_shape: tuple[int, ...]) -> dict[str, Tensor]:
        """Choose images, then draw a plan: its tensors, one row an image, by ``"Stage.field"``."""
        chosen: dict[str, Tensor] = super().forward_parameters(batch_shape)
        count = batch_shape[0]
        if self.same_on_batch:
            plan = self._augment.draw(min(1, count)).spread(count)
        else:
            plan = self._augment.draw(count)
        plan = plan.only(_gate(chosen))
        if self.callback is not None:
            self.callback(plan)
        return {**plan.tensors(), **chosen}

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch's
    def apply_transform(
        self,
        input: Tensor,
        params: dict[str, Tensor],
        flags: dict[str, Any],
        transform: Tensor | None = None,
    ) -> Tensor:
        """Apply the plan to the images that kornia has chosen."""
        tensors = {name: value.cpu() for name, value in params.items() if "." in name}
        plan = Plan.from_tensors(tensors).only(_gate(params))
        return self._augment.render(input.clamp(0, 1), plan)

    def __repr__(self) -> str:
        own = ("p", "p_batch", "same_on_batch", "keepdim")
        settings = {
            "stages": self._augment.preset or self._augment.stages,
            "schedule": self._augment.schedule,
            "callback": self.callback,
            **{name: getattr(self, name) for name in own},
        }
        return call_of(self, settings)


def _gate(params: dict[str, Tensor]) -> Tensor:
    """Which images kornia changes (B,), bool."""
    return params["batch_prob"].cpu().reshape(-1) > 0.5
