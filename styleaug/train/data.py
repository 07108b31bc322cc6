"""The batches of a training run: content, styles and synthetic defects, a function of the step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from styleaug.images.io import find_images, load_rgb
from styleaug.nn.noise import SEEDS
from styleaug.train.config import TrainConfig
from styleaug.train.styles import StyleImage

log = logging.getLogger(__name__)


class TrainingBatches(Dataset[dict[str, Tensor]]):
    """Item ``step`` is the whole batch of that step: a function of (seed, process, step) alone.

    So a resumed run sees just what an unbroken one would have seen, with any number of workers.

    Each folder is drawn from in proportion to the square root of its size: large ones count for
    more, small ones are not lost.

    Args:
        config: of the run.
        styles: the training styles.
        rank: of this process.
    """

    def __init__(self, config: TrainConfig, styles: Sequence[StyleImage], rank: int = 0) -> None:
        self.config, self.rank = config, rank
        self.content = [[str(p) for p in find_images(folder)] for folder in config.content]
        self.style_groups = [
            [i for i, s in enumerate(styles) if s.group == g] for g in range(len(config.styles))
        ]
        self.style_groups = [group for group in self.style_groups if group]
        self._reported: set[str] = set()

    def __len__(self) -> int:
        """Steps of the run."""
        return self.config.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """The batch of a step.

        Returns:
            ``content`` (B, 3, c, c) uint8; ``surfaces`` (B / 4, 3, c, c) uint8, smooth ones on
            which the first defects lie; ``rows`` of the styles' views (B,); the defects, see
            :func:`draw_defects`; the seed of the encoder's noise; and the ``seeds`` of the
            network's noise (2 B,), of content and damaged.
        """
        c = self.config
        rng = np.random.default_rng([c.seed, self.rank, step])
        views = rng.integers(0, c.views, c.batch)
        styles = [_pick(self.style_groups, rng) for _ in range(c.batch)]
        delta, mask, ring = draw_defects(c.batch, c.crop, rng)
        return {
            "content": torch.from_numpy(np.stack([self._crop(rng) for _ in range(c.batch)])),
            "surfaces": draw_surfaces(-(-c.batch // 4), c.crop, rng),
            "rows": torch.tensor(styles) * c.views + torch.from_numpy(views),
            "encoder_seed": torch.tensor(int(rng.integers(0, 2**31))),
            "delta": delta,
            "mask": mask,
            "ring": ring,
            "seeds": torch.from_numpy(rng.integers(0, SEEDS, 2 * c.batch)),
        }

    def _crop(self, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """A random crop of a random content image: (3, c, c) uint8."""
        size = self.config.crop
        for _ in range(20):
            path = _pick(self.content, rng)
            try:
                image = load_rgb(Path(path))
            except OSError as error:
                if path not in self._reported:
                    self._reported.add(path)
                    log.warning("skipped unreadable content image %s (%s)", path, error)
                continue
            side = min(min(image.size), max(size * 0.7, min(image.size) * rng.uniform(0.5, 1)))
            left, top = (rng.uniform(0, length - side) for length in image.size)
            box = (left, top, left + side, top + side)
            image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
            array = np.asarray(image)
            if rng.random() < 0.5:
                array = array[:, ::-1]
            if rng.random() < 0.5:  # other exposures: nearly flat and dark surfaces must be met too
                low, high = sorted(rng.uniform(0, 255, 2))
                low, high = low * 0.5, max(high, low * 0.5 + 40)
                array = (array / 255.0 * (high - low) + low).clip(0, 255).astype(np.uint8)
            return np.ascontiguousarray(array.transpose(2, 0, 1))
        raise OSError(
            f"Content images must be readable, but 20 in a row were not; the last was {path}."
        )


def _pick(groups: Sequence[Sequence[Any]], rng: np.random.Generator) -> Any:
    weights = np.sqrt([len(group) for group in groups])
    group = groups[rng.choice(len(groups), p=weights / weights.sum())]
    return group[int(rng.integers(len(group)))]


def draw_surfaces(count: int, side: int, rng: np.random.Generator) -> Tensor:
    """Smooth surfaces: a level, a slope, faint colour, and up to three levels of sensor noise.

    Args:
        count: B.
        side: in pixels.
        rng: draws them.

    Returns:
        (B, 3, side, side), uint8. A half of them carries no noise at all.
    """

    def draw(low: float, high: float, *shape: int) -> np.ndarray[Any, Any]:
        return rng.uniform(low, high, (count, *shape))

    x = np.linspace(-1, 1, side)
    level, slope, angle = draw(20, 235, 1, 1, 1), draw(0, 40, 1, 1, 1), draw(0, 2 * np.pi, 1, 1, 1)
    noise = draw(0, 3, 1, 1, 1) * (rng.random((count, 1, 1, 1)) < 0.5)
    pixels = level + slope * (x * np.cos(angle) + x[:, None] * np.sin(angle))
    pixels = pixels + draw(-12, 12, 3, 1, 1) * (rng.random((count, 1, 1, 1)) < 0.5)
    pixels = pixels + noise * rng.standard_normal((count, 1, side, side))
    return torch.from_numpy(pixels.round().clip(0, 255).astype(np.uint8))


KINDS = ("scratch", "spot", "blotch", "rough")
_FREQUENCIES = (0.4, 0.25, 0.15, 0.2)


def draw_defects(
    count: int, side: int, rng: np.random.Generator, *, each: int = 3
) -> tuple[Tensor, Tensor, Tensor]:
    """Synthetic scratches, spots, blotches and rough patches of known contrast.

    Args:
        count: B.
        side: of the images, in pixels.
        rng: draws them.
        each: K, defects an image.

    Returns:
        What to add to images in [0, 1], (B, 1, side, side); the defects' masks, and rings around
        them that keep clear of the other defects: each (B, K, side, side).
    """
    shape = (count, each, 1, 1)

    def draw(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, shape)).float()

    kind = torch.from_numpy(rng.choice(len(KINDS), shape, p=_FREQUENCIES))
    scratch, spot, rough = (kind == KINDS.index(name) for name in ("scratch", "spot", "rough"))
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    px, py, angle = draw(0.12, 0.88) * side, draw(0.12, 0.88) * side, draw(0, torch.pi)
    half_length = torch.where(scratch, draw(0.08, 0.3) * side, torch.zeros(()))
    # standard deviation across; what is no scratch is longer than it is wide
    width = torch.where(scratch, draw(0.7, 2.0), torch.where(spot, draw(1.2, 4.0), draw(4.0, 12.0)))
    stretch = torch.where(scratch, torch.ones(()), draw(1.0, 2.0))
    along = ((x - px) * angle.cos() + (y - py) * angle.sin()) / stretch
    across = (y - py) * angle.cos() - (x - px) * angle.sin()
    beyond = (along.abs() - half_length).clamp_min(0)
    distance = (across.square() + beyond.square()).sqrt()
    profile = (-0.5 * (distance / width).square()).exp()
    sign = torch.from_numpy(rng.choice([-1.0, 1.0], shape)).float()
    contrast = draw(np.log(0.03), np.log(0.4)).exp() * sign  # log-uniform: faint ones are common
    noise = torch.from_numpy(rng.standard_normal((count, each, side, side))).float().clamp(-2, 2)
    delta = (contrast * profile * torch.where(rough, 0.5 * noise, torch.ones(()))).sum(1, True)
    mask = distance < 1.2 * width
    # between 2.5 and 3.5 widths the profile has died away
    ring = (distance > 2.5 * width + 1) & (distance < 2.5 * width + 8)
    ring &= ~mask.any(1, keepdim=True)
    return delta, mask.float(), ring.float()
