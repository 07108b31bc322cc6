"""``styleaug add-style``: pictures become styles of a pack."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from styleaug.cli.options import add_device_option, add_pack_option
from styleaug.cli.sheet import tile
from styleaug.color import to_dtype
from styleaug.images import find_images, grid, load_rgb, save_image, to_tensor
from styleaug.newstyle import WAYS, NewStyle, distinct, learn_style, with_styles
from styleaug.pack import StylePack, bundled_packs
from styleaug.weights import atomic_path

EXAMPLES = """examples:
  styleaug add-style brushed.jpg --name brushed --out mine.safetensors
  styleaug add-style line7/ --name line7 --out mine.safetensors
  styleaug add-style line7/ --name line7 --out mine.safetensors --way fit --steps 300

One picture is encoded and measured; where that is not enough, its code is fitted, which takes a
minute or two; and where that does not do either, the row gets the tag "gatys", and you are told how
to go on. The pictures of a folder are encoded, near-duplicates collapse, and all rows get the tag
NAME: StyleAugment(styles="line7", pack="mine.safetensors"). Beside the pack, a report tells which
way was taken and why (.json), and shows it (.png).
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "add-style",
        help="make pictures, or a folder of your own line's pictures, styles of a pack",
        description="Write a new pack with more styles. The old pack does not change.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pictures", nargs="+", type=Path, metavar="SRC", help="images or folders")
    parser.add_argument("--name", required=True, help="of the style; of a folder's styles, the tag")
    parser.add_argument("--out", type=Path, required=True, metavar="PACK", help="pack to write")
    add_pack_option(parser)
    parser.add_argument(
        "--way",
        choices=("auto", "encode", "fit"),
        help="how codes are found (default: auto for one picture, encode for several)",
    )
    parser.add_argument("--steps", type=int, default=200, help="of each fit (default: %(default)s)")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="take at most N pictures, evenly from all"
    )
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Learn the styles, and write pack and report."""
    pack = StylePack.load(arguments.pack)
    old = bundled_packs().get(arguments.pack, Path(arguments.pack))
    if arguments.out.resolve() == old.resolve():
        raise ValueError(f"--out must be a new file: {old} is the pack that is extended.")
    if arguments.out.suffix != ".safetensors":
        raise ValueError(f"--out must end in .safetensors, but is {arguments.out}.")
    files = _files(arguments.pictures, arguments.limit)
    names, tags = _names(files, arguments.name)
    pack.check_new({*names, arguments.name})
    kept = _distinct(pack, files, arguments.device)
    way = arguments.way or ("auto" if len(kept) == 1 else "encode")
    styles = []
    for row in tqdm(kept, desc="styles", unit="style", disable=len(kept) == 1):
        with tqdm(desc=f"fit {names[row]}", unit="step", leave=False, delay=1) as bar:

            def tell(step: int, steps: int, bar: Any = bar) -> None:
                bar.total = steps
                bar.update(step - bar.n)

            picture = to_tensor(load_rgb(files[row])).to(arguments.device)
            settings = {"way": way, "steps": arguments.steps, "progress": tell}
            # where all are encoded in any case, one tells how well that does
            measured = way != "encode" or row == kept[0]
            styles.append(learn_style(pack, picture, names[row], measure=measured, **settings))
    new = with_styles(pack, styles, tags)
    _report(arguments.out, styles, [files[row] for row in kept], new)
    new.save(arguments.out)
    for style in styles:
        if style.moved:
            print(style.why())
    dropped = len(files) - len(kept)
    alike = f" ({dropped} near-duplicates left out)" if dropped else ""
    print(f"{arguments.out}: {len(styles)} new styles{alike}, {len(new)} in all.")
    print(f"StyleAugment(styles={arguments.name!r}, pack={str(arguments.out)!r})")
    for style, row in zip(styles, kept, strict=True):
        if style.way == "gatys":
            print(
                f"The network does not master {style.name}. Restyle your images by optimisation: "
                f"styleaug gatys IMAGES --style {files[row]} --out restyled/; and put "
                "styleaug.precomputed.Precomputed('restyled/') before StyleAugment."
            )
    return 0


def _files(sources: Sequence[Path], limit: int | None) -> list[Path]:
    files = [
        path
        for source in sources
        for path in ([source] if source.is_file() else find_images(source))
    ]
    if limit is None:
        return files
    if limit < 1:
        raise ValueError(f"--limit must be at least 1, but got {limit}.")
    count = min(limit, len(files))
    return [files[k * len(files) // count] for k in range(count)]


def _names(files: Sequence[Path], name: str) -> tuple[list[str], list[str]]:
    """Names of the rows, and their tags."""
    if len(files) == 1:
        return [name], ["added"]
    names: list[str] = []
    for path in files:
        stem, k = f"{name}/{path.stem}", 2
        while stem in names:
            stem, k = f"{name}/{path.stem}-{k}", k + 1
        names.append(stem)
    return names, [name, "added"]


def _distinct(pack: StylePack, files: Sequence[Path], device: str) -> list[int]:
    """Which of the files are not near-duplicates of others."""
    codes = [
        pack.encode(to_tensor(load_rgb(path))[None].to(device))[0].cpu()
        for path in tqdm(files, desc="encode", unit="picture", disable=len(files) < 8)
    ]
    return distinct(pack, torch.stack(codes))


def _report(out: Path, styles: Sequence[NewStyle], files: Sequence[Path], pack: StylePack) -> None:
    """What was found, as JSON and as a sheet: reference, content, encoded, fitted, optimised."""
    rows = [{**s.to_dict(), "source": str(f)} for s, f in zip(styles, files, strict=True)]
    with atomic_path(out.with_suffix(".json")) as temporary:
        text = json.dumps({"pack": pack.id, "styles": rows}, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
    sheet: list[list[Tensor]] = []
    for style, path in zip(styles, files, strict=True):
        if len(sheet) < 12 and style.pictures:
            ways = [name for name in ("content", *WAYS) if name in style.pictures]
            shown = [to_dtype(style.pictures[name], torch.uint8) for name in ways]
            sheet.append([tile(x, 160) for x in (to_tensor(load_rgb(path)), *shown)])
    if sheet:
        save_image(out.with_suffix(".png"), grid(sheet))
