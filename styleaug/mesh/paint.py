"""``Paint``: a plan with what renders it; and tone alone, for colours that lie at points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from styleaug.augment.plan import Plan
from styleaug.augment.transform import StyleAugment
from styleaug.images.color import luma
from styleaug.mesh.uv import Array
from styleaug.stages.restyle import RestyleParams

_SIDE = 64
"""Of the image that stands for the colours of all vertices, in pixels."""


@dataclass(frozen=True, eq=False)
class Paint:
    """What happens to all textures of a model.

    Attributes:
        augment: whose stages render the plan.
        plan: of one row.
        device: where to compute.
    """

    augment: StyleAugment
    plan: Plan
    device: torch.device = torch.device("cpu")  # noqa: RUF009 -- a device never changes

    def __call__(self, image: Tensor) -> Tensor:
        """Pixels of an image (C, H, W), uint8, to the same."""
        return self.augment.render(image[None].to(self.device), self.plan)[0].cpu()

    def tone(self, colours: Array) -> Array:
        """Colours of vertices (N, 3), uint8, to the same: what changes depends on luma alone.

        The network sees all colours sorted by luma, as an image without texture. So vertices of one
        colour change alike, and no step appears between neighbours.
        """
        if not len(colours):
            return colours
        level = luma(torch.from_numpy(colours.T[:, :, None].astype(np.float32)))[0, :, 0]
        order = level.argsort(stable=True)
        chosen = order[torch.linspace(0, len(order) - 1, _SIDE**2).long()]
        ramp = torch.from_numpy(colours.copy())[chosen].T.reshape(3, _SIDE, _SIDE)
        plain = {
            name: replace(params, texture=torch.zeros_like(params.texture))
            if isinstance(params, RestyleParams)
            else params.scaled(torch.zeros(len(params)))  # noise and lighting know no vertices
            for name, params in self.plan.items()
        }
        styled = replace(self, plan=Plan(plain))(ramp)
        change = (styled.double() - ramp.double()).reshape(3, -1).numpy()
        levels, rank = np.unique(level[chosen].round().numpy(), return_inverse=True)
        count = np.bincount(rank)
        curves = [np.interp(level, levels, np.bincount(rank, c) / count) for c in change]
        new: Array = (colours + np.stack(curves, axis=1)).round().clip(0, 255)
        return new.astype(np.uint8)
