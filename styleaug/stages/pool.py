"""``StylePool``: the styles that may be drawn, rows of a pack and reference images alike."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from styleaug.files import digest_file
from styleaug.images.io import find_images, load_rgb, to_tensor
from styleaug.networks import encode
from styleaug.pack import StylePack

Styles = str | Path | Iterable[str | Path]
Reference = tuple[str, str]
"""A pack's id, and the SHA-256 of an image's file."""

_encoded: dict[Reference, Tensor] = {}
"""Codes of reference images, each encoded once per process."""


class StylePool:
    """Names and codes of all styles that may be drawn.

    Args:
        pack: whose styles they are, and whose encoder reads reference images.
        styles: ``"all"``, or tags, names, paths of reference images or of folders of them.
        known: codes of reference images from another process.

    Attributes:
        names: of the styles.
        codes: (N, code_size).
        rows: the entries that stand for rows of the pack.
        files: of its reference images, in their order.
        references: codes (1, code_size) of these, for other processes.

    Raises:
        ValueError: if there is no style, or one is unknown or unreadable.
    """

    def __init__(
        self, pack: StylePack, styles: Styles, known: dict[Reference, Tensor] | None = None
    ) -> None:
        entries = [styles] if isinstance(styles, str | Path) else list(styles)
        if not entries:
            raise ValueError("styles must name at least one style, but is empty.")
        if "batch" in entries:
            raise ValueError("styles='batch' stands alone: it cannot be one of several entries.")
        _encoded.update(known or {})
        self.references: dict[Reference, Tensor] = {}
        rows_known = {"all", *pack.names, *(tag for tags in pack.tags for tag in tags)}
        # a Path is never a tag or a name
        self.rows = [str(entry) for entry in entries if entry in rows_known]
        self.files: list[Path] = []
        rows = pack.rows(self.rows)
        self.names, codes = [pack.names[r] for r in rows], [pack.codes[rows]]
        for entry in entries:
            if entry in rows_known:
                continue
            for file in _files(pack, entry):
                self.files.append(file)
                self.names.append(str(file))
                codes.append(self._code(pack, file))
        self.codes = torch.cat(codes)

    def _code(self, pack: StylePack, file: Path) -> Tensor:
        """The code (1, code_size) of a reference image."""
        key = (pack.id, digest_file(file))
        if key not in _encoded:
            try:
                image = to_tensor(load_rgb(file))
            except OSError as error:
                raise ValueError(f"A reference image must be readable: {error}") from error
            _encoded[key] = encode(pack, image[None])
        self.references[key] = _encoded[key]
        return _encoded[key]

    def mixture(self, first: int, second: int, share: float) -> str:
        """What a mixture of two styles is called."""
        if share == 0:
            return self.names[first]
        return f"{self.names[first]} + {share:.2f} {self.names[second]}"


def _files(pack: StylePack, entry: str | Path) -> list[Path]:
    path = Path(entry)
    if str(entry).strip() and path.is_dir():
        return find_images(path)
    if path.is_file():
        return [path]
    pack.rows(str(entry))  # raises, and says what there is
    raise AssertionError("pack.rows knows no such entry")
