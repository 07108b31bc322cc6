"""The command line: one module a command, imported when it is asked for."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module

from styleaug import __version__
from styleaug.cli.parser import Parser

GROUPS = {
    "Look at your images, and at presets": {
        "inspect": "check how a folder of images is read, and what is wrong with it",
        "preview": "draw a contact sheet of what training will see",
        "studio": "tune a preset on your own parts, on a local web page",
        "presets": "list the presets and when to take each; show one as code",
    },
    "Measure on your labelled images": {
        "audit": "measure which settings keep which of your defects",
        "bench": "measure what augmentation gains and costs in training",
    },
    "Write augmented copies": {
        "stylize": "restyle images, films and 3D models",
        "gatys": "restyle images by optimization: slow, and for any style",
    },
    "Choose and make styles": {
        "packs": "list the style packs; show the card and the styles of one",
        "add-style": "add your own pictures to a pack as styles",
        "train": "train a pack on images and styles of your own",
    },
    "Adapt and deploy models": {
        "adapt": "adapt a trained model to unlabelled images of a new line",
        "export": "write a pack as ONNX networks, which run without PyTorch",
    },
}
"""What each command does, by task; its module has the same name, without the hyphen."""
COMMANDS = {name: does for group in GROUPS.values() for name, does in group.items()}

TRACEBACK = "STYLEAUG_TRACEBACK"
"""A variable of the environment; where it is set, errors are not caught."""


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands; with the options of one of them."""
    parser = Parser(
        prog="styleaug",
        usage="styleaug COMMAND ...",
        description=_overview(),
        epilog="Start with 'styleaug inspect DIR'. 'styleaug COMMAND --help' lists the options\n"
        "of a command, with examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"styleaug {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", prog="styleaug", help=argparse.SUPPRESS
    )
    commands.type = _as_typed  # what follows is for the command's own parser
    for name in COMMANDS:
        if name == command:
            import_module(f"styleaug.cli.{name.replace('-', '')}").add_parser(commands)
        else:
            commands.add_parser(name)
    return parser


def _overview() -> str:
    """What the program is for, and its commands by task."""
    lines = [
        "Style augmentation for defect detection: training images under other materials,",
        "finishes, colours, lighting and sensors; labels, boxes and masks stay true.",
    ]
    width = max(map(len, COMMANDS))
    for task, commands in GROUPS.items():
        lines += ["", f"{task}:", *(f"  {name:{width}}  {commands[name]}" for name in commands)]
    return "\n".join(lines)


def _as_typed(word: str) -> str:
    return word


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0; 1 if images had to be skipped; 2 for an error that one sentence tells,
        or without a command; 70 for a fault of this program; 130 for an interruption.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    if not sys.stderr.isatty():  # tqdm reads it when it is imported
        os.environ.setdefault("TQDM_DISABLE", "1")
    argv = sys.argv[1:] if argv is None else argv
    arguments = argparse.Namespace(resumes="")
    try:
        try:
            parser = build_parser(argv[0] if argv else None)
            parser.parse_args(argv, arguments)
            if arguments.command is None:
                parser.print_help(sys.stderr)
                return 2
            with _plain_warnings():
                status: int = arguments.run(arguments)
        finally:
            sys.stdout.flush()  # so that a full disk or a closed pipe is noticed here
    except BrokenPipeError:  # the reader, head for one, has seen enough
        _drop_output()
        return 0
    except KeyboardInterrupt:
        print(f"Interrupted. {arguments.resumes}".rstrip(), file=sys.stderr)
        return 130
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        from styleaug.cli.failures import explain  # it needs torch, and the list of commands not

        status, told = explain(error)
        print(f"{' '.join(['styleaug', *argv[:1]])}: {told}", file=sys.stderr)
        _drop_output()
    return status


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Tell warnings as sentences, without the line of code that they come from."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"WARNING: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def _drop_output() -> None:
    """Drop what could not be written, or Python tries again when it ends."""
    with suppress(OSError, ValueError):  # no file: a notebook, or a test
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
