"""Pictures in drawn media, as style references of clear licence: ink, oil, watercolour, blueprint.

Like :mod:`styleaug.styles.procedural`, they are computed, the same on every machine; they are no
finishes of parts, and so no family that packs are trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch
from torch import Tensor

from styleaug.styles.procedural.drawing import TABLE, Draw, above, bars, fractal, grainy, humps


def _ink(d: Draw) -> Tensor:
    """Hatching with a pen, in up to three directions where it is darker."""
    shade = d.noise(60, fractal)
    paper = d.colour(["efe9da"], 1.02) * (1 + 0.015 * d.noise(2, grainy))
    ink = torch.zeros_like(shade)
    for angle, edge in ((0.8, -0.6), (2.3, 0.2), (1.5, 0.9)):
        _, across = d.axes(angle, 6.0)
        wobble = across + 0.12 * d.noise(30, fractal)
        pressure = 0.25 + 0.12 * d.noise(18, fractal, stretch=3, angle=angle)
        ink = torch.maximum(ink, bars(wobble, 0.34, 0.05) * above(shade + pressure, edge, 0.12))
    outline = torch.exp(-((d.noise(50, fractal) / 0.05) ** 2))
    ink = torch.maximum(ink, outline).clamp(0, 1)
    return torch.lerp(paper, d.colour(["1d1b22"], 1.05), 0.92 * ink)


def _oil(d: Draw) -> Tensor:
    """Thick strokes side by side, near ones of near colours, with ridges of the brush."""
    flow, hue = d.noise(110, fractal), d.noise(80, fractal)
    palette = ["22406b", "38628f", "6f94a8", "c9c3a0", "e6d9ae", "dca63e", "a8672f", "6d3b26"]
    colours = torch.stack([d.colour([code], 1.05) for code in palette]).flatten(1)
    picture, light = torch.zeros(3, *flow.shape), torch.zeros_like(flow)
    for unit in (40.0, 30.0, 22.0, 16.0):
        angle = 0.6 + d.uniform(-0.3, 0.3)
        u, v = d.axes(angle, unit)
        first, second, owner = d.voronoi(u + 0.5 * flow.sin(), 2.8 * (v + 0.25 * flow))
        tone = d.random(TABLE * TABLE)[owner]
        place = (0.5 + 0.2 * hue + 0.35 * (tone - 0.5)).clamp(0, 0.999)
        stroke = colours[(place * len(palette)).long()].permute(2, 0, 1)
        shown = torch.ones_like(tone) if unit == 40 else (tone * 7 % 1 < 0.6).float()
        ridges = d.noise(2.2, grainy, stretch=9, angle=angle)
        edge = torch.exp(-(((second - first) / 0.08) ** 2))
        picture = torch.lerp(picture, stroke * (0.88 + 0.24 * tone), shown)
        light = torch.lerp(light, ridges - 1.2 * edge, shown)
    return picture * (1 + 0.13 * light)


def _watercolour(d: Draw) -> Tensor:
    """Washes with dark rims, that bleed into each other on rough paper."""
    grain = d.noise(3, humps)
    picture = d.colour(["f6f3ea"], 1.02) * (1 + 0.02 * grain)
    for code in ("7fb0d0", "f0b08a", "a4cc90", "d79ab4", "f0d584"):
        field = d.noise(90, fractal) + 0.12 * d.noise(12, grainy)
        inside = above(field, 0.35, 0.05)
        rim = torch.exp(-(((field - 0.42) / 0.07) ** 2))
        strength = inside * (0.45 + 0.12 * d.noise(40, fractal) + 0.05 * grain) + 0.25 * rim
        picture = torch.lerp(picture, picture * d.colour([code], 1.1), strength.clamp(0, 1))
    return picture


def _blueprint(d: Draw) -> Tensor:
    """White lines on blue: a grid, straight edges, circles."""
    ground = d.colour(["1f4f96"], 1.03) * (1 + 0.05 * d.noise(50, fractal) + 0.02 * d.noise(2))
    fine_u, fine_v = d.axes(0.0, 16.0)
    lines = 0.25 * torch.maximum(bars(fine_u, 0.07, 0.02), bars(fine_v, 0.07, 0.02))
    for angle, unit in ((0.0, 70.0), (pi / 2, 90.0), (0.6, 120.0), (2.2, 150.0)):
        _, across = d.axes(angle, unit)
        lines = torch.maximum(lines, bars(across, 1.9 / unit, 0.5 / unit))
    u, v = d.axes(0.0, 110.0)
    u, v = u - u.round(), v - v.round()
    radius = (u.square() + v.square()).sqrt()
    for reach in (0.16, 0.3):
        lines = torch.maximum(lines, torch.exp(-(((radius - reach) / 0.009) ** 2)))
    return torch.lerp(ground, d.colour(["e8f0fa"], 1.02), 0.9 * lines.clamp(0, 1))


MEDIA: dict[str, Callable[[Draw], Tensor]] = {
    "ink": _ink,
    "oil": _oil,
    "watercolour": _watercolour,
    "blueprint": _blueprint,
}
"""What draws a picture in each medium, (3, S, S)."""


def draw_medium(name: str, *, size: int = 288) -> Tensor:
    """A picture in a medium: (3, size, size), float32 in [0, 1].

    Args:
        name: one of :data:`MEDIA`.
        size: side in pixels.

    Raises:
        KeyError: if there is no such medium.
    """
    with torch.no_grad():
        return MEDIA[name](Draw(name, 0, size, "cpu")).clamp(0, 1)
