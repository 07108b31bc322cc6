"""Patches cut out of images with masks: with a defect, or without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from styleaug.datasets import DefectSet, Sample
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.split import Split
from styleaug.evaluate.tasks import ImageSet, Task
from styleaug.images.io import to_tensor

CLASSES = ("defect", "good")
_MARKED = 0.01
"""Least share of a patch that its mask marks for it to have a defect; one of less is left out,
unless nothing at all is marked."""
_GOOD_AS_MANY = 2
"""Most patches without a defect, times those with one."""


def split_patches(defects: DefectSet, line: DefectSet, protocol: Protocol, *, side: int) -> Split:
    """Tell patches with a defect from those without; and see those of another line elsewhere.

    Args:
        defects: images with masks; a fifth of the images is tested on.
        line: the same of the other line.
        protocol: the size and limits, that of training for the other line, too.
        side: of the patches, in pixels.

    Raises:
        OSError: if an image cannot be read.
    """
    task = Task("classification", CLASSES, protocol.size)
    train, test = defects.split()
    limits = (protocol.train, protocol.test, protocol.train)
    parts = [
        cut(part.samples, side, protocol.size, limit)
        for part, limit in zip((train, test, line), limits, strict=True)
    ]
    note = (
        f"Squares of {side} pixels; a defect is where its mask marks {_MARKED:.0%} or more. "
        f"Trained and tested on {defects.name}, image by image, and tested elsewhere on "
        f"{line.name}."
    )
    return Split(defects.name, task, parts[0], parts[1], (note,), parts[2])


def cut(samples: Sequence[Sample], side: int, size: int, limit: int) -> ImageSet:
    """Patches of a grid, resized to ``size`` pixels; at most ``limit``, drawn at random."""
    patches: list[torch.Tensor] = []
    labels: list[int] = []
    for sample in samples:
        picture = sample.load()
        marked = sample.load_mask()
        if marked is None:
            marked = np.zeros(picture.size[::-1], bool)
        for top in range(0, picture.height - side + 1, side):
            for left in range(0, picture.width - side + 1, side):
                share = marked[top : top + side, left : left + side].mean()
                if 0 < share < _MARKED:
                    continue
                patch = picture.crop((left, top, left + side, top + side))
                patch = patch.resize((size, size), Image.Resampling.BILINEAR)
                patches.append(to_tensor(patch))
                labels.append(0 if share else 1)
    images, targets = torch.stack(patches), torch.tensor(labels)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    bad, good = (order[targets[order] == label] for label in (0, 1))
    kept = torch.cat([bad, good[: _GOOD_AS_MANY * len(bad)]])
    kept = kept[torch.randperm(len(kept), generator=torch.Generator().manual_seed(0))[:limit]]
    return ImageSet(images[kept], targets[kept])
