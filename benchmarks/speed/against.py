"""Speed of this checkout over that of another one, side by side in one process.

    git worktree add ../before COMMIT
    python -m benchmarks.speed.against ../before "StyleAugment()"
    python -m benchmarks.speed.against ../before "SensorNoise()" --theirs "StyleAugment(grain=1)"

Both packages are imported under the same name, one after the other. In each round both transforms
process the same batch, so that a ratio compares neighbours in time; above 1 this one is faster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from benchmarks.speed.timing import time_in_turn


def build(expression: str, folder: Path | None = None) -> Callable[[torch.Tensor], Any]:
    """A transform of this checkout, or of the package in a folder."""
    if folder is None:
        return _evaluated(expression)
    ours = _take_out()
    sys.path.insert(0, str(folder.resolve()))
    try:
        transform = _evaluated(expression)
        transform(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))  # what it imports when it is used
    finally:
        sys.path.pop(0)
        _take_out()
        sys.modules.update(ours)
    return transform


def _evaluated(expression: str) -> Callable[[torch.Tensor], Any]:
    """By the public names of the package as it is found now."""
    package = import_module("styleaug")
    found: Callable[[torch.Tensor], Any] = eval(
        expression, {name: getattr(package, name) for name in package.__all__}
    )
    return found


def _take_out() -> dict[str, Any]:
    """Let the package be imported anew: its modules, which are gone from those that are known."""
    names = [name for name in sys.modules if name.split(".")[0] == "styleaug"]
    return {name: sys.modules.pop(name) for name in names}


def main() -> None:
    """Measure each pair, print, write JSON."""
    parser = parser_of(__doc__)
    parser.add_argument("other", type=Path, metavar="DIR", help="the other checkout")
    parser.add_argument("ours", nargs="+", metavar="EXPRESSION", help="transforms of this one")
    parser.add_argument("--theirs", nargs="+", metavar="EXPRESSION", help="default: the same")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "speed" / "against.json")
    arguments = parser.parse_args()
    theirs = arguments.theirs or arguments.ours
    if len(theirs) != len(arguments.ours):
        parser.error("--theirs must be as many expressions as there are of this checkout")
    torch.set_num_threads(arguments.threads)
    rows = []
    for ours, other in zip(arguments.ours, theirs, strict=True):
        for channels in (3, 1):
            torch.manual_seed(0)
            shape = (arguments.batch, channels, arguments.size, arguments.size)
            batch = torch.randint(0, 256, shape, dtype=torch.uint8)
            pair = {"ours": build(ours), "theirs": build(other, arguments.other)}
            timed = {name: (lambda t=transform, x=batch: t(x)) for name, transform in pair.items()}
            seconds = time_in_turn(timed, rounds=arguments.rounds, device=batch.device)
            speed = {n: quartiles([arguments.batch / s for s in v]) for n, v in seconds.items()}
            both = zip(seconds["theirs"], seconds["ours"], strict=True)
            ratio = quartiles([a / b for a, b in both])
            rows.append({"ours": ours, "theirs": other, "channels": channels})
            for name, found in {**speed, "ratio": ratio}.items():
                rows[-1] |= {f"{name} {statistic}": v for statistic, v in found.items()}
            print(f"{ours}, {channels} channels: {ratio['median']:.2f} times as fast", flush=True)
    meta = {
        "name": "against",
        "purpose": "Speed of this checkout over that of another one, in images/s and as ratio.",
        **provenance("benchmarks.speed.against", sys.argv[1:]),
        "batch": arguments.batch,
        "size": arguments.size,
        "rounds": arguments.rounds,
    }
    print(Rows(meta, rows).save(arguments.out))


if __name__ == "__main__":
    main()
