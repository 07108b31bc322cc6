"""``StylePlan``: what happens to each image; ``StyleSampler`` draws it. All randomness is here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.images.checks import check_fraction, check_range
from styleaug.images.io import find_images, load_rgb, to_tensor
from styleaug.light import NAMES, draw_light, is_neutral, neutral_light
from styleaug.nn.stylenet import NoiseField
from styleaug.pack import StylePack
from styleaug.schedule import Points, Schedule

Styles = str | Path | Iterable[str | Path]
Range = float | tuple[float, float]


_DTYPES = {
    "codes": torch.float32,
    "strength": torch.float32,
    "texture": torch.float32,
    "blur": torch.float32,
    "grain": torch.float32,
    "place": torch.int64,
    "light": torch.float32,
    "donors": torch.int64,
    "where": torch.float32,
}


@dataclass(frozen=True, eq=False)
class StylePlan:
    """What happens to each of B images: small CPU tensors, one row an image.

    A plan can be kept, replayed through :func:`styleaug.render`, and written as JSON.

    Attributes:
        codes: style codes (B, code_size), float32.
        strength: 0 leaves an image's material alone, 1 restyles it fully (B,).
        texture: how much of the style's texture comes along, in [0, 1] (B,).
        blur: amount of blur along the columns and along the rows, in [0, 1] (B, 2).
        grain: amount of noise on the image, in [0, 1] (B,).
        place: where on the noise field the image looks, int64 (B,).
        light: light parameters (B, L), see :data:`styleaug.light.NAMES`.
        donors: index of the image in the batch whose style is taken in place of ``codes``, or -1
            (B,).
        where: factor on strength over the image, in [0, 1] (B, 1, h, w), which is stretched to the
            image's size; (B, 1, 1, 1) is the same everywhere.
        styles: the styles' names, for reports.
    """

    codes: Tensor
    strength: Tensor
    texture: Tensor
    blur: Tensor
    grain: Tensor
    place: Tensor
    light: Tensor
    donors: Tensor
    where: Tensor
    styles: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.styles)

    @classmethod
    def of(
        cls,
        codes: Tensor,
        *,
        strength: float | Tensor = 1.0,
        texture: float | Tensor = 1.0,
        blur: float | Tensor = 0.0,
        grain: float | Tensor = 0.0,
        light: Tensor | None = None,
        where: Tensor | None = None,
        place: int | Tensor = 0,
        styles: Sequence[str] | None = None,
    ) -> StylePlan:
        """A plan made by hand, which does what is asked and nothing else.

        Args:
            codes: of B images, (B, code_size); see :meth:`styleaug.StylePack.code`.
            strength: of all images, or of each (B,); so are the others.
            texture: the same.
            blur: the same; or (B, 2), see :class:`StylePlan`.
            grain: the same.
            light: (B, L); by default the light stays as it is.
            where: factor on strength over the image, in [0, 1] (B, 1, h, w).
            place: the same as strength: where on the noise field an image looks.
            styles: names, for reports.

        Raises:
            ValueError: if a shape does not fit, or a value is out of range.

        Examples:
            >>> pack = StylePack.random()
            >>> mixture = pack.code({"random-0": 1, "random-1": 3})
            >>> plan = StylePlan.of(mixture.expand(2, -1), strength=torch.tensor([0.3, 0.9]))
            >>> len(plan), plan.describe(1)["strength"]
            (2, 0.9)
        """
        count = len(codes)

        def rows(name: str, value: Tensor | float, *shape: int) -> Tensor:
            given = torch.as_tensor(value, dtype=_DTYPES[name], device="cpu")
            try:
                full = given.expand(count, *shape).contiguous()
            except RuntimeError as error:
                raise ValueError(
                    f"{name} must be {(count, *shape)} for {count} codes, but is "
                    f"{tuple(given.shape)}."
                ) from error
            return full

        def amounts(name: str, value: Tensor | float, *shape: int) -> Tensor:
            full = rows(name, value, *shape)
            if not ((full >= 0) & (full <= 1)).all():
                raise ValueError(f"{name} must lie in [0, 1], but got {value}.")
            return full

        if isinstance(blur, Tensor) and blur.ndim == 1:
            blur = blur[:, None]
        where = torch.ones(1, 1, 1, 1, device="cpu") if where is None else where
        return cls(
            codes=rows("codes", codes, codes.shape[-1]),
            strength=amounts("strength", strength),
            texture=amounts("texture", texture),
            blur=amounts("blur", blur, 2),
            grain=amounts("grain", grain),
            place=rows("place", place),
            light=neutral_light(count) if light is None else rows("light", light, len(NAMES)),
            donors=torch.full((count,), -1, device="cpu"),
            where=amounts("where", where, 1, *where.shape[2:]),
            styles=("",) * count if styles is None else tuple(styles),
        )

    @property
    def restyled(self) -> Tensor:
        """Which images the network touches (B,), bool."""
        return self.strength > 0

    @property
    def relit(self) -> Tensor:
        """Which images the light touches (B,), bool."""
        return ~is_neutral(self.light)

    @property
    def blurred(self) -> Tensor:
        """Which images the blur touches (B,), bool."""
        return (self.blur > 0).any(1)

    @property
    def grainy(self) -> Tensor:
        """Which images the grain touches (B,), bool."""
        return self.grain > 0

    def select(self, rows: Sequence[int]) -> StylePlan:
        """The plan of some images, in that order; one may come twice (frames of a clip)."""
        index = torch.as_tensor(rows, dtype=torch.int64, device="cpu")
        tensors = {name: getattr(self, name).index_select(0, index) for name in _DTYPES}
        return StylePlan(**tensors, styles=tuple(self.styles[int(i)] for i in index))

    def only(self, rows: Tensor) -> StylePlan:
        """The same plan with nothing done to the images outside ``rows`` (B,), bool."""
        light = torch.where(rows[:, None], self.light, neutral_light(len(self)))
        return replace(
            self,
            strength=self.strength * rows,
            light=light,
            blur=self.blur * rows[:, None],
            grain=self.grain * rows,
        )

    @classmethod
    def join(cls, plans: Sequence[StylePlan]) -> StylePlan:
        """One plan of the rows of several; their donors are rows of one batch."""
        size = [max(plan.where.shape[axis] for plan in plans) for axis in (2, 3)]
        plans = [replace(plan, where=stretched(plan.where, size)) for plan in plans]
        tensors = {name: torch.cat([getattr(plan, name) for plan in plans]) for name in _DTYPES}
        return cls(**tensors, styles=tuple(name for plan in plans for name in plan.styles))

    def describe(self, row: int) -> dict[str, str | float]:
        """What one image gets: style, strength, texture, blur, grain, and the light that acts.

        Examples:
            >>> plan = StyleSampler(StylePack.random(), strength=0.5).draw(1)
            >>> plan.describe(0)["strength"]
            0.5
        """
        restyled = bool(self.restyled[row])
        values = dict(zip(NAMES, self.light[row].tolist(), strict=True))
        return {
            "style": self.styles[row] if restyled else "",
            "strength": round(float(self.strength[row]), 4),
            "texture": round(float(self.texture[row]), 4) if restyled else 0.0,
            "blur": round(float(self.blur[row].max()), 4),
            "grain": round(float(self.grain[row]), 4),
            # spot_x counts where spot acts, and so on; what acts is not 0
            **{n: round(value, 4) for n, value in values.items() if values[n.split("_")[0]]},
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; :meth:`from_dict` gives the same plan back."""
        return {**{n: getattr(self, n).tolist() for n in _DTYPES}, "styles": list(self.styles)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> StylePlan:
        """Rebuild what :meth:`to_dict` gave."""
        tensors = {
            name: torch.tensor(data[name], dtype=dtype, device="cpu")
            for name, dtype in _DTYPES.items()
        }
        count = len(data["styles"])  # of no images, JSON keeps no width
        tensors["codes"] = tensors["codes"].reshape(count, -1 if count else 0)
        tensors["blur"] = tensors["blur"].reshape(count, 2)
        tensors["light"] = tensors["light"].reshape(count, len(NAMES))
        if not count:
            tensors["where"] = torch.ones(0, 1, 1, 1, device="cpu")
        return cls(**tensors, styles=tuple(data["styles"]))


def stretched(where: Tensor, size: Sequence[int]) -> Tensor:
    """Factors (B, 1, h, w) at every pixel of images of (height, width)."""
    if where.shape[-2:] == (1, 1):
        return where.expand(-1, -1, *size)
    return F.interpolate(where, size=tuple(size), mode="bilinear", align_corners=False)


POWERS = {"blur": 2, "grain": 3}
"""Of a uniform draw: most images get little of what hides small defects, and few get much of it."""


class StyleSampler:
    """Draws plans.

    Args:
        pack: where styles come from.
        styles: see :class:`styleaug.StyleAugment`; so are the others.
        mix: the same.
        jitter: the same.
        p: the same.
        stage_p: the same.
        strength: the same.
        texture: the same.
        light: the same.
        blur: the same.
        grain: the same.
        schedule: the same.

    Raises:
        ValueError: if an argument is out of bounds, or a style is unknown.
    """

    def __init__(
        self,
        pack: StylePack,
        styles: Styles = "all",
        *,
        mix: float = 0.0,
        jitter: float = 0.0,
        p: float = 1.0,
        stage_p: float = 1.0,
        strength: Range = 1.0,
        texture: Range = 1.0,
        light: Range = 0.0,
        blur: Range = 0.0,
        grain: Range = 0.0,
        schedule: Points | str | None = None,
    ) -> None:
        self.mix = check_fraction("mix", mix)
        self.jitter = check_fraction("jitter", jitter)
        self.p = check_fraction("p", p)
        self.stage_p = check_fraction("stage_p", stage_p)
        self.strength = check_range("strength", strength, 0, 1)
        self.texture = check_range("texture", texture, 0, 1)
        self.light = check_range("light", light, 0, 1)
        self.blur = check_range("blur", blur, 0, 1)
        self.grain = check_range("grain", grain, 0, 1)
        self.schedule = Schedule({} if schedule is None else schedule)
        self.from_batch = styles == "batch"
        self.names, self.codes = _pool(pack, "all" if self.from_batch else styles)
        self._low, self._high = pack.codes.amin(0), pack.codes.amax(0)
        self._spread = pack.codes.std(0, correction=0)

    def draw(
        self, count: int, generator: torch.Generator | None = None, *, progress: float | None = None
    ) -> StylePlan:
        """Draw a plan for ``count`` images.

        Args:
            count: B, may be 0.
            generator: a CPU generator; torch's global one if not given.
            progress: of training, in [0, 1], for the schedule; without it the settings hold.
        """

        def factor(name: str) -> float:
            return 1.0 if progress is None else self.schedule.factor(name, progress)

        def amount(name: str) -> Tensor:
            low, high = getattr(self, name)
            drawn: Tensor = low + (high - low) * uniform(0, 1) ** POWERS.get(name, 1)
            return drawn * factor(name)

        def uniform(low: float, high: float, *more: int) -> Tensor:
            # on the CPU and float32, whatever torch's defaults
            like = self.codes.new_empty((*more, count))
            return low + (high - low) * like.uniform_(generator=generator)

        def integers(end: int) -> Tensor:
            return torch.randint(end, (count,), generator=generator, device="cpu")

        changed = uniform(0, 1) < self.p * factor("p")

        first, second = integers(len(self.names)), integers(len(self.names))
        share = uniform(0, self.mix)[:, None]
        codes = torch.lerp(self.codes[first], self.codes[second], share)
        noise = torch.empty_like(codes).normal_(generator=generator) * self._spread * self.jitter
        if self.jitter:  # stay among what the network has met
            codes = (codes + noise).clamp(self._low, self._high)
        stages = torch.stack([amount(name) for name in ("strength", "blur", "grain")])
        stages = stages * (uniform(0, 1, 3) < self.stage_p) * changed
        # those that come to one image share it: together they would drown what each of them keeps
        strength, soft, grain = stages / (stages > 0).sum(0, dtype=stages.dtype).clamp_min(1).sqrt()
        texture, light = amount("texture"), amount("light") * changed
        # a lens out of focus, or a part that moves: as wide along one axis as the other, or less
        across, along = uniform(0, 1), integers(2)
        ratio = torch.where(torch.stack([along == 0, along == 1], 1), 1.0, across[:, None])
        blur = soft[:, None] * ratio
        others = integers(max(1, count - 1))
        donors = torch.full_like(others, -1)
        if self.from_batch and count > 1:  # an image alone in its batch takes a style of the pack
            donors = (torch.arange(count, device="cpu") + 1 + others) % count
        return StylePlan(
            codes=codes,
            strength=strength,
            texture=texture,
            blur=blur,
            grain=grain,
            place=integers(NoiseField.PLACES),
            light=draw_light(light, generator),
            donors=donors,
            where=torch.ones(count, 1, 1, 1, dtype=torch.float32, device="cpu"),
            styles=tuple(
                self._name(int(a), int(b), float(w), int(d))
                for a, b, w, d in zip(first, second, share, donors, strict=True)
            ),
        )

    def _name(self, first: int, second: int, share: float, donor: int) -> str:
        if donor >= 0:
            return f"batch[{donor}]"
        if share == 0:
            return self.names[first]
        return f"{self.names[first]} + {share:.2f} {self.names[second]}"


_references: dict[tuple[str, str, int], Tensor] = {}


def _pool(pack: StylePack, styles: Styles) -> tuple[list[str], Tensor]:
    """Names and codes of all styles that may be drawn."""
    entries = [styles] if isinstance(styles, str | Path) else list(styles)
    if not entries:
        raise ValueError("styles must name at least one style, but is empty.")
    if "batch" in entries:
        raise ValueError("styles='batch' stands alone: it cannot be one of several entries.")
    known = {"all", *pack.names, *(tag for tags in pack.tags for tag in tags)}
    rows = pack.rows(str(e) for e in entries if e in known)  # a Path is never a tag or a name
    names, codes = [pack.names[r] for r in rows], [pack.codes[rows]]
    for entry in entries:
        if entry in known:
            continue
        path = Path(entry)
        if path.is_dir():
            files = find_images(path)
        elif path.is_file():
            files = [path]
        else:
            pack.rows(str(entry))  # raises, and says what there is
        for file in files:
            names.append(str(file))
            codes.append(_reference_code(pack, file))
    return names, torch.cat(codes)


def _reference_code(pack: StylePack, path: Path) -> Tensor:
    """The code (1, code_size) of a reference image, encoded once per process."""
    key = (pack.id, str(path.resolve()), path.stat().st_mtime_ns)
    if key not in _references:
        try:
            image = to_tensor(load_rgb(path))
        except OSError as error:
            raise ValueError(f"A reference image must be readable: {error}") from error
        _references[key] = pack.encode(image[None])
    return _references[key]
