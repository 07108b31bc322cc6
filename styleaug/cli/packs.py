"""``styleaug packs``: what is bundled, and what a pack holds."""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from styleaug.cli.options import add_command
from styleaug.pack import DEFAULT_PACK, StylePack, bundled_packs

EXAMPLES = """examples:
  styleaug packs                          the bundled packs: size, styles, licence
  styleaug packs base                     one pack: its card, and its tags with counts
  styleaug packs base --names             its styles, a line each: name, tags, source and licence
  styleaug packs --names | grep rust      styles of the default pack

Restyle(["rust"]), --styles rust and styles="rust" take tags and names alike. The lines of --names
have three columns, with tabs between them.
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = "List the bundled style packs, or show one: its card, its tags, its styles."
    parser = add_command(commands, "packs", run, does=does, examples=EXAMPLES)
    parser.add_argument(
        "pack",
        nargs="?",
        metavar="PACK",
        help="pack to show: the name of a bundled one, or a file (default: list the bundled "
        f"packs; with --names {DEFAULT_PACK})",
    )
    parser.add_argument(
        "--names", action="store_true", help="list every style: name, tags, source and licence"
    )


def run(arguments: argparse.Namespace) -> int:
    """List packs, or show one."""
    bundled = bundled_packs()
    if arguments.names:
        print(*_styles(StylePack.load(arguments.pack or DEFAULT_PACK)), sep="\n")
    elif arguments.pack is None:
        width = max(map(len, bundled), default=0)
        for name, path in bundled.items():
            print(f"{name:{width}}  {_line(StylePack.load(name), path)}")
        print("\nNext: 'styleaug packs NAME' shows a card; with --names, every style.")
    else:
        pack = StylePack.load(arguments.pack)
        card = bundled.get(arguments.pack, Path(arguments.pack)).with_name("CARD.md")
        told = card.read_text(encoding="utf-8") if card.is_file() else None
        print(told or json.dumps(pack.info, indent=2))
        counts = Counter(tag for tags in pack.tags for tag in tags)
        tags = ", ".join(f"{tag} ({count})" for tag, count in counts.most_common())
        print(f"{len(pack)} styles; tags: {tags}")
    return 0


def _styles(pack: StylePack) -> Iterator[str]:
    """A line a style."""
    sources, added = pack.info.get("sources", {}), pack.info.get("added", {})
    for name, tags in zip(pack.names, pack.tags, strict=True):
        source = next((sources[tag] for tag in tags if tag in sources), None)
        if source is None and name in added:
            source = f"added from {added[name].get('source', 'pictures')}, licence not stated"
        yield f"{name}\t{', '.join(tags)}\t{source or 'not stated'}"


def _line(pack: StylePack, path: Path) -> str:
    """Size, styles and licence of a bundled pack."""
    size = f"{len(pack):6,} styles  {path.stat().st_size / 1e6:4.1f} MB"
    default = "; the default" if path.parent.name == DEFAULT_PACK else ""
    return f"{size}  licence: {_licence(path.with_name('CARD.md'))}{default}"


def _licence(card: Path) -> str:
    """What a card says of the licence, in its row of that name."""
    told = card.read_text(encoding="utf-8") if card.is_file() else ""
    row = re.search(r"^\| *Licence *\| *(.*?) *\|$", told, re.MULTILINE)
    return re.sub(r"\[(.*?)\]\(.*?\)|[*`]", r"\1", row[1]) if row else "not stated"
