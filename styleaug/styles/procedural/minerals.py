"""Stone, concrete, ceramics and glass."""

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
from styleaug.styles.procedural.palettes import DARKS, EARTHS, PAINTS, WHITES
from styleaug.styles.procedural.surface import Surface, family


@family
def _concrete(d: Draw) -> Surface:
    clouds = d.noise(d.scale(30, 80), fractal)
    grit = d.noise(d.scale(2, 5), grainy)
    pores = d.spots(d.scale(10, 30), d.uniform(0.2, 0.7), 0.18)
    albedo = d.colour(["9a9892", "b4b0a8", "7c7b78", "a89c8a", "c9c6bf", "6a6c6f"])
    albedo = albedo * (1 + 0.12 * clouds + 0.08 * grit) * (1 - 0.4 * pores)
    height = 0.4 * clouds + 0.4 * grit - 2.5 * pores
    return Surface(height, albedo, 0.0, d.uniform(0.15, 0.45))


@family
def _granite(d: Draw) -> Surface:
    cell = d.scale(4, 14)
    u, v = d.axes(d.angle(), cell)
    _, _, owner = d.voronoi(u + 0.3 * d.noise(cell / 2), v + 0.3 * d.noise(cell / 2))
    kind = d.random(TABLE**2)[owner]
    albedo = d.colour(["b8b4ae", "a98a7d", "8f9296", "c9b8a8", "5f6468"])
    albedo = torch.where(kind < d.uniform(0.1, 0.4), d.colour(DARKS), albedo)
    albedo = torch.where(kind > d.uniform(0.65, 0.9), d.colour(WHITES), albedo)
    albedo = albedo * (1 + 0.1 * d.noise(3, grainy))
    return Surface(d.noise(3, grainy), albedo, d.uniform(0.3, 0.9), d.uniform(0.03, 0.15))


@family
def _ceramic(d: Draw) -> Surface:
    u, v = d.axes(d.angle(), d.scale(25, 60))
    u, v = u + 0.05 * d.noise(20, fractal), v + 0.05 * d.noise(20, fractal)
    first, second, _ = d.voronoi(u, v)
    craze = torch.exp(-30 * (second - first)) * d.pick((0, 0, 1))
    specks = d.spots(d.scale(6, 20), d.uniform(0.1, 0.6), 0.14)
    albedo = d.colour([*WHITES, "c86f48", "d9c29a", "8fa39a", "b8684a"])
    albedo = albedo * (1 - 0.5 * craze) * (1 - d.uniform(0.1, 0.6) * specks)
    albedo = albedo * (1 + 0.03 * d.noise(40, fractal))
    height = d.noise(d.scale(4, 14), humps) - 2 * craze - specks
    return Surface(height, albedo, d.uniform(0.2, 0.9), d.uniform(0.05, 0.2))


@family
def _glazed_tile(d: Draw) -> Surface:
    u, v = d.axes(d.angle(), d.scale(20, 60))
    u = u + d.pick((0, 0.5)) * (v.floor() % 2)  # in line, or in bond
    i, j = u.floor(), v.floor()
    joint = torch.maximum(bars(u, 0.08, 0.012), bars(v, 0.08, 0.012))
    tone, tilt = d.cell_values(i, j), d.cell_values(i, j) - 0.5
    glaze = d.colour([*PAINTS, *WHITES, *EARTHS])
    albedo = glaze * (1 + d.uniform(0.1, 0.6) * (tone - 0.5) + 0.05 * d.noise(15, fractal))
    albedo = torch.lerp(albedo, d.colour(["d5d2cb", "8a8884", "4a4a4a"]), joint)
    pillow = ((u - i - 0.5).abs() ** 4 + (v - j - 0.5).abs() ** 4) * -8
    height = pillow - 0.6 * joint + 0.4 * tilt * (u - i) + 0.02 * d.noise(10, humps)
    return Surface(height, albedo, d.uniform(0.5, 1), d.uniform(0.1, 0.3))


@family
def _terrazzo(d: Draw) -> Surface:
    cell = d.scale(9, 30)
    u, v = d.axes(d.angle(), cell)
    first, second, owner = d.voronoi(u + 0.1 * d.noise(cell), v + 0.1 * d.noise(cell))
    kind, size = d.random(2, TABLE**2)[:, owner]
    chip = above(second - first, 0.12, 0.02) * above(0.25 + 0.5 * size - first, 0, 0.03)
    stones = torch.stack([d.colour([*EARTHS, *WHITES, *DARKS]) for _ in range(4)])
    stone = stones.view(4, 3)[(kind * 4).long().clamp_max(3)].permute(2, 0, 1)
    base = d.colour(["cfcac0", "e4e0d8", "8c8a86", "5a5c5e", "b8a594"])
    albedo = torch.lerp(base * (1 + 0.06 * d.noise(3, grainy)), stone, chip)
    albedo = albedo * (1 + 0.04 * d.noise(6, grainy))
    height = d.noise(4, grainy) + chip
    return Surface(height, albedo, d.uniform(0.3, 0.9), d.uniform(0.03, 0.12))


@family
def _glass(d: Draw) -> Surface:
    u, v = d.axes(d.uniform(0, pi), d.scale(60, 160))
    bend = 0.35 * d.noise(d.scale(60, 120))
    lamps = above(d.profile(3 * (u + bend)), 0.7, d.uniform(0.05, 0.4))  # reflections
    sky = wave(0.4 * v + 0.5 * bend)
    tint = d.colour(["9fb8b4", "b8c4cc", "6f8a92", "3a474d", "d5dedd", "4f5f52", "7d6a4a"])
    dust = d.spots(d.scale(9, 20), 0.3, 0.08) + 0.6 * d.scratches(4)
    albedo = tint * (0.6 + 0.25 * sky) + 0.35 * lamps + 0.12 * dust
    height = bend * 20 + 0.3 * dust + 0.02 * d.noise(3)
    return Surface(height, albedo.clamp(0.02, 0.98), 0.9, d.uniform(0.03, 0.1))
