"""Safety of a restyling: defects kept, structures that appear, edges that move; the trade-off.

Each part takes `Subjects` and gives rows, see `measures.Row`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2
from tqdm import tqdm

from benchmarks.quality import measures
from benchmarks.quality.measures import Row, rows, standard_error, summary, survival
from benchmarks.quality.subjects import Defect, Subjects
from styleaug import Defocus, Relight, Restyle, SensorNoise, StyleAugment, StylePack
from styleaug.audit.measures import (
    around,
    conspicuity,
    flat_energy,
    separability,
    surroundings,
)
from styleaug.augment.presets import PRESETS, preset
from styleaug.evaluate.policies import BASELINES, build_policy
from styleaug.images.color import to_dtype, to_float
from styleaug.images.io import load_rgb, to_tensor
from styleaug.stages.base import Stage
from styleaug.stages.restyle import RestyleParams

DEFAULT, FULL = "default", "full texture, strength 1"
OTHERS = ("photometric mix", "ColorJitter")
"""Other augmentations that move no pixels, as the robustness benchmark runs them."""
TEXTURES = (0.0, 0.25, 0.5, 0.75, 1.0)
DISTINCT = 0.25
"""Peak of the phase correlation that unrelated photos reach in less than one patch of a hundred."""

Change = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W), uint8, to the same, drawn from torch's global generator."""


def settings(pack: StylePack) -> dict[str, Change]:
    """What is measured by name."""

    def restyle(strength: float = 1.0, texture: float = 1.0) -> Restyle:
        return Restyle(strength=strength, texture=texture, pack=pack)

    stages: dict[str, list[Stage]] = {
        "every stage on every image": [Restyle(pack=pack), Relight(), Defocus(), SensorNoise()],
        "the same, no lighting": [Restyle(pack=pack), Defocus(), SensorNoise()],
        "the same, no lighting, defocus or noise": [Restyle(pack=pack)],
        "tone only, strength 0.5": [restyle(0.5, 0.0)],
        "tone only, strength 1": [restyle(1.0, 0.0)],
        "half texture, strength 1": [restyle(1.0, 0.5)],
        "full texture, strength 0.5": [restyle(0.5)],
        FULL: [restyle()],
        "full texture, strength 1, lighting": [restyle(), Relight(strength=(0, 1))],
        "lighting alone, strength 1": [Relight(strength=1.0)],
        **{f"defocus alone, sigma {s:g}": [Defocus(sigma=s)] for s in (2.0, 4.0)},
        **{f"noise alone, sigma {s:g}": [SensorNoise(sigma=s)] for s in (0.09, 0.3)},
    }
    default = StyleAugment(preset("default", pack=pack))
    return {DEFAULT: default, **{name: StyleAugment(some) for name, some in stages.items()}}


def defects(subjects: Subjects) -> list[Row]:
    """Share of each defect's separability that the settings keep, by class and size too."""
    kept, chosen = retention(subjects, settings(subjects.pack))
    edges = np.percentile([d.area for d in chosen], [100 / 3, 200 / 3])
    sizes = [
        ("small", "medium", "large")[int(np.searchsorted(edges, d.area, side="right"))]
        for d in chosen
    ]
    found = [row for name, values in kept.items() for row in rows("all", name, survival(values))]
    for labels in ([d.kind for d in chosen], sizes):
        for kind in dict.fromkeys(sorted(labels)):
            for name in (DEFAULT, FULL):
                pairs = zip(kept[name], labels, strict=True)
                found += rows(kind, name, survival([v for v, label in pairs if label == kind]))
    return found


def others(subjects: Subjects) -> list[Row]:
    """The same of other augmentations."""
    return _survivals(subjects, {name: build_policy(BASELINES[name]) for name in OTHERS})


def presets(subjects: Subjects) -> list[Row]:
    """The same of the presets, as the end of a training meets them."""
    changes = {name: StyleAugment(preset(name, pack=subjects.pack)) for name in PRESETS}
    for change in changes.values():
        change.set_progress(1.0)
    return _survivals(subjects, changes)


def _survivals(subjects: Subjects, changes: Mapping[str, Change]) -> list[Row]:
    kept, _ = retention(subjects, changes)
    return [row for name, values in kept.items() for row in rows("all", name, survival(values))]


def retention(
    subjects: Subjects, changes: Mapping[str, Change]
) -> tuple[dict[str, list[list[float]]], list[Defect]]:
    """Separability after over before, by setting, defect and repeat; and the visible defects.

    Each repeat of a defect has a draw of its own, from the same seed in every setting.
    """
    kept: dict[str, list[list[float]]] = {name: [] for name in changes}
    chosen = []
    for index, defect in enumerate(tqdm(subjects.defects, desc="defects")):
        # all that the measure looks at: 15 pixels around the mask, and 4 for its two blurs
        box = around(defect.mask, 20)
        inside = defect.mask[box]
        look = partial(separability, inside=inside, ring=surroundings(inside))
        image = to_tensor(defect.sample.load())[None]
        before = look(to_float(image)[box]) if surroundings(inside).any() else 0.0
        if before < 0.2:  # what cannot be seen before cannot be lost
            continue
        chosen.append(defect)
        images = image.expand(subjects.options.repeats, -1, -1, -1)
        for name, change in changes.items():
            outputs = to_float(drawn(change, images, subjects.seed + index))
            kept[name].append([look(out[None][box]) / before for out in outputs])
    return kept, chosen


def drawn(change: Change, images: Tensor, seed: int) -> Tensor:
    """Images as a change makes them with a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return change(images)


def hallucination(subjects: Subjects) -> list[Row]:
    """What appears on defect-free images: fine structure on flat cells, and false detections.

    The fourth contestant is ColorJitter(0.5, 0.5, 0.3, 0.05) with Gaussian noise of a gray sensor,
    as much of it as makes the mean absolute change of the images that of the default; 5 levels of
    255 where ColorJitter alone changes them more than that.

    The scorer finds something on nearly every untouched tile, so what it finds only after restyling
    is counted apart.
    """
    images = subjects.free
    outputs: dict[str, list[Tensor]] = {"untouched": images}
    for name, change in settings(subjects.pack).items():
        if name in (DEFAULT, FULL):
            bar = tqdm(images, desc=f"defect-free, {name}")
            outputs[name] = [drawn(change, x, subjects.seed + i) for i, x in enumerate(bar)]
    noisy, levels = noisy_jitter(images, mean_change(images, outputs[DEFAULT]), subjects.seed)
    outputs["ColorJitter and noise"] = noisy
    found = []
    before = [conspicuity(to_float(image)) for image in images]
    for name, results in outputs.items():
        bar = tqdm(results, desc=f"detections, {name}")
        scores = [conspicuity(to_float(image)) for image in bar]
        every = [measures.detections(score) for score in scores]
        new = [measures.detections(s, b) for s, b in zip(scores, before, strict=True)]
        alarms = 100.0 * (np.asarray(new) > 0)
        energy = torch.cat(
            [flat_energy(to_float(a), to_float(b)) for a, b in zip(images, results, strict=True)]
        )
        statistics = {
            "mean change": mean_change(images, results),
            "flat": summary(energy.tolist()).get("median", 0.0),
            "new": float(alarms.mean()),
            "new standard error": standard_error(alarms),
            "new an image": float(np.mean(new)),
            "all an image": float(np.mean(every)),
            "count": len(images),
        }
        if results is noisy:
            statistics["noise levels"] = levels
        found += rows("all", name, statistics)
    return found


def noisy_jitter(images: Sequence[Tensor], target: float, seed: int) -> tuple[list[Tensor], float]:
    """Images after ColorJitter, with noise until they change as much; and its levels of 255."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        jitter = v2.ColorJitter(0.5, 0.5, 0.3, 0.05)
        jittered = [to_float(jitter(image)) for image in images]
        noise = [torch.randn_like(image[:, :1]) for image in jittered]

    def with_noise(deviation: float) -> list[Tensor]:
        pairs = zip(jittered, noise, strict=True)
        return [to_dtype(x + deviation / 255 * n, torch.uint8) for x, n in pairs]

    if mean_change(images, with_noise(0.0)) >= target:
        return with_noise(5.0), 5.0
    low, high = 0.0, 128.0
    while high - low > 0.1:
        middle = (low + high) / 2
        less = mean_change(images, with_noise(middle)) < target
        low, high = (middle, high) if less else (low, middle)
    return with_noise(high), high


def mean_change(before: Sequence[Tensor], after: Sequence[Tensor]) -> float:
    """Mean absolute change of uint8 images, in levels, each image counting alike."""
    pairs = zip(before, after, strict=True)
    return float(np.mean([(a.float() - b.float()).abs().mean() for a, b in pairs]))


def geometry(subjects: Subjects) -> list[Row]:
    """How far edges move at full strength and texture, in pixels."""
    change = settings(subjects.pack)[FULL]
    count = subjects.options.geometry
    sources = {
        "defect images": [defect.sample.path for defect in subjects.defects[:count]],
        **{name: paths[:count] for name, paths in subjects.folders.items()},
    }
    found = []
    for name, paths in sources.items():
        moved, peaks = [], []
        for index, path in enumerate(tqdm(paths, desc=f"geometry, {name}")):
            image = to_tensor(load_rgb(path))[None]
            output = drawn(change, image, subjects.seed + index)
            shift, peak = measures.displacements(to_float(image), to_float(output))
            moved.append(shift)
            peaks.append(peak)
        shifts, distinct = torch.cat(moved), torch.cat(peaks) > DISTINCT
        used = shifts[distinct]
        if len(used):
            statistics = summary(used.norm(dim=1).tolist(), high=95)
            share = {"used_percent": 100 * len(used) / len(shifts), "patches": len(shifts)}
            found += rows(name, FULL, {**statistics, **share})
    return found


def tradeoff(subjects: Subjects) -> list[Row]:
    """Style moved against defects lost, for several amounts of texture at full strength."""
    name = "unseen references"
    group = subjects.groups[name].first(subjects.options.tradeoff)
    content = subjects.contents(len(group.codes))[0]
    restyle = Restyle(pack=subjects.pack)
    changes = {f"{t:g}": Restyle(strength=1.0, texture=t, pack=subjects.pack) for t in TEXTURES}
    kept, _ = retention(subjects, changes)
    found = []
    for texture in TEXTURES:
        moved: list[float] = []
        for part in torch.arange(len(content)).split(8):
            params = RestyleParams.of(group.codes[part], texture=texture)
            output = to_float(restyle.render(content[part], params))
            target = [layer[part] for layer in group.grams]
            moved += subjects.moved(to_float(content[part]), output, target)[0].tolist()
        medians = {"moved": float(np.median(moved)), "moving": len(moved)}
        found += rows(name, f"{texture:g}", {**medians, **survival(kept[f"{texture:g}"])})
    return found
