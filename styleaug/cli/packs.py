"""``styleaug packs``: what is bundled, and what a pack holds."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from styleaug.cli.options import add_command
from styleaug.pack import StylePack, bundled_packs

EXAMPLES = """examples:
  styleaug packs                 the bundled packs
  styleaug packs base            its card: source, licence, recipe, quality; tags with counts
  styleaug packs base --names    every style: name, tags, source and licence
"""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = "List the bundled packs, or show one: its card, its tags, its styles."
    parser = add_command(commands, "packs", run, does=does, examples=EXAMPLES)
    parser.add_argument("pack", nargs="?", help="name of a bundled pack, or path of a pack file")
    parser.add_argument(
        "--names", action="store_true", help="list every style: name, tags, source and licence"
    )


def run(arguments: argparse.Namespace) -> int:
    """List packs, or show one."""
    bundled = bundled_packs()
    if arguments.pack is None:
        for name, path in bundled.items():
            pack = StylePack.load(name)
            print(f"{name}: {len(pack)} styles, {path.stat().st_size / 1e6:.1f} MB, {path}")
        if not bundled:
            print("No pack is bundled; train one with 'styleaug train'.")
        return 0
    pack = StylePack.load(arguments.pack)
    path = bundled.get(arguments.pack, Path(arguments.pack))
    if arguments.names:
        sources = pack.info.get("sources", {})
        for name, tags in zip(pack.names, pack.tags, strict=True):
            source = next((sources[tag] for tag in tags if tag in sources), "not stated")
            print(f"{name}\t{', '.join(tags)}\t{source}")
        return 0
    card = path.with_name("CARD.md")
    print(card.read_text(encoding="utf-8") if card.is_file() else json.dumps(pack.info, indent=2))
    counts = Counter(tag for tags in pack.tags for tag in tags)
    print(f"{len(pack)} styles; tags: " + ", ".join(f"{t} ({n})" for t, n in counts.most_common()))
    return 0
