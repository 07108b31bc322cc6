"""The exported network against PyTorch: size, speed, exactness, style and defects kept.

    pip install "styleaug[export,bench]"    and, for the program of phones, [executorch]
    python -m benchmarks.speed.edge --content DIR... --styles [TAG=]DIR... --masks DIR

Each contestant is the whole Restyle stage at full strength and texture, an image at a time, uint8
in and out, as a camera would feed it. Its style transfer ratio is measured as in
`benchmarks.quality` (trained styles, contents of the folders in turn), and so are the defects lost.
PSNR is of the restyled images against PyTorch in float32. The exports are calibrated, and the
pruned one is fine-tuned, on other images of the content folders.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import trange

from benchmarks.quality.measures import survival
from benchmarks.quality.safety import retention
from benchmarks.quality.subjects import Subjects
from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles
from styleaug import StylePack, runtime
from styleaug.edge import CELL, Restyler
from styleaug.export import ExportConfig, export_pack
from styleaug.export.executorch import Program
from styleaug.images.color import to_dtype, to_float
from styleaug.networks import network_of
from styleaug.nn.noise import white_noise
from styleaug.stages.restyle import Change

EXACT = "PyTorch fp32"
SIZES = (256, 512)

Contestant = Callable[[Tensor, Tensor, int], Tensor]
"""An image (3, H, W), uint8, a code and a seed to an image, uint8."""


def in_torch(pack: StylePack, dtype: torch.dtype) -> Contestant:
    """The stage as the package runs it."""
    usual = runtime.inference_dtype
    runtime.inference_dtype = lambda device: dtype
    try:
        network = network_of(pack, torch.device("cpu"))
    finally:
        runtime.inference_dtype = usual
    one = torch.ones(1)

    @torch.inference_mode()
    def run(image: Tensor, code: Tensor, seed: int) -> Tensor:
        x = to_float(image[None])
        noise = white_noise(torch.tensor([seed]), 1, *x.shape[2:])
        y = network(x, code[None], noise)
        return to_dtype(Change.between(x, y).added_to(x, one, one).clamp(0, 1), torch.uint8)[0]

    return run


def at_the_edge(
    folder: Path, precision: str, threads: int, codes: Tensor, own: Tensor
) -> Contestant:
    """The stage in ONNX Runtime; ``codes`` of the pack are ``own`` of the export."""
    restyler = Restyler(folder, precision=precision, threads=threads)

    def run(image: Tensor, code: Tensor, seed: int) -> Tensor:
        pixels = image.permute(1, 2, 0).contiguous().numpy()
        return torch.from_numpy(
            restyler(pixels, mapped(code, codes, own).numpy(), seed=seed)
        ).permute(2, 0, 1)

    return run


def in_executorch(path: Path) -> Contestant:
    """The stage as a program."""
    program, one = Program(path), torch.ones(1)

    def run(image: Tensor, code: Tensor, seed: int) -> Tensor:
        height, width = image.shape[1:]
        x = F.pad(to_float(image[None]), (0, -width % CELL, 0, -height % CELL), mode="replicate")
        noise = white_noise(torch.tensor([seed]), 1, *x.shape[2:])
        feed = {"i": x, "c": code[None], "s": one, "t": one, "n": noise}
        out = program(feed)[..., :height, :width].clamp(0, 1)
        return to_dtype(out, torch.uint8)[0]

    return run


def mapped(code: Tensor, codes: Tensor, own: Tensor) -> Tensor:
    """The row of an export that has this code in the pack: a pruned network has shorter ones."""
    if codes.shape == own.shape:
        return code
    return own[int((codes - code).abs().sum(1).argmin())]


def make(
    options: argparse.Namespace, pack: StylePack, place: Path
) -> tuple[dict[str, Contestant], dict[str, int]]:
    """Contestants, and the bytes of their networks."""
    contestants = {
        EXACT: in_torch(pack, torch.float32),
        "PyTorch bf16": in_torch(pack, torch.bfloat16),
    }
    folders = tuple(Path(entry.rpartition("=")[2]) for entry in options.content)
    config = ExportConfig(out=place / "whole", int8=True, pte=options.pte, calibrate=folders)
    files = {("restyle", "fp32"): "ONNX Runtime fp32", ("restyle", "int8"): "ONNX Runtime int8"}
    sizes: dict[str, int] = {}
    for share in (0.0, options.prune):
        out = place / f"pruned-{share:g}"
        changed = replace(
            config, out=out, prune=share, minutes=options.minutes, pte=config.pte and not share
        )
        made = export_pack(pack, changed, lambda text: print(text, flush=True))
        own = torch.from_numpy(np.load(out / "codes.npy"))
        for each in made:
            told = f", pruned {share:g}" if share else ""
            if each.part == "executorch":
                name = "ExecuTorch fp32"
                contestants[name] = in_executorch(out / each.file)
            elif (each.part, each.precision) in files:
                name = f"{files[each.part, each.precision]}{told}"
                contestants[name] = at_the_edge(
                    out, each.precision, options.threads, pack.codes, own
                )
            else:
                continue
            sizes[name] = each.bytes
    return contestants, sizes


def share_of_convolutions(path: Path, threads: int, runs: int = 20) -> float:
    """Of the time that ONNX Runtime takes for one image of 256 x 256, in per cent."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.enable_profiling = True
    settings.profile_file_prefix = str(path.parent / "profile")
    session = onnxruntime.InferenceSession(path, settings, ["CPUExecutionProvider"])
    size = {input.name: input.shape[1] for input in session.get_inputs() if len(input.shape) == 2}
    feed = {
        "images": np.full((1, 3, 256, 256), 0.5, np.float32),
        "code": np.zeros((1, size["code"]), np.float32),
        "strength": np.ones(1, np.float32),
        "texture": np.ones(1, np.float32),
        "noise": np.zeros((1, 1, 256, 256), np.float32),
    }
    for _ in range(runs):
        session.run(None, feed)
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    spent: dict[bool, float] = {True: 0.0, False: 0.0}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            spent["Conv" in event["args"]["op_name"]] += event["dur"]
    return 100 * spent[True] / (spent[True] + spent[False])


def measure_speed(
    contestants: Mapping[str, Contestant], pack: StylePack, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Images a second, side by side in each round."""
    rows = []
    for size in SIZES:
        image = torch.randint(
            0, 256, (3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
        )
        taken: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in trange(options.rounds, desc=f"speed at {size}"):
            for name, run in contestants.items():
                time.sleep(0.03)  # threads of the runtime before fall asleep
                run(image, pack.codes[0], 0)
                start = time.perf_counter()
                run(image, pack.codes[0], 0)
                taken[name].append(1 / (time.perf_counter() - start))
        rows += [
            {"contestant": name, "part": f"images/s at {size}", **quartiles(values)}
            for name, values in taken.items()
        ]
    return rows


def measure_quality(
    contestants: Mapping[str, Contestant], subjects: Subjects
) -> list[dict[str, Any]]:
    """Style transfer ratio, PSNR, and defects lost."""
    group = subjects.groups["trained styles"]
    codes = group.codes
    content = subjects.contents(len(codes))[0]
    found, exact = [], None
    for name, run in contestants.items():
        outputs = torch.stack(
            [run(x, code, k) for k, (x, code) in enumerate(zip(content, codes, strict=True))]
        )
        exact = outputs if exact is None else exact
        ratios = torch.cat(
            [
                subjects.moved(
                    to_float(content[part]), to_float(outputs[part]), [g[part] for g in group.grams]
                )[0]
                for part in torch.arange(len(codes)).split(8)
            ]
        )
        found.append(
            {"contestant": name, "part": "style transfer ratio", **quartiles(ratios.tolist())}
        )
        if name != EXACT:
            squares = (to_float(outputs) - to_float(exact)).square().mean((1, 2, 3))
            psnr = -10 * squares.clamp_min(1e-10).log10()
            found.append({"contestant": name, "part": "PSNR", **quartiles(psnr.tolist())})

    def change(run: Contestant) -> Callable[[Tensor], Tensor]:
        def changed(images: Tensor) -> Tensor:
            picked = torch.randint(len(subjects.pack), (len(images),))
            return torch.stack(
                [
                    run(x, subjects.pack.codes[k], int(k))
                    for x, k in zip(images, picked, strict=True)
                ]
            )

        return changed

    kept, _ = retention(subjects, {name: change(run) for name, run in contestants.items()})
    for name, values in kept.items():
        told = survival(values)
        lost, error = told["lost"], told["lost standard error"]
        found.append(
            {
                "contestant": name,
                "part": "defects lost",
                "median": lost,
                "q1": lost - error,
                "q3": lost + error,
            }
        )
    return found


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--pack", default="fast")
    parser.add_argument("--content", nargs="+", metavar="[NAME=]DIR", required=True)
    parser.add_argument("--styles", nargs="+", metavar="[TAG=]DIR", required=True)
    parser.add_argument("--masks", type=Path, metavar="DIR", required=True)
    parser.add_argument("--count", type=int, default=24, help="styles")
    parser.add_argument("--defects", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--size", type=int, default=192, help="of contents, in pixels")
    parser.add_argument("--prune", type=float, default=0.5)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--pte", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "speed" / "edge.json")
    options = parser.parse_args(arguments)
    options.free = 0
    torch.set_num_threads(options.threads)
    pack = StylePack.load(options.pack)
    with tempfile.TemporaryDirectory() as place:
        contestants, sizes = make(options, pack, Path(place))
        rows = [
            {"contestant": n, "part": "bytes", "median": b, "q1": b, "q3": b}
            for n, b in sizes.items()
        ]
        exact = Path(place) / "pruned-0" / "restyle.onnx"
        share = share_of_convolutions(exact, options.threads)
        rows.append(
            {
                "contestant": "ONNX Runtime fp32",
                "part": "convolutions, % of the time",
                **quartiles([share]),
            }
        )
        rows += measure_speed(contestants, pack, options)
        rows += measure_quality(contestants, Subjects(options))
    for r in rows:
        bounds = f"{r['median']:12.2f} ({r['q1']:.2f} to {r['q3']:.2f})"
        print(f"{r['contestant']:30} {r['part']:22} {bounds}")
    meta = {
        "name": options.out.stem,
        "purpose": "What the exported network keeps, and how fast it runs.",
        **provenance("benchmarks.speed.edge", arguments, packages=("onnx", "onnxruntime")),
        "pack": {"name": options.pack, "id": pack.id},
        **{
            name: getattr(options, name)
            for name in ("count", "defects", "minutes", "prune", "rounds", "size", "threads")
        },
    }
    print(Rows(meta, rows).save(options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
