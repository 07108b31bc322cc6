"""What the three methods for a new style reach: encoded, fitted, optimised.

    python -m benchmarks.newstyles --styles DIR... --content DIR... --count 20

Styles that the bundled pack was never trained on: of the folders that it was trained on, those
that it held out; of others, all. Each is learned as ``styleaug add-style`` does; then all methods
are judged on real contents, which no fit saw, and compared with what an optimisation of the pixels
reaches on the same. ``chosen`` is the method that was chosen on the contents of the learning (drawn
ones, or ``--own``), ``best`` the one that the same rule chooses on the real contents.
``--other-than RESULT`` takes other styles than that result did: the rule was chosen by those.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from benchmarks.pictures import spread_pictures
from benchmarks.rows import RESULTS, Rows, parser_of, provenance
from styleaug import StylePack
from styleaug.images.io import to_tensor
from styleaug.networks import encode
from styleaug.nn.perceptual import STYLE_WEIGHT
from styleaug.pack import DEFAULT_PACK
from styleaug.styles.learn import MEASURED, METHODS, choose_method, learn_style
from styleaug.styles.probes import (
    PROBE_SIZE,
    Probes,
    optimise_probes,
    restyle_probes,
    style_targets,
    trunk_on,
)
from styleaug.styles.rows import with_styles
from styleaug.train.styles import is_held_out, list_styles


def unseen(
    folders: list[Path], pack: StylePack, count: int, known: Collection[str] = ()
) -> list[tuple[str, Image.Image]]:
    """Pictures whose styles the pack was not trained on, and not ``known``; folders take turns."""
    share = pack.info["settings"]["holdout"]
    groups = []
    for folder in folders:
        styles = [s for s in list_styles([str(folder)]) if s.name not in pack.names]
        held_out = [s for s in styles if is_held_out(s.name, share)] or styles
        groups.append([s for s in held_out if s.name not in known])
    groups = [group for group in groups if group]
    chosen: dict[str, Image.Image] = {}
    for k in range(count):
        turn = k % len(groups)
        # of a small folder that has no more, none twice: of the next one then
        some = (g[(2 * k + 1) * len(g) // (2 * count)] for g in groups[turn:] + groups[:turn])
        style = next((s for s in some if s.name not in chosen), None)
        if style is None:
            raise ValueError(f"--count must be less: there are too few styles for {count}.")
        chosen[style.name] = style.load()
    return list(chosen.items())


def style_part(probes: Probes, outputs: Tensor, grams: Sequence[Tensor]) -> float:
    """What the style contributes to the objective; the rest is the content's part."""
    targets = [g.expand(len(outputs), -1, -1) for g in grams]
    with torch.no_grad():
        rows = torch.arange(len(outputs))
        style, _ = probes.judge(outputs, rows, targets, trunk_on(outputs.device))
    return STYLE_WEIGHT * style.mean().item()


def judge(
    pack: StylePack, name: str, picture: Tensor, real: Probes, own: Tensor | None, steps: int
) -> list[dict[str, Any]]:
    """Rows of one style: what each method reaches on the real contents."""
    # fitted in any case, to know what a fit would have brought
    learned = learn_style(pack, picture, name, method="fit", contents=own, steps=steps)
    fitted, grams = with_styles(pack, [learned], ()), style_targets(picture)
    outputs = {
        "encode": restyle_probes(pack, encode(pack, picture[None])[0], real),
        "fit": restyle_probes(fitted, fitted.codes[-1], real),
        "gatys": optimise_probes(real, grams, len(real)),
    }
    found = {method: real.measure(images, grams) for method, images in outputs.items()}
    moved = {method: value[0] for method, value in found.items()}
    objective = {method: value[1] for method, value in found.items()}
    chosen = choose_method(learned.style_transfer_ratio, learned.objective)
    best = choose_method(moved, objective)
    return [
        {
            "style": name,
            "method": method,
            "moved": moved[method],
            "objective": objective[method],
            "style part": style_part(real, outputs[method], grams),
            "seconds": learned.seconds[method],
            "chosen": chosen == method,
            "best": best == method,
        }
        for method in METHODS
    ]


def main(arguments: Sequence[str]) -> None:
    """Measure and write."""
    parser = parser_of(__doc__)
    add = parser.add_argument
    add("--content", nargs="+", type=Path, required=True, metavar="DIR")
    add("--styles", nargs="+", type=Path, required=True, metavar="DIR")
    add("--count", type=int, default=20, help="styles")
    add("--contents", type=int, default=2)
    add(
        "--own",
        type=int,
        default=0,
        metavar="N",
        help="learn on so many other images of the same folders, as with add-style --content "
        "(default: on drawn surfaces)",
    )
    add("--steps", type=int, default=200, help="of each fit")
    add("--other-than", type=Path, metavar="RESULT", help="leave out its styles")
    add("--pack", default=DEFAULT_PACK)
    add("--out", type=Path, default=RESULTS / "newstyles" / "unseen.json")
    options = parser.parse_args(arguments)
    pack = StylePack.load(options.pack)
    _, pictures = spread_pictures(options.content, options.contents + options.own, PROBE_SIZE)
    contents = pictures.float().div(255)
    real, own = Probes(contents[: options.contents]), contents[options.contents :]
    known = Rows.load(options.other_than).each("style") if options.other_than else ()
    rows: list[dict[str, Any]] = []
    for name, image in tqdm(unseen(options.styles, pack, options.count, known), desc="styles"):
        side = min(image.size)
        picture = to_tensor(ImageOps.fit(image, (side, side))).float().div(255)
        found = judge(pack, name, picture, real, own if options.own else None, options.steps)
        rows += found
        tqdm.write(f"{name}: " + ", ".join(f"{r['method']} {r['moved']:.2f}" for r in found))
    meta = {
        "name": options.out.stem,
        "purpose": "What encoded, fitted and optimised styles reach.",
        **provenance("benchmarks.newstyles", arguments),
        "pack": {"name": Path(options.pack).name, "id": pack.id},
        "own": options.own,
        "measured": min(MEASURED, options.own // 2) if options.own else MEASURED,
        "steps": options.steps,
    }
    print(Rows(meta, rows).save(options.out))


if __name__ == "__main__":
    main(sys.argv[1:])
