"""How long ``styleaug audit`` and ``styleaug bench --quick`` take on a folder of labelled images.

    python -m benchmarks.speed.commands --bench DIR --audit DIR --images 300

Of each folder as many images as asked for are copied, with their masks and evenly over the sorted
names, and the commands run on the copies as a user would run them: the bench of classes on one, the
audit and the bench of masks on the other. What they print is shown; the result holds their times.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rows import RESULTS, Rows, parser_of, provenance
from styleaug.datasets import read_defects
from styleaug.evaluate.records import usable_cores

RESULT = RESULTS / "speed" / "commands.json"


def copy_some(folder: Path, count: int, out: Path) -> int:
    """Copy ``count`` images, their masks and their boxes, in the folders that they lie in."""
    samples = read_defects(folder).samples
    chosen = [samples[k * len(samples) // count] for k in range(min(count, len(samples)))]
    for sample in chosen:
        for file in (*sample.files, sample.path.with_suffix(".txt")):
            if file.is_file():
                target = out / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target)
    return len(chosen)


def time_command(command: Sequence[str]) -> tuple[float, str]:
    """Run ``styleaug COMMAND``; its seconds and what it prints."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "styleaug", *command], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"styleaug {' '.join(command)} failed:\n{done.stderr}")
    return time.perf_counter() - start, done.stdout


def main(arguments: Sequence[str]) -> None:
    """Run them, print and write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--bench", type=Path, metavar="DIR", required=True)
    parser.add_argument("--audit", type=Path, metavar="DIR", required=True)
    parser.add_argument("--images", type=int, default=300, metavar="N")
    options = parser.parse_args(arguments)
    quick = ["--quick", "--workers", str(usable_cores())]
    runs = {
        "audit": (options.audit, []),
        "bench": (options.bench, quick),
        "bench of masks": (options.audit, ["--task", "segmentation", *quick]),
    }
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for name, (folder, extra) in runs.items():
            data, out = Path(place, name, folder.name), Path(place, f"{name}-out")
            count = copy_some(folder, options.images, data)
            command = [name.split()[0], "--data"]
            seconds, printed = time_command([*command, str(data), "--out", str(out), *extra])
            shown = " ".join(["styleaug", *command, folder.name, *extra])
            rows.append({"name": name, "command": shown, "images": count, "seconds": seconds})
            print(f"{name}: {count} images, {seconds:.0f} s\n{printed}".replace(f"{place}/", ""))
    meta = {
        "name": "commands",
        "purpose": "How long styleaug audit and styleaug bench --quick take.",
        **provenance("benchmarks.speed.commands", arguments, packages=["timm"]),
    }
    print(Rows(meta, rows).save(RESULT))


if __name__ == "__main__":
    main(sys.argv[1:])
