"""Draw docs/assets/film.webp: a drawn plate under a moving camera, as a loop.

    pip install "styleaug[video]"
    python -m benchmarks.docs.film [--out FILE]

From left to right: as it is; each frame restyled alone; as a film.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import cos, pi, sin
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.rows import parser_of
from styleaug import Restyle, StyleAugment
from styleaug.images.color import to_dtype
from styleaug.images.io import to_image
from styleaug.pack import DEFAULT_PACK
from styleaug.styles.procedural import draw_finish
from styleaug.train.data import draw_defects
from styleaug.video import Restyler

OUT = Path(__file__).parents[2] / "docs" / "assets" / "film.webp"
STYLE = "starry_night"
WIDE, SIDE, FRAMES, GAP = 360, 224, 24, 8


def views(picture: Tensor) -> list[Tensor]:
    """A camera's way round over a picture (3, H, W), float: it ends where it begins."""
    frames = []
    for k in range(FRAMES):
        turn = 2 * pi * k / FRAMES
        theta = torch.tensor([[[0.72, 0, 0.2 * sin(turn)], [0, 0.72, 0.16 * cos(turn)]]])
        grid = F.affine_grid(theta, [1, 3, SIDE, SIDE], align_corners=False)
        frames.append(F.grid_sample(picture[None], grid, mode="bicubic", align_corners=False))
    return [frame[0].clamp(0, 1) for frame in frames]


def main(options: Sequence[str]) -> None:
    """Draw and write it."""
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--pack", default=DEFAULT_PACK)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(options)
    rng = np.random.default_rng(arguments.seed)
    plate = draw_finish("ceramic", 2, size=WIDE) + draw_defects(1, WIDE, rng)[0][0]
    augment = StyleAugment([Restyle(STYLE, pack=arguments.pack, strength=1.0, texture=1.0)])
    plan = augment.draw(1, torch.Generator().manual_seed(arguments.seed))
    frames = views(plate.clamp(0, 1))
    film = Restyler(augment, plan)
    for frame in frames:  # once round before, so that the loop has no beginning
        film(frame)
    gap = torch.ones(3, SIDE, GAP)
    shown = [
        to_image(
            to_dtype(
                torch.cat([x, gap, augment.render(x[None], plan)[0], gap, film(x)], 2), torch.uint8
            )
        )
        for x in frames
    ]
    shown[0].save(
        arguments.out,
        save_all=True,
        append_images=shown[1:],
        duration=80,
        loop=0,
        quality=70,
        method=6,
    )
    print(arguments.out, arguments.out.stat().st_size // 1000, "kB")


if __name__ == "__main__":
    main(sys.argv[1:])
