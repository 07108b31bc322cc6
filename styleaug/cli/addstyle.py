"""``styleaug add-style``: pictures become styles of a pack."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from styleaug.cli.options import add_command, add_options, default_of
from styleaug.cli.parser import new_file
from styleaug.cli.sheet import contact_sheet
from styleaug.cli.values import count
from styleaug.files import atomic_path, remove_leftovers
from styleaug.images.color import to_dtype
from styleaug.images.io import list_images, load_rgb, save_image, spread, to_tensor
from styleaug.pack import StylePack, bundled_packs
from styleaug.styles import NewStyle, add_styles
from styleaug.styles.learn import METHODS

EXAMPLES = """examples:
  styleaug add-style brushed.jpg --name brushed --out mine.safetensors
  styleaug add-style line7/ --name line7 --out mine.safetensors
  styleaug add-style line7/ --name line7 --out mine.safetensors --method fit --steps 100
  styleaug add-style rust.jpg --name rust --out mine.safetensors --content train/images/

One picture is encoded and measured; where that is not enough, its row is fitted, which takes one
to three minutes on a CPU; and where that is not enough either, the row gets the tag "gatys", and
you are told how to go on. The pictures of a folder are encoded, near-duplicates collapse, and all
rows get the tag NAME: Restyle("line7", pack="mine.safetensors"). Beside the pack, mine.report.json
tells which method was taken and why, and mine.report.png shows it.
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = (
        "Write a new pack that holds your own pictures as further styles. The old pack stays as it "
        "is."
    )
    parser = add_command(commands, "add-style", run, does=does, examples=EXAMPLES)
    parser.add_argument(
        "pictures",
        nargs="+",
        type=Path,
        metavar="SRC",
        help="pictures whose style to take, or folders of them",
    )
    parser.add_argument(
        "--name",
        required=True,
        metavar="NAME",
        help="name of the new style; of several pictures, the tag of all of them",
    )
    parser.add_argument(
        "--out",
        type=new_file,
        required=True,
        metavar="PACK",
        help="pack to write, a .safetensors file",
    )
    add_options(parser, "pack")
    parser.add_argument(
        "--method",
        choices=("auto", "encode", "fit"),
        help="how the network learns a style: encode takes a second, fit minutes, auto measures "
        "which is enough (default: auto for one picture, encode for several)",
    )
    parser.add_argument(
        "--content",
        nargs="+",
        type=Path,
        default=(),
        metavar="SRC",
        help="images that you will restyle, or folders of them, to measure and fit styles on "
        "(default: surfaces that are drawn)",
    )
    parser.add_argument(
        "--steps",
        type=count,
        default=default_of(add_styles, "steps"),
        metavar="N",
        help="steps of each fit, 1 or more",
    )
    add_options(parser, "limit", "device")


def run(arguments: argparse.Namespace) -> int:
    """Learn the styles, and write pack and report."""
    pack, sheet = StylePack.load(arguments.pack), arguments.out.with_suffix(".report.png")
    # the sheet of an earlier run is no style
    pictures = [p for p in list_images(arguments.pictures) if p.resolve() != sheet.resolve()]
    old = bundled_packs().get(arguments.pack, Path(arguments.pack))
    if arguments.out.resolve() == old.resolve():
        raise ValueError(f"--out must be a new file: {old} is the pack that is extended.")
    if arguments.out.suffix != ".safetensors":
        raise ValueError(f"--out must end in .safetensors, but is {arguments.out}.")
    remove_leftovers(arguments.out.parent, below=False)
    bars: dict[str, Any] = {}

    def tell(what: str, done: int, count: int) -> None:
        if what not in bars:
            bars[what] = tqdm(total=count, desc=what, leave=False, delay=1)
        bars[what].update(done - bars[what].n)

    new, styles = add_styles(
        pack,
        spread(pictures, arguments.limit or len(pictures)),
        arguments.name,
        method=arguments.method,
        contents=arguments.content,
        steps=arguments.steps,
        device=arguments.device,
        progress=tell,
    )
    for bar in bars.values():
        bar.close()
    new.save(arguments.out)
    _report(arguments.out, styles, new)
    for style in styles:
        if style.style_transfer_ratio:
            print(style.explain())
    dropped = bars["encode"].total - len(styles)
    alike = f" ({dropped} near-duplicates left out)" if dropped else ""
    print(f"{arguments.out}: {len(styles)} new styles{alike}, {len(new)} in all.")
    print(f"Restyle({arguments.name!r}, pack={str(arguments.out)!r})")
    for style in styles:
        if style.method == "gatys":
            print(
                f"The network does not master {style.name}. Restyle your images by optimisation: "
                f"styleaug gatys IMAGES --reference {style.source} --out restyled/; and put "
                "styleaug.gatys.cached.CachedStylization('restyled/') before StyleAugment."
            )
    return 0


def _report(out: Path, styles: Sequence[NewStyle], pack: StylePack) -> None:
    """What was found, as JSON and as a sheet: reference, content, encoded, fitted, optimised."""
    with atomic_path(out.with_suffix(".report.json")) as temporary:
        text = json.dumps(
            {"pack": pack.id, "styles": [style.to_dict() for style in styles]}, indent=2
        )
        temporary.write_text(text + "\n", encoding="utf-8")
    columns = ("content", *METHODS)
    blank = torch.ones(3, 1, 1)
    rows, captions = [], []
    for style in [style for style in styles if style.source and style.pictures][:12]:
        shown = [to_dtype(style.pictures.get(name, blank), torch.uint8) for name in columns]
        rows.append([to_tensor(load_rgb(Path(str(style.source)))), *shown])
        captions.append([style.name, *(name if name in style.pictures else "" for name in columns)])
    if rows:
        save_image(out.with_suffix(".report.png"), contact_sheet(rows, 160, captions))
