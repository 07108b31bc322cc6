"""The surface that a family of finishes draws, and the light on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, exp, pi, sin

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.styles.procedural.drawing import Draw


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


Family = Callable[[Draw], Surface]
families: dict[str, Family] = {}
"""By name: filled by :func:`family` when a module of families is imported."""


def family(function: Family) -> Family:
    """Register ``_some_name`` as family ``some-name``."""
    families[function.__name__.strip("_").replace("_", "-")] = function
    return function


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
        # half way between light and camera; rough micro-facets spread the highlight that far
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
        light = light + 0.35 * gloss * shine  # a clear coat reflects the colour of the light
    return _expose(light, albedo, key, draw)


def _expose(light: Tensor, albedo: Tensor, key: float, draw: Draw) -> Tensor:
    """Uneven lighting, exposure, film-like shoulder and sensor noise."""
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
