"""``StylePack``: a network, its encoder and its named styles, in one safetensors file."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.checks import WeightsError, check_image_tensor
from styleaug.color import to_float, to_rgb
from styleaug.nn.encoder import STYLE_SIZE, Stylizer
from styleaug.nn.features import cached_features
from styleaug.nn.stylenet import ReferenceNet, StyleNet, StyleNetConfig
from styleaug.weights import building, bundled_dir, digest, load_safetensors, save_safetensors

FORMAT = 1
_CACHE_SIZE = 8
_LONGEST = 4
"""Short sides of a reference image that are looked at: its middle tells the style, and memory is
bounded."""
_networks: OrderedDict[tuple[str, torch.device, torch.dtype], Stylizer] = OrderedDict()
_forked = False


def _mark_forked() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)


def prepare_process(device: torch.device) -> None:
    """Guard against two traps of forked processes, just before a network runs there.

    A convolution hangs in a child that was forked after its parent used several threads, unless the
    child keeps to one (torch's own DataLoader workers do); and CUDA cannot start in a forked child
    at all.

    Raises:
        RuntimeError: if CUDA is asked for in a forked child.
    """
    if not _forked:
        return
    if device.type == "cuda":
        raise RuntimeError(
            "StyleAugment must not run on CUDA inside a forked worker. Let the workers give CPU "
            "images, and apply it to the batch on the GPU in the main process, or start workers by "
            "'spawn'."
        )
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)


def inference_dtype(device: torch.device) -> torch.dtype:
    """The fastest dtype that restyles well.

    float16 on CUDA, bfloat16 on CPUs that compute in it, else float32.
    """
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu" and cpu_has_bf16():
        return torch.bfloat16
    return torch.float32


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; emulated, it is slower than float32."""
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe()) if probe else False


class StylePack:
    """A trained style network with its styles.

    Args:
        stylizer: network and encoder.
        codes: one row a style (N, code_size).
        names: of the rows, unique.
        tags: of each row.
        info: provenance: sources, licence, recipe; anything that JSON can hold.
        source: what :meth:`load` loads it from, if it was loaded.

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
        self._source = source
        # half precision: what the file holds; so a pack is the same before and after saving
        self._state = {k: v.detach().half().cpu() for k, v in stylizer.state_dict().items()}
        self.id = digest({**self._state, "codes": self.codes})

    def __repr__(self) -> str:
        return f"StylePack({self._source or 'in memory'!r}, {len(self)} styles, id={self.id[:12]})"

    def __len__(self) -> int:
        return len(self.names)

    def __reduce__(self) -> tuple[Any, ...]:
        """A pack from a file pickles as its path: a transform costs bytes to send to a worker."""
        if self._source is not None:
            return (StylePack.load, (self._source,))
        return (_rebuild, (self.config, self._state, self.codes, self.names, self.tags, self.info))

    @classmethod
    def load(cls, source: str | Path = "base") -> StylePack:
        """Load a bundled pack by name, or a pack file.

        Args:
            source: a name in :func:`bundled_packs`, or the path of a ``.safetensors`` file.

        Raises:
            WeightsError: if it is missing, damaged, or not a pack.
        """
        bundled = bundled_packs()
        path = bundled.get(str(source), Path(source))
        if not path.is_file():
            raise WeightsError(
                f"pack must be one of {sorted(bundled)} or the path of a pack file, but got "
                f"{str(source)!r}."
            )
        tensors, metadata = load_safetensors(path)
        if metadata.get("kind") != "pack" or metadata.get("format") != FORMAT:
            raise WeightsError(
                f"{path} must be a style pack of format {FORMAT}, but is of kind "
                f"{metadata.get('kind')!r}, format {metadata.get('format')!r}."
            )
        source = str(source) if str(source) in bundled else str(path.resolve())
        try:
            codes, config = tensors.pop("codes"), StyleNetConfig(**metadata["config"])
            entries = [metadata[key] for key in ("names", "tags", "info")]
            return cls(_stylizer(config, tensors), codes, *entries, source=source)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise WeightsError(
                f"{path} must describe its network and styles, but its header is damaged "
                f"({error!r}). Copy it again."
            ) from error

    @classmethod
    def random(
        cls, config: StyleNetConfig | None = None, *, rows: int = 8, seed: int = 0
    ) -> StylePack:
        """A pack with random weights, for tests and speed measurements."""
        with building():
            torch.default_generator.manual_seed(seed)
            stylizer = Stylizer(config or StyleNetConfig())
            embeddings = torch.randn(rows, stylizer.net.config.embedding)
            pictures = torch.rand(rows, 3, 16, 16) * torch.rand(rows, 3, 1, 1)
            with torch.no_grad():
                codes = torch.cat([embeddings, stylizer.net.statistics(pictures)], dim=1)
        names = [f"random-{i}" for i in range(rows)]
        return cls(stylizer, codes, names, [("random",)] * rows)

    def save(self, path: str | Path) -> None:
        """Write the pack atomically."""
        metadata = {
            "kind": "pack",
            "format": FORMAT,
            "config": self.config.to_dict(),
            "names": self.names,
            "tags": self.tags,
            "info": self.info,
        }
        save_safetensors(path, {**self._state, "codes": self.codes}, metadata)

    def extended(
        self,
        codes: Tensor,
        names: Sequence[str],
        tags: Sequence[Sequence[str]],
        added: Mapping[str, Any] | None = None,
        *,
        own: Sequence[Tensor | None] | None = None,
    ) -> StylePack:
        """A new pack with more rows; this one, its network and its rows stay as they are.

        Args:
            codes: (N, code_size).
            names: of the new rows.
            tags: of each of them.
            added: provenance by name, kept in ``info["added"]``.
            own: parameters of their own (P,) of those rows that have some, as
                :func:`styleaug.newstyle.fit_style` finds them; None of the others.

        Raises:
            ValueError: if shapes do not fit, or a name is taken.
        """
        self.check_new(names)
        stylizer = _stylizer(self.config, self._state)
        own = [None] * len(codes) if own is None else own
        values = [value.float().cpu() for value in own if value is not None]
        if values:
            stylizer = stylizer.with_own(torch.stack(values))
        shares = torch.zeros(len(codes), len(values), device="cpu")
        rows = [row for row, value in enumerate(own) if value is not None]
        shares[rows, torch.arange(len(rows), device="cpu")] = 1.0
        return StylePack(
            stylizer,
            torch.cat(
                [
                    F.pad(self.codes, (0, len(values))),
                    torch.cat([codes.float().cpu(), shares], dim=1),
                ]
            ),
            [*self.names, *names],
            [*self.tags, *tags],
            {**self.info, "added": {**self.info.get("added", {}), **(added or {})}},
        )

    def check_new(self, names: Iterable[str]) -> None:
        """Raise if a new style cannot have one of these names.

        Raises:
            ValueError: if a name is taken, by a row or by a tag.
        """
        known = {*self.names, *(tag for tags in self.tags for tag in tags), "all", "batch"}
        taken = sorted(set(names) & known)
        if taken:
            raise ValueError(
                f"New styles need names of their own, but {', '.join(taken)} exist in {self!r}."
            )

    def rows(self, styles: str | Iterable[str] = "all") -> list[int]:
        """Rows that are meant by ``"all"``, tags and names; see ``StyleAugment(styles=...)``.

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
                tags = sorted({tag for row in self.tags for tag in row})
                raise ValueError(
                    f"styles must be 'all', tags ({', '.join(tags)}), names of rows, or paths of "
                    f"reference images, but {entry!r} is none of them. 'styleaug packs --names' "
                    "lists names."
                )
            chosen.update(dict.fromkeys(found))
        return list(chosen)

    def code(self, style: str | Mapping[str, float]) -> Tensor:
        """The code (code_size,) of a style, or of a mixture.

        Args:
            style: a name, or a tag, which stands for the mean of its rows; or several with their
                weights, of which only the ratios count.

        Raises:
            ValueError: if an entry is unknown, or the weights are negative or all 0.

        Examples:
            >>> pack = StylePack.random()
            >>> half = pack.code({"random-0": 1, "random-1": 1})
            >>> torch.allclose(half, (pack.codes[0] + pack.codes[1]) / 2)
            True
        """
        weights = {style: 1.0} if isinstance(style, str) else dict(style)
        total = sum(weights.values())
        if not total > 0 or min(weights.values()) < 0:
            raise ValueError(
                f"Weights of styles must be at least 0, and some above, but got {style}."
            )
        codes = torch.stack([self.codes[self.rows(entry)].mean(0) for entry in weights])
        shares = torch.tensor(
            [w / total for w in weights.values()], dtype=torch.float32, device="cpu"
        )
        return shares @ codes

    def stylizer(self, device: torch.device, dtype: torch.dtype | None = None) -> Stylizer:
        """The network and encoder on a device, cached per process; do not change it.

        Args:
            device: where it runs.
            dtype: of its weights; :func:`inference_dtype` if not given.
        """
        prepare_process(device)
        key = (self.id, device, dtype or inference_dtype(device))
        if key not in _networks:
            with building():
                stylizer = _stylizer(self.config, self._state).requires_grad_(False).eval()
                _networks[key] = stylizer.to(memory_format=torch.channels_last).to(*key[1:])
            while len(_networks) > _CACHE_SIZE:
                _networks.popitem(last=False)
        _networks.move_to_end(key)
        return _networks[key]

    def network(self, device: torch.device) -> StyleNet | ReferenceNet:
        """The network alone; see :meth:`stylizer`."""
        return self.stylizer(device).net

    def encode(self, images: Tensor) -> Tensor:
        """Style codes of reference images, without training.

        Args:
            images: (B, C, H, W), uint8 or float in [0, 1], C = 1 or 3, on any device.

        Returns:
            (B, code_size), float32, on the images' device.

        Raises:
            ValueError: if the shape or the values are out of bounds.
            TypeError: if the dtype is neither uint8 nor floating point.
        """
        prepare_process(images.device)
        check_image_tensor(images, "a reference image")
        if images.ndim != 4:
            raise ValueError(
                f"encode needs reference images (B, C, H, W), but got {tuple(images.shape)}."
            )
        # no_grad, not inference_mode: whoever trains on a code needs an ordinary tensor
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            x = as_style(images)
            # float32: a code serves many images, so its precision is worth its time
            stylizer = self.stylizer(x.device, torch.float32)
            return stylizer.encode(x, cached_features("vgg16", x.device, torch.float32)).float()


def bundled_packs() -> dict[str, Path]:
    """Names and files of the packs that ship with the package."""
    files = sorted(bundled_dir().glob("*/pack.safetensors"))
    return {file.parent.name: file for file in files}


def as_style(images: Tensor) -> Tensor:
    """Reference images (B, C, H, W) as they are looked at: RGB, float, short side STYLE_SIZE."""
    images = _middle(images)
    height, width = images.shape[-2:]
    scale = STYLE_SIZE / min(height, width)
    size = (max(STYLE_SIZE, round(height * scale)), max(STYLE_SIZE, round(width * scale)))
    x = to_rgb(to_float(images))
    if size == (height, width):
        return x
    return F.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)


def _middle(images: Tensor) -> Tensor:
    """The middle of images longer than _LONGEST short sides: a line scan may be a thousand long."""
    longest = _LONGEST * min(images.shape[-2:])
    top, left = (max(0, length - longest) // 2 for length in images.shape[-2:])
    return images[..., top : top + longest, left : left + longest]


def _stylizer(config: StyleNetConfig, state: Mapping[str, Tensor]) -> Stylizer:
    prepare_process(torch.device("cpu"))
    with building():
        stylizer = Stylizer(config)
        try:
            stylizer.load_state_dict({k: v.float() for k, v in state.items()}, strict=True)
        except RuntimeError as error:
            raise WeightsError(
                f"The pack's tensors do not fit its network config {config}: {error}"
            ) from error
    return stylizer


def _rebuild(config: StyleNetConfig, state: dict[str, Tensor], *rest: Any) -> StylePack:
    return StylePack(_stylizer(config, state), *rest)
