"""How much restyled films flicker, beside their frames restyled alone.

    pip install "styleaug[video]"
    python -m benchmarks.quality.film --pictures DIR --clips FILE...

Flicker is the root mean square of what changes between two frames along the motion. The motion of a
drawn clip is known: a pan, a zoom and a shaking camera over each picture, with noise of 2 levels as
a camera has; that of a clip from a file is estimated once, between its own frames (dense inverse
search, at full size). It is told relative to the clip's own flicker, and so is the texture that is
left: the standard deviation of what lies above a blur of 9 pixels, over that of frames alone.
Strength and texture are 1, the pack's styles random.

film    as ``styleaug stylize`` makes it
alone   each frame by itself, by one plan
anew    the same, with other noise in each frame
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import cos, sin
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from benchmarks.rows import RESULTS, Rows, parser_of, provenance
from styleaug import Restyle, StyleAugment
from styleaug.augment.plan import Plan
from styleaug.images.color import luma
from styleaug.images.io import find_images, load_rgb, spread, to_tensor
from styleaug.pack import DEFAULT_PACK
from styleaug.stages.restyle import RestyleParams
from styleaug.video import Restyler
from styleaug.video.clip import Clip
from styleaug.video.motion import Motion

SIZE = (288, 384)
MOTIONS = ("pan", "zoom", "shake")


@dataclass(frozen=True)
class Scene:
    """Frames (1, 3, H, W), and the motion between each two of them."""

    name: str
    kind: str
    frames: list[Tensor]
    motions: list[Motion]

    def flicker(self, frames: Sequence[Tensor]) -> float:
        """Of frames with the same motion, in levels of 255."""
        total, count = 0.0, 0.0
        for before, now, motion in zip(frames, frames[1:], self.motions, strict=False):
            apart = (now - _sharply(motion, before)).square() * motion.same
            total += float(apart.sum())
            count += 3 * float(motion.same.sum())
        return 255 * (total / count) ** 0.5


def drawn_scene(path: Path, kind: str, count: int, seed: int) -> Scene:
    """A camera's way over a picture."""
    picture = to_tensor(load_rgb(path))[None].float() / 255
    tall, wide = picture.shape[-2:]
    height, width = SIZE
    fit = min(tall / height, wide / width)
    down = torch.arange(height)[:, None] + 0.5 - height / 2
    right = torch.arange(width) + 0.5 - width / 2
    generator = torch.Generator().manual_seed(seed)

    def camera(time: int) -> tuple[float, float, float]:
        """Scale and place, in pixels of the picture."""
        if kind == "pan":
            step = fit * 0.7 * (time - count / 2)
            return 0.7 * fit, 1.37 * step, 0.61 * step
        if kind == "zoom":
            return (0.9 - 0.35 * time / count) * fit, 0.0, 0.0
        return 0.7 * fit, 4.2 * fit * sin(0.7 * time), 2.8 * fit * cos(0.9 * time)

    frames, motions = [], []
    for time in range(count):
        scale, x, y = camera(time)
        across, along = torch.broadcast_tensors(right * scale + x, down * scale + y)
        grid = torch.stack([across * 2 / wide, along * 2 / tall], -1)[None]
        frame = F.grid_sample(
            picture, grid, mode="bicubic", padding_mode="reflection", align_corners=False
        )
        noise = torch.randn(frame.shape, generator=generator)
        frames.append((frame + noise * 2 / 255).clamp(0, 1))
        if time:
            before, x0, y0 = camera(time - 1)
            flow = torch.stack(
                [
                    ((across - x0) / before - right) / width,
                    ((along - y0) / before - down) / height,
                ]
            )[None]
            motions.append(Motion(flow, _inside(flow)))
    return Scene(path.stem, kind, frames, motions)


def film_scene(path: Path, count: int) -> Scene:
    """Frames of a file, and their estimated motion."""
    import cv2

    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    clip, frames = Clip(path), []
    for frame, _ in clip.read():
        frames.append(clip.pixels(frame)[None])
        if len(frames) == count:
            break
    height, width = frames[0].shape[-2:]
    grays = [(luma(f)[0, 0] * 255).round().to(torch.uint8).numpy() for f in frames]
    motions = []
    for before, now in pairwise(grays):
        flow = torch.from_numpy(search.calc(now, before, None)).permute(2, 0, 1)[None]
        flow = flow / torch.tensor([width, height]).view(1, 2, 1, 1)
        motions.append(Motion(flow, _inside(flow)))
    return Scene(path.stem, "file", frames, motions)


def _sharply(motion: Motion, x: Tensor) -> Tensor:
    """What was there in the frame before, by cubic interpolation: a linear one would blur."""
    height, width = x.shape[-2:]
    across = motion.flow[:, 0] + (torch.arange(width) + 0.5) / width
    along = motion.flow[:, 1] + ((torch.arange(height) + 0.5) / height)[:, None]
    grid = torch.stack([across, along], 3) * 2 - 1
    return F.grid_sample(x, grid, mode="bicubic", padding_mode="border", align_corners=False)


def _inside(flow: Tensor) -> Tensor:
    """What was well inside the frame before."""
    height, width = flow.shape[-2:]
    across = flow[:, 0] + (torch.arange(width) + 0.5) / width
    along = flow[:, 1] + ((torch.arange(height) + 0.5) / height)[:, None]
    inside = (across > 0.02) & (across < 0.98) & (along > 0.02) & (along < 0.98)
    return inside[:, None].float()


def texture(frames: Sequence[Tensor]) -> float:
    """Standard deviation of what lies above a blur."""
    parts = [luma(f) - F.avg_pool2d(luma(f), 9, 1, 4, count_include_pad=False) for f in frames]
    return float(np.mean([float(part.std()) for part in parts]))


def measure(scene: Scene, augment: StyleAugment, plan: Plan) -> Iterator[dict[str, Any]]:
    """Rows of one scene in one style."""
    frames, params = scene.frames, plan["Restyle"]
    assert isinstance(params, RestyleParams)
    alone = [augment.render(frame, plan) for frame in frames]
    made = {"alone": alone, "anew": []}
    for number, frame in enumerate(frames):
        other = replace(params, seed=params.seed + number)
        made["anew"].append(augment.render(frame, Plan({"Restyle": other})))
    film = Restyler(augment, plan)
    made["film"] = [film(frame[0])[None] for frame in frames]
    own, full = scene.flicker(frames), texture(alone)
    for method, outs in made.items():
        yield {
            "clip": scene.name,
            "kind": scene.kind,
            "style": params.styles[0],
            "method": method,
            "own": own,
            "flicker": scene.flicker(outs) / own,
            "texture": texture(outs) / full,
        }


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--pictures", type=Path, required=True, metavar="DIR")
    parser.add_argument("--clips", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--pack", default=DEFAULT_PACK)
    parser.add_argument("--count", type=int, default=4, help="pictures")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--styles", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "quality" / "film.json")
    options = parser.parse_args(arguments)
    augment = StyleAugment([Restyle(pack=options.pack, strength=1.0, texture=1.0, mix=0.0)])
    plans = augment.draw(options.styles, torch.Generator().manual_seed(options.seed))
    pictures = spread(find_images(options.pictures), options.count)
    scenes = [
        drawn_scene(path, kind, options.frames, options.seed)
        for path in pictures
        for kind in MOTIONS
    ] + [film_scene(path, options.frames) for path in options.clips]
    work = [(scene, row) for scene in scenes for row in range(options.styles)]
    rows = [
        row
        for scene, number in tqdm(work, desc="film")
        for row in measure(scene, augment, plans.select([number]))
    ]
    record = Rows({}, rows)
    for kind in record.each("kind"):
        for method in ("film", "alone", "anew"):
            found = record.where(kind=kind, method=method)
            told = ", ".join(
                f"{name} {np.mean([row[name] for row in found]):.2f}"
                for name in ("flicker", "texture")
            )
            print(f"{kind:6} {method:6} {told}")
    meta = {
        "name": "film",
        "purpose": "How much restyled films flicker, relative to what they were before.",
        **provenance(
            "benchmarks.quality.film", arguments, packages=("av", "opencv-python-headless")
        ),
        "pack": {"name": Path(options.pack).name, "id": augment.stages[0].pack_id},  # type: ignore[attr-defined]
        "frames": options.frames,
        "pictures": [path.name for path in pictures],
        "clips": [path.name for path in options.clips],
        "seed": options.seed,
    }
    print(Rows(meta, rows).save(options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
