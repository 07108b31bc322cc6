"""``StyleAugment``: random materials, finishes, colours and lights, a torchvision transform."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision import tv_tensors
from torchvision.transforms import v2

from styleaug.checks import check_fraction, check_image_tensor
from styleaug.images import to_image, to_tensor
from styleaug.pack import StylePack, prepare_process
from styleaug.plan import Range, StylePlan, Styles, StyleSampler
from styleaug.render import WORKING_SIZE, render

_IMAGES = (tv_tensors.Image, tv_tensors.Video, Image.Image)
_LABELS = (tv_tensors.BoundingBoxes, tv_tensors.Mask)
_PROTECT_MARGIN = 8
"""Pixels around a protected defect over which strength comes back, so that no seam appears."""


class StyleAugment(v2.Transform):
    """Restyle and relight images at random: material texture, finish, colour, and lamp.

    Each image of a batch gets its own style; a video gets one. Labels, boxes and masks come back as
    the same objects. The work is done on the device where the images lie, without gradients.

    ``out = relight(x + strength * ((tone - x) + texture * (y - tone))) + 0.08 * grain * noise``,
    where y is the network's restyling of x, and tone its part that is a local affine map of x and
    so keeps every edge; the texture, y - tone, is scaled down where it would drown what stands out
    in x.

    Place it before ``Normalize``, in a dataset's transform or, quicker, on whole batches.

    Args:
        styles: ``"all"``, or tags, names, paths of reference images or of folders of them (one or
            several), or ``"batch"``, which takes styles from other images of the same batch.
        mix: upper bound of the share of a second random style that is mixed in, in [0, 1].
        jitter: Gaussian noise on style codes, in their standard deviations over the pack.
        p: probability that an image is restyled; that it is relit; and that it gets grain; each on
            its own.
        strength: range (lo, hi) of the strength of the material, or a number; 0 keeps the image.
        texture: range of the share of the style's texture; 0 changes colour and tone only.
        light: range of the strength of the lamp; 0 keeps the light.
        grain: range of the amount of noise, as of the finest finishes, and of sensors at high gain;
            0 adds none.
        protect: how much strength of the material is taken away inside masks and boxes of the
            sample, in [0, 1]; ``True`` stands for 1. Lamp and grain act there too: a patch without
            would give the defect away.
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

    # what v2.Transform hands to make_params and transform; anything else passes by
    _transformed_types = (v2.functional.is_pure_tensor, *_IMAGES, *_LABELS)

    def __init__(
        self,
        styles: Styles = "all",
        *,
        mix: float = 0.5,
        jitter: float = 0.0,
        p: float = 0.7,
        strength: Range = (0.0, 1.0),
        texture: Range = (0.0, 1.0),
        light: Range = (0.0, 1.0),
        grain: Range = (0.0, 1.0),
        protect: float = 0.0,
        working_size: int = WORKING_SIZE,
        pack: str | StylePack = "base",
    ) -> None:
        super().__init__()
        self.styles = styles if isinstance(styles, str | Path) else list(styles)
        self.mix, self.jitter, self.p = mix, jitter, p
        self.strength, self.texture = strength, texture
        self.light, self.grain = light, grain
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
            grain=self.grain,
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
            ``plan``: a :class:`~styleaug.StylePlan`, and ``keep``: strength maps (count, 1, H, W)
            by (count, H, W), where masks or boxes protect something.
        """
        prepare_process(torch.device("cpu"))
        images = [x for x in flat_inputs if not isinstance(x, _LABELS)]
        shapes = [_shape(image) for image in images]
        counts = [_count(image, shape) for image, shape in zip(images, shapes, strict=True)]
        keep = {}
        labels = [x for x in flat_inputs if isinstance(x, _LABELS)]
        if self.protect and any(counts) and labels:
            for key in {(n, *shape[-2:]) for n, shape in zip(counts, shapes, strict=True) if n}:
                marked = _marked(labels, *key)
                if marked is not None:
                    keep[key] = 1 - self.protect * marked
            if not keep:
                raise ValueError(
                    "protect needs masks or boxes of an image's size, but got images "
                    f"{[shape[-2:] for shape in shapes]} and labels {[_canvas(x) for x in labels]}."
                )
        return {"plan": self.sampler.draw(max(counts, default=0)), "keep": keep}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Apply the plan to one image, batch or video; boxes and masks come back as they are."""
        if isinstance(inpt, _LABELS):
            return inpt
        if isinstance(inpt, Image.Image):
            return self._pil(inpt, params)
        x = inpt.as_subclass(torch.Tensor)
        frames = x.reshape(-1, *x.shape[-3:])
        out = self._render(frames, _count(inpt, x.shape), params).reshape(x.shape)
        if isinstance(inpt, tv_tensors.TVTensor):
            return tv_tensors.wrap(out, like=inpt)
        return out

    def _render(self, frames: Tensor, count: int, params: dict[str, Any]) -> Tensor:
        """Apply the plan's first rows to ``count`` images, or clips of several frames each."""
        repeats = len(frames) // max(1, count)
        rows = torch.arange(count, device="cpu").repeat_interleave(repeats)
        plan: StylePlan = params["plan"].select(rows.tolist())
        # a donor is a row of the plan: here its first frame, and one of those that there are
        donors = torch.where(plan.donors < 0, -1, plan.donors % max(1, count) * repeats)
        keep = params["keep"].get((count, *frames.shape[-2:]))
        return render(
            frames,
            replace(plan, donors=donors),
            self._pack,
            working_size=self.working_size,
            keep=None if keep is None else keep[rows.to(keep.device)],
        )

    def _pil(self, image: Image.Image, params: dict[str, Any]) -> Image.Image:
        """One PIL image: gray modes as gray, others as RGB, alpha kept; back to the same mode."""
        if image.mode == "F" or image.mode.startswith("I"):
            raise TypeError(
                f"PIL images must have 8 bits a channel, but got mode {image.mode!r}. Scale it to "
                "'L', or use a float tensor in [0, 1]."
            )
        plain, alpha = image, None
        if image.has_transparency_data:
            plain = image.convert("RGBA")
            alpha = plain.getchannel("A")
        tensor = to_tensor(plain.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))[None]
        out = self._render(tensor, 1, params)
        if torch.equal(out, tensor):
            return image.copy()
        result = to_image(out[0])
        if alpha is not None:
            result.putalpha(alpha)
        if image.mode == "P":  # convert() would dither to a fixed palette of 216 colours
            return result.quantize()
        return result if result.mode == image.mode else result.convert(image.mode)

    def extra_repr(self) -> str:
        """The call that builds this transform."""
        names = ("styles", "mix", "jitter", "p", "strength", "texture", "light", "grain", "protect")
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


def _canvas(label: Any) -> tuple[int, ...]:
    """Height and width of the image that a mask or boxes belong to."""
    mask = isinstance(label, tv_tensors.Mask)
    return tuple(label.shape[-2:] if mask else label.canvas_size)


def _marked(labels: list[Any], count: int, height: int, width: int) -> Tensor | None:
    """Where masks and boxes of an image mark defects, with soft edges: (count, 1, H, W) in [0, 1].

    Raises:
        ValueError: if a batch's labels cannot be told apart by image.
    """
    found: Tensor | None = None
    for label in labels:
        if _canvas(label) != (height, width):
            continue
        plain = label.as_subclass(torch.Tensor)
        if isinstance(label, tv_tensors.Mask):
            marked = plain.ne(0)
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
    """Boxes of one image -> where they, or upright boxes around rotated ones, are: (1, 1, H, W)."""
    formats = tv_tensors.BoundingBoxFormat
    upright = boxes.format in (formats.XYXY, formats.XYWH, formats.CXCYWH)
    corners: Tensor = v2.functional.convert_bounding_box_format(
        boxes, new_format=formats.XYXY if upright else formats.XYXYXYXY
    ).as_subclass(torch.Tensor)
    points = corners.float().reshape(-1, 2 if upright else 4, 2)
    left, top = points.amin(1).floor().T[:, :, None]
    right, bottom = points.amax(1).ceil().T[:, :, None]
    y = torch.arange(height, device=corners.device)
    x = torch.arange(width, device=corners.device)
    rows, columns = (y >= top) & (y < bottom), (x >= left) & (x < right)
    # a product, not a comparison of all pixels with all boxes: a large image may hold hundreds
    hits: Tensor = rows.float().T @ columns.float()
    return (hits > 0)[None, None]
