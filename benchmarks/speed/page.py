"""How fast the page "Try it" restyles in a browser, and what it loads.

    make page
    python -m benchmarks.speed.page

Headless Chromium, one frame after the other, each with another texture; a frame is timed from the
one before it, so drawing counts, too. Threads need a page that is isolated by its headers. Sizes
are those of the files, raw and as gzip sends them.
"""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.browser import PAGE, browser, missing, served
from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles

SIZES = (256, 512)
ASSETS = {
    "page": ("*.html", "*.css", "*.js"),
    "runtime": ("vendor/*",),
    "network": ("model/restyle.onnx", "model/page.json"),
    "parts": ("model/*.jpg",),
    "encoder": ("model/encoder.onnx",),
}
"""What is loaded, the last when a reader brings a style."""
ON_DEMAND = ("encoder",)
ALL = "all at the start"

FRAMES = """([size, count]) => new Promise((resolve) => {
  const slider = document.querySelector("#texture");
  const times = [];
  const next = () => {
    times.push(performance.now());
    if (times.length > count) resolve(times);
    slider.value = (times.length % 50) / 50;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  };
  new MutationObserver(next).observe(document.querySelector("#speed"), { childList: true });
  document.querySelector(`#size input[value="${size}"]`).click();
  next();
})"""
"""Milliseconds at which frames were shown: each lets the speed be told anew."""


def measure_speed(opened: Any, threads: int, warm: int, count: int) -> list[dict[str, Any]]:
    """Rows: milliseconds a frame, and frames per second."""
    rows = []
    for size in SIZES:
        with served(isolated=threads > 1) as address:
            page = opened.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{address}try/?threads={threads}")
            page.wait_for_selector("body[data-ready]")
            page.wait_for_timeout(3000)  # thumbnails
            times = page.evaluate(FRAMES, [size, warm + count])
            page.close()
        taken = np.diff(times)[warm:]
        for unit, values in (("ms", taken), ("frames/s", 1000 / taken)):
            head = {"part": "speed", "size": size, "threads": threads, "unit": unit}
            rows.append({**head, **quartiles(values)})
    return rows


def measure_sizes() -> list[dict[str, Any]]:
    """Rows: bytes of each part, and of all that is loaded at the start."""
    found = {}
    for part, patterns in ASSETS.items():
        contents = [path.read_bytes() for pattern in patterns for path in PAGE.glob(pattern)]
        found[part] = [
            sum(map(len, contents)),
            sum(len(gzip.compress(content)) for content in contents),
        ]
    at_once = [sizes for part, sizes in found.items() if part not in ON_DEMAND]
    found[ALL] = [sum(sizes) for sizes in zip(*at_once, strict=True)]
    return [
        {"part": part, "size": None, "threads": None, "unit": unit, **quartiles([value])}
        for part, sizes in found.items()
        for unit, value in zip(("bytes", "bytes gzipped"), sizes, strict=True)
    ]


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--warm", type=int, default=60, help="frames that are not counted")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--out", type=Path, default=RESULTS / "speed" / "page.json")
    options = parser.parse_args(arguments)
    if reason := missing():
        raise SystemExit(reason)
    with browser(camera=False) as opened:
        version = opened.version
        rows = [
            row
            for threads in options.threads
            for row in measure_speed(opened, threads, options.warm, options.frames)
        ]
    rows += measure_sizes()
    for r in rows:
        where = f"{r['size']} pixels, threads: {r['threads']}" if r["size"] else ""
        bounds = f"{r['median']:12,.1f} ({r['q1']:,.1f} to {r['q3']:,.1f})"
        print(f"{r['part']:18} {where:24} {bounds} {r['unit']}")
    meta = {
        "name": "page",
        "purpose": "How fast the page restyles in a browser, and what it loads.",
        **provenance("benchmarks.speed.page", arguments, packages=("playwright",)),
        "browser": f"Chromium {version}",
        "cores": os.cpu_count(),
        "frames": options.frames,
    }
    print(Rows(meta, rows).save(options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
