"""The command line: one module a command."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from styleaug import __version__
from styleaug.cli import addstyle, audit, bench, gatys, packs, preview, stylize, train
from styleaug.errors import StyleAugError

COMMANDS = (stylize, gatys, addstyle, preview, audit, bench, packs, train)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="styleaug",
        description="Style augmentation for defect detection: other materials, finishes, colours "
        "and lights for training images, with labels kept true.",
        epilog="'styleaug COMMAND --help' tells more, with examples.",
    )
    parser.add_argument("--version", action="version", version=f"styleaug {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0, 1 for an error that one sentence tells, 130 for an interruption.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    arguments = build_parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except BrokenPipeError:  # the reader, head for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (StyleAugError, ValueError, TypeError, OSError) as error:
        print(f"styleaug {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the same command continues where it stopped.", file=sys.stderr)
        return 130
    return status
