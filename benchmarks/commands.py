"""How long ``styleaug audit`` and ``styleaug bench --quick`` take on a folder of labelled images.

    python benchmarks/commands.py --bench DIR --audit DIR --images 300

Of each folder as many images as asked for are copied, with their masks and evenly over the sorted
names, and the commands run on the copies as a user would run them: the bench of classes on one, the
audit and the bench of masks on the other. The result holds their times and the last lines that they
print.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import machine_record, package_versions, usable_cores, write_json
from styleaug.datasets import read_defects

RESULT = Path(__file__).parent / "results" / "commands.json"
_LINES = 30


def copy_some(folder: Path, count: int, out: Path) -> int:
    """Copy ``count`` images, their masks and their boxes, in the folders that they lie in."""
    samples = read_defects(folder).samples
    chosen = [samples[k * len(samples) // count] for k in range(min(count, len(samples)))]
    for sample in chosen:
        files = [sample.path, sample.mask, sample.path.with_suffix(".txt")]
        for file in files:
            if file is not None and file.is_file():
                target = out / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target)
    return len(chosen)


def timed(command: list[str]) -> dict[str, Any]:
    """Run ``styleaug COMMAND``; its seconds and its last lines.

    Raises:
        SystemExit: if it fails.
    """
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "styleaug", *command], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"styleaug {' '.join(command)} failed:\n{done.stderr}")
    printed = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    return {"seconds": time.perf_counter() - start, "printed": printed[-_LINES:]}


def main() -> None:
    """Run them, print and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bench", type=Path, metavar="DIR", required=True)
    parser.add_argument("--audit", type=Path, metavar="DIR", required=True)
    parser.add_argument("--images", type=int, default=300, metavar="N")
    options = parser.parse_args()
    quick = ["--quick", "--workers", str(usable_cores())]
    runs: dict[str, tuple[Path, list[str]]] = {
        "audit": (options.audit, []),
        "bench": (options.bench, quick),
        "bench of masks": (options.audit, ["--task", "segmentation", *quick]),
    }
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for name, (folder, extra) in runs.items():
            data, out = Path(place, name, folder.name), Path(place, f"{name}-out")
            count = copy_some(folder, options.images, data)
            command = [name.split()[0], "--data", str(data), "--out", str(out), *extra]
            shown = ["styleaug", command[0], "--data", folder.name, *extra]
            found[name] = {"command": " ".join(shown), "images": count, **timed(command)}
            lines = found[name]["printed"]
            found[name]["printed"] = [line.replace(f"{place}/", "") for line in lines]
            print(f"{name}: {count} images, {found[name]['seconds']:.0f} s")
            print("\n".join(found[name]["printed"]))
    versions = package_versions(("styleaug", "torch", "torchvision", "timm"))
    write_json(RESULT, {**found, "machine": machine_record(), "versions": versions})
    print(RESULT)


if __name__ == "__main__":
    main()
