"""What int8 would gain on a CPU: the style network in PyTorch, ONNX Runtime and OpenVINO.

    pip install onnx onnxruntime openvino nncf
    python -m benchmarks.speed.int8 --content DIR

Convolutions are quantized statically, weights channel by channel, on 32 pictures of the folder,
each with a style of its own. The first and the last stay in floating point: a tenth of the work,
but their errors are errors of pixels. What is not quantized is bf16 in OpenVINO, fp32 in ONNX
Runtime. Times are of a batch, ratios are taken round by round; the convolutions are also timed
alone, in PyTorch. Differences from the network in fp32 are means over a picture, in levels of 255,
on 32 other pictures and styles.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.transforms import functional as TF
from tqdm import trange

from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from benchmarks.speed.runtimes import BF16, FP32, OPENVINO, Feed, Run, convolutions, networks
from styleaug import StylePack
from styleaug.images.io import list_images, load_rgb, spread
from styleaug.nn.noise import white_noise

PACKAGES = ("onnx", "onnxruntime", "openvino", "nncf")
PICTURES = 32
NETWORK, ALL = "network", "all convolutions"
"""Parts; the others are convolutions by their names."""


def require(packages: Sequence[str] = PACKAGES) -> None:
    """Stop with one sentence if a package is missing."""
    try:
        for name in packages:
            importlib.import_module(name)
    except ImportError as error:
        raise SystemExit(
            f"This benchmark needs {error.name}: pip install {' '.join(packages)}."
        ) from error


def inputs(pack: StylePack, folder: Path, size: int) -> Feed:
    """Pictures, style codes and noise, twice as many as calibrate the quantization."""
    count = 2 * PICTURES
    files = spread(list_images(folder), count)
    if len(files) < count:
        raise SystemExit(f"--content must hold {count} pictures, but {folder} has {len(files)}.")
    pictures = [TF.to_tensor(TF.resize(load_rgb(file), [size, size])) for file in files]
    return {
        "images": torch.stack(pictures),
        "code": torch.stack(spread(list(pack.codes.float()), count)),
        "noise": white_noise(torch.arange(count), 1, size, size),
    }


def batches(data: Feed, first: int, size: int) -> list[Feed]:
    """Batches of every second entry."""
    parts = zip(*(torch.split(values[first::2], size) for values in data.values()), strict=True)
    return [dict(zip(data, values, strict=True)) for values in parts]


def time_apart(
    runs: Mapping[str, Run], feed: Feed, *, rounds: int, pause: float
) -> dict[str, list[float]]:
    """Milliseconds of each contestant in each round.

    Each runtime has threads of its own, which spin for a while when their work is done: after a
    pause and a run that is not timed, those of the others sleep.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in trange(rounds, desc="rounds"):
        for name, run in runs.items():
            time.sleep(pause)
            run(feed)
            start = time.perf_counter()
            run(feed)
            taken[name].append(1e3 * (time.perf_counter() - start))
    return taken


def row(name: str, unit: str, values: Sequence[float], over: str | None = None) -> dict[str, Any]:
    """Of one contestant, against another if there is one."""
    return {"contestant": name, "over": over, "unit": unit, **quartiles(values)}


def compare(taken: Mapping[str, Sequence[float]], *baselines: str) -> list[dict[str, Any]]:
    """Rows: times, and how many times as fast as each baseline."""
    rows = []
    for name, values in taken.items():
        rows.append(row(name, "ms", values))
        for other in [b for b in baselines if b != name]:
            rows.append(row(name, "times as fast", np.divide(taken[other], values), other))
    return rows


def measure_networks(
    pack: StylePack, calibration: Sequence[Feed], tests: Sequence[Feed], rounds: int, threads: int
) -> list[dict[str, Any]]:
    """Rows: times, ratios, and differences from the network in fp32."""
    with tempfile.TemporaryDirectory() as place:
        runs = networks(pack, calibration, threads, Path(place))
    rows = compare(time_apart(runs, tests[0], rounds=rounds, pause=0.03), BF16, OPENVINO)
    exact = torch.cat([runs[FP32](feed) for feed in tests])
    for name, run in runs.items():
        difference = torch.cat([run(feed) for feed in tests]) - exact
        levels = 255 * difference.abs().mean((1, 2, 3))
        rows.append(row(name, "levels", levels.tolist(), FP32))
    return [{"part": NETWORK, **each} for each in rows]


def measure_convolutions(pack: StylePack, feed: Feed, rounds: int) -> list[dict[str, Any]]:
    """Rows: each alone, then all of a round together."""
    rows, total = [], {"bf16": np.zeros(rounds), "int8": np.zeros(rounds)}
    for part, (half, small) in convolutions(pack, feed).items():
        taken = time_apart({"bf16": half, "int8": small}, feed, rounds=rounds, pause=0)
        total = {name: total[name] + taken[name] for name in total}
        rows += [{"part": part, **each} for each in compare(taken, "bf16")]
    return [*rows, *({"part": ALL, **each} for each in compare(total, "bf16"))]


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--content", type=Path, metavar="DIR", required=True)
    parser.add_argument("--pack", default="base")
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 2, 1], help="that divide 32")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "speed" / "int8.json")
    options = parser.parse_args(arguments)
    require()
    torch.set_num_threads(options.threads)
    pack = StylePack.load(options.pack)
    data = inputs(pack, options.content, options.size)
    rows: list[dict[str, Any]] = []
    for batch in options.batch:
        calibration, tests = batches(data, 0, batch), batches(data, 1, batch)
        found = measure_networks(pack, calibration, tests, options.rounds, options.threads)
        found += measure_convolutions(pack, tests[0], options.rounds)
        rows += [{"batch": batch, **each} for each in found]
    for r in rows:
        unit = f"{r['unit']} {r['over'] or ''}"
        bounds = f"{r['median']:8.2f} ({r['q1']:.2f} to {r['q3']:.2f})"
        print(f"{r['batch']} {r['part']:18} {r['contestant']:18} {bounds} {unit}")
    meta = {
        "name": "int8",
        "purpose": "What int8 would gain on a CPU.",
        **provenance("benchmarks.speed.int8", arguments, packages=PACKAGES),
        "pack": options.pack,
        "content": options.content.name,
        "size": options.size,
        "rounds": options.rounds,
        "threads": options.threads,
    }
    print(Rows(meta, rows).save(options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
