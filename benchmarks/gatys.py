"""How much sooner the fast optimisation is where the textbook's arrives.

    python benchmarks/gatys.py --content DIR... --styles DIR... --pairs 6
    python benchmarks/gatys.py --content DIR... --styles DIR... --pairs 1 --size 96 --steps 200

Gatys et al.'s recipe, Adam with a learning rate of 0.003 in float32, against the fast method, both
from the content image, with the same objective, which is measured in float32 in the end. The pairs
lie evenly in the sorted files. In one process, pair by pair, so that whatever slows the machine
slows both. Then a batch against its first image alone, round by round.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm import tqdm

from common import machine_record, median_iqr, package_versions, write_json
from styleaug.gatys import GatysConfig, GatysProgress, gatys
from styleaug.images.io import find_images, load_rgb, to_tensor

RESULT = Path(__file__).parent / "results" / "gatys.json"


def evenly(folders: list[Path], count: int, size: int) -> tuple[list[str], torch.Tensor]:
    """Names and pictures (count, 3, size, size), uint8; the folders take turns."""
    names, images = [], []
    for k in range(count):
        folder = folders[k % len(folders)]
        files = find_images(folder)
        path = files[(2 * k + 1) * len(files) // (2 * count)]
        square = ImageOps.fit(load_rgb(path), (size, size), Image.Resampling.BILINEAR)
        names.append(f"{folder.name}/{path.name}")
        images.append(to_tensor(square))
    return names, torch.stack(images)


def compare(
    content: torch.Tensor, style: torch.Tensor, options: argparse.Namespace, bar: tqdm
) -> dict[str, float]:
    """One pair: where both methods arrive, and when."""

    def tell(now: GatysProgress) -> None:
        bar.update()
        bar.set_postfix(objective=f"{now.objective:.4g}", refresh=False)

    shared = {"strength": options.strength}
    slow = GatysConfig(method="textbook", steps=options.steps, **shared)
    textbook = gatys(content[None], [style], slow, progress=tell)
    fast = gatys(content[None], [style], GatysConfig(**shared), progress=tell)
    return {
        "textbook_objective": textbook.objective.item(),
        "textbook_seconds": textbook.seconds,
        "fast_objective": fast.objective.item(),
        "fast_seconds": fast.seconds,
        "fast_steps": fast.steps,
        "objective_ratio": (fast.objective / textbook.objective).item(),
        "speedup": textbook.seconds / fast.seconds,
    }


def batching(
    content: torch.Tensor, styles: torch.Tensor, options: argparse.Namespace
) -> dict[str, object]:
    """Seconds of a step and image, in a batch over alone."""
    config = GatysConfig(strength=options.strength, steps=5)
    ratios = []
    for round_ in range(options.rounds + 1):
        seconds = []
        for images in (content[:1], content):
            start = time.perf_counter()
            gatys(images, list(styles[:1]), config)
            seconds.append((time.perf_counter() - start) / len(images))
        if round_:  # the first warms up
            ratios.append(seconds[1] / seconds[0])
    median, low, high = median_iqr(ratios)
    return {
        "batch": len(content),
        "ratio": median,
        "quartiles": [low, high],
        "command": command(options),
        "machine": machine_record(),
    }


def command(options: argparse.Namespace) -> str:
    """The line that was run."""
    return (
        "python benchmarks/gatys.py --content "
        + " ".join(folder.name for folder in options.content)
        + " --styles "
        + " ".join(folder.name for folder in options.styles)
        + f" --pairs {options.pairs} --size {options.size} --steps {options.steps}"
        + f" --strength {options.strength} --batch {options.batch} --rounds {options.rounds}"
        + (" --only batching" if options.only else "")
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--content", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--styles", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--size", type=int, default=256, help="side in pixels")
    parser.add_argument("--strength", type=float, default=0.5)
    parser.add_argument("--steps", type=int, default=1000, help="of the textbook")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3, help="of the batch against one")
    parser.add_argument(
        "--only", choices=["batching"], help="measure this alone, and keep what --out has of others"
    )
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    contents, content = evenly(options.content, max(options.pairs, options.batch), options.size)
    names, styles = evenly(options.styles, options.pairs, options.size)
    if options.only:
        record = json.loads(options.out.read_text(encoding="utf-8"))
        record["batching"] = batching(content[: options.batch], styles, options)
        print(write_json(options.out, record))
        return
    pairs = []
    for k in range(options.pairs):
        with tqdm(desc=f"{contents[k]} as {names[k]}", unit="step") as bar:
            found = compare(content[k], styles[k], options, bar)
        pairs.append({"content": contents[k], "style": names[k], **found})
        print(
            f"{found['speedup']:.1f} x, objective {found['objective_ratio']:.2f} of the textbook's"
        )
    speedups = [pair["speedup"] for pair in pairs]
    record = {
        "command": command(options),
        "size": options.size,
        "pairs": pairs,
        "speedup": {"median": float(np.median(speedups)), "least": min(speedups)},
        "reached": sum(pair["objective_ratio"] <= 1 for pair in pairs),
        "batching": batching(content[: options.batch], styles, options),
        "machine": machine_record(),
        "versions": package_versions(["torch", "torchvision"]),
    }
    print(write_json(options.out, record))


if __name__ == "__main__":
    main()
