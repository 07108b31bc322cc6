"""Procedural pictures of industrial finishes: style references that need no photograph.

Photographs of surfaces come with licences, and collections of them have gaps: nobody publishes
ground steel under a dark-field ring light. These pictures are drawn instead. A *family* (brushed,
rust, pcb, ...) draws a height map, an albedo and a gloss; :func:`shade` then lights them the way
inspection stations do. They are textures, not objects, since Gram matrices see nothing else.

All random numbers, noise fields too, come from a CPU generator seeded by family and index, so that
a name means the same picture on every machine, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin

import torch
from torch import Tensor

from styleaug.styles.procedural.surface import (
    TABLE,
    Draw,
    Surface,
    above,
    bars,
    fractal,
    grainy,
    humps,
    shade,
    wave,
)

VERSION: int = 1
"""Raised when a family's pictures change, since packs name the pictures they were trained on."""


def _palette(codes: str) -> tuple[str, ...]:
    return tuple(codes.split())


_STEELS = _palette("8c8f94 9b9892 75797f aeb0b2 5e6164 84807a b9b6b0 7d858f c9cacb 4b4d50")
_METALS = _STEELS + _palette("b87352 c09a52 a8834a c8a878 9c7b63 8f939f bfb39a d2d3d4")
_PAINTS = _palette(
    "e8e6e0 d8d5cc c23b2e 2f5f9e 2d7a4b e0a92a e4712b 1f2429 7f868c 38506b 8a1f28 f0f0ee "
    "5b8f8a 9a9f6a 4a4f54 c9b79a 6a4f7d 87b0cf"
)
_ANODISED = _palette("3a3c40 9aa0a5 b0883a 2c4f8f 7d2630 2f6d5a 5a3f7a c4c6c8 a65a2c 1c1d20")
_RUSTS = _palette("8a4a26 a9592a 6b3a22 4a2c20 c07a3e 7c4f35 9a6a48")
_EARTHS = _palette("b5663f c68a62 d8c8ac a89f92 8f8a84 c9c4ba 6f6a66 e9e5dc 9c5238")
_WHITES = _palette("f1f0ec e6e8ea efe9dc dfe5e3 f5f5f5 d9dde0")
_DARKS = _palette("1c1c1d 26272a 332f2d 2a2f35 3b3d3e 4a2a26 26382f")
_MASKS = _palette("14532f 0f3d6e 151716 7a1b1f e7e9e6 4b2a6b 1f6b4a 8a6a1c")
_LEATHERS = _palette("5a3a26 2a2321 8b5a37 b58b5f 6e1f1f 3d4148 c9b79f 4a4a32")
_WOODS = _palette("b98a5a 8c5f3a d0aa78 6a4529 c8a284 e0c79c 53382a a5673f")
_CLOTHS = _PAINTS + _palette("d9cfc0 b8ab98 4a5568 6b705c 2b3a55 efe8db")


# --- families

_FAMILIES: dict[str, Callable[[Draw], Surface]] = {}


def _family(function: Callable[[Draw], Surface]) -> Callable[[Draw], Surface]:
    """Register ``_some_name`` as family ``some-name``."""
    _FAMILIES[function.__name__.strip("_").replace("_", "-")] = function
    return function


@_family
def _brushed(d: Draw) -> Surface:
    lines = d.streaks(d.angle(), d.scale(1.2, 4))
    albedo = d.colour(_METALS) * (1 + d.uniform(0.02, 0.1) * lines)
    return Surface(lines, albedo, d.uniform(0.3, 0.7), d.uniform(0.1, 0.3), metal=True)


@_family
def _ground(d: Draw) -> Surface:
    angle = d.angle()
    u, _ = d.axes(angle, d.scale(10, 50))
    wander = 0.25 * d.noise(60)
    chatter = wave(u + wander) * (1 + 0.5 * d.noise(50))
    lines = d.streaks(angle, d.scale(1.2, 3))
    albedo = d.colour(_STEELS) * (1 + d.uniform(0.03, 0.12) * chatter + 0.05 * lines)
    return Surface(lines + chatter, albedo, d.uniform(0.4, 0.8), d.uniform(0.1, 0.3), metal=True)


@_family
def _milled(d: Draw) -> Surface:
    feed, radius = d.scale(4, 24), d.scale(0.5, 1.6) * 256
    u, v = d.axes(d.angle(), feed)
    lane = d.scale(0.9, 1.6) * radius / feed  # neighbouring passes of the cutter
    lateral = ((v / lane) - (v / lane).round()) * lane
    bow = ((radius / feed) ** 2 - lateral.square()).clamp_min(0).sqrt()
    marks = (u + bow) % 1 + 0.5 * d.profile(4 * (u + bow))
    if d.chance(0.4):  # the cutter's back edge draws the arcs the other way
        marks = marks + 0.8 * ((u - bow) % 1)
    albedo = d.colour(_METALS) * (1 + 0.06 * d.profile(u + bow) + 0.03 * d.noise(3, grainy))
    return Surface(marks, albedo, d.uniform(0.4, 0.8), d.uniform(0.1, 0.3), metal=True)


@_family
def _turned(d: Draw) -> Surface:
    feed, a, far = d.scale(2.5, 16), d.uniform(0, 2 * pi), d.uniform(0.1, 1.5) * d.size
    r = torch.hypot(d.x - far * cos(a), d.y - far * sin(a)) / feed
    marks = wave(r) + d.uniform(0.3, 1.2) * d.profile(2 * r) + 0.6 * d.profile(r / 4)
    albedo = d.colour(_METALS) * (1 + 0.06 * d.profile(r) + 0.03 * d.noise(3, grainy))
    return Surface(marks, albedo, d.uniform(0.3, 0.7), d.uniform(0.12, 0.3), metal=True)


@_family
def _honed(d: Draw) -> Surface:
    angle, cross, width = d.angle(), d.uniform(0.3, 0.8), d.scale(1.2, 3)
    lines = torch.minimum(d.streaks(angle + cross, width), d.streaks(angle - cross, width))
    albedo = d.colour(_STEELS) * (1 + 0.08 * lines)
    return Surface(lines, albedo, d.uniform(0.4, 0.8), d.uniform(0.15, 0.35), metal=True)


@_family
def _knurled(d: Draw) -> Surface:
    angle, pitch, cross = d.angle(), d.scale(8, 32), d.uniform(0.4, 0.9)
    (u, _), (v, _) = d.axes(angle + cross, pitch), d.axes(angle - cross, pitch)
    teeth = torch.minimum(wave(u) + 0.3, wave(v) + 0.3).clamp_max(d.uniform(0.1, 1))
    height = teeth + 0.04 * d.noise(4, grainy)
    albedo = d.colour(_METALS) * (1 + 0.15 * teeth)
    return Surface(height, albedo, d.uniform(0.2, 0.6), d.uniform(0.3, 0.7), metal=True)


@_family
def _scratched(d: Draw) -> Surface:
    height = 0.15 * d.noise(d.scale(2, 8), grainy) - 2 * d.scratches(int(d.scale(12, 60)))
    stain = above(d.noise(50, fractal), 0.5, 0.3)
    albedo = d.colour(_METALS) * (1 - d.uniform(0, 0.3) * stain)
    return Surface(height, albedo, d.uniform(0.4, 0.9), d.uniform(0.08, 0.25), metal=True)


@_family
def _peened(d: Draw) -> Surface:
    u, v = d.axes(0, d.scale(6, 22))
    (a, _, _), (b, _, _) = d.voronoi(u, v), d.voronoi(u * 1.4, v * 1.4)
    dents = torch.minimum(a.square(), b.square() + 0.1)
    height = dents + 0.02 * d.noise(3, grainy)
    return Surface(height, d.colour(_METALS), d.uniform(0.3, 0.8), d.uniform(0.2, 0.5), metal=True)


@_family
def _shot_blasted(d: Draw) -> Surface:
    grain = d.scale(2.5, 7)
    height = d.noise(grain, humps) + 0.5 * d.noise(grain * 2.5, humps)
    albedo = d.colour(_STEELS) * (1 + 0.08 * d.noise(40, fractal) + 0.05 * height)
    return Surface(height, albedo, d.uniform(0.1, 0.4), d.uniform(0.3, 0.7), metal=True)


@_family
def _cast(d: Draw) -> Surface:
    height = d.noise(d.scale(10, 50), fractal) - 1.5 * d.spots(d.scale(16, 40), 0.4, 0.2)
    albedo = d.colour(_STEELS, 1.5) * (1 + 0.12 * d.noise(40, fractal))
    return Surface(height, albedo, d.uniform(0.1, 0.5), d.uniform(0.2, 0.5), metal=True)


@_family
def _sand_cast(d: Draw) -> Surface:
    u, v = d.axes(0, d.scale(3.5, 10))
    first, _, owner = d.voronoi(u, v)
    grains = (0.5 + d.random(TABLE**2)[owner]) * (0.6 - first)
    height = grains + 0.3 * d.noise(40, fractal)
    albedo = d.colour([*_STEELS[:7], "7a6a58", "5b5148"]) * (1 + 0.2 * d.noise(30, fractal))
    return Surface(height, albedo, d.uniform(0, 0.3), d.uniform(0.35, 0.8))


@_family
def _forged_scale(d: Draw) -> Surface:
    flakes = above(d.noise(d.scale(15, 60), fractal), d.uniform(-0.6, 0.6), 0.06)
    bare, scale = d.colour(["8a8580", "9a7a66", "7d7f86"]), d.colour(["2b2d33", "3a3230", "35404a"])
    height = flakes + 0.12 * d.noise(8, grainy) + 0.4 * d.noise(50, fractal)
    albedo = torch.lerp(bare, scale, flakes) * (1 + 0.12 * d.noise(10, grainy))
    return Surface(height, albedo, d.uniform(0.1, 0.5), d.uniform(0.2, 0.5))


@_family
def _rolled(d: Draw) -> Surface:
    angle = d.angle()
    bands = d.noise(d.scale(6, 25), fractal, stretch=d.scale(6, 20), angle=angle)
    fine = d.noise(1.5, stretch=20, angle=angle)
    specks = d.noise(d.scale(2, 5), grainy, stretch=3, angle=angle)
    albedo = d.colour(["5b626b", "6d6a68", "474c55", "85807c", "767f8a", "a3a09d"])
    albedo = albedo * (1 + d.uniform(0.1, 0.25) * bands + 0.06 * specks + 0.04 * fine)
    return Surface(fine + specks, albedo, d.uniform(0.1, 0.5), d.uniform(0.08, 0.25), metal=True)


@_family
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


@_family
def _anodised(d: Draw) -> Surface:
    angle = d.angle()
    grain = d.noise(d.scale(1.5, 3), stretch=d.pick((1, 1, 8)), angle=angle)
    lines = d.noise(d.scale(8, 20), stretch=d.scale(10, 40), angle=angle)  # of the extrusion
    albedo = d.colour(_ANODISED) * (1 + 0.05 * grain + d.uniform(0.02, 0.1) * lines)
    height = grain + d.uniform(0, 2) * lines
    return Surface(height, albedo, d.uniform(0.2, 0.6), d.uniform(0.08, 0.25), metal=True)


@_family
def _heat_tint(d: Draw) -> Surface:
    angle = d.angle()
    lines = d.streaks(angle, d.scale(1.2, 2.5))
    thick = d.uniform(0.5, 2.5) * (1 + 0.6 * d.noise(d.scale(40, 120), fractal) + 0.05 * lines)
    # an oxide film interferes: each wavelength (in units of the film) has fringes of its own
    waves = torch.tensor([0.8, 1.0, 1.25], device=d.device).view(3, 1, 1)
    albedo = d.colour(_STEELS) * (1 + d.uniform(0.15, 0.4) * wave(thick * waves))
    return Surface(lines, albedo, d.uniform(0.4, 0.8), d.uniform(0.05, 0.2), metal=True)


@_family
def _rust(d: Draw) -> Surface:
    a, b, c = d.colour(_RUSTS), d.colour(_RUSTS), d.colour([*_STEELS[:5], *_RUSTS, "2e2320"])
    patches = d.noise(d.scale(20, 70), fractal)
    crust = d.noise(d.scale(3, 9), grainy)
    albedo = torch.lerp(a, b, above(patches + 0.6 * crust, 0, 0.4))
    albedo = torch.lerp(albedo, c, above(patches, d.uniform(0.3, 1.2), 0.12))
    albedo = albedo * (1 + 0.15 * crust)
    return Surface(crust + patches, albedo, d.uniform(0, 0.2), d.uniform(0.3, 0.7))


@_family
def _patina(d: Draw) -> Surface:
    runs = d.noise(d.scale(10, 30), fractal, stretch=d.scale(1, 6), angle=pi / 2)
    green = above(runs + 0.3 * d.noise(4, grainy), d.uniform(-0.6, 0.8), 0.35)
    metal, salt = d.colour(["7a4a34", "8f6a3a", "4a352c"]), d.colour(["6fa59a", "8fb8a0", "4f8a86"])
    albedo = torch.lerp(metal, salt, green) * (1 + 0.1 * d.noise(6, grainy))
    return Surface(green + 0.3 * d.noise(5, grainy), albedo, 0.2, d.uniform(0.15, 0.4))


@_family
def _painted(d: Draw) -> Surface:
    brush = d.streaks(d.angle(), d.scale(2, 5)) if d.chance(0.5) else d.noise(6, humps)
    wear = above(d.noise(d.scale(15, 40), fractal), d.uniform(1.2, 2.5), 0.04)
    albedo = torch.lerp(d.colour(_PAINTS), d.colour([*_STEELS, *_RUSTS]), wear)
    albedo = albedo * (1 + 0.03 * brush - 0.25 * d.spots(14, 0.2, 0.12))
    height = brush - 3 * wear
    return Surface(height, albedo, d.uniform(0.3, 0.9), d.uniform(0.05, 0.2))


@_family
def _orange_peel(d: Draw) -> Surface:
    length = d.scale(8, 26)
    height = d.noise(length, humps) + 0.2 * d.noise(length / 3, humps)
    albedo = d.colour(_PAINTS) * (1 + 0.02 * d.noise(2, grainy))
    return Surface(height, albedo, d.uniform(0.6, 1), d.uniform(0.06, 0.25))


@_family
def _hammered(d: Draw) -> Surface:
    cell = d.scale(10, 32)
    u, v = d.axes(d.angle(), cell)
    u, v = u + 0.15 * d.noise(cell), v + 0.15 * d.noise(cell)
    first, second, _ = d.voronoi(u, v, d.uniform(0.6, 1))
    ridge = torch.exp(-4 * (second - first))
    albedo = d.colour([*_METALS, *_ANODISED, "3f5a6b", "4f6b57"])
    albedo = albedo * (1 - 0.35 * ridge + 0.06 * d.noise(2, grainy))
    height = first.square() + 0.3 * ridge
    return Surface(height, albedo, d.uniform(0.4, 0.8), d.uniform(0.15, 0.4), d.chance(0.5))


@_family
def _powder_coat(d: Draw) -> Surface:
    length = d.scale(3, 8)
    height = d.noise(length, humps) + 0.4 * d.noise(length * 3, humps)
    speck = d.spots(d.scale(3, 7), d.uniform(0.05, 0.5), 0.35)
    albedo = torch.lerp(d.colour(_PAINTS), d.colour(_PAINTS), d.pick((0, 0.4, 0.9)) * speck)
    return Surface(height, albedo, d.uniform(0.1, 0.6), d.uniform(0.15, 0.45))


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
    one = d.colour(_CLOTHS)
    other = one * d.uniform(0.8, 1) if d.chance(0.5) else d.colour(_CLOTHS)
    albedo = torch.lerp(other, one, warp) * (0.45 + 0.6 * height) * (1 + fibre)
    return Surface(height + fibre, albedo, d.uniform(0, 0.3), d.uniform(0.25, 0.6))


@_family
def _woven(d: Draw) -> Surface:
    return _cloth(d, 2, 1, 1)


@_family
def _twill(d: Draw) -> Surface:
    return _cloth(d, *d.pick(((4, 2, 1), (3, 2, 1), (4, 3, 1), (5, 4, 2))))


@_family
def _knitted(d: Draw) -> Surface:
    pitch = d.scale(8, 28)
    u, v = d.axes(d.angle(), pitch)
    u, v = u + 0.06 * d.noise(3 * pitch), v + 0.06 * d.noise(3 * pitch)
    leg = ((u - u.floor()) - 0.5).abs()  # 0 in the middle of a wale, where the legs of a V meet
    loop = wave(v * d.uniform(1.1, 1.6) + d.uniform(1.2, 1.8) * leg)
    body = (pi * 2 * leg).sin().clamp_min(0).sqrt()
    height = body * (1 + 0.6 * loop) + 0.1 * d.noise(2, grainy)
    band = bars(v / d.scale(4, 12), d.uniform(0.3, 0.6), 0.01) if d.chance(0.4) else 0 * v
    albedo = torch.lerp(d.colour(_CLOTHS), d.colour(_CLOTHS), band) * (0.45 + 0.3 * height)
    return Surface(height, albedo, 0.0, d.uniform(0.3, 0.6))


@_family
def _felt(d: Draw) -> Surface:
    angles = [d.uniform(0, pi) for _ in range(5)]
    width = d.scale(1.2, 3)
    fibres = torch.stack([d.noise(width, stretch=14, angle=a) for a in angles]).amax(0)
    clouds = d.noise(d.scale(15, 50), fractal)
    albedo = d.colour(_CLOTHS) * (1 + 0.12 * fibres + 0.1 * clouds)
    return Surface(fibres + clouds, albedo, 0.0, d.uniform(0.2, 0.5))


@_family
def _leather(d: Draw) -> Surface:
    cell = d.scale(5, 18)
    u, v = d.axes(d.angle(), cell)
    v = v * d.uniform(0.6, 1)
    u, v = u + 0.25 * d.noise(2 * cell), v + 0.25 * d.noise(2 * cell)
    first, second, _ = d.voronoi(u, v)
    crease = torch.exp(-d.uniform(3, 8) * (second - first))
    fold = d.noise(5 * cell, fractal)
    height = -crease + 0.3 * fold - 0.3 * first
    albedo = d.colour(_LEATHERS) * (1 - d.uniform(0.2, 0.6) * crease + 0.1 * fold)
    return Surface(height, albedo, d.uniform(0.1, 0.6), d.uniform(0.2, 0.5))


@_family
def _paper(d: Draw) -> Surface:
    fibres = torch.stack(
        [d.noise(1.3, stretch=d.scale(5, 12), angle=d.uniform(0, pi)) for _ in range(4)]
    ).amax(0)
    formation = d.noise(d.scale(6, 20), fractal)  # the clouds of paper held against the light
    tone = d.colour([*_WHITES, "d8c7a4", "e3d6b8", "c8b08a", "c7d0d8"])
    albedo = tone * (1 + 0.03 * fibres + d.uniform(0.02, 0.07) * formation)
    albedo = albedo * (1 - d.uniform(0.1, 0.5) * d.spots(18, d.uniform(0.02, 0.4), 0.1))
    return Surface(fibres + formation, albedo, 0.0, d.uniform(0.08, 0.25))


@_family
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


@_family
def _concrete(d: Draw) -> Surface:
    clouds = d.noise(d.scale(30, 80), fractal)
    grit = d.noise(d.scale(2, 5), grainy)
    pores = d.spots(d.scale(10, 30), d.uniform(0.2, 0.7), 0.18)
    albedo = d.colour(["9a9892", "b4b0a8", "7c7b78", "a89c8a", "c9c6bf", "6a6c6f"])
    albedo = albedo * (1 + 0.12 * clouds + 0.08 * grit) * (1 - 0.4 * pores)
    height = 0.4 * clouds + 0.4 * grit - 2.5 * pores
    return Surface(height, albedo, 0.0, d.uniform(0.15, 0.45))


@_family
def _granite(d: Draw) -> Surface:
    cell = d.scale(4, 14)
    u, v = d.axes(d.angle(), cell)
    _, _, owner = d.voronoi(u + 0.3 * d.noise(cell / 2), v + 0.3 * d.noise(cell / 2))
    kind = d.random(TABLE**2)[owner]
    albedo = d.colour(["b8b4ae", "a98a7d", "8f9296", "c9b8a8", "5f6468"])
    albedo = torch.where(kind < d.uniform(0.1, 0.4), d.colour(_DARKS), albedo)
    albedo = torch.where(kind > d.uniform(0.65, 0.9), d.colour(_WHITES), albedo)
    albedo = albedo * (1 + 0.1 * d.noise(3, grainy))
    return Surface(d.noise(3, grainy), albedo, d.uniform(0.3, 0.9), d.uniform(0.03, 0.15))


@_family
def _ceramic(d: Draw) -> Surface:
    u, v = d.axes(d.angle(), d.scale(25, 60))
    u, v = u + 0.05 * d.noise(20, fractal), v + 0.05 * d.noise(20, fractal)
    first, second, _ = d.voronoi(u, v)
    craze = torch.exp(-30 * (second - first)) * d.pick((0, 0, 1))
    specks = d.spots(d.scale(6, 20), d.uniform(0.1, 0.6), 0.14)
    albedo = d.colour([*_WHITES, "c86f48", "d9c29a", "8fa39a", "b8684a"])
    albedo = albedo * (1 - 0.5 * craze) * (1 - d.uniform(0.1, 0.6) * specks)
    albedo = albedo * (1 + 0.03 * d.noise(40, fractal))
    height = d.noise(d.scale(4, 14), humps) - 2 * craze - specks
    return Surface(height, albedo, d.uniform(0.2, 0.9), d.uniform(0.05, 0.2))


@_family
def _glazed_tile(d: Draw) -> Surface:
    u, v = d.axes(d.angle(), d.scale(20, 60))
    u = u + d.pick((0, 0.5)) * (v.floor() % 2)  # in line, or in bond
    i, j = u.floor(), v.floor()
    joint = torch.maximum(bars(u, 0.08, 0.012), bars(v, 0.08, 0.012))
    tone, tilt = d.cell_values(i, j), d.cell_values(i, j) - 0.5
    glaze = d.colour([*_PAINTS, *_WHITES, *_EARTHS])
    albedo = glaze * (1 + d.uniform(0.1, 0.6) * (tone - 0.5) + 0.05 * d.noise(15, fractal))
    albedo = torch.lerp(albedo, d.colour(["d5d2cb", "8a8884", "4a4a4a"]), joint)
    pillow = ((u - i - 0.5).abs() ** 4 + (v - j - 0.5).abs() ** 4) * -8
    height = pillow - 0.6 * joint + 0.4 * tilt * (u - i) + 0.02 * d.noise(10, humps)
    return Surface(height, albedo, d.uniform(0.5, 1), d.uniform(0.1, 0.3))


@_family
def _terrazzo(d: Draw) -> Surface:
    cell = d.scale(9, 30)
    u, v = d.axes(d.angle(), cell)
    first, second, owner = d.voronoi(u + 0.1 * d.noise(cell), v + 0.1 * d.noise(cell))
    kind, size = d.random(2, TABLE**2)[:, owner]
    chip = above(second - first, 0.12, 0.02) * above(0.25 + 0.5 * size - first, 0, 0.03)
    stones = torch.stack([d.colour([*_EARTHS, *_WHITES, *_DARKS]) for _ in range(4)])
    stone = stones.view(4, 3)[(kind * 4).long().clamp_max(3)].permute(2, 0, 1)
    base = d.colour(["cfcac0", "e4e0d8", "8c8a86", "5a5c5e", "b8a594"])
    albedo = torch.lerp(base * (1 + 0.06 * d.noise(3, grainy)), stone, chip)
    albedo = albedo * (1 + 0.04 * d.noise(6, grainy))
    height = d.noise(4, grainy) + chip
    return Surface(height, albedo, d.uniform(0.3, 0.9), d.uniform(0.03, 0.12))


@_family
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


@_family
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


@_family
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
    mask = d.colour(_MASKS)
    copper = torch.maximum(track, pour)
    albedo = mask * (1 + d.uniform(0.3, 0.9) * copper + 0.04 * d.noise(3, grainy))
    albedo = torch.lerp(albedo, d.colour(["c9a24a", "c4c6c8", "b87d4a"]), pad)
    albedo = torch.lerp(albedo, d.colour(_DARKS), hole)
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


@_family
def _solar_mono(d: Draw) -> Surface:
    pyramids, clouds = d.noise(d.scale(2, 4), humps), d.noise(60, fractal)
    albedo = d.colour(["1b2233", "14161c", "24304a", "3a3f4a", "6a6c70"])
    albedo = albedo * (1 + 0.06 * pyramids + d.uniform(0.03, 0.15) * clouds)
    return _grid_lines(d, albedo, 0.3 * pyramids, d.uniform(0.1, 0.3))


@_family
def _solar_poly(d: Draw) -> Surface:
    u, v = d.axes(d.angle(), d.scale(14, 50))
    _, _, owner = d.voronoi(u * d.uniform(0.5, 1) + 0.04 * d.noise(20), v + 0.04 * d.noise(20))
    tone, hue = d.random(2, TABLE**2)[:, owner]
    albedo = torch.lerp(
        d.colour(["22396b", "2b4a8a", "3b3f52", "77797d"]), d.colour(["16264f", "30538f"]), hue
    )
    albedo = albedo * (1 + d.uniform(0.4, 0.9) * (tone - 0.5) + 0.05 * d.noise(2, grainy))
    return _grid_lines(d, albedo, tone + 0.1 * d.noise(3, humps), d.uniform(0.1, 0.25))


@_family
def _plastic_moulded(d: Draw) -> Surface:
    grain = d.scale(3, 12)
    skin = above(d.noise(grain, humps), d.uniform(-0.3, 0.5), 0.25)  # flat-topped, as etched
    flow = d.noise(d.scale(12, 30), stretch=d.scale(2, 6), angle=d.angle())
    albedo = d.colour([*_PAINTS, *_DARKS]) * (1 + 0.03 * flow + 0.06 * skin)
    height = skin + 0.1 * flow
    return Surface(height, albedo, d.uniform(0.2, 0.7), d.uniform(0.1, 0.3))


@_family
def _rubber(d: Draw) -> Surface:
    grain, cell = d.noise(d.scale(2, 6), grainy), d.scale(10, 36)
    u, v = d.axes(d.angle(), cell)
    ribs = d.pick(
        (0 * u, bars(u, 0.5, 0.06), torch.maximum(bars(u, 0.3, 0.05), bars(v, 0.3, 0.05)))
    )
    crumbs = d.spots(d.scale(4, 9), d.uniform(0.05, 0.3), 0.35) * d.pick((0, 1))
    albedo = torch.lerp(d.colour(_DARKS), d.colour([*_PAINTS, *_EARTHS]), 0.8 * crumbs)
    albedo = albedo * (1 + 0.12 * grain)
    height = 2 * ribs + 0.2 * grain + 0.3 * crumbs
    return Surface(height, albedo, d.uniform(0, 0.3), d.uniform(0.15, 0.4))


@_family
def _wood(d: Draw) -> Surface:
    angle, ring = d.angle(), d.scale(5, 22)
    _, v = d.axes(angle, ring)
    wander = d.scale(0.5, 2.5) * d.noise(d.scale(20, 60), stretch=6, angle=angle)
    t = v + wander + 0.1 * d.noise(8, stretch=10, angle=angle)
    late = ((t - t.floor()) ** d.uniform(1.5, 4)) * (0.6 + 0.4 * d.profile(t.floor()).abs())
    pores = d.noise(1.3, stretch=d.scale(8, 20), angle=angle)
    light = d.colour(_WOODS)
    albedo = torch.lerp(light, light * d.uniform(0.4, 0.75), late) * (1 + 0.08 * pores)
    return Surface(0.6 * pores - late, albedo, d.uniform(0, 0.6), d.uniform(0.06, 0.25))


@_family
def _carbon_fibre(d: Draw) -> Surface:
    height, warp, fibre = _weave(d, d.scale(8, 26), *d.pick(((4, 2, 1), (2, 1, 1))))
    # a tow shines when it lies across the light: the two directions never look alike
    sheen = torch.lerp(torch.full_like(warp, d.uniform(0.25, 0.7)), torch.ones_like(warp), warp)
    albedo = d.colour(["4a4c50", "5c5f63", "3a3a3c", "6a6a66"]) * sheen * (0.5 + 0.6 * height)
    return Surface(
        0.6 * height + fibre, albedo * (1 + 2.5 * fibre), d.uniform(0.4, 0.9), d.uniform(0.1, 0.25)
    )


@_family
def _perforated(d: Draw) -> Surface:
    angle, pitch = d.angle(), d.scale(12, 44)
    u, v = d.axes(angle, pitch)
    u = u + d.pick((0, 0.5)) * (v.round() % 2)
    r = torch.hypot(u - u.round(), v - v.round())
    hole = torch.sigmoid((d.uniform(0.2, 0.38) - r) * pitch / 0.6)
    lines = d.streaks(angle, 1.5)
    metal = d.colour([*_METALS, *_PAINTS]) * (1 + 0.06 * lines)
    albedo = torch.lerp(metal, d.colour([*_DARKS, *_DARKS, "c9cbcc"]), hole)
    height = -2 * hole + 0.05 * lines
    return Surface(height, albedo, d.uniform(0.3, 0.7), d.uniform(0.15, 0.4), d.chance(0.6))


@_family
def _tread_plate(d: Draw) -> Surface:
    pitch = d.scale(16, 44)
    u, v = d.axes(d.angle(), pitch)
    turned = (u.round() + v.round()) % 2
    du, dv = u - u.round(), v - v.round()
    a, b = torch.lerp(du, dv, turned), torch.lerp(dv, du, turned)
    bump = (1 - (a / 0.55).square() - (b / 0.16).square()).clamp(0, 0.6)
    wear = d.noise(d.scale(3, 10), grainy)
    albedo = d.colour([*_STEELS, "6b4a36", "c9b23a"]) * (1 + 0.25 * bump + 0.08 * wear)
    height = bump + 0.03 * wear
    return Surface(height, albedo, d.uniform(0.3, 0.7), d.uniform(0.25, 0.5), metal=True)


@_family
def _wire_mesh(d: Draw) -> Surface:
    height, _, fibre = _weave(d, d.scale(8, 24), 2, 1, 1)
    wire = above(height, d.uniform(0.55, 0.8), 0.04)
    albedo = torch.lerp(d.colour([*_DARKS, *_WHITES]), d.colour(_METALS), wire) * (1 + 0.3 * fibre)
    return Surface(height * wire, albedo, d.uniform(0.3, 0.7), d.uniform(0.3, 0.6))


@_family
def _foam(d: Draw) -> Surface:
    cell = d.scale(5, 20)
    u, v = d.axes(0, cell)
    u, v = u + 0.1 * d.noise(cell), v + 0.1 * d.noise(cell)
    first, second, owner = d.voronoi(u, v, 0.9)
    depth = d.random(TABLE**2)[owner]
    wall = torch.exp(-d.uniform(4, 9) * (second - first))
    open_ = (1 - wall) * depth
    albedo = d.colour([*_CLOTHS, *_DARKS]) * (1 - d.uniform(0.3, 0.75) * open_)
    return Surface(wall - 0.6 * depth * (1 - first), albedo, 0.1, d.uniform(0.25, 0.6))


@_family
def _welded(d: Draw) -> Surface:
    pitch = d.scale(5, 14)
    u, v = d.axes(d.angle(), pitch)
    lane = d.scale(3, 7)  # beads side by side, as in cladding
    t = v / lane - (v / lane).round()
    ripple = u + 2.5 * lane * 0.4 * t.square() * 4 + 0.1 * d.noise(2 * pitch)
    ripple = ripple + d.cell_values((v / lane).round(), 0 * v)
    height = (0.25 - t.square()) * lane + 0.35 * (ripple % 1) + 0.05 * d.noise(5, grainy)
    tint = 1 + 0.15 * d.noise(60, fractal) + 0.1 * d.profile(ripple.floor())
    albedo = d.colour([*_STEELS, "8a6a4a", "6a6f80"]) * tint
    return Surface(height, albedo, d.uniform(0.3, 0.7), d.uniform(0.2, 0.45), metal=True)


FAMILIES: tuple[str, ...] = tuple(sorted(_FAMILIES))
"""The names :func:`draw_finish` knows."""


def draw_finish(
    family: str, index: int, *, size: int = 256, device: torch.device | str = "cpu"
) -> Tensor:
    """Draw one picture of a finish.

    Args:
        family: one of :data:`FAMILIES`.
        index: which picture of the family; each has a scale, colour, wear and light of its own.
        size: side in pixels, 32 at least. Features keep their pixels: a larger picture shows more.
        device: where to draw.

    Returns:
        (3, size, size), float32 in [0, 1]; a function of family, index and size alone.

    Raises:
        ValueError: if the family is unknown or the size too small.
    """
    if family not in _FAMILIES:
        raise ValueError(f"The family must be one of {', '.join(FAMILIES)}, but it is {family!r}.")
    if size < 32:
        raise ValueError(f"A finish needs 32 pixels a side or more, but size is {size}.")
    with torch.no_grad():
        draw = Draw(family, index, size, device)
        return shade(_FAMILIES[family](draw), draw)
