"""``export_pack``: a pack as a folder that :class:`styleaug.edge.Restyler` and others run."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from styleaug.edge import CELL, FORMAT
from styleaug.errors import StyleAugError
from styleaug.export import executorch
from styleaug.export.graphs import Part, draw_pictures, parts_of, restyle_inputs
from styleaug.export.onnx import require, write_fp16, write_fp32, write_int8
from styleaug.export.prune import MOST_PRUNED, prune
from styleaug.images.checks import check_number, check_path
from styleaug.images.io import list_images, load_rgb, spread, to_tensor
from styleaug.pack import StylePack

PRECISIONS = ("fp32", "fp16", "int8")

CALIBRATION = 32
"""Pictures that show the quantization which values occur."""

_SIDE = 256
"""Of the pictures that calibrate and check, in pixels."""
_CHECKED = 8

LEAST_PSNR = {"fp32": 60.0, "fp16": 40.0, "int8": 28.0}
"""Of restyled images against PyTorch in float32, in decibels: below, nothing is written."""
MOST_DEVIATION = {"fp32": 0.01, "fp16": 0.05, "int8": 0.5}
"""Of codes from the encoder: mean difference, in standard deviations over the styles."""

Run = Callable[[Mapping[str, Tensor]], Tensor]
"""A network elsewhere: what it takes, by name, to what it gives."""

_SPARED = {
    "restyle": ("net.stem", "net.out.", "net.out_norm"),  # their errors are errors of pixels
    "encoder": ("stylizer.net",),  # two convolutions; their statistics are the code itself
}


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Settings of an export.

    Attributes:
        out: target folder; it must be new, empty, or hold an earlier export.
        fp16: whether to write float16 networks, too.
        int8: whether to write 8-bit networks, too.
        pte: whether to write an ExecuTorch program, too, for one image at a time.
        prune: share of the channels to remove first, see :func:`~styleaug.export.prune.prune`.
        minutes: minutes of fine-tuning after pruning.
        calibrate: pictures, or folders of pictures, like those to restyle; by default quantization
            and pruning use procedural finishes.
    """

    out: Path
    fp16: bool = False
    int8: bool = False
    pte: bool = False
    prune: float = 0.0
    minutes: float = 10.0
    calibrate: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Check the amounts.

        Raises:
            ValueError: if one is out of bounds.
        """
        check_number("prune", self.prune, 0.0, MOST_PRUNED)
        check_number("minutes", self.minutes, 0.0)

    @property
    def precisions(self) -> list[str]:
        """Float32 and the other requested precisions."""
        return ["fp32", *(name for name in ("fp16", "int8") if getattr(self, name))]


@dataclass(frozen=True)
class Exported:
    """One file of an export.

    Attributes:
        part: ``"restyle"``, ``"encoder"``, or ``"executorch"`` for the former as a program.
        precision: of its weights.
        file: its name.
        bytes: its size.
        deviation: from PyTorch in float32: of restyled images the largest difference of a value in
            [0, 1], and ``psnr`` in decibels; of codes the mean difference in standard deviations
            over the styles.
    """

    part: str
    precision: str
    file: str
    bytes: int
    deviation: dict[str, float]


def export_pack(
    pack: StylePack,
    config: ExportConfig,
    callback: Callable[[str], object] | None = None,
) -> list[Exported]:
    """Write a pack's network, encoder and codes for other runtimes, and verify each network.

    ``restyle.onnx`` is the whole :class:`~styleaug.Restyle` stage, ``encoder.onnx`` encodes any
    picture, ``codes.npy`` holds the pack's styles, and ``export.json`` their names and the measured
    deviations. Float16 and 8-bit networks are written beside them.

    Args:
        pack: pack to export.
        config: settings and target folder.
        callback: called with a description of each step.

    Returns:
        The networks that were written.

    Raises:
        MissingExtraError: if the extra ``export`` is not installed.
        ValueError: if the folder holds something else, or there is no picture for calibration.
        StyleAugError: if a network deviates from PyTorch by more than its precision explains.
    """
    require()
    if config.pte:
        executorch.require()
    _check_free(config.out)
    pictures = _calibration(config)
    hear = callback or (lambda text: None)
    if config.prune:
        assert pictures is not None
        hear("fine-tuning")
        pack = prune(pack, config.prune, pictures, minutes=config.minutes)
    config.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".styleaug-", dir=config.out.parent) as place:
        folder, made = Path(place), []
        for part in parts_of(pack):
            for precision in config.precisions:
                hear(f"{part.name}, {precision}")
                made.append(_make(pack, part, precision, folder, pictures))
            if config.pte and part.name == "restyle":
                hear("executorch, fp32")
                made.append(_make_program(pack, part, folder))
        np.save(folder / "codes.npy", pack.codes.numpy())
        told = json.dumps(_described(pack, made), indent=1)
        (folder / "export.json").write_text(told, encoding="utf-8")
        folder.chmod(0o755)  # temporary folders are private
        if config.out.exists():
            shutil.rmtree(config.out)
        shutil.copytree(folder, config.out)
    return made


def _check_free(out: Path) -> None:
    check_path("out", out)
    if out.is_file() or (
        out.is_dir() and any(out.iterdir()) and not (out / "export.json").is_file()
    ):
        raise ValueError(
            f"out must be a new or empty folder, or an earlier export, but {out} holds other files."
        )


def _calibration(config: ExportConfig) -> Tensor | None:
    """Pictures (N, 3, S, S) in [0, 1], if any are needed."""
    if not (config.int8 or config.prune):
        return None
    if not config.calibrate:
        return draw_pictures(CALIBRATION, _SIDE)
    files = [file for source in config.calibrate for file in list_images(source)]
    if not files:
        raise ValueError(
            f"calibrate must hold pictures, but {', '.join(map(str, config.calibrate))} has none."
        )
    return torch.stack([_square(file) for file in spread(files, CALIBRATION)])


def _square(file: Path) -> Tensor:
    """The middle of a picture."""
    picture = load_rgb(file)
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    box = (left, top, left + side, top + side)
    return to_tensor(picture.resize((_SIDE, _SIDE), box=box)) / 255


def _make(
    pack: StylePack, part: Part, precision: str, folder: Path, pictures: Tensor | None
) -> Exported:
    """Write one network and check it."""
    exact = folder / f"{part.name}.onnx"
    path = exact if precision == "fp32" else folder / f"{part.name}-{precision}.onnx"
    if precision == "fp32":
        write_fp32(part, path, {"pack": pack.id, "styleaug": version("styleaug")})
    elif precision == "fp16":
        write_fp16(exact, path)
    else:
        assert pictures is not None
        feeds = [feed for k in range(len(pictures)) for feed in _feeds(pack, part, pictures, k)]
        write_int8(exact, path, feeds, kept=_SPARED[part.name])
    session = _session(path)
    deviation = check(pack, part, path.name, session, precision)
    return Exported(part.name, precision, path.name, path.stat().st_size, deviation)


def _make_program(pack: StylePack, part: Part, folder: Path) -> Exported:
    path = folder / "restyle.pte"
    executorch.write_pte(part, path)
    deviation = check(pack, part, path.name, executorch.Program(path), "fp32")
    return Exported("executorch", "fp32", path.name, path.stat().st_size, deviation)


def _session(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(feed: Mapping[str, Tensor]) -> Tensor:
        arrays = {name: values.numpy() for name, values in feed.items()}
        return torch.from_numpy(session.run(None, arrays)[0])

    return run


def _feeds(pack: StylePack, part: Part, pictures: Tensor, k: int) -> list[dict[str, Tensor]]:
    picture = pictures[k : k + 1]
    if part.name == "encoder":
        return [{"picture": picture}]
    return [restyle_inputs(pack, picture, seed=k)]


def check(pack: StylePack, part: Part, name: str, found: Run, precision: str) -> dict[str, float]:
    """How far a network deviates from PyTorch in float32, on pictures that did not calibrate it.

    Args:
        pack: what was exported.
        part: the network in PyTorch.
        name: how the message calls it.
        found: runs it elsewhere.
        precision: of its weights.

    Raises:
        StyleAugError: if it deviates by more than its precision explains.
    """

    def run(feed: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return found(feed), part.graph(*feed.values())

    pictures = draw_pictures(CALIBRATION + _CHECKED, _SIDE)[CALIBRATION:]
    if part.name == "encoder":
        spread_of = pack.codes.std(0, correction=0) + 1e-4
        pairs = [run({"picture": picture[None]}) for picture in pictures]
        mean = torch.stack([((a - b).abs() / spread_of).mean() for a, b in pairs]).mean().item()
        good, told = mean <= MOST_DEVIATION[precision], {"mean": mean}
    else:
        shapes: Sequence[tuple[int, int]] = ((_SIDE, _SIDE), (64, 192), (CELL * 4, CELL * 5))
        pairs = [
            run(restyle_inputs(pack, pictures[k : k + 2, :, :height, :width], seed=k))
            for k, (height, width) in enumerate(shapes)
        ]
        pairs.append(run(restyle_inputs(pack, pictures, seed=9, strength=0.6, texture=0.5)))
        largest = max((a - b).abs().max().item() for a, b in pairs)
        squares = [(a - b).square().mean((1, 2, 3)) for a, b in pairs]
        psnr = -10 * torch.cat(squares).mean().clamp_min(1e-12).log10().item()
        good, told = psnr >= LEAST_PSNR[precision], {"largest": largest, "psnr": psnr}
    if not good:  # NaN is not, either
        raise StyleAugError(
            f"An exported network must compute what PyTorch computes, but {name} of {pack!r} "
            f"deviates by {told}. Nothing is written; calibrate on pictures like those to be "
            "restyled, or leave this precision out."
        )
    return {name: round(value, 6) for name, value in told.items()}


def _described(pack: StylePack, made: Sequence[Exported]) -> dict[str, Any]:
    files: dict[str, dict[str, str]] = {}
    for each in made:
        files.setdefault(each.part, {})[each.precision] = each.file
    return {
        "format": FORMAT,
        "pack": {"name": Path(pack.source or "in memory").name, "id": pack.id},
        "pruned": pack.info.get("pruned", 0.0),
        "styleaug": version("styleaug"),
        "files": files,
        "cell": CELL,
        "code_size": pack.config.code_size,
        "bytes": {each.file: each.bytes for each in made},
        "deviation": {each.file: each.deviation for each in made},
        "names": list(pack.names),
        "tags": [list(tags) for tags in pack.tags],
        "sources": pack.info.get("sources", {}),
    }
