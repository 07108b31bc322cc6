"""The training loop: all policies get the same weights, order of images, flips and steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from multiprocessing import parent_process
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler, default_collate
from torchvision import tv_tensors
from torchvision.transforms import v2
from tqdm import tqdm

from styleaug.augment.transform import StyleAugment
from styleaug.evaluate.models import Network
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.tasks import ImageSet, Task, to_inputs

BatchTransform = Callable[[Tensor], Tensor]
FLIPS = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()])


class FlippedImages(Dataset[tuple[Tensor, Any]]):
    """Images in memory with an ordinary torchvision pipeline for each image and its target."""

    def __init__(self, part: ImageSet, transform: Callable[..., Any] = FLIPS) -> None:
        self.part, self.transform = part, transform

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        image, target = self.transform(
            tv_tensors.Image(self.part.images[index]), self.part.target(index)
        )
        return image.as_subclass(Tensor), target


def collate(samples: Sequence[tuple[Tensor, Any]]) -> tuple[Tensor, Any]:
    """Stack the images, and the targets unless they are boxes."""
    images, targets = zip(*samples, strict=True)
    if isinstance(targets[0], dict):
        return torch.stack(images), list(targets)
    return torch.stack(images), default_collate([t.as_subclass(Tensor) for t in targets])


def train(
    task: Task,
    part: ImageSet,
    protocol: Protocol,
    *,
    augment: BatchTransform,
    seed: int,
    device: torch.device,
    title: str = "train",
) -> Network:
    """Train with flips for each image in the loader, then ``augment`` on the whole batch.

    All policies see the same initial weights and the same number of steps, whatever the number of
    images. The weights of the last step are kept: nothing is chosen by looking at test images.

    Args:
        task: what is learned.
        part: the images to train on.
        protocol: backbone, steps, batch size and learning rate (of a cosine one-cycle schedule).
        augment: gets and returns a uint8 batch on ``device``; a ``StyleAugment``, or one inside a
            module, is told how far training has come, for its schedule.
        seed: fixes weights, order, flips and augmentation.
        device: where batches are augmented and the network trained.
        title: label of the progress bar.
    """
    torch.manual_seed(seed)
    network = task.make_network(protocol.model, part)
    network = network.to(device).to(memory_format=torch.channels_last).train()
    steps, rate = protocol.steps, protocol.learning_rate
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=rate, total_steps=steps, pct_start=0.2
    )
    parts = augment.modules() if isinstance(augment, nn.Module) else []
    styles = [stage for stage in parts if isinstance(stage, StyleAugment)]
    loader = _loader(FlippedImages(part), steps, protocol.batch_size, seed)
    quiet = parent_process() is not None  # bars of several processes would overwrite each other
    with tqdm(loader, title, steps, leave=False, unit="step", disable=quiet or None) as progress:
        for step, (batch, targets) in enumerate(progress):
            for stage in styles:
                stage.set_progress(step / steps)
            inputs = to_inputs(augment(batch.to(device)))
            loss = network.loss(inputs, _moved(targets, device))
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimizer.step()
            schedule.step()
            if step % 10 == 0:  # reading the loss waits for the device
                progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return network.eval()


def _loader(
    dataset: FlippedImages, steps: int, batch_size: int, seed: int
) -> DataLoader[tuple[Tensor, Any]]:
    generator = torch.Generator().manual_seed(seed)
    sampler = RandomSampler(dataset, num_samples=steps * batch_size, generator=generator)
    # No workers: the images lie in memory and flips cost less than sending them between processes.
    return DataLoader(dataset, batch_size, sampler=sampler, generator=generator, collate_fn=collate)


def _moved(targets: Any, device: torch.device) -> Any:
    if isinstance(targets, Tensor):
        return targets.to(device)
    return [{name: value.to(device) for name, value in one.items()} for one in targets]
