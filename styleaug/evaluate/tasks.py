"""Tasks, and labelled images in memory, as networks are trained and tested on them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import tv_tensors

from styleaug.datasets import DefectSet, Sample
from styleaug.evaluate.digests import digest_tensors
from styleaug.evaluate.models import KINDS, Classifier, Detector, Network, Segmenter
from styleaug.images.checks import check_choice
from styleaug.images.io import to_tensor
from styleaug.runtime import use_autocast

BACKGROUND = "background"
"""Class of images without a label, which sets of boxes have."""
SCORES = {
    "classification": ("balanced accuracy", "AUROC"),
    "segmentation": ("IoU", "pixel AP"),
    "detection": ("box AP", "box AP50"),
}
"""What each kind of task is judged by, and a second score, by
:data:`~styleaug.evaluate.metrics.METRICS`."""


NEEDS = {
    "classification": "images of two classes",
    "segmentation": "masks or boxes",
    "detection": "boxes",
}
"""What labels each kind of task takes."""


@dataclass(frozen=True)
class ImageSet:
    """Images with what a network shall answer.

    Attributes:
        images: (N, 3, S, S) uint8.
        targets: labels (N,), masks (N, 1, S, S) of 0 and 1, or for each image a dict of ``boxes``
            (K, 4), in pixels, and ``labels`` (K,), which begin with 1. None if they are not known.
    """

    images: Tensor
    targets: Any

    def __len__(self) -> int:
        return len(self.images)

    def digest(self) -> str:
        """Equal for equal images and targets."""
        if self.targets is None:
            return digest_tensors([self.images])
        boxes = not isinstance(self.targets, Tensor)
        targets = [v for one in self.targets for v in one.values()] if boxes else [self.targets]
        return digest_tensors([self.images, *targets])

    def select(self, places: Tensor) -> ImageSet:
        """The images at some places (K,)."""
        if isinstance(self.targets, Tensor):
            return ImageSet(self.images[places], self.targets[places])
        return ImageSet(self.images[places], [self.targets[place] for place in places.tolist()])

    def target(self, index: int) -> Any:
        """The target of one image, as the transforms of torchvision turn it with the image."""
        target, size = self.targets[index], self.images.shape[-2:]
        if isinstance(target, dict):
            boxes = tv_tensors.BoundingBoxes(target["boxes"], format="XYXY", canvas_size=size)
            return {**target, "boxes": boxes}
        return tv_tensors.Mask(target) if target.ndim == 3 else target


@dataclass(frozen=True)
class Task:
    """What is to be learned.

    Attributes:
        kind: one of :data:`~styleaug.evaluate.models.KINDS`.
        classes: their names.
        size: side of the images in pixels.
    """

    kind: str
    classes: tuple[str, ...]
    size: int

    @property
    def metric(self) -> str:
        """What it is judged by."""
        return SCORES[self.kind][0]

    def read(self, samples: Sequence[Sample], limit: int) -> ImageSet:
        """Read at most ``limit`` samples, drawn at random; images are squeezed to squares.

        Raises:
            OSError: if an image cannot be read.
        """
        drawn = draw_samples(samples, limit)
        pictures = [sample.load() for sample in drawn]
        targets = [self._target(s, p.size) for s, p in zip(drawn, pictures, strict=True)]
        joined = targets if self.kind == "detection" else torch.stack(targets)
        return ImageSet(self._squares(pictures), joined)

    def read_images(self, samples: Sequence[Sample], limit: int) -> Tensor:
        """The images alone, of samples whose labels are not needed.

        Raises:
            OSError: if an image cannot be read.
        """
        return self._squares([sample.load() for sample in draw_samples(samples, limit)])

    def _squares(self, pictures: Sequence[Image.Image]) -> Tensor:
        side = (self.size, self.size)
        return torch.stack([to_tensor(p.resize(side, Image.Resampling.BILINEAR)) for p in pictures])

    def _target(self, sample: Sample, extent: tuple[int, int]) -> Any:
        if self.kind == "classification":
            return torch.tensor(self.classes.index(sample.label or BACKGROUND))
        if self.kind == "segmentation":
            return self._mask(sample)
        width, height = extent
        scale = self.size / torch.tensor([width, height, width, height])
        corners = [[b.left, b.top, b.right, b.bottom] for b in sample.boxes]
        return {
            "boxes": torch.tensor(corners).reshape(-1, 4) * scale,
            "labels": torch.tensor([self.classes.index(b.label) + 1 for b in sample.boxes]).long(),
        }

    def _mask(self, sample: Sample) -> Tensor:
        marked = sample.load_mask()
        if marked is None:
            return torch.zeros(1, self.size, self.size, dtype=torch.uint8)
        # by area: what is thinner than a pixel of the small image stays where it fills half of it
        shares = Image.fromarray(np.uint8(255 * marked)).resize(
            (self.size, self.size), Image.Resampling.BOX
        )
        return torch.from_numpy(np.asarray(shares) >= 128).to(torch.uint8)[None]

    def make_network(self, backbone: str, train: ImageSet) -> Network:
        """A network with weights from torch's global generator, but for pretrained ones.

        In the loss of a classifier, rare classes of ``train`` weigh more.
        """
        if self.kind == "segmentation":
            return Segmenter(backbone)
        if self.kind == "detection":
            return Detector(backbone, len(self.classes), self.size)
        counts = torch.bincount(train.targets, minlength=len(self.classes)).clamp(min=1)
        weight = len(train) / (len(self.classes) * counts)
        return Classifier(backbone, len(self.classes), weight.float())


def draw_samples(samples: Sequence[Sample], limit: int) -> list[Sample]:
    """What :meth:`Task.read` reads, in its order."""
    return random.Random(0).sample(samples, min(limit, len(samples)))


def kinds_of(defects: DefectSet) -> tuple[str, ...]:
    """The tasks that a set's labels allow: classes if it has two, masks, boxes, filled boxes."""
    masked = any(sample.masks for sample in defects.samples)
    boxed = any(sample.boxes for sample in defects.samples)
    kinds = ["classification"] if len({sample.label for sample in defects.samples}) > 1 else []
    kinds += ["segmentation"] if masked else []
    kinds += ["detection"] if boxed else []
    kinds += ["segmentation"] if boxed and not masked else []
    return tuple(kinds)


def kind_of(defects: DefectSet) -> str:
    """The first task that a set's labels allow, see :func:`kinds_of`.

    Raises:
        ValueError: if they allow none.
    """
    kinds = kinds_of(defects)
    if not kinds:
        raise ValueError(
            f"A bench needs images of two classes, masks, or boxes, but {defects.name} has none."
        )
    return kinds[0]


def make_task(defects: DefectSet, kind: str, size: int) -> Task:
    """The task of one kind on a set.

    Raises:
        ValueError: if there is no such kind, or the set has not the labels for it.
    """
    check_choice("task", kind, KINDS)
    allowed = kinds_of(defects)
    if kind not in allowed:
        told = f"Its labels allow {' and '.join(allowed)}." if allowed else "Label its images."
        raise ValueError(f"{kind} needs {NEEDS[kind]}, but {defects.name} has none. {told}")
    if kind == "classification":
        names = {sample.label or BACKGROUND for sample in defects.samples}
    else:
        names = {box.label for sample in defects.samples for box in sample.boxes}
    return Task(kind, tuple(sorted(names)) or ("defect",), size)


def to_inputs(images: Tensor) -> Tensor:
    """Turn uint8 images into what the networks take: float in [-1, 1]."""
    scaled = images.float().div(127.5).sub(1)
    return scaled.contiguous(memory_format=torch.channels_last)


def fast_arithmetic(device: torch.device, kind: str) -> torch.autocast:
    """bfloat16 where the device computes in it; but not for boxes, which need more digits."""
    enabled = kind != "detection" and use_autocast("auto", device)
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


@torch.no_grad()
def predict(network: nn.Module, images: Tensor, *, device: torch.device) -> Any:
    """What a network answers to (N, 3, S, S) uint8, 128 images at a time."""
    parts = torch.split(images, 128)
    return joined([network(to_inputs(part.to(device))) for part in parts])


def joined(batches: Sequence[Any]) -> Any:
    """One tensor, on the CPU, or one list, of the tensors or lists of all batches."""
    if isinstance(batches[0], Tensor):
        return torch.cat([batch.cpu() for batch in batches])
    return [one for batch in batches for one in batch]
