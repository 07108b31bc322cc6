"""``StyleAugment``: random materials, finishes, colours and lights as a torchvision v2 transform."""

from __future__ import annotations

import functools
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torchvision import tv_tensors
from torchvision.transforms import v2

from styleaug.checks import check_fraction, check_image_tensor
from styleaug.images import to_image, to_tensor
from styleaug.pack import StylePack
from styleaug.plan import Range, Styles, StylePlan, StyleSampler
from styleaug.render import WORKING_SIZE, render

_IMAGES = (tv_tensors.Image, tv_tensors.Video, Image.Image)
_LABELS = (tv_tensors.BoundingBoxes, tv_tensors.Mask)
_PROTECT_MARGIN = 8
"""Pixels around a protected defect over which strength comes back, so that no seam appears."""


class StyleAugment(v2.Transform):
    """Restyle and relight images at random: material texture, finish, colour, and lamp.

    Each image of a batch gets its own style; a video gets one. Labels, boxes and masks come back as
    the same objects. The work is done on the device where the images lie, without gradients.

    ``out = relight(x + strength * ((tone - x) + texture * (y - tone)))``, where y is the network's
    restyling of x, and tone its part that is a local affine map of x and so keeps every edge.

    Place it before ``Normalize``, in a dataset's transform or, quicker, on whole batches.

    Args:
        styles: ``"all"``, or tags, names, paths of reference images or of folders of them (one or
            several), or ``"batch"``, which takes styles from other images of the same batch.
        mix: upper bound of the share of a second random style that is mixed in, in [0, 1].
        jitter: Gaussian noise on style codes, in their standard deviations over the pack.
        p: probability that an image is restyled and, independently, that it is relit.
        strength: range (lo, hi) of the strength of the material, or a number; 0 keeps the image.
        texture: range of the share of the style's texture; 0 changes colour and tone only.
        light: range of the strength of the lamp; 0 keeps the light.
        protect: how much strength is taken away inside masks and boxes of the sample, in [0, 1];
            ``True`` stands for 1.
        working_size: short side, in pixels, above which the network runs on a smaller copy.
        pack: name or path of a style pack, or a pack.

    Raises:
        ValueError: if an argument is out of bounds or a style unknown; at call, if an image is not
            of the shape (..., C, H, W) with C = 1 or 3 and H, W >= 16, or its values are not in
            [0, 1].
        TypeError: at call, if an image is neither uint8 nor floating point.
        WeightsError: if the pack is missing or damaged.

    Shape:
        ``(..., C, H, W)`` uint8 or float tensors in [0, 1], plain or ``tv_tensors.Image`` and
        ``Video``; PIL images of any mode that converts to L or RGB. Type, dtype, device, memory
        format and size stay.

    Examples:
        >>> import torch
        >>> augment = StyleAugment(strength=0.5, texture=0.5)
        >>> augment(torch.rand(3, 32, 48)).shape
        torch.Size([3, 32, 48])
    """

    def __init__(
        self,
        styles: Styles = "all",
        *,
        mix: float = 0.5,
        jitter: float = 0.0,
        p: float = 0.5,
        strength: Range = (0.0, 1.0),
        texture: Range = (0.0, 1.0),
        light: Range = (0.0, 0.5),
        protect: float = 0.0,
        working_size: int = WORKING_SIZE,
        pack: str | StylePack = "base",
    ) -> None:
        super().__init__()
        self.styles = styles
        self.mix, self.jitter, self.p = mix, jitter, p
        self.strength, self.texture, self.light = strength, texture, light
        self.protect = check_fraction("protect", float(protect))
        if not isinstance(working_size, int) or working_size < 16:
            raise ValueError(f"working_size must be an integer >= 16, but got {working_size!r}.")
        self.working_size = working_size
        self._pack = pack if isinstance(pack, StylePack) else _load_pack(str(pack))
        self.pack = pack
        self._sampler: StyleSampler | None = self._make_sampler()

    def _make_sampler(self) -> StyleSampler:
        return StyleSampler(
            self._pack,
            self.styles,
            mix=self.mix,
            jitter=self.jitter,
            p=self.p,
            strength=self.strength,
            texture=self.texture,
            light=self.light,
        )

    @property
    def sampler(self) -> StyleSampler:
        """Draws this transform's plans."""
        if self._sampler is None:  # just unpickled
            self._sampler = self._make_sampler()
        return self._sampler

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out what the pack can rebuild: a pickled transform costs bytes."""
        return {**self.__dict__, "_sampler": None}

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw a plan for the sample; its images share it, row by row.

        Returns:
            ``plan``: a :class:`~styleaug.StylePlan`, and ``keep``: a strength map or ``None``.
        """
        images = [x for x in flat_inputs if not isinstance(x, _LABELS)]
        shapes = [_shape(image) for image in images]
        counts = [_count(image, shape) for image, shape in zip(images, shapes, strict=True)]
        keep = None
        if self.protect and images:
            labels = [x for x in flat_inputs if isinstance(x, _LABELS)]
            marked = _marked(labels, counts[0], shapes[0][-2:])
            keep = None if marked is None else 1 - self.protect * marked
        return {"plan": self.sampler.draw(max(counts, default=0)), "keep": keep}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Apply the plan to one image, batch or video; boxes and masks come back as they are."""
        if isinstance(inpt, _LABELS):
            return inpt
        plan, keep = params["plan"], params["keep"]
        if isinstance(inpt, Image.Image):
            return self._pil(inpt, plan, keep)
        x = inpt.as_subclass(torch.Tensor)
        count = _count(inpt, x.shape)
        frames = x.reshape(-1, *x.shape[-3:])
        repeats = len(frames) // count if count else 1
        rows = torch.arange(count).repeat_interleave(repeats)
        if keep is not None:
            fits = keep.shape[-2:] == x.shape[-2:] and len(keep) >= count
            keep = keep[rows.to(keep.device)] if fits else None
        out = render(
            frames,
            plan.select(rows.tolist()),
            self._pack,
            working_size=self.working_size,
            keep=keep,
        ).reshape(x.shape)
        if isinstance(inpt, tv_tensors.TVTensor):
            return tv_tensors.wrap(out, like=inpt)
        return out

    def _pil(self, image: Image.Image, plan: StylePlan, keep: Tensor | None) -> Image.Image:
        """One PIL image: gray modes as gray, others as RGB, alpha kept; back to the same mode."""
        alpha = image.getchannel("A") if "A" in image.getbands() else None
        gray = image.mode in ("1", "L", "LA", "I", "I;16", "F")
        if image.mode in ("I", "I;16", "F"):
            raise TypeError(
                f"PIL images must have 8 bits a channel, but got mode {image.mode!r}. Scale it to "
                "'L', or use a float tensor in [0, 1]."
            )
        tensor = to_tensor(image.convert("L" if gray else "RGB"))[None]
        out = render(
            tensor, plan.select([0]), self._pack, working_size=self.working_size, keep=keep
        )
        if torch.equal(out, tensor):
            return image.copy()
        result = to_image(out[0])
        if alpha is not None:
            result.putalpha(alpha)
        return result if result.mode == image.mode else result.convert(image.mode)

    def extra_repr(self) -> str:
        """The call that builds this transform."""
        names = ("styles", "mix", "jitter", "p", "strength", "texture", "light", "protect")
        return ", ".join(f"{n}={getattr(self, n)!r}" for n in (*names, "working_size", "pack"))


@functools.lru_cache(maxsize=8)
def _load_pack(source: str) -> StylePack:
    """Packs are read once per process."""
    return StylePack.load(source)


def _shape(image: Any) -> tuple[int, ...]:
    if isinstance(image, Image.Image):
        return (len(image.getbands()), image.height, image.width)
    check_image_tensor(image.as_subclass(torch.Tensor))
    return tuple(image.shape)


def _count(image: Any, shape: tuple[int, ...]) -> int:
    """How many styles an image, batch or video takes: one an image, one a clip."""
    leading = shape[:-4] if isinstance(image, tv_tensors.Video) else shape[:-3]
    count = 1
    for length in leading:
        count *= length
    return count


def _marked(labels: list[Tensor], count: int, size: tuple[int, ...]) -> Tensor | None:
    """Where masks and boxes mark defects, with soft edges: (count, 1, H, W) in [0, 1].

    Raises:
        ValueError: if a batch's labels cannot be told apart by image.
    """
    height, width = size
    found: Tensor | None = None
    for label in labels:
        plain = label.as_subclass(torch.Tensor)
        if isinstance(label, tv_tensors.Mask):
            marked = plain.ne(0)
            if marked.shape[-2:] != (height, width):
                continue
            # one image: all its masks together; a batch: the leading dimension tells the image
            if count > 1 and (marked.ndim < 3 or len(marked) != count):
                raise ValueError(
                    f"protect needs masks (B, ..., H, W) for a batch of {count} images, but got "
                    f"{tuple(plain.shape)}. Apply StyleAugment to single samples instead."
                )
            marked = marked.reshape(count, -1, height, width).any(1, keepdim=True)
        else:
            if count > 1:
                raise ValueError(
                    f"protect cannot tell which of {count} images a box belongs to. Apply "
                    "StyleAugment to single samples, or give masks (B, H, W)."
                )
            marked = _boxes(label, height, width)
        found = marked if found is None else found | marked
    if found is None:
        return None
    # widen by the margin, then blur by as much: full protection inside, none beyond two margins
    kernel, pad = 2 * _PROTECT_MARGIN + 1, _PROTECT_MARGIN
    wide = F.max_pool2d(found.float(), kernel, stride=1, padding=pad)
    return F.avg_pool2d(wide, kernel, stride=1, padding=pad, count_include_pad=False)


def _boxes(boxes: Any, height: int, width: int) -> Tensor:
    """Boxes (N, 4) of one image -> where they are, (1, 1, H, W), bool."""
    corners = v2.functional.convert_bounding_box_format(
        boxes, new_format=tv_tensors.BoundingBoxFormat.XYXY
    ).as_subclass(torch.Tensor)
    left, top, right, bottom = corners.reshape(-1, 4).float().T[:, :, None, None].unbind(0)
    y = torch.arange(height, device=corners.device).view(1, -1, 1)
    x = torch.arange(width, device=corners.device).view(1, 1, -1)
    inside = (x >= left.floor()) & (x < right.ceil()) & (y >= top.floor()) & (y < bottom.ceil())
    return inside.any(0)[None, None]
