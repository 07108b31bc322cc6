"""The command line: one module a command, imported when it is asked for."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from styleaug import __version__
from styleaug.cli.failures import TRACEBACK, explain
from styleaug.cli.parser import Parser

COMMANDS = {
    "presets": "list presets and when to take each, show one as code and JSON",
    "inspect": "how a folder of images is understood, and what is wrong with it",
    "preview": "contact sheet of what training will see",
    "studio": "local page for tuning a preset on your own parts",
    "stylize": "write changed copies of images and folders of images",
    "audit": "which settings keep which of your defects",
    "bench": "what it gains and costs on your own images",
    "adapt": "a trained network to unlabelled images of a new line",
    "packs": "list packs and their styles, show a card",
    "add-style": "make pictures, or a folder of your own line's pictures, styles of a pack",
    "export": "a pack as ONNX networks, for devices, browsers and other languages",
    "gatys": "restyle images by optimisation: slow, and for any style",
    "train": "train a style network and write its pack",
}
"""What each command does; its module has the same name, without the hyphen."""


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands; with the options of one of them."""
    parser = Parser(
        prog="styleaug",
        description="Style augmentation for defect detection: other materials, finishes, colours "
        "and lighting for training images, with labels kept true.",
        epilog="'styleaug COMMAND --help' tells more, with examples.",
    )
    parser.add_argument("--version", action="version", version=f"styleaug {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.type = _as_typed  # what follows is for the command's own parser
    for name, does in COMMANDS.items():
        if name == command:
            import_module(f"styleaug.cli.{name.replace('-', '')}").add_parser(commands)
        else:
            commands.add_parser(name, help=does)
    return parser


def _as_typed(word: str) -> str:
    return word


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0; 1 if images had to be skipped; 2 for an error that one sentence tells;
        70 for a fault of this program; 130 for an interruption.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    argv = sys.argv[1:] if argv is None else argv
    arguments = build_parser(argv[0] if argv else None).parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except BrokenPipeError:  # the reader, head for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("Interrupted; the same command continues where it stopped.", file=sys.stderr)
        return 130
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        status, told = explain(error)
        print(f"styleaug {arguments.command}: {told}", file=sys.stderr)
    return status
