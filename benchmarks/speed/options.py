"""What the commands that measure speed have in common: their options, and how they begin."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from benchmarks.speed.contestants import bundled, missing


def add_options(parser: argparse.ArgumentParser, out: str) -> None:
    """Device, threads, packs, and where the result goes."""
    parser.add_argument("--packs", nargs="+", default=bundled(), help="names, or files")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"default: results/speed/{out}")


def begin(options: argparse.Namespace) -> torch.device:
    """Take the threads and the seed; tell what is missing; the device."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    for line in missing():
        print(line)
    return torch.device(options.device)


def result_name(name: str, device: torch.device) -> str:
    """Results of a GPU have names of their own."""
    return name if device.type == "cpu" else f"{name}-gpu"
