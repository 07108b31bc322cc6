"""Images per second of whole transforms, stages and networks, beside other augmentations.

    python -m benchmarks.speed                       # each size, uint8 and float
    python -m benchmarks.speed --sizes 256 --inputs uint8
    python -m benchmarks.speed --compare FILE        # against a stored result, by ratios
    python -m benchmarks.speed --profile             # what takes the time, beside the limits
    python -m benchmarks.speed.step                  # what styling adds to a training step
    python -m benchmarks.speed.scaling               # time and memory against batch and size
    python -m benchmarks.speed.loader                # the cost of styling in a training loop
    python -m benchmarks.speed.commands              # how long audit and bench take
    benchmarks/speed/gpu.sh OUT                      # all that matters on a GPU, in one call

Everything is measured side by side in one process: in each round every contestant processes the
same batch, and ratios are taken round by round. What goes in as uint8 comes out as uint8. Whoever
has used up his seconds sits the later rounds out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from benchmarks.speed import profile
from benchmarks.speed.compare import compare
from benchmarks.speed.contestants import compared, contestants, packs_by_name
from benchmarks.speed.options import add_options, begin
from benchmarks.speed.timing import ratio, time_in_turn
from styleaug import StylePack
from styleaug.runtime import inference_dtype

BATCHES = {224: 16, 256: 8, 512: 4, 1024: 2, 2048: 1}
"""Images in a batch by their size in pixels; on a GPU eight times as many."""
PACKAGES = ("kornia", "albumentations")


def measure(
    packs: Mapping[str, StylePack],
    size: int,
    batch: int,
    kind: str,
    *,
    device: torch.device,
    rounds: int,
    limit: float,
) -> list[dict[str, Any]]:
    """Rows of one batch: images per second of each contestant, and multiples of another's speed."""
    torch.manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, device=device)
    seconds = time_in_turn(
        contestants(images if kind == "uint8" else images.float().div(255), packs),
        rounds=rounds,
        device=device,
        warm_up=1 if device.type == "cpu" else 3,
        limit=limit,
        title=f"{batch} x {size} {kind}",
    )
    head = {"size": size, "batch": batch, "input": kind}
    rows: list[dict[str, Any]] = [
        {**head, **key._asdict(), "over": None, **quartiles([batch / s for s in values])}
        for key, values in seconds.items()
    ]
    for key, other in compared(list(seconds)):
        faster = ratio(seconds[other], seconds[key])
        rows.append({**head, **key._asdict(), "over": str(other), **faster})
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print what was measured on one batch."""
    print(f"{rows[0]['batch']} x {rows[0]['size']} {rows[0]['input']}")
    for row in rows:
        unit = f"times {row['over']}" if row["over"] else "images/s"
        name = ", ".join(filter(None, (row["contestant"], row["pack"])))
        bounds = f"({row['q1']:.2f} to {row['q3']:.2f})"
        print(f"  {name:46} {row['median']:9.2f} {unit} {bounds}")


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    if "--profile" in arguments:
        profile.main([argument for argument in arguments if argument != "--profile"])
        return
    parser = parser_of(__doc__)
    add_options(parser, "cpu.json, or gpu.json; none with --compare")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="PIXELS", help="default: all")
    parser.add_argument("--batch", type=int, help=f"default: by size, {BATCHES}; 8 x on a GPU")
    parser.add_argument("--inputs", nargs="+", choices=("uint8", "float"), help="default: both")
    parser.add_argument("--rounds", type=int, default=10, help="of float half as many")
    parser.add_argument("--limit", type=float, default=2.0, help="seconds a contestant")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="a stored result")
    parser.add_argument("--tolerance", type=float, default=0.15, help="loss that --compare allows")
    parser.add_argument("--profile", action="store_true", help="see -m benchmarks.speed.profile")
    options = parser.parse_args(arguments)
    before = Rows.load(options.compare) if options.compare else None
    device, packs = begin(options), packs_by_name(options.packs)
    sizes = options.sizes or (before.each("size") if before else BATCHES)
    kinds = options.inputs or (before.each("input") if before else ("uint8", "float"))
    name = "cpu" if device.type == "cpu" else "gpu"
    out = options.out or (None if before else RESULTS / "speed" / f"{name}.json")
    meta = {
        "name": name,
        "purpose": "Images a second of whole transforms, stages and networks alone.",
        **provenance("benchmarks.speed", arguments, device=options.device, packages=PACKAGES),
        "packs": {pack: loaded.id for pack, loaded in packs.items()},
        "dtype": str(inference_dtype(device)).removeprefix("torch."),
        "rounds": options.rounds,
        "limit": options.limit,
        "seed": 0,
    }
    rows: list[dict[str, Any]] = []
    for size, kind in product(sizes, kinds):
        batch = options.batch or batch_of(size, device)
        rounds = options.rounds if kind == "uint8" else -(-options.rounds // 2)
        setting = {"device": device, "rounds": rounds, "limit": options.limit}
        rows += (new := measure(packs, size, batch, kind, **setting))
        show(new)
        if out:  # what there is stays, if the rest is cut off
            Rows(meta, rows).save(out)
    if out:
        print(out)
    if before and not compare(before, rows, options.tolerance):
        raise SystemExit(1)


def batch_of(size: int, device: torch.device) -> int:
    """Images in a batch: about as many pixels at each size, and at least one."""
    nearest = min(BATCHES, key=lambda known: abs(known - size))
    return BATCHES[nearest] * (1 if device.type == "cpu" else 8)


if __name__ == "__main__":
    main(sys.argv[1:])
