"""``JsonLines``: a log of what each image got."""

from __future__ import annotations

import json
import os
from pathlib import Path

from styleaug.augment.plan import Plan
from styleaug.images.checks import check_path


class JsonLines:
    """A callback for :class:`~styleaug.StyleAugment` that appends one JSON line per image.

    Workers and ranks may share a file: the lines of a plan are one write, so they do not mix.

    Args:
        path: path of the file, in an existing folder.

    Raises:
        ValueError: if the folder does not exist, or the path is a folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_path("log", path)
        if not self.path.absolute().parent.is_dir() or self.path.is_dir():
            raise ValueError(f"A log must be a file in a folder that exists, but is {str(path)!r}.")

    def __call__(self, plan: Plan) -> None:
        """Write what a plan does."""
        lines = [{"process": os.getpid(), **plan.describe(row)} for row in range(plan.count)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        with self.path.open("ab", buffering=0) as out:
            out.write(text.encode())

    def __repr__(self) -> str:
        return f"JsonLines({str(self.path)!r})"
