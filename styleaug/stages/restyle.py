"""``Restyle``: material, finish and colour, through the multi-style network of a pack."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.errors import WeightsError
from styleaug.files import digest_file
from styleaug.images.checks import check_fraction, check_range
from styleaug.images.color import luma, to_rgb
from styleaug.networks import encode, network_of
from styleaug.nn.guided import bounded_texture, tone_change, tone_map
from styleaug.nn.noise import SEEDS, white_noise
from styleaug.nn.resample import average, bands_of, interpolate
from styleaug.pack import DEFAULT_PACK, StylePack, bundled_packs
from styleaug.stages.apply import on_device
from styleaug.stages.base import Stage
from styleaug.stages.params import Params, Range, integers, rows, uniform
from styleaug.stages.pool import Reference, StylePool, Styles

WORKING_SIZE = 512
"""Default short side, in pixels, above which the network runs on a smaller copy."""

_SMALLEST = 16
"""Short side that the network works on at least: it pads by reflection, and needs something to
reflect. Smaller images get a border meanwhile."""


@dataclass(frozen=True, eq=False)
class RestyleParams(Params):
    """The style of each image.

    Attributes:
        codes: style codes (B, code_size), float32.
        strength: 0 leaves an image alone, 1 restyles it fully (B,).
        texture: how much of the style's texture comes along, in [0, 1] (B,).
        seed: of the noise that the network makes texture of (B,).
        donors: index of the image in the batch whose style is taken in place of ``codes``, or -1
            (B,).
        styles: the styles' names, for reports.
    """

    codes: Tensor = rows(torch.float32, None)
    strength: Tensor = rows(torch.float32, low=0, high=1)
    texture: Tensor = rows(torch.float32, low=0, high=1)
    seed: Tensor = rows(torch.int64, low=0, high=SEEDS - 1)
    donors: Tensor = rows(torch.int64, low=-1, high=2**31)
    styles: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        codes: Tensor,
        *,
        strength: float | Tensor = 1.0,
        texture: float | Tensor = 1.0,
        styles: Sequence[str] = (),
    ) -> RestyleParams:
        """Build params from explicit values: for sliders, series, and custom codes.

        Args:
            codes: of B images, (B, code_size); see :meth:`styleaug.StylePack.code`.
            strength: for all images, or for each (B,), in [0, 1].
            texture: the same.
            styles: names, for reports.

        Raises:
            ValueError: if a shape does not fit, or a value is out of range.

        Examples:
            >>> pack = StylePack.random()
            >>> mixture = pack.code({"random-0": 1, "random-1": 3})
            >>> params = RestyleParams.of(mixture.expand(2, -1), strength=0.5)
            >>> restyle = Restyle(pack=pack)
            >>> restyle.render(torch.rand(2, 3, 32, 32), params).shape
            torch.Size([2, 3, 32, 32])
        """
        count = len(codes)

        def amounts(name: str, value: float | Tensor) -> Tensor:
            given = torch.as_tensor(value, dtype=torch.float32, device="cpu")
            if given.shape not in ((), (1,), (count,)) or not ((given >= 0) & (given <= 1)).all():
                raise ValueError(
                    f"{name} must be a number in [0, 1], or one for each of {count} codes, but is "
                    f"{value}."
                )
            return given.expand(count).contiguous()

        zeros = torch.zeros(count, dtype=torch.int64, device="cpu")
        return cls(
            codes=codes.detach().to("cpu", torch.float32),
            strength=amounts("strength", strength),
            texture=amounts("texture", texture),
            seed=zeros,
            donors=zeros - 1,
            styles=tuple(styles) or ("",) * count,
        )

    @property
    def active(self) -> Tensor:
        """Which images change (B,), bool."""
        return self.strength > 0

    def scaled(self, factor: Tensor) -> RestyleParams:
        """Less strength."""
        return replace(self, strength=self.strength * factor)

    def spread(self, count: int, frames: int = 1) -> RestyleParams:
        """See :meth:`Params.spread`: a donor is its clip's first frame, of those that there are."""
        spread = super().spread(count, frames)
        if spread is self:
            return self
        donors = torch.where(spread.donors < 0, -1, spread.donors % max(1, count) * frames)
        return replace(spread, donors=donors)

    def describe(self, row: int) -> dict[str, str | float]:
        """Style, strength and texture."""
        return {
            "style": self.styles[row],
            "strength": round(float(self.strength[row]), 4),
            "texture": round(float(self.texture[row]), 4),
        }


@dataclass(frozen=True, eq=False)
class Change:
    """What restyling does to images: the change of their tone, and the texture that is added.

    Attributes:
        maps: the tone as local affine maps, see :func:`~styleaug.nn.guided.tone_map`.
        tone: what the maps change in the images that they were fitted on, (B, 3, h, w).
        texture: bounded, (B, 3, h, w).
    """

    maps: tuple[Tensor, Tensor]
    tone: Tensor
    texture: Tensor

    @classmethod
    def between(cls, images: Tensor, restyled: Tensor) -> Change:
        """The change from images to what the network made of them, both (B, 3, h, w)."""
        maps = tone_map(images, restyled)
        tone = tone_change(images, maps)
        return cls(maps, tone, bounded_texture(images, restyled - images - tone))

    def added_to(self, x: Tensor, strength: Tensor, texture: Tensor) -> Tensor:
        """Images with this change, see :class:`Restyle`.

        Args:
            x: the images (B, 3, H, W), float; larger ones than it was found from, too.
            strength: (B,), on the CPU.
            texture: the same.
        """
        amount = on_device(strength, x)
        share = on_device(strength * texture, x)
        if x.shape == self.tone.shape:
            return torch.addcmul(x, self.tone, amount).addcmul_(self.texture, share)
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        for band in bands_of(x):
            restyled = torch.addcmul(x[:, :, band], tone_change(x, self.maps, band), amount)
            detail = interpolate(self.texture, x.shape[-2:], band)
            out[:, :, band] = restyled.addcmul_(detail, share)
        return out


class Restyle(Stage):
    """Give images the material, finish and colour of a random style, through one network.

    ``out = x + strength * ((tone - x) + texture * (y - tone))``, where y is the network's restyling
    of x. The tone is its part that is a local affine map of x and keeps every edge. The texture,
    ``y - tone``, is scaled down if it would hide what stands out in x.

    Args:
        styles: ``"all"``; one or several tags, names, paths of reference images or of folders of
            them; or ``"batch"``, which takes styles from other images of the same batch.
        strength: range (lo, hi) of the strength, in [0, 1], or a number; 0 leaves the image
            unchanged.
        texture: range of the share of the style's texture, in [0, 1], or a number; 0 changes only
            colour and tone.
        mix: upper bound of the share of a second random style, in [0, 1].
        jitter: Gaussian noise on style codes, in units of their standard deviations over the pack.
        pack: name or path of a style pack, or a pack.
        working_size: short side, in pixels, above which the network runs on a smaller copy.
        p: probability that an image is changed.

    Raises:
        ValueError: if an argument is out of bounds or a style unknown.
        WeightsError: if the pack is missing or damaged.

    Shape:
        As for :class:`~styleaug.StyleAugment`.

    Examples:
        >>> Restyle("rust", strength=0.5)(torch.rand(3, 32, 48)).shape
        torch.Size([3, 32, 48])
    """

    params_type = RestyleParams
    amount = "strength"
    protectable = True

    def __init__(
        self,
        styles: Styles = "all",
        *,
        strength: Range = (0.3, 1.0),
        texture: Range = (0.0, 1.0),
        mix: float = 0.5,
        jitter: float = 0.0,
        pack: str | StylePack = DEFAULT_PACK,
        working_size: int = WORKING_SIZE,
        p: float = 1.0,
    ) -> None:
        super().__init__(p)
        self.styles = styles if isinstance(styles, str | Path) else list(styles)
        self.strength = check_range("strength", strength, 0, 1)
        self.texture = check_range("texture", texture, 0, 1)
        self.mix = check_fraction("mix", mix)
        self.jitter = check_fraction("jitter", jitter)
        if not isinstance(working_size, int) or working_size < _SMALLEST:
            raise ValueError(
                f"working_size must be an integer >= {_SMALLEST}, but got {working_size!r}."
            )
        self.working_size = working_size
        self.pack = pack
        self._pack = pack if isinstance(pack, StylePack) else _load_pack(str(pack))
        self._references: dict[Reference, Tensor] = {}
        self._pool: StylePool | None = self._find_styles()

    def _find_styles(self) -> StylePool:
        styles = "all" if self.styles == "batch" else self.styles
        pool = StylePool(self._pack, styles, self._references)
        self._references = pool.references
        return pool

    @property
    def pack_id(self) -> str:
        """Identifier of its pack, see :class:`~styleaug.StylePack`."""
        return self._pack.id

    @property
    def pool(self) -> StylePool:
        """Styles to draw from."""
        if self._pool is None:  # just unpickled
            self._pool = self._find_styles()
        return self._pool

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out what the pack holds: a pickled transform costs bytes."""
        return {**self.__dict__, "_pool": None}

    def draw(self, count: int, generator: torch.Generator | None = None) -> RestyleParams:
        """Draw the style of each image."""
        pool, known = self.pool, self._pack.codes
        first, second = (integers(len(pool.names), count, generator) for _ in range(2))
        share = uniform(count, generator, 0, self.mix)
        codes = torch.lerp(pool.codes[first], pool.codes[second], share[:, None])
        if self.jitter:  # stay among what the network has met
            noise = torch.empty_like(codes).normal_(generator=generator) * self.jitter
            codes = codes + noise * known.std(0, correction=0)
            codes = codes.clamp(known.amin(0), known.amax(0))
        donors = torch.full((count,), -1, device="cpu")
        if self.styles == "batch" and count > 1:  # alone in its batch: a style of the pack
            others = integers(count - 1, count, generator)
            donors = (torch.arange(count, device="cpu") + 1 + others) % count
        drawn = zip(first.tolist(), second.tolist(), share.tolist(), donors.tolist(), strict=True)
        return RestyleParams(
            codes=codes,
            strength=uniform(count, generator, *self.strength),
            texture=uniform(count, generator, *self.texture),
            seed=integers(SEEDS, count, generator),
            donors=donors,
            styles=tuple(
                pool.mixture(a, b, w) if donor < 0 else f"batch[{donor}]"
                for a, b, w, donor in drawn
            ),
        )

    def prepare(self, images: Tensor, params: RestyleParams) -> RestyleParams:
        """Put codes on the images' device; codes of donors come from the batch itself.

        Raises:
            ValueError: if the params belong to another pack, or need images that are missing.
        """
        if params.codes.shape[1] != self._pack.config.code_size:
            raise ValueError(
                f"The plan must be drawn from the pack that renders it: its codes have length "
                f"{params.codes.shape[1]}, those of {self._pack!r} have "
                f"{self._pack.config.code_size}."
            )
        if (params.donors >= len(images)).any():
            raise ValueError(
                f"The plan's donors must be rows of this batch of {len(images)}, but are "
                f"{params.donors.tolist()}. A plan that takes styles from its batch needs all of "
                "it."
            )
        borrowed = (params.donors >= 0).nonzero().flatten()
        if not len(borrowed):
            return params
        donors = params.donors[borrowed].to(images.device, non_blocking=True)
        found = encode(self._pack, images.index_select(0, donors))
        codes = params.codes.to(images.device, non_blocking=True)
        rows = borrowed.to(images.device, non_blocking=True)
        return replace(params, codes=codes.index_copy(0, rows, found))

    def apply(self, images: Tensor, params: RestyleParams) -> Tensor:
        """Restyle images (B, C, H, W), float; gray images through their luma."""
        return self.apply_change(images, params, self._change)

    def apply_change(
        self,
        images: Tensor,
        params: RestyleParams,
        find: Callable[[Tensor, RestyleParams], Change],
    ) -> Tensor:
        """Change images (B, C, H, W) by what ``find`` makes of their working copies and params."""
        height, width = images.shape[-2:]
        if min(height, width) < _SMALLEST:
            border = (0, max(0, _SMALLEST - width), 0, max(0, _SMALLEST - height))
            wide = F.pad(images, border, mode="replicate")
            return self.apply_change(wide, params, find)[..., :height, :width]
        x = to_rgb(images)
        small = self._shrink(x)
        out = find(small, params).added_to(x, params.strength, params.texture)
        # clamped first: gray is the luma of the colours that there can be
        return luma(out.clamp(0, 1)) if images.shape[1] == 1 else out

    def _change(self, small: Tensor, params: RestyleParams) -> Change:
        seeds = params.seed.to(small.device, non_blocking=True)
        return self.find_change(small, params, white_noise(seeds, 1, *small.shape[-2:]))

    def find_change(self, small: Tensor, params: RestyleParams, noise: Tensor) -> Change:
        """What the network makes of working copies (B, 3, h, w) and noise (B, 1, h, w)."""
        code = params.codes.to(small.device, non_blocking=True)
        y = network_of(self._pack, small.device)(small, code, noise)
        # elsewhere a look would make the host wait
        if y.device.type == "cpu" and not y.sum().isfinite():
            raise WeightsError(
                f"The network of {self._pack!r} must give finite values, but gave NaN or infinite "
                "ones: its weights are damaged."
            )
        return Change.between(small, y)

    def _shrink(self, x: Tensor) -> Tensor:
        """The copy that the network looks at."""
        height, width = x.shape[-2:]
        scale = self.working_size / min(height, width)
        if scale >= 1:
            return x
        size = (max(_SMALLEST, round(height * scale)), max(_SMALLEST, round(width * scale)))
        return average(x, size)


def _load_pack(source: str) -> StylePack:
    """Packs are read once per process, and again if their file has changed."""
    path = bundled_packs().get(source, Path(source)).resolve()
    return _read_pack(source, path, digest_file(path) if path.is_file() else "")


@functools.lru_cache(maxsize=8)
def _read_pack(source: str, path: Path, digest: str) -> StylePack:
    return StylePack.load(source)
