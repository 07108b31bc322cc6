"""The quickest method that brings a new style into a pack: encode, fit, or Gatys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from styleaug.images.checks import check_choice, check_whole
from styleaug.networks import as_picture, encode
from styleaug.pack import StylePack
from styleaug.runtime import prepare_process
from styleaug.styles.fit import fit_style
from styleaug.styles.probes import (
    Probes,
    draw_probes,
    optimise_probes,
    restyle_probes,
    style_targets,
)

ENOUGH, TOO_LITTLE = 0.97, 0.8
"""Shares of the style transfer ratio that an optimisation of the pixels reaches: from the first on,
the encoder's code is good enough as it is, since a fit has little left to gain; below the second,
the network does not master the style."""
METHODS = ("encode", "fit", "gatys")

MEASURED = 8
"""Contents that a style is measured on, unless there are fewer than 16."""

_OPTIMISED = 2


@dataclass(frozen=True)
class NewStyle:
    """How a style was added to a pack, and how well the network masters it.

    It takes nine arguments because it is a record: each is a finding of its own.

    Attributes:
        name: name of its row.
        method: one of ``METHODS``: ``encode``, read by the encoder; ``fit``, with a fitted row;
            ``gatys``, fitted, but too far from what an optimization of the pixels reaches.
        code: code of its row (code_size,).
        style_transfer_ratio: ``1 - D(output) / D(content)`` with D the squared relative distance of
            Gram matrices, for each method that was tried: means over probes that were not used in
            the fit; for ``gatys``, over at most two of them.
        objective: the same for the objective that is minimized.
        seconds: seconds spent on each method.
        style_residual: (P,) if the style was fitted, see :func:`~styleaug.styles.fit.fit_style`.
        pictures: the first probe (3, S, S), restyled by each method.
        source: file of the picture, if any.
    """

    name: str
    method: str
    code: Tensor = field(repr=False)
    style_transfer_ratio: Mapping[str, float] = field(default_factory=dict)
    objective: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    pictures: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    style_residual: Tensor | None = field(default=None, repr=False)
    source: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the findings, ready for JSON, without the row itself."""
        kinds = ("style_transfer_ratio", "objective", "seconds")
        rounded = {k: {m: round(v, 4) for m, v in getattr(self, k).items()} for k in kinds}
        return {"name": self.name, "method": self.method, "source": self.source, **rounded}

    def explain(self) -> str:
        """Explain the choice and its reasons, and the choice of ``"auto"`` if it differs."""
        ratio = self.style_transfer_ratio
        reached = ratio["gatys"]
        shares = [f"{m} {ratio[m] / reached:.0%}" for m in ratio if m != "gatys"]
        auto = choose_method(ratio, self.objective)
        other = "" if auto == self.method else f' (method="auto" would have it {auto})'
        return (
            f"{self.name}: {self.method}{other}. Of the style transfer ratio that an optimisation "
            f"of the pixels reaches ({reached:.2f}), {' and '.join(shares)}; {ENOUGH:.0%} are "
            f"enough, and below {TOO_LITTLE:.0%} the network does not master a style."
        )


def choose_method(style_transfer_ratio: Mapping[str, float], objective: Mapping[str, float]) -> str:
    """The method that a style's measurements ask for: see ``ENOUGH`` and ``TOO_LITTLE``.

    Args:
        style_transfer_ratio: of ``encode``, of ``gatys``, and, once it was tried, of ``fit``.
        objective: the same of the objective, which tells the better of two codes.
    """
    ratio, reached = style_transfer_ratio, max(style_transfer_ratio["gatys"], 1e-6)
    if ratio["encode"] >= ENOUGH * reached:
        return "encode"
    if "fit" not in ratio:
        return "fit"
    better = min(("fit", "encode"), key=lambda method: objective[method])
    return "gatys" if ratio[better] < TOO_LITTLE * reached else better


def learn_style(
    pack: StylePack,
    picture: Tensor,
    name: str,
    *,
    method: str = "auto",
    contents: Tensor | None = None,
    steps: int = 200,
    progress: Callable[[int, int], object] | None = None,
) -> NewStyle:
    """Find the fastest method that masters a style, by measurement, and its row.

    The style is encoded; if that is not sufficient (see :func:`choose_method`), it is fitted. The
    result says if neither is sufficient.

    Args:
        pack: pack with the network.
        picture: (C, h, w), uint8 or float in [0, 1].
        name: name of the row.
        method: ``"auto"``, or ``"encode"`` or ``"fit"`` to force this method.
        contents: at least two of the images to restyle, (N, 3, S, S), float in [0, 1], S =
            PROBE_SIZE; procedural surfaces by default. Half of them, at most 8, chosen at random
            with a fixed seed, are for measurement, the others for the fit. The result depends on
            the content.
        steps: steps of a fit.
        progress: see :func:`~styleaug.styles.fit.fit_style`.

    Raises:
        ValueError: if the picture is not (C, h, w), the name is taken, an option is unknown, or
            steps below 1.
        TypeError: if the picture's dtype is neither uint8, uint16 nor floating point.
    """
    check_options(method, steps)
    pack.check_new([name])
    prepare_process(picture.device)
    picture = as_picture(picture)
    if contents is None:
        probes = draw_probes(32, MEASURED, picture.device)
    elif len(contents) < 2:
        raise ValueError(f"contents must be at least 2 images, but are {len(contents)}.")
    else:
        measured, contents = split_contents(contents)
        probes = Probes(measured.to(picture.device))
    grams = style_targets(picture)
    ratio: dict[str, float] = {}
    objective: dict[str, float] = {}
    seconds: dict[str, float] = {}
    pictures = {"content": probes.images[0].cpu()}
    rows: dict[str, tuple[Tensor, Tensor | None]] = {}

    def measure(method: str, outputs: Tensor) -> None:
        pictures[method] = outputs[0].cpu()
        ratio[method], objective[method] = probes.measure(outputs, grams)

    with _timed(seconds, "encode"):
        encoded = encode(pack, picture[None])[0]
    rows["encode"] = encoded, None
    measure("encode", restyle_probes(pack, encoded, probes))
    with _timed(seconds, "gatys"):
        optimised = optimise_probes(probes, grams, min(_OPTIMISED, len(probes)))
    measure("gatys", optimised)
    taken = choose_method(ratio, objective) if method == "auto" else method
    if taken == "fit":
        with _timed(seconds, "fit"):
            code, residual = fit_style(
                pack, picture, contents=contents, start=encoded, steps=steps, progress=progress
            )
        rows["fit"] = code, residual.cpu()
        fitted = pack.extended(code[None], [name], [()], style_residuals=[residual])
        measure("fit", restyle_probes(fitted, fitted.codes[-1].to(picture.device), probes))
        taken = choose_method(ratio, objective) if method == "auto" else method
    best = min(rows, key=lambda m: objective[m]) if method == "auto" else method
    code, kept = rows[best]
    return NewStyle(name, taken, code.cpu(), ratio, objective, seconds, pictures, kept)


def split_contents(contents: Tensor) -> tuple[Tensor, Tensor]:
    """Contents to measure on, and those to fit on.

    They are drawn at random, since folders may take turns in a list; always the same ones.

    Args:
        contents: (N, 3, S, S), at least two.
    """
    order = torch.randperm(len(contents), generator=torch.Generator().manual_seed(0))
    count = min(MEASURED, len(contents) // 2)
    return contents[order[:count]], contents[order[count:]]


@contextmanager
def _timed(seconds: dict[str, float], method: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[method] = time.perf_counter() - start


def check_options(method: str, steps: int) -> None:
    """Raise, before anything takes time, unless a method and steps of a fit can be asked for.

    Raises:
        ValueError: if the method is unknown, or there are no steps.
    """
    check_choice("method", method, ("auto", "encode", "fit"))
    check_whole("steps", steps, 1)
