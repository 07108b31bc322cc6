"""What is exported: the whole ``Restyle`` stage, and the encoder from picture to code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from styleaug.edge import CELL
from styleaug.nn.encoder import STYLE_SIZE, Stylizer
from styleaug.nn.features import VGGFeatures, load_features
from styleaug.nn.noise import white_noise
from styleaug.pack import StylePack, build_stylizer
from styleaug.stages.restyle import Change
from styleaug.styles.procedural import FAMILIES, draw_finish

_LARGEST = 16384
"""Pixels a side, and images of a batch at a time: bounds that exporters want to know."""


class RestyleGraph(nn.Module):
    """A pack's ``Restyle``: images, codes, amounts and noise in, images out.

    Shape:
        images (B, 3, H, W), in [0, 1], H and W multiples of 4; code (B, code_size); strength and
        texture (B,), in [0, 1]; noise (B, 1, H, W), of unit variance -> (B, 3, H, W).
    """

    def __init__(self, stylizer: Stylizer) -> None:
        super().__init__()
        self.net = stylizer.net

    def forward(
        self, images: Tensor, code: Tensor, strength: Tensor, texture: Tensor, noise: Tensor
    ) -> Tensor:
        """Restyle."""
        return (
            Change.between(images, self.net(images, code, noise))
            .added_to(images, strength, texture)
            .clamp(0, 1)
        )


class EncoderGraph(nn.Module):
    """A pack's encoder: a picture in, the code of its style out.

    Shape:
        picture (1, 3, S, S), in [0, 1], S at least 16 -> (1, code_size).
    """

    def __init__(self, stylizer: Stylizer, trunk: VGGFeatures) -> None:
        super().__init__()
        self.stylizer, self.trunk = stylizer, trunk

    def forward(self, picture: Tensor) -> Tensor:
        """Encode."""
        size = (STYLE_SIZE, STYLE_SIZE)
        seen = F.interpolate(picture, size, mode="bilinear", antialias=True, align_corners=False)
        return self.stylizer.encode(seen, self.trunk)


@dataclass(frozen=True)
class Part:
    """A network to export.

    Attributes:
        name: of its files.
        graph: the network, in float32.
        example: what it takes, by name.
        output: what it gives.
        dims: names of the dimensions that may have any length, by input.
    """

    name: str
    graph: nn.Module
    example: dict[str, Tensor]
    output: str
    dims: dict[str, dict[int, Any]]


def parts_of(pack: StylePack) -> list[Part]:
    """What a pack is exported as."""
    # a copy, laid out as exporters expect it
    stylizer = build_stylizer(pack.config, pack.state).requires_grad_(False).eval()
    batch = torch.export.Dim("batch", max=_LARGEST)
    height, width = (torch.export.Dim(name, min=4, max=_LARGEST) for name in ("rows", "columns"))
    sides = {2: CELL * height, 3: CELL * width}
    feed = restyle_inputs(pack, draw_pictures(2, 128)[..., :96].contiguous(), seed=0)
    one: dict[int, Any] = {0: batch}
    dims = {**dict.fromkeys(feed, one), "images": one | sides, "noise": one | sides}
    side = torch.export.Dim("side", min=16, max=_LARGEST)
    picture = draw_pictures(1, 300)
    encoder = EncoderGraph(stylizer, load_features("vgg16").float()).eval()
    return [
        Part("restyle", RestyleGraph(stylizer).eval(), feed, "restyled", dims),
        Part("encoder", encoder, {"picture": picture}, "code", {"picture": {2: side, 3: side}}),
    ]


def restyle_inputs(
    pack: StylePack, images: Tensor, *, seed: int, strength: float = 1.0, texture: float = 1.0
) -> dict[str, Tensor]:
    """What :class:`RestyleGraph` takes: images (B, 3, H, W), each in a style of the pack's own."""
    count = len(images)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(pack), (count,), generator=generator)
    return {
        "images": images,
        "code": pack.codes[rows],
        "strength": torch.full((count,), strength),
        "texture": torch.full((count,), texture),
        "noise": white_noise(torch.arange(count) + seed, 1, *images.shape[2:]),
    }


def draw_pictures(count: int, size: int) -> Tensor:
    """Finishes that the package draws: (count, 3, size, size), in [0, 1]."""
    families = [*FAMILIES]
    return torch.stack(
        [
            draw_finish(families[7 * k % len(families)], 2000 + k, size=size).float()
            for k in range(count)
        ]
    )
