"""Checkpoints of a training run: written whole, finite, and read by a run of the same settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from styleaug.errors import StyleAugError, WeightsError
from styleaug.files import atomic_path
from styleaug.train.config import TrainConfig
from styleaug.train.styles import PROCEDURAL


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
        ValueError: if there is none.
        WeightsError: if it is damaged, or of a run with other settings.
    """
    if not path.is_file():
        raise ValueError(
            f"resume needs a checkpoint at {path}, but there is none. Run without --resume first."
        )
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path} cannot be read ({error}); start afresh.") from error
    if state["run"] != settings:
        changed = [k for k in settings if state["run"].get(k) != settings[k]]
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
    """Settings that must be the same for a run to be continued exactly."""
    free = {"out", "run_dir", "sources", "workers", "device", "resume"}
    free |= {"checkpoint_every", "sheet_every"}
    settings = {k: v for k, v in asdict(config).items() if k not in free}
    for name in ("content", "styles"):  # the same folders, however they are written
        entries = [entry.rpartition("=") for entry in settings[name]]
        settings[name] = [
            tag + sep + (f if f.startswith(PROCEDURAL) else str(Path(f).resolve()))
            for tag, sep, f in entries
        ]
    return {**json.loads(json.dumps(settings)), "world": world}
