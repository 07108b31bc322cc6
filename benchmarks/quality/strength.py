"""Strength of a restyling: style moved, distance from the optimum, diversity.

Each part takes `Subjects` and gives rows, see `measures.Row`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.quality import measures
from benchmarks.quality.measures import Row, rows, summary
from benchmarks.quality.subjects import Subjects
from styleaug.images.color import to_float
from styleaug.nn.features import cached_features
from styleaug.nn.perceptual import CONTENT_WEIGHTS
from styleaug.runtime import inference_dtype


def style(subjects: Subjects) -> list[Row]:
    """Style moved by the network's raw output, of all styles, one content each.

    From the content as it is, and from the content in the style's colours already, so that texture
    alone counts.
    """
    found = []
    for name, group in subjects.groups.items():
        pictures, sources = subjects.contents(len(group.codes))
        content = to_float(pictures)
        squared, root = _moved(subjects, content, group.codes, group.grams, name)
        matched = subjects.matched(content, group.codes)
        texture, _ = _moved(subjects, content, group.codes, group.grams, name, start=matched)
        found += rows(name, "all", summary(squared))
        by_source = defaultdict(list)
        for source, value in zip(sources, squared, strict=True):
            by_source[source].append(value)
        for source, values in sorted(by_source.items()):
            found += rows(name, source, summary(values))
        found += rows(name, "all, unsquared", summary(root))
        found += rows(name, "all, colours matched", summary(texture))
    return found


def paths(subjects: Subjects) -> list[Row]:
    """Style moved when only some parts of the code are the style's, the others the pack's mean.

    It tells which path carries how much in the trained network; networks trained without a path
    would make more of the others.
    """
    size, width = subjects.pack.config.embedding, subjects.pack.config.width
    ends = {"embedding": (0, size), "bottleneck": (size, size + 2 * width)}
    ends["colours"] = (size + 2 * width, subjects.pack.config.code_size)
    variants = {
        "whole code": ("embedding", "bottleneck", "colours"),
        "conditional norms and mixing (embedding)": ("embedding",),
        "adaptive norm (bottleneck statistics)": ("bottleneck",),
        "colour matching": ("colours",),
        "both adaptive: bottleneck and colours": ("bottleneck", "colours"),
        "nothing: the mean code": (),
    }
    found = []
    for variant, kept in variants.items():
        for name in ("trained styles", "unseen references"):
            group = subjects.groups[name]
            codes = subjects.pack.codes.mean(0).expand_as(group.codes).clone()
            for part in kept:
                first, last = ends[part]
                codes[:, first:last] = group.codes[:, first:last]
            content = to_float(subjects.contents(len(codes))[0])
            squared, _ = _moved(subjects, content, codes, group.grams, variant)
            found += rows(name, variant, summary(squared))
    return found


def _moved(
    subjects: Subjects,
    content: Tensor,
    codes: Tensor,
    target: Sequence[Tensor],
    title: str,
    *,
    start: Tensor | None = None,
) -> tuple[list[float], list[float]]:
    """Style moved by the network's raw output, squared and not, eight images at a time.

    From ``start``, or from the content.
    """
    start = content if start is None else start
    pairs = []
    for part in tqdm(torch.arange(len(codes)).split(8), desc=f"style moved, {title}"):
        output = subjects.restyle(content[part], codes[part])
        pairs.append(subjects.moved(start[part], output, [layer[part] for layer in target]))
    squared, root = (torch.cat(column).tolist() for column in zip(*pairs, strict=True))
    return squared, root


def optimum(subjects: Subjects) -> list[Row]:
    """The network's objective over what an optimisation of the pixels reaches in 300 steps, or all.

    Adam, learning rate 0.02, from the content image, clamped to [0, 1] after each step; in the
    CPU's fastest dtype. Both results are judged in float32.
    """
    steps = subjects.options.gatys_steps
    found = []
    for name in [n for n in subjects.groups if n != "unseen procedural"]:
        group = subjects.groups[name].first(subjects.options.gatys)
        content = to_float(subjects.contents(len(group.codes))[0])
        with torch.no_grad():
            wanted = subjects.trunk(content, CONTENT_WEIGHTS)

        def judge(
            images: Tensor,
            wanted: dict[str, Tensor] = wanted,
            target: Sequence[Tensor] = group.grams,
        ) -> np.ndarray:
            """Style and content part, (2, B)."""
            with torch.no_grad():
                parts = measures.objective(images, wanted, target, subjects.typical, subjects.trunk)
            return torch.stack(parts).numpy()

        def medians(parts: np.ndarray) -> dict[str, float]:
            return dict(zip(("style", "content"), np.median(parts, 1).tolist(), strict=True))

        network = judge(subjects.restyle(content, group.codes))
        for step, images, spent in optimise(
            content, group.grams, subjects.typical, {min(300, steps), steps}
        ):
            best = judge(images)
            ratio = float(np.median(network.sum(0) / best.sum(0)))
            shared = {"count": len(content), "seconds": spent / len(content)}
            found += rows(name, f"{step} steps", {"ratio": ratio, **shared, **medians(best)})
        found += rows(name, "network", medians(network))
    return found


def optimise(
    content: Tensor, target: Sequence[Tensor], typical: Tensor, marks: set[int]
) -> Iterator[tuple[int, Tensor, float]]:
    """Gatys et al. 2016 on a batch, whose images do not interact: yields step, images, seconds.

    Start and content is ``content``; the last of ``marks``, at which to yield, ends it.
    """
    trunk = cached_features("vgg16", torch.device("cpu"), inference_dtype(torch.device("cpu")))
    content = content.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        wanted = trunk(content, CONTENT_WEIGHTS)
    pixels = content.clone().requires_grad_()
    adam = torch.optim.Adam([pixels], lr=0.02)
    spent = 0.0
    for step in tqdm(range(1, max(marks) + 1), desc="optimisation of pixels"):
        start = time.perf_counter()
        parts = measures.objective(pixels, wanted, target, typical, trunk)
        adam.zero_grad()
        (parts[0] + parts[1]).sum().backward()
        adam.step()
        with torch.no_grad():
            pixels.clamp_(0, 1)
        spent += time.perf_counter() - start
        if step in marks:
            yield step, pixels.detach().clone(), spent


def diversity(subjects: Subjects) -> list[Row]:
    """Spread of the outputs' statistics over styles, relative to the styles' own; by group."""
    kinds: dict[str, Callable[[Tensor], Tensor]] = {
        "colour": measures.colour_statistics,
        "texture": lambda images: measures.texture_statistics(images, subjects.trunk),
    }
    contents = to_float(subjects.contents(subjects.options.diversity_contents)[0])
    found = []
    for name, every in subjects.groups.items():
        group = every.first(subjects.options.diversity)
        ratios: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        with torch.no_grad():
            styles = to_float(group.images)
            own = {kind: _in_parts(measure, styles) for kind, measure in kinds.items()}
            for content in tqdm(contents, desc=f"diversity, {name}"):
                parts = [
                    subjects.restyle(content.expand(len(c), -1, -1, -1), c)
                    for c in group.codes.split(8)
                ]
                for kind, measure in kinds.items():
                    outputs = _in_parts(measure, torch.cat(parts))
                    ratios[kind].append(measures.spread_ratio(outputs, own[kind]))
        for kind, pairs in ratios.items():
            spread, correlation = np.mean(pairs, axis=0).tolist()
            shared = {"spread": spread, "correlation": correlation}
            found += rows(name, kind, {**shared, "count": len(group.codes)})
    return found


def _in_parts(measure: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return torch.cat([measure(part) for part in images.split(8)])
