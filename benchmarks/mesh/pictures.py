"""Pictures of the flange with painted defects and their boxes: one model, any number of textures.

Mitsuba traces each view once: which point of the texture a pixel shows, and its normal. Textures
are then shaded in NumPy, which takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from benchmarks.mesh.parts import Part, metal
from benchmarks.mesh.sheet import load, write_obj
from styleaug.mesh.fill import fill
from styleaug.mesh.uv import Array
from styleaug.styles.procedural import draw_finish

SIDE, TEXELS, SUPER = 144, 512, 2
"""Of pictures and of textures; and how many samples a pixel has along each axis."""


@dataclass(frozen=True, eq=False)
class View:
    """What each sample shows: UV, normal and point in space; and where there is the part."""

    uv: Array
    normal: Array
    point: Array
    hit: Array
    camera: Array


def trace(part: Part, cameras: Array) -> list[View]:
    """Views of the part from some places."""
    mi = load()
    views = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "part.obj"
        write_obj(part, path)
        for camera in cameras:
            turn = mi.ScalarTransform4f()
            look = turn.look_at(origin=camera.tolist(), target=(0, 0, 0.15), up=(0, 0, 1))
            side = SIDE * SUPER
            film = {"type": "hdrfilm", "width": side, "height": side, "rfilter": {"type": "box"}}
            scene = mi.load_dict(
                {
                    "type": "scene",
                    "integrator": {"type": "aov", "aovs": "t:uv,n:geo_normal,p:position"},
                    "sensor": {
                        "type": "perspective",
                        "fov": 32,
                        "to_world": look,
                        "film": film,
                        "sampler": {"type": "independent", "sample_count": 1},
                    },
                    "part": {"type": "obj", "filename": str(path), "face_normals": True},
                }
            )
            found = np.array(mi.render(scene))[..., -8:]
            uv, normal, point = found[..., :2], found[..., 2:5], found[..., 5:]
            hit = (normal**2).sum(-1) > 0.5
            views.append(View(uv, normal, point, hit, camera))  # v down, as the loader turns it
    return views


def cameras(count: int, rng: np.random.Generator) -> Array:
    """Places around and above the part."""
    turn, rise = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.35, 1.2, count)
    distance = rng.uniform(4.0, 4.6, count)
    flat = np.stack([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)], 1)
    return flat * distance[:, None]


@dataclass(frozen=True, eq=False)
class Canvas:
    """The part's texture, texel by texel."""

    part: Part

    @cached_property
    def places(self) -> tuple[Array, Array]:
        return self.part.positions(TEXELS)

    @cached_property
    def normals(self) -> Array:
        """The normal of each texel, by the triangle that it lies in."""
        corners = self.part.points[self.part.faces]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True).clip(1e-12)
        turned = Part(np.repeat(normal, 3, axis=0), self._own_uv, self._own_faces)
        return turned.positions(TEXELS)[0]

    @property
    def _own_uv(self) -> Array:
        return self.part.uv[self.part.faces].reshape(-1, 2)

    @property
    def _own_faces(self) -> Array:
        return np.arange(3 * len(self.part.faces)).reshape(-1, 3)

    def own_material(self, seed: int) -> Array:
        """Colours (H, W, 3) in [0, 1] of the material that the model comes in."""
        place, known = self.places
        colours = np.zeros((*known.shape, 3))
        colours[known] = metal(seed)(place[known]) / 255
        return self._dilated(colours)

    def finish(self, family: str, index: int) -> Array:
        """The same of a drawn finish, laid on from the three axes."""
        place, known = self.places
        picture = draw_finish(family, index, size=TEXELS).permute(1, 2, 0).numpy()
        axis = np.abs(self.normals).argmax(-1)
        colours = np.zeros((*known.shape, 3))
        for k in range(3):
            own = known & (axis == k)
            flat = np.delete(place[own], k, axis=1)
            x, y = ((flat + 1.2) / 2.4 * (TEXELS - 1)).clip(0, TEXELS - 1).astype(int).T
            colours[own] = picture[y, x]
        return self._dilated(colours)

    def _dilated(self, colours: Array) -> Array:
        share = torch.from_numpy(self.places[1].astype(np.float32))
        channels = torch.from_numpy(colours.astype(np.float32)).permute(2, 0, 1)
        return torch.stack([fill(c, share) for c in channels], -1).clamp(0, 1).numpy()

    def paint_defects(self, view: View, rng: np.random.Generator) -> Array:
        """What one to three defects, of those that the view shows, add to brightness (H, W)."""
        place, known = self.places
        toward = view.camera - view.point
        toward /= np.linalg.norm(toward, axis=-1, keepdims=True)
        seen = np.argwhere(view.hit & ((view.normal * toward).sum(-1) > 0.5))
        added = np.zeros(known.shape)
        for spot in rng.choice(seen, rng.integers(1, 4)):
            middle, normal = view.point[tuple(spot)], view.normal[tuple(spot)]
            offset = place - middle
            near = known & ((self.normals @ normal) > 0.7) & (np.abs(offset @ normal) < 0.06)
            along = np.cross(normal, rng.normal(size=3))
            along /= np.linalg.norm(along)
            x, y = offset[near] @ along, offset[near] @ np.cross(normal, along)
            added[near] += _DEFECTS[rng.integers(len(_DEFECTS))](x, y, rng)
        return added


def _scratch(x: Array, y: Array, rng: np.random.Generator) -> Array:
    length, width = rng.uniform(0.12, 0.3), rng.uniform(0.010, 0.016)
    beyond = (np.abs(x) - length).clip(0)
    amount: Array = np.exp(-(y**2 + beyond**2) / (2 * width**2))
    return rng.choice([-0.5, 0.55]) * amount


def _dent(x: Array, y: Array, rng: np.random.Generator) -> Array:
    radius = rng.uniform(0.05, 0.08)
    amount: Array = (x / radius) * np.exp(0.5 - (x**2 + y**2) / (2 * radius**2))
    return 0.5 * amount


def _stain(x: Array, y: Array, rng: np.random.Generator) -> Array:
    radius = rng.uniform(0.06, 0.12)
    turn = np.arctan2(y, x)
    edge = radius * (1 + 0.2 * np.cos(3 * turn + rng.uniform(0, 6)))
    amount: Array = 1 / (1 + np.exp((np.hypot(x, y) - edge) / 0.008))
    return -0.42 * amount


_DEFECTS: tuple[Callable[[Array, Array, np.random.Generator], Array], ...] = (
    _scratch,
    _dent,
    _stain,
)


def with_defects(colours: Array, added: Array) -> Image.Image:
    """A texture with defects painted on."""
    levels = 255 * (colours * (1 + added[..., None])).clip(0, 1)
    return Image.fromarray(levels.round().astype(np.uint8))


def photograph(
    view: View, texture: Image.Image, added: Array, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A picture (3, SIDE, SIDE), uint8, and the boxes (K, 4) of its defects."""
    grid = torch.from_numpy(view.uv * 2 - 1)[None].float()

    def look(values: Array) -> Array:
        maps = torch.from_numpy(values).permute(2, 0, 1)[None].float()
        return F.grid_sample(maps, grid, align_corners=False)[0].permute(1, 2, 0).numpy()

    colours = look(np.asarray(texture) / 255) ** 2.2
    light = rng.normal(size=3) * (1, 1, 0.3) + (0, 0, 1.2)
    light /= np.linalg.norm(light)
    shade = 0.4 + 0.7 * (view.normal @ light).clip(0)
    toward = view.camera - view.point
    half = light + toward / np.linalg.norm(toward, axis=-1, keepdims=True)
    half /= np.linalg.norm(half, axis=-1, keepdims=True)
    gloss = 0.12 * (view.normal * half).sum(-1).clip(0) ** 24
    linear = rng.uniform(0.85, 1.15) * (colours * shade[..., None] + gloss[..., None])
    linear = np.where(view.hit[..., None], linear, rng.uniform(0.3, 0.7))
    levels = 255 * linear.clip(0, 1) ** (1 / 2.2)
    small = levels.reshape(SIDE, SUPER, SIDE, SUPER, 3).mean((1, 3)) + rng.normal(
        0, 2, (SIDE, SIDE, 1)
    )
    picture = torch.from_numpy(small.clip(0, 255).round().astype(np.uint8)).permute(2, 0, 1)
    shown = (np.abs(look(added[..., None])[..., 0]) > 0.12) & view.hit
    return picture, _boxes(shown.reshape(SIDE, SUPER, SIDE, SUPER).mean((1, 3)) > 0.3)


def _boxes(marked: Array) -> Tensor:
    """Bounds of the areas (H, W) that hang together and have 6 pixels or more."""
    label = np.where(marked, np.arange(1, marked.size + 1).reshape(marked.shape), 0)
    while True:  # each pixel takes the largest number nearby, over gaps of one, too
        wide = np.pad(label, 2)
        around = [
            np.roll(wide, (y, x), (0, 1))[2:-2, 2:-2] for y in range(-2, 3) for x in range(-2, 3)
        ]
        grown = np.where(marked, np.max(around, axis=0), 0)
        if np.array_equal(grown, label):
            break
        label = grown
    boxes = []
    for number in np.unique(label[label > 0]):
        y, x = np.nonzero(label == number)
        if len(y) >= 6:
            boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
