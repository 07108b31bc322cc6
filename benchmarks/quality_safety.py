"""Safety of a restyling: defects kept, structures that appear, edges that move; the trade-off.

Each part takes a `Subjects` and gives what stands in the JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2
from tqdm import tqdm

import quality_measures as measures
from quality_measures import standard_error, summary
from quality_subjects import Defect, Subjects, read_mask
from styleaug import StylePlan, StyleSampler, render
from styleaug.audit.measures import around, flat_energy, separability, surroundings
from styleaug.evaluate.policies import PEERS
from styleaug.images.color import to_dtype, to_float
from styleaug.transform import DEFAULTS, StyleAugment

# What is asked of the sampler; what is not named keeps the defaults of StyleAugment.
FULL = {
    "p": 1.0,
    "stage_p": 1.0,
    "strength": 1.0,
    "texture": 1.0,
    "light": 0.0,
    "blur": 0.0,
    "grain": 0.0,
}
ALL = {"p": 1.0, "stage_p": 1.0}
SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "defaults, every stage on every image": ALL,
    "the same, no light": {**ALL, "light": 0.0},
    "the same, no light, blur or grain": {**ALL, "light": 0.0, "blur": 0.0, "grain": 0.0},
    "tone only, strength 0.5": {**FULL, "strength": 0.5, "texture": 0.0},
    "tone only, strength 1": {**FULL, "texture": 0.0},
    "half texture, strength 1": {**FULL, "texture": 0.5},
    "full texture, strength 0.5": {**FULL, "strength": 0.5},
    "full texture, strength 1": FULL,
    "full texture, strength 1, default light": {**FULL, "light": (0.0, 1.0)},
    "light only, full": {**FULL, "strength": 0.0, "light": 1.0},
    "blur only, half": {**FULL, "strength": 0.0, "blur": 0.5},
    "blur only, full": {**FULL, "strength": 0.0, "blur": 1.0},
    "grain only, the defaults' most": {**FULL, "strength": 0.0, "grain": DEFAULTS["grain"][1]},
    "grain only, full": {**FULL, "strength": 0.0, "grain": 1.0},
}
OTHERS = {"photometric mix": "Photometric", "ColorJitter": "ColorJitter"}
"""Other augmentations that move no pixels, as the robustness benchmark runs them."""
BY_KIND = ("defaults", "full texture, strength 1")
TEXTURES = (0.0, 0.25, 0.5, 0.75, 1.0)
DISTINCT = 0.25
"""Peak of the phase correlation that unrelated photos reach in less than one patch of a hundred."""


def defects(subjects: Subjects) -> dict[str, Any]:
    """Share of each defect's separability that the settings keep, by class and size too."""
    kept, chosen = retention(subjects, SETTINGS)
    edges = np.percentile([d.area for d in chosen], [100 / 3, 200 / 3])
    sizes = [
        ("small", "medium", "large")[int(np.searchsorted(edges, d.area, side="right"))]
        for d in chosen
    ]
    kinds = {"defects_by_class": [d.kind for d in chosen], "defects_by_size": sizes}
    return {
        "defects_kept": {name: survival(rows) for name, rows in kept.items()},
        **{
            key: {
                kind: {
                    name: survival(
                        [r for r, k in zip(kept[name], labels, strict=True) if k == kind]
                    )
                    for name in BY_KIND
                }
                for kind in dict.fromkeys(sorted(labels))
            }
            for key, labels in kinds.items()
        },
        "defect_area_terciles": edges.tolist(),
    }


def retention(
    subjects: Subjects, settings: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, list[list[float]]], list[Defect]]:
    """Separability after over before, by setting, defect and repeat; and the defects that count.

    Each repeat of a defect draws a plan of its own, from the same seed in every setting. What was
    measured before, for another part, is not measured again.
    """
    keys = {name: repr(sorted(change.items())) for name, change in settings.items()}
    samplers = samplers_of(
        subjects, {keys[n]: c for n, c in settings.items() if keys[n] not in subjects.kept}
    )
    repeats = subjects.options.repeats
    for defect in visible(subjects):
        index, image = defect.index, defect.image
        subjects.counted[index] = subjects.defects[index]
        plans = [
            sampler.draw(1, torch.Generator().manual_seed(subjects.seed + index + 100_000 * r))
            for sampler in samplers.values()
            for r in range(repeats)
        ]
        if not plans:
            continue
        outputs = render(image.expand(len(plans), -1, -1, -1), StylePlan.join(plans), subjects.pack)
        values = [defect.kept(out) for out in outputs]
        for place, key in enumerate(samplers):
            row = values[place * repeats : (place + 1) * repeats]
            subjects.kept.setdefault(key, []).append(row)
    return {n: subjects.kept[key] for n, key in keys.items()}, list(subjects.counted.values())


@dataclass(frozen=True)
class Visible:
    """A defect that can be seen.

    Attributes:
        index: of the defect.
        image: (1, 3, H, W).
        box: all that the measure looks at.
        inside: the mask there.
        ring: its surroundings there.
    """

    index: int
    image: Tensor
    box: tuple[Any, ...]
    inside: Tensor
    ring: Tensor

    def kept(self, changed: Tensor) -> float:
        """Separability in a changed image (3, H, W) over that before."""
        return self._look(changed[None]) / self.before

    @cached_property
    def before(self) -> float:
        """Separability in the image as it is."""
        return self._look(self.image)

    def _look(self, image: Tensor) -> float:
        return separability(to_float(image)[self.box], self.inside, self.ring)


def visible(subjects: Subjects) -> Iterator[Visible]:
    """The defects that can be seen: what cannot be seen before cannot be lost."""
    for index, defect in enumerate(tqdm(subjects.defects, desc="defects")):
        mask = read_mask(defect.mask)
        box = around(mask, 20)  # 15 pixels around the mask, and 4 for the measure's two blurs
        ring = surroundings(mask[box])
        found = Visible(index, subjects.image(defect.image)[None], box, mask[box], ring)
        if ring.any() and found.before >= 0.2:
            yield found


def others(subjects: Subjects) -> dict[str, Any]:
    """The same of other augmentations."""
    found: dict[str, list[list[float]]] = {name: [] for name in OTHERS}
    repeats = range(subjects.options.repeats)
    for defect in visible(subjects):
        for name, peer in OTHERS.items():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(subjects.seed + defect.index)
                augment = PEERS[peer]()
                found[name].append([defect.kept(augment(defect.image[0])) for _ in repeats])
    return {"defects_kept_by_others": {name: survival(rows) for name, rows in found.items()}}


def samplers_of(
    subjects: Subjects, settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, StyleSampler]:
    """A sampler of each setting: the defaults of StyleAugment, changed."""
    defaults = StyleAugment(pack=subjects.pack)
    names = ("mix", "p", "stage_p", "strength", "texture", "light", "blur", "grain")
    base = {name: getattr(defaults, name) for name in names}
    return {
        name: StyleSampler(subjects.pack, **{**base, **change}) for name, change in settings.items()
    }


def hallucination(subjects: Subjects) -> dict[str, Any]:
    """What appears on defect-free images: fine structure on flat cells, and false detections.

    The fourth contestant is ColorJitter(0.5, 0.5, 0.3, 0.05) with Gaussian noise of a gray sensor,
    as much of it as makes the mean absolute change of the images that of the defaults; 5 levels of
    255 where ColorJitter alone changes them more than that.

    The scorer finds something on nearly every untouched tile, so what it finds only after restyling
    is counted apart.
    """
    samplers = samplers_of(subjects, {"defaults": {}, "full texture, strength 1": FULL})
    jitter = v2.ColorJitter(0.5, 0.5, 0.3, 0.05)
    images = [subjects.image(path)[None] for path in subjects.free]
    outputs: dict[str, list[Tensor]] = {"untouched": images}
    for name, sampler in samplers.items():
        outputs[name] = [
            render(
                image,
                sampler.draw(1, torch.Generator().manual_seed(subjects.seed + i)),
                subjects.pack,
            )
            for i, image in enumerate(tqdm(images, desc=f"defect-free, {name}"))
        ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(subjects.seed)
        jittered = [to_float(jitter(image)) for image in images]
        noise = [torch.randn_like(image[:, :1]) for image in jittered]
    target = change(images, outputs["defaults"])

    def noisy(deviation: float) -> list[Tensor]:
        return [
            to_dtype(image + deviation / 255 * grain, torch.uint8)
            for image, grain in zip(jittered, noise, strict=True)
        ]

    low, high = 0.0, 128.0
    equal = change(images, noisy(0.0)) < target
    while equal and high - low > 0.1:
        middle = (low + high) / 2
        low, high = (low, middle) if change(images, noisy(middle)) > target else (middle, high)
    deviation = high if equal else 5.0
    outputs["ColorJitter and noise"] = noisy(deviation)
    scores = {
        name: [measures.anomaly_score(to_float(x)) for x in tqdm(results, desc=f"scores, {name}")]
        for name, results in outputs.items()
    }
    found = {
        name: {
            "mean_change": change(images, results),
            "flat_energy": summary(added_energy(images, results)),
            "all_detections": alarms([measures.detections(score) for score in scores[name]]),
            "new_detections": alarms(
                [
                    measures.detections(score, before)
                    for score, before in zip(scores[name], scores["untouched"], strict=True)
                ]
            ),
        }
        for name, results in outputs.items()
    }
    found["ColorJitter and noise"]["noise_levels"] = deviation
    return {"hallucination": found}


def alarms(counts: Sequence[int]) -> dict[str, float]:
    """Share of images with a detection, its standard error, and detections an image."""
    found = 100.0 * (np.asarray(counts) > 0)
    return {
        "images_percent": float(found.mean()),
        "images_standard_error": standard_error(found),
        "an_image": float(np.mean(counts)),
        "count": len(counts),
    }


def added_energy(before: Sequence[Tensor], after: Sequence[Tensor]) -> list[float]:
    """Fine structure added to the flat cells of all images; see `quality_measures`."""
    pairs = zip(before, after, strict=True)
    return torch.cat([flat_energy(to_float(a), to_float(b)) for a, b in pairs]).tolist()


def change(before: Sequence[Tensor], after: Sequence[Tensor]) -> float:
    """Mean absolute change of uint8 images, in levels, each image counting alike."""
    pairs = zip(before, after, strict=True)
    return float(np.mean([(a.float() - b.float()).abs().mean() for a, b in pairs]))


def geometry(subjects: Subjects) -> dict[str, Any]:
    """How far edges move at full strength and texture, in pixels."""
    sampler = samplers_of(subjects, {"full": FULL})["full"]
    count = subjects.options.geometry
    sources = {
        "defect images": [d.image for d in subjects.defects[:count]],
        **{name: paths[:count] for name, paths in subjects.folders.items()},
    }
    found = {}
    for name, paths in sources.items():
        moved, peaks = [], []
        for index, path in enumerate(tqdm(paths, desc=f"geometry, {name}")):
            image = subjects.image(path)[None]
            plan = sampler.draw(1, torch.Generator().manual_seed(subjects.seed + index))
            output = render(image, plan, subjects.pack)
            shift, peak = measures.displacements(to_float(image), to_float(output))
            moved.append(shift)
            peaks.append(peak)
        shifts, distinct = torch.cat(moved), torch.cat(peaks) > DISTINCT
        used = shifts[distinct]
        found[name] = {
            **summary(used.norm(dim=1).tolist(), high=95),
            # scatter averages out, a network that shifts its images does not
            "mean_shift": used.mean(0).tolist() if len(used) else None,
            "used_percent": 100 * len(used) / max(1, len(shifts)),
            "patches": len(shifts),
        }
    return {"geometry": found}


def tradeoff(subjects: Subjects) -> dict[str, Any]:
    """Style moved against defects lost, for several amounts of texture at full strength."""
    group = subjects.groups["unseen references"]
    count = min(subjects.options.tradeoff, len(group.codes))
    content = subjects.contents(count)[0]
    target = [g[:count] for g in group.grams]
    settings = {f"texture {t}": {**FULL, "texture": t} for t in TEXTURES}
    kept, _ = retention(subjects, settings)
    points = []
    for texture in TEXTURES:
        plan = StylePlan.of(group.codes[:count], texture=texture, place=subjects.places(count))
        moved = [
            subjects.moved(
                to_float(content[part]),
                to_float(render(content[part], plan.select(part), subjects.pack)),
                [g[part] for g in target],
            )[0]
            for part in torch.arange(count).split(8)
        ]
        points.append(
            {
                "texture": texture,
                "style_moved": summary(torch.cat(moved).tolist()),
                **survival(kept[f"texture {texture}"]),
            }
        )
    return {"tradeoff": points}


def survival(kept: Sequence[Sequence[float]]) -> dict[str, float]:
    """Median and tenth percentile of what is kept, and the share lost, below a half.

    The standard error is over defects, whose repeats are averaged: repeats of one are no new ones.
    """
    array = np.asarray(kept)
    lost = 100 * (array < 0.5).mean(1)
    return {
        "median": float(np.median(array)),
        "p10": float(np.percentile(array, 10)),
        "lost_percent": float(lost.mean()),
        "lost_standard_error": standard_error(lost),
        "count": len(array),
    }
