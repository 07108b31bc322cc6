"""Add the rows of the looks to a pack: the encoder's codes of drawn pictures, without training.

    python -m benchmarks.newstyles.looks PACK --out FILE

The pictures are :mod:`styleaug.styles.media`'s. Rows that the pack has already are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.rows import parser_of
from styleaug.networks import encode
from styleaug.pack import StylePack
from styleaug.styles.media import MEDIA, draw_medium

TAG = "medium"
SOURCE = "drawn by styleaug.styles.media, Apache-2.0"


def main(arguments: Sequence[str]) -> None:
    """Encode, extend, write."""
    parser = parser_of(__doc__)
    parser.add_argument("pack")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    pack = StylePack.load(options.pack)
    names = [name for name in MEDIA if name not in pack.names]
    if not names:
        raise SystemExit(f"{options.pack} has all looks: {', '.join(MEDIA)}.")
    codes = torch.cat([encode(pack, draw_medium(name)[None]) for name in names])
    more = pack.extended(codes, names, [(TAG,)] * len(names))
    more.info["sources"] = {**more.info["sources"], TAG: SOURCE}
    more.save(options.out)
    print(options.out, len(more), "styles")


if __name__ == "__main__":
    main(sys.argv[1:])
