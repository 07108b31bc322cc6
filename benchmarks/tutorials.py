"""Follow the tutorials as a reader does: what their pages show is what is measured.

    python -m benchmarks.tutorials classification [--seeds 0 1 2] [--bench]

A page's blocks are taken in order, in an empty folder: one with a title is written to the file of
that name, the commands of one of ``sh`` are run, but for those that give no score. What programs
print as scores becomes the result, with the time of each command; the sheet of ``styleaug preview``
becomes the picture of the page.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from benchmarks.rows import RESULTS, Rows, parser_of, provenance
from styleaug.cli.sheet import contact_sheet
from styleaug.datasets.drawn import KINDS, LINES, draw_part
from styleaug.images.io import save_image

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {path.stem: path for path in sorted(DOCS.glob("tutorials/*.md")) if path.stem != "index"}
_BLOCK = re.compile(r'^```(python title="(?P<file>\S+)"|sh)\n(?P<body>.*?)^```', re.DOTALL | re.M)
_SCORES = re.compile(r"^(?P<name>\S.*?) {2,}(?P<scores>.*line +[\d.]+)$", re.MULTILINE)
_SCORE = re.compile(r"(\w+ line) +([\d.]+)")


def follow(page: Path, folder: Path, change: Callable[[str], str] = str) -> Iterator[str]:
    """Write the files of a page, and yield its commands, each when it is to be run.

    Args:
        page: of the tutorial.
        folder: to write into.
        change: of the text of each file and command, such as to a shorter training.
    """
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["file"]:
            (folder / block["file"]).write_text(change(block["body"]), encoding="utf-8")
            continue
        for line in block["body"].replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] in ("python", "styleaug"):
                yield change(shlex.join(words))


def scores_in(printed: str) -> list[tuple[str, str, float]]:
    """Training, line and score, of what a program of a page prints."""
    return [
        (row["name"], line, float(score))
        for row in _SCORES.finditer(printed)
        for line, score in _SCORE.findall(row["scores"])
    ]


def run(command: str, folder: Path) -> tuple[str, dict[str, float]]:
    """Run a command as a user would; what it prints, and its seconds."""
    words = shlex.split(command)
    start = [sys.executable] if words[0] == "python" else [sys.executable, "-m", "styleaug"]
    environment = os.environ | {"PYTHONPATH": str(DOCS.parent)}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [*start, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout}{done.stderr}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime - before.ru_utime + used.ru_stime - before.ru_stime
    print(f"{command}\n{done.stdout}", flush=True)
    return done.stdout, {"seconds": time.perf_counter() - begun, "cpu seconds": cpu}


def measure(
    name: str, folder: Path, seeds: Sequence[int], *, bench: bool
) -> list[dict[str, object]]:
    """Follow a page, seed by seed; what draws, looks or benches runs with the first one alone."""
    rows: list[dict[str, object]] = []
    for seed in seeds:
        wanted = ("python train.py", "styleaug adapt", "python mine.py")
        if seed == seeds[0]:
            wanted += ("python -m", "styleaug preview", *(("styleaug bench",) if bench else ()))

        def seeded(text: str, seed: int = seed) -> str:
            return re.sub(r"^SEED = \d+", f"SEED = {seed}", text, flags=re.MULTILINE)

        for command in follow(PAGES[name], folder, seeded):
            if command.startswith(wanted):
                printed, times = run(command, folder)
                found = [(command, *time) for time in times.items()] + scores_in(printed)
                rows += [
                    {"seed": seed, "name": of, "measure": what, "value": round(value, 1)}
                    for of, what, value in found
                ]
    return rows


def draw_lines(out: Path) -> None:
    """A sheet of the same parts on both lines: good ones, and one of each defect."""
    parts = [[], *([kind] for kind in KINDS)] * 2
    rows = [[draw_part(20 + k, p, line=line).image for k, p in enumerate(parts)] for line in LINES]
    save_image(out, contact_sheet(rows, 128))


def main(arguments: Sequence[str]) -> None:
    """Follow a page, write its result and its picture."""
    parser = parser_of(__doc__)
    parser.add_argument("page", choices=PAGES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    parser.add_argument("--bench", action="store_true", help="run styleaug bench, too")
    options = parser.parse_args(arguments)
    pictures, results = DOCS / "assets" / "tutorials", RESULTS / "tutorials"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows = measure(options.page, folder, options.seeds, bench=options.bench)
        pictures.mkdir(exist_ok=True)
        draw_lines(pictures / "lines.jpg")
        with Image.open(folder / "preview.jpg") as sheet:
            sheet.save(pictures / f"{options.page}.jpg", quality=65, optimize=True)  # for the web
        if options.bench:
            results.mkdir(exist_ok=True)
            shutil.copy(folder / "bench" / "bench.json", results / f"{options.page}-bench.json")
    meta = {
        "name": options.page,
        "purpose": f"What the tutorial docs/tutorials/{options.page}.md gains.",
        **provenance("benchmarks.tutorials", arguments, packages=["timm"]),
    }
    print(Rows(meta, rows).save(results / f"{options.page}.json"))


if __name__ == "__main__":
    main(sys.argv[1:])
