"""``styleaug train``: image folders in, pack out."""

from __future__ import annotations

import argparse
import os
from dataclasses import fields
from pathlib import Path
from shlex import quote
from typing import Any

from tqdm import tqdm

from styleaug.cli.options import add_command, add_fields, add_options
from styleaug.cli.outputs import check_outside
from styleaug.cli.parser import new_file, new_folder
from styleaug.nn.stylenet import StyleNetConfig
from styleaug.train.config import PRECISIONS, TrainConfig
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

_RESUMES = "The same command with --resume continues from the last checkpoint."
_RECIPE = {
    "steps": "optimizer steps, 1 or more",
    "batch": "images per step and process, 1 to 4096",
    "crop": "side of the content crops in pixels, 32 to 4096",
    "views": "pictures made of each style, 1 to 1024: itself, then crops of it in other colours",
    "holdout": "share of the styles that is never trained on, 0 to 0.9, by a hash of their names",
    "lr": "peak learning rate, above 0",
    "warmup": "steps of linear warm-up, 0 or more",
    "ema": "decay of the averaged weights, which the pack gets, 0 to 0.99999",
    "noise": "noise on the encoder's input, in standard deviations, 0 or more",
    "style_weight": "weight of the style distance, 0 or more: more is stronger",
    "tonal_weight": "weight of coarse light and dark, 0 or more: more keeps areas as light as they "
    "were",
    "defect_weight": "weight of the contrast that synthetic defects lose, 0 or more: more is safer",
    "hallucination_weight": "weight of texture that appears on smooth surfaces, 0 or more: more is "
    "smoother",
    "tv_weight": "weight of total variation, 0 or more: more is smoother",
    "teacher_weight": "weight of the difference from the outputs of --teacher, 0 or more",
    "workers": "processes that load images, 0 to 256",
    "precision": f"number format: {' or '.join(PRECISIONS)}; auto takes bf16 where the hardware "
    "computes in it",
    "checkpoint_every": "steps between checkpoints, 1 or more",
    "sheet_every": "steps between contact sheets, 1 or more",
}
_NETWORK = {
    "stem": "channels at half resolution, 1 to 4096",
    "width": "channels at quarter resolution, where most of the work is done, 4 to 4096",
    "blocks": "residual blocks at quarter resolution, 0 to 256",
    "embedding": "size of the style embedding, 1 to 4096",
}


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = (
        "Train one network on many styles, and write it as a pack. Images that cannot be read are "
        "reported and skipped."
    )
    parser = add_command(commands, "train", run, does=does, examples=EXAMPLES, resumes=_RESUMES)
    parser.add_argument(
        "--content",
        nargs="+",
        required=True,
        metavar="DIR",
        help="folders of content images: photos, and parts like those that will be restyled",
    )
    parser.add_argument(
        "--styles",
        nargs="+",
        required=True,
        metavar="[TAG=]DIR",
        help="folders of style images, with the tag that their styles get (the folder's name if "
        "none is given); procedural:N stands for N finishes of each procedural family",
    )
    parser.add_argument(
        "--sources",
        nargs="+",
        default=(),
        metavar="TAG=TEXT",
        help="source and licence of the styles of a tag, which the pack keeps (default: none)",
    )
    parser.add_argument(
        "--init",
        metavar="PACK",
        help="pack whose weights to start from: a file or a bundled name (default: random weights)",
    )
    parser.add_argument(
        "--teacher",
        metavar="PACK",
        help="pack whose outputs to imitate, beside all else: a file or a bundled name (default: "
        "none)",
    )
    parser.add_argument(
        "--out",
        type=new_file,
        required=True,
        metavar="PACK",
        help="pack to write, a .safetensors file",
    )
    parser.add_argument(
        "--run-dir",
        type=new_folder,
        metavar="DIR",
        help="folder for checkpoints, contact sheets and losses (default: beside the pack)",
    )
    add_fields(
        parser,
        TrainConfig,
        resume="continue from the last checkpoint of the run's folder, if there is one",
    )
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
    with tqdm(
        total=config.steps, unit="step", disable=int(os.environ.get("RANK", "0")) > 0 or None
    ) as bar:

        def show(progress: Progress) -> None:
            bar.update(progress.step - bar.n)
            bar.set_postfix({k: f"{v:.3f}" for k, v in progress.losses.items()}, refresh=False)

        train(config, show)
    if int(os.environ.get("RANK", "0")) == 0:
        print(f"{config.out}; contact sheets and losses in {config.folder}")
        print(f"Look at it: styleaug preview IMAGES --pack {quote(str(config.out))}")
    return 0
