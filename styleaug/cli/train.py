"""``styleaug train``: image folders in, pack out."""

from __future__ import annotations

import argparse
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from styleaug.cli.options import add_command, add_fields, add_options
from styleaug.cli.outputs import check_outside
from styleaug.cli.parser import new_file, new_folder
from styleaug.nn.stylenet import StyleNetConfig
from styleaug.train.config import TrainConfig
from styleaug.train.loop import Progress, train

EXAMPLES = """examples:
  styleaug train --content photos/ my_parts/ --styles textures/ paintings/ --out mine.safetensors
  styleaug train ... --steps 200                       a trial of a few minutes on two CPU cores
  styleaug train ... --resume                          goes on after an interruption
  styleaug train ... --init base --steps 1000          goes on from the bundled network
  styleaug train ... --styles procedural:20            20 procedural finishes of each family
  torchrun --nproc-per-node 4 --no-python styleaug train ...       several GPUs

Then: Restyle(pack="mine.safetensors"). The run's folder (mine.run/) holds contact sheets,
losses (log.jsonl), the checkpoint, and the style targets, which may be deleted when all is done.
"""

_RECIPE = {
    "steps": "optimizer steps",
    "batch": "images a step and process",
    "crop": "side of the content crops, in pixels",
    "views": "pictures made of each style: itself, then crops of it in other colours",
    "holdout": "share of the styles, by a hash of their names, that is never trained on",
    "lr": "peak learning rate",
    "warmup": "steps of linear warm-up",
    "ema": "decay of the averaged weights, which the pack gets",
    "noise": "noise on the encoder's input, in standard deviations",
    "style_weight": "weight of the style distance: more is stronger",
    "tonal_weight": "weight of coarse light and dark: more keeps areas as light as they were",
    "defect_weight": "weight of the contrast that synthetic defects lose: more is safer",
    "hallucination_weight": "weight of texture that appears on smooth surfaces: more is smoother",
    "tv_weight": "weight of total variation: more is smoother",
    "teacher_weight": "weight of the difference from the teacher's outputs",
    "workers": "loader processes",
    "precision": "auto, bf16 or fp32",
    "checkpoint_every": "steps between checkpoints",
    "sheet_every": "steps between contact sheets",
}
_NETWORK = {
    "stem": "channels at half resolution",
    "width": "channels at quarter resolution, where most of the work is done",
    "blocks": "residual blocks there",
    "embedding": "size of the style embedding",
}


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = "Train one network on many styles. Unreadable images are reported and skipped."
    parser = add_command(commands, "train", run, does=does, examples=EXAMPLES)
    parser.add_argument(
        "--content",
        nargs="+",
        required=True,
        metavar="DIR",
        help="content images: photos and parts",
    )
    parser.add_argument(
        "--styles",
        nargs="+",
        required=True,
        metavar="[TAG=]DIR",
        help="style images; the tag is the folder's name if not given; procedural:N for N finishes "
        "of each procedural family",
    )
    parser.add_argument(
        "--sources",
        nargs="+",
        default=(),
        metavar="TAG=TEXT",
        help="where a tag's styles come from, and their licence; kept in the pack",
    )
    parser.add_argument(
        "--init", metavar="PACK", help="start from this pack's weights (a file or a bundled name)"
    )
    parser.add_argument(
        "--teacher",
        metavar="PACK",
        help="imitate this pack's outputs (a file or a bundled name), beside all else",
    )
    parser.add_argument(
        "--out", type=new_file, required=True, metavar="PACK", help=".safetensors file"
    )
    parser.add_argument("--run-dir", type=new_folder, metavar="DIR", help="(default: beside PACK)")
    add_fields(parser, TrainConfig, resume="continue from the last checkpoint, if there is one")
    group = parser.add_argument_group("recipe")
    add_fields(group, TrainConfig, **_RECIPE)
    add_options(group, "device", "seed")
    add_fields(parser.add_argument_group("network"), StyleNetConfig, **_NETWORK)


def run(arguments: argparse.Namespace) -> int:
    """Train, with a progress bar on the first process."""
    if arguments.out.suffix != ".safetensors":
        raise ValueError(f"--out must end in .safetensors, but got {arguments.out}.")
    folders = [entry.rpartition("=")[2] for entry in (*arguments.content, *arguments.styles)]
    check_outside(arguments.run_dir or arguments.out, map(Path, folders), "--content and --styles")
    given = {**vars(arguments), "device": str(arguments.device)}
    names = {field.name for field in fields(TrainConfig)} - {"net", "content", "styles", "sources"}
    net = StyleNetConfig(**{name: given[name] for name in _NETWORK})
    config = TrainConfig(
        content=tuple(arguments.content),
        styles=tuple(arguments.styles),
        sources=tuple(arguments.sources),
        net=net,
        **{name: given[name] for name in names if name in given},
    )
    with tqdm(total=config.steps, unit="step", disable=int(os.environ.get("RANK", "0")) > 0) as bar:

        def show(progress: Progress) -> None:
            bar.update(progress.step - bar.n)
            bar.set_postfix({k: f"{v:.3f}" for k, v in progress.losses.items()}, refresh=False)

        train(config, show)
    if int(os.environ.get("RANK", "0")) == 0:
        print(f"{config.out}; contact sheets and losses in {config.folder}")
    return 0
