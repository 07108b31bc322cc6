"""``ImageTransform``: finds the images of a sample, and puts them back as they came."""

from __future__ import annotations

from abc import abstractmethod
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from styleaug.images.checks import check_image_tensor
from styleaug.images.io import image_like, pixels_of
from styleaug.runtime import prepare_process

if TYPE_CHECKING:
    from typing_extensions import Self

IMAGES = (tv_tensors.Image, tv_tensors.Video, Image.Image)
LABELS = (tv_tensors.BoundingBoxes, tv_tensors.Mask)


class Drawn(Protocol):
    """What was drawn for some images: the parameters of a stage, or a plan."""

    def spread(self, count: int, frames: int) -> Self:
        """The same for ``count`` images, or clips of ``frames`` frames each."""
        ...


class ImageTransform(v2.Transform):
    """Base of torchvision transforms that draw for each image of a batch, and then change it.

    Tensors ``(..., C, H, W)`` of any leading dimensions, ``tv_tensors``, PIL images; a video draws
    once for all its frames. Type, mode, dtype, device, memory format and size stay; everything else
    in a sample comes back as the same object.
    """

    _transformed_types: tuple[Any, ...] = (v2.functional.is_pure_tensor, *IMAGES)

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator | None = None) -> Drawn:
        """Draw for ``count`` images."""

    @abstractmethod
    def render(self, images: Tensor, drawn: Any, *, strength_mask: Tensor | None = None) -> Tensor:
        """Apply what was drawn to a batch (B, C, H, W)."""

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch's
    def forward(self, *inputs: Any) -> Any:
        """Draw for a sample and apply it; ``torch.compile`` of a model around it leaves it out."""
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
