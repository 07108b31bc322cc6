"""Options that several commands share; defaults are read from the library."""

from __future__ import annotations

import argparse
from typing import Any

import torch

from styleaug.transform import DEFAULTS


def add_style_options(parser: argparse.ArgumentParser) -> None:
    """``--pack --style --reference --working-size --device --seed``."""
    group = parser.add_argument_group("styles")
    add_pack_option(group)
    group.add_argument(
        "--style",
        nargs="+",
        metavar="NAME",
        default=[],
        help="tags or names of styles to draw from; 'styleaug packs' lists them (default: all)",
    )
    group.add_argument(
        "--reference",
        nargs="+",
        metavar="IMAGE",
        default=[],
        help="pictures, or folders of pictures, whose style to take; no training needed",
    )
    group = parser.add_argument_group("running")
    group.add_argument(
        "--working-size",
        type=int,
        default=DEFAULTS["working_size"],
        metavar="PIXELS",
        help="above this short side the network runs on a smaller copy (default: %(default)s)",
    )
    add_device_option(group)
    add_seed_option(group)


def add_pack_option(parser: argparse._ActionsContainer) -> None:
    """``--pack``."""
    parser.add_argument(
        "--pack",
        default=DEFAULTS["pack"],
        help="name of a bundled pack, or path of a pack file (default: %(default)s)",
    )


def add_device_option(parser: argparse._ActionsContainer) -> None:
    """``--device``."""
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="where to compute (default here: %(default)s)",
    )


def add_seed_option(parser: argparse._ActionsContainer) -> None:
    """``--seed``."""
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default: %(default)s)")


def add_range(parser: argparse._ArgumentGroup, name: str, help_text: str) -> None:
    """``--NAME X`` or ``--NAME LO HI``."""
    value = DEFAULTS[name]
    shown = " ".join(f"{v:g}" for v in value)
    parser.add_argument(
        f"--{name}",
        type=float,
        nargs="+",
        default=value,
        metavar="X",
        help=f"{help_text}; one number, or LO HI to draw from (default: {shown})",
    )


def as_range(values: Any) -> Any:
    """``[x]`` -> x; ``[lo, hi]`` -> (lo, hi); the library checks the rest."""
    return values[0] if len(values) == 1 else tuple(values)


def chosen_styles(arguments: argparse.Namespace) -> list[str]:
    """What ``--style`` and ``--reference`` ask for together."""
    return [*arguments.style, *arguments.reference] or ["all"]
