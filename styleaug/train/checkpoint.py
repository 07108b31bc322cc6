"""Checkpoints of a training run: written whole, finite, and read by a run of the same settings."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from styleaug.errors import StyleAugError, WeightsError
from styleaug.files import atomic_path
from styleaug.images.io import find_images
from styleaug.pack import StylePack
from styleaug.train.config import TrainConfig
from styleaug.train.styles import PROCEDURAL

_END = 1 << 18
"""Bytes at each end of a file that are looked at: of 10,000 files, in a few seconds."""


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint, atomically."""
    with atomic_path(path) as temporary:
        torch.save(dict(state), temporary)


def read_checkpoint(
    path: Path, settings: Mapping[str, Any], device: torch.device
) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote.

    Args:
        path: the file.
        settings: of this run, see :func:`fingerprint`; ``state["run"]`` must be the same.
        device: where its tensors go.

    Raises:
        WeightsError: if it is damaged, or of a run with other settings.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path} cannot be read ({error}); start afresh.") from error
    # checkpoints of earlier versions tell less
    changed = [k for k in settings if k in state["run"] and state["run"][k] != settings[k]]
    if changed:
        raise WeightsError(
            f"{path} must come from a run with the same settings, but {', '.join(changed)} differ. "
            "Repeat the command with its first settings, or start afresh without --resume."
        )
    return state


def check_weights(tensors: Iterable[Tensor], step: int, path: Path) -> None:
    """Raise if weights of a step are not finite, before they replace the checkpoint at ``path``.

    Raises:
        StyleAugError: if one is infinite or NaN.
    """
    if not all(bool(tensor.isfinite().all()) for tensor in tensors):
        raise StyleAugError(
            f"The weights must stay finite, but are not at step {step}. {advise_restart(path)}"
        )


def advise_restart(path: Path) -> str:
    """What to do once a run has diverged, whose last checkpoint is or would be at ``path``."""
    if path.is_file():
        return f"Resume from {path}, which is the last good state, or start afresh with a lower lr."
    return "There is no checkpoint yet: start afresh with a lower lr."


def fingerprint(config: TrainConfig, world: int) -> dict[str, Any]:
    """Settings, and the content of files, that must be the same for a run to go on exactly.

    Raises:
        ValueError: if a folder is missing or empty.
        WeightsError: if there is no pack to start from, or to imitate, where one is asked for.
    """
    free = {"out", "run_dir", "sources", "workers", "device", "resume"}
    free |= {"checkpoint_every", "sheet_every"}
    settings = {k: v for k, v in asdict(config).items() if k not in free}
    for name in ("content", "styles"):  # the same folders, however they are written
        entries = [entry.rpartition("=") for entry in settings[name]]
        settings[name] = [
            tag + sep + (f if f.startswith(PROCEDURAL) else str(Path(f).resolve()))
            for tag, sep, f in entries
        ]
        folders = [Path(f) for _, _, f in entries if not f.startswith(PROCEDURAL)]
        settings[f"{name}_files"] = _digest_folders(folders)
    for name in ("init", "teacher"):
        if settings[name]:
            settings[f"{name}_pack"] = StylePack.load(settings[name]).id
    settings |= {"world": world, "version": version("styleaug")}
    return dict(json.loads(json.dumps(settings)))


def _digest_folders(folders: Iterable[Path]) -> str:
    """Of names, sizes, and both ends of all image files: what is edited differs in one of them."""
    sha = hashlib.sha256()
    for folder in folders:
        for path in find_images(folder):
            sha.update(os.fsencode(path.relative_to(folder).as_posix()) + b"\0")
            try:
                with path.open("rb") as file:
                    size = file.seek(0, os.SEEK_END)
                    sha.update(f"{size}\0".encode())
                    for place in (0, max(_END, size - _END)):  # no byte twice
                        file.seek(place)
                        sha.update(file.read(_END))
            except OSError:
                sha.update(b"unreadable")
    return sha.hexdigest()
