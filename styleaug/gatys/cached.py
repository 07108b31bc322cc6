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
from styleaug.images.checks import (
    check_bits,
    check_fraction,
    check_image_tensor,
    check_path,
    check_range,
)
from styleaug.images.color import luma, to_dtype, to_float, to_rgb
from styleaug.images.io import image_like, read_picture, to_tensor
from styleaug.manifest import LINES, Manifest
from styleaug.stages.params import Range
from styleaug.stages.restyle import Change
from styleaug.stages.sample import notice_untouched

PIXELS = "pixels"
"""Of what is drawn, the name of :func:`digest_pixels` of a picture's source."""

_PATIENCE = 20


def digest_pixels(image: Tensor) -> str:
    """What tells an image (C, H, W), uint8: equal for equal pixels, gray or the same as RGB."""
    rgb = to_rgb(image).permute(1, 2, 0).contiguous().cpu().numpy()
    return hashlib.sha256(str(rgb.shape).encode() + rgb.tobytes()).hexdigest()[:32]


class CachedStylization(v2.Transform):
    """Replace images by the restylings that ``styleaug gatys`` wrote for them.

    Images are recognized by their pixels, so this transform comes first, before anything that
    crops, flips or resizes. Unknown images pass unchanged. As in :class:`~styleaug.StyleAugment`,
    the texture is scaled down if it would hide what stands out in the image.

    Args:
        folder: output of ``styleaug gatys --out``, or a folder of such folders, one per style.
        p: probability that an image is replaced.
        strength: range of the blend between the image and its restyling, in [0, 1].
        texture: range of the share of the new texture, in [0, 1]; 0 changes only colour and tone.
        bits: bit depth of 16-bit images, from 9 to 16; by default 16.

    Raises:
        ValueError: if an argument is out of bounds, or the folder lists no restylings; at call, if
            an image is not (C, H, W), or not on the CPU.
        OSError: at call, if a restyling cannot be read.

    Shape:
        (C, H, W), uint8, uint16 or float in [0, 1], C = 1 or 3, plain or ``tv_tensors.Image``; PIL
        images of mode L or RGB, or of 16 bits. Type, dtype and size stay; boxes and masks come back
        unchanged.
    """

    _transformed_types = (v2.functional.is_pure_tensor, tv_tensors.Image, Image.Image)

    def __init__(
        self,
        folder: str | Path,
        *,
        p: float = 0.3,
        strength: Range = (0.3, 1.0),
        texture: Range = (0.0, 1.0),
        bits: int | None = None,
    ) -> None:
        super().__init__()
        self.folder, self.p = folder, check_fraction("p", p)
        self.bits = check_bits(bits)
        self.strength = check_range("strength", strength, 0, 1)
        self.texture = check_range("texture", texture, 0, 1)
        self._files = _read(check_path("folder", folder))
        self._unknown: int | None = 0  # images looked up, if all were; None once one was known

    def forward(self, *inputs: Any) -> Any:
        """Replace the images of a sample."""
        notice_untouched(self, inputs)
        return super().forward(*inputs)

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
            if inpt.mode not in ("L", "RGB", "I;16", "I"):
                return inpt
            out = self._replaced(to_tensor(inpt), params)
            return inpt if out is None else image_like(out, inpt)
        image = inpt.as_subclass(Tensor)
        check_image_tensor(image, bits=self.bits)
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
        seen = image
        if image.dtype != torch.uint8:
            seen = to_dtype(to_float(image, self.bits), torch.uint8)
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
        restyled = read_picture(files[int(params["number"] * len(files))], bits=self.bits)
        if restyled.shape[-2:] != image.shape[-2:]:
            raise ValueError(
                f"A restyling must be as large as its image, {tuple(image.shape[-2:])}, but is "
                f"{tuple(restyled.shape[-2:])}: {self.folder} has been changed. Make it anew."
            )
        x = to_rgb(to_float(image, self.bits))[None]
        amounts = torch.tensor([params["strength"]]), torch.tensor([params["texture"]])
        out = Change.between(x, to_rgb(to_float(restyled, self.bits))[None]).added_to(x, *amounts)[
            0
        ]
        out = luma(out.clamp(0, 1)) if image.shape[0] == 1 else out
        return to_dtype(out, image.dtype, self.bits)

    def extra_repr(self) -> str:
        """The call that builds this transform."""
        settings = f"{str(self.folder)!r}, p={self.p}, strength={self.strength}"
        return f"{settings}, texture={self.texture}" + (f", bits={self.bits}" if self.bits else "")


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
