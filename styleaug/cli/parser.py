"""The parser of all commands: what a value must be, and errors of one sentence."""

from __future__ import annotations

import argparse
import os
import re
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from styleaug.errors import did_you_mean


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one sentence, without a page of usage.

    Whatever the options say, texts and paths are never blank, and numbers are finite.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)  # a part of a name is no second name
        for kind, check in {None: text, str: text, Path: path, int: whole, float: number}.items():
            self.register("type", kind, check)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; what is unknown is an error, with the closest option."""
        namespace, rest = super().parse_known_args(args, namespace)
        if rest:
            near = did_you_mean(rest[0].partition("=")[0], self._option_string_actions)
            self.error(f"{rest[0]!r} is unknown.{near}")
        return namespace, rest

    def error(self, message: str) -> NoReturn:
        """Say it, and end with exit status 2."""
        lists = "options"
        if wrong := re.search(r"(.*): invalid choice: '(.*)' \(choose from (.*)\)", message):
            option, word, choices = wrong[1], wrong[2], re.findall(r"[\w-]+", wrong[3])
            message = f"{option} must be one of {', '.join(choices)}, but is {word!r}."
            if option == "argument COMMAND":
                message, lists = f"{word!r} is no command.", "commands"
            message += did_you_mean(word, choices)
        self.exit(2, f"{self.prog}: {message} ('{self.prog} --help' lists the {lists})\n")


def text(value: str) -> str:
    """A text that says something: that of an unset variable of a shell is blank."""
    if not value.strip():
        raise argparse.ArgumentTypeError("must not be blank")
    return value


def path(value: str) -> Path:
    """A path; a blank one would be the current folder."""
    if not value.strip() or "\0" in value:
        raise argparse.ArgumentTypeError(f"must be a path, but is {value!r}")
    return Path(value)


def new_file(value: str) -> Path:
    """A file that can be written."""
    return _writable(value, folder=False)


def new_folder(value: str) -> Path:
    """A folder that can be written to, or made."""
    return _writable(value, folder=True)


def _writable(value: str, *, folder: bool) -> Path:
    """A path that can be written, as far as can be seen before the work begins."""
    found = path(value)
    try:
        if not folder and (found.is_dir() or value.endswith("/")):
            raise argparse.ArgumentTypeError(f"must be a file, but {value!r} is a folder")
        there = found if folder else found.absolute().parent
        while not there.exists() and there != there.parent:
            there = there.absolute().parent
        if not there.is_dir():
            raise argparse.ArgumentTypeError(
                f"must {'be' if folder else 'lie in'} a folder, but {str(there)!r} is a file"
            )
    except OSError as error:  # a name that is too long
        raise argparse.ArgumentTypeError(f"must be a path that can be written ({error})") from error
    if not os.access(there, os.W_OK):
        raise argparse.ArgumentTypeError(f"must be where you may write, but is in {str(there)!r}")
    return found


def whole(value: str) -> int:
    """A whole number, of no more digits than anything has."""
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", value):
        raise argparse.ArgumentTypeError(
            f"must be a whole number of 9 digits at most, but is {value!r:.60}"
        )
    return int(value)


def number(value: str) -> float:
    """A finite number."""
    try:
        found = float(value)
    except ValueError:
        found = float("nan")
    if not isfinite(found):
        raise argparse.ArgumentTypeError(f"must be a finite number, but is {value!r:.60}")
    return found
