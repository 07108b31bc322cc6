"""What lies between the part and the sensor: the camera's curve, blurs, and dust.

Images are (H, W, C) float64 arrays in [0, 1], C = 1 for gray ones and 3 for colour. Blur and light
add up in proportion to photons, so that the formulas work on *linear light*. Lengths are parts of
the longer side: a lens that is out of focus by so much blurs the same part of the field of view,
however many pixels the sensor has.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float64]

_PIXELS = 256
"""Blurs are given in pixels of an image whose longer side has this many."""


def to_linear(image: Image) -> Image:
    """Light in [0, 1] that a camera encodes as ``image``: the inverse of :func:`to_camera`."""
    image = image.clip(0, 1)
    bright = ((image + 0.099) / 1.099) ** (1 / 0.45)
    return np.where(image < 0.081, image / 4.5, bright)


def to_camera(light: Image) -> Image:
    """Encode linear light, clipped to [0, 1], by the camera curve of ITU-R BT.709 (part 1.2)."""
    light = light.clip(0, 1)
    bright = 1.099 * light**0.45 - 0.099
    return np.where(light < 0.018, 4.5 * light, bright)


def shoulder(light: Image, knee: float = 0.9) -> Image:
    """Saturate as sensors do: linear up to ``knee``, a parabola that is flat at 1, then clipped."""
    excess = (light - knee).clip(0, 2 * (1 - knee))
    return np.asarray(np.minimum(light, knee) + excess - excess**2 / (4 * (1 - knee)))


def places(image: Image) -> tuple[Image, Image]:
    """Pixel centres from the image's centre, in longer sides: y (H, 1, 1) and x (1, W, 1)."""
    height, width = image.shape[:2]
    longer = max(height, width)
    y = (np.arange(height) + 0.5 - height / 2) / longer
    x = (np.arange(width) + 0.5 - width / 2) / longer
    return y[:, None, None], x[None, :, None]


def random_place(image: Image, rng: np.random.Generator) -> tuple[float, float]:
    """A point (y, x) somewhere on the image, in the units of :func:`places`."""
    height, width = image.shape[:2]
    y, x = rng.uniform(-0.5, 0.5, 2) * (height, width) / max(height, width)
    return float(y), float(x)


def convolve(image: Image, psf: Image) -> Image:
    """Convolve each channel with a square ``psf`` of odd side; the image is mirrored at its rim."""
    reach = len(psf) // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    size = padded.shape[:2]
    transfer = np.fft.rfft2(psf, size)[..., None]
    blurred = np.fft.irfft2(np.fft.rfft2(padded, axes=(0, 1)) * transfer, size, axes=(0, 1))
    return blurred[2 * reach :, 2 * reach :]


def defocus(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Lens out of focus: each point becomes an even disk.

    Its radius is 0.8 to 4 px at 256 px: the circle of confusion of a part that lies too near or
    too far.
    """
    radius = (0.8, 1.3, 2.0, 2.9, 4.0)[severity - 1] * _scale(image)
    count = 256 + int(16 * radius**2)  # the points of a disk of many pixels leave no gaps
    step = np.arange(count) + 0.5
    distance = radius * np.sqrt(step / count)  # as many points in each area
    angle = step * np.pi * (3 - np.sqrt(5))  # the golden angle: no two points in one direction
    return _blur(image, distance * np.sin(angle), distance * np.cos(angle))


def vibration_blur(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Camera or part shakes while the shutter is open.

    The path is a sum of three oscillations on each axis, of 0.3 to 2.5 periods during the exposure;
    its distance from its own centre is 0.6 to 2.8 px at 256 px (root mean square), as
    that of a point's disk out of focus.
    """
    spread = (0.6, 0.95, 1.4, 2.05, 2.8)[severity - 1] * _scale(image)
    time = np.linspace(0, 1, 256 + int(64 * spread))
    periods = rng.uniform(0.3, 2.5, (2, 3, 1))
    phase = rng.uniform(0, 2 * np.pi, (2, 3, 1))
    swing = rng.standard_normal((2, 3, 1)) / periods  # slow oscillations reach farther
    path = (swing * np.sin(2 * np.pi * periods * time + phase)).sum(1)
    path -= path.mean(1, keepdims=True)
    y, x = path * spread / np.sqrt((path**2).sum(0).mean())
    return _blur(image, y, x)


def dust(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Grains and fibres on the optics, too near to be in focus: soft shadows on the sensor.

    4 to 14 spots with radii of 1 to 4 % of the longer side and 1 to 3 fibres, which take up to
    30 to 75 % of the light.
    """
    spots = (4, 6, 8, 11, 14)[severity - 1]
    fibres = (1, 1, 2, 2, 3)[severity - 1]
    darkest = (0.3, 0.41, 0.52, 0.63, 0.75)[severity - 1]
    y, x = places(image)
    passing = np.ones((*image.shape[:2], 1))
    for _ in range(spots):
        spot_y, spot_x = random_place(image, rng)
        distance = ((y - spot_y) ** 2 + (x - spot_x) ** 2) / rng.uniform(0.01, 0.04) ** 2
        # falls with the third power of the radius: even within, soft at the rim
        passing *= 1 - darkest * rng.uniform(0.5, 1) * np.exp(-(distance**1.5))
    for _ in range(fibres):
        distance = _fibre_distance(image, rng) / rng.uniform(0.006, 0.011) ** 2
        passing *= 1 - darkest * rng.uniform(0.5, 1) * np.exp(-distance)
    return to_camera(to_linear(image) * passing)


def _fibre_distance(image: Image, rng: np.random.Generator) -> Image:
    """Squared distance of each pixel (H, W, 1) from an arc 10 to 40 % of the longer side long."""
    y, x = places(image)
    middle_y, middle_x = random_place(image, rng)
    angle, length, bend = rng.uniform((0, 0.1, -0.4), (2 * np.pi, 0.4, 0.4))
    nearest = np.full((*image.shape[:2], 1), np.inf)
    for step in np.linspace(-0.5, 0.5, 48):  # 0.8 % apart at most, less than the fibre is wide
        along, across = length * step, length * bend * (1 - 4 * step**2)
        point_y = middle_y + along * np.sin(angle) + across * np.cos(angle)
        point_x = middle_x + along * np.cos(angle) - across * np.sin(angle)
        nearest = np.minimum(nearest, (y - point_y) ** 2 + (x - point_x) ** 2)
    return nearest


def _scale(image: Image) -> float:
    height, width = image.shape[:2]
    return float(max(height, width) / _PIXELS)


def _blur(image: Image, y: Image, x: Image) -> Image:
    """Spread each pixel's light evenly over points, in pixels from it; the image stays in place."""
    return to_camera(convolve(to_linear(image), _point_spread(y - y.mean(), x - x.mean())))


def _point_spread(y: Image, x: Image) -> Image:
    """Sum of points as a square kernel of sum 1; each is shared out among its four pixels."""
    reach = 1 + int(max(np.abs(y).max(), np.abs(x).max()))
    psf = np.zeros((2 * reach + 1, 2 * reach + 1))
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    below, right = y - row, x - column
    for down in (0, 1):
        for aside in (0, 1):
            share = np.abs(1 - down - below) * np.abs(1 - aside - right)
            np.add.at(psf, (row + down + reach, column + aside + reach), share)
    return np.asarray(psf / psf.sum())
