"""Errors in one sentence, each with its exit status."""

from __future__ import annotations

import errno
import traceback

from styleaug.cli import TRACEBACK
from styleaug.cli.pipeline import LOADED
from styleaug.errors import StyleAugError
from styleaug.runtime import is_out_of_memory

_LONGEST = 1000
_FULL = "cannot be written, because the drive is full. Free some space, and run the command again."
_DENIED = "must be a place that you may read or write, but access is denied. Choose another one."
_SYSTEM = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: "cannot be written, because the drive is read-only. Choose another place.",
    errno.ENOENT: "must exist, but is not there. Check the path.",
    errno.EISDIR: "must be a file, but is a folder. Check the path.",
    errno.ENOTDIR: "must lie in a folder, but a part of its path is a file. Check the path.",
}
"""Errors of the operating system that a user can mend, by their number."""
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
    said = _of_the_system(error) or str(error).strip()
    if said.startswith("Caught ") and "Traceback (most recent call last)" in said:
        said = said.splitlines()[-1].partition(": ")[2]
    said = " ".join(said.split()) or type(error).__name__
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]} ..."


def _of_the_system(error: Exception) -> str | None:
    """What an error of the operating system means, and what to do; None if it tells that itself."""
    if not isinstance(error, OSError) or error.errno not in _SYSTEM:
        return None
    place = "The output" if error.filename is None else str(error.filename2 or error.filename)
    return f"{place} {_SYSTEM[error.errno]}"


def _place_in_users_code(error: Exception) -> str | None:
    """File and line, if it was code of the user's that raised an error."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in LOADED]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else None
