"""What procedural finishes are drawn with: seeded noise and patterns, and the light on a surface.

A family of :mod:`styleaug.styles.procedural.families` draws a :class:`Surface` with a :class:`Draw`, and
:func:`shade` lights it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, exp, log, pi, sin
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

_T = TypeVar("_T")

TABLE = 64
"""Random properties of cells repeat after this many cells: more than a picture shows."""


# --- spectra: amplitude as a function of squared frequency, in cycles per feature length


def smooth(r2: Tensor) -> Tensor:
    """Blobs of one size, smooth."""
    return (-2.2 * r2).exp()


def humps(r2: Tensor) -> Tensor:
    """Bumps at one typical distance: what flowing or blasting leaves."""
    return r2 * (-r2).exp()


def fractal(r2: Tensor) -> Tensor:
    """Relief on all scales below the feature length."""
    return (1 + 4 * r2) ** -0.9


def grainy(r2: Tensor) -> Tensor:
    """Like :func:`fractal`, grainier."""
    return (1 + 4 * r2) ** -0.5


class Draw:
    """Random numbers, coordinates and textures of one picture."""

    def __init__(self, family: str, index: int, size: int, device: torch.device | str) -> None:
        digest = hashlib.sha256(f"{family}:{index}".encode()).digest()
        self.generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        self.size, self.device = size, device
        axis = torch.arange(size, device=device) - (size - 1) / 2
        self.y, self.x = torch.meshgrid(axis, axis, indexing="ij")

    # numbers

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def scale(self, low: float, high: float) -> float:
        """Log-uniform: for lengths and gains."""
        return exp(self.uniform(log(low), log(high)))

    def chance(self, p: float) -> bool:
        """True with probability ``p``."""
        return self.uniform(0, 1) < p

    def pick(self, choices: Sequence[_T]) -> _T:
        """One of the choices."""
        return choices[min(int(self.uniform(0, len(choices))), len(choices) - 1)]

    def angle(self) -> float:
        """Radians. Half of all parts lie straight under their camera, or nearly."""
        straight = self.pick((0, 0.5)) * pi + self.uniform(-0.05, 0.05)
        return straight if self.chance(0.5) else self.uniform(0, pi)

    def random(self, *shape: int) -> Tensor:
        """Numbers in [0, 1), on the device."""
        return torch.rand(shape, generator=self.generator).to(self.device)

    def colour(self, palette: Sequence[str], gain: float = 1.25) -> Tensor:
        """One colour of a palette, a little off: (3, 1, 1)."""
        code = self.pick(palette)
        rgb = torch.tensor([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)]).view(3, 1, 1)
        off = 1 + 0.08 * (torch.rand(3, 1, 1, generator=self.generator) - 0.5)
        return (rgb * off * self.scale(1 / gain, gain)).clamp(0.02, 0.98).to(self.device)

    # coordinates and textures

    def axes(self, angle: float, unit: float = 1.0) -> tuple[Tensor, Tensor]:
        """Coordinates along ``angle`` and across it, in units of ``unit`` pixels."""
        c, s = cos(angle) / unit, sin(angle) / unit
        u0, v0 = self.uniform(0, 1), self.uniform(0, 1)  # no pattern starts at the centre
        return self.x * c + self.y * s + u0, self.y * c - self.x * s + v0

    def noise(
        self,
        length: float,
        spectrum: Callable[[Tensor], Tensor] = smooth,
        *,
        stretch: float = 1.0,
        angle: float = 0.0,
    ) -> Tensor:
        """Gaussian noise (S, S) of mean 0 and variance 1, filtered by a spectrum.

        Args:
            length: feature length in pixels, across ``angle``.
            spectrum: amplitude, of squared cycles per feature length.
            stretch: how many times longer features are along ``angle``.
            angle: radians.
        """
        n = self.size
        white = torch.randn(n, n, generator=self.generator).to(self.device)
        fy = torch.fft.fftfreq(n, device=self.device)[:, None]
        fx = torch.fft.rfftfreq(n, device=self.device)
        # longer than the picture, no frequency of its grid would be left
        along = min(length * stretch, n) * (fx * cos(angle) + fy * sin(angle))
        across = min(length, n) * (fy * cos(angle) - fx * sin(angle))
        gain = spectrum(along.square() + across.square())
        gain = gain * ((fx + fy.abs()) > 0)  # no mean
        field: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) * gain, s=(n, n))
        return field / field.std().clamp_min(1e-20)

    def cell_values(self, i: Tensor, j: Tensor) -> Tensor:
        """A random number in [0, 1] for each integer cell, given as float coordinates."""
        table = self.random(TABLE * TABLE)
        return table[cell_number(i, j)]

    def voronoi(self, u: Tensor, v: Tensor, jitter: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """Distances to the nearest and second of points jittered in unit cells, and its number."""
        du, dv = (jitter * (self.random(2, TABLE * TABLE) - 0.5) + 0.5).unbind()
        i, j = u.floor(), v.floor()
        first, second = torch.full_like(u, 9.0), torch.full_like(u, 9.0)
        owner = torch.zeros_like(u, dtype=torch.long)
        for a, b in ((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)):
            cell = cell_number(i + a, j + b)
            d = (i + a + du[cell] - u).square() + (j + b + dv[cell] - v).square()
            owner = torch.where(d < first, cell, owner)
            second = torch.minimum(second, torch.maximum(first, d))
            first = torch.minimum(first, d)
        return first.sqrt(), second.sqrt(), owner

    def profile(self, t: Tensor) -> Tensor:
        """A random function of one coordinate, mean 0, variance about 1, knots at integers."""
        table = 3.5 * self.random(4096) - 1.75
        knot = t.floor()
        k = knot.long() % 4096
        return torch.lerp(table[k], table[(k + 1) % 4096], t - knot)

    def streaks(self, angle: float, width: float) -> Tensor:
        """Lines along ``angle``, fine ones and broad ones."""
        fine = self.noise(width, stretch=self.scale(25, 120), angle=angle)
        broad = self.noise(width * self.scale(3, 8), stretch=self.scale(8, 30), angle=angle)
        return fine + self.uniform(0.2, 0.9) * broad

    def scratches(self, count: int) -> Tensor:
        """Straight thin scratches with ends: (S, S) in [0, 1]."""
        half = self.size / 2
        a, cx, cy, reach, depth = (self.random(5, count, 1, 1)).unbind()
        c, s = (2 * pi * a).cos(), (2 * pi * a).sin()
        dx, dy = self.x - half * (2 * cx - 1), self.y - half * (2 * cy - 1)
        along, across = (dx * c + dy * s).abs(), (dy * c - dx * s).abs()
        line = torch.sigmoid(3 * (0.8 - across)) * torch.sigmoid(0.5 * (half * reach - along))
        return (line * (0.3 + 0.7 * depth)).amax(0)

    def spots(self, cell: float, share: float, radius: float = 0.3) -> Tensor:
        """Round spots in a ``share`` of cells of ``cell`` pixels: (S, S) in [0, 1]."""
        u, v = self.axes(self.uniform(0, pi), cell)
        first, _, owner = self.voronoi(u, v)
        chosen = self.random(TABLE * TABLE)[owner]
        # a radius of its own for each: from all of it down to a third
        reach = radius * (1 - 0.67 * chosen / share)
        return torch.sigmoid((reach - first) * cell * 2) * (chosen < share)


def cell_number(i: Tensor, j: Tensor) -> Tensor:
    """Integer cells, given as float coordinates -> their number in [0, TABLE^2)."""
    return (i.long() % TABLE) * TABLE + j.long() % TABLE


def bars(phase: Tensor, width: float, soft: float = 0.02) -> Tensor:
    """1 on bars of ``width`` periods around the integers, 0 between."""
    return torch.sigmoid((width / 2 - (phase - phase.round()).abs()) / soft)


def wave(phase: Tensor) -> Tensor:
    """Cosine of a phase in periods."""
    return (2 * pi * phase).cos()


def above(field: Tensor, edge: float, soft: float) -> Tensor:
    """1 where the field is above the edge, 0 below, over a width of about ``soft``."""
    return torch.sigmoid((field - edge) / soft)


# --- light


@dataclass
class Surface:
    """What a family draws."""

    height: Tensor
    """(S, S), in any unit: ``relief`` sets its slopes."""
    albedo: Tensor
    """(3, S, S) or (3, 1, 1), in [0, 1]."""
    gloss: float
    """From 0, matt, to 1, a mirror."""
    relief: float
    """Root mean square slope of the height."""
    metal: bool = False
    """Metals tint their highlights and hardly scatter."""


def shade(surface: Surface, draw: Draw) -> Tensor:
    """A surface under one of four light geometries, drawn at random, through a camera: (3, S, S).

    *Raking* light comes from one side at a low angle; *coaxial* light along the view, so that flats
    shine and slopes go dark; a *dome* from everywhere; *dark-field* light from all round so low
    that only slopes shine.
    """
    geometry = draw.pick(("raking", "coaxial", "dome", "dark-field", "raking"))
    height, albedo, gloss, metal = surface.height, surface.albedo, surface.gloss, surface.metal
    padded = F.pad(height[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    gx = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    gy = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    slope2 = gx.square() + gy.square()
    relief = surface.relief * draw.scale(0.6, 1.6)
    factor = relief / slope2.mean().sqrt().clamp_min(1e-9)
    # steep steps are rounded by what a pixel averages: slopes level off at 4 times the relief
    factor = factor / (1 + slope2 * factor.square() / (4 * relief) ** 2).sqrt()
    gx, gy = gx * factor, gy * factor
    slope2 = gx.square() + gy.square()
    nz = (1 + slope2).rsqrt()
    key = 1.0  # cameras are set for a typical part: not to gray, as an automatic exposure would

    if geometry == "raking":
        elevation, azimuth = draw.uniform(0.2, 0.7), draw.uniform(0, 2 * pi)
        lx, ly = cos(elevation) * cos(azimuth), cos(elevation) * sin(azimuth)
        lz = sin(elevation)
        diffuse = ((lz - gx * lx - gy * ly) * nz).clamp_min(0) / lz
        # half way between lamp and camera; rough micro-facets spread the highlight that far
        hz = ((1 + lz) / 2) ** 0.5
        half = ((2 * hz * hz - gx * lx - gy * ly) * nz / (2 * hz)).clamp(0, 1)
        shine = half ** (4 * exp(3.5 * gloss)) / hz ** (4 * exp(3.5 * gloss))
        shine = shine / (1 + 0.15 * shine)
    elif geometry == "coaxial":
        diffuse, shine = nz, nz ** (4 * exp(4 * gloss))
    elif geometry == "dome":
        around = F.avg_pool2d(
            F.pad(height[None, None], (4, 4, 4, 4), mode="replicate"), 9, stride=1
        )[0, 0]
        sunk = (around - height) / height.std().clamp_min(1e-9)
        diffuse = (1 - min(0.35, relief) * sunk).clamp(0.3, 1.4)
        shine = diffuse * nz.square()
    else:
        diffuse = 0.1 + slope2 / (slope2 + (1.2 * relief) ** 2)
        shine, key = diffuse.square(), draw.uniform(0.4, 0.9)

    scatter = 0.35 if metal else 1.0
    light = albedo * (scatter * diffuse + (1.2 * shine if metal else 0.0))
    if not metal:
        light = light + 0.35 * gloss * shine  # a clear coat reflects the lamp's own colour
    return _expose(light, albedo, key, draw)


def _expose(light: Tensor, albedo: Tensor, key: float, draw: Draw) -> Tensor:
    """Uneven lamp, exposure, film-like shoulder and sensor noise."""
    angle, fall = draw.uniform(0, 2 * pi), draw.uniform(0, 0.35)
    light = light * (fall * (draw.x * cos(angle) + draw.y * sin(angle)) / draw.size).exp()
    warm = draw.uniform(-0.06, 0.06)
    light = light * torch.stack([1 + warm + 0 * draw.x, 1 + 0 * draw.x, 1 - warm + 0 * draw.x])
    mean = (albedo.mean() * key * draw.scale(0.65, 1.5)).clamp(0.07, 0.82)
    light = light * mean / light.mean().clamp_min(1e-6)
    light = light / (1 + light**5) ** 0.2
    light = light + 0.006 * torch.randn(draw.size, draw.size, generator=draw.generator).to(
        draw.device
    )
    # no style is a plain colour: its Gram matrices would say nothing
    middle = light.mean((1, 2), keepdim=True)
    spread = light.mean(0).std().clamp_min(1e-6)
    light = middle + (light - middle) * (0.03 / spread).clamp_min(1)
    return light.clamp(0, 1)
