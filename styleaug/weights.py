"""Reading and writing weight files: safetensors, checked by a digest, written atomically."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from styleaug.errors import WeightsError
from styleaug.files import atomic_path
from styleaug.runtime import prepare_process


def bundled_dir() -> Path:
    """Folder of the bundled weights: inside a wheel, beside the package in a checkout.

    Raises:
        WeightsError: if neither exists.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "pretrained", package.parent / "pretrained"):
        if folder.is_dir():
            return folder
    raise WeightsError(
        f"The bundled weights must lie in {package / 'pretrained'}, but are not there; reinstall "
        "styleaug."
    )


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, independent of the order."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        sha.update(tensor.flatten().view(torch.uint8).numpy().data)
    return sha.hexdigest()


def save_safetensors(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write tensors and JSON-able ``metadata`` with a digest of the tensors, atomically.

    Raises:
        WeightsError: if a tensor holds NaN or infinite values.
    """
    from safetensors.torch import save_file

    _check_finite(str(path), tensors)
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"styleaug": json.dumps({**metadata, "sha256": digest(ready)})}
    with atomic_path(Path(path)) as temporary:
        save_file(ready, temporary, metadata=header)


def _check_finite(path: str, tensors: Mapping[str, Tensor]) -> None:
    bad = [n for n, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]
    if bad:
        raise WeightsError(
            f"{path} must hold finite weights, but {len(bad)} of its {len(tensors)} tensors hold "
            f"NaN or infinite values, such as {bad[0]}. Train it again, or copy it again."
        )


def load_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_safetensors` wrote, and check its digest.

    Raises:
        WeightsError: if the file is missing, damaged, holds NaN or infinite values, or was not
            written by styleaug.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"A weights file must exist at {path}, but there is none.")
    try:
        # some versions read by torch's own constructors, which heed the caller's default device
        with torch.device("cpu"), safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- not a mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} must be a complete safetensors file, but cannot be read ({error}); it is "
            "truncated or of another kind. Copy it again from its source."
        ) from error
    if "styleaug" not in header:
        raise WeightsError(
            f"{path} must be a file written by styleaug, but its header lacks the styleaug entry."
        )
    try:
        metadata: dict[str, Any] = json.loads(header["styleaug"])
        intact = digest(tensors) == metadata["sha256"]
    except (KeyError, TypeError, ValueError):
        intact = False
    if not intact:
        raise WeightsError(
            f"{path} is damaged: its tensors do not match the SHA-256 in its header. Copy it again."
        )
    prepare_process(torch.device("cpu"))  # a look at all values uses threads
    _check_finite(str(path), tensors)
    return tensors, metadata
