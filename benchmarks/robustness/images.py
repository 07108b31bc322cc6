"""How many unlabelled images of a new line adaptation needs.

    python -m benchmarks.robustness.images real/lighting-tiles --data DIR --jobs 2

Networks are trained under policies of the config, and adapted to some of the images from elsewhere,
drawn anew three times a seed; they are scored on all of them, as trained, with the statistics of
the new images alone, and matched to the training images, the old line counting for several numbers
of images (``prior``). How far each norm's statistics are from what it meets on images of its own
line is measured, too.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.robustness.config import Config, config_path
from benchmarks.rows import RESULTS, Rows, parser_of, provenance
from styleaug.adapt import adapt_batchnorm, norm_statistics
from styleaug.evaluate.metrics import metric
from styleaug.evaluate.outcome import SOURCES, shuffled_batches
from styleaug.evaluate.policies import build_policy
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.split import Split
from styleaug.evaluate.tasks import fast_arithmetic, predict
from styleaug.evaluate.training import train

POLICIES = ("flips only", "lighting", "default")
COUNTS = (4, 8, 16, 32, 64, 128, 256)
PRIORS = (0, 16, 64)
_DRAWS = 3
_CPU = torch.device("cpu")


Measured = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""Rows of scores, and of norms."""


def measure(split: Split, protocol: Protocol, name: str, policy: str, seed: int) -> Measured:
    """Train one network, and adapt it to fewer and more images."""
    torch.set_num_threads(1)
    assert split.elsewhere is not None
    network = train(
        split.task, split.train, protocol, augment=build_policy(policy), seed=seed, device=_CPU
    )
    images, targets = split.elsewhere.images, split.elsewhere.targets
    judged = metric(split.task.metric)

    def score(ready: torch.nn.Module) -> float:
        return 100 * float(judged.score(judged.rows(predict(ready, images, device=_CPU), targets)))

    def row(count: int, way: str, prior: int, draw: int, value: float) -> dict[str, Any]:
        told = {"images": count, "way": way, "prior": prior, "draw": draw, "value": value}
        return {"policy": name, "seed": seed, **told}

    with fast_arithmetic(_CPU, split.task.kind):
        rows = [row(0, "as trained", 0, 0, score(network))]
        old = list(shuffled_batches(split.train.images, _CPU, SOURCES))
        source = norm_statistics(network, old)
        for count in (n for n in COUNTS if n <= len(images)):
            for draw in range(_DRAWS):
                new = list(shuffled_batches(images, _CPU, count, seed=draw))
                replaced = adapt_batchnorm(network, new)
                rows.append(row(count, "replaced", 0, draw, score(replaced)))
                for prior in PRIORS:
                    matched = adapt_batchnorm(network, new, source=source, prior=prior)
                    rows.append(row(count, "matched", prior, draw, score(matched)))
    told = {"policy": name, "seed": seed}
    return rows, [{**told, **gap} for gap in gaps(network, old)]


def gaps(network: torch.nn.Module, old: Sequence[Tensor]) -> Iterator[dict[str, Any]]:
    """How far each norm's statistics, as trained, are from what it meets on its own line."""
    layers = dict(network.named_modules())
    for number, (name, (middle, variance)) in enumerate(norm_statistics(network, old).items()):
        norm: Any = layers[name]
        away = (norm.running_mean - middle).abs() / (variance + norm.eps).sqrt()
        wider = ((norm.running_var + norm.eps) / (variance + norm.eps)).sqrt()
        yield {
            "norm": number,
            "means apart": float(away.median()),
            "deviation, times": float(wider.median()),
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, adapt, write and print."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_of(__doc__)
    parser.add_argument("config", type=config_path, metavar="CONFIG")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    parser.add_argument("--jobs", type=int, default=1, metavar="N")
    options = parser.parse_args(arguments)
    config = Config.load(options.config)
    protocol = config.make_protocol()
    split = config.read(options.data, protocol)
    runs = [(n, config.policies[n], seed) for seed in options.seeds for n in POLICIES]
    context = multiprocessing.get_context("spawn")
    rows: list[dict[str, Any]] = []
    norms: list[dict[str, Any]] = []
    with ProcessPoolExecutor(options.jobs, context) as pool:
        waiting = [pool.submit(measure, split, protocol, *run) for run in runs]
        for done in tqdm(waiting, "networks", unit="network"):
            scores, own = done.result()
            rows, norms = [*rows, *scores], [*norms, *own]
    purpose = f"How many images adaptation needs: {config.purpose}"
    meta = {
        "purpose": purpose,
        **provenance("benchmarks.robustness.images", arguments, packages=["timm"]),
        "protocol": protocol.to_dict(),
        "task": split.record(),
    }
    print(Rows(meta, rows).save(RESULTS / "adapt" / f"{config.name}.json"))
    print(Rows(meta, norms).save(RESULTS / "adapt" / f"{config.name}-norms.json"))
    for name in POLICIES:
        for way, prior in dict.fromkeys((r["way"], r["prior"]) for r in rows):
            found = [r for r in rows if (r["policy"], r["way"], r["prior"]) == (name, way, prior)]
            each = {n: [r["value"] for r in found if r["images"] == n] for n in (0, *COUNTS)}
            told = "  ".join(f"{n}: {mean(values):.1f}" for n, values in each.items() if values)
            print(f"{name:12} {way:10} prior {prior:3}  {told}")


if __name__ == "__main__":
    main()
