"""What restyled textures teach a detector: pictures of one model, tested in unseen materials.

    pip install "styleaug[bench,mesh,render]"
    python -m benchmarks.mesh.detect

A flange with scratches, dents and stains painted on its texture is shown from all sides, with
boxes. One detector is trained on pictures of the part in the material that it comes in, one on the
same pictures with every second texture restyled. Both are tested in the own material, and in drawn
finishes of families whose styles were left out; a third one, trained on those families, tells what
could be reached. Seeds fix initial weights, order and flips; the pictures are the same.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from benchmarks.mesh.parts import flange
from benchmarks.mesh.pictures import (
    SIDE,
    Canvas,
    View,
    cameras,
    photograph,
    trace,
    with_defects,
)
from benchmarks.rows import RESULTS, Rows, parser_of, provenance
from styleaug import Restyle, StyleAugment, StylePack
from styleaug.evaluate.metrics import metric
from styleaug.evaluate.models import LITE
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.tasks import SCORES, ImageSet, Task, predict
from styleaug.evaluate.training import train
from styleaug.mesh.paint import Paint
from styleaug.mesh.texture import Texture, restyle_texture

UNSEEN = (
    *("rust", "brushed", "patina", "cast", "ground", "galvanised"),
    *("heat-tint", "forged-scale", "anodised", "painted", "milled", "orange-peel"),
)
"""Families of finishes to test on: no policy takes styles of them."""
FIRST = 1000
"""Of the finishes' indices: far beyond those that the pack was trained on."""

POLICIES = ("textures as they are", "textures restyled", "the unseen families")

Dress = Callable[[int, Image.Image], Image.Image]


def known_styles() -> list[str]:
    """Styles of the pack, without those of the families to test on."""
    unseen = tuple(f"finish/{family}-" for family in UNSEEN)
    return [name for name in StylePack.load("base").names if not name.startswith(unseen)]


def restyled(canvas: Canvas, styles: Sequence[str]) -> Dress:
    """What gives every second texture another material."""
    augment = StyleAugment([Restyle(styles, mix=0.5)])
    surface = canvas.part.surface

    def dress(number: int, texture: Image.Image) -> Image.Image:
        if number % 2:
            return texture
        plan = augment.draw(1, torch.Generator().manual_seed(number))
        return restyle_texture(Texture(texture, surface), Paint(augment, plan))

    return dress


def show(
    canvas: Canvas,
    views: Sequence[View],
    count: int,
    seed: int,
    dress: Dress,
    *,
    finishes: int | None = None,
) -> ImageSet:
    """Pictures with boxes; of one seed, views, defects and light are the same.

    They show the own material, or finishes of the families to test on, from an index on.
    """
    pictures, targets = [], []
    for number in tqdm(range(count), unit="picture", leave=False):
        rng = np.random.default_rng([seed, number])
        view = views[rng.integers(len(views))]
        added = canvas.paint_defects(view, rng)
        if finishes is None:
            colours = canvas.own_material(1000 * seed + number)
        else:
            family = UNSEEN[number % len(UNSEEN)]
            colours = canvas.finish(family, finishes + number // len(UNSEEN))
        texture = dress(number, with_defects(colours, added))
        picture, boxes = photograph(view, texture, added, rng)
        pictures.append(picture)
        targets.append({"boxes": boxes, "labels": torch.ones(len(boxes), dtype=torch.int64)})
    return ImageSet(torch.stack(pictures), targets)


def main(arguments: Sequence[str]) -> None:
    """Render, train, test, write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--train", type=int, default=300, help="pictures to train on")
    parser.add_argument("--test", type=int, default=96, help="pictures of each test")
    parser.add_argument("--steps", type=int, default=350)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--model", default=LITE)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), choices=POLICIES)
    parser.add_argument("--out", type=Path, default=RESULTS / "mesh" / "detect.json")
    options = parser.parse_args(arguments)
    start, canvas, styles = time.perf_counter(), Canvas(flange()), known_styles()
    rng = np.random.default_rng(0)
    views, others = trace(canvas.part, cameras(48, rng)), trace(canvas.part, cameras(24, rng))
    plain: Dress = lambda number, texture: texture  # noqa: E731
    dresses: dict[str, tuple[Dress, int | None]] = {
        "textures as they are": (plain, None),
        "textures restyled": (restyled(canvas, styles), None),
        "the unseen families": (plain, 2 * FIRST),
    }
    sets = {
        policy: show(
            canvas, views, options.train, 1, dresses[policy][0], finishes=dresses[policy][1]
        )
        for policy in options.policies
    }
    tests = {
        "own material": show(canvas, others, options.test, 2, plain),
        "unseen materials": show(canvas, others, options.test, 3, plain, finishes=FIRST),
    }
    print(f"pictures after {time.perf_counter() - start:.0f} s")
    task = Task("detection", ("defect",), SIDE)
    protocol = Protocol(
        options.model, SIDE, options.steps, options.batch, train=options.train, test=options.test
    )
    scores = [metric(name) for name in SCORES["detection"]]
    rows: list[dict[str, Any]] = []
    cpu = torch.device("cpu")
    for seed in options.seeds:
        for policy, part in sets.items():
            network = train(task, part, protocol, augment=nn.Identity(), seed=seed, device=cpu)
            for condition, test in tests.items():
                found = predict(network, test.images, device=cpu)
                for score in scores:
                    value = round(100 * score.score(score.rows(found, test.targets)), 2)
                    row = {"policy": policy, "seed": seed, "condition": condition}
                    rows.append({**row, "metric": score.name, "value": value})
                    print(*rows[-1].values(), flush=True)
    meta = {
        "name": "detect",
        "purpose": "What restyled textures of one model teach a detector about other materials.",
        **provenance("benchmarks.mesh.detect", arguments, packages=("mitsuba", "trimesh")),
        "protocol": {n: getattr(protocol, n) for n in ("model", "size", "steps", "batch_size")},
        "pictures": {"train": options.train, "test": options.test},
        "unseen": list(UNSEEN),
        "seconds": round(time.perf_counter() - start),
    }
    print(Rows(meta, rows).save(options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
