"""New styles for a pack: read off a picture at once, fitted to it in minutes, or left to Gatys."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from styleaug.checks import check_image_tensor
from styleaug.color import to_float, to_rgb
from styleaug.gatys.optimizers import Lbfgs
from styleaug.losses import content_distance, gram, style_distance
from styleaug.nn.encoder import STYLE_LAYERS, STYLE_SIZE
from styleaug.nn.features import VGGFeatures, cached_features
from styleaug.pack import StylePack, inference_dtype, prepare_process
from styleaug.train.procedural import FAMILIES, draw_finish

STYLE_WEIGHT = 8.0
CONTENT_WEIGHTS = {"conv2_2": 0.5, "conv3_3": 1.0, "conv4_1": 0.5}
"""Weights of the objective: those that the bundled pack was trained with."""
PROBE_SIZE = 128
"""Side, in pixels, of the contents that a style is tried on."""
ENOUGH, TOO_LITTLE = 0.95, 0.8
"""Share of the style moved by an optimisation of the pixels: from the first on, a code is good
enough as it is; below the second, the network does not master the style."""
WAYS = ("encode", "fit", "gatys")

_PER_STEP = 4
_APART = 0.25


@dataclass(frozen=True)
class NewStyle:
    """How a style came into a pack, and how well the network masters it.

    Attributes:
        name: of its row.
        way: one of ``WAYS``: ``encode``, as the encoder read it; ``fit``, its code was fitted;
            ``gatys``, fitted, and still too far from what an optimisation of the pixels reaches.
        moved: style moved, ``1 - D(output) / D(content)`` with D the squared relative distance of
            Gram matrices, for each way that was tried: means over probes that were not fitted on;
            of ``gatys``, on one of them.
        objective: the same of what is minimised.
        seconds: spent on each way.
        code: of its row (code_size,).
        pictures: the first probe (3, S, S), as each way restyles it.
    """

    name: str
    way: str
    moved: Mapping[str, float]
    objective: Mapping[str, float]
    seconds: Mapping[str, float]
    code: Tensor = field(repr=False)
    pictures: Mapping[str, Tensor] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without the code."""
        kinds = ("moved", "objective", "seconds")
        rounded = {k: {w: round(v, 4) for w, v in getattr(self, k).items()} for k in kinds}
        return {"name": self.name, "way": self.way, **rounded}

    def why(self) -> str:
        """The choice in a sentence."""
        reached = self.moved["gatys"]
        shares = {way: self.moved[way] / reached for way in self.moved if way != "gatys"}
        parts = [f"{way} {share:.0%}" for way, share in shares.items()]
        return (
            f"{self.name}: {self.way}. Of the style that an optimisation of the pixels moves "
            f"({reached:.2f}), {' and '.join(parts)}; {ENOUGH:.0%} are enough, and below "
            f"{TOO_LITTLE:.0%} the network does not master a style."
        )


class Probes:
    """Contents that styles are tried on, and the objective there.

    Args:
        images: (P, 3, S, S), float in [0, 1], S = PROBE_SIZE.
    """

    def __init__(self, images: Tensor) -> None:
        self.images = images
        with torch.no_grad():
            self.wanted = trunk_on(images.device)(images, CONTENT_WEIGHTS)

    @classmethod
    def drawn(cls, first: int, count: int, device: torch.device) -> Probes:
        """Drawn surfaces, of which none need be kept; other ones than those that are styles.

        Args:
            first: number of the first.
            count: how many.
            device: where to compute.
        """
        return cls(
            torch.stack(
                [
                    # a stride that meets all families
                    draw_finish(FAMILIES[k * 7 % len(FAMILIES)], 1000 + k, size=PROBE_SIZE)
                    for k in range(first, first + count)
                ]
            ).to(device)
        )

    def __len__(self) -> int:
        """Count the contents."""
        return len(self.images)

    def judge(
        self, outputs: Tensor, rows: Tensor, grams: Sequence[Tensor], trunk: VGGFeatures
    ) -> tuple[Tensor, Tensor]:
        """Style distance and content part of restyled probes: each (B,).

        Args:
            outputs: (B, 3, S, S).
            rows: which probes they were (B,).
            grams: of their styles, (B, C, C) for each style layer.
            trunk: gives the features.
        """
        found = trunk(outputs, {*STYLE_LAYERS, *CONTENT_WEIGHTS})
        style = torch.stack(
            [
                style_distance(gram(found[layer]), target, typical)
                for layer, target, typical in zip(
                    STYLE_LAYERS, grams, _typical(outputs.device), strict=True
                )
            ]
        ).mean(0)
        content = [
            torch.stack(
                [
                    weight * content_distance(found[n][i : i + 1], self.wanted[n][r : r + 1])
                    for n, weight in CONTENT_WEIGHTS.items()
                ]
            ).sum()
            for i, r in enumerate(rows.tolist())
        ]
        return style, torch.stack(content)


@lru_cache(maxsize=4)
def _probes(first: int, count: int, device: torch.device) -> Probes:
    return Probes.drawn(first, count, device)


def trunk_on(device: torch.device) -> VGGFeatures:
    """What measures style and content: the bundled trunk in float32."""
    return cached_features("vgg16", device, torch.float32)


@lru_cache(maxsize=4)
def _typical(device: torch.device) -> tuple[Tensor, ...]:
    """Median norm of each style layer's Gram matrices, over drawn finishes."""
    pictures = torch.stack([draw_finish(family, 1000, size=PROBE_SIZE) for family in FAMILIES])
    with torch.no_grad():
        found = trunk_on(device)(pictures.to(device), STYLE_LAYERS)
    return tuple(gram(found[layer]).norm(dim=(1, 2)).median() for layer in STYLE_LAYERS)


def style_targets(picture: Tensor) -> list[Tensor]:
    """Gram matrices (1, C, C) of a picture (3, h, w), float in [0, 1], at the style size."""
    scale = STYLE_SIZE / min(picture.shape[-2:])
    size = [max(STYLE_SIZE, round(length * scale)) for length in picture.shape[-2:]]
    seen = F.interpolate(
        picture[None], size=size, mode="bilinear", antialias=True, align_corners=False
    )
    with torch.no_grad():
        found = trunk_on(picture.device)(seen, STYLE_LAYERS)
    return [gram(found[layer]) for layer in STYLE_LAYERS]


def fit_code(
    pack: StylePack,
    picture: Tensor,
    *,
    start: Tensor | None = None,
    steps: int = 200,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Tensor:
    """Fit one style's code, the network fixed, on drawn contents.

    Adam on the code in units of the pack's spread; what is minimised is the logarithm of style and
    content parts together, so that the step does not depend on how far the style is.

    Args:
        pack: the network.
        picture: (C, h, w), uint8 or float in [0, 1].
        start: code (code_size,); the encoder's by default.
        steps: of gradient descent.
        seed: of the choice of contents.
        progress: called with the number of steps done and of all.

    Returns:
        The code (code_size,), float32.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, but got {steps}.")
    picture = _checked(picture)
    device = picture.device
    start = pack.encode(picture[None])[0] if start is None else start.to(device)
    network = pack.stylizer(device, torch.float32).net
    dtype = inference_dtype(device)
    trunk = cached_features("vgg16", device, dtype)
    probes, grams = _probes(0, 32, device), style_targets(picture)
    targets = [g.expand(_PER_STEP, -1, -1) for g in grams]
    spread = pack.codes.std(0, correction=0).to(device) + 1e-4
    shift = torch.zeros_like(start, requires_grad=True)
    optimizer = torch.optim.Adam([shift], lr=0.1, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode(False), torch.enable_grad():
        for step in range(steps):
            rows = torch.randperm(len(probes), generator=generator)[:_PER_STEP]
            places = torch.randint(network.field.PLACES, (_PER_STEP,), generator=generator)
            code = (start + spread * shift).expand(_PER_STEP, -1)
            content = probes.images[rows.to(device)]
            noise = network.field(places.to(device), PROBE_SIZE, PROBE_SIZE)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                outputs = network(content, code, noise)
            style, kept = probes.judge(outputs.float(), rows, targets, trunk)
            loss = (STYLE_WEIGHT * style + kept).clamp_min(1e-6).log().mean()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            if progress is not None:
                progress(step + 1, steps)
    return (start + spread * shift).detach()


def restyled_probes(pack: StylePack, code: Tensor, probes: Probes) -> Tensor:
    """What the network makes of the probes (P, 3, S, S) under a code (code_size,), in float32."""
    network = pack.stylizer(code.device, torch.float32).net
    places = torch.arange(len(probes), device=code.device) * 977
    with torch.no_grad():
        noise = network.field(places, PROBE_SIZE, PROBE_SIZE)
        outputs: Tensor = network(probes.images, code.expand(len(probes), -1), noise)
    return outputs.float()


def optimised_probe(probes: Probes, grams: Sequence[Tensor], *, steps: int = 60) -> Tensor:
    """The first probe (1, 3, S, S), its pixels optimised for the same objective."""
    device = probes.images.device
    trunk = cached_features("vgg16", device, inference_dtype(device))
    x, optimizer, rows = probes.images[:1].clone(), Lbfgs(), torch.zeros(1, dtype=torch.long)
    best, lowest = x, torch.full((1,), torch.inf, device=device)
    for _ in range(steps):
        with torch.inference_mode(False), torch.enable_grad():
            pixels = x.clone().requires_grad_()
            style, kept = probes.judge(pixels, rows, grams, trunk)
            value = STYLE_WEIGHT * style + kept
            (gradient,) = torch.autograd.grad(value.sum(), pixels)
        better = value.detach() < lowest
        best = torch.where(better.view(-1, 1, 1, 1), x, best)
        lowest = torch.where(better, value.detach(), lowest)
        x = optimizer.step(x, value.detach(), gradient).clamp(0, 1)
    return best


def choose(moved: Mapping[str, float]) -> str:
    """The way that a style's measurements ask for: see ``ENOUGH`` and ``TOO_LITTLE``.

    Args:
        moved: style moved by ``encode``, by ``gatys``, and, once it was tried, by ``fit``.
    """
    reached = max(moved["gatys"], 1e-6)
    if moved["encode"] >= ENOUGH * reached:
        return "encode"
    best = max(moved["encode"], moved.get("fit", -1.0))
    return "gatys" if "fit" in moved and best < TOO_LITTLE * reached else "fit"


def learn_style(
    pack: StylePack,
    picture: Tensor,
    name: str,
    *,
    way: str = "auto",
    measure: bool = True,
    steps: int = 200,
    progress: Callable[[int, int], object] | None = None,
) -> NewStyle:
    """Find the quickest way to a style that does, by measurement, and its code.

    Encode it; if that is not enough (see :func:`choose`), fit it; and if that does not do either,
    say so.

    Args:
        pack: the network.
        picture: (C, h, w), uint8 or float in [0, 1].
        name: for the row.
        way: ``"auto"``, or ``"encode"`` or ``"fit"`` to take this way in any case.
        measure: whether to measure a style that is encoded in any case.
        steps: of a fit.
        progress: see :func:`fit_code`.
    """
    if way not in ("auto", "encode", "fit"):
        raise ValueError(f"way must be auto, encode or fit, but got {way!r}.")
    prepare_process(picture.device)
    picture = _checked(picture)
    start = time.perf_counter()
    code = pack.encode(picture[None])[0]
    if way == "encode" and not measure:
        seconds = {"encode": time.perf_counter() - start}
        return NewStyle(name, way, {}, {}, seconds, code.cpu(), {})
    probes, grams = _probes(32, 8, picture.device), style_targets(picture)
    moved: dict[str, float] = {}
    objective: dict[str, float] = {}
    seconds = {"encode": time.perf_counter() - start}
    pictures = {"content": probes.images[0].cpu()}
    rows = torch.arange(len(probes))
    targets = [g.expand(len(probes), -1, -1) for g in grams]
    trunk = trunk_on(picture.device)
    with torch.no_grad():
        before, _ = probes.judge(probes.images, rows, targets, trunk)

    def keep(way: str, outputs: Tensor) -> None:
        pictures[way] = outputs[0].cpu()
        some = slice(0, len(outputs))
        with torch.no_grad():
            style, kept = probes.judge(outputs, rows[some], [g[some] for g in targets], trunk)
        moved[way] = (1 - style / before[some].clamp_min(1e-6)).mean().item()
        objective[way] = (STYLE_WEIGHT * style + kept).mean().item()

    keep("encode", restyled_probes(pack, code, probes))
    start = time.perf_counter()
    keep("gatys", optimised_probe(probes, grams))
    seconds["gatys"] = time.perf_counter() - start
    taken = choose(moved) if way == "auto" else way
    if taken == "fit":
        start = time.perf_counter()
        fitted = fit_code(pack, picture, start=code, steps=steps, progress=progress)
        seconds["fit"] = time.perf_counter() - start
        keep("fit", restyled_probes(pack, fitted, probes))
        if objective["fit"] < objective["encode"]:
            code = fitted
        taken = choose(moved) if way == "auto" else way
    return NewStyle(name, taken, moved, objective, seconds, code.cpu(), pictures)


def with_styles(pack: StylePack, styles: Sequence[NewStyle], tags: Sequence[str]) -> StylePack:
    """A new pack with rows for some styles after its own, which stay bit for bit.

    Args:
        pack: the old one, which does not change.
        styles: what to add.
        tags: of all the new rows; those that the network does not master get ``gatys``, too.
    """
    return pack.extended(
        torch.stack([style.code for style in styles]),
        [style.name for style in styles],
        [(*tags, "gatys") if style.way == "gatys" else tuple(tags) for style in styles],
        {style.name: style.to_dict() for style in styles},
    )


def distinct(pack: StylePack, codes: Tensor) -> list[int]:
    """Rows of ``codes`` (N, code_size) that differ: of near-duplicates the first.

    Alike are codes that are closer than a quarter of the median distance of the pack's own rows to
    their nearest neighbours, in standard deviations over the pack.
    """
    spread = pack.codes.std(0, correction=0) + 1e-4
    own = pack.codes / spread
    some = own[:: max(1, len(own) // 256)]
    near = torch.cdist(some, own)
    near[near < 1e-6] = torch.inf
    limit = _APART * near.amin(1).median() if len(own) > 1 else torch.tensor(0.0)
    kept: list[int] = []
    for row, code in enumerate(codes.cpu() / spread):
        others = codes[kept].cpu() / spread
        if not kept or bool((others - code).norm(dim=1).min() > limit):
            kept.append(row)
    return kept


def _checked(picture: Tensor) -> Tensor:
    """(3, h, w) in float32.

    Raises:
        ValueError: if it is not a picture.
        TypeError: if its dtype is neither uint8 nor floating point.
    """
    check_image_tensor(picture, "a style picture")
    if picture.ndim != 3:
        raise ValueError(f"A style picture must be (C, h, w), but is {tuple(picture.shape)}.")
    return to_rgb(to_float(picture.detach())).contiguous()
