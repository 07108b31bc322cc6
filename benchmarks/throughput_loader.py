"""What styling costs a training loop: by StyledLoader, or by the transform inside the workers.

``python benchmarks/throughput.py --loader`` runs it. A small network trains for an epoch on noise
with labels; each round measures every contestant once, so that whatever slows the machine slows
all. The *share* of a contestant is the time that it adds to an epoch without styling, over the time
that styling the same batches takes alone: 1 is the pure cost, less is overlap, more is overhead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.models import resnet18
from torchvision.transforms import v2
from tqdm import trange

from common import median_iqr
from styleaug import StyleAugment
from styleaug.hosts.loader import StyledLoader

EVERYTHING = {
    "p": 1.0,
    "stage_p": 1.0,
    "strength": 1.0,
    "texture": 1.0,
    "light": 0.5,
    "blur": 0.5,
    "grain": 0.5,
}
STYLING = "styling alone"


class Noise(Dataset[tuple[torch.Tensor, int]]):
    """Pictures in memory, flipped as a worker would, and styled there if ``augment`` is given."""

    def __init__(self, count: int, size: int, augment: StyleAugment | None) -> None:
        generator = torch.Generator().manual_seed(0)
        shape = (count, 3, size, size)
        self.images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        steps = [v2.RandomHorizontalFlip()] + ([] if augment is None else [augment])
        self.transform = v2.Compose(steps)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), index % 2


def train(loader: Iterable[Any], device: torch.device) -> None:
    """One epoch."""
    torch.manual_seed(0)
    model = resnet18(num_classes=2).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for images, labels in loader:
        out = model(images.to(device).float().div(255))
        loss = torch.nn.functional.cross_entropy(out, labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def contestants(
    pack: str, workers: int, *, images: int, batch: int, size: int, device: torch.device
) -> dict[str, Callable[[], None]]:
    """What is timed: epochs of training, and the styling of the same batches alone."""
    augment = StyleAugment(pack=pack, **EVERYTHING)

    def loader(inside: StyleAugment | None = None) -> DataLoader[Any]:
        return DataLoader(
            Noise(images, size, inside),
            batch_size=batch,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
        )

    def style_alone() -> None:
        for pictures, _ in DataLoader(Noise(images, size, None), batch_size=batch):
            augment(pictures.to(device))

    plain, inside = loader(), loader(augment)
    now = StyledLoader(loader(), augment, device=device, ahead=False)
    ahead = StyledLoader(loader(), augment, device=device, ahead=True)
    return {
        "no styling": lambda: train(plain, device),
        "StyledLoader, in step": lambda: train(now, device),
        "StyledLoader, one batch ahead": lambda: train(ahead, device),
        "transform in the dataset": lambda: train(inside, device),
        STYLING: style_alone,
    }


def measure_loaders(pack: str, rounds: int, device: torch.device) -> dict[str, Any]:
    """Seconds of an epoch, and shares, for no workers and for two; medians and quartiles."""
    setting = {"images": 96, "batch": 16, "size": 128}
    record: dict[str, Any] = {"setting": {**setting, "model": "resnet18"}, "workers": {}}
    for workers in (0, 2):
        timed = contestants(pack, workers, device=device, **setting)
        seconds: dict[str, list[float]] = {name: [] for name in timed}
        for round_ in trange(rounds + 1, desc=f"{workers} workers"):
            for name, function in timed.items():
                start = time.perf_counter()
                function()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                if round_:  # the first one starts workers and builds networks
                    seconds[name].append(time.perf_counter() - start)
        plain, alone = seconds["no styling"], seconds[STYLING]
        rows = {name: {"seconds": _row(values)} for name, values in seconds.items()}
        for name in seconds.keys() - {"no styling", STYLING}:
            added = zip(seconds[name], plain, alone, strict=True)
            rows[name]["share"] = _row([(v - p) / a for v, p, a in added])
        record["workers"][str(workers)] = rows
    return record


def _row(values: list[float]) -> dict[str, float]:
    median, low, high = median_iqr(values)
    return {"median": median, "q1": low, "q3": high}
