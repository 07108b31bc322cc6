"""Wafers, circuit boards and solar cells."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from styleaug.styles.procedural.drawing import TABLE, Draw, bars, fractal, grainy, humps, wave
from styleaug.styles.procedural.palettes import DARKS, MASKS
from styleaug.styles.procedural.surface import Surface, family


@family
def _wafer(d: Draw) -> Surface:
    angle, pitch = d.pick((0, pi / 2)) + d.uniform(-0.1, 0.1), d.scale(24, 70)
    u, v = d.axes(angle, pitch)
    v = v * d.uniform(0.6, 1.4)
    fu, fv = u - u.floor(), v - v.floor()
    street = torch.maximum(bars(u, 0.07, 0.008), bars(v, 0.07, 0.008))
    # every die carries the same blocks: a lookup by the place in the die, not by the die
    n, m = d.pick((3, 4, 5, 6)), d.pick((3, 4, 5))
    block = d.cell_values((fu * n).floor(), (fv * m).floor())
    lines = torch.where(block > 0.5, wave(fu * n * 4), wave(fv * m * 4)) * (block - 0.5).abs()
    edge = torch.maximum(bars(fu * n, 0.12, 0.03), bars(fv * m, 0.12, 0.03))
    film = d.uniform(0.2, 2) + 0.9 * block + d.uniform(0, 0.6) * d.noise(150)
    waves = torch.tensor([0.8, 1.0, 1.25], device=d.device).view(3, 1, 1)
    albedo = d.colour(["6f7480", "8a8f98", "4f5568", "7d7488"])
    albedo = albedo * (1 + d.uniform(0.1, 0.45) * wave(film * waves) + 0.25 * lines - 0.2 * edge)
    albedo = torch.lerp(albedo, d.colour(["b5b0a5", "3c4048", "8f8a9c"]), street)
    height = block + 0.5 * lines - 0.7 * street
    return Surface(height, albedo, d.uniform(0.5, 0.9), d.uniform(0.05, 0.2), metal=True)


@family
def _pcb(d: Draw) -> Surface:
    pitch = d.scale(6, 16)
    u, v = d.axes(d.pick((0, pi / 2, pi / 4)) + d.uniform(-0.03, 0.03), pitch)
    width, run = d.uniform(0.25, 0.5), d.pick((4, 6, 10))
    soft = 0.35 / pitch
    # tracks run along lanes for a few cells; blocks of the board prefer one direction
    across = d.cell_values((u / 9).floor(), (v / 7).floor()) > 0.5
    along_u = (d.cell_values((u / run).floor(), v.round()) > 0.35) & across
    along_v = (d.cell_values(u.round(), (v / run).floor()) > 0.35) & ~across
    track = torch.maximum(bars(v, width, soft) * along_u, bars(u, width, soft) * along_v)
    pour = (d.cell_values((u / 5).floor(), (v / 4).floor()) > d.uniform(0.75, 0.95)).float()
    r = torch.hypot(u - u.round(), v - v.round())
    via = d.cell_values(u.round(), v.round()) > d.uniform(0.8, 0.93)
    pad = torch.sigmoid((d.uniform(0.35, 0.48) - r) / soft) * via
    hole = torch.sigmoid((0.17 - r) / soft) * via
    mask = d.colour(MASKS)
    copper = torch.maximum(track, pour)
    albedo = mask * (1 + d.uniform(0.3, 0.9) * copper + 0.04 * d.noise(3, grainy))
    albedo = torch.lerp(albedo, d.colour(["c9a24a", "c4c6c8", "b87d4a"]), pad)
    albedo = torch.lerp(albedo, d.colour(DARKS), hole)
    height = 0.6 * torch.maximum(copper, pad) - hole + 0.02 * d.noise(3, grainy)
    return Surface(height, albedo.clamp(0, 1), d.uniform(0.3, 0.8), d.uniform(0.1, 0.3))


def _grid_lines(d: Draw, albedo: Tensor, height: Tensor, relief: float) -> Surface:
    """Print fingers and busbars on silicon."""
    angle = d.pick((0, pi / 2)) + d.uniform(-0.02, 0.02)
    pitch = d.scale(5, 18)
    _, v = d.axes(angle, pitch)
    u, _ = d.axes(angle, d.scale(50, 130))
    finger = bars(v, d.uniform(1.2, 2) / pitch, 0.35 / pitch)
    bus = bars(u, d.uniform(0.05, 0.12), 0.006)
    silver = torch.maximum(finger, bus) * (0.9 + 0.06 * d.noise(4, grainy))
    albedo = torch.lerp(albedo, d.colour(["b8bcc0", "d0d0cc", "8f959c"]), silver.clamp(0, 1))
    return Surface(height + 2 * silver, albedo, d.uniform(0.2, 0.6), relief)


@family
def _solar_mono(d: Draw) -> Surface:
    pyramids, clouds = d.noise(d.scale(2, 4), humps), d.noise(60, fractal)
    albedo = d.colour(["1b2233", "14161c", "24304a", "3a3f4a", "6a6c70"])
    albedo = albedo * (1 + 0.06 * pyramids + d.uniform(0.03, 0.15) * clouds)
    return _grid_lines(d, albedo, 0.3 * pyramids, d.uniform(0.1, 0.3))


@family
def _solar_poly(d: Draw) -> Surface:
    u, v = d.axes(d.angle(), d.scale(14, 50))
    _, _, owner = d.voronoi(u * d.uniform(0.5, 1) + 0.04 * d.noise(20), v + 0.04 * d.noise(20))
    tone, hue = d.random(2, TABLE**2)[:, owner]
    albedo = torch.lerp(
        d.colour(["22396b", "2b4a8a", "3b3f52", "77797d"]), d.colour(["16264f", "30538f"]), hue
    )
    albedo = albedo * (1 + d.uniform(0.4, 0.9) * (tone - 0.5) + 0.05 * d.noise(2, grainy))
    return _grid_lines(d, albedo, tone + 0.1 * d.noise(3, humps), d.uniform(0.1, 0.25))
