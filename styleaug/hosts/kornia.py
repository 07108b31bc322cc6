"""``StyleAugment`` for kornia: an item of ``AugmentationSequential``."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from torch import Tensor

from styleaug import transform
from styleaug.errors import MissingExtraError
from styleaug.pack import StylePack
from styleaug.plan import Range, StylePlan, Styles
from styleaug.render import WORKING_SIZE
from styleaug.schedule import Points

try:
    from kornia.augmentation import IntensityAugmentationBase2D
except ImportError as error:
    raise MissingExtraError("kornia", "kornia") from error

_TENSORS = [field.name for field in fields(StylePlan) if field.name != "styles"]


class StyleAugment(IntensityAugmentationBase2D):
    """Restyle and relight images at random; see :class:`styleaug.StyleAugment`.

    Masks, boxes and keypoints come back as they are. No gradient flows back to the images, and
    ``torch.compile`` does not look into it.

    Args:
        styles: see :class:`styleaug.StyleAugment`.
        mix: the same.
        jitter: the same.
        stage_p: the same.
        strength: the same.
        texture: the same.
        light: the same.
        blur: the same.
        grain: the same.
        working_size: the same.
        pack: the same.
        schedule: the same.
        record: the same.
        p: probability that an image is changed at all.
        p_batch: probability that a batch is changed at all.
        same_on_batch: draw once for the whole batch.
        keepdim: give (C, H, W) and (H, W) back as such, not as batches of one.

    Shape:
        (B, C, H, W), (C, H, W) or (H, W), floating point, C = 1 or 3; clamped to [0, 1].

    Examples:
        >>> from kornia.augmentation import AugmentationSequential, RandomHorizontalFlip
        >>> import torch
        >>> augment = AugmentationSequential(RandomHorizontalFlip(), StyleAugment(p=1.0))
        >>> augment(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self,
        styles: Styles = "all",
        *,
        mix: float = 0.5,
        jitter: float = 0.0,
        stage_p: float = 0.6,
        strength: Range = (0.3, 1.0),
        texture: Range = (0.0, 1.0),
        light: Range = (0.2, 1.0),
        blur: Range = (0.0, 1.0),
        grain: Range = (0.0, 0.3),
        working_size: int = WORKING_SIZE,
        pack: str | StylePack = "base",
        schedule: Points | str | None = None,
        record: transform.Record | None = None,
        p: float = 0.7,
        p_batch: float = 1.0,
        same_on_batch: bool = False,
        keepdim: bool = False,
    ) -> None:
        super().__init__(p=p, p_batch=p_batch, same_on_batch=same_on_batch, keepdim=keepdim)
        self._augment = transform.StyleAugment(
            styles,
            mix=mix,
            jitter=jitter,
            p=1.0,
            stage_p=stage_p,
            strength=strength,
            texture=texture,
            light=light,
            blur=blur,
            grain=grain,
            working_size=working_size,
            pack=pack,
            schedule=schedule,
            record=record,
        )

    def set_progress(self, progress: float) -> None:
        """Tell how far training has come; see :meth:`styleaug.StyleAugment.set_progress`."""
        self._augment.set_progress(progress)

    def generate_parameters(self, batch_shape: tuple[int, ...]) -> dict[str, Tensor]:
        """Draw a plan for a batch; its tensors, one row an image, are kornia's parameters."""
        if self.same_on_batch:
            plan = self._augment.draw(min(1, batch_shape[0])).select([0] * batch_shape[0])
        else:
            plan = self._augment.draw(batch_shape[0])
        return {name: getattr(plan, name) for name in _TENSORS}

    def apply_transform(
        self,
        input: Tensor,
        params: dict[str, Tensor],
        flags: dict[str, Any],
        transform: Tensor | None = None,
    ) -> Tensor:
        """Apply the plan to the images that kornia's coin lets through."""
        tensors = {name: params[name].cpu() for name in _TENSORS}
        plan = StylePlan(**tensors, styles=("",) * len(input))
        chosen = params["batch_prob"].cpu().reshape(-1) > 0.5
        return self._augment.render(input.clamp(0, 1), plan.only(chosen))

    def __repr__(self) -> str:
        settings = [
            f"{name}={getattr(self._augment, name)!r}"
            for name in transform.DEFAULTS
            if name not in ("p", "protect")
        ]
        own = [f"{n}={getattr(self, n)!r}" for n in ("p", "p_batch", "same_on_batch", "keepdim")]
        return f"StyleAugment({', '.join(settings + own)})"
