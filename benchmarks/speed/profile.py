"""What the time of each stage is made up of, beside the limits that the machine sets.

    python -m benchmarks.speed --profile

First the machine is measured: multiply-adds a second of a matrix product and of a convolution, each
in float32, in half precision and in int8, and bytes a second of a copy. Then every stage and the
network are timed on one batch, and what they ask for is counted:

- *multiply-adds* of convolutions and matrix products;
- *bytes* that must be moved at least: the images in and out, and what the network's convolutions
  read and write, since the norms between them need a sum over the whole image;
- *operators* that a batch launches, from the draw to the last conversion: on this device, and as a
  GPU would (on fake tensors, if there is none).

The *floor* is the larger of multiply-adds and bytes, each over the machine's rate. No program on
this machine is faster; pointwise arithmetic is left out of it, so some cannot reach it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from benchmarks.speed.contestants import DEFAULT, NETWORK, Key, Timed, ours, packs_by_name
from benchmarks.speed.launches import Count, count
from benchmarks.speed.limits import COPIES, floor, half_dtype, limits
from benchmarks.speed.options import add_options, begin, result_name
from benchmarks.speed.timing import time_in_turn
from styleaug import StylePack


def parts(images: Tensor, packs: Mapping[str, StylePack]) -> Timed:
    """What is profiled: all of ours but the default, whose work differs from draw to draw."""
    found = ours(images, packs)
    return {key: call for key, call in found.items() if key.contestant != DEFAULT}


def counted(images: Tensor, key: Key, packs: Mapping[str, StylePack]) -> dict[str, Any]:
    """Columns that tell what a part asks for, on this device and on a GPU."""
    here = count(images.device.type, lambda x: parts(x, packs)[key], images)
    if images.device.type == "cuda":
        there: Count | None = here
    else:
        try:
            there = count("cuda", lambda x: parts(x, packs)[key], images)
        except (RuntimeError, TypeError) as error:  # not written for fake tensors
            print(f"{key}: not counted for a GPU: {str(error).splitlines()[0]}")
            there = None
    kinds = {"float32": "float32", "half": str(half_dtype(images.device)), "int8": "int8"}
    whole = 0 if key.contestant == NETWORK else 2 * images.nbytes
    return {
        **{f"macs {n}": here.macs[d.removeprefix("torch.")] for n, d in kinds.items()},
        "bytes": here.moved + whole,
        "operators": sum(here.operators.values()),
        "operators on a GPU": sum(there.operators.values()) if there else None,
    }


def measure(packs: Mapping[str, StylePack], images: Tensor, *, rounds: int) -> list[dict[str, Any]]:
    """Rows: what each part asks for, and its seconds a batch."""
    device = images.device
    timed = parts(images, packs)
    warm_up = 1 if device.type == "cpu" else 3
    seconds = time_in_turn(timed, rounds=rounds, device=device, warm_up=warm_up)
    return [
        {**key._asdict(), **counted(images, key, packs), **quartiles(seconds[key])} for key in timed
    ]


def show(rows: Sequence[Mapping[str, Any]], measured: Mapping[str, float | None]) -> None:
    """Print limits, then a line a part."""
    for name, value in measured.items():
        unit = "GB/s" if name in COPIES else "GMAC/s"
        print(f"{name:10} {f'{value:8.0f} {unit}' if value else 'not offered by torch'}")
    print(f"{'':32} {'GMAC':>8} {'MB':>8} {'ops':>6} {'on GPU':>6} {'ms':>9} {'floor':>8} ratio")
    for row in rows:
        macs = sum(row[f"macs {name}"] for name in ("float32", "half", "int8")) / 1e9
        least, taken, there = floor(row, measured), row["median"], row["operators on a GPU"]
        name = ", ".join(filter(None, (row["contestant"], row["pack"])))
        print(
            f"{name:32} {macs:8.2f} {row['bytes'] / 1e6:8.1f} {row['operators']:6} {there or '':6} "
            f"{1e3 * taken:9.2f} {1e3 * least:8.2f} {taken / least:5.1f}"
        )


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    add_options(parser, "profile.json, or profile-gpu.json")
    parser.add_argument("--size", type=int, default=256, metavar="PIXELS")
    parser.add_argument("--batch", type=int, help="default: 8, or 64 on a GPU")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--scale", type=float, default=1.0, help="of what tells the limits")
    options = parser.parse_args(arguments)
    device = begin(options)
    batch = options.batch or (8 if device.type == "cpu" else 64)
    shape = (batch, 3, options.size, options.size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    packs = packs_by_name(options.packs)
    measured = limits(device, scale=options.scale)
    rows = measure(packs, images, rounds=options.rounds)
    show(rows, measured)
    name = result_name("profile", device)
    meta = {
        "name": name,
        "purpose": "What each stage asks of the machine, and its time.",
        **provenance("benchmarks.speed.profile", arguments, device=options.device),
        "packs": {pack: loaded.id for pack, loaded in packs.items()},
        "limits": measured,
        "dtype": str(half_dtype(device)).removeprefix("torch."),
        "shape": list(shape),
        "rounds": options.rounds,
        "seed": 0,
    }
    print(Rows(meta, rows).save(options.out or RESULTS / "speed" / f"{name}.json"))


if __name__ == "__main__":
    main(sys.argv[1:])
