"""``StylePack``: a network, its encoder and its named styles, in one safetensors file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.errors import WeightsError, did_you_mean
from styleaug.images.checks import check_number, check_path, check_whole
from styleaug.nn.encoder import Stylizer
from styleaug.nn.norm import VARIANCE_FLOOR
from styleaug.nn.stylenet import StyleNetConfig
from styleaug.runtime import building, initializing, prepare_process
from styleaug.weights import bundled_dir, digest, load_safetensors, save_safetensors

FORMAT = 1

DEFAULT_PACK = "fast"
"""Taken where none is named: of the bundled packs the one of less arithmetic."""


class StylePack:
    """A trained style network with its styles.

    Args:
        stylizer: network and encoder.
        codes: one row per style (N, code_size).
        names: unique names of the rows.
        tags: tags of each row.
        info: provenance: sources, licence, recipe; any JSON values.
        source: the argument of :meth:`load`, if the pack was loaded.

    Attributes:
        config: shape of the network.
        codes: (N, code_size), float32.
        state: weights of network and encoder, float16.
        id: SHA-256 of everything that determines the output: weights, codes, variance floor.

    Examples:
        >>> pack = StylePack.random()
        >>> pack.codes.shape[0] == len(pack.names)
        True
    """

    def __init__(
        self,
        stylizer: Stylizer,
        codes: Tensor,
        names: Sequence[str],
        tags: Sequence[Sequence[str]],
        info: Mapping[str, Any] | None = None,
        *,
        source: str | None = None,
    ) -> None:
        if not (len(codes) == len(names) == len(tags) == len(set(names))) or not len(codes):
            raise ValueError(
                f"A pack needs one unique name and one tuple of tags per code, but got "
                f"{len(codes)} codes, {len(names)} names ({len(set(names))} unique) and "
                f"{len(tags)} tags."
            )
        if not all(isinstance(text, str) for texts in (names, *tags) for text in texts):
            raise TypeError(f"Names and tags of a pack must be texts, but are {names} and {tags}.")
        self.config: StyleNetConfig = stylizer.net.config
        if codes.shape[1:] != (self.config.code_size,):
            raise ValueError(
                f"A pack needs codes (N, {self.config.code_size}) for its network, but got "
                f"{tuple(codes.shape)}."
            )
        self.codes = codes.detach().float().cpu()
        self.names = tuple(names)
        self.tags = tuple(tuple(t) for t in tags)
        self.info = dict(info or {})
        self.source = source
        # half precision: what the file holds; so a pack is the same before and after saving
        self.state = {k: v.detach().half().cpu() for k, v in stylizer.state_dict().items()}
        told = {**self.state, "codes": self.codes}
        if self.config.floor != VARIANCE_FLOOR:  # which no shape of a tensor tells
            told["floor"] = torch.tensor(self.config.floor)
        self.id = digest(told)

    def __repr__(self) -> str:
        return f"StylePack({self.source or 'in memory'!r}, {len(self)} styles, id={self.id[:12]})"

    def __len__(self) -> int:
        return len(self.names)

    def __reduce__(self) -> tuple[Any, ...]:
        """A pack from a file pickles as its path: a transform costs bytes to send to a worker."""
        if self.source is not None:
            return (StylePack.load, (self.source,))
        return (_rebuild, (self.config, self.state, self.codes, self.names, self.tags, self.info))

    @classmethod
    def load(cls, source: str | Path = DEFAULT_PACK) -> StylePack:
        """Load a bundled pack by name, or a pack file.

        Args:
            source: a name in :func:`bundled_packs`, or the path of a ``.safetensors`` file.

        Raises:
            WeightsError: if it is missing, damaged, or not a pack.
        """
        bundled = bundled_packs()
        path = bundled.get(str(source)) or check_path("pack", source)
        if not path.is_file():
            raise WeightsError(
                f"pack must be one of {', '.join(bundled)}, or the path of a pack file, but "
                f"{str(source)!r} {'is a folder' if path.is_dir() else 'does not exist'}."
                f"{did_you_mean(source, bundled)}"
            )
        tensors, metadata = load_safetensors(path)
        if metadata.get("kind") != "pack" or metadata.get("format") != FORMAT:
            raise WeightsError(
                f"{path} must be a style pack of format {FORMAT}, but is of kind "
                f"{metadata.get('kind')!r}, format {metadata.get('format')!r}."
            )
        source = str(source) if str(source) in bundled else str(path.resolve())
        try:
            codes, config = tensors.pop("codes"), StyleNetConfig(**_renamed(metadata["config"]))
            entries = [metadata[key] for key in ("names", "tags", "info")]
            return cls(build_stylizer(config, _renamed(tensors)), codes, *entries, source=source)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise WeightsError(
                f"{path} must describe its network and styles, but its header is damaged "
                f"({error!r}). Copy it again."
            ) from error

    @classmethod
    def random(
        cls, config: StyleNetConfig | None = None, *, rows: int = 8, seed: int = 0
    ) -> StylePack:
        """Build a pack with random weights, for tests and speed measurements."""
        check_whole("rows", rows, 1)
        with initializing(seed):
            stylizer = Stylizer(config or StyleNetConfig())
            embeddings = torch.randn(rows, stylizer.net.config.embedding)
            pictures = torch.rand(rows, 3, 16, 16) * torch.rand(rows, 3, 1, 1)
            with torch.no_grad():
                codes = torch.cat([embeddings, stylizer.net.statistics(pictures)], dim=1)
        names = [f"random-{i}" for i in range(rows)]
        return cls(stylizer, codes, names, [("random",)] * rows)

    def save(self, path: str | Path) -> None:
        """Write the pack atomically.

        Raises:
            WeightsError: if weights or codes are NaN or infinite.
            ValueError: if the path is blank.
        """
        check_path("path", path)
        metadata = {
            "kind": "pack",
            "format": FORMAT,
            "config": asdict(self.config),
            "names": self.names,
            "tags": self.tags,
            "info": self.info,
        }
        save_safetensors(path, {**self.state, "codes": self.codes}, metadata)

    def extended(
        self,
        codes: Tensor,
        names: Sequence[str],
        tags: Sequence[Sequence[str]],
        added: Mapping[str, Any] | None = None,
        *,
        style_residuals: Sequence[Tensor | None] | None = None,
    ) -> StylePack:
        """Return a new pack with more rows; this pack does not change.

        Args:
            codes: (N, code_size).
            names: names of the new rows.
            tags: tags of each new row.
            added: provenance by name, kept in ``info["added"]``.
            style_residuals: residual (P,) of each row from :func:`styleaug.styles.fit_style`, or
                None; by default None for all.

        Raises:
            ValueError: if shapes do not fit, or a name is taken.
        """
        self.check_new(names)
        stylizer = build_stylizer(self.config, self.state)
        given = {k: r.float().cpu() for k, r in enumerate(style_residuals or ()) if r is not None}
        if given:
            stylizer = stylizer.with_style_residuals(torch.stack([*given.values()]))
        shares = torch.zeros(len(codes), len(given), device="cpu")
        shares[[*given], torch.arange(len(given), device="cpu")] = 1.0
        new = torch.cat([codes.float().cpu(), shares], dim=1)
        return StylePack(
            stylizer,
            torch.cat([F.pad(self.codes, (0, len(given))), new]),
            [*self.names, *names],
            [*self.tags, *tags],
            {**self.info, "added": {**self.info.get("added", {}), **(added or {})}},
        )

    def check_new(self, names: Iterable[str]) -> None:
        """Raise an error if a new style cannot have one of these names.

        Raises:
            ValueError: if a name is taken, by a row or by a tag, or is blank.
        """
        names = list(names)
        if not all(name.strip() for name in names):
            raise ValueError(f"New styles need names, but one of {names} is blank.")
        known = {*self.names, *(tag for tags in self.tags for tag in tags), "all", "batch"}
        taken = sorted(set(names) & known)
        if taken:
            raise ValueError(
                f"New styles need names that are free, but {', '.join(taken)} exist in {self!r}. "
                "Choose others."
            )

    def rows(self, styles: str | Iterable[str] = "all") -> list[int]:
        """Return the rows of ``"all"``, tags and names; see ``Restyle(styles=...)``.

        Raises:
            ValueError: if an entry is neither a tag nor a name of this pack.
        """
        entries = [styles] if isinstance(styles, str) else list(styles)
        chosen: dict[int, None] = {}
        for entry in entries:
            found = [
                i
                for i, (name, tags) in enumerate(zip(self.names, self.tags, strict=True))
                if entry in ("all", name) or entry in tags
            ]
            if not found:
                shown = f"'styleaug packs {quote(self.source or '')} --names'"
                told = shown if self.source else "pack.names"
                known = {"all", *self.names, *(tag for row in self.tags for tag in row)}
                raise ValueError(
                    f"styles must be 'all', tags or names of styles, or paths of images, but "
                    f"{entry!r} is none of them.{did_you_mean(entry, known)} {told} "
                    "lists all."
                )
            chosen.update(dict.fromkeys(found))
        return list(chosen)

    def code(self, style: str | Mapping[str, float]) -> Tensor:
        """Return the code (code_size,) of a style, or of a mixture.

        Args:
            style: a name; a tag, which stands for the mean of its rows; or several of these with
                weights, of which only the ratios matter.

        Raises:
            ValueError: if an entry is unknown, or the weights are negative or all 0.

        Examples:
            >>> pack = StylePack.random()
            >>> half = pack.code({"random-0": 1, "random-1": 1})
            >>> torch.allclose(half, (pack.codes[0] + pack.codes[1]) / 2)
            True
        """
        weights = {style: 1.0} if isinstance(style, str) else dict(style)
        for entry, weight in weights.items():
            check_number(f"The weight of {entry!r}", weight, 0)
        total = sum(weights.values())
        if not total > 0:
            raise ValueError(f"One of the weights of styles must be above 0, but got {style}.")
        codes = torch.stack([self.codes[self.rows(entry)].mean(0) for entry in weights])
        shares = torch.tensor(
            [w / total for w in weights.values()], dtype=torch.float32, device="cpu"
        )
        return shares @ codes


def bundled_packs() -> dict[str, Path]:
    """Names and files of the packs that ship with the package."""
    files = sorted(bundled_dir().glob("*/pack.safetensors"))
    return {file.parent.name: file for file in files}


def build_stylizer(config: StyleNetConfig, state: Mapping[str, Tensor]) -> Stylizer:
    """A network with a pack's weights, in float32 on the CPU.

    Raises:
        WeightsError: if the tensors do not fit the config.
    """
    prepare_process(torch.device("cpu"))
    with building():
        stylizer = Stylizer(config)
        try:
            stylizer.load_state_dict({k: v.float() for k, v in state.items()}, assign=True)
        except RuntimeError as error:
            raise WeightsError(
                f"The pack's tensors do not fit its network config {config}: {error}"
            ) from error
    return stylizer


def _renamed(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a config, or tensors, under today's names: files may hold older ones."""
    old = re.compile(r"(^|\.)own$")
    return {old.sub(r"\1style_residuals", name): value for name, value in dict(entries).items()}


def _rebuild(config: StyleNetConfig, state: dict[str, Tensor], *rest: Any) -> StylePack:
    return StylePack(build_stylizer(config, state), *rest)
