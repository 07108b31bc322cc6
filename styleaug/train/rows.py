"""``RowsFitted``: the rows of styles that a run has fitted so far, kept in its folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from styleaug.train.checkpoint import save_checkpoint
from styleaug.weights import digest

_EVERY = 60.0
"""Seconds between two files."""


class RowsFitted:
    """Rows by group of styles; what an interrupted run has fitted is found again.

    Args:
        path: of the file.
        of: the weights of the network, and the rows to begin with: a file for others is ignored.
    """

    def __init__(self, path: Path, of: tuple[Mapping[str, Tensor], Tensor]) -> None:
        weights, start = of
        self._path, self._saved = path, time.monotonic()
        self._key = digest({**weights, "start": start})
        self.done: dict[int, Tensor] = {}
        with suppress(Exception):  # there is none, or it is damaged
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["key"] == self._key:
                self.done = state["done"]

    def save(self, *, force: bool = False) -> None:
        """Write the file, if the last one is a minute old."""
        if force or time.monotonic() - self._saved > _EVERY:
            save_checkpoint(self._path, {"key": self._key, "done": self.done})
            self._saved = time.monotonic()
