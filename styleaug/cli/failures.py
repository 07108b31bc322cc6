"""Errors in one sentence, each with its exit status."""

from __future__ import annotations

import traceback

from styleaug.cli import TRACEBACK
from styleaug.cli.pipeline import LOADED
from styleaug.errors import StyleAugError
from styleaug.runtime import is_out_of_memory

_LONGEST = 600
_EXPECTED = (
    *(StyleAugError, ValueError, TypeError, OSError, ImportError),
    *(RuntimeError, ArithmeticError, MemoryError),  # what torch raises
)


def explain(error: Exception) -> tuple[int, str]:
    """The exit status of an error, and a sentence that tells it.

    Returns:
        2 for what a user can mend, 70 for what only this program can.
    """
    said = _sentence(error)
    if is_out_of_memory(error):
        return 2, f"out of memory: take smaller images, or fewer at a time ({said})"
    if place := _place_in_users_code(error):
        return 2, f"your code raised {type(error).__name__} in {place}: {said}"
    if isinstance(error, _EXPECTED):
        return 2, said
    return 70, (
        f"stopped by {type(error).__name__} ({said}), which is a fault of styleaug: please report "
        f"it, with what {TRACEBACK}=1 before the command prints."
    )


def _sentence(error: Exception) -> str:
    """What an error says, in a line; of one in a worker process, what it said there."""
    said = str(error).strip()
    if said.startswith("Caught ") and "Traceback (most recent call last)" in said:
        said = said.splitlines()[-1].partition(": ")[2]
    said = " ".join(said.split()) or type(error).__name__
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]} ..."


def _place_in_users_code(error: Exception) -> str | None:
    """File and line, if it was code of the user's that raised an error."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in LOADED]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else None
