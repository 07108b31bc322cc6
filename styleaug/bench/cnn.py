"""The detector of `styleaug bench` and the demo: a small CNN, trained from scratch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision.transforms import v2
from tqdm import tqdm

BatchTransform = Callable[[Tensor], Tensor]


class ImageSet(Dataset[tuple[Tensor, Tensor]]):
    """uint8 images in memory with an ordinary torchvision pipeline for each image.

    Args:
        images: (N, 3, H, W) uint8.
        labels: (N,) class numbers.
        transform: what the loader does to one image, such as flips.
    """

    def __init__(self, images: Tensor, labels: Tensor, transform: BatchTransform) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one transformed image and its label."""
        return self.transform(self.images[index]), self.labels[index]


def make_cnn(classes: int, *, widths: tuple[int, ...] = (16, 32, 64, 96)) -> nn.Module:
    """Build stages of two convolutions, each stage at half the resolution of the one before."""
    layers: list[nn.Module] = []
    last = 3
    for stage, width in enumerate(widths):
        layers += _conv_bn_relu(last, width, stride=2)
        if stage:  # one convolution is enough at the costly first resolution
            layers += _conv_bn_relu(width, width, stride=1)
        last = width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(last, classes)]
    return nn.Sequential(*layers, *head)


def _conv_bn_relu(width_in: int, width_out: int, *, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(width_in, width_out, 3, stride, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(width_out), nn.ReLU(inplace=True)]


def train_cnn(
    images: Tensor,
    labels: Tensor,
    *,
    classes: int,
    augment: BatchTransform,
    steps: int,
    seed: int,
    batch_size: int = 64,
    learning_rate: float = 5e-3,
    device: torch.device,
    title: str,
    leave: bool = True,
) -> nn.Module:
    """Train with flips for each image in the loader, then ``augment`` on the whole batch.

    All policies see the same initial weights and the same number of steps, whatever the number of
    images. Rare classes weigh more in the loss. The weights of the last step are kept: nothing is
    chosen by looking at test images.

    Args:
        images: (N, 3, H, W) uint8.
        labels: (N,) class numbers, each class present.
        classes: how many classes.
        augment: gets and returns a uint8 batch on ``device``.
        steps: optimiser steps.
        seed: fixes weights, order, flips and augmentation.
        batch_size: images a step.
        learning_rate: at the peak of the one-cycle schedule (cosine).
        device: where batches are augmented and the network trained.
        title: label of the progress bar.
        leave: whether the bar stays when it is full.
    """
    torch.manual_seed(seed)
    model = make_cnn(classes).to(device).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=learning_rate, total_steps=steps, pct_start=0.1
    )
    counts = torch.bincount(labels, minlength=classes)
    weight = (len(labels) / (classes * counts)).float().to(device)
    flips = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()])
    loader = _loader(ImageSet(images, labels, flips), steps=steps, batch_size=batch_size, seed=seed)
    with tqdm(
        loader, total=steps, desc=title, unit="step", mininterval=0.5, leave=leave
    ) as progress:
        for step, (batch, target) in enumerate(progress):
            inputs = to_inputs(augment(batch.to(device)))
            loss = nn.functional.cross_entropy(model(inputs), target.to(device), weight)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            if step % 10 == 0:  # reading the loss waits for the device
                progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    model.eval()
    return model


def _loader(
    dataset: ImageSet, *, steps: int, batch_size: int, seed: int
) -> DataLoader[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    sampler = RandomSampler(dataset, num_samples=steps * batch_size, generator=generator)
    # No workers: the images lie in memory and flips cost less than sending them between processes.
    return DataLoader(dataset, batch_size, sampler=sampler, generator=generator)


def to_inputs(images: Tensor) -> Tensor:
    """Turn uint8 images into what the network takes: float, about zero mean and unit spread."""
    scaled = images.float().div(255).sub(0.5).div(0.25)
    return scaled.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor, *, device: torch.device) -> Tensor:
    """Return the class number of each image of (N, 3, H, W) uint8, on the CPU."""
    parts = [images[start : start + 128] for start in range(0, len(images), 128)]
    return torch.cat([model(to_inputs(part.to(device))).argmax(1).cpu() for part in parts])
