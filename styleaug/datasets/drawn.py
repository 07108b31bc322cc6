"""Draw a labelled dataset, to follow the tutorials with: brushed parts with defects, on two lines.

    python -m styleaug.datasets.drawn parts/ --labels classes
    python -m styleaug.datasets.drawn new_line/ --labels classes --line new --count 120

No image is downloaded. A part is a brushed surface (:mod:`styleaug.styles.procedural`): scratches
and dents are in its height, stains in its colour. Both lines make the same parts. On the old line a
high light source and much diffuse light make them bright; on the new one, light comes from low on
the other side and falls off. The lighting shares no code with what ``StyleAugment`` does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi, radians, sin
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from styleaug.images.checks import check_whole
from styleaug.images.color import to_dtype
from styleaug.images.io import save_image, to_image
from styleaug.styles.procedural.drawing import Draw, smooth
from styleaug.styles.procedural.surface import families

KINDS = ("dent", "scratch", "stain")
"""The defects."""
GOOD = "good"
"""The class of parts without any."""
_FAMILY, _FIRST = "brushed", 70_000
"""The finish of the parts. No style of a pack is among the pictures from this index on."""
_FLAT = 0.06
"""Root mean square slope of the brushing: less than that of a defect's flanks."""


@dataclass(frozen=True)
class Lighting:
    """How a line lights its parts.

    Attributes:
        azimuth: degrees from where the light comes, 0 from the right, 90 from below.
        elevation: degrees of the light source above the part.
        diffuse: share of the light that comes from all sides.
        exposure: factor on the image.
        fall: how far the light falls off away from its source: exp(-fall) from side to side.
        noise: standard deviation of the sensor's noise, as a share of the range.
        colour: gains of red, green and blue.
    """

    azimuth: float
    elevation: float
    diffuse: float
    exposure: float
    fall: float
    noise: float
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)


LINES = {
    "old": Lighting(azimuth=225, elevation=60, diffuse=0.6, exposure=0.85, fall=0.1, noise=0.01),
    "new": Lighting(
        azimuth=20,
        elevation=35,
        diffuse=0.3,
        exposure=0.55,
        fall=0.9,
        noise=0.025,
        colour=(1.08, 1.0, 0.88),
    ),
}
"""The lines, by name."""


@dataclass(frozen=True)
class Part:
    """A drawn part.

    Attributes:
        image: (3, S, S), uint8.
        defects: kind and mask (S, S), bool, of each.
    """

    image: Tensor
    defects: Sequence[tuple[str, Tensor]]


def draw_part(index: int, kinds: Sequence[str], *, line: str = "old", size: int = 128) -> Part:
    """Draw a part with these defects.

    Args:
        index: which part; the same index is the same part on both lines.
        kinds: of its defects, of :data:`KINDS`.
        line: whose lighting, of :data:`LINES`.
        size: side in pixels, 32 at least.

    Returns:
        A function of the arguments alone.
    """
    draw = Draw(_FAMILY, _FIRST + index, size, "cpu")
    surface, drift = families[_FAMILY](draw), draw.scale(0.95, 1.05)
    noise = torch.randn(3, size, size, generator=draw.generator)  # before the defects: the same
    slopes = torch.stack(torch.gradient(surface.height))
    slopes *= _FLAT / slopes.square().mean().sqrt().clamp_min(1e-9)
    albedo = surface.albedo.expand(3, size, size)
    defects = []
    for kind in kinds:
        height, shade, mask = _DEFECTS[kind](draw)
        slopes = slopes + torch.stack(torch.gradient(height))
        albedo = albedo * shade
        defects.append((kind, mask))
    lighting = LINES[line]
    image = drift * _lit(slopes, albedo, lighting, draw) + lighting.noise * noise
    return Part(to_dtype(image.clamp(0, 1), torch.uint8), defects)


def _lit(slopes: Tensor, albedo: Tensor, lighting: Lighting, draw: Draw) -> Tensor:
    """The part as a camera above it sees it without noise: (3, S, S)."""
    turn, rise = radians(lighting.azimuth), radians(lighting.elevation)
    x, y, z = cos(rise) * cos(turn), cos(rise) * sin(turn), sin(rise)
    normal = (1 + slopes.square().sum(0)).rsqrt()
    direct = ((z - slopes[0] * y - slopes[1] * x) * normal).clamp_min(0) / z
    light = lighting.diffuse * normal + (1 - lighting.diffuse) * direct
    towards = (draw.x * cos(turn) + draw.y * sin(turn)) / draw.size
    light = light * (lighting.fall * towards).exp() * lighting.exposure
    return albedo * light * torch.tensor(lighting.colour).view(3, 1, 1)


def _place(draw: Draw) -> tuple[Tensor, Tensor]:
    """Coordinates (S, S) in pixels from somewhere well inside the part, turned at random."""
    turn = draw.uniform(0, pi)
    x, y = (axis - draw.uniform(-0.32, 0.32) * draw.size for axis in (draw.x, draw.y))
    return x * cos(turn) + y * sin(turn), y * cos(turn) - x * sin(turn)


_Drawn = tuple[Tensor, Tensor, Tensor]
"""Height in pixels, factor on the albedo, and mask: each (S, S)."""


def _scratch(draw: Draw) -> _Drawn:
    along, across = _place(draw)
    half, width = draw.uniform(0.1, 0.25) * draw.size, draw.uniform(0.8, 1.4)
    across = across + draw.uniform(-0.003, 0.003) * along.square()  # few are straight
    away = torch.hypot((along.abs() - half).clamp_min(0), across)
    groove = (-0.5 * (away / width).square()).exp()
    return -draw.scale(0.4, 1.2) * groove, 1 - 0.15 * groove, away < 1.5 * width


def _dent(draw: Draw) -> _Drawn:
    along, across = _place(draw)
    radius = draw.uniform(0.035, 0.07) * draw.size
    away = torch.hypot(along / draw.uniform(1, 1.4), across) / radius
    bowl = (-2 * away.square()).exp()
    return -draw.scale(0.2, 0.5) * radius * bowl, torch.ones(()), away < 1


def _stain(draw: Draw) -> _Drawn:
    along, across = _place(draw)
    radius = draw.uniform(0.06, 0.12) * draw.size
    away = torch.hypot(along / draw.uniform(1, 1.6), across) / radius
    away = away + 0.15 * draw.noise(radius, smooth)  # none is round
    spread = torch.sigmoid(8 * (1 - away))
    return torch.zeros_like(away), 1 - draw.uniform(0.12, 0.4) * spread, away < 1


_DEFECTS: dict[str, Callable[[Draw], _Drawn]] = {
    "dent": _dent,
    "scratch": _scratch,
    "stain": _stain,
}


# ---------------------------------------------------------------- folders


def _write_class(folder: Path, number: int, part: Part) -> None:
    kind = part.defects[0][0] if part.defects else GOOD
    _save(folder / kind / f"{number:03d}.png", to_image(part.image))
    if part.defects:
        _save_mask(_masks_of(folder) / kind / f"{number:03d}.png", part)


def _masks_of(folder: Path) -> Path:
    """Outside of the folder, or they would be taken for images where no labels are read."""
    return folder.with_name(f"{folder.name}_masks")


def _write_masks(folder: Path, number: int, part: Part) -> None:
    _save(folder / "images" / f"{number:03d}.png", to_image(part.image))
    _save_mask(folder / "masks" / f"{number:03d}.png", part)


def _save_mask(path: Path, part: Part) -> None:
    marked = torch.zeros(part.image.shape[-2:], dtype=torch.bool)
    for _, mask in part.defects:
        marked |= mask
    _save(path, Image.fromarray(255 * np.uint8(marked.numpy())))


def _write_boxes(folder: Path, number: int, part: Part) -> None:
    size, lines = part.image.shape[-1], []
    for kind, mask in part.defects:
        (y, x) = mask.nonzero().T
        left, top, right, bottom = (int(v) for v in (x.min(), y.min(), x.max() + 1, y.max() + 1))
        shares = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        lines.append(f"{KINDS.index(kind)} " + " ".join(f"{v / size:.5f}" for v in shares) + "\n")
    _save(folder / "images" / f"{number:03d}.png", to_image(part.image))
    labels = folder / "labels" / f"{number:03d}.txt"
    labels.parent.mkdir(exist_ok=True)
    labels.write_text("".join(lines), encoding="utf-8")
    names = "".join(f"  {k}: {kind}\n" for k, kind in enumerate(KINDS))
    (folder / "data.yaml").write_text(
        f"train: images\nval: images\nnames:\n{names}", encoding="utf-8"
    )


def _save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(path, image)


LABELS: dict[str, Callable[[Path, int, Part], None]] = {
    "classes": _write_class,
    "boxes": _write_boxes,
    "masks": _write_masks,
}
"""Layouts: a folder for each class, and masks in DIR_masks; YOLO's boxes; images and masks."""


def draw_folder(
    folder: Path, labels: str = "classes", *, line: str = "old", count: int = 300, size: int = 128
) -> None:
    """Draw a dataset.

    Args:
        folder: that must not hold anything yet.
        labels: how it is laid out, of :data:`LABELS`. With classes, a quarter of the parts is good
            and the others have a defect each; else a fifth is good, and the others have one or two.
        line: of :data:`LINES`; no part of one is on the other.
        count: of the images.
        size: their side in pixels.

    Raises:
        ValueError: if the folder holds anything, or ``count`` is not a whole number of at least 1.
        OSError: if it cannot be written.
    """
    check_whole("count", count, 1)
    for place in (folder, _masks_of(folder)):
        if place.exists() and any(place.iterdir()):
            raise ValueError(
                f"The folder to draw into must be empty, but {place} is not. Name another."
            )
    rng = np.random.default_rng(list(LINES).index(line))
    for number in tqdm(range(count), f"draw {folder.name}", unit="image"):
        if labels == "classes":
            kinds = [[], *([kind] for kind in KINDS)][number % 4]
        else:
            kinds = rng.choice(KINDS, rng.choice(3, p=(0.2, 0.5, 0.3))).tolist()
        index = 10_000 * list(LINES).index(line) + number
        LABELS[labels](folder, number, draw_part(index, kinds, line=line, size=size))


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m styleaug.datasets.drawn",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="to draw into")
    add("--labels", choices=LABELS, default="classes", help="layout (default: classes)")
    add("--line", choices=LINES, default="old", help="whose lighting (default: old)")
    add("--count", type=int, default=300, metavar="N", help="images (default: 300)")
    options = parser.parse_args(arguments)
    try:
        draw_folder(options.folder, options.labels, line=options.line, count=options.count)
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
