"""What the machine does at most: multiply-adds and bytes a second, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.speed.timing import time_in_turn
from styleaug.runtime import inference_dtype

SIDE = {"cpu": 1536, "cuda": 8192}
"""Of the matrices whose product tells the machine's arithmetic."""
MIB = 2**20
COPIES = {"memory": 256 * MIB, "cache": 4 * MIB}
"""Bytes of the copies that tell how fast the main memory is, and the caches."""


def limits(device: torch.device, *, scale: float = 1.0) -> dict[str, float | None]:
    """What this machine does at most, in billions a second.

    Args:
        device: the machine.
        scale: of what it is tried on.

    Returns:
        Multiply-adds of ``float32``, ``half`` and ``int8``, None where torch has none here; bytes
        to and from ``memory``, and to and from ``cache``.
    """
    side = max(16, int(scale * SIDE[device.type]))
    found: dict[str, float | None] = {
        "float32": _products(torch.float32, side, device),
        "half": _products(half_dtype(device), side, device),
    }
    whole = torch.ones(side, side, dtype=torch.int8, device=device)
    try:
        found["int8"] = rate(side**3, lambda: torch._int_mm(whole, whole.T), device)
    except RuntimeError:
        found["int8"] = None
    for name, size in COPIES.items():
        source = torch.ones(max(1, int(scale * size)), dtype=torch.int8, device=device)
        found[name] = rate(2 * len(source), partial(torch.empty_like(source).copy_, source), device)
    return found


def half_dtype(device: torch.device) -> torch.dtype:
    """The half precision that networks run in here, or would."""
    dtype = inference_dtype(device)
    return torch.bfloat16 if dtype == torch.float32 else dtype


def rate(amount: float, call: Callable[[], object], device: torch.device) -> float:
    """Billions a second, in the quickest of ten runs."""
    seconds = time_in_turn({"": call}, rounds=10, device=device, silent=True)[""]
    return amount / min(seconds) / 1e9


def _products(dtype: torch.dtype, side: int, device: torch.device) -> float:
    """The better of a matrix product and a 3 x 3 convolution of 128 channels."""
    square = torch.ones(side, side, dtype=dtype, device=device)
    x = torch.ones(8, 128, side // 16, side // 16, dtype=dtype, device=device)
    weight = torch.ones(128, 128, 3, 3, dtype=dtype, device=device)
    x, weight = (t.contiguous(memory_format=torch.channels_last) for t in (x, weight))
    with torch.no_grad():
        return max(
            rate(side**3, lambda: square @ square, device),
            rate(x.numel() * 128 * 9, lambda: F.conv2d(x, weight, padding=1), device),
        )


def floor(row: Mapping[str, Any], measured: Mapping[str, float | None]) -> float:
    """Seconds that what a row counts takes at least, at the rates of :func:`limits`."""
    macs = {name: row[f"macs {name}"] for name in ("float32", "half", "int8")}
    arithmetic = sum(macs[name] / (measured[name] or 1) for name in macs if macs[name])
    moved = row["bytes"] / max(measured["memory"] or 0, measured["cache"] or 0)
    return float(max(arithmetic, moved)) / 1e9
