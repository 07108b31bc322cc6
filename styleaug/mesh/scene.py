"""``restyle``: scenes and meshes of trimesh with other base colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

from styleaug.augment.plan import Plan
from styleaug.augment.transform import StyleAugment
from styleaug.errors import MissingExtraError
from styleaug.mesh.paint import Paint
from styleaug.mesh.texture import Texture, restyle_texture
from styleaug.mesh.uv import Surface

Scene = TypeVar("Scene")

_KINDS = {"PBRMaterial": "baseColorTexture", "SimpleMaterial": "image"}
"""Materials of trimesh, and where each keeps its base colours."""


def restyle(
    scene: Scene,
    augment: StyleAugment,
    plan: Plan | None = None,
    *,
    device: str | torch.device = "cpu",
) -> Scene:
    """Restyle the base colours of a model in memory.

    Textures keep their alpha and the area outside the islands. Other maps, UVs and geometry are
    shared with the original. Colours of vertices and faces change only in tone.

    Args:
        scene: a ``trimesh.Scene`` or ``trimesh.Trimesh``; not changed.
        augment: transform whose stages render the plan. Lighting, blur and noise belong to rendered
            pictures: for textures, use :class:`~styleaug.Restyle` alone.
        plan: plan of one row for all textures; by default drawn from torch's generator.
        device: where to compute.

    Returns:
        A copy.

    Raises:
        ValueError: if it has neither a texture with UVs nor colours, or the plan has more rows.
        TypeError: if it is neither a scene nor a mesh.
        MissingExtraError: if trimesh is not installed.

    Examples:
        >>> import numpy, PIL.Image, torch, trimesh
        >>> from styleaug import Restyle, StyleAugment
        >>> from styleaug.mesh import restyle
        >>> plane = trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, 2)])
        >>> steel = PIL.Image.new("RGB", (64, 64), "silver")
        >>> plane.visual = trimesh.visual.TextureVisuals(plane.vertices[:, :2], image=steel)
        >>> rusty = restyle(plane, StyleAugment([Restyle("rust")]))
        >>> rusty.visual.material.image.size
        (64, 64)
    """
    try:
        import trimesh
    except ImportError as error:
        raise MissingExtraError("trimesh", "mesh") from error
    if not isinstance(scene, trimesh.Scene | trimesh.Trimesh):
        raise TypeError(f"A model must be a trimesh.Scene or Trimesh, but is {type(scene)}.")
    plan = augment.draw(1) if plan is None else plan
    if plan.count != 1:
        raise ValueError(f"A model needs a plan of one row, but this has {plan.count}.")
    paint = Paint(augment, plan, torch.device(device))
    copy: Any = scene.copy()
    meshes = [copy] if isinstance(copy, trimesh.Trimesh) else list(copy.geometry.values())
    textured: dict[int, tuple[Image.Image, list[Any]]] = {}
    coloured = []
    for mesh in meshes:
        image = _image(mesh)
        if image is not None:
            textured.setdefault(id(image), (image, []))[1].append(mesh)
        elif getattr(mesh.visual, "kind", None) in ("vertex", "face"):
            coloured.append(mesh)
    if not textured and not coloured:
        raise ValueError(
            "A model must have a texture with UVs, or colours of vertices or faces, but has none."
        )
    for image, users in textured.values():
        styled = restyle_texture(Texture(image, _surface(users)), paint)
        for mesh in users:
            mesh.visual.material = mesh.visual.material.copy()
            setattr(mesh.visual.material, _KINDS[type(mesh.visual.material).__name__], styled)
    for mesh in coloured:
        kind = f"{mesh.visual.kind}_colors"
        colours = np.array(getattr(mesh.visual, kind))
        colours[:, :3] = paint.tone(colours[:, :3])
        setattr(mesh.visual, kind, colours)
    return copy  # type: ignore[no-any-return]


def _image(mesh: Any) -> Image.Image | None:
    """The base colours of a mesh that has UVs for them."""
    material = getattr(mesh.visual, "material", None)
    image = getattr(material, _KINDS.get(type(material).__name__, ""), None)
    return image if getattr(mesh.visual, "uv", None) is not None else None


def _surface(meshes: Iterable[Any]) -> Surface:
    return Surface.join(
        [
            Surface.of(
                np.asarray(mesh.vertices)[mesh.faces],
                (np.asarray(mesh.visual.uv) * (1, -1) + (0, 1))[mesh.faces],  # v points up
            )
            for mesh in meshes
        ]
    )
