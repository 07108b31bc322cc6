"""``StyleAugment`` for Albumentations: 2.0.8, the last of its line, and AlbumentationsX alike."""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from styleaug.augment.log import JsonLines
from styleaug.augment.plan import Plan
from styleaug.augment.schedule import Points
from styleaug.errors import MissingExtraError, warn
from styleaug.hosts.inner import Stages, inner
from styleaug.stages.protect import box_mask, strength_mask
from styleaug.stages.restyle import Restyle

try:
    import albumentations as A
    from albumentations.core.transforms_interface import BaseTransformInitSchema
except ImportError as error:
    raise MissingExtraError("albumentations", "albumentations") from error

_SAMPLES = hasattr(A.BasicTransform, "sample_parameters")
"""AlbumentationsX asks a transform to draw by this method, and refuses the earlier one."""

_BATCH = 32
"""Images of a stack or slices of a volume that are rendered at a time: it bounds the memory."""


class StyleAugment(A.ImageOnlyTransform):
    """Restyle and relight images at random; see :class:`styleaug.StyleAugment`.

    Masks, boxes and keypoints come back unchanged. All targets of a call share one draw, including
    ``images`` and the slices of volumes.

    Args:
        stages: name of a preset, stages, a :class:`styleaug.StyleAugment` (its callback is
            dropped), or its ``to_dict()``. Stages are stored as ``to_dict()``.
        protect: share of the new material that is removed inside masks and boxes of the sample, in
            [0, 1]. By default, like ``p`` and ``schedule``, that of ``stages``.
        channel_order: order of the colour channels: ``"rgb"``, or ``"bgr"`` as in OpenCV.
        schedule: factors on amounts over the progress of :meth:`set_progress`.
        log: file to which a JSON line is appended for each changed sample.
        p: probability that a sample is changed at all.
        bits: bit depth of uint16 images, from 9 to 16; by default that of ``stages``, or 16.

    Targets:
        image, images, volume, volumes

    Shape:
        (H, W), (H, W, 1) and (H, W, 3), or stacks of them, uint8, uint16 or float in [0, 1]. With
        two channels, the first is the image; with four or more, the first three. Others, such as
        alpha, depth or infrared, come back unchanged.

    Raises:
        ValueError: if an argument is out of bounds, a style is unknown, or a pack has no file; at
            call, if values are outside [0, 1].
        TypeError: at call, if an image is no NumPy array of uint8, uint16 or floating point.

    Examples:
        >>> image = np.zeros((40, 60, 3), np.uint8)
        >>> compose = A.Compose([A.HorizontalFlip(), StyleAugment("mild", p=1)])
        >>> compose(image=image)["image"].shape
        (40, 60, 3)
    """

    class InitSchema(BaseTransformInitSchema):
        """What may be given; ranges and names are checked where they are used."""

        stages: Any
        protect: float | None
        channel_order: Literal["rgb", "bgr"]
        schedule: dict[str, list[tuple[float, float]]] | str | None
        log: str | Path | None
        p: float | None
        bits: int | None

        def model_dump(self, **options: Any) -> dict[str, Any]:
            """All values as they were given: a preset is no dict."""
            return dict(self)

    def __init__(
        self,
        stages: Stages = "default",
        protect: float | None = None,
        channel_order: Literal["rgb", "bgr"] = "rgb",
        schedule: Points | str | None = None,
        log: str | Path | None = None,
        p: float | None = None,
        bits: int | None = None,
    ) -> None:
        callback = None if log is None else JsonLines(log)
        self._augment, p = inner(stages, p=p, schedule=schedule, protect=protect, bits=bits)
        self._augment.callback = callback
        super().__init__(p=p)
        if any(isinstance(s, Restyle) and s.styles == "batch" for s in self._augment.stages):
            raise ValueError(
                "styles='batch' needs batches, but Albumentations gives single samples. Use "
                "styleaug.StyleAugment or styleaug.hosts.loader.StyledLoader on the batch."
            )
        # what is stored under an argument's name goes to JSON and YAML, which know no objects
        settings = self._augment.to_dict()
        self.stages = stages if isinstance(stages, str) else settings["stages"]
        self.protect, self.schedule = settings["protect"], settings["schedule"]
        self.bits, self.channel_order = self._augment.bits, channel_order
        self.log = None if log is None else str(log)
        self._further: dict[str, str] = {}

    def set_progress(self, progress: float) -> None:
        """Set the training progress, see :meth:`styleaug.StyleAugment.set_progress`."""
        self._augment.set_progress(progress)

    if _SAMPLES:

        def sample_parameters(
            self, params: dict[str, Any], data: dict[str, Any], targets: Any, sampling: Any
        ) -> Any:
            """Draw a plan, from the generator of this call."""
            return A.SampledParams(params=self._draw(params, data, sampling.py_random))

    else:

        def get_params_dependent_on_data(
            self, params: dict[str, Any], data: dict[str, Any]
        ) -> dict[str, Any]:
            """Draw a plan, from this transform's generator."""
            return self._draw(params, data, self.py_random)

    def _draw(
        self, params: Mapping[str, Any], data: Mapping[str, Any], source: random.Random
    ) -> dict[str, Any]:
        """What replays are made of, as JSON takes it: the plan, and the protected area."""
        generator = torch.Generator().manual_seed(source.getrandbits(63))
        plan = self._augment.draw(1, generator)
        marked = self._marked(params, data) if self.protect else None
        packed = None
        if marked is not None:
            bits = b64encode(np.packbits(marked.numpy()).tobytes()).decode()
            packed = {"shape": list(marked.shape[-2:]), "bits": bits}
        return {"plan": plan.to_dict(), "marked": packed}

    def add_targets(self, additional_targets: dict[str, str]) -> None:
        """Remember masks and boxes under further names, which ``protect`` reads."""
        super().add_targets(additional_targets)
        self._further = {**self._further, **additional_targets}

    def _marked(self, params: Mapping[str, Any], data: Mapping[str, Any]) -> Tensor | None:
        """Where the sample's masks and boxes mark defects: (1, 1, H, W), bool."""
        height, width = params["shape"][:2]
        found: Tensor | None = None
        for key, value in data.items():
            target = self._further.get(key, key)
            if value is None or target not in ("mask", "masks", "bboxes"):
                continue
            if target == "bboxes":
                boxes = np.asarray(value, dtype=np.float64)
                marked = box_mask(_corners(boxes, height, width, params), height, width)
            else:
                masks = [value] if target == "mask" else list(value)
                marked = torch.zeros(1, 1, height, width, dtype=torch.bool)
                for mask in masks:
                    if mask.shape[:2] != (height, width):
                        raise ValueError(
                            f"protect needs masks of the image's size {(height, width)}, but "
                            f"{key!r} has the shape {mask.shape}."
                        )
                    if not np.isfinite(mask).all():
                        raise ValueError(
                            f"protect needs masks of finite numbers, but {key!r} has NaN or "
                            "infinite ones."
                        )
                    marked |= torch.from_numpy(mask.reshape(height, width, -1).any(-1))
            found = marked if found is None else found | marked
        if found is None:
            warn("protect has no effect: the sample holds no masks or bboxes.")
        return found

    def apply(self, img: np.ndarray, *, plan: Any, marked: Any = None, **params: Any) -> np.ndarray:
        """Restyle one image (H, W) or (H, W, C)."""
        restyled: np.ndarray = self.apply_to_images(img[None], plan=plan, marked=marked)[0]
        return restyled

    def apply_to_images(
        self, images: Any, *args: Any, plan: Any, marked: Any = None, **params: Any
    ) -> np.ndarray:
        """Restyle a stack of images, or the slices of a volume, alike: (N, H, W[, C])."""
        if isinstance(images, Tensor) or any(isinstance(x, Tensor) for x in images):
            raise TypeError(
                "StyleAugment must get NumPy arrays (H, W, C), but got a torch tensor. Place it "
                "before ToTensorV2."
            )
        out = np.array(images, order="C")
        colours = out[..., None] if out.ndim == 3 else out
        colours = colours[..., : 3 if colours.shape[-1] >= 3 else 1]
        if self.channel_order == "bgr":
            colours = colours[..., ::-1]
        drawn = Plan.from_dict(plan)
        mask = None if marked is None else self._strength_mask(marked, colours.shape[1:3])
        for start in range(0, len(out), _BATCH):
            part = colours[start : start + _BATCH]
            x = torch.from_numpy(np.ascontiguousarray(part)).permute(0, 3, 1, 2)
            masks = None if mask is None else mask.expand(len(x), -1, -1, -1)
            restyled = self._augment.render(x, drawn, strength_mask=masks)
            part[:] = restyled.permute(0, 2, 3, 1).numpy()
        return out

    def _strength_mask(self, marked: Mapping[str, Any], size: tuple[int, ...]) -> Tensor:
        height, width = marked["shape"]
        if size != (height, width):
            raise ValueError(
                f"A replay with protect needs images of the recorded size {(height, width)}, but "
                f"got {size}."
            )
        packed = np.frombuffer(b64decode(marked["bits"]), np.uint8)
        bits = np.unpackbits(packed, count=height * width)
        return strength_mask(torch.from_numpy(bits).reshape(1, 1, height, width), self.protect)


def _corners(boxes: np.ndarray, height: int, width: int, params: Mapping[str, Any]) -> Tensor:
    """Boxes of a Compose, relative to the image's size -> corners in pixels (N, 4).

    Rotated ones, which AlbumentationsX knows, become the upright boxes around them.
    """
    boxes = boxes.reshape(len(boxes), -1) if len(boxes) else np.zeros((0, 5))
    corners = boxes[:, :4] * [width, height, width, height]
    if len(corners) and (boxes[:, :4].min() < -0.5 or boxes[:, :4].max() > 1.5):
        raise ValueError(
            "protect needs bboxes that Compose has scaled to the image's size, but got "
            f"{boxes[0, :4].tolist()}. Put StyleAugment into A.Compose(..., bbox_params=...)."
        )
    if params.get("bbox_type") == "obb":
        middle = (corners[:, :2] + corners[:, 2:]) / 2
        sides = (corners[:, 2:] - corners[:, :2]) / 2
        angle = np.deg2rad(boxes[:, 4:5])
        half = sides * np.abs(np.cos(angle)) + sides[:, ::-1] * np.abs(np.sin(angle))
        corners = np.concatenate([middle - half, middle + half], axis=1)
    return torch.from_numpy(corners)
