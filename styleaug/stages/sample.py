"""``ImageTransform``: finds the images of a sample, and puts them back as they came."""

from __future__ import annotations

from abc import abstractmethod
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torchvision import tv_tensors
from torchvision.transforms import v2

from styleaug.errors import warn
from styleaug.images.checks import check_image_tensor
from styleaug.images.io import image_like, pixels_of
from styleaug.runtime import prepare_process

if TYPE_CHECKING:
    from typing_extensions import Self

_DARK = (1023, 4095)
"""White of 10 and of 12 bits. 14 bits reach a quarter of 16, as dark images do, too."""
_PATIENCE = 20
"""Images to see before it is said that none of them is bright: a single one may be dark."""

IMAGES = (tv_tensors.Image, tv_tensors.Video, Image.Image)
LABELS = (tv_tensors.BoundingBoxes, tv_tensors.Mask)


class Drawn(Protocol):
    """What was drawn for some images: the parameters of a stage, or a plan."""

    def spread(self, count: int, frames: int) -> Self:
        """The same for ``count`` images, or clips of ``frames`` frames each."""
        ...


class Bits:
    """How many bits the values of the uint16 images seen so far have."""

    def __init__(self) -> None:
        self._images = self._highest = 0

    def see(self, images: Tensor) -> None:
        """Look at images (B, C, H, W) on the CPU; warn once if 20 have 10 or 12 bits at most."""
        if self._highest > _DARK[-1] or self._images >= _PATIENCE:
            return
        self._images += len(images)
        self._highest = max(self._highest, int(images.numpy().max(initial=0)))
        if self._images < _PATIENCE or not 255 < self._highest <= _DARK[-1]:
            return
        white = next(white for white in _DARK if self._highest <= white)
        bits = white.bit_length()
        warn(
            f"None of {self._images} uint16 images has a value above {white}, so they look like "
            f"{bits} bits and are taken for nearly black: give bits={bits}, as in "
            f"StyleAugment(..., bits={bits})."
        )


class ImageTransform(v2.Transform):
    """Base of torchvision transforms that draw for each image of a batch, and then change it.

    Tensors ``(..., C, H, W)`` of any leading dimensions, ``tv_tensors``, PIL images; a video draws
    once for all its frames. Type, mode, dtype, device, memory format and size stay; everything else
    in a sample comes back as the same object.
    """

    _transformed_types: tuple[Any, ...] = (v2.functional.is_pure_tensor, *IMAGES)

    bits: int | None = None
    """Those that uint16 images have; None: all 16."""

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator | None = None) -> Drawn:
        """Draw for ``count`` images."""

    @abstractmethod
    def render(self, images: Tensor, drawn: Any, *, strength_mask: Tensor | None = None) -> Tensor:
        """Apply what was drawn to a batch (B, C, H, W)."""

    def notice_bits(self, images: Tensor) -> None:
        """Warn, once, where uint16 images look as if they had fewer bits than they are taken to."""
        if self.bits is None and images.dtype == torch.uint16 and images.device.type == "cpu":
            watch: Bits = self.__dict__.setdefault("_bits_seen", Bits())
            watch.see(images)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch's
    def forward(self, *inputs: Any) -> Any:
        """Draw for a sample and apply it; ``torch.compile`` of a model around it leaves it out."""
        notice_untouched(self, inputs)
        return super().forward(*inputs)

    def make_params(
        self, flat_inputs: list[Any], generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Draw for a sample; its images share what is drawn, row by row.

        Args:
            flat_inputs: the images of the sample, and what else :meth:`transform` gets.
            generator: a CPU generator; torch's global one if not given.
        """
        return {"drawn": self.draw(count_images(flat_inputs), generator), "masks": {}}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Apply what was drawn to one image, batch or video."""
        if isinstance(inpt, Image.Image):
            return self._transform_pil(inpt, params)
        x = inpt.as_subclass(Tensor)
        out = self._transform_tensor(x, measure(inpt)[0], params)
        if isinstance(inpt, tv_tensors.TVTensor):
            return tv_tensors.wrap(out, like=inpt)
        return out

    def _transform_tensor(self, x: Tensor, count: int, params: dict[str, Any]) -> Tensor:
        """Change ``count`` images, or clips of several frames each: (..., C, H, W)."""
        frames = x.reshape(-1, *x.shape[-3:])
        repeats = len(frames) // max(1, count)
        masks, size = params["masks"], x.shape[-2:]
        mask = masks.get((count, *size), masks.get((1, *size)))
        if mask is not None:
            mask = mask.expand(count, -1, -1, -1).repeat_interleave(repeats, 0)
        drawn = params["drawn"].spread(count, repeats)
        return self.render(frames, drawn, strength_mask=mask).reshape(x.shape)

    def _transform_pil(self, image: Image.Image, params: dict[str, Any]) -> Image.Image:
        """One PIL image: gray modes as gray, others as RGB, alpha kept; back to the same mode."""
        tensor = pixels_of(image)
        out = self._transform_tensor(tensor, 1, params)
        return image.copy() if torch.equal(out, tensor) else image_like(out, image)


def notice_untouched(transform: v2.Transform, inputs: tuple[Any, ...]) -> None:
    """Warn, once a transform, of a sample in which nothing is an image."""
    if "_told_untouched" in vars(transform):
        return
    leaves = tree_leaves(inputs)
    if any(isinstance(leaf, IMAGES) or v2.functional.is_pure_tensor(leaf) for leaf in leaves):
        return
    transform._told_untouched = True
    kinds = sorted(
        {type(leaf).__module__.partition(".")[0] + "." + type(leaf).__name__ for leaf in leaves}
    )
    advice = ""
    if any(isinstance(leaf, np.ndarray) for leaf in leaves):
        advice = (
            " For NumPy arrays take styleaug.albumentations.StyleAugment, or "
            "torch.from_numpy(image).permute(2, 0, 1)."
        )
    warn(
        f"{type(transform).__name__} changes nothing: a sample must hold a torch.Tensor, a PIL "
        f"image or an image of torchvision.tv_tensors, but holds "
        f"{', '.join(kinds).replace('builtins.', '') or 'nothing'}.{advice}"
    )


def measure(image: Any) -> tuple[int, tuple[int, int]]:
    """How many draws an image, batch or video takes (one an image, one a clip), and its size.

    Raises:
        TypeError: if it is no image by its dtype.
        ValueError: if it is no image by its shape or values.
    """
    if isinstance(image, Image.Image):
        return 1, (image.height, image.width)
    prepare_process(torch.device("cpu"))  # the check of values uses threads, before a draw
    check_image_tensor(image.as_subclass(Tensor))
    leading = image.shape[:-4] if isinstance(image, tv_tensors.Video) else image.shape[:-3]
    return prod(leading), (image.shape[-2], image.shape[-1])


def count_images(images: list[Any]) -> int:
    """How many rows the images of a sample need: those of the largest batch."""
    return max((measure(image)[0] for image in images), default=0)
