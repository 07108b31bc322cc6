"""``CachedStylization``: restylings that ``styleaug gatys`` made before a model trains."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from styleaug.errors import warn
from styleaug.images.checks import check_fraction, check_image_tensor, check_range
from styleaug.images.color import luma, to_dtype, to_float, to_rgb
from styleaug.images.io import load_rgb, to_image, to_tensor
from styleaug.manifest import LINES, Manifest
from styleaug.stages.params import Range
from styleaug.stages.restyle import blend

PIXELS = "pixels"
"""Of what is drawn, the name of :func:`digest_pixels` of a picture's source."""

_PATIENCE = 20


def digest_pixels(image: Tensor) -> str:
    """What tells an image (C, H, W), uint8: equal for equal pixels, gray or the same as RGB."""
    rgb = to_rgb(image).permute(1, 2, 0).contiguous().cpu().numpy()
    return hashlib.sha256(str(rgb.shape).encode() + rgb.tobytes()).hexdigest()[:32]


class CachedStylization(v2.Transform):
    """Take over restylings from folders that ``styleaug gatys`` wrote, for the images they are of.

    An image is known by its pixels, so this transform comes first, before anything that crops,
    flips or resizes. What is unknown passes by. As in :class:`~styleaug.StyleAugment`, the texture
    is scaled down where it would drown what stands out in the image.

    Args:
        folder: what ``styleaug gatys --out`` wrote, or a folder of such folders: one a style.
        p: probability that an image is replaced.
        strength: range of the blend between the image and its restyling.
        texture: range of the share of the new texture; 0 changes colour and tone only.

    Raises:
        ValueError: if an argument is out of bounds, or the folder tells of no restylings; at call,
            if an image is not (C, H, W), or not on the CPU.
        OSError: at call, if a restyling cannot be read.

    Shape:
        (C, H, W), uint8 or float in [0, 1], C = 1 or 3, plain or ``tv_tensors.Image``; PIL images
        of mode L or RGB. Type, dtype and size stay; boxes and masks come back as they are.
    """

    _transformed_types = (v2.functional.is_pure_tensor, tv_tensors.Image, Image.Image)

    def __init__(
        self,
        folder: str | Path,
        *,
        p: float = 0.3,
        strength: Range = (0.3, 1.0),
        texture: Range = (0.0, 1.0),
    ) -> None:
        super().__init__()
        self.folder, self.p = folder, check_fraction("p", p)
        self.strength = check_range("strength", strength, 0, 1)
        self.texture = check_range("texture", texture, 0, 1)
        self._files = _read(Path(folder))
        self._unknown: int | None = 0  # images looked up, if all were; None once one was known

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw for the sample: its images share strength, texture, and the restyling's number."""

        def uniform(low: float, high: float) -> float:
            return low + (high - low) * torch.rand((), device="cpu").item()

        return {
            "taken": uniform(0, 1) < self.p,
            "number": uniform(0, 1),
            "strength": uniform(*self.strength),
            "texture": uniform(*self.texture),
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Replace one image, if it is known."""
        if isinstance(inpt, Image.Image):
            if inpt.mode not in ("L", "RGB"):
                return inpt
            out = self._replaced(to_tensor(inpt), params)
            return inpt if out is None else to_image(out)
        image = inpt.as_subclass(Tensor)
        check_image_tensor(image)
        if image.ndim != 3 or image.device.type != "cpu":
            raise ValueError(
                "CachedStylization needs one image (C, H, W) on the CPU, in a dataset's transform, "
                f"but got {tuple(image.shape)} on {image.device}."
            )
        out = self._replaced(image, params)
        if out is None:
            return inpt
        return tv_tensors.wrap(out, like=inpt) if isinstance(inpt, tv_tensors.TVTensor) else out

    def _replaced(self, image: Tensor, params: dict[str, Any]) -> Tensor | None:
        """The restyled image, or None where it stays."""
        if not params["taken"]:
            return None
        seen = image if image.dtype == torch.uint8 else to_dtype(to_float(image), torch.uint8)
        files = self._files.get(digest_pixels(seen), [])
        if self._unknown is not None:
            self._unknown = None if files else self._unknown + 1
            if self._unknown is not None and self._unknown == _PATIENCE:
                warn(
                    f"CachedStylization knows none of {_PATIENCE} images: it must come before "
                    f"all that changes pixels, and see them as Pillow reads the files that "
                    f"{self.folder} was made of."
                )
        if not files:
            return None
        restyled = to_tensor(load_rgb(files[int(params["number"] * len(files))]))
        if restyled.shape[-2:] != image.shape[-2:]:
            raise ValueError(
                f"A restyling must be as large as its image, {tuple(image.shape[-2:])}, but is "
                f"{tuple(restyled.shape[-2:])}: {self.folder} has been changed. Make it anew."
            )
        x = to_rgb(to_float(image))[None]
        amounts = torch.tensor([params["strength"]]), torch.tensor([params["texture"]])
        out = blend(x, to_float(restyled)[None], *amounts)[0]
        return to_dtype(luma(out.clamp(0, 1)) if image.shape[0] == 1 else out, image.dtype)

    def extra_repr(self) -> str:
        """The call that builds this transform."""
        return f"{str(self.folder)!r}, p={self.p}, strength={self.strength}, texture={self.texture}"


def _read(folder: Path) -> dict[str, list[Path]]:
    """The restylings of each known image."""
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob(LINES)):
        for entry in Manifest(path.parent).entries.values():
            if PIXELS in entry.drawn:  # stylize keeps a record, too
                files[str(entry.drawn[PIXELS])].append(path.parent / entry.output)
    if not files:
        raise ValueError(
            f"folder must hold what 'styleaug gatys --out' wrote, but no {LINES} in {folder} tells "
            "of any."
        )
    return dict(files)
