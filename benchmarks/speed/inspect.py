"""How long ``styleaug inspect`` takes on a folder of 10,000 labelled images.

    python -m benchmarks.speed.inspect

Colour JPEGs with a mask each, of noise with a dark spot, are drawn into a temporary folder, half of
them in each of two classes; the command runs on it as a user would run it.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import trange

from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from benchmarks.speed.commands import time_command

RESULT = RESULTS / "speed" / "inspect.json"


def draw(folder: Path, count: int, size: int) -> None:
    """Draw images in ``images/CLASS/`` and their masks in ``masks/CLASS/``."""
    generator = np.random.default_rng(0)
    noise = generator.normal(128, 12, (2 * size, 2 * size, 3))
    for number in trange(count, desc="draw"):
        top, left = generator.integers(0, size, 2)
        pixels = noise[top : top + size, left : left + size] + generator.uniform(-20, 20)
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        mask = Image.new("L", image.size)
        x, y = generator.uniform(0, 0.8 * size, 2)
        spot = (x, y, x + size / 8, y + size / 16)
        for canvas, fill in ((image, (60, 50, 40)), (mask, 255)):
            ImageDraw.Draw(canvas).ellipse(spot, fill=fill)
        for kind, picture, suffix in (("images", image, "jpg"), ("masks", mask, "png")):
            path = folder / kind / f"class{number % 2}" / f"{number}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path, quality=90)


def cpu_seconds() -> float:
    """What all commands so far have taken of all cores; less than it seems on a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(arguments: Sequence[str]) -> None:
    """Draw, run, print and write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--images", type=int, default=10_000, metavar="N")
    parser.add_argument("--size", type=int, default=512, metavar="PIXELS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "drawn")
        draw(folder, options.images, options.size)
        command = ["inspect", str(folder), "--out", str(Path(place, "inspect.png"))]
        seconds: dict[str, list[float]] = {"seconds": [], "cpu seconds": []}
        for _ in range(options.rounds):
            before = cpu_seconds()
            taken, printed = time_command(command)
            seconds["seconds"].append(taken)
            seconds["cpu seconds"].append(cpu_seconds() - before)
    print(printed.replace(f"{place}/", ""))
    print(f"{options.images} images: {seconds}")
    meta = {
        "name": "inspect",
        "purpose": "How long styleaug inspect takes on images with masks.",
        **provenance("benchmarks.speed.inspect", arguments, packages=["pillow"]),
        "shape": [3, options.size, options.size],
        "rounds": options.rounds,
    }
    rows = [
        {"images": options.images, "unit": unit, **quartiles(values)}
        for unit, values in seconds.items()
    ]
    print(Rows(meta, rows).save(options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
