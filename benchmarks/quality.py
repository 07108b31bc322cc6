"""How strongly, diversely and safely a pack restyles.

    python benchmarks/quality.py --content [NAME=]DIR... --styles [TAG=]DIR... --masks DIR

``--styles`` are the folders that the pack was trained on: its held-out styles, chosen by a hash of
their names, are the unseen references. ``--masks`` holds defect images (.jpg) beside their masks
(.png, same name, bright inside the defect; empty ones mark images without defects), best a set that
the pack was not trained on. The parts, which ``--only`` chooses from:

style          1 - D(output, style) / D(content, style), D the training's squared Gram distance,
               averaged over layers: 0 changes nothing, 1 reaches the style. The network's raw
               output; trained styles, unseen references and unseen procedural finishes; by content
               folder as well.
paths          the same with only some parts of the code: adaptive, conditional, colours.
optimum        the objective (style and content) of the network's output over that of an
               optimisation of the pixels (Gatys et al. 2016).
diversity      spread of colour and texture of the outputs over styles, relative to the styles' own.
defects        how well a threshold tells a defect from its surroundings, after over before.
others         the same of other augmentations that move no pixels.
hallucination  what restyling adds to flat areas of defect-free images, and what a simple anomaly
               scorer reports there.
geometry       how far edges move, by phase correlation.
tradeoff       style moved against defects lost, for several amounts of texture.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import PhaseTimer, machine_record, package_versions, write_atomically, write_json
from fill_docs import RESULTS, ROOT
from fill_docs import quality as tables
from quality_safety import defects, geometry, hallucination, others, tradeoff
from quality_strength import diversity, optimum, paths, style
from quality_subjects import Subjects

RESULT = RESULTS / "quality.json"
FIGURE = ROOT / "docs" / "assets" / "quality.svg"
PARTS: dict[str, Callable[[Subjects], dict[str, Any]]] = {
    part.__name__: part
    for part in (
        style,
        paths,
        optimum,
        diversity,
        defects,
        others,
        hallucination,
        geometry,
        tradeoff,
    )
}
# What a trial takes in place of the defaults.
QUICK = {
    "count": 9,
    "gatys": 1,
    "gatys_steps": 300,
    "diversity": 9,
    "diversity_contents": 2,
    "defects": 24,
    "repeats": 1,
    "free": 9,
    "geometry": 8,
    "tradeoff": 6,
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", default="base")
    parser.add_argument("--content", nargs="+", required=True, metavar="[NAME=]DIR")
    parser.add_argument("--styles", nargs="+", required=True, metavar="[TAG=]DIR")
    parser.add_argument("--masks", type=Path, required=True, metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART")
    parser.add_argument("--quick", action="store_true", help="a trial of a few minutes")
    parser.add_argument("--size", type=int, default=192, help="side of content pictures")
    parser.add_argument("--count", type=int, default=60, help="styles of each group")
    parser.add_argument("--gatys", type=int, default=4, help="optimised pairs of each group")
    parser.add_argument("--gatys-steps", type=int, default=300, help="1000 come closer")
    parser.add_argument("--diversity", type=int, default=48, help="styles of each group")
    parser.add_argument("--diversity-contents", type=int, default=4)
    parser.add_argument("--defects", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=2, help="plans of each defect")
    parser.add_argument("--free", type=int, default=100, help="defect-free images")
    parser.add_argument("--geometry", type=int, default=40, help="images of each folder")
    parser.add_argument("--tradeoff", type=int, default=24, help="unseen references")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument(
        "--figure", type=Path, help="docs/assets/quality.svg, or beside another --out"
    )
    return parser


def header(options: argparse.Namespace, pack_id: str) -> dict[str, Any]:
    """What was measured, on what: records of different headers do not mix."""
    return {
        "pack": Path(options.pack).name,
        "pack_id": pack_id,
        "content": [_name(entry) for entry in options.content],
        "styles": [_name(entry) for entry in options.styles],
        "masks": options.masks.name,
        "seed": options.seed,
        "size": options.size,
        "quick": options.quick,
    }


def earlier(path: Path, head: dict[str, Any]) -> dict[str, Any]:
    """The record that chosen parts are to be merged into, or an empty one.

    Raises:
        SystemExit: if it is of another pack or other settings.
    """
    if not path.is_file():
        return {}
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    different = [key for key, value in head.items() if record.get(key) != value]
    if different:
        raise SystemExit(
            f"--only merges into records of the same pack and settings, but {path} differs in "
            f"{', '.join(different)}. Measure all parts, or name another --out."
        )
    return record


def _name(entry: str) -> str:
    """An entry of the command line without its folders: ``a=/x/y`` -> ``a=y``."""
    return re.sub(r"[^=]*/(?=.)", "", entry.rstrip("/"))


def draw(path: Path, points: list[dict[str, Any]]) -> None:
    """Draw the trade-off: defects kept against style moved, a point an amount of texture."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # the same figures give the same file
    with matplotlib.rc_context({"svg.hashsalt": "styleaug", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5.6, 3.6), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        moved = [point["style_moved"]["median"] for point in points]
        kept = [100 - point["lost_percent"] for point in points]
        errors = [point["lost_standard_error"] for point in points]
        axes.errorbar(moved, kept, yerr=errors, marker="o", color="#4c72b0", capsize=3)
        for x, y, point in zip(moved, kept, points, strict=True):
            axes.annotate(
                f"texture {point['texture']:g}", (x, y), xytext=(5, 5), textcoords="offset points"
            )
        axes.set_xlabel("style moved, unseen references (median)")
        axes.set_ylabel("defects kept, %")
        axes.set_title("strength 1, light 0; bars: standard error", fontsize=10)
        axes.grid(alpha=0.3)
        axes.margins(x=0.2, y=0.15)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda temporary: figure.savefig(temporary, metadata={"Date": None}))


def measure(options: argparse.Namespace) -> None:
    """Measure, print, write JSON, draw."""
    if options.quick:
        vars(options).update(QUICK)
    figure = options.figure
    if figure is None:
        figure = FIGURE if options.out == RESULT else options.out.with_suffix(".svg")
    subjects = Subjects(options)
    head = header(options, subjects.pack.id)
    record = earlier(options.out, head) if options.only else {}
    timer = PhaseTimer()
    parts: dict[str, Any] = {}
    names = options.only or list(PARTS)
    for name in names:
        with timer(name):
            parts |= PARTS[name](subjects)
    command = "python benchmarks/quality.py " + " ".join(map(_name, sys.argv[1:]))
    here = {
        "command": command,
        "machine": machine_record(),
        "versions": package_versions(("styleaug", "torch", "torchvision", "opencv-python")),
    }
    if record:  # what was measured later says where
        here = {"added": {**record.get("added", {}), **dict.fromkeys(names, here)}}
    seconds = record.get("seconds", {}) | timer.phases
    record = record | head | here | {"seconds": seconds} | parts
    write_json(options.out, record)
    print(tables(record))
    print(options.out)
    if "tradeoff" in parts:
        draw(figure, record["tradeoff"])
        print(figure)


if __name__ == "__main__":
    measure(parser().parse_args())
