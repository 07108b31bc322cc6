"""Wood, paper and polymers."""

from __future__ import annotations

from math import pi

import torch

from styleaug.styles.procedural.drawing import (
    TABLE,
    Draw,
    above,
    bars,
    fractal,
    grainy,
    humps,
    wave,
)
from styleaug.styles.procedural.palettes import CLOTHS, DARKS, EARTHS, PAINTS, WHITES, WOODS
from styleaug.styles.procedural.surface import Surface, family


@family
def _wood(d: Draw) -> Surface:
    angle, ring = d.angle(), d.scale(5, 22)
    _, v = d.axes(angle, ring)
    wander = d.scale(0.5, 2.5) * d.noise(d.scale(20, 60), stretch=6, angle=angle)
    t = v + wander + 0.1 * d.noise(8, stretch=10, angle=angle)
    late = ((t - t.floor()) ** d.uniform(1.5, 4)) * (0.6 + 0.4 * d.profile(t.floor()).abs())
    pores = d.noise(1.3, stretch=d.scale(8, 20), angle=angle)
    light = d.colour(WOODS)
    albedo = torch.lerp(light, light * d.uniform(0.4, 0.75), late) * (1 + 0.08 * pores)
    return Surface(0.6 * pores - late, albedo, d.uniform(0, 0.6), d.uniform(0.06, 0.25))


@family
def _paper(d: Draw) -> Surface:
    fibres = torch.stack(
        [d.noise(1.3, stretch=d.scale(5, 12), angle=d.uniform(0, pi)) for _ in range(4)]
    ).amax(0)
    formation = d.noise(d.scale(6, 20), fractal)  # the clouds of paper held against the light
    tone = d.colour([*WHITES, "d8c7a4", "e3d6b8", "c8b08a", "c7d0d8"])
    albedo = tone * (1 + 0.03 * fibres + d.uniform(0.02, 0.07) * formation)
    albedo = albedo * (1 - d.uniform(0.1, 0.5) * d.spots(18, d.uniform(0.02, 0.4), 0.1))
    return Surface(fibres + formation, albedo, 0.0, d.uniform(0.08, 0.25))


@family
def _cardboard(d: Draw) -> Surface:
    angle = d.angle()
    _, v = d.axes(angle, d.scale(10, 30))
    flute = wave(v + 0.05 * d.noise(60))
    fibres = d.noise(1.5, stretch=10, angle=angle) + d.noise(1.5, stretch=8, angle=angle + 0.6)
    clouds = d.noise(25, fractal)
    albedo = d.colour(["b08a5e", "a07a50", "c49f72", "8c6a48", "bfae94", "9a948a"])
    albedo = albedo * (1 + 0.04 * flute + 0.05 * fibres + 0.06 * clouds)
    albedo = albedo * (1 - 0.4 * d.spots(10, d.uniform(0.05, 0.4), 0.12))
    return Surface(d.uniform(2, 6) * flute + 0.5 * fibres, albedo, 0.0, d.uniform(0.08, 0.25))


@family
def _plastic_moulded(d: Draw) -> Surface:
    grain = d.scale(3, 12)
    skin = above(d.noise(grain, humps), d.uniform(-0.3, 0.5), 0.25)  # flat-topped, as etched
    flow = d.noise(d.scale(12, 30), stretch=d.scale(2, 6), angle=d.angle())
    albedo = d.colour([*PAINTS, *DARKS]) * (1 + 0.03 * flow + 0.06 * skin)
    height = skin + 0.1 * flow
    return Surface(height, albedo, d.uniform(0.2, 0.7), d.uniform(0.1, 0.3))


@family
def _rubber(d: Draw) -> Surface:
    grain, cell = d.noise(d.scale(2, 6), grainy), d.scale(10, 36)
    u, v = d.axes(d.angle(), cell)
    ribs = d.pick(
        (0 * u, bars(u, 0.5, 0.06), torch.maximum(bars(u, 0.3, 0.05), bars(v, 0.3, 0.05)))
    )
    crumbs = d.spots(d.scale(4, 9), d.uniform(0.05, 0.3), 0.35) * d.pick((0, 1))
    albedo = torch.lerp(d.colour(DARKS), d.colour([*PAINTS, *EARTHS]), 0.8 * crumbs)
    albedo = albedo * (1 + 0.12 * grain)
    height = 2 * ribs + 0.2 * grain + 0.3 * crumbs
    return Surface(height, albedo, d.uniform(0, 0.3), d.uniform(0.15, 0.4))


@family
def _foam(d: Draw) -> Surface:
    cell = d.scale(5, 20)
    u, v = d.axes(0, cell)
    u, v = u + 0.1 * d.noise(cell), v + 0.1 * d.noise(cell)
    first, second, owner = d.voronoi(u, v, 0.9)
    depth = d.random(TABLE**2)[owner]
    wall = torch.exp(-d.uniform(4, 9) * (second - first))
    open_ = (1 - wall) * depth
    albedo = d.colour([*CLOTHS, *DARKS]) * (1 - d.uniform(0.3, 0.75) * open_)
    return Surface(wall - 0.6 * depth * (1 - first), albedo, 0.1, d.uniform(0.25, 0.6))
