"""Colours that several families share, as hexadecimal RGB."""

from __future__ import annotations


def _palette(codes: str) -> tuple[str, ...]:
    return tuple(codes.split())


STEELS = _palette("8c8f94 9b9892 75797f aeb0b2 5e6164 84807a b9b6b0 7d858f c9cacb 4b4d50")
METALS = STEELS + _palette("b87352 c09a52 a8834a c8a878 9c7b63 8f939f bfb39a d2d3d4")
PAINTS = _palette(
    "e8e6e0 d8d5cc c23b2e 2f5f9e 2d7a4b e0a92a e4712b 1f2429 7f868c 38506b 8a1f28 f0f0ee "
    "5b8f8a 9a9f6a 4a4f54 c9b79a 6a4f7d 87b0cf"
)
ANODISED = _palette("3a3c40 9aa0a5 b0883a 2c4f8f 7d2630 2f6d5a 5a3f7a c4c6c8 a65a2c 1c1d20")
RUSTS = _palette("8a4a26 a9592a 6b3a22 4a2c20 c07a3e 7c4f35 9a6a48")
EARTHS = _palette("b5663f c68a62 d8c8ac a89f92 8f8a84 c9c4ba 6f6a66 e9e5dc 9c5238")
WHITES = _palette("f1f0ec e6e8ea efe9dc dfe5e3 f5f5f5 d9dde0")
DARKS = _palette("1c1c1d 26272a 332f2d 2a2f35 3b3d3e 4a2a26 26382f")
MASKS = _palette("14532f 0f3d6e 151716 7a1b1f e7e9e6 4b2a6b 1f6b4a 8a6a1c")
LEATHERS = _palette("5a3a26 2a2321 8b5a37 b58b5f 6e1f1f 3d4148 c9b79f 4a4a32")
WOODS = _palette("b98a5a 8c5f3a d0aa78 6a4529 c8a284 e0c79c 53382a a5673f")
CLOTHS = PAINTS + _palette("d9cfc0 b8ab98 4a5568 6b705c 2b3a55 efe8db")
