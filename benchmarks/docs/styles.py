"""Draw what the page "Styles" shows: a thumbnail of every style of a pack, in sheets, and an index.

    python -m benchmarks.docs.styles [--pack PACK] [--out docs/styles/sheets]

``make docs`` does so. Each thumbnail is the same drawn part, restyled at full strength and texture.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor
from tqdm import tqdm

from benchmarks.docs.scenes import SCENES
from benchmarks.rows import parser_of
from styleaug import Restyle, StylePack
from styleaug.images.io import to_image
from styleaug.pack import DEFAULT_PACK
from styleaug.stages.restyle import RestyleParams

OUT = Path(__file__).parents[2] / "docs" / "styles" / "sheets"
PART = "steel"
SIDE, THUMBNAIL = 160, 112
"""Of the part when it is restyled, and of a thumbnail, in pixels."""
COLUMNS, ROWS = 8, 8
"""Of a sheet."""
KINDS = ("finish", "material", "texture", "painting", "medium")
"""First tags, in the order of the page; others follow."""
BATCH = 16
ASSIGNS = "globalThis.STYLES = "
"""Begins the index: a script, which pages that are opened as files may load."""


def in_order(pack: StylePack) -> list[int]:
    """All rows, by kind, then by the tag that says most, then by name."""

    def place(row: int) -> tuple[int, Sequence[str], str]:
        kind = pack.tags[row][0] if pack.tags[row] else ""
        rank = KINDS.index(kind) if kind in KINDS else len(KINDS)
        return rank, pack.tags[row][:2], pack.names[row]

    return sorted(range(len(pack)), key=place)


def thumbnails(pack: StylePack, rows: Sequence[int]) -> Iterator[Tensor]:
    """The part in each of some styles: (3, SIDE, SIDE), uint8."""
    stage, (part, _) = Restyle(pack=pack), SCENES[PART](SIDE).finished()
    for start in tqdm(range(0, len(rows), BATCH), "restyle", unit="batch"):
        codes = pack.codes[rows[start : start + BATCH]]
        yield from stage.render(part.expand(len(codes), -1, -1, -1), RestyleParams.of(codes))


def write(pack: StylePack, out: Path) -> None:
    """Write ``sheet-N.webp``, thumbnails row by row, and ``styles.js``: what is on them."""
    out.mkdir(parents=True, exist_ok=True)
    rows, held = in_order(pack), COLUMNS * ROWS
    sheets = -(-len(rows) // held)
    drawn = thumbnails(pack, rows)
    for number in range(sheets):
        count = min(held, len(rows) - number * held)
        size = (COLUMNS * THUMBNAIL, -(-count // COLUMNS) * THUMBNAIL)
        sheet = Image.new("RGB", size)
        for k in range(count):
            small = to_image(next(drawn)).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
            sheet.paste(small, (k % COLUMNS * THUMBNAIL, k // COLUMNS * THUMBNAIL))
        sheet.save(out / f"sheet-{number}.webp", quality=52, method=6)
    index = {
        "pack": Path(pack.source).stem if pack.source else "",
        "id": pack.id,
        "columns": COLUMNS,
        "rows": ROWS,
        "styles": [{"name": pack.names[row], "tags": pack.tags[row]} for row in rows],
    }
    script = f"{ASSIGNS}{json.dumps(index, separators=(',', ':'))};\n"
    (out / "styles.js").write_text(script, encoding="utf-8")


def read_index(folder: Path) -> dict[str, Any]:
    """What ``styles.js`` tells."""
    script = (folder / "styles.js").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(script.removeprefix(ASSIGNS).rstrip().removesuffix(";"))
    return found


def main(arguments: Sequence[str]) -> None:
    """Write the folder."""
    parser = parser_of(__doc__)
    parser.add_argument("--pack", default=DEFAULT_PACK)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    write(StylePack.load(options.pack), options.out)
    size = sum(file.stat().st_size for file in options.out.iterdir())
    print(f"{options.out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
