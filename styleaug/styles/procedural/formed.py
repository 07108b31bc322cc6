"""Formed metal: cast, forged, rolled, welded, pressed and punched."""

from __future__ import annotations

import torch

from styleaug.styles.procedural.drawing import TABLE, Draw, above, fractal, grainy
from styleaug.styles.procedural.palettes import DARKS, METALS, PAINTS, STEELS
from styleaug.styles.procedural.surface import Surface, family


@family
def _cast(d: Draw) -> Surface:
    height = d.noise(d.scale(10, 50), fractal) - 1.5 * d.spots(d.scale(16, 40), 0.4, 0.2)
    albedo = d.colour(STEELS, 1.5) * (1 + 0.12 * d.noise(40, fractal))
    return Surface(height, albedo, d.uniform(0.1, 0.5), d.uniform(0.2, 0.5), metal=True)


@family
def _sand_cast(d: Draw) -> Surface:
    u, v = d.axes(0, d.scale(3.5, 10))
    first, _, owner = d.voronoi(u, v)
    grains = (0.5 + d.random(TABLE**2)[owner]) * (0.6 - first)
    height = grains + 0.3 * d.noise(40, fractal)
    albedo = d.colour([*STEELS[:7], "7a6a58", "5b5148"]) * (1 + 0.2 * d.noise(30, fractal))
    return Surface(height, albedo, d.uniform(0, 0.3), d.uniform(0.35, 0.8))


@family
def _forged_scale(d: Draw) -> Surface:
    flakes = above(d.noise(d.scale(15, 60), fractal), d.uniform(-0.6, 0.6), 0.06)
    bare, scale = d.colour(["8a8580", "9a7a66", "7d7f86"]), d.colour(["2b2d33", "3a3230", "35404a"])
    height = flakes + 0.12 * d.noise(8, grainy) + 0.4 * d.noise(50, fractal)
    albedo = torch.lerp(bare, scale, flakes) * (1 + 0.12 * d.noise(10, grainy))
    return Surface(height, albedo, d.uniform(0.1, 0.5), d.uniform(0.2, 0.5))


@family
def _rolled(d: Draw) -> Surface:
    angle = d.angle()
    bands = d.noise(d.scale(6, 25), fractal, stretch=d.scale(6, 20), angle=angle)
    fine = d.noise(1.5, stretch=20, angle=angle)
    specks = d.noise(d.scale(2, 5), grainy, stretch=3, angle=angle)
    albedo = d.colour(["5b626b", "6d6a68", "474c55", "85807c", "767f8a", "a3a09d"])
    albedo = albedo * (1 + d.uniform(0.1, 0.25) * bands + 0.06 * specks + 0.04 * fine)
    return Surface(fine + specks, albedo, d.uniform(0.1, 0.5), d.uniform(0.08, 0.25), metal=True)


@family
def _welded(d: Draw) -> Surface:
    pitch = d.scale(5, 14)
    u, v = d.axes(d.angle(), pitch)
    lane = d.scale(3, 7)  # beads side by side, as in cladding
    t = v / lane - (v / lane).round()
    ripple = u + 2.5 * lane * 0.4 * t.square() * 4 + 0.1 * d.noise(2 * pitch)
    ripple = ripple + d.cell_values((v / lane).round(), 0 * v)
    height = (0.25 - t.square()) * lane + 0.35 * (ripple % 1) + 0.05 * d.noise(5, grainy)
    tint = 1 + 0.15 * d.noise(60, fractal) + 0.1 * d.profile(ripple.floor())
    albedo = d.colour([*STEELS, "8a6a4a", "6a6f80"]) * tint
    return Surface(height, albedo, d.uniform(0.3, 0.7), d.uniform(0.2, 0.45), metal=True)


@family
def _perforated(d: Draw) -> Surface:
    angle, pitch = d.angle(), d.scale(12, 44)
    u, v = d.axes(angle, pitch)
    u = u + d.pick((0, 0.5)) * (v.round() % 2)
    r = torch.hypot(u - u.round(), v - v.round())
    hole = torch.sigmoid((d.uniform(0.2, 0.38) - r) * pitch / 0.6)
    lines = d.streaks(angle, 1.5)
    metal = d.colour([*METALS, *PAINTS]) * (1 + 0.06 * lines)
    albedo = torch.lerp(metal, d.colour([*DARKS, *DARKS, "c9cbcc"]), hole)
    height = -2 * hole + 0.05 * lines
    return Surface(height, albedo, d.uniform(0.3, 0.7), d.uniform(0.15, 0.4), d.chance(0.6))


@family
def _tread_plate(d: Draw) -> Surface:
    pitch = d.scale(16, 44)
    u, v = d.axes(d.angle(), pitch)
    turned = (u.round() + v.round()) % 2
    du, dv = u - u.round(), v - v.round()
    a, b = torch.lerp(du, dv, turned), torch.lerp(dv, du, turned)
    bump = (1 - (a / 0.55).square() - (b / 0.16).square()).clamp(0, 0.6)
    wear = d.noise(d.scale(3, 10), grainy)
    albedo = d.colour([*STEELS, "6b4a36", "c9b23a"]) * (1 + 0.25 * bump + 0.08 * wear)
    height = bump + 0.03 * wear
    return Surface(height, albedo, d.uniform(0.3, 0.7), d.uniform(0.25, 0.5), metal=True)
