"""How soon `styleaug studio` opens, and how soon a slider's change shows, in headless Chromium.

    pip install "styleaug[studio]" playwright
    python -m benchmarks.speed.studio

The drawn part of 512 pixels, as the command opens it: from the start of the command to its address,
and to the first preview in the browser; then from a changed value to the preview that shows it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.browser import browser, find_browser
from benchmarks.rows import RESULTS, Rows, parser_of, provenance, quartiles

SHOWN = "() => document.querySelector('#preview img')?.naturalWidth > 0"
CHANGED = """before => {
  const shown = document.querySelector('#preview img');
  return shown && shown.src !== before && shown.complete;
}"""


def measure(port: int, changes: int) -> dict[str, list[float]]:
    """Seconds of each part."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "styleaug", "studio", "--no-browser", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()  # that it is open
            found = {"served": [time.perf_counter() - start]}
            with browser(camera=False) as opened:
                page = opened.new_page(viewport={"width": 1200, "height": 1200})
                page.goto(f"http://127.0.0.1:{port}")
                page.wait_for_function(SHOWN, timeout=60_000)
                found["first preview"] = [time.perf_counter() - start]
                page.wait_for_timeout(5000)  # the draws
                found["slider"] = [_change(page, 0.1 + 0.5 * k / changes) for k in range(changes)]
        finally:
            server.terminate()
    return found


def _change(page: Any, value: float) -> float:
    """Seconds until the preview shows another least strength."""
    before = page.get_attribute("#preview img", "src")
    field = page.locator("#Restyle-strength-from input[type=number]")
    start = time.perf_counter()
    field.fill(f"{value:.2f}")
    field.press("Tab")
    page.wait_for_function(CHANGED, arg=before, timeout=20_000)
    taken = time.perf_counter() - start
    page.wait_for_timeout(3000)  # the draws
    return taken


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    parser = parser_of(__doc__)
    parser.add_argument("--port", type=int, default=7999)
    parser.add_argument("--changes", type=int, default=10)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "speed" / "studio.json")
    options = parser.parse_args(arguments)
    if not find_browser():
        raise SystemExit("Chromium is not installed: apt-get install chromium.")
    taken: dict[str, list[float]] = {}
    for _ in range(options.starts):
        for part, values in measure(options.port, options.changes).items():
            taken.setdefault(part, []).extend(values)
    rows = [{"part": part, "unit": "s", **quartiles(values)} for part, values in taken.items()]
    for r in rows:
        print(f"{r['part']:16} {r['median']:.2f} s ({r['q1']:.2f} to {r['q3']:.2f})")
    meta = {
        "name": "studio",
        "purpose": "How soon the studio opens, and how soon a slider's change shows.",
        **provenance("benchmarks.speed.studio", arguments, packages=("gradio", "playwright")),
        "changes": options.changes,
        "starts": options.starts,
    }
    print(Rows(meta, rows).save(options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
