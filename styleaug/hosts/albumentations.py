"""``StyleAugment`` for Albumentations: 2.0.8, the last of its line, and AlbumentationsX alike."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from styleaug import transform
from styleaug.errors import MissingExtraError, warn
from styleaug.images.checks import check_fraction
from styleaug.plan import StylePlan
from styleaug.protect import box_mask, keep_map
from styleaug.render import WORKING_SIZE

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

    Masks, boxes and keypoints come back as they are. ``images`` and the slices of volumes share one
    style, as all targets of a call do.

    Args:
        styles: ``"all"``, or tags, names, or paths of reference images or of folders of them.
        mix: upper bound of the share of a second random style that is mixed in, in [0, 1].
        jitter: Gaussian noise on style codes, in their standard deviations over the pack.
        stage_p: probability of each of the stages material, blur and grain for an image that
            ``p`` lets through; the lamp changes on all of these. Where two or three of the stages
            meet, their amounts are divided by the root of their number.
        strength: range (lo, hi) of the strength of the material, or a number.
        texture: range of the share of the style's texture; 0 changes colour and tone only.
        light: range of the strength of the lamp.
        blur: range of the amount of blur.
        grain: range of the amount of noise.
        protect: how much strength of the material is taken away inside the masks and boxes of the
            sample, in [0, 1].
        working_size: short side, in pixels, above which the network runs on a smaller copy.
        pack: name or path of a style pack.
        channel_order: of the images' colours: ``"rgb"``, or ``"bgr"`` as OpenCV reads them.
        schedule: how settings grow or shrink with :meth:`set_progress`; or ``"gradual"``.
        record: a file to which a line of JSON is added for each image.
        p: probability that a sample is changed at all.

    Targets:
        image, images, volume, volumes

    Shape:
        (H, W), (H, W, 1) and (H, W, 3), or stacks of them, uint8 or float in [0, 1]. Of two
        channels the first is the image, of four or more the first three; the others, such as alpha,
        depth or infrared, come back as they are.

    Raises:
        ValueError: if an argument is out of bounds or a style unknown; at call, if values are out
            of [0, 1].
        TypeError: at call, if an image is not a NumPy array of uint8 or floating point.

    Examples:
        >>> image = np.zeros((40, 60, 3), np.uint8)
        >>> A.Compose([A.HorizontalFlip(), StyleAugment(p=1)])(image=image)["image"].shape
        (40, 60, 3)
    """

    class InitSchema(BaseTransformInitSchema):
        """What may be given; ranges and names are checked where they are used."""

        styles: str | Path | list[str | Path]
        mix: float
        jitter: float
        stage_p: float
        strength: float | tuple[float, float]
        texture: float | tuple[float, float]
        light: float | tuple[float, float]
        blur: float | tuple[float, float]
        grain: float | tuple[float, float]
        protect: float
        working_size: int
        pack: str | Path
        channel_order: Literal["rgb", "bgr"]
        schedule: dict[str, list[tuple[float, float]]] | str | None
        record: str | Path | None

    def __init__(
        self,
        styles: str | Path | list[str | Path] = "all",
        mix: float = 0.5,
        jitter: float = 0.0,
        stage_p: float = 0.6,
        strength: float | tuple[float, float] = (0.3, 1.0),
        texture: float | tuple[float, float] = (0.0, 1.0),
        light: float | tuple[float, float] = (0.2, 1.0),
        blur: float | tuple[float, float] = (0.0, 1.0),
        grain: float | tuple[float, float] = (0.0, 0.3),
        protect: float = 0.0,
        working_size: int = WORKING_SIZE,
        pack: str | Path = "base",
        channel_order: Literal["rgb", "bgr"] = "rgb",
        schedule: dict[str, list[tuple[float, float]]] | str | None = None,
        record: str | Path | None = None,
        p: float = 0.7,
    ) -> None:
        super().__init__(p=p)
        # what is stored under an argument's name goes to JSON and YAML, which know no paths
        self.styles = [str(s) for s in styles] if isinstance(styles, list) else str(styles)
        if "batch" in styles if isinstance(styles, list) else styles == "batch":
            raise ValueError(
                "styles='batch' needs batches, but Albumentations gives single samples. Use "
                "styleaug.StyleAugment or styleaug.hosts.loader.StyledLoader on the batch."
            )
        self.mix, self.jitter, self.stage_p = mix, jitter, stage_p
        self.strength, self.texture, self.light = strength, texture, light
        self.blur, self.grain = blur, grain
        self.protect = check_fraction("protect", protect)
        self.working_size, self.pack = working_size, str(pack)
        self.channel_order = channel_order
        self.schedule = schedule
        self._further: dict[str, str] = {}
        self.record = None if record is None else str(record)
        self._augment = transform.StyleAugment(
            self.styles,
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
            pack=self.pack,
            schedule=schedule,
            record=self.record,
        )

    def set_progress(self, progress: float) -> None:
        """Tell how far training has come; see :meth:`styleaug.StyleAugment.set_progress`."""
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
        """What replays are made of: the plan, as JSON takes it, and the protected area."""
        generator = torch.Generator().manual_seed(source.getrandbits(63))
        plan = self._augment.draw(1, generator)
        marked = self._marked(params, data) if self.protect else None
        packed = None
        if marked is not None:
            packed = {"shape": marked.shape[-2:], "bits": np.packbits(marked.numpy())}
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
        if isinstance(images, torch.Tensor) or any(isinstance(x, torch.Tensor) for x in images):
            raise TypeError(
                "StyleAugment must get NumPy arrays (H, W, C), but got a torch tensor. Place it "
                "before ToTensorV2."
            )
        stack = np.ascontiguousarray(images)
        if not stack.flags.writeable:  # torch warns of wrapping what it must not write to
            stack = stack.copy()
        x = torch.from_numpy(stack)
        x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2)
        one = StylePlan.from_dict(plan)
        keep = None if marked is None else self._keep(marked, x.shape[-2:])
        out = torch.cat([self._render(part, one, keep) for part in torch.split(x, _BATCH)])
        out = out[:, 0] if stack.ndim == 3 else out.permute(0, 2, 3, 1)
        return np.ascontiguousarray(out.numpy())

    def _render(self, x: Tensor, one: StylePlan, keep: Tensor | None) -> Tensor:
        """Restyle (N, C, H, W) by a plan of one row."""
        count = 3 if x.shape[1] >= 3 else 1
        colours, others = x[:, :count], x[:, count:]
        if self.channel_order == "bgr":
            colours = colours.flip(1)
        keep = None if keep is None else keep.expand(len(x), -1, -1, -1)
        out = self._augment.render(colours, one.select([0] * len(x)), keep=keep)
        if self.channel_order == "bgr":
            out = out.flip(1)
        return torch.cat([out, others], dim=1)

    def _keep(self, marked: Mapping[str, Any], shape: torch.Size) -> Tensor:
        height, width = marked["shape"]
        if shape != (height, width):
            raise ValueError(
                f"A replay with protect needs images of the recorded size {(height, width)}, but "
                f"got {tuple(shape)}."
            )
        bits = np.unpackbits(marked["bits"], count=height * width)
        return keep_map(torch.from_numpy(bits).reshape(1, 1, height, width), self.protect)


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
