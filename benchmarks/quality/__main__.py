"""How strongly, diversely and safely a pack restyles.

    python -m benchmarks.quality --content [NAME=]DIR... --styles [TAG=]DIR... --masks DIR

``--styles`` are the folders that the pack was trained on, or others: pictures that are no rows of
the pack, such as its held-out styles, are the unseen references. ``--masks`` holds images of
defects with masks, in any layout that ``styleaug.datasets`` reads (empty masks mark images without
defects), best a dataset that the pack was not trained on. The parts, which ``--only`` chooses from:

style          1 - D(output, style) / D(content, style), D the training's squared Gram distance,
               averaged over layers: 0 changes nothing, 1 reaches the style. The network's raw
               output; trained styles (by their rows in the pack), unseen references and unseen
               procedural finishes (encoded); by content folder as well.
paths          the same with only some parts of the code: adaptive, conditional, colours.
optimum        the objective (style and content) of the network's output over that of an
               optimisation of the pixels (Gatys et al. 2016).
diversity      spread of colour and texture of the outputs over styles, relative to the styles' own.
defects        how well a threshold tells a defect from its surroundings, after over before.
others         the same of other augmentations that move no pixels.
presets        the same of the presets.
hallucination  what restyling adds to flat areas of defect-free images, and what a simple anomaly
               scorer reports there.
geometry       how far edges move, by phase correlation.
tradeoff       style moved against defects lost, for several amounts of texture.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.quality.safety import defects, geometry, hallucination, others, presets, tradeoff
from benchmarks.quality.strength import diversity, optimum, paths, style
from benchmarks.quality.subjects import Subjects
from benchmarks.rows import RESULTS, Rows, parser_of, provenance
from styleaug.evaluate.records import without_folders
from styleaug.pack import DEFAULT_PACK

_PARTS = (
    *(style, paths, optimum, diversity),
    *(defects, others, presets, hallucination, geometry, tradeoff),
)
PARTS = {part.__name__: part for part in _PARTS}
# How much is measured: usually, in a trial, and of what.
AMOUNTS = {
    "count": (60, 9, "styles of each group"),
    "gatys": (4, 1, "optimised pairs of each group"),
    "gatys_steps": (300, 300, "1000 come closer"),
    "diversity": (48, 9, "styles of each group"),
    "diversity_contents": (4, 2, "contents under all of these"),
    "defects": (300, 24, "images with defects"),
    "repeats": (2, 1, "draws of each defect"),
    "free": (100, 9, "defect-free images"),
    "geometry": (40, 8, "images of each folder"),
    "tradeoff": (24, 6, "unseen references"),
}


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = parser_of(__doc__)
    add = parser.add_argument
    add("--pack", default=DEFAULT_PACK)
    add("--content", nargs="+", required=True, metavar="[NAME=]DIR")
    add("--styles", nargs="+", required=True, metavar="[TAG=]DIR")
    add("--masks", type=Path, required=True, metavar="DIR")
    add("--only", nargs="+", choices=list(PARTS), metavar="PART")
    add("--quick", action="store_true", help="a trial of a few minutes")
    add("--size", type=int, default=192, help="side of content pictures")
    for name, (usual, _, does) in AMOUNTS.items():
        add(f"--{name.replace('_', '-')}", type=int, default=usual, help=does)
    add("--seed", type=int, default=0)
    add("--out", type=Path, help="default: in benchmarks/results/quality, named as the pack")
    return parser


def subjects_record(options: argparse.Namespace, pack_id: str) -> dict[str, Any]:
    """What was measured, on what: results that differ in it do not mix."""
    return {
        "pack": {"name": Path(options.pack).name, "id": pack_id},
        "content": [without_folders(entry) for entry in options.content],
        "styles": [without_folders(entry) for entry in options.styles],
        "masks": options.masks.name,
        "seed": options.seed,
        "size": options.size,
        "quick": options.quick,
    }


def read_earlier(path: Path, record: dict[str, Any]) -> Rows | None:
    """The result that chosen parts are put into; None if there is none."""
    if not path.is_file():
        return None
    earlier = Rows.load(path)
    different = [key for key, value in record.items() if earlier.meta.get(key) != value]
    if different:
        raise SystemExit(
            f"--only adds to results of the same pack and settings, but {path} differs in "
            f"{', '.join(different)}. Measure all parts, or name another --out."
        )
    return earlier


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write the result."""
    options = make_parser().parse_args(arguments)
    if options.quick:
        vars(options).update({name: trial for name, (_, trial, _) in AMOUNTS.items()})
    subjects = Subjects(options)
    name = Path(options.pack).stem
    out = options.out or RESULTS / "quality" / f"{name}.json"
    record = subjects_record(options, subjects.pack.id)
    earlier = read_earlier(out, record) if options.only else None
    names = options.only or list(PARTS)
    rows, seconds = [], {}
    for part in names:
        start = time.perf_counter()
        found = PARTS[part](subjects)
        seconds[part] = time.perf_counter() - start
        rows += [{"part": part, **row} for row in found]
    for row in rows:
        shown = " | ".join(str(row[key]) for key in ("part", "group", "setting", "statistic"))
        print(f"{shown}: {row['value']:.4g}")
    here = provenance("benchmarks.quality", arguments, packages=["opencv-python"])
    if earlier:  # what was measured later says where
        rows = [row for row in earlier.rows if row["part"] not in names] + rows
        seconds = {**earlier.meta["seconds"], **seconds}
        added = {**earlier.meta.get("added", {}), **dict.fromkeys(names, here)}
        here = {**{key: earlier.meta[key] for key in here}, "added": added}
    purpose = "How strongly, diversely and safely a pack restyles."
    meta = {"name": name, "purpose": purpose, **here, **record, "seconds": seconds}
    print(Rows(meta, rows).save(out))


if __name__ == "__main__":
    main(sys.argv[1:])
