"""Draw docs/assets/looks.jpg: a photograph in each look.

    python -m benchmarks.docs.looks [--out FILE]

The photograph, scikit-image's ``coffee``, is in the public domain (CC0).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from skimage.data import coffee
from torch.nn import functional as F

from benchmarks.rows import parser_of
from styleaug import StyleAugment
from styleaug.augment.presets import LOOKS, preset
from styleaug.images.color import to_dtype
from styleaug.images.io import save_image, to_image
from styleaug.pack import DEFAULT_PACK

OUT = Path(__file__).parents[2] / "docs" / "assets" / "looks.jpg"
SIZE = (256, 320)
GAP = 8


def main(options: Sequence[str]) -> None:
    """Draw and write it."""
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--pack", default=DEFAULT_PACK)
    arguments = parser.parse_args(options)
    photo = torch.from_numpy(coffee().copy()).permute(2, 0, 1)[None, :, :, 40:540].float() / 255
    photo = F.interpolate(photo, SIZE, mode="bilinear", antialias=True)
    gap = torch.ones(3, SIZE[0], GAP)
    shown = [photo[0]]
    for name in LOOKS:
        augment = StyleAugment(preset(name, pack=arguments.pack))
        plan = augment.draw(1, torch.Generator().manual_seed(0))
        shown += [gap, augment.render(photo, plan)[0]]
    save_image(arguments.out, to_image(to_dtype(torch.cat(shown, 2), torch.uint8)))
    print(arguments.out)


if __name__ == "__main__":
    main(sys.argv[1:])
