"""How much sooner the fast optimisation is where the textbook's arrives.

    python -m benchmarks.newstyles.gatys --content DIR... --styles DIR... --pairs 6
    python -m benchmarks.newstyles.gatys --content DIR... --styles DIR... --pairs 1 --size 96

Gatys et al.'s recipe, Adam with a learning rate of 0.003 in float32, against the fast variant, both
from the content image, with the same objective, which is measured in float32 in the end. The pairs
lie evenly in the sorted files. In one process, pair by pair, so that whatever slows the machine
slows both. Then a batch against its first image alone, round by round.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.pictures import spread_pictures
from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from benchmarks.speed.timing import time_in_turn
from styleaug.gatys import GatysConfig, GatysProgress, gatys


def compare(content: Tensor, style: Tensor, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of one pair: where both variants arrive, and when."""
    configs = {
        "textbook": GatysConfig(variant="textbook", steps=options.steps, strength=options.strength),
        "fast": GatysConfig(strength=options.strength),
    }
    rows = []
    for name, config in configs.items():
        with tqdm(desc=name, unit="step") as bar:

            def tell(now: GatysProgress, bar: tqdm = bar) -> None:
                bar.update()
                bar.set_postfix(objective=f"{now.objective:.4g}", refresh=False)

            found = gatys(content[None], [style], config, progress=tell)
        row = {"method": name, "objective": found.objective.item(), "seconds": found.seconds}
        rows.append({**row, "steps": found.steps})
    return rows


def time_batch(content: Tensor, style: Tensor, options: argparse.Namespace) -> dict[str, Any]:
    """A row: the time of an image in a batch, over alone."""
    config = GatysConfig(strength=options.strength, steps=5)
    contestants = {
        "alone": lambda: gatys(content[:1], [style], config),
        "batch": lambda: gatys(content, [style], config),
    }
    cpu = torch.device("cpu")
    seconds = time_in_turn(contestants, rounds=options.rounds, device=cpu, title="batch")
    pairs = zip(seconds["batch"], seconds["alone"], strict=True)
    ratios = [batch / len(content) / alone for batch, alone in pairs]
    return {"batch": len(content), **quartiles(ratios)}


def main(arguments: Sequence[str]) -> None:
    """Measure and write."""
    parser = parser_of(__doc__)
    parser.add_argument("--content", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--styles", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pairs", type=int, default=6, help="0 measures the batch alone")
    parser.add_argument("--size", type=int, default=256, help="side in pixels")
    parser.add_argument("--strength", type=float, default=0.5)
    parser.add_argument("--steps", type=int, default=1000, help="of the textbook")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3, help="of the batch against one")
    parser.add_argument("--out", type=Path, default=RESULTS / "newstyles", metavar="DIR")
    options = parser.parse_args(arguments)
    count = max(options.pairs, options.batch)
    contents, content = spread_pictures(options.content, count, options.size)
    names, styles = spread_pictures(options.styles, max(options.pairs, 1), options.size)
    shared = {
        **provenance("benchmarks.newstyles.gatys", arguments),
        "size": options.size,
    }
    rows = []
    for k in range(options.pairs):
        pair = {"content": contents[k], "style": names[k]}
        rows += [{**pair, **row} for row in compare(content[k], styles[k], options)]
        slow, fast = rows[-2:]
        faster, ratio = slow["seconds"] / fast["seconds"], fast["objective"] / slow["objective"]
        print(f"{faster:.1f} x, objective {ratio:.2f} of the textbook's")
    if rows:
        purpose = "How much sooner the fast optimisation is where the textbook's arrives."
        meta = {"name": "gatys", "purpose": purpose, **shared}
        print(Rows(meta, rows).save(options.out / "gatys.json"))
    batch = time_batch(content[: options.batch], styles[0], options)
    meta = {"name": "gatys-batch", "purpose": "What an image costs in a batch.", **shared}
    print(Rows(meta, [batch]).save(options.out / "gatys-batch.json"))


if __name__ == "__main__":
    main(sys.argv[1:])
