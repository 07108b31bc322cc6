"""Machined metal: brushed, ground, milled, turned; scratched, peened, blasted."""

from __future__ import annotations

from math import cos, pi, sin

import torch

from styleaug.styles.procedural.drawing import Draw, above, fractal, grainy, humps, wave
from styleaug.styles.procedural.palettes import METALS, STEELS
from styleaug.styles.procedural.surface import Surface, family


@family
def _brushed(d: Draw) -> Surface:
    lines = d.streaks(d.angle(), d.scale(1.2, 4))
    albedo = d.colour(METALS) * (1 + d.uniform(0.02, 0.1) * lines)
    return Surface(lines, albedo, d.uniform(0.3, 0.7), d.uniform(0.1, 0.3), metal=True)


@family
def _ground(d: Draw) -> Surface:
    angle = d.angle()
    u, _ = d.axes(angle, d.scale(10, 50))
    wander = 0.25 * d.noise(60)
    chatter = wave(u + wander) * (1 + 0.5 * d.noise(50))
    lines = d.streaks(angle, d.scale(1.2, 3))
    albedo = d.colour(STEELS) * (1 + d.uniform(0.03, 0.12) * chatter + 0.05 * lines)
    return Surface(lines + chatter, albedo, d.uniform(0.4, 0.8), d.uniform(0.1, 0.3), metal=True)


@family
def _milled(d: Draw) -> Surface:
    feed, radius = d.scale(4, 24), d.scale(0.5, 1.6) * 256
    u, v = d.axes(d.angle(), feed)
    lane = d.scale(0.9, 1.6) * radius / feed  # neighbouring passes of the cutter
    lateral = ((v / lane) - (v / lane).round()) * lane
    bow = ((radius / feed) ** 2 - lateral.square()).clamp_min(0).sqrt()
    marks = (u + bow) % 1 + 0.5 * d.profile(4 * (u + bow))
    if d.chance(0.4):  # the cutter's back edge draws the arcs the other way
        marks = marks + 0.8 * ((u - bow) % 1)
    albedo = d.colour(METALS) * (1 + 0.06 * d.profile(u + bow) + 0.03 * d.noise(3, grainy))
    return Surface(marks, albedo, d.uniform(0.4, 0.8), d.uniform(0.1, 0.3), metal=True)


@family
def _turned(d: Draw) -> Surface:
    feed, a, far = d.scale(2.5, 16), d.uniform(0, 2 * pi), d.uniform(0.1, 1.5) * d.size
    r = torch.hypot(d.x - far * cos(a), d.y - far * sin(a)) / feed
    marks = wave(r) + d.uniform(0.3, 1.2) * d.profile(2 * r) + 0.6 * d.profile(r / 4)
    albedo = d.colour(METALS) * (1 + 0.06 * d.profile(r) + 0.03 * d.noise(3, grainy))
    return Surface(marks, albedo, d.uniform(0.3, 0.7), d.uniform(0.12, 0.3), metal=True)


@family
def _honed(d: Draw) -> Surface:
    angle, cross, width = d.angle(), d.uniform(0.3, 0.8), d.scale(1.2, 3)
    lines = torch.minimum(d.streaks(angle + cross, width), d.streaks(angle - cross, width))
    albedo = d.colour(STEELS) * (1 + 0.08 * lines)
    return Surface(lines, albedo, d.uniform(0.4, 0.8), d.uniform(0.15, 0.35), metal=True)


@family
def _knurled(d: Draw) -> Surface:
    angle, pitch, cross = d.angle(), d.scale(8, 32), d.uniform(0.4, 0.9)
    (u, _), (v, _) = d.axes(angle + cross, pitch), d.axes(angle - cross, pitch)
    teeth = torch.minimum(wave(u) + 0.3, wave(v) + 0.3).clamp_max(d.uniform(0.1, 1))
    height = teeth + 0.04 * d.noise(4, grainy)
    albedo = d.colour(METALS) * (1 + 0.15 * teeth)
    return Surface(height, albedo, d.uniform(0.2, 0.6), d.uniform(0.3, 0.7), metal=True)


@family
def _scratched(d: Draw) -> Surface:
    height = 0.15 * d.noise(d.scale(2, 8), grainy) - 2 * d.scratches(int(d.scale(12, 60)))
    stain = above(d.noise(50, fractal), 0.5, 0.3)
    albedo = d.colour(METALS) * (1 - d.uniform(0, 0.3) * stain)
    return Surface(height, albedo, d.uniform(0.4, 0.9), d.uniform(0.08, 0.25), metal=True)


@family
def _peened(d: Draw) -> Surface:
    u, v = d.axes(0, d.scale(6, 22))
    (a, _, _), (b, _, _) = d.voronoi(u, v), d.voronoi(u * 1.4, v * 1.4)
    dents = torch.minimum(a.square(), b.square() + 0.1)
    height = dents + 0.02 * d.noise(3, grainy)
    return Surface(height, d.colour(METALS), d.uniform(0.3, 0.8), d.uniform(0.2, 0.5), metal=True)


@family
def _shot_blasted(d: Draw) -> Surface:
    grain = d.scale(2.5, 7)
    height = d.noise(grain, humps) + 0.5 * d.noise(grain * 2.5, humps)
    albedo = d.colour(STEELS) * (1 + 0.08 * d.noise(40, fractal) + 0.05 * height)
    return Surface(height, albedo, d.uniform(0.1, 0.4), d.uniform(0.3, 0.7), metal=True)
