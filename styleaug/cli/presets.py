"""``styleaug presets``: which presets there are, and what each of them does."""

from __future__ import annotations

import argparse
import json
from typing import Any

from styleaug.augment.edit import as_code
from styleaug.augment.presets import LOOKS, PRESETS, preset
from styleaug.augment.transform import StyleAugment
from styleaug.cli.options import add_command

EXAMPLES = """examples:
  styleaug presets               all presets, and when to take each
  styleaug presets masks         its stages as code, to be changed, and as JSON
  styleaug preview parts/ --preset masks       what training will see under it
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = "List the presets of StyleAugment and when to take each, or show one as code and JSON."
    parser = add_command(commands, "presets", run, does=does, examples=EXAMPLES)
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="preset to show (default: list all)"
    )


def run(arguments: argparse.Namespace) -> int:
    """List presets, or show one."""
    if arguments.name is None:
        width = max(map(len, (*PRESETS, *LOOKS)))
        for name, when in PRESETS.items():
            print(f"{name:{width}}  {when}")
        print("\nLooks, for 'styleaug stylize', not for training:")
        for name, when in LOOKS.items():
            print(f"{name:{width}}  {when}")
        return 0
    chosen = preset(arguments.name)
    augment = StyleAugment(list(chosen.stages), p=chosen.p, schedule=chosen.schedule)
    print(f"{chosen.name}: {chosen.when}\n\nStyleAugment({chosen.name!r}) stands for\n")
    print(f"{as_code(augment)}\n\nand, for StyleAugment.from_dict and the integrations, for\n")
    print(json.dumps(augment.to_dict()))
    return 0
