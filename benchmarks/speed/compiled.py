"""What ``torch.compile`` gains over the code as it runs, and how long it takes.

    python -m benchmarks.speed.compiled

The network and the blending of its output, of two images at a time, each compiled for its shapes;
compiled and not take turns on the same input.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from benchmarks.speed.timing import time_in_turn
from styleaug import StylePack
from styleaug.networks import network_of
from styleaug.nn.noise import white_noise
from styleaug.pack import DEFAULT_PACK
from styleaug.stages.restyle import Change

IMAGES = 2
COMPILED, EAGER = "compiled", "as it is"


def calls(pack: StylePack, size: int, device: torch.device) -> dict[str, Callable[..., Any]]:
    """What is compiled, by name; each takes no argument."""
    x = torch.rand(IMAGES, 3, size, size, device=device)
    noise = white_noise(torch.arange(IMAGES, device=device), 1, size, size)
    network, codes = network_of(pack, device), pack.codes[:IMAGES].to(device)
    y, amounts = network(x, codes, noise), torch.ones(IMAGES)
    return {
        "network": lambda: network(x, codes, noise),
        "blending": lambda: Change.between(x, y).added_to(x, amounts, amounts),
    }


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--pack", default=DEFAULT_PACK)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=RESULTS / "speed" / "compiled.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device, rows = torch.device(options.device), []
    with torch.no_grad():
        for name, call in calls(StylePack.load(options.pack), options.size, device).items():
            compiled = torch.compile(call, dynamic=False)
            start = time.perf_counter()
            compiled()
            preparation = time.perf_counter() - start
            timed = {COMPILED: compiled, EAGER: call}
            seconds = time_in_turn(timed, rounds=options.rounds, device=device, title=name)
            ratio = [b / a for a, b in zip(seconds[COMPILED], seconds[EAGER], strict=True)]
            rows.append({"part": name, "preparation": preparation, **quartiles(ratio)})
            print(f"{name}: {rows[-1]['median']:.2f} times as fast after {preparation:.0f} s")
    meta = {
        "name": "compiled",
        "purpose": "Speed of torch.compile over the code as it runs; its seconds of preparation.",
        **provenance("benchmarks.speed.compiled", arguments, device=options.device),
        "pack": options.pack,
        "shape": [IMAGES, 3, options.size, options.size],
        "rounds": options.rounds,
        "seed": 0,
    }
    print(Rows(meta, rows).save(options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
