"""Three parts of different makes, whose textures are drawn in space, so that seams are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from styleaug.mesh.fill import Points, fill
from styleaug.mesh.uv import Array, Surface, along_seams


@dataclass(frozen=True, eq=False)
class Part:
    """A mesh with UVs.

    Attributes:
        points: of vertices (V, 3).
        uv: the same (V, 2), v down.
        faces: vertices of triangles (T, 3).
    """

    points: Array
    uv: Array
    faces: Array

    @property
    def surface(self) -> Surface:
        return Surface.of(self.points[self.faces], self.uv[self.faces])

    def positions(self, size: int) -> tuple[Array, Array]:
        """The point in space of each texel (size, size, 3), and which texels have one."""
        place, known = np.zeros((size, size, 3)), np.zeros((size, size), bool)
        for corners, uv in zip(
            self.points[self.faces], self.uv[self.faces] * size - 0.5, strict=True
        ):
            low = np.floor(uv.min(0)).clip(0).astype(int)
            high = np.ceil(uv.max(0)).clip(0, size - 1).astype(int) + 1
            x, y = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
            edges = np.array([uv[1] - uv[0], uv[2] - uv[0]]).T
            if abs(np.linalg.det(edges)) < 1e-9:
                continue
            b, c = np.linalg.inv(edges) @ np.stack([x.ravel() - uv[0, 0], y.ravel() - uv[0, 1]])
            shares = np.stack([1 - b - c, b, c], axis=1)
            inside = (shares > -0.02).all(1)
            texels = y.ravel()[inside], x.ravel()[inside]
            place[texels], known[texels] = shares[inside] @ corners, True
        return place, known

    def draw(
        self, size: int, paint: Callable[[Array], Array], *, gutter: bool = True
    ) -> Image.Image:
        """A texture of colours in space, on a black background or with the islands dilated.

        Args:
            size: of its sides, in texels.
            paint: from points (N, 3) to colours (N, 3), in [0, 255].
            gutter: whether the background gets the islands' colours.
        """
        place, known = self.positions(size)
        colours = np.zeros((size, size, 3))
        colours[known] = paint(place[known])
        if gutter:
            share = torch.from_numpy(known.astype(np.float32))
            for k in range(3):
                colours[..., k] = fill(torch.from_numpy(colours[..., k]).float(), share).numpy()
        return Image.fromarray(colours.clip(0, 255).round().astype(np.uint8))

    def mesh(self, texture: Image.Image, **maps: Any) -> Any:
        """A ``trimesh.Trimesh`` with the texture and other maps."""
        import trimesh

        material = trimesh.visual.material.PBRMaterial(
            baseColorTexture=texture, baseColorFactor=[255] * 4, **maps
        )
        mesh = trimesh.Trimesh(self.points, self.faces, process=False)
        mesh.visual = trimesh.visual.TextureVisuals(self.uv * (1, -1) + (0, 1), material=material)
        return mesh


def box() -> Part:
    """Six squares in an atlas of 3 x 2 cells with gutters."""
    points, uv, faces = [], [], []
    for side in range(6):
        axis, far = divmod(side, 2)
        others = [k for k in range(3) if k != axis]
        for a, b in ((0, 0), (1, 0), (1, 1), (0, 1)):
            point = np.zeros(3)
            point[axis], point[others[0]], point[others[1]] = far, a, b
            points.append(point * 2 - 1)
            uv.append(((side % 3 + 0.06 + 0.88 * a) / 3, (side // 3 + 0.06 + 0.88 * b) / 2))
        first = 4 * side
        turn = (far == 1) == (axis != 1)  # outwards
        quads = ((0, 1, 2), (0, 2, 3)) if turn else ((0, 2, 1), (0, 3, 2))
        faces += [[first + k for k in triangle] for triangle in quads]
    return Part(np.array(points), np.array(uv), np.array(faces))


def sphere(rings: int = 24) -> Part:
    """Latitude and longitude: the texture goes round, and is squeezed at the poles."""
    down, across = np.meshgrid(np.arange(rings + 1), np.arange(2 * rings + 1), indexing="ij")
    polar, turn = np.pi * down / rings, np.pi * (across % (2 * rings)) / rings
    ring = np.where((down == 0) | (down == rings), 0.0, np.sin(polar))
    points = np.stack([ring * np.cos(turn), ring * np.sin(turn), np.cos(polar)], axis=-1)
    uv = np.stack([across / (2 * rings), down / rings], axis=-1)
    a = (down * (2 * rings + 1) + across)[:-1, :-1].ravel()
    b, c, d = a + 1, a + 2 * rings + 1, a + 2 * rings + 2
    faces = np.concatenate([np.stack([a, c, d], 1), np.stack([a, d, b], 1)])
    return Part(points.reshape(-1, 3), uv.reshape(-1, 2), faces)


PROFILE = (
    *((0.30, -0.12), (0.96, -0.12), (1.0, -0.08), (1.0, 0.08), (0.96, 0.12), (0.52, 0.12)),
    *((0.46, 0.20), (0.46, 0.66), (0.42, 0.70), (0.30, 0.70), (0.30, -0.12)),
)
"""Half the section of a flange: radius and height."""


def flange(*, segments: int = 96, bolts: int = 6) -> Part:
    """A turned flange with hexagonal bolts, unwrapped by xatlas into charts of any shape."""
    import trimesh
    import xatlas

    solids = [trimesh.creation.revolve(np.array(PROFILE), sections=segments)]
    for k in range(bolts):
        bolt = trimesh.creation.cylinder(radius=0.115, height=0.16, sections=6)
        angle = 2 * np.pi * (k + 0.5) / bolts
        bolt.apply_translation([0.74 * np.cos(angle), 0.74 * np.sin(angle), 0.2])
        solids.append(bolt)
    solid = trimesh.util.concatenate(solids)
    atlas = xatlas.Atlas()
    atlas.add_mesh(solid.vertices.astype(np.float32), solid.faces.astype(np.uint32))
    pack = xatlas.PackOptions()
    pack.resolution, pack.padding = 1024, 8
    atlas.generate(pack_options=pack)
    vertices, faces, uv = atlas[0]
    return Part(solid.vertices[vertices], uv.astype(np.float64), faces.astype(np.int64))


PARTS: dict[str, Callable[[], Part]] = {"box": box, "sphere": sphere, "flange": flange}


def metal(seed: int = 0) -> Callable[[Array], Array]:
    """Colours of a machined part at points in space: stains, marks of a tool, grain."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(0, 5, (24, 3))
    phases = rng.uniform(0, 2 * np.pi, 24)

    def paint(points: Array) -> Array:
        stains = np.cos(points @ waves.T + phases).sum(1) / np.sqrt(12)
        marks = np.sin(90 * np.linalg.norm(points[:, :2], axis=1) + 2 * stains)
        level = 150 + 14 * stains + 6 * marks + rng.normal(0, 4, len(points))
        tint: Array = np.array([1.0, 0.98, 0.93])
        return level[:, None] * tint

    return paint


def seam_step(image: Image.Image, surface: Surface, depth: float = 1) -> float:
    """Mean absolute difference of colours across seams, in levels of 255.

    Bilinear looks, a texel apart along each seam and ``depth`` texels into either side.
    """
    colours, size = _colours(image)
    one, other = along_seams(surface.seams(), size, depth)
    return _difference(colours, one, other)


def step_inside(image: Image.Image, surface: Surface, depth: float = 1) -> float:
    """The same between places that are as far apart, on one side of the seams: the texture's."""
    colours, size = _colours(image)
    seams = surface.seams()
    near, far = (along_seams(seams, size, d) for d in (depth, 3 * depth))
    return sum(_difference(colours, near[k], far[k]) for k in range(2)) / 2


def _colours(image: Image.Image) -> tuple[Tensor, tuple[int, int]]:
    pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float()
    return pixels, (pixels.shape[1], pixels.shape[2])


def _difference(colours: Tensor, one: Array, other: Array) -> float:
    size = (colours.shape[1], colours.shape[2])
    first, second = (Points.of(points, size, (True, True)) for points in (one, other))
    return float(torch.stack([(first.at(c) - second.at(c)).abs().mean() for c in colours]).mean())


def as_glb(mesh: Any) -> bytes:
    """The file of a ``trimesh.Trimesh``."""
    file = BytesIO()
    mesh.export(file, file_type="glb")
    return file.getvalue()
