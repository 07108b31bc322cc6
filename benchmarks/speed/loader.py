"""What styling costs a training loop: by StyledLoader, or by the transform inside the workers.

    python -m benchmarks.speed.loader

A small network trains for an epoch on noise with labels; each round measures every contestant once.
The *share* of a contestant is the time that it adds to an epoch without styling, over the time that
styling the same batches takes alone: 1 is the pure cost, less is overlap, more is overhead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision.models import resnet18
from torchvision.transforms import v2

from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from benchmarks.speed.timing import all_stages, time_in_turn
from styleaug import StyleAugment
from styleaug.evaluate.tasks import ImageSet
from styleaug.evaluate.training import FlippedImages
from styleaug.hosts.loader import StyledLoader
from styleaug.pack import DEFAULT_PACK
from styleaug.runtime import inference_dtype

PLAIN, STYLING = "no styling", "styling alone"
SETTING = {"images": 96, "batch": 16, "size": 128}


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
    pack: str, workers: int, device: torch.device, *, images: int, batch: int, size: int
) -> dict[str, Callable[[], None]]:
    """What is timed: epochs of training, and the styling of the same batches alone."""
    augment = StyleAugment(all_stages(pack))

    def noise(*styling: StyleAugment) -> FlippedImages:
        generator = torch.Generator().manual_seed(0)
        shape = (images, 3, size, size)
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        flipped = v2.Compose([v2.RandomHorizontalFlip(), *styling])
        return FlippedImages(ImageSet(pixels, torch.arange(images) % 2), flipped)

    def loader(*styling: StyleAugment) -> DataLoader[Any]:
        return DataLoader(
            noise(*styling),
            batch_size=batch,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
        )

    def style_alone() -> None:
        for pictures, _ in DataLoader(noise(), batch_size=batch):
            augment(pictures.to(device))

    plain, inside = loader(), loader(augment)
    now = StyledLoader(loader(), augment, device=device, ahead=False)
    ahead = StyledLoader(loader(), augment, device=device, ahead=True)
    return {
        PLAIN: lambda: train(plain, device),
        "StyledLoader, in step": lambda: train(now, device),
        "StyledLoader, one batch ahead": lambda: train(ahead, device),
        "transform in the dataset": lambda: train(inside, device),
        STYLING: style_alone,
    }


def measure(pack: str, rounds: int, device: torch.device) -> list[dict[str, Any]]:
    """Rows: seconds of an epoch, and shares, for no workers and for two."""
    rows: list[dict[str, Any]] = []
    for workers in (0, 2):
        timed = contestants(pack, workers, device, **SETTING)
        title = f"{workers} workers"
        seconds = time_in_turn(timed, rounds=rounds, device=device, title=title)
        for name, values in seconds.items():
            head = {"contestant": name, "workers": workers}
            rows.append({**head, "unit": "seconds", **quartiles(values)})
            if name not in (PLAIN, STYLING):
                added = zip(values, seconds[PLAIN], seconds[STYLING], strict=True)
                share = quartiles([(v - p) / a for v, p, a in added])
                rows.append({**head, "unit": "share", **share})
    return rows


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--pack", default=DEFAULT_PACK)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=RESULTS / "speed" / "loader.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)
    rows = measure(options.pack, options.rounds, device)
    for row in rows:
        print(f"{row['workers']} workers {row['contestant']:32} {row['median']:6.2f} {row['unit']}")
    meta = {
        "name": "loader",
        "purpose": "What styling costs a training loop.",
        **provenance("benchmarks.speed.loader", arguments, device=options.device),
        "pack": options.pack,
        "setting": {**SETTING, "model": "resnet18"},
        "dtype": str(inference_dtype(device)).removeprefix("torch."),
        "rounds": options.rounds,
        "seed": 0,
    }
    print(Rows(meta, rows).save(options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
