"""``styleaug export``: a pack for devices without PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tqdm import tqdm

from styleaug.cli.options import add_command, add_fields
from styleaug.cli.outputs import check_outside
from styleaug.cli.parser import new_folder
from styleaug.export import ExportConfig, export_pack
from styleaug.pack import StylePack

EXAMPLES = """examples:
  styleaug export base --out edge/
  styleaug export base --out edge/ --int8 --calibrate parts/
  styleaug export mine.safetensors --out edge/ --fp16
  styleaug export base --out edge/ --prune 0.5 --int8 --calibrate parts/

Then, with NumPy and ONNX Runtime alone:
  from styleaug.edge import Restyler
  restyled = Restyler("edge/")(image, "rust", strength=0.7)

Every network is compared with PyTorch when it is made, and not written if it deviates.
"""

_FIELDS = {
    "fp16": "write networks of float16, too, for GPUs and phones",
    "int8": "write networks of 8 bits, too, a third of the size",
    "prune": "share of the channels to take out first, 0 to 0.9: smaller, quicker and less exact",
    "minutes": "minutes of fine-tuning after --prune, 0 or more",
    "pte": "write the network as an ExecuTorch program, too, for phones",
}


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = (
        "Write a pack as ONNX networks, for devices, browsers and other languages without PyTorch."
    )
    parser = add_command(commands, "export", run, does=does, examples=EXAMPLES)
    parser.add_argument(
        "pack", metavar="PACK", help="style pack: the name of a bundled one, or a file"
    )
    parser.add_argument(
        "--out",
        type=new_folder,
        required=True,
        metavar="DIR",
        help="folder to write: a new one, an empty one, or that of an earlier export",
    )
    add_fields(parser, ExportConfig, **_FIELDS)
    parser.add_argument(
        "--calibrate",
        nargs="+",
        type=Path,
        default=(),
        metavar="SRC",
        help="images like those that will be restyled, or folders of them, for --int8 and --prune "
        "(default: finishes that are drawn)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Export, and tell the size and the deviation of each file."""
    config = ExportConfig(
        out=arguments.out, calibrate=tuple(arguments.calibrate), **_given(arguments)
    )
    if arguments.calibrate and not (config.int8 or config.prune):
        raise ValueError("--calibrate has no effect without --int8 or --prune.")
    check_outside(arguments.out, arguments.calibrate, "--calibrate")
    with tqdm(total=_steps(config), desc="export", unit="step") as bar:

        def show(text: str) -> None:
            bar.set_postfix_str(text, refresh=True)
            bar.update()

        made = export_pack(StylePack.load(arguments.pack), config, show)
    for each in made:
        deviation = each.deviation
        told = (
            f"PSNR {deviation['psnr']:.0f} dB, largest difference {deviation['largest']:.2g}"
            if "psnr" in deviation
            else f"codes differ by {deviation['mean']:.2g} of their standard deviation"
        )
        print(f"{arguments.out / each.file}: {each.bytes / 1e6:.2f} MB; {told}")
    print(f"Run it: styleaug.edge.Restyler({str(arguments.out)!r})(image, style, strength=0.7)")
    return 0


def _steps(config: ExportConfig) -> int:
    return 2 * len(config.precisions) + config.pte + (config.prune > 0)


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in _FIELDS}
