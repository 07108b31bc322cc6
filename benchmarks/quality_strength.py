"""Strength of a restyling: style moved, distance from the optimum, diversity.

Each part takes a `Subjects` and gives what stands in the JSON.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import quality_measures as measures
from quality_measures import summary
from quality_subjects import Subjects
from styleaug.images.color import to_float
from styleaug.nn.features import cached_features
from styleaug.runtime import inference_dtype


def style(subjects: Subjects) -> dict[str, Any]:
    """Style moved by the network's raw output, of all styles, one content each."""
    moved: dict[str, Any] = {}
    roots: dict[str, Any] = {}
    for name, group in subjects.groups.items():
        pictures, sources = subjects.contents(len(group.codes))
        pairs = []
        for start in tqdm(range(0, len(pictures), 8), desc=f"style moved, {name}"):
            part = slice(start, start + 8)
            content = to_float(pictures[part])
            with torch.no_grad():
                output = subjects.restyle(content, group.codes[part])
            pairs.append(subjects.moved(content, output, [g[part] for g in group.grams]))
        squared, root = (torch.cat(column).tolist() for column in zip(*pairs, strict=True))
        for found, values in ((moved, squared), (roots, root)):
            by_source = defaultdict(list)
            for source, value in zip(sources, values, strict=True):
                by_source[source].append(value)
            found[name] = {
                **summary(values),
                "by_content": {key: summary(part) for key, part in sorted(by_source.items())},
            }
    return {"style_moved": moved, "style_moved_root": roots}


def optimum(subjects: Subjects) -> dict[str, Any]:
    """The network's objective over what an optimisation of the pixels reaches in 300 steps, or all.

    Adam, learning rate 0.02, from the content image, clamped to [0, 1] after each step; in the
    CPU's fastest dtype. Both results are judged in float32.
    """
    steps = subjects.options.gatys_steps
    marks = {min(300, steps), steps}
    found: dict[str, Any] = {}
    for name in [n for n in subjects.groups if n != "unseen procedural"]:
        group = subjects.groups[name]
        count = min(subjects.options.gatys, len(group.codes))
        content = to_float(subjects.contents(count)[0])
        target = [g[:count] for g in group.grams]

        def judge(
            images: Tensor, content: Tensor = content, target: Sequence[Tensor] = target
        ) -> dict[str, list[float]]:
            with torch.no_grad():
                wanted = subjects.trunk(content, measures.CONTENT_WEIGHTS)
                parts = measures.objective(images, wanted, target, subjects.typical, subjects.trunk)
            return {"style": parts[0].tolist(), "content": parts[1].tolist()}

        with torch.no_grad():
            results = {"network": judge(subjects.restyle(content, group.codes[:count]))}
        results["content image"] = judge(content)
        seconds: dict[str, float] = {}
        for step, images, spent in optimise(content, target, subjects.typical, marks):
            results[f"{step} steps"] = judge(images)
            seconds[f"{step} steps"] = spent / len(content)
        total = {key: np.add(row["style"], row["content"]) for key, row in results.items()}
        ratios = {key: (total["network"] / total[key]).tolist() for key in seconds}
        found[name] = {
            "ratio": {key: {**summary(row), "values": row} for key, row in ratios.items()},
            "median": {
                key: {part: float(np.median(values)) for part, values in row.items()}
                for key, row in results.items()
            },
            "objectives": results,
            "seconds_an_image": seconds,
        }
    return {"optimum": found}


def optimise(
    content: Tensor, target: Sequence[Tensor], typical: Tensor, marks: set[int]
) -> Iterator[tuple[int, Tensor, float]]:
    """Gatys et al. 2016 on a batch, whose images do not interact: yields step, images, seconds.

    Args:
        content: start and content (B, 3, H, W).
        target: Gram matrices of the styles.
        typical: see :func:`quality_measures.style_distances`.
        marks: steps at which to yield; the last ends it.
    """
    trunk = cached_features("vgg16", torch.device("cpu"), inference_dtype(torch.device("cpu")))
    content = content.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        wanted = trunk(content, measures.CONTENT_WEIGHTS)
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


def diversity(subjects: Subjects) -> dict[str, Any]:
    """Spread of the outputs' statistics over styles, relative to the styles' own; by group."""
    kinds: dict[str, Callable[[Tensor], Tensor]] = {
        "colour": measures.colour_statistics,
        "texture": lambda images: measures.texture_statistics(images, subjects.trunk),
    }
    contents = to_float(subjects.contents(subjects.options.diversity_contents)[0])
    found: dict[str, Any] = {}
    for name, group in subjects.groups.items():
        count = min(subjects.options.diversity, len(group.codes))
        codes, styles = group.codes[:count], to_float(group.images[:count])
        with torch.no_grad():
            own = {key: _in_parts(measure, styles) for key, measure in kinds.items()}
            rows: dict[str, list[tuple[float, float]]] = {key: [] for key in kinds}
            for content in tqdm(contents, desc=f"diversity, {name}"):
                outputs = torch.cat(
                    [
                        subjects.restyle(content.expand(len(c), -1, -1, -1), c)
                        for c in codes.split(8)
                    ]
                )
                for key, measure in kinds.items():
                    rows[key].append(measures.spread_ratio(_in_parts(measure, outputs), own[key]))
        found[name] = {
            key: {
                "spread": float(np.mean([spread for spread, _ in pairs])),
                "correlation": float(np.mean([follows for _, follows in pairs])),
                "by_content": [spread for spread, _ in pairs],
            }
            for key, pairs in rows.items()
        } | {"count": count}
    return {"diversity": found}


def paths(subjects: Subjects) -> dict[str, Any]:
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
    found: dict[str, Any] = {}
    for name in ("trained styles", "unseen references"):
        group = subjects.groups[name]
        content = to_float(subjects.contents(len(group.codes))[0])
        for variant, kept in variants.items():
            codes = subjects.pack.codes.mean(0).expand_as(group.codes).clone()
            for part in kept:
                first, last = ends[part]
                codes[:, first:last] = group.codes[:, first:last]
            values = []
            for part_of in torch.arange(len(codes)).split(8):
                with torch.no_grad():
                    output = subjects.restyle(content[part_of], codes[part_of])
                grams = [layer[part_of] for layer in group.grams]
                values += subjects.moved(content[part_of], output, grams)[0].tolist()
            found.setdefault(variant, {})[name] = summary(values)
    return {"paths": found}


def _in_parts(measure: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return torch.cat([measure(part) for part in images.split(8)])
