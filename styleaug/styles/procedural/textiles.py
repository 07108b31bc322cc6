"""Woven and knitted goods, of cloth, carbon or wire; felt and leather."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from styleaug.styles.procedural.drawing import Draw, above, bars, fractal, grainy, wave
from styleaug.styles.procedural.palettes import CLOTHS, DARKS, LEATHERS, METALS, WHITES
from styleaug.styles.procedural.surface import Surface, family


def _weave(d: Draw, pitch: float, repeat: int, over: int, step: int) -> tuple[Tensor, ...]:
    """Two sets of threads: height, mask of the warp, texture along the threads."""
    angle = d.angle() + d.pick((0, 0, pi / 4))
    u, v = d.axes(angle, pitch)
    u, v = u + 0.06 * d.noise(3 * pitch), v + 0.06 * d.noise(3 * pitch)
    i, j = u.floor(), v.floor()
    warp = (((i + step * j) % repeat) < over).float()
    gap = d.uniform(0.8, 1.15)

    def thread(across: Tensor, along: Tensor) -> Tensor:
        round_ = (1 - (2 * gap * (across - across.floor() - 0.5)).square()).clamp_min(0).sqrt()
        return round_ * (0.75 + 0.25 * (pi * (along - along.floor())).sin())

    height = torch.lerp(thread(v, u), thread(u, v), warp)
    fibre = torch.lerp(
        d.noise(1.5, stretch=6, angle=angle), d.noise(1.5, stretch=6, angle=angle + pi / 2), warp
    )
    irregular = torch.lerp(d.cell_values(j, 0 * j), d.cell_values(i, 0 * i), warp) - 0.5
    return height, warp, 0.1 * fibre + 0.15 * irregular


def _cloth(d: Draw, repeat: int, over: int, step: int) -> Surface:
    height, warp, fibre = _weave(d, d.scale(4, 16), repeat, over, step)
    one = d.colour(CLOTHS)
    other = one * d.uniform(0.8, 1) if d.chance(0.5) else d.colour(CLOTHS)
    albedo = torch.lerp(other, one, warp) * (0.45 + 0.6 * height) * (1 + fibre)
    return Surface(height + fibre, albedo, d.uniform(0, 0.3), d.uniform(0.25, 0.6))


@family
def _woven(d: Draw) -> Surface:
    return _cloth(d, 2, 1, 1)


@family
def _twill(d: Draw) -> Surface:
    return _cloth(d, *d.pick(((4, 2, 1), (3, 2, 1), (4, 3, 1), (5, 4, 2))))


@family
def _carbon_fibre(d: Draw) -> Surface:
    height, warp, fibre = _weave(d, d.scale(8, 26), *d.pick(((4, 2, 1), (2, 1, 1))))
    # a tow shines when it lies across the light: the two directions never look alike
    sheen = torch.lerp(torch.full_like(warp, d.uniform(0.25, 0.7)), torch.ones_like(warp), warp)
    albedo = d.colour(["4a4c50", "5c5f63", "3a3a3c", "6a6a66"]) * sheen * (0.5 + 0.6 * height)
    return Surface(
        0.6 * height + fibre, albedo * (1 + 2.5 * fibre), d.uniform(0.4, 0.9), d.uniform(0.1, 0.25)
    )


@family
def _wire_mesh(d: Draw) -> Surface:
    height, _, fibre = _weave(d, d.scale(8, 24), 2, 1, 1)
    wire = above(height, d.uniform(0.55, 0.8), 0.04)
    albedo = torch.lerp(d.colour([*DARKS, *WHITES]), d.colour(METALS), wire) * (1 + 0.3 * fibre)
    return Surface(height * wire, albedo, d.uniform(0.3, 0.7), d.uniform(0.3, 0.6))


@family
def _knitted(d: Draw) -> Surface:
    pitch = d.scale(8, 28)
    u, v = d.axes(d.angle(), pitch)
    u, v = u + 0.06 * d.noise(3 * pitch), v + 0.06 * d.noise(3 * pitch)
    leg = ((u - u.floor()) - 0.5).abs()  # 0 in the middle of a wale, where the legs of a V meet
    loop = wave(v * d.uniform(1.1, 1.6) + d.uniform(1.2, 1.8) * leg)
    body = (pi * 2 * leg).sin().clamp_min(0).sqrt()
    height = body * (1 + 0.6 * loop) + 0.1 * d.noise(2, grainy)
    band = bars(v / d.scale(4, 12), d.uniform(0.3, 0.6), 0.01) if d.chance(0.4) else 0 * v
    albedo = torch.lerp(d.colour(CLOTHS), d.colour(CLOTHS), band) * (0.45 + 0.3 * height)
    return Surface(height, albedo, 0.0, d.uniform(0.3, 0.6))


@family
def _felt(d: Draw) -> Surface:
    angles = [d.uniform(0, pi) for _ in range(5)]
    width = d.scale(1.2, 3)
    fibres = torch.stack([d.noise(width, stretch=14, angle=a) for a in angles]).amax(0)
    clouds = d.noise(d.scale(15, 50), fractal)
    albedo = d.colour(CLOTHS) * (1 + 0.12 * fibres + 0.1 * clouds)
    return Surface(fibres + clouds, albedo, 0.0, d.uniform(0.2, 0.5))


@family
def _leather(d: Draw) -> Surface:
    cell = d.scale(5, 18)
    u, v = d.axes(d.angle(), cell)
    v = v * d.uniform(0.6, 1)
    u, v = u + 0.25 * d.noise(2 * cell), v + 0.25 * d.noise(2 * cell)
    first, second, _ = d.voronoi(u, v)
    crease = torch.exp(-d.uniform(3, 8) * (second - first))
    fold = d.noise(5 * cell, fractal)
    height = -crease + 0.3 * fold - 0.3 * first
    albedo = d.colour(LEATHERS) * (1 - d.uniform(0.2, 0.6) * crease + 0.1 * fold)
    return Surface(height, albedo, d.uniform(0.1, 0.6), d.uniform(0.2, 0.5))
