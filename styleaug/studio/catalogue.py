"""All styles of a pack: found by words, and shown on one small part."""

from __future__ import annotations

from functools import lru_cache
from itertools import zip_longest

import torch
from torch import Tensor

from styleaug.images.color import to_dtype
from styleaug.pack import StylePack
from styleaug.stages.restyle import Restyle, RestyleParams

THUMBNAIL = 80
"""Side of a thumbnail, in pixels."""


class Catalogue:
    """The styles of a pack.

    Args:
        pack: name or path of it.
    """

    def __init__(self, pack: str) -> None:
        self.pack = StylePack.load(pack)
        self.restyle = Restyle(pack=pack)
        self._texts = [
            " ".join([name, *tags]).casefold()
            for name, tags in zip(self.pack.names, self.pack.tags, strict=True)
        ]
        self._thumbnails: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.pack)

    @property
    def tags(self) -> list[str]:
        """All tags, sorted."""
        return sorted({tag for tags in self.pack.tags for tag in tags})

    def search(self, words: str) -> list[int]:
        """Rows whose name and tags hold all words; those with a tag of that name come first.

        Without words all rows, of each kind one in turn.
        """
        wanted = words.casefold().split()
        if not wanted:
            kinds: dict[tuple[str, ...], list[int]] = {}
            for row, tags in enumerate(self.pack.tags):
                kinds.setdefault(tags, []).append(row)
            return [r for turn in zip_longest(*kinds.values()) for r in turn if r is not None]
        found = [r for r, text in enumerate(self._texts) if all(word in text for word in wanted)]
        exact = [any(tag.casefold() in wanted for tag in self.pack.tags[row]) for row in found]
        return [row for row, _ in sorted(zip(found, exact, strict=True), key=lambda e: not e[1])]

    def thumbnails(self, rows: list[int]) -> list[Tensor]:
        """A small part in each of some styles, (3, side, side), uint8; each is made once."""
        missing = [row for row in dict.fromkeys(rows) if row not in self._thumbnails]
        if missing:
            part = _part().expand(len(missing), -1, -1, -1)
            params = RestyleParams.of(self.pack.codes[missing])
            made = self.restyle.render(part, params)
            self._thumbnails.update(zip(missing, made, strict=True))
        return [self._thumbnails[row] for row in rows]


@lru_cache(maxsize=1)
def _part() -> Tensor:
    """What is restyled: (1, 3, side, side), uint8: a gray plate with a round, raised boss."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, THUMBNAIL, device="cpu")] * 2, indexing="ij")
    radius = (x.square() + y.square()).sqrt()
    edge = (-0.5 * ((radius - 0.62) / 0.06).square()).exp()  # its bevel, lit from above left
    gray = 0.5 + 0.08 * (radius < 0.62) - 0.05 * (x + y) - 0.25 * edge * (x + y)
    return to_dtype(gray.expand(3, -1, -1), torch.uint8)[None]


@lru_cache(maxsize=4)
def catalogue(pack: str) -> Catalogue:
    """The :class:`Catalogue` of a pack; made once."""
    return Catalogue(pack)
