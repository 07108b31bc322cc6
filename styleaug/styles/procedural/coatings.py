"""Coats on metal: zinc, oxides, rust, paint."""

from __future__ import annotations

from math import pi

import torch

from styleaug.styles.procedural.drawing import TABLE, Draw, above, fractal, grainy, humps, wave
from styleaug.styles.procedural.palettes import ANODISED, METALS, PAINTS, RUSTS, STEELS
from styleaug.styles.procedural.surface import Surface, family


@family
def _galvanised(d: Draw) -> Surface:
    u, v = d.axes(d.angle(), d.scale(16, 60))
    u, v = u + 0.12 * d.noise(12, fractal), v + 0.12 * d.noise(12, fractal)
    first, second, owner = d.voronoi(u, v)
    tone, turn, tilt = d.random(3, TABLE**2)[:, owner]
    dendrites = wave(d.scale(3, 8) * (u * (2 * pi * turn).cos() + v * (2 * pi * turn).sin()))
    edge = torch.exp(-12 * (second - first))
    height = first * (tilt - 0.5) + 0.05 * dendrites - 0.15 * edge
    contrast = d.uniform(0.2, 0.6)
    albedo = d.colour(["9aa0a6", "b5b8ba", "858b92", "a9a79f"])
    albedo = albedo * (1 + contrast * (tone - 0.5) + 0.05 * dendrites * turn - 0.1 * edge)
    return Surface(height, albedo, d.uniform(0.3, 0.7), d.uniform(0.06, 0.2), metal=True)


@family
def _anodised(d: Draw) -> Surface:
    angle = d.angle()
    grain = d.noise(d.scale(1.5, 3), stretch=d.pick((1, 1, 8)), angle=angle)
    lines = d.noise(d.scale(8, 20), stretch=d.scale(10, 40), angle=angle)  # of the extrusion
    albedo = d.colour(ANODISED) * (1 + 0.05 * grain + d.uniform(0.02, 0.1) * lines)
    height = grain + d.uniform(0, 2) * lines
    return Surface(height, albedo, d.uniform(0.2, 0.6), d.uniform(0.08, 0.25), metal=True)


@family
def _heat_tint(d: Draw) -> Surface:
    angle = d.angle()
    lines = d.streaks(angle, d.scale(1.2, 2.5))
    thick = d.uniform(0.5, 2.5) * (1 + 0.6 * d.noise(d.scale(40, 120), fractal) + 0.05 * lines)
    # an oxide film interferes: each wavelength (in units of the film) has fringes of its own
    waves = torch.tensor([0.8, 1.0, 1.25], device=d.device).view(3, 1, 1)
    albedo = d.colour(STEELS) * (1 + d.uniform(0.15, 0.4) * wave(thick * waves))
    return Surface(lines, albedo, d.uniform(0.4, 0.8), d.uniform(0.05, 0.2), metal=True)


@family
def _rust(d: Draw) -> Surface:
    a, b, c = d.colour(RUSTS), d.colour(RUSTS), d.colour([*STEELS[:5], *RUSTS, "2e2320"])
    patches = d.noise(d.scale(20, 70), fractal)
    crust = d.noise(d.scale(3, 9), grainy)
    albedo = torch.lerp(a, b, above(patches + 0.6 * crust, 0, 0.4))
    albedo = torch.lerp(albedo, c, above(patches, d.uniform(0.3, 1.2), 0.12))
    albedo = albedo * (1 + 0.15 * crust)
    return Surface(crust + patches, albedo, d.uniform(0, 0.2), d.uniform(0.3, 0.7))


@family
def _patina(d: Draw) -> Surface:
    runs = d.noise(d.scale(10, 30), fractal, stretch=d.scale(1, 6), angle=pi / 2)
    green = above(runs + 0.3 * d.noise(4, grainy), d.uniform(-0.6, 0.8), 0.35)
    metal, salt = d.colour(["7a4a34", "8f6a3a", "4a352c"]), d.colour(["6fa59a", "8fb8a0", "4f8a86"])
    albedo = torch.lerp(metal, salt, green) * (1 + 0.1 * d.noise(6, grainy))
    return Surface(green + 0.3 * d.noise(5, grainy), albedo, 0.2, d.uniform(0.15, 0.4))


@family
def _painted(d: Draw) -> Surface:
    brush = d.streaks(d.angle(), d.scale(2, 5)) if d.chance(0.5) else d.noise(6, humps)
    wear = above(d.noise(d.scale(15, 40), fractal), d.uniform(1.2, 2.5), 0.04)
    albedo = torch.lerp(d.colour(PAINTS), d.colour([*STEELS, *RUSTS]), wear)
    albedo = albedo * (1 + 0.03 * brush - 0.25 * d.spots(14, 0.2, 0.12))
    height = brush - 3 * wear
    return Surface(height, albedo, d.uniform(0.3, 0.9), d.uniform(0.05, 0.2))


@family
def _orange_peel(d: Draw) -> Surface:
    length = d.scale(8, 26)
    height = d.noise(length, humps) + 0.2 * d.noise(length / 3, humps)
    albedo = d.colour(PAINTS) * (1 + 0.02 * d.noise(2, grainy))
    return Surface(height, albedo, d.uniform(0.6, 1), d.uniform(0.06, 0.25))


@family
def _hammered(d: Draw) -> Surface:
    cell = d.scale(10, 32)
    u, v = d.axes(d.angle(), cell)
    u, v = u + 0.15 * d.noise(cell), v + 0.15 * d.noise(cell)
    first, second, _ = d.voronoi(u, v, d.uniform(0.6, 1))
    ridge = torch.exp(-4 * (second - first))
    albedo = d.colour([*METALS, *ANODISED, "3f5a6b", "4f6b57"])
    albedo = albedo * (1 - 0.35 * ridge + 0.06 * d.noise(2, grainy))
    height = first.square() + 0.3 * ridge
    return Surface(height, albedo, d.uniform(0.4, 0.8), d.uniform(0.15, 0.4), d.chance(0.5))


@family
def _powder_coat(d: Draw) -> Surface:
    length = d.scale(3, 8)
    height = d.noise(length, humps) + 0.4 * d.noise(length * 3, humps)
    speck = d.spots(d.scale(3, 7), d.uniform(0.05, 0.5), 0.35)
    albedo = torch.lerp(d.colour(PAINTS), d.colour(PAINTS), d.pick((0, 0.4, 0.9)) * speck)
    return Surface(height, albedo, d.uniform(0.1, 0.6), d.uniform(0.15, 0.45))
