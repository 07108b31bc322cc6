"""Writing files so that nothing half-written stays behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be deleted anyway
    fcntl = None  # type: ignore[assignment]

_PREFIX, _SUFFIX = ".styleaug-", ".part"
"""Of temporary files: hidden, of no format that a loader reads, and short beside a long name."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, which it replaces if all goes well.

    Its suffix is not that of ``path``: say the format to what would take it from there. A process
    that is killed leaves it behind; :func:`remove_leftovers` finds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=path.parent)
    temporary = Path(name)
    try:
        if fcntl is None:
            os.close(handle)
            handle = -1
        else:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield temporary
        temporary.chmod(0o644)  # mkstemp makes files private
        temporary.replace(path)
    finally:
        if handle >= 0:
            os.close(handle)
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete what killed processes left half-written below ``folder``; never what one writes."""
    for leftover in folder.rglob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):  # locked by its writer, open on Windows, or not ours to delete
            if fcntl is not None:
                with leftover.open("r+b") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()
