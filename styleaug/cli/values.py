"""What the value of an option must be: types that need the library."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from styleaug.cli.parser import new_file
from styleaug.images.checks import check_bits
from styleaug.images.io import SUFFIXES
from styleaug.runtime import choose_device

_PROCESSES = 256
MOST = 10_000
"""Draws of an image, or pixels of a side, that memory holds."""


def count(text: str) -> int:
    """A whole number of at least 1, as an option's type."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 1 to {10**9 - 1}, but is {text!r:.60}"
        )
    return int(text)


def few(text: str) -> int:
    """A whole number of what is held in memory all at once, as an option's type."""
    if count(text) > MOST:
        raise argparse.ArgumentTypeError(f"must be at most {MOST}, but is {text}")
    return int(text)


def processes(text: str) -> int:
    """A number of further processes, as an option's type."""
    if text != "0" and count(text) > _PROCESSES:
        raise argparse.ArgumentTypeError(f"must be from 0 to {_PROCESSES}, but is {text}")
    return int(text)


def sheet(text: str) -> Path:
    """An image file that can be written, as an option's type."""
    found = new_file(text)
    if found.suffix.lower() not in SUFFIXES:
        raise argparse.ArgumentTypeError(
            f"must end in .png, .jpg or another of {', '.join(sorted(SUFFIXES))}, but is {text!r}"
        )
    return found


def bits(text: str) -> int:
    """Bits of 16-bit images, as an option's type."""
    try:
        check_bits(int(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 9 to 16, but is {text!r:.60}"
        ) from error
    return int(text)


def seed(text: str) -> int:
    """A number that all generators take, as an option's type."""
    digits = text.isascii() and text.isdecimal() and len(text) < 20
    if not digits or int(text) >= 2**32:  # numpy takes 32 bits
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 0 to {2**32 - 1}, but is {text!r:.60}"
        )
    return int(text)


def device(text: str) -> torch.device:
    """A device that is there, as an option's type."""
    try:
        found = choose_device(text)
        if found.type == "meta":
            raise RuntimeError("it computes nothing")
        torch.empty(0, device=found)
    except Exception as error:  # each kind of device has its own
        raise argparse.ArgumentTypeError(
            f"must be auto, cpu, cuda or another device that is here, but is {text!r}"
        ) from error
    return found
