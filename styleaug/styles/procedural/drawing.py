"""What procedural finishes are drawn with: seeded numbers, coordinates, noise and patterns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from math import cos, exp, log, pi, sin
from typing import TypeVar

import torch
from torch import Tensor

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
