"""The quickest way to a new style that does: encoded at once, fitted in minutes, or Gatys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from styleaug.images.checks import check_image_tensor
from styleaug.images.color import to_float, to_rgb
from styleaug.networks import encode, stylizer_of
from styleaug.nn.features import cached_features
from styleaug.pack import StylePack
from styleaug.runtime import inference_dtype, prepare_process
from styleaug.styles.probes import (
    PROBE_SIZE,
    STYLE_WEIGHT,
    Probes,
    drawn_probes,
    optimised_probes,
    restyled_probes,
    style_targets,
    varied,
)

ENOUGH, TOO_LITTLE = 0.97, 0.8
"""Share of the style moved by an optimisation of the pixels: from the first on, the encoder's code
is good enough as it is, since a fit has little left to move; below the second, the network does not
master the style."""
WAYS = ("encode", "fit", "gatys")

MEASURED = 8
"""Contents that a style is measured on, unless there are fewer than 16."""

_PER_STEP = 4
_OPTIMISED = 2


@dataclass(frozen=True)
class NewStyle:
    """How a style came into a pack, and how well the network masters it.

    Attributes:
        name: of its row.
        way: one of ``WAYS``: ``encode``, as the encoder read it; ``fit``, its row was fitted;
            ``gatys``, fitted, and still too far from what an optimisation of the pixels reaches.
        moved: style moved, ``1 - D(output) / D(content)`` with D the squared relative distance of
            Gram matrices, for each way that was tried: means over probes that were not fitted on;
            of ``gatys``, on at most two of them.
        objective: the same of what is minimised.
        seconds: spent on each way.
        code: of its row (code_size,).
        own: parameters of its own (P,) if it was fitted, see :func:`fit_style`.
        pictures: the first probe (3, S, S), as each way restyles it.
        source: file that it was read from, if it was.
    """

    name: str
    way: str
    moved: Mapping[str, float]
    objective: Mapping[str, float]
    seconds: Mapping[str, float]
    code: Tensor = field(repr=False)
    pictures: Mapping[str, Tensor] = field(repr=False)
    own: Tensor | None = field(default=None, repr=False)
    source: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without what its row holds."""
        kinds = ("moved", "objective", "seconds")
        rounded = {k: {w: round(v, 4) for w, v in getattr(self, k).items()} for k in kinds}
        return {"name": self.name, "way": self.way, "source": self.source, **rounded}

    def why(self) -> str:
        """The choice and what it rests on; and that of ``"auto"``, if it is another."""
        reached = self.moved["gatys"]
        shares = {way: self.moved[way] / reached for way in self.moved if way != "gatys"}
        parts = [f"{way} {share:.0%}" for way, share in shares.items()]
        auto = choose(self.moved, self.objective)
        other = "" if auto == self.way else f' (way="auto" would have it {auto})'
        return (
            f"{self.name}: {self.way}{other}. Of the style that an optimisation of the pixels "
            f"moves ({reached:.2f}), {' and '.join(parts)}; {ENOUGH:.0%} are enough, and below "
            f"{TOO_LITTLE:.0%} the network does not master a style."
        )


def fit_style(
    pack: StylePack,
    picture: Tensor,
    *,
    contents: Tensor | None = None,
    start: Tensor | None = None,
    steps: int = 200,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[Tensor, Tensor]:
    """Fit one style's row, the network fixed, on contents.

    The row is its code, and scales, shifts and mixing matrices of its own, which add to those that
    its embedding gives (the conditional instance normalization of Dumoulin et al. 2017). Adam on
    both, the code in units of the pack's spread; what is minimised is the logarithm of style and
    content parts together, so that the step does not depend on how far the style is. Contents come
    turned, mirrored, and lighter or darker: a row would learn a few by heart.

    Args:
        pack: the network.
        picture: (C, h, w), uint8 or float in [0, 1].
        contents: (N, 3, S, S), float in [0, 1], S = PROBE_SIZE; drawn ones by default.
        start: code (code_size,); the encoder's by default.
        steps: of gradient descent.
        seed: of the choice of contents, and of how they vary.
        progress: called with the number of steps done and of all.

    Returns:
        The code (code_size,) and the style's own parameters (P,), float32; for
        :meth:`styleaug.StylePack.extended`.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, but got {steps}.")
    picture = _checked(picture)
    device = picture.device
    start = encode(pack, picture[None])[0] if start is None else start.to(device)
    known = stylizer_of(pack, device, torch.float32)
    sizes = [layer.out_features for layer in known.style_layers().values()]
    stylizer = known.with_own(torch.zeros(1, sum(sizes), device=device)).requires_grad_(False)
    network = stylizer.net.eval().to(memory_format=torch.channels_last)
    own = [layer.own for layer in stylizer.style_layers().values() if layer.own is not None]
    dtype = inference_dtype(device)
    trunk = cached_features("vgg16", device, dtype)
    images = drawn_probes(0, 32, device).images if contents is None else contents.to(device)
    count = min(_PER_STEP, len(images))
    targets = [g.expand(count, -1, -1) for g in style_targets(picture)]
    spread = pack.codes.std(0, correction=0).to(device) + 1e-4
    spread[len(start) - pack.config.own :] = 0  # shares of other fitted styles
    shift = torch.zeros_like(start, requires_grad=True)
    groups = [{"params": [shift], "lr": 0.1}, {"params": own, "lr": 0.03}]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    for values in own:
        values.requires_grad_()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode(False), torch.enable_grad():
        for step in range(steps):
            rows = torch.randperm(len(images), generator=generator)[:count]
            probes = Probes(varied(images[rows.to(device)], generator), trunk)
            places = torch.randint(network.field.PLACES, (count,), generator=generator)
            code = torch.cat([start + spread * shift, start.new_ones(1)]).expand(count, -1)
            noise = network.field(places.to(device), PROBE_SIZE, PROBE_SIZE)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                outputs = network(probes.images, code, noise)
            style, kept = probes.judge(outputs.float(), torch.arange(count), targets, trunk)
            loss = (STYLE_WEIGHT * style + kept).clamp_min(1e-6).log().mean()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            if progress is not None:
                progress(step + 1, steps)
    found = torch.cat([values[:, -1] for values in own])
    return (start + spread * shift).detach(), found.detach()


def choose(moved: Mapping[str, float], objective: Mapping[str, float]) -> str:
    """The way that a style's measurements ask for: see ``ENOUGH`` and ``TOO_LITTLE``.

    Args:
        moved: style moved by ``encode``, by ``gatys``, and, once it was tried, by ``fit``.
        objective: the same of the objective, which tells the better of two codes.
    """
    reached = max(moved["gatys"], 1e-6)
    if moved["encode"] >= ENOUGH * reached:
        return "encode"
    if "fit" not in moved:
        return "fit"
    better = min(("fit", "encode"), key=lambda way: objective[way])
    return "gatys" if moved[better] < TOO_LITTLE * reached else better


def learn_style(
    pack: StylePack,
    picture: Tensor,
    name: str,
    *,
    way: str = "auto",
    contents: Tensor | None = None,
    steps: int = 200,
    progress: Callable[[int, int], object] | None = None,
) -> NewStyle:
    """Find the quickest way to a style that does, by measurement, and its row.

    Encode it; if that is not enough (see :func:`choose`), fit it; and if that does not do either,
    say so.

    Args:
        pack: the network.
        picture: (C, h, w), uint8 or float in [0, 1].
        name: for the row.
        way: ``"auto"``, or ``"encode"`` or ``"fit"`` to take this way in any case.
        contents: at least two of the images that are to be restyled, (N, 3, S, S), float in [0, 1],
            S = PROBE_SIZE: half of them, and at most 8, to measure on, drawn at random (always the
            same), the others to fit on; drawn ones by default. How near the network comes to a
            style depends on the content, too.
        steps: of a fit.
        progress: see :func:`fit_style`.

    Raises:
        ValueError: if the picture is not (C, h, w), the name is taken, an option is unknown, or
            steps below 1.
        TypeError: if the picture's dtype is neither uint8 nor floating point.
    """
    check_way(way)
    pack.check_new([name])
    prepare_process(picture.device)
    picture = _checked(picture)
    if contents is None:
        probes = drawn_probes(32, MEASURED, picture.device)
    elif len(contents) < 2:
        raise ValueError(f"contents must be at least 2 images, but are {len(contents)}.")
    else:
        measured, contents = split(contents)
        probes = Probes(measured.to(picture.device))
    grams = style_targets(picture)
    moved: dict[str, float] = {}
    objective: dict[str, float] = {}
    seconds: dict[str, float] = {}
    pictures = {"content": probes.images[0].cpu()}
    rows: dict[str, tuple[Tensor, Tensor | None]] = {}

    def measure(way: str, outputs: Tensor) -> None:
        pictures[way] = outputs[0].cpu()
        moved[way], objective[way] = probes.measure(outputs, grams)

    with _timed(seconds, "encode"):
        encoded = encode(pack, picture[None])[0]
    rows["encode"] = encoded, None
    measure("encode", restyled_probes(pack, encoded, probes))
    with _timed(seconds, "gatys"):
        optimised = optimised_probes(probes, grams, min(_OPTIMISED, len(probes)))
    measure("gatys", optimised)
    taken = choose(moved, objective) if way == "auto" else way
    if taken == "fit":
        with _timed(seconds, "fit"):
            code, own = fit_style(
                pack,
                picture,
                contents=contents,
                start=encoded,
                steps=steps,
                progress=progress,
            )
        rows["fit"] = code, own.cpu()
        fitted = pack.extended(code[None], [name], [()], own=[own])
        measure("fit", restyled_probes(fitted, fitted.codes[-1].to(picture.device), probes))
        taken = choose(moved, objective) if way == "auto" else way
    code, kept = rows[min(rows, key=lambda w: objective[w]) if way == "auto" else way]
    return NewStyle(name, taken, moved, objective, seconds, code.cpu(), pictures, kept)


def split(contents: Tensor) -> tuple[Tensor, Tensor]:
    """Contents to measure on, and those to fit on.

    They are drawn at random, since folders may take turns in a list; always the same ones.

    Args:
        contents: (N, 3, S, S), at least two.
    """
    order = torch.randperm(len(contents), generator=torch.Generator().manual_seed(0))
    count = min(MEASURED, len(contents) // 2)
    return contents[order[:count]], contents[order[count:]]


@contextmanager
def _timed(seconds: dict[str, float], way: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[way] = time.perf_counter() - start


def check_way(way: str) -> None:
    """Raise unless ``way`` can be asked for.

    Raises:
        ValueError: if it is unknown.
    """
    if way not in ("auto", "encode", "fit"):
        raise ValueError(f"way must be auto, encode or fit, but got {way!r}.")


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
