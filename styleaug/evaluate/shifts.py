"""Industrial shifts: what changes in a plant between training and use, at five severities.

Lamps move and age, cameras are replaced, lenses get dusty, the next batch has another finish. Each
shift is a formula of the physics that causes it, applied to one image. The suite is for tests: it
shares neither code nor parameters with what ``StyleAugment`` does to training images. No shift
moves a pixel, beyond the blur of two of them, so that labels stay true.

Severity 1 shows on a close look, 3 is a bad day in a plant, 5 the limit at which a person still
sees the defects. Gray images stay gray, but for ``colour_temperature``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from styleaug.evaluate.optics import (
    Image,
    convolve,
    defocus,
    dust,
    places,
    random_place,
    shoulder,
    to_camera,
    to_linear,
    vibration_blur,
)

Shift = Callable[[Image, int, np.random.Generator], Image]
"""Of an image (H, W, C) in [0, 1], C = 1 or 3, a severity 1 to 5, and a generator: -> the same.

``colour_temperature`` returns three channels always. A gray image has one channel: noise in three
equal ones would give them colours.
"""


def exposure(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Shutter or lamp power is off, up or down, by 0.2 to 1.4 stops; highlights clip.

    Down where up would clip half of the image: nobody leaves a camera at that.
    """
    light = to_linear(image)
    gain = 2 ** ((0.2, 0.45, 0.75, 1.05, 1.4)[severity - 1] * _sign(rng))
    gain = 1 / gain if gain > 1 and gain * np.median(light) > 0.9 else gain
    return to_camera(shoulder(light * gain))


def gradient_light(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """A small lamp above one rim of the image, instead of even light.

    A point lamp at height h gives the share (1 + (d / h)^2)^-1.5 at distance d (inverse square and
    cosine law). Heights are 2 to 0.65 of the longer side: 0.72 to 0.16 of the light is left at the
    far rim. Exposure makes up for half of the loss, in stops, so that the bright rim seldom clips.
    """
    height = (2.0, 1.4, 1.05, 0.82, 0.65)[severity - 1]
    angle = rng.uniform(0, 2 * np.pi)
    y, x = places(image)
    distance = (y - 0.5 * np.sin(angle)) ** 2 + (x - 0.5 * np.cos(angle)) ** 2
    share = (1 + distance / height**2) ** -1.5
    return to_camera(shoulder(to_linear(image) * share / np.sqrt(share.mean())))


def hot_spot(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """A glossy part mirrors the lamp: light is added that never carried the part's colours.

    The lobe is a Gaussian, up to twice as long as wide, with standard deviations of 0.12 to 0.36 of
    the longer side; its peak is 0.08 to 0.62 of white.
    """
    peak = (0.08, 0.16, 0.27, 0.42, 0.62)[severity - 1]
    spot_y, spot_x = random_place(image, rng)
    angle, width, ratio = rng.uniform((0, 0.12, 1), (np.pi, 0.18, 2))
    y, x = places(image)
    along = (x - spot_x) * np.cos(angle) + (y - spot_y) * np.sin(angle)
    across = (y - spot_y) * np.cos(angle) - (x - spot_x) * np.sin(angle)
    lobe = np.exp(-((along / ratio) ** 2 + across**2) / (2 * width**2))
    return to_camera(shoulder(to_linear(image) + peak * lobe))


def shadow_edge(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Something stands before the lamp: beyond a straight edge 0.85 to 0.3 of the light is left.

    The penumbra is what an edge leaves visible of a round lamp, 6 to 18 % of the longer side wide.
    """
    left = (0.85, 0.7, 0.56, 0.43, 0.3)[severity - 1]
    angle, offset, reach = rng.uniform((0, -0.2, 0.03), (2 * np.pi, 0.2, 0.09))
    y, x = places(image)
    across = ((y * np.sin(angle) + x * np.cos(angle) - offset) / reach).clip(-1, 1)
    visible = 0.5 + (across * np.sqrt(1 - across**2) + np.arcsin(across)) / np.pi
    return to_camera(to_linear(image) * (left + (1 - left) * visible))


def colour_temperature(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """White balance of 4000 K under a lamp that is 20 to 130 mired warmer or cooler.

    Each channel sees Planck's law at its own wavelength; a lamp of phosphors or gas also lies up
    to a tenth (of the same log gain) off the Planckian locus, to green or magenta. The camera's
    filters overlap, so that the gains apply to its raw colours. Gray images get a colour cast.
    """
    mired = (20, 42, 67, 96, 130)[severity - 1] * _sign(rng)
    gain = _planck(1e6 / (250 + mired)) / _planck(4000.0)
    tint = 0.1 * rng.uniform(-1, 1) * np.log(gain[0] / gain[2])
    gain *= np.exp(tint * np.array([-0.5, 1, -0.5]))
    correction = _FILTERS_INVERSE @ np.diag(gain) @ _FILTERS
    correction /= _LUMA @ correction.sum(1)  # exposure holds the brightness of a white part
    light = np.broadcast_to(to_linear(image), (*image.shape[:2], 3))
    return to_camera(light @ correction.T)


def sensor_response(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Another sensor: steeper or flatter about a pivot in the mid-tones, and another gamma.

    Light E becomes (1 + q) E^n / (1 + q E^n), saturation as in a photoreceptor (Naka and Rushton
    1966). n is 1.12 to 1.7 (toe and shoulder) or the inverse (lifted blacks); q is such that the
    pivot, 0.1 to 0.4 of white, stays. The gamma is off by a factor of 1.06 to 1.32.
    """
    slope = (1.12, 1.25, 1.4, 1.55, 1.7)[severity - 1] ** _sign(rng)
    gamma = (1.06, 1.12, 1.18, 1.25, 1.32)[severity - 1] ** _sign(rng)
    pivot = rng.uniform(0.1, 0.4)
    saturation = (pivot - pivot**slope) / (pivot**slope * (1 - pivot))
    power = to_linear(image) ** slope
    return to_camera((1 + saturation) * power / (1 + saturation * power)) ** gamma


def sensor_noise(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """A dim lamp made up for by gain: 1500 to 100 photoelectrons at white, not many thousands.

    Their number is a Poisson variable (shot noise); the read-out adds one electron of noise in each
    pixel and 0.6 in each row (standard deviations).
    """
    white = (1500, 650, 320, 170, 100)[severity - 1]
    electrons = rng.poisson(to_linear(image) * white)
    read_out = rng.standard_normal(image.shape) + 0.6 * rng.standard_normal((len(image), 1, 1))
    return to_camera((electrons + read_out) / white)


def finish_change(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Another finish of the same part: its grain stands out by a factor of 1.3 to 2.5, or fades.

    Luminance is split on a logarithmic scale, where a ratio of reflectances is a difference, by a
    guided filter (He et al. 2013) with windows of 3 to 8 % of the longer side. Steps of the base
    stay; the rest is multiplied by the factor or its inverse.
    """
    gain = (1.3, 1.55, 1.85, 2.15, 2.5)[severity - 1] ** _sign(rng)
    reach = round(max(image.shape[:2]) * rng.uniform(0.015, 0.04))
    light = to_linear(image)
    tone = np.log(light.mean(2, keepdims=True) + 0.02)  # below 2 % of white there is only noise
    detail = tone - _guided_base(tone, reach)
    return to_camera(light * np.exp((gain - 1) * detail))


SHIFTS: dict[str, Shift] = {
    "exposure": exposure,
    "gradient_light": gradient_light,
    "hot_spot": hot_spot,
    "shadow_edge": shadow_edge,
    "colour_temperature": colour_temperature,
    "sensor_response": sensor_response,
    "defocus": defocus,
    "sensor_noise": sensor_noise,
    "vibration_blur": vibration_blur,
    "dust": dust,
    "finish_change": finish_change,
}


_LUMA = np.array([0.2126, 0.7152, 0.0722])
"""Luminance of red, green and blue of ITU-R BT.709."""
_WAVELENGTHS = np.array([605.0, 540.0, 455.0])
"""Where red, green and blue filters of usual sensors pass most, in nm."""
_FILTERS = np.array([[0.80, 0.17, 0.03], [0.09, 0.80, 0.11], [0.02, 0.18, 0.80]])
"""Raw colours of a usual sensor from red, green and blue light; white stays white."""
_FILTERS_INVERSE = np.linalg.inv(_FILTERS)


def _sign(rng: np.random.Generator) -> int:
    """Up or down: 1 or -1."""
    return 1 if rng.random() < 0.5 else -1


def _planck(kelvin: float) -> npt.NDArray[np.float64]:
    """Radiance of a black body in red, green and blue light, but for a common factor."""
    exponent = 1.4388e7 / (_WAVELENGTHS * kelvin)  # second radiation constant, nm K
    return np.asarray(1 / (_WAVELENGTHS**5 * np.expm1(exponent)))


def _guided_base(tone: Image, reach: int) -> Image:
    """What a self-guided filter keeps of ``tone`` (H, W, 1): its steps, without its grain.

    Windows where the standard deviation of the log luminance exceeds 0.5 (a ratio of 1.65) hold a
    step rather than grain.
    """
    side = 2 * reach + 1
    window = np.full((side, side), 1 / side**2)
    mean, square = np.split(convolve(np.concatenate([tone, tone**2], 2), window), 2, axis=2)
    variance = (square - mean**2).clip(0)
    slope = variance / (variance + 0.25)
    both = convolve(np.concatenate([slope, mean - slope * mean], 2), window)
    return both[..., :1] * tone + both[..., 1:]
