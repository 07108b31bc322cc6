"""What styling adds to a training step.

    python -m benchmarks.speed.step

A network trains on a batch of uint8 images that lies on its device: augmentation, conversion and
normalization, forward, backward, SGD. On a CPU it is ResNet-18 in float32, on a GPU ResNet-50 with
autocast. In each round every augmentation has its turn, and its steps are compared with those
without any in the same round.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import v2

from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from benchmarks.speed.contestants import (
    DEFAULT,
    JITTER,
    JITTER_EACH,
    SETTINGS,
    Key,
    packs_by_name,
)
from benchmarks.speed.options import add_options, begin, result_name
from benchmarks.speed.timing import time_in_turn
from styleaug import StyleAugment, StylePack
from styleaug.augment.presets import preset
from styleaug.evaluate.policies import PerImage

NONE = "no augmentation"
NETWORKS = {"cpu": "resnet18", "cuda": "resnet50"}
BATCHES = {"cpu": (32,), "cuda": (64, 256)}
STEPS = {"cpu": 1, "cuda": 10}
"""Steps that a round times at once: a GPU works while the host prepares the next one, so one step
with a wait behind it would cost more than it does in a training."""


def augmentations(device: torch.device, packs: Mapping[str, StylePack]) -> dict[Key, nn.Module]:
    """What a step begins with; an augmentation of single images runs on the CPU alone."""
    jitter = v2.ColorJitter(*SETTINGS)
    return {
        Key(NONE): nn.Identity(),
        **{
            Key(DEFAULT, name): StyleAugment(preset("default", pack=p)) for name, p in packs.items()
        },
        **({Key(JITTER_EACH): PerImage(jitter)} if device.type == "cpu" else {Key(JITTER): jitter}),
    }


def steps(network: str, images: Tensor, count: int) -> Callable[[nn.Module], None]:
    """Trains a network for some steps on these images, each time by what is handed in."""
    device = images.device
    model = models.get_model(network).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    labels = torch.arange(len(images), device=device) % 1000
    normalize = v2.Compose(
        [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)]
    )

    def run(augment: nn.Module) -> None:
        for _ in range(count):
            x = normalize(augment(images)).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, enabled=device.type == "cuda"):
                loss = nn.functional.cross_entropy(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def measure(
    packs: Mapping[str, StylePack],
    network: str,
    batch: int,
    size: int,
    *,
    device: torch.device,
    rounds: int,
) -> list[dict[str, Any]]:
    """Rows: seconds of a step, and by how many percent it takes longer than without."""
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, device=device)
    count = STEPS[device.type]
    run = steps(network, images, count)
    timed = {
        key: lambda augment=augment: run(augment)
        for key, augment in augmentations(device, packs).items()
    }
    seconds = time_in_turn(timed, rounds=rounds, device=device, title=f"{network}, {batch}")
    rows = []
    for key, values in seconds.items():
        longer = [100 * (a / b - 1) for a, b in zip(values, seconds[Key(NONE)], strict=True)]
        head = {"network": network, "batch": batch, **key._asdict()}
        rows.append({**head, "unit": "seconds", **quartiles([v / count for v in values])})
        rows.append({**head, "unit": "percent", **quartiles(longer)})
    return rows


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    add_options(parser, "step.json, or step-gpu.json")
    parser.add_argument("--network", help=f"of torchvision; default: {NETWORKS}")
    parser.add_argument("--batches", type=int, nargs="+", metavar="N", help=f"default: {BATCHES}")
    parser.add_argument("--size", type=int, default=224, metavar="PIXELS")
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args(arguments)
    device = begin(options)
    packs = packs_by_name(options.packs)
    name = result_name("step", device)
    out = options.out or RESULTS / "speed" / f"{name}.json"
    meta = {
        "name": name,
        "purpose": "What styling adds to a training step.",
        **provenance("benchmarks.speed.step", arguments, device=options.device),
        "packs": {pack: loaded.id for pack, loaded in packs.items()},
        "precision": "float32" if device.type == "cpu" else "autocast",
        "size": options.size,
        "rounds": options.rounds,
        "seed": 0,
    }
    network = options.network or NETWORKS[device.type]
    rows: list[dict[str, Any]] = []
    for batch in options.batches or BATCHES[device.type]:
        setting = {"device": device, "rounds": options.rounds}
        rows += measure(packs, network, batch, options.size, **setting)
        Rows(meta, rows).save(out)  # what there is stays, if the rest is cut off
    for row in rows:
        name = ", ".join(filter(None, (row["contestant"], row["pack"])))
        unit = "s a step" if row["unit"] == "seconds" else "% longer"
        bounds = f"({row['q1']:.3f} to {row['q3']:.3f})"
        print(f"{row['network']}, {row['batch']}  {name:24} {row['median']:8.3f} {unit} {bounds}")
    print(out)


if __name__ == "__main__":
    main(sys.argv[1:])
