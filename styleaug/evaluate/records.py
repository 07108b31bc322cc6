"""What results say of where they come from: machine, versions, command."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch


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


def without_folders(argument: str) -> str:
    """``/x/y`` or ``NAME=/x/y`` without the folders of this machine; anything else as it is."""
    name, equals, path = argument.rpartition("=")
    return f"{name}{equals}{Path(path).name}" if Path(path).is_absolute() else argument


def command_line(module: str, arguments: Iterable[str]) -> str:
    """The command that a result comes from, as one would type it: ``python -m module ...``."""
    return shlex.join(["python", "-m", module, *map(without_folders, arguments)])


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
