"""Procedural light: illumination fields and tone curves. It moves no edge and keeps local contrast.

A network with instance norms takes the input's illumination out and puts the style's in, so it
teaches a detector little about lamps. This stage does: ``out = curve(images * field)``.
"""

from __future__ import annotations

from math import log, pi

import torch
from torch import Tensor
from torch.nn import functional as F

# Each parameter: the value that does nothing, and the range of the full draw. A draw of amount t
# lies t of the way from the neutral value to a random point of the range.
PARAMETERS: dict[str, tuple[float, float, float]] = {
    # field, as log gains: exp(0.9) is 1.3 stops
    "exposure": (0.0, -0.9, 0.9),  # log gain of the whole image
    "gradient": (
        0.0,
        0.0,
        0.9,
    ),  # log gain from the centre to the bright end; opposite at the other
    "gradient_angle": (0.0, 0.0, 2 * pi),  # radians
    "spot": (0.0, -0.5, 1.2),  # log gain at the centre of a hot spot (or a shaded one)
    "spot_x": (0.5, 0.0, 1.0),  # of the width
    "spot_y": (0.5, 0.0, 1.0),  # of the height
    "spot_size": (0.4, 0.2, 0.6),  # standard deviation, of the longer side
    "vignette": (0.0, 0.0, 1.0),  # log loss in the corners
    "shadow": (0.0, 0.0, 1.2),  # log loss behind a shadow edge
    "shadow_angle": (0.0, 0.0, 2 * pi),
    "shadow_place": (0.0, -0.5, 0.5),  # distance of the edge from the centre, of the longer side
    # curve
    "gamma": (0.0, -0.5, 0.5),  # log exponent
    "black": (0.0, 0.0, 0.35),  # lifted black level: haze, stray light
    "white": (0.0, 0.0, 0.35),  # lowered white level
    "temperature": (0.0, -0.2, 0.2),  # log gain of red, and loss of blue
    "invert": (0.0, 0.0, 1.0),  # dark field: above 0.5 the polarity turns round
}
NAMES = tuple(PARAMETERS)
# Where a fault lies, and whether the polarity turns round, do not shrink with the amount.
_WHOLE = {
    "gradient_angle",
    "spot_x",
    "spot_y",
    "spot_size",
    "shadow_angle",
    "shadow_place",
    "invert",
}
# A real lamp has one or two of these faults at a time; all at once teach less.
_FREQUENCY = {
    "exposure": 0.8,
    "gradient": 0.5,
    "spot": 0.35,
    "vignette": 0.3,
    "shadow": 0.25,
    "gamma": 0.6,
    "black": 0.35,
    "white": 0.35,
    "temperature": 0.4,
    "invert": 0.05,
}
_SHADOW_WIDTH = 0.08
"""From 10 % to 90 % of a shadow edge, of the longer side: a penumbra, too soft for a crack."""
_LARGEST_GAIN = 1.2
"""Log gain that all faults together approach: a factor of 3.3."""
_FIELD_SIZE = 64
"""Fields are computed on a grid of this many cells and interpolated: they are smooth."""


def draw_light(amount: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw light parameters.

    Args:
        amount: how far from neutral, in [0, 1], per image (B,).
        generator: CPU generator; torch's global one if not given.

    Returns:
        (B, len(NAMES)), float32 on the CPU; rows of amount 0 are neutral.
    """

    def uniform() -> Tensor:
        return amount.new_empty(len(amount), len(NAMES)).uniform_(generator=generator)

    neutral, low, high = amount.new_tensor([PARAMETERS[name] for name in NAMES]).T
    whole = torch.tensor([name in _WHOLE for name in NAMES], device=amount.device)
    frequency = amount.new_tensor([_FREQUENCY.get(name, 1.0) for name in NAMES])
    target = low + (high - low) * uniform()
    chosen = uniform() < frequency
    drawn = neutral + torch.where(whole, 1.0, amount[:, None]) * (target - neutral)
    drawn[:, NAMES.index("invert")] = 1.0
    return torch.where(chosen & (amount[:, None] > 0), drawn, neutral)


def is_neutral(light: Tensor) -> Tensor:
    """Which rows of light parameters (B, len(NAMES)) change nothing: -> (B,), bool."""
    acting = [i for i, name in enumerate(NAMES) if name in _FREQUENCY]
    neutral = light.new_tensor([PARAMETERS[NAMES[i]][0] for i in acting])
    return (light[:, acting] == neutral).all(1)


def relight(images: Tensor, light: Tensor) -> Tensor:
    """Put images under another lamp and sensor response.

    Args:
        images: (B, C, H, W), float, C = 1 or 3; clamped to [0, 1].
        light: (B, len(NAMES)), from :func:`draw_light`, on the images' device.

    Returns:
        (B, C, H, W), float in [0, 1].
    """
    value = {name: light[:, i, None, None, None] for i, name in enumerate(NAMES)}
    gain = _field(value, *images.shape[-2:])
    if images.shape[1] == 3:
        warm = torch.cat([value["temperature"], 0 * value["temperature"], -value["temperature"]], 1)
        gain = gain + warm
    gain = gain.exp()
    images = images.clamp(0, 1)  # a restyling may overshoot, and no power of less than 0 is real
    # below 1 plain dimming; above 1 a shoulder that maps white on white and clips nothing, so that
    # a bright defect on a bright surface survives overexposure
    out = images * gain / (1 + (gain - 1).clamp_min(0) * images)
    # the offset keeps the slope finite at black
    out = (out + 1e-4) ** value["gamma"].exp()
    black, white = value["black"], 1 - value["white"]
    out = black + (white - black) * out
    out = torch.where(value["invert"] > 0.5, 1 - out, out)
    return out.clamp(0, 1)


def _field(value: dict[str, Tensor], height: int, width: int) -> Tensor:
    """Log gain of the lamp at each pixel: (B, 1, H, W)."""
    device = value["exposure"].device
    rows, columns = min(height, _FIELD_SIZE), min(width, _FIELD_SIZE)
    longer = max(height, width)
    # pixel centres, from the image's centre, in units of the longer side
    y = ((torch.arange(rows, device=device) + 0.5) / rows - 0.5).view(1, 1, -1, 1) * (
        height / longer
    )
    x = ((torch.arange(columns, device=device) + 0.5) / columns - 0.5).view(1, 1, 1, -1) * (
        width / longer
    )

    def along(angle: Tensor) -> Tensor:
        return x * angle.cos() + y * angle.sin()

    spot_x = (value["spot_x"] - 0.5) * (width / longer)
    spot_y = (value["spot_y"] - 0.5) * (height / longer)
    distance = ((x - spot_x).square() + (y - spot_y).square()) / value["spot_size"].square()
    radius = (x.square() + y.square()) / (0.25 * (height**2 + width**2) / longer**2)
    behind = torch.sigmoid(
        2 * log(9) * (along(value["shadow_angle"]) - value["shadow_place"]) / _SHADOW_WIDTH
    )
    field = (
        value["exposure"]
        + value["gradient"] * 2 * along(value["gradient_angle"])
        + value["spot"] * (-0.5 * distance).exp()
        - value["vignette"] * radius
        - value["shadow"] * behind
    )
    # faults add up; beyond 1.7 stops even a good exposure control gives up, and defects drown
    field = _LARGEST_GAIN * (field / _LARGEST_GAIN).tanh()
    return F.interpolate(field, size=(height, width), mode="bilinear", align_corners=False)
