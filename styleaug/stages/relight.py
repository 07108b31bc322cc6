"""``Relight``: procedural illumination fields and tone curves."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor

from styleaug.images.checks import check_range
from styleaug.nn.resample import interpolate
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
_SHADOW_WIDTH = 0.08
"""From 10 % to 90 % of a shadow edge, of the longer side: a penumbra, too soft for a crack."""
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
    """Put images under another lighting and sensor response. No edge moves, nothing is clipped.

    ``out = curve(veil(images * field))``. The field is smooth: gradient, hot spot, vignette, shadow
    edge, bands of a pulsed lamp, colour temperature and tint. The veil is haze. The curve is the
    sensor's: gamma, S-shaped response, contrast, rarely the polarity of a dark field. A network
    with instance norms takes the input's illumination out, so :class:`~styleaug.Restyle` teaches a
    detector little of this.

    Args:
        strength: range of how far from neutral a draw lies, in [0, 1]; 1 is exposure by 1.3 stops,
            and three or four faults such as a gradient, a shadow or haze.
        p: probability that an image is changed.

    Shape:
        As of :class:`~styleaug.StyleAugment`.

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
    # known on the CPU: what none of the images has costs nothing
    has = {name: bool((values[:, i] != 0).any()) for i, name in enumerate(NAMES)}
    stretches = bool((values[:, NAMES.index("contrast")] > 0).any())
    values = values.to(images.device, non_blocking=True)
    value = {name: values[:, i, None, None, None] for i, name in enumerate(NAMES)}
    size = images.shape[-2:]
    gain, veil = _fields(value, *size)
    gain = interpolate(gain, size).exp_()
    if images.shape[1] == 3 and (has["temperature"] or has["tint"]):
        warm, green = value["temperature"], value["tint"]
        gain = gain * torch.cat([warm - green / 2, green, -warm - green / 2], 1).exp()
    out = images.clamp(0, 1)  # a restyling may overshoot, and no power of less than 0 is real
    # below 1 plain dimming; above 1 a shoulder that maps white on white and clips nothing, so that
    # a bright defect on a bright surface survives overexposure
    shoulder = (gain - 1).clamp_min_(0)
    if gain.shape[1] == out.shape[1]:
        shoulder = shoulder.mul_(out).add_(1)
    else:
        shoulder = (shoulder * out).add_(1)
    out.mul_(gain).div_(shoulder)
    del gain, shoulder
    if has["haze"]:
        out.lerp_(value["haze_level"].expand_as(out), interpolate(veil, size).expand_as(out))
    if has["gamma"]:  # the offset keeps the slope finite at black
        out.add_((value["gamma"] != 0) * 1e-4).log_().mul_(value["gamma"].exp()).exp_()
    if has["response"]:  # out + response * out * (1 - out) * (2 * out - 1)
        response = value["response"]
        out.mul_((out * (-2 * response)).add_(3 * response).mul_(out).add_(1 - response))
    if has["contrast"]:
        _stretch(out, value["contrast"].exp(), value["contrast_level"], shoulders=stretches)
    if has["invert"]:
        turned = (value["invert"] > 0.5).to(out.dtype)
        out.mul_(1 - 2 * turned).add_(turned)
    return out.clamp_(0, 1)


def _stretch(x: Tensor, gain: Tensor, level: Tensor, *, shoulders: bool) -> None:
    """Differences from a level by a gain, in place; above 1 with shoulders that keep both ends."""
    x.sub_(level)
    if shoulders:
        excess = (gain - 1).clamp_min(0)
        up, down = ((excess / room.clamp_min(1e-4)) for room in (1 - level, level))
        # one of both is 0 everywhere
        bent = (x.clamp_min(0) * up).sub_(x.clamp_max(0).mul_(down)).add_(1)
        x.div_(bent)
    x.mul_(gain).add_(level)


def _places(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixel centres of the coarse grid from the image's centre, in units of the longer side.

    Returns:
        x (1, 1, 1, columns) and y (1, 1, rows, 1).
    """

    def axis(length: int) -> Tensor:
        cells = min(length, _FIELD_SIZE)
        centres = torch.arange(cells, device=device, dtype=torch.float32) + 0.5
        return (centres / cells - 0.5) * (length / max(height, width))

    return axis(width).view(1, 1, 1, -1), axis(height).view(1, 1, -1, 1)


def _fields(value: dict[str, Tensor], height: int, width: int) -> tuple[Tensor, Tensor]:
    """Log gain of the lighting, share of the veil, on the coarse grid: (B, 1, rows, columns)."""
    x, y = _places(height, width, value["exposure"].device)
    longer = max(height, width)

    def along(angle: Tensor) -> Tensor:
        return x * angle.cos() + y * angle.sin()

    spot_x = (value["spot_x"] - 0.5) * (width / longer)
    spot_y = (value["spot_y"] - 0.5) * (height / longer)
    distance = ((x - spot_x).square() + (y - spot_y).square()) / value["spot_size"].square()
    radius = (x.square() + y.square()) / (0.25 * (height**2 + width**2) / longer**2)
    behind = torch.sigmoid(
        2 * log(9) * (along(value["shadow_angle"]) - value["shadow_place"]) / _SHADOW_WIDTH
    )
    across = torch.where(value["strobe_axis"] > 0.5, x, y)
    bands = (2 * pi * across / value["strobe_period"] + value["strobe_phase"]).sin()
    field = (
        value["exposure"]
        + value["gradient"] * 2 * along(value["gradient_angle"])
        + value["spot"] * (-0.5 * distance).exp()
        - value["vignette"] * radius
        - value["shadow"] * behind
        + value["strobe"] * bands
    )
    # faults add up; beyond 1.7 stops even a good exposure control gives up, and defects drown
    field = _LARGEST_GAIN * (field / _LARGEST_GAIN).tanh()
    # from nearly none to nearly all in the direction of the angle
    veil = value["haze"] * torch.sigmoid(4 * along(value["haze_angle"]))
    return field, veil
