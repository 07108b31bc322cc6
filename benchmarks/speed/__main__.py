"""Images per second of the whole transform, its stages, and networks alone.

    python -m benchmarks.speed
    python -m benchmarks.speed --device cuda --batch 64
    python -m benchmarks.speed.loader      # the cost of styling in a training loop
    python -m benchmarks.speed.commands    # how long audit and bench take

Everything is measured side by side in one process: in each round every contestant processes the
same batch, and ratios are taken round by round. uint8 batch in, uint8 batch out; synchronized
inside the timed region.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torchvision.transforms import v2

from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from benchmarks.speed.timing import all_stages, time_in_turn
from styleaug import StyleAugment, StylePack
from styleaug.networks import network_of
from styleaug.nn.noise import white_noise
from styleaug.nn.stylenet import REFERENCE
from styleaug.runtime import inference_dtype

ALL, ALL_REFERENCE = "all stages on all images", "the same with the reference network"
NETWORK, REFERENCE_NETWORK = "network", "reference network"
JITTER = "ColorJitter"
RATIOS = ((ALL, ALL_REFERENCE), (NETWORK, REFERENCE_NETWORK), (ALL, JITTER))
"""Whose speed is given as a multiple of whose."""


def contestants(batch: torch.Tensor, pack: str) -> dict[str, Callable[[], object]]:
    """What is timed: whole transforms, stages alone, then networks alone on prepared input."""
    base, reference = StylePack.load(pack), StylePack.random(REFERENCE)
    x = batch.float().div(255).to(inference_dtype(batch.device))
    x = x.contiguous(memory_format=torch.channels_last)

    def network(pack: StylePack) -> Callable[[], object]:
        net, codes = network_of(pack, batch.device), pack.codes[:1].to(x).expand(len(x), -1)
        seeds = torch.zeros(len(x), dtype=torch.int64, device=batch.device)
        return torch.no_grad()(lambda: net(x, codes, white_noise(seeds, 1, *x.shape[-2:])))

    transforms: dict[str, Callable[[torch.Tensor], object]] = {
        ALL: StyleAugment(all_stages(base)),
        ALL_REFERENCE: StyleAugment(all_stages(reference)),
        "default": StyleAugment(),
        **{f"{type(stage).__name__} alone": stage for stage in all_stages(base)},
        JITTER: v2.ColorJitter(0.5, 0.5, 0.3, 0.05),
    }
    timed: dict[str, Callable[[], object]] = {
        name: (lambda t=transform: t(batch)) for name, transform in transforms.items()
    }
    return {**timed, NETWORK: network(base), REFERENCE_NETWORK: network(reference)}


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows: images per second of each contestant, and multiples of another's speed."""
    device = torch.device(arguments.device)
    shape = (arguments.batch, 3, arguments.size, arguments.size)
    batch = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    timed = contestants(batch, arguments.pack)
    seconds = time_in_turn(timed, rounds=arguments.rounds, device=device)
    rows = [
        {"contestant": name, "over": None, **quartiles([len(batch) / s for s in values])}
        for name, values in seconds.items()
    ]
    for name, other in RATIOS:
        ratios = [b / a for a, b in zip(seconds[name], seconds[other], strict=True)]
        rows.append({"contestant": name, "over": other, **quartiles(ratios)})
    return rows


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--pack", default="base")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="default: results/speed/cpu.json, or gpu.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)
    rows = measure(options)
    for row in rows:
        unit = f"times {row['over']}" if row["over"] else "images/s"
        name, bounds = row["contestant"], f"({row['q1']:.2f} to {row['q3']:.2f})"
        print(f"{name:36} {row['median']:8.2f} {unit} {bounds}")
    name = "cpu" if device.type == "cpu" else "gpu"
    meta = {
        "name": name,
        "purpose": "Images a second of whole transforms, stages and networks alone.",
        **provenance("benchmarks.speed", arguments, device=options.device),
        "pack": options.pack,
        "shape": [options.batch, 3, options.size, options.size],
        "dtype": str(inference_dtype(device)).removeprefix("torch."),
        "rounds": options.rounds,
        "seed": 0,
    }
    print(Rows(meta, rows).save(options.out or RESULTS / "speed" / f"{name}.json"))


if __name__ == "__main__":
    main(sys.argv[1:])
