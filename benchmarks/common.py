"""What every benchmark shares: machine and versions, atomic writing, timing, medians."""

from __future__ import annotations

import json
import os
import platform
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from styleaug.files import atomic_path


def machine_record(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Describe the machine in words that make two records comparable, without naming the host."""
    device = torch.device(device)
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": usable_cores(),
        "torch_threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "python": platform.python_version(),
    }


def usable_cores() -> int:
    """Count the cores that this process may use, which containers set below the machine's count."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each distribution, or "not installed"."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def shown(argument: str) -> str:
    """A path without the folders of this machine, and anything else as it is."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def command_line(script: str, arguments: Iterable[str]) -> str:
    """The command that a result comes from, as one would type it."""
    return shlex.join(["python", f"benchmarks/{script}", *map(shown, arguments)])


def write_atomically(path: Path, save: Callable[[Path], object]) -> Path:
    """Let ``save`` write a temporary file beside ``path``, which it replaces if all goes well."""
    with atomic_path(path) as temporary:
        save(temporary)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write UTF-8 text atomically."""
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, data: object) -> Path:
    """Write indented JSON atomically; NaN and infinities are refused, since JSON has none."""
    return write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def median_iqr(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, first and third quartile."""
    low, middle, high = np.percentile(np.asarray(values, dtype=float), [25, 50, 75])
    return float(middle), float(low), float(high)


@dataclass
class PhaseTimer:
    """Wall and CPU seconds of named phases; time of a phase that is entered again adds up.

    CPU seconds cover finished child processes too: they are what to compare on a busy machine.
    """

    phases: dict[str, dict[str, float]] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time the body of a ``with`` block under ``name``."""
        wall, cpu = time.perf_counter(), _cpu_seconds()
        try:
            yield
        finally:
            entry = self.phases.setdefault(name, {"wall_s": 0.0, "cpu_s": 0.0})
            entry["wall_s"] += time.perf_counter() - wall
            entry["cpu_s"] += _cpu_seconds() - cpu

    def total(self, key: str = "wall_s") -> float:
        """Sum one column over all phases."""
        return sum(entry[key] for entry in self.phases.values())


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
