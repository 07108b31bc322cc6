"""``StyleAugment``: random materials, finishes, colours and lights, a torchvision transform."""

from __future__ import annotations

import functools
import inspect
import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from styleaug.errors import warn
from styleaug.images.checks import check_fraction, check_image_tensor
from styleaug.images.io import to_image, to_tensor
from styleaug.pack import StylePack
from styleaug.plan import Range, StylePlan, Styles, StyleSampler
from styleaug.protect import LABELS, canvas, keep_map, marked_by
from styleaug.render import WORKING_SIZE, render
from styleaug.runtime import prepare_process
from styleaug.schedule import Points

Record = str | Path | Callable[[StylePlan], object]

_IMAGES = (tv_tensors.Image, tv_tensors.Video, Image.Image)


class StyleAugment(v2.Transform):
    """Restyle and relight images at random: material texture, finish, colour, lamp, and sensor.

    Each image of a batch gets its own style; a video gets one. Labels, boxes and masks come back as
    the same objects. The work is done on the device where the images lie, without gradients.

    ``out = soften(relight(x + strength * ((tone - x) + texture * (y - tone)))) + 0.3 * grain *
    noise``, where y is the network's restyling of x, and tone its part that is a local affine map
    of x and so keeps every edge; the texture, y - tone, is scaled down where it would drown what
    stands out in x.

    Place it before ``Normalize``, in a dataset's transform or, quicker, on whole batches.

    Args:
        styles: ``"all"``, or tags, names, paths of reference images or of folders of them (one or
            several), or ``"batch"``, which takes styles from other images of the same batch.
        mix: upper bound of the share of a second random style that is mixed in, in [0, 1].
        jitter: Gaussian noise on style codes, in their standard deviations over the pack.
        p: probability that an image is changed at all.
        stage_p: probability of each of the stages material, blur and grain for an image that
            ``p`` lets through; the lamp changes on all of these. Where two or three of the stages
            meet, their amounts are divided by the root of their number: together, at full amounts,
            they would drown defects that each of them keeps.
        strength: range (lo, hi) of the strength of the material, or a number; 0 keeps the image.
        texture: range of the share of the style's texture; 0 changes colour and tone only.
        light: range of the strength of the lamp; 0 keeps the light.
        blur: range of the amount of blur, as of a lens out of focus or a part that moves; the full
            one has a standard deviation of 4 pixels; 0 keeps the image sharp. Little is drawn more
            often than much: half of the amounts lie in the lowest quarter of the range.
        grain: range of the amount of noise, as of the finest finishes, and of sensors at high gain;
            the full one has a standard deviation of 0.3 of the range of the values; 0 adds none.
            Half of the amounts lie in the lowest eighth of the range. The default keeps to 0.3 of
            it, since heavier noise costs under other lamps; where cameras are noisy, allow more.
        protect: how much strength of the material is taken away inside masks and boxes of the
            sample, in [0, 1]; ``True`` stands for 1. Lamp, blur and grain act there too: a patch
            without would give the defect away.
        working_size: short side, in pixels, above which the network runs on a smaller copy.
        pack: name or path of a style pack, or a pack.
        schedule: how settings grow or shrink with the progress of training: for any of p, strength,
            texture, light, blur and grain pairs (progress, factor) in [0, 1], linear in between,
            such as ``{"strength": [(0, 0.2), (1, 1)]}``; or ``"gradual"``: plain images first, see
            :data:`styleaug.schedule.NAMED`. The training loop tells by :meth:`set_progress`.
        record: what each image got: a file to which a line of JSON is added for each image, by any
            process; or a function that is called with each plan, in the process that draws it.

    Raises:
        ValueError: if an argument is out of bounds or a style unknown; at call, if an image is not
            of the shape (..., C, H, W) with C = 1 or 3, or its values are not in [0, 1].
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
    _transformed_types = (v2.functional.is_pure_tensor, *_IMAGES, *LABELS)

    def __init__(
        self,
        styles: Styles = "all",
        *,
        mix: float = 0.5,
        jitter: float = 0.0,
        p: float = 0.7,
        stage_p: float = 0.6,
        strength: Range = (0.3, 1.0),
        texture: Range = (0.0, 1.0),
        light: Range = (0.2, 1.0),
        blur: Range = (0.0, 1.0),
        grain: Range = (0.0, 0.3),
        protect: float = 0.0,
        working_size: int = WORKING_SIZE,
        pack: str | StylePack = "base",
        schedule: Points | str | None = None,
        record: Record | None = None,
    ) -> None:
        super().__init__()
        self.styles = styles if isinstance(styles, str | Path) else list(styles)
        self.mix, self.jitter, self.p, self.stage_p = mix, jitter, p, stage_p
        self.strength, self.texture = strength, texture
        self.light, self.blur, self.grain = light, blur, grain
        self.protect = check_fraction("protect", float(protect))
        if not isinstance(working_size, int) or working_size < 16:
            raise ValueError(f"working_size must be an integer >= 16, but got {working_size!r}.")
        self.working_size = working_size
        self._pack = pack if isinstance(pack, StylePack) else _load_pack(str(pack))
        self.pack = pack
        self.schedule, self.record = schedule, _checked_record(record)
        self._sampler: StyleSampler | None = self._make_sampler()
        self._progress = torch.full((), math.nan, device="cpu")  # NaN: not yet told
        self._share_progress()
        drawn = self.sampler
        staged = stage_p * max(drawn.strength[1], drawn.blur[1], drawn.grain[1])
        if not p * (staged + drawn.light[1]):
            warn(
                "StyleAugment can change nothing: p is 0, or strength, light, blur and grain "
                "together are (stage_p = 0 leaves the light alone)."
            )

    def _make_sampler(self) -> StyleSampler:
        return StyleSampler(
            self._pack,
            self.styles,
            mix=self.mix,
            jitter=self.jitter,
            p=self.p,
            stage_p=self.stage_p,
            strength=self.strength,
            texture=self.texture,
            light=self.light,
            blur=self.blur,
            grain=self.grain,
            schedule=self.schedule,
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

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickled or copied: with a progress of its own, unless it came to a worker."""
        super().__setstate__(state)
        self._share_progress()

    def _share_progress(self) -> None:
        """Let one call of :meth:`set_progress` reach the workers of a DataLoader."""
        if self.schedule:
            self._progress.share_memory_()  # type: ignore[no-untyped-call]  # torch's

    def set_progress(self, progress: float) -> None:
        """Tell how far training has come, for ``schedule``; workers of a DataLoader hear it too.

        Args:
            progress: in [0, 1]: epoch / epochs, or step / steps.

        Raises:
            ValueError: if it is not in [0, 1].
        """
        self._progress.fill_(check_fraction("progress", progress))

    def draw(self, count: int, generator: torch.Generator | None = None) -> StylePlan:
        """Draw a plan for ``count`` images, at the present progress, and record it.

        :meth:`render` applies it: the two steps of this transform, for training loops of one's own.

        Args:
            count: B, may be 0.
            generator: a CPU generator; torch's global one if not given.
        """
        prepare_process(torch.device("cpu"))
        progress: float | None = None
        if self.schedule:
            progress = self._progress.item()
            if math.isnan(progress):
                progress = None
                warn(
                    "StyleAugment's schedule begins with the first call of set_progress(); until "
                    "then the settings hold as they are."
                )
        plan = self.sampler.draw(count, generator, progress=progress)
        if callable(self.record):
            self.record(plan)
        elif self.record is not None:
            _append(Path(self.record), plan)
        return plan

    def render(self, images: Tensor, plan: StylePlan, *, keep: Tensor | None = None) -> Tensor:
        """Apply a plan to a batch, see :func:`styleaug.render`.

        Args:
            images: (B, C, H, W), uint8 or float in [0, 1], C = 1 or 3.
            plan: one row an image.
            keep: factor on strength at each pixel, (B, 1, H, W); 0 protects.
        """
        return render(images, plan, self._pack, working_size=self.working_size, keep=keep)

    def make_params(
        self, flat_inputs: list[Any], generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Draw a plan for the sample; its images share it, row by row.

        Args:
            flat_inputs: the images, masks and boxes of the sample.
            generator: a CPU generator; torch's global one if not given.

        Returns:
            ``plan``: a :class:`~styleaug.StylePlan`, and ``keep``: strength maps (count, 1, H, W)
            by (count, H, W), where masks or boxes protect something.
        """
        prepare_process(torch.device("cpu"))
        images = [x for x in flat_inputs if not isinstance(x, LABELS)]
        shapes = [_shape(image) for image in images]
        counts = [_count(image, shape) for image, shape in zip(images, shapes, strict=True)]
        keep = {}
        labels = [x for x in flat_inputs if isinstance(x, LABELS)]
        if self.protect and any(counts) and labels:
            for key in {(n, *shape[-2:]) for n, shape in zip(counts, shapes, strict=True) if n}:
                marked = marked_by(labels, *key)
                if marked is not None:
                    keep[key] = keep_map(marked, self.protect)
            if not keep:
                raise ValueError(
                    "protect needs masks or boxes of an image's size, but got images "
                    f"{[shape[-2:] for shape in shapes]} and labels {[canvas(x) for x in labels]}."
                )
        elif self.protect and any(counts):
            warn("protect has no effect: the sample holds no masks or boxes (tv_tensors).")
        return {"plan": self.draw(max(counts, default=0), generator), "keep": keep}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Apply the plan to one image, batch or video; boxes and masks come back as they are."""
        if isinstance(inpt, LABELS):
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
        keep = None if keep is None else keep[rows.to(keep.device)]
        return self.render(frames, replace(plan, donors=donors), keep=keep)

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
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in DEFAULTS)


DEFAULTS = {name: p.default for name, p in inspect.signature(StyleAugment).parameters.items()}
"""Its arguments, each also an attribute, and their defaults."""


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


def _checked_record(record: Record | None) -> Record | None:
    if isinstance(record, str | Path) and not Path(record).absolute().parent.is_dir():
        raise ValueError(f"record must be a file in a folder that exists, but is {str(record)!r}.")
    return record


def _append(file: Path, plan: StylePlan) -> None:
    """Add a line of JSON for each image: in one write, so that processes do not mix their lines."""
    lines = [{"process": os.getpid(), **plan.describe(row)} for row in range(len(plan))]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    with file.open("ab", buffering=0) as out:
        out.write(text.encode())
