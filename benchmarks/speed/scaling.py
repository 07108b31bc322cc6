"""Time and peak memory against the size of the images and of the batch.

    python -m benchmarks.speed.scaling

All stages on all images, Restyle alone, and ColorJitter, which changes no material: single images
of several sizes, then batches of several lengths. Memory is what torch holds at its peak, above the
images and the result.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from benchmarks.speed.contestants import ALL, JITTER, Key, baselines, ours, packs_by_name
from benchmarks.speed.memory import peak_memory
from benchmarks.speed.options import add_options, begin, result_name
from benchmarks.speed.timing import ratio, time_in_turn
from styleaug import StylePack

RESTYLE = "Restyle alone"
SINGLE = {"cpu": 1, "cuda": 4}
"""Images in the batches whose size grows; on a GPU one image alone would tell of launches only."""
SIZES = ((128, 128), (256, 256), (512, 512), (1024, 1024), (2048, 2048), (3072, 4096))
BATCHES = {"cpu": (1, 2, 4, 8, 16, 32), "cuda": (1, 4, 16, 64, 256)}
BATCH_SIZE = (256, 256)
"""Of the images in the batches whose length grows."""
BASE = (512, 512)
"""Whose time larger images are compared with."""

Shape = tuple[int, int, int]


def shapes(device: torch.device, sizes: Sequence[tuple[int, int]]) -> list[Shape]:
    """(batch, height, width): sizes first, then batches, each once."""
    found = [(SINGLE[device.type], *size) for size in sizes]
    if BATCH_SIZE in sizes:
        found += [(batch, *BATCH_SIZE) for batch in BATCHES[device.type]]
    return list(dict.fromkeys(found))


def measure(
    packs: Mapping[str, StylePack],
    wanted: Sequence[Shape],
    *,
    device: torch.device,
    rounds: int,
    limit: float,
) -> list[dict[str, Any]]:
    """Rows: seconds, peak memory, and multiples of another's time, of each contestant and shape."""
    timed: dict[tuple[Key, Shape], Any] = {}
    for batch, height, width in wanted:
        size = (batch, 3, height, width)
        images = torch.randint(0, 256, size, dtype=torch.uint8, device=device)
        found = {**ours(images, packs), **baselines(images)}
        for key, call in found.items():
            if key.contestant in (ALL, RESTYLE, JITTER):
                timed[key, (batch, height, width)] = call
    seconds = time_in_turn(
        timed,
        rounds=rounds,
        device=device,
        warm_up=1 if device.type == "cpu" else 3,
        limit=limit,
        title="all shapes",
    )
    rows: list[dict[str, Any]] = []
    for (key, shape), values in seconds.items():
        head = {**key._asdict(), **dict(zip(("batch", "height", "width"), shape, strict=True))}
        peak = peak_memory(timed[key, shape], device)
        rows.append({**head, "unit": "seconds", "over": None, **quartiles(values)})
        rows.append({**head, "unit": "peak bytes", "over": None, **quartiles([peak])})
        smaller = (key, (shape[0], *BASE))
        others = {f"at {BASE[1]} x {BASE[0]}": smaller if shape[1] > BASE[0] else None}
        others[JITTER] = (Key(JITTER), shape) if key.pack else None
        for name, other in others.items():
            if other in seconds:
                longer = ratio(values, seconds[other])
                rows.append({**head, "unit": "times", "over": name, **longer})
    return rows


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    add_options(parser, "scaling.json, or scaling-gpu.json")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="PIXELS", help="squares alone")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--limit", type=float, default=6.0, help="seconds a contestant and shape")
    options = parser.parse_args(arguments)
    device, packs = begin(options), packs_by_name(options.packs)
    wanted = shapes(device, [(n, n) for n in options.sizes] if options.sizes else SIZES)
    rows = measure(packs, wanted, device=device, rounds=options.rounds, limit=options.limit)
    for row in rows:
        name = ", ".join(filter(None, (row["contestant"], row["pack"])))
        shape = f"{row['batch']} x {row['width']} x {row['height']}"
        unit = f"times {row['over']}" if row["over"] else row["unit"]
        print(f"{name:32} {shape:18} {row['median']:14.4g} {unit}")
    name = result_name("scaling", device)
    meta = {
        "name": name,
        "purpose": "Time and memory against the size of images and batches.",
        **provenance("benchmarks.speed.scaling", arguments, device=options.device),
        "packs": {pack: loaded.id for pack, loaded in packs.items()},
        "rounds": options.rounds,
        "limit": options.limit,
        "seed": 0,
    }
    print(Rows(meta, rows).save(options.out or RESULTS / "speed" / f"{name}.json"))


if __name__ == "__main__":
    main(sys.argv[1:])
