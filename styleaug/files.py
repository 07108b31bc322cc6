"""Writing files so that nothing half-written stays behind, and telling them by their content."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

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


def remove_leftovers(folder: Path, *, below: bool = True) -> None:
    """Delete what killed processes left half-written in ``folder``; never what one writes.

    Args:
        folder: that they wrote to; it need not exist.
        below: whether in its subfolders, too.
    """
    find = folder.rglob if below else folder.glob
    for leftover in find(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):  # locked by its writer, open on Windows, or not ours to delete
            if fcntl is not None:
                with leftover.open("r+b") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()


def reserve(path: Path) -> None:
    """Take the whole space of a file on its drive now, for one that is written through memory.

    Such a file is sparse: once the drive is full, a write to it would kill the process.

    Raises:
        OSError: if the drive has not as much space.
    """
    if not hasattr(os, "posix_fallocate"):  # macOS and Windows
        return
    try:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, error.strerror, str(path)) from error
        # else a file system that cannot reserve


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def lock(file: IO[bytes]) -> bool:
    """Take a file for this process until it is closed; False if another process has it.

    Where there are no locks, on Windows and some network drives, nobody has it.
    """
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
    return True
