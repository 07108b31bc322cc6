"""``audit``: which settings of ``StyleAugment`` keep which defects of a labelled dataset."""

from __future__ import annotations

import hashlib
import inspect
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from styleaug.audit.measures import (
    conspicuity,
    flat_energy,
    new_spots,
    polarity,
    scorer,
)
from styleaug.audit.report import AuditReport, Row
from styleaug.audit.settings import PRESET, AuditConfig, recommend, restyle_name, stage_name
from styleaug.audit.settings import settings as settings_of
from styleaug.augment.plan import Plan
from styleaug.augment.transform import StyleAugment
from styleaug.datasets import DefectSet, Sample
from styleaug.evaluate.records import package_versions
from styleaug.images.color import to_float
from styleaug.images.io import to_tensor
from styleaug.pack import StylePack
from styleaug.stages.relight import Relight

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
Predict = Callable[[Tensor], Tensor]

SHOWN = (restyle_name(1, 0), restyle_name(1, 1), stage_name(Relight, 1), PRESET)
"""Settings that are worth a look."""
FREE_IMAGES = 40
"""Images without defects that are looked at: each takes half a second a setting."""
_LEAST = 0.2
"""Separability before, or confidence, below which there is nothing to lose."""


def audit(
    defects: DefectSet,
    config: AuditConfig | None = None,
    *,
    cache: Path | None = None,
    predict: Predict | None = None,
    progress: Progress = lambda items, title: items,
) -> AuditReport:
    """Measure how visible each defect remains under each setting, and recommend settings.

    The measure is the separability of a defect from the ring around it, by a threshold on luma,
    blurred luma or local energy, after restyling relative to before. Below one half, the defect
    counts as lost. Masks locate the defects; without masks, boxes do. Without either, the
    confidence of ``predict`` in the right class replaces separability.

    Args:
        defects: the labelled images.
        config: settings of the measurement.
        cache: folder that stores the result of each image, so an interrupted audit can continue.
        predict: probabilities (B, number of classes, in the order of ``defects.classes``) of uint8
            images (B, 3, H, W).
        progress: wraps the iterated images, with a title.

    Raises:
        ValueError: if there is nothing to measure.
        OSError: if an image cannot be read.
    """
    config = config or AuditConfig()
    chosen = choose(defects, config.limit, config.seed)
    key: dict[str, Any] = {
        "versions": package_versions(["styleaug", "torch"]),
        "pack": StylePack.load(config.pack).id,
        "size": config.size,
        "draws": config.draws,
        "seed": config.seed,
        "classes": list(defects.classes),
    }
    if predict is not None:
        key["model"] = _digest_model(predict, [fit(s, config.size)[0] for s, _ in chosen[:16]])

    notes = _Notes(None if cache is None else cache / "notes.jsonl")

    def measure(title: str, settings: Mapping[str, StyleAugment]) -> tuple[Row, ...]:
        subject = _Subject(settings, config, predict, defects.classes)
        key["settings"] = {name: augment.to_dict() for name, augment in settings.items()}
        return tuple(
            notes.row_of(
                _digest({**key, "free": is_free}, sample), partial(subject.measure, sample, is_free)
            )
            for sample, is_free in progress(chosen, title)
        )

    rows = measure("settings", settings_of(config.pack))
    if not any(row.kept for row in rows):
        raise ValueError(
            f"An audit needs defects that can be told from their surroundings, but none of "
            f"{len(chosen)} images of {defects.name} holds one: give masks, boxes, or a model."
        )
    report = AuditReport(defects.name, rows, budget=config.budget)
    lost = {name: report.lost(name).share for name in report.settings}
    advice = recommend(lost, config.budget, config.pack)
    if advice is None:
        return report
    return replace(
        report, recommended=advice, checked=measure("recommended", {"recommended": advice})
    )


def draws_of(
    sample: Sample, names: Sequence[str], config: AuditConfig
) -> tuple[Tensor, Tensor | None, Tensor]:
    """What :func:`audit` made of an image, to be looked at.

    Args:
        sample: the image.
        names: of settings.
        config: as given to the audit.

    Returns:
        The image (3, H, W) uint8, its mask (1, H, W) bool, and the draws of each setting (len,
        draws, 3, H, W).
    """
    subject = _Subject(settings_of(config.pack), config, None, ())
    image, mask = fit(sample, config.size)
    draws = subject.draw(sample, image, names).reshape(len(names), config.draws, *image.shape[1:])
    return image[0], None if mask is None else mask[0], draws


def choose(defects: DefectSet, limit: int, seed: int) -> list[tuple[Sample, bool]]:
    """Images with defects, classes in turn, then some without; each with whether it is free."""
    marks = any(sample.masks or sample.boxes for sample in defects.samples)
    order = list(defects.samples)
    random.Random(seed).shuffle(order)
    by_class: dict[str, list[Sample]] = {}
    free = []
    for sample in order:
        if marks and not _marked(sample):
            free.append(sample)
        else:
            by_class.setdefault(sample.label, []).append(sample)
    turns = [s for turn in zip_longest(*by_class.values()) for s in turn if s is not None]
    return [(s, False) for s in turns[:limit]] + [(s, True) for s in free[:FREE_IMAGES]]


def _marked(sample: Sample) -> bool:
    """Whether a sample's mask or boxes mark anything."""
    if sample.boxes:
        return True
    marked = sample.load_mask()
    return marked is not None and bool(marked.any())


class _Subject:
    """Measures one image after the other, in all settings."""

    def __init__(
        self,
        settings: Mapping[str, StyleAugment],
        config: AuditConfig,
        predict: Predict | None,
        classes: Sequence[str],
    ) -> None:
        self.settings, self.config = settings, config
        self.predict, self.classes = predict, classes
        self.free = [name for name in settings if name in SHOWN] or list(settings)

    def measure(self, sample: Sample, is_free: bool) -> Row:
        image, mask = fit(sample, self.config.size)
        if is_free:
            return self._measure_free(sample, image)
        area = float(mask.float().mean()) if mask is not None else 0.0
        row = Row(str(sample.path), sample.label, area=area)
        score = self._score_of(sample, mask)
        if score is None or (before := score(image)[0]) < _LEAST:
            return row
        after = score(self.draw(sample, image, list(self.settings)))
        kept = np.asarray(after).reshape(len(self.settings), self.config.draws) / before
        found = dict(zip(self.settings, kept.tolist(), strict=True))
        sign = 0.0 if mask is None else polarity(to_float(image), mask)
        return replace(row, before=before, polarity=sign, kept=found)

    def _score_of(
        self, sample: Sample, mask: Tensor | None
    ) -> Callable[[Tensor], list[float]] | None:
        """What tells how well the defect is seen in images (B, 3, H, W); None if nothing can."""
        if self.predict is not None:
            predict, label = self.predict, list(self.classes).index(sample.label)
            return lambda images: predict(images)[:, label].tolist()
        return None if mask is None else scorer(mask)

    def _measure_free(self, sample: Sample, image: Tensor) -> Row:
        outputs = self.draw(sample, image, self.free)[:: self.config.draws]
        before, known = to_float(image), conspicuity(to_float(image))
        added, spots = {}, {}
        for name, output in zip(self.free, outputs, strict=True):
            after = to_float(output[None])
            energy = flat_energy(before, after)
            added[name] = float(energy.median()) if len(energy) else 0.0
            spots[name] = new_spots(known, conspicuity(after))
        return Row(str(sample.path), sample.label, added=added, spots=spots)

    def draw(self, sample: Sample, image: Tensor, names: Sequence[str]) -> Tensor:
        """The image (1, 3, H, W) in some settings, ``draws`` times each: (len * draws, ...).

        What is drawn depends on the image's name, the seed and the draw's number alone, so the same
        style and lighting come in every setting, and again for the contact sheet.
        """
        base = random.Random(f"{self.config.seed} {sample.path.name}").getrandbits(31)
        seeds = [base + number for number in range(self.config.draws)]
        images = image.expand(len(seeds), -1, -1, -1)
        outputs = []
        for name in names:
            augment = self.settings[name]
            plans = [augment.draw(1, torch.Generator().manual_seed(seed)) for seed in seeds]
            outputs.append(augment.render(images, Plan.join(plans)))
        return torch.cat(outputs)


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
    """Measured rows in a file, a line each, found again by all that they depend on."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.rows: dict[str, Row] = {}
        text = file.read_text(encoding="utf-8") if file and file.is_file() else ""
        for line in text.splitlines():
            with suppress(ValueError, TypeError):  # half a line, of a run that was killed
                digest, row = json.loads(line)
                self.rows[digest] = Row(**row)

    def row_of(self, digest: str, measure: Callable[[], Row]) -> Row:
        if digest not in self.rows:
            self.rows[digest] = measure()
            if self.file is not None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                with self.file.open("a", encoding="utf-8") as out:
                    out.write("\n" + json.dumps([digest, asdict(self.rows[digest])]))
        return self.rows[digest]


def _digest(key: Mapping[str, Any], sample: Sample) -> str:
    """Of all that a row depends on: settings, what is known of the image, and its files."""
    text = f"{json.dumps(key, sort_keys=True)} {sample!r}"
    sha = hashlib.sha256(text.encode(errors="surrogateescape"))
    for file in sample.files:
        sha.update(hashlib.sha256(file.read_bytes()).digest())
    return sha.hexdigest()


def _digest_model(predict: Predict, images: Sequence[Tensor]) -> str:
    """Of a model's file, and of what it answers: its weights may lie elsewhere."""
    sha = hashlib.sha256()
    with suppress(TypeError, OSError):  # an object of a class that lies in no file
        sha.update(Path(inspect.getfile(predict)).read_bytes())
    for image in images:
        sha.update(predict(image).detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()
