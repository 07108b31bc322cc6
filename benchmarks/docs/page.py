"""Make what the page "Try it" loads: networks, codes of its styles, and parts to begin with.

    styleaug export fast --out DIR --int8
    python -m benchmarks.docs.page DIR [--out docs/try/model]

``make page`` does both, and fetches ONNX Runtime for WebAssembly. The parts are drawn
(:mod:`benchmarks.docs.scenes`), so that no photograph of unclear licence is in the page.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.docs.scenes import SCENES
from benchmarks.rows import parser_of
from styleaug.edge import Array, Restyler
from styleaug.images.io import save_image, to_image

OUT = Path(__file__).parents[2] / "docs" / "try" / "model"
PRECISION = "int8"
SIDE = 512
"""Of the parts, in pixels: the largest size that the page works in."""
STYLES = (
    ("Rust", "rust", 0),
    ("Zinc", "galvanised", 0),
    ("Carbon", "carbon-fibre", 0),
    ("Anodised", "anodised", 3),
    ("Heat tint", "heat-tint", 3),
    ("Scale", "forged-scale", 0),
    ("Brushed", "brushed", 5),
    ("Turned", "turned", 4),
    ("Patina", "patina", 3),
    ("Painted", "painted", 4),
    ("Concrete", "concrete", 3),
    ("Wood", "wood", 2),
)
"""Labels, tags, and which style of each: twelve that differ."""


def style_of(restyler: Restyler, label: str, tag: str, index: int) -> dict[str, Any]:
    """What the page knows of a style: its name in the pack, its label and its code."""
    names = [name for name in restyler.names if name.startswith(f"finish/{tag}-")]
    if index >= len(names):
        raise SystemExit(f"The pack must have {index + 1} styles {tag!r}, but has {len(names)}.")
    code: Array = restyler.code(names[index])
    return {"name": names[index], "label": label, "code": [float(value) for value in code]}


def main(arguments: Sequence[str]) -> None:
    """Write the folder anew."""
    parser = parser_of(__doc__)
    parser.add_argument("export", type=Path, metavar="DIR", help="what 'styleaug export' has made")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    restyler = Restyler(options.export, precision=PRECISION)
    told = json.loads((options.export / "export.json").read_text(encoding="utf-8"))
    options.out.mkdir(parents=True, exist_ok=True)
    for part, files in told["files"].items():
        shutil.copyfile(options.export / files[PRECISION], options.out / f"{part}.onnx")
    parts = []
    for name, draw in SCENES.items():
        file = f"{name}.jpg"
        save_image(options.out / file, to_image(draw(SIDE).finished()[0]))
        parts.append({"label": name.capitalize(), "file": file})
    page = {
        "pack": told["pack"]["name"],
        "cell": told["cell"],
        "count": len(restyler.names),
        "styles": [style_of(restyler, *style) for style in STYLES],
        "parts": parts,
    }
    (options.out / "page.json").write_text(json.dumps(page), encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main(sys.argv[1:])
