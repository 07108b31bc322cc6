"""Images per second of the whole transform, and how it compares with the network that others run.

    python benchmarks/throughput.py
    python benchmarks/throughput.py --loader    # the cost of styling in a training loop

Everything is measured side by side in one process: in each round every contestant processes the
same batch, so that whatever slows the machine slows all, and ratios are taken round by round. uint8
batch in, uint8 batch out; synchronized inside the timed region.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torchvision.transforms import v2
from tqdm import trange

from common import command_line, machine_record, median_iqr, package_versions, write_json
from styleaug import StyleAugment, StylePack
from styleaug.networks import network_of
from styleaug.nn.stylenet import REFERENCE
from styleaug.runtime import inference_dtype
from throughput_loader import EVERYTHING, measure_loaders

RESULT = Path(__file__).parent / "results" / "throughput.json"
LOADER_RESULT = RESULT.with_stem("throughput_loader")


def contestants(batch: torch.Tensor, pack: str) -> dict[str, Callable[[], object]]:
    """What is timed: whole transforms, then networks alone on prepared input."""
    base, reference = StylePack.load(pack), StylePack.random(REFERENCE)
    x = batch.float().div(255).to(inference_dtype(batch.device))
    x = x.contiguous(memory_format=torch.channels_last)

    def network(pack: StylePack) -> Callable[[], object]:
        net, codes = network_of(pack, batch.device), pack.codes[:1].to(x).expand(len(x), -1)
        places = torch.zeros(len(x), dtype=torch.int64, device=batch.device)
        return torch.no_grad()(lambda: net(x, codes, net.field(places, *x.shape[-2:])))

    transforms = {
        "transform, all images, all stages": StyleAugment(pack=base, **EVERYTHING),
        "transform with the reference network": StyleAugment(pack=reference, **EVERYTHING),
        "transform, defaults": StyleAugment(pack=base),
        "torchvision ColorJitter": v2.ColorJitter(0.5, 0.5, 0.3, 0.05),
    }
    timed: dict[str, Callable[[], object]] = {
        name: (lambda t=transform: t(batch)) for name, transform in transforms.items()
    }
    return {**timed, "network": network(base), "reference network": network(reference)}


def measure(
    timed: dict[str, Callable[[], object]], *, rounds: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds of each contestant in each round, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for round_ in trange(rounds + 1, desc="rounds"):
        for name, function in timed.items():
            start = time.perf_counter()
            function()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if round_:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", default="base")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--loader", action="store_true", help="measure a training loop instead")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    common = {
        "pack": arguments.pack,
        "dtype": str(inference_dtype(device)),
        "rounds": arguments.rounds,
        "seed": 0,
        "machine": machine_record(device),
        "versions": package_versions(("styleaug", "torch", "torchvision")),
    }
    if arguments.loader:
        record = {
            "command": command_line("throughput.py", sys.argv[1:]),
            **common,
            **measure_loaders(arguments.pack, arguments.rounds, device),
        }
        for workers, rows in record["workers"].items():
            for name, row in rows.items():
                share = f", share {row['share']['median']:.2f}" if "share" in row else ""
                print(f"{workers} workers {name:32} {row['seconds']['median']:6.2f} s{share}")
        write_json(arguments.out or LOADER_RESULT, record)
        return
    shape = (arguments.batch, 3, arguments.size, arguments.size)
    batch = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    seconds = measure(contestants(batch, arguments.pack), rounds=arguments.rounds, device=device)

    def row(values: list[float]) -> dict[str, float]:
        median, low, high = median_iqr(values)
        return {"median": median, "q1": low, "q3": high}

    speed = {name: row([arguments.batch / s for s in values]) for name, values in seconds.items()}
    whole = "transform, all images, all stages"

    def ratio(slow: str, fast: str) -> dict[str, float]:
        pairs = zip(seconds[slow], seconds[fast], strict=True)
        return row([a / b for a, b in pairs])

    ratios = {
        "transform / transform with the reference network": ratio(
            "transform with the reference network", whole
        ),
        "network / reference network": ratio("reference network", "network"),
        "transform / ColorJitter": ratio("torchvision ColorJitter", whole),
    }
    for name, values in (*speed.items(), *ratios.items()):
        unit = "images/s" if name in speed else "times"
        print(
            f"{name:50} {values['median']:8.2f} {unit} ({values['q1']:.2f} to {values['q3']:.2f})"
        )
    record = {
        "command": command_line("throughput.py", sys.argv[1:]),
        "shape": shape,
        **common,
        "images_per_second": speed,
        "ratios": ratios,
    }
    write_json(arguments.out or RESULT, record)


if __name__ == "__main__":
    main()
