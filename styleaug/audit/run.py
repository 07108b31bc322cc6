"""``audit``: which settings of ``StyleAugment`` keep which defects of a labelled set."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from styleaug.audit.measures import (
    around,
    conspicuity,
    flat_energy,
    new_spots,
    separability,
    surroundings,
)
from styleaug.audit.report import AuditReport, Row
from styleaug.audit.settings import Setting, grid, light, material, recommend, training
from styleaug.datasets import DefectSet, Sample
from styleaug.files import atomic_path
from styleaug.images.color import to_float
from styleaug.images.io import to_tensor
from styleaug.pack import StylePack
from styleaug.plan import StylePlan, StyleSampler
from styleaug.render import render

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
Predict = Callable[[Tensor], Tensor]

FREE_IMAGES = 40
"""Images without defects that are looked at: each takes half a second a setting."""
_LEAST = 0.2
"""Separability before, or confidence, below which there is nothing to lose."""
_SMALLEST = 12
"""Pixels of the smallest defect: fewer tell no difference from chance."""


def audit(
    defects: DefectSet,
    *,
    pack: str = "base",
    size: int = 256,
    limit: int = 300,
    repeats: int = 2,
    budget: float = 0.02,
    seed: int = 0,
    cache: Path | None = None,
    predict: Predict | None = None,
    progress: Progress = lambda items, title: items,
) -> AuditReport:
    """Measure, defect by defect, what is left of it under each setting, and recommend settings.

    A defect is kept as far as it stands out of its surroundings as before: the separability of
    inside and ring by a threshold on luma, blurred luma or local energy, after over before. Below a
    half it counts as lost. The mask says where it is; without masks, boxes; without either, the
    confidence of ``predict`` in the right class is compared in place of separability.

    Args:
        defects: the labelled images.
        pack: name or path of the style pack.
        size: short side, in pixels, that larger images are brought to, as for training.
        limit: images that are looked at, chosen by ``seed``, classes alike.
        repeats: draws of each setting for each defect.
        budget: share of defects that each stage of the recommended settings may lose.
        seed: of the choice, and of the draws, which are the same in every setting.
        cache: a folder in which each measured image is noted, so that an interrupted audit goes on.
        predict: probabilities (B, number of classes, in the order of ``defects.classes``) of uint8
            images (B, 3, H, W).
        progress: wraps the images that are gone through, with a title.

    Raises:
        ValueError: if there is nothing to measure.
        OSError: if an image cannot be read.
    """
    loaded = StylePack.load(pack)
    chosen = choose(defects, limit, seed)
    key = {"pack": loaded.id, "size": size, "repeats": repeats, "seed": seed}
    key |= {"by": "confidence" if predict else "marks", "classes": list(defects.classes)}

    def rows(name: str, settings: Sequence[Setting]) -> list[Row]:
        named = [[s.name, dict(s.options)] for s in settings]
        notes = _Notes(None if cache is None else cache / f"{name}.jsonl", {**key, "of": named})
        subject = _Subject(loaded, settings, size, repeats, seed, predict, defects.classes)
        found = []
        for sample, is_free in progress(chosen, name):
            row = notes.get(sample)
            if row is None:
                row = subject.measure(sample, is_free)
                notes.add(sample, row)
            found.append(row)
        return found

    measured = rows("settings", grid())
    if not any(row.kept for row in measured):
        raise ValueError(
            f"An audit needs defects that can be told from their surroundings, but none of "
            f"{len(chosen)} images of {defects.name} holds one: give masks, boxes, or a model."
        )
    report = AuditReport(defects.name, tuple(measured), budget=budget)
    advice = recommend({s.name: report.lost(s.name).share for s in grid()}, budget)
    checked = rows("recommended", [training("recommended", **advice)])
    return report.with_advice(advice, checked)


def draws_of(
    sample: Sample, names: Sequence[str], *, pack: str, size: int, repeats: int, seed: int
) -> tuple[Tensor, Tensor | None, Tensor]:
    """What :func:`audit` made of an image, to be looked at.

    Args:
        sample: the image.
        names: of settings of the grid.
        pack: as given to the audit.
        size: the same.
        repeats: the same.
        seed: the same.

    Returns:
        The image (3, H, W) uint8, its mask (1, H, W) bool, and the draws of each setting (len,
        repeats, 3, H, W).
    """
    subject = _Subject(StylePack.load(pack), grid(), size, repeats, seed, None, ())
    image, mask = fit(sample, size)
    draws = subject.draw(sample, image, names).reshape(len(names), repeats, *image.shape[1:])
    return image[0], None if mask is None else mask[0], draws


def choose(defects: DefectSet, limit: int, seed: int) -> list[tuple[Sample, bool]]:
    """Images with defects, classes in turn, then some without; each with whether it is free."""
    marks = any(sample.mask or sample.boxes for sample in defects.samples)
    order = list(defects.samples)
    random.Random(seed).shuffle(order)
    by_class: dict[str, list[Sample]] = {}
    free = []
    for sample in order:
        if marks and not _marked(sample):
            free.append(sample)
        else:
            by_class.setdefault(sample.label, []).append(sample)
    turns = [s for turn in _zip_rest(list(by_class.values())) for s in turn]
    return [(s, False) for s in turns[:limit]] + [(s, True) for s in free[:FREE_IMAGES]]


def _marked(sample: Sample) -> bool:
    """Whether a sample's mask or boxes mark anything."""
    if sample.boxes:
        return True
    if sample.mask is None:
        return False
    with Image.open(sample.mask) as mask:
        return bool(np.asarray(mask.convert("L")).any())


def _zip_rest(lists: list[list[Sample]]) -> Iterator[list[Sample]]:
    for k in range(max(map(len, lists), default=0)):
        yield [one[k] for one in lists if k < len(one)]


class _Subject:
    """Measures one image after the other, in all settings."""

    def __init__(
        self,
        pack: StylePack,
        settings: Sequence[Setting],
        size: int,
        repeats: int,
        seed: int,
        predict: Predict | None,
        classes: Sequence[str],
    ) -> None:
        self.pack, self.size, self.repeats, self.seed = pack, size, repeats, seed
        self.predict, self.classes = predict, classes
        self.samplers = {s.name: StyleSampler(pack, **dict(s.options)) for s in settings}
        looked_at = {material(1, 1).name, light(1).name, "defaults", "recommended"}
        self.free = [name for name in self.samplers if name in looked_at] or list(self.samplers)

    def measure(self, sample: Sample, is_free: bool) -> Row:
        image, mask = fit(sample, self.size)
        if is_free:
            return self._measure_free(sample, image)
        area = float(mask.float().mean()) if mask is not None else 0.0
        row = Row(str(sample.path), sample.label, area=area)
        if self.predict is not None:
            label = list(self.classes).index(sample.label)
            before = float(self.predict(image)[0, label])
            after = self.predict(self.draw(sample, image, list(self.samplers)))[:, label].tolist()
        else:
            if mask is None or mask.sum() < _SMALLEST or mask.float().mean() > 0.5:
                return row
            # all that the measure looks at: 15 pixels around the mask, and 4 for its two blurs
            part = around(mask, 20)
            inside, ring = mask[part], surroundings(mask[part])
            if not ring.any():
                return row
            before = separability(to_float(image)[part], inside, ring)
            if before < _LEAST:
                return row
            outputs = self.draw(sample, image, list(self.samplers))
            after = [separability(to_float(o[None])[part], inside, ring) for o in outputs]
        if before < _LEAST:
            return row
        kept = np.asarray(after).reshape(len(self.samplers), self.repeats) / before
        return row.with_kept(before, dict(zip(self.samplers, kept.tolist(), strict=True)))

    def _measure_free(self, sample: Sample, image: Tensor) -> Row:
        outputs = self.draw(sample, image, self.free)[:: self.repeats]
        before, known = to_float(image), conspicuity(to_float(image))
        added, spots = {}, {}
        for name, output in zip(self.free, outputs, strict=True):
            after = to_float(output[None])
            energy = flat_energy(before, after)
            added[name] = float(energy.median()) if len(energy) else 0.0
            spots[name] = new_spots(known, conspicuity(after))
        return Row(str(sample.path), sample.label, added=added, spots=spots)

    def draw(self, sample: Sample, image: Tensor, names: Sequence[str]) -> Tensor:
        """The image (1, 3, H, W) in some settings, ``repeats`` times each: (len * repeats, ...).

        What is drawn depends on the image's name, the seed and the repeat alone, so the same style
        and lamp come in every setting, and again for the picture sheet.
        """
        base = random.Random(f"{self.seed} {sample.path.name}").getrandbits(31)
        plans = [
            self.samplers[name].draw(1, torch.Generator().manual_seed(base + repeat))
            for name in names
            for repeat in range(self.repeats)
        ]
        return render(image.expand(len(plans), -1, -1, -1), StylePlan.join(plans), self.pack)


def fit(sample: Sample, size: int) -> tuple[Tensor, Tensor | None]:
    """A sample's image (1, 3, H, W) uint8, and its mask (1, 1, H, W) bool, not above ``size``."""
    picture, marked = sample.load(), sample.load_mask()
    scale = min(1.0, size / min(picture.size))
    shape = (round(picture.width * scale), round(picture.height * scale))
    if scale < 1:
        picture = picture.resize(shape, Image.Resampling.BILINEAR)
    if marked is None:
        return to_tensor(picture)[None], None
    mask = Image.fromarray(marked.astype(np.uint8) * 255)
    if scale < 1:  # any share of a pixel that is marked marks it: thin defects stay
        mask = mask.resize(shape, Image.Resampling.BOX)
    return to_tensor(picture)[None], to_tensor(mask)[None] > 0


class _Notes:
    """Rows in a file, one line each; those of other settings are thrown away."""

    def __init__(self, file: Path | None, key: dict[str, Any]) -> None:
        self.file, self.rows = file, {}
        head = json.dumps({"key": key}, sort_keys=True)
        if file is None:
            return
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        if lines[:1] == [head]:
            for line in lines[1:]:
                try:
                    row = Row.from_dict(json.loads(line))
                except (ValueError, TypeError):  # the last line of a run that was killed
                    continue
                self.rows[row.path] = row
        known = [json.dumps(row.to_dict()) for row in self.rows.values()]
        with atomic_path(file) as temporary:
            temporary.write_text("\n".join([head, *known, ""]), encoding="utf-8")

    def get(self, sample: Sample) -> Row | None:
        return self.rows.get(str(sample.path))

    def add(self, sample: Sample, row: Row) -> None:
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(row.to_dict()) + "\n")
