"""``Relight``: procedural illumination fields and tone curves."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor

from styleaug.images.checks import check_range
from styleaug.nn.resample import bands_of, interpolate
from styleaug.stages.base import Stage
from styleaug.stages.params import Params, Range, rows, uniform

# Each parameter: the value that does nothing, and the range of the full draw. A draw of amount t
# lies t of the way from the neutral value to a random point of the range.
PARAMETERS: dict[str, tuple[float, float, float]] = {
    # field: log gains of the lighting; exp(0.9) is 1.3 stops. A second name says where.
    "exposure": (0.0, -0.9, 0.9),  # of the whole image
    "gradient": (0.0, 0.0, 0.9),  # from the centre to the bright end; opposite at the other
    "gradient_angle": (0.0, 0.0, 2 * pi),  # radians
    "spot": (0.0, -0.5, 1.2),  # at the centre of a hot spot (or a shaded one)
    "spot_x": (0.5, 0.0, 1.0),  # of the width
    "spot_y": (0.5, 0.0, 1.0),  # of the height
    "spot_size": (0.4, 0.2, 0.6),  # standard deviation, of the longer side
    "vignette": (0.0, 0.0, 1.0),  # loss in the corners
    "shadow": (0.0, 0.0, 1.2),  # loss behind a shadow edge
    "shadow_angle": (0.0, 0.0, 2 * pi),
    "shadow_place": (0.0, -0.5, 0.5),  # distance of the edge from the centre, of the longer side
    "strobe": (0.0, 0.0, 0.2),  # half the swing of bands: pulsed lamp and rolling shutter
    "strobe_axis": (0.0, 0.0, 1.0),  # above 0.5 the bands are columns (line cameras), else rows
    "strobe_period": (0.4, 0.2, 0.6),  # of the longer side
    "strobe_phase": (0.0, 0.0, 2 * pi),
    "temperature": (0.0, -0.2, 0.2),  # gain of red, and loss of blue
    "tint": (0.0, -0.15, 0.15),  # gain of green, and half that loss of red and blue
    # veil: light that never saw the surface
    "haze": (0.0, 0.0, 0.45),  # its share at the dense end
    "haze_level": (0.7, 0.4, 1.0),  # its brightness
    "haze_angle": (0.0, 0.0, 2 * pi),  # towards the dense end
    # curve: sensor and processing
    "gamma": (0.0, -0.5, 0.5),  # log exponent
    "response": (0.0, -0.7, 0.7),  # S curve, steep in the middle; negative, steep at the ends
    "contrast": (0.0, -1.2, 0.4),  # log gain of differences: exp(-1.2) leaves 0.3 of them
    "contrast_level": (0.5, 0.1, 0.9),  # the level that stays
    "invert": (0.0, 0.0, 1.0),  # dark field: above 0.5 the polarity turns round
}
NAMES = tuple(PARAMETERS)
# Where a fault lies, and whether the polarity turns round, do not shrink with the amount.
_WHOLE = {name for name in NAMES if "_" in name} | {"invert"}
# Each lighting has its exposure, and three or four of these faults; all at once teach less.
_FREQUENCY = {
    "exposure": 1.0,
    "gradient": 0.4,
    "spot": 0.3,
    "vignette": 0.25,
    "shadow": 0.2,
    "strobe": 0.1,
    "temperature": 0.3,
    "tint": 0.2,
    "haze": 0.3,
    "gamma": 0.5,
    "response": 0.3,
    "contrast": 0.5,
    "invert": 0.05,
}
_AMOUNTS = [i for i, name in enumerate(NAMES) if name in _FREQUENCY]
_STEEPNESS = 2 * log(9) / 0.08
"""Of a shadow's edge: from 10 % to 90 % within 0.08 of the longer side, a penumbra that is too soft
for a crack."""
_LARGEST_GAIN = 1.2
"""Log gain that all faults together approach: a factor of 3.3."""
_FIELD_SIZE = 64
"""Fields are computed on a grid of this many cells and interpolated: they are smooth."""


@dataclass(frozen=True, eq=False)
class RelightParams(Params):
    """Lighting and sensor response of each image.

    Attributes:
        values: by the names of :data:`PARAMETERS` (B, 25).
    """

    values: Tensor = rows(
        torch.float32,
        len(NAMES),
        low=tuple(min(values) for values in PARAMETERS.values()),
        high=tuple(max(values) for values in PARAMETERS.values()),
    )

    @property
    def active(self) -> Tensor:
        """Which images change (B,), bool."""
        return (self.values[:, _AMOUNTS] != 0).any(1)

    def scaled(self, factor: Tensor) -> RelightParams:
        """Every amount nearer to neutral; where a fault lies stays."""
        scaled = torch.where(_is_amount(), self.values * factor[:, None], self.values)
        neutral = neutral_values(len(self))
        return RelightParams(torch.where(factor[:, None] > 0, scaled, neutral))

    def describe(self, row: int) -> dict[str, str | float]:
        """What acts: spot_x counts where spot acts, and so on."""
        values = dict(zip(NAMES, self.values[row].tolist(), strict=True))
        return {n: round(value, 4) for n, value in values.items() if values[n.split("_")[0]]}


class Relight(Stage):
    """Change lighting and sensor response of images. No edge moves, nothing is clipped.

    ``out = curve(veil(images * field))``. The field is smooth: gradient, hot spot, vignette, shadow
    edge, flicker bands, colour temperature and tint. The veil is haze. The curve is the sensor's:
    gamma, S-shaped response, contrast, rarely the polarity of a dark field.
    :class:`~styleaug.Restyle` does not replace this stage, since instance norms remove the
    illumination of the input.

    Args:
        strength: range (lo, hi) of the deviation from neutral, in [0, 1], or a number; 1 is
            exposure by 1.3 stops, and three or four effects such as a gradient, a shadow or haze.
        p: probability that an image is changed.

    Shape:
        As for :class:`~styleaug.StyleAugment`.

    Examples:
        >>> import torch
        >>> Relight(strength=0.5)(torch.rand(3, 32, 48)).shape
        torch.Size([3, 32, 48])
    """

    params_type = RelightParams
    amount = "strength"
    shares = False

    def __init__(self, *, strength: Range = (0.2, 1.0), p: float = 1.0) -> None:
        super().__init__(p)
        self.strength = check_range("strength", strength, 0, 1)

    def draw(self, count: int, generator: torch.Generator | None = None) -> RelightParams:
        """Draw lighting and response for each image."""
        amount = uniform(count, generator, *self.strength)[:, None]

        def table() -> Tensor:
            return uniform(count * len(NAMES), generator).view(count, len(NAMES))

        neutral, low, high = torch.tensor(
            list(PARAMETERS.values()), dtype=torch.float32, device="cpu"
        ).T
        target = low + (high - low) * table()
        frequency = [_FREQUENCY.get(name, 1.0) for name in NAMES]
        chosen = table() < torch.tensor(frequency, dtype=torch.float32, device="cpu")
        drawn = neutral + torch.where(_is_amount(), amount, 1.0) * (target - neutral)
        drawn[:, NAMES.index("invert")] = 1.0
        return RelightParams(torch.where(chosen & (amount > 0), drawn, neutral))

    def apply(self, images: Tensor, params: RelightParams) -> Tensor:
        """Change images (B, C, H, W), float; clamped to [0, 1]."""
        return relight(images, params.values)


def _is_amount() -> Tensor:
    return torch.tensor([name not in _WHOLE for name in NAMES], device="cpu")


def neutral_values(count: int) -> Tensor:
    """Values (count, 25) that change nothing, float32 on the CPU."""
    values = [neutral for neutral, _, _ in PARAMETERS.values()]
    return torch.tensor(values, dtype=torch.float32, device="cpu").expand(count, -1)


def relight(images: Tensor, values: Tensor) -> Tensor:
    """Put images under another lighting and sensor response.

    Args:
        images: (B, C, H, W), float, C = 1 or 3; clamped to [0, 1].
        values: of :class:`RelightParams` (B, 25), on the CPU.

    Returns:
        (B, C, H, W), float in [0, 1].
    """
    size = images.shape[-2:]
    value = {name: values[:, i] for i, name in enumerate(NAMES)}
    # known on the CPU: what none of the images has costs nothing
    has = {name for name in _FREQUENCY if bool((value[name] != 0).any())}
    across, down, factors = _across(value, *size), _down(value, *size), _factors(value)
    table = torch.stack(list(factors.values()), dim=1)
    sent = torch.cat([across.flatten(1), down.flatten(1), table], dim=1)
    sent = sent.to(images.device, non_blocking=True)  # all at once
    sizes = [5 * across.shape[2], 5 * down.shape[2], len(factors)]
    first, second, table = torch.split(sent, sizes, dim=1)
    factor = dict(zip(factors, table[:, :, None, None, None].unbind(1), strict=True))
    planes = torch.add(
        first.reshape(len(sent), 5, 1, across.shape[2]),
        second.reshape(len(sent), 5, down.shape[2], 1),
    )
    field, spot, shadow, strobe, veil = torch.split(planes, 1, dim=1)
    for name, shape in (("spot", spot.exp), ("shadow", shadow.sigmoid), ("strobe", strobe.sin)):
        if name in has:
            field = torch.addcmul(field, factor[name], shape())
    # faults add up; beyond 1.7 stops even a good exposure control gives up, and defects drown
    field = field.tanh().mul_(_LARGEST_GAIN)
    veil = veil.sigmoid().mul_(factor["haze"])
    shoulders = bool((value["contrast"] > 0).any())
    result = torch.empty_like(images, memory_format=torch.contiguous_format)
    for band in bands_of(images):
        gain = interpolate(field, size, band).exp_()
        if images.shape[1] == 3 and has & {"temperature", "tint"}:
            gain = gain * torch.cat([factor[name] for name in ("red", "green", "blue")], dim=1)
        # a restyling may overshoot, and no power of less than 0 is real
        out = torch.clamp(images[:, :, band], 0, 1, out=result[:, :, band])
        # below 1 plain dimming; above 1 a shoulder that maps white on white and clips nothing, so
        # that a bright defect on a bright surface survives overexposure
        excess = (gain - 1).clamp_min_(0)
        shoulder = excess.mul_(out) if gain.shape == out.shape else excess * out
        out.mul_(gain).div_(shoulder.add_(1))
        if "haze" in has:
            share = interpolate(veil, size, band)
            out.lerp_(factor["haze_level"].expand_as(out), share.expand_as(out))
        _respond(out, factor, has, shoulders=shoulders)
    return result


def _respond(x: Tensor, factor: dict[str, Tensor], has: set[str], *, shoulders: bool) -> None:
    """The sensor's curve, in place."""
    if "gamma" in has:
        x.add_(factor["offset"]).log_().mul_(factor["gamma"]).exp_()
    if "response" in has:  # x + response * x * (1 - x) * (2 * x - 1)
        bent = (x * factor["cubic"]).add_(factor["square"]).mul_(x).add_(factor["linear"])
        x.mul_(bent)
    if "contrast" in has:
        x.sub_(factor["level"])
        if shoulders:  # that keep black and white
            room = x.clamp_min(0).mul_(factor["above"])
            x.div_(room.addcmul_(x.clamp_max(0), factor["below"], value=-1).add_(1))
        x.mul_(factor["contrast"]).add_(factor["level"])
    if "invert" in has:
        x.mul_(factor["sign"]).add_(factor["inverted"])
    x.clamp_(0, 1)


def _factors(value: dict[str, Tensor]) -> dict[str, Tensor]:
    """What pixels are multiplied by or added to, of each image: (B,) by name."""
    warm, green, response = value["temperature"], value["tint"], value["response"]
    contrast, level = value["contrast"].exp(), value["contrast_level"]
    excess = (contrast - 1).clamp_min(0)
    inverted = (value["invert"] > 0.5).to(level)
    return {
        "spot": value["spot"] / _LARGEST_GAIN,
        "shadow": -value["shadow"] / _LARGEST_GAIN,
        "strobe": value["strobe"] / _LARGEST_GAIN,
        "red": (warm - green / 2).exp(),
        "green": green.exp(),
        "blue": (-warm - green / 2).exp(),
        "haze": value["haze"],
        "haze_level": value["haze_level"],
        "offset": (value["gamma"] != 0).to(level) * 1e-4,  # keeps the slope finite at black
        "gamma": value["gamma"].exp(),
        "cubic": -2 * response,
        "square": 3 * response,
        "linear": 1 - response,
        "level": level,
        "contrast": contrast,
        "above": excess / (1 - level).clamp_min(1e-4),
        "below": excess / level.clamp_min(1e-4),
        "sign": 1 - 2 * inverted,
        "inverted": inverted,
    }


# Of the light, five planes lie on the coarse grid, each the sum of a part across and a part down:
# the linear part of the log gain over its bound; the exponent of the hot spot; how far behind the
# shadow's edge; the phase of the bands; the density of the haze.


def _across(value: dict[str, Tensor], height: int, width: int) -> Tensor:
    """What changes from column to column: (B, 5, columns)."""
    x = _places(width, height, width)
    column = {name: entry[:, None] for name, entry in value.items()}
    vignette = column["vignette"] * (4 * max(height, width) ** 2 / (height**2 + width**2))
    spot_x = (column["spot_x"] - 0.5) * (width / max(height, width))
    period = column["strobe_period"].masked_fill(column["strobe_axis"] <= 0.5, torch.inf)
    planes = (
        (column["gradient"] * 2 * column["gradient_angle"].cos() * x - vignette * x * x)
        / _LARGEST_GAIN,
        -0.5 * ((x - spot_x) / column["spot_size"]).square(),
        _STEEPNESS * column["shadow_angle"].cos() * x,
        2 * pi * x / period,
        # from nearly none to nearly all in the direction of the angle
        4 * column["haze_angle"].cos() * x,
    )
    return torch.stack(planes, dim=1)


def _down(value: dict[str, Tensor], height: int, width: int) -> Tensor:
    """What changes from row to row: (B, 5, rows)."""
    y = _places(height, height, width)
    column = {name: entry[:, None] for name, entry in value.items()}
    vignette = column["vignette"] * (4 * max(height, width) ** 2 / (height**2 + width**2))
    spot_y = (column["spot_y"] - 0.5) * (height / max(height, width))
    period = column["strobe_period"].masked_fill(column["strobe_axis"] > 0.5, torch.inf)
    gradient = column["gradient"] * 2 * column["gradient_angle"].sin() * y
    planes = (
        (column["exposure"] + gradient - vignette * y * y) / _LARGEST_GAIN,
        -0.5 * ((y - spot_y) / column["spot_size"]).square(),
        _STEEPNESS * (column["shadow_angle"].sin() * y - column["shadow_place"]),
        2 * pi * y / period + column["strobe_phase"],
        4 * column["haze_angle"].sin() * y,
    )
    return torch.stack(planes, dim=1)


def _places(length: int, height: int, width: int) -> Tensor:
    """Centres of the coarse grid's cells from the image's centre, in units of the longer side."""
    cells = min(length, _FIELD_SIZE)
    centres = torch.arange(cells, device="cpu", dtype=torch.float32) + 0.5
    return (centres / cells - 0.5) * (length / max(height, width))
