"""Ultralytics: the progress of training for schedules, in each process that trains.

``StyleAugment`` itself comes from :mod:`styleaug.hosts.albumentations`: Ultralytics takes a list of
Albumentations transforms. Nothing of Ultralytics is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from styleaug.hosts.albumentations import StyleAugment


def connect(model: Any) -> None:
    """Report the epochs of a YOLO training to the ``StyleAugment`` in its ``augmentations``.

    Ultralytics rebuilds transforms from their settings, in every process and when mosaic closes, so
    a direct ``set_progress`` has no effect. The few batches that are loaded before the next
    callback use the full settings. The callback also registers the class in the processes of
    several GPUs, which do not import the training script.

    Args:
        model: an ``ultralytics.YOLO``, before its ``train``.
    """
    # the second one for the epoch that closes mosaic, and rebuilds transforms once it has begun
    for event in ("on_train_epoch_start", "on_train_batch_start"):
        model.add_callback(event, tell_progress)


def tell_progress(trainer: Any) -> None:
    """Tell the progress of a trainer to the transforms of its training data."""
    for transform in _inside(trainer.train_loader.dataset.transforms):
        transform.set_progress(min(1.0, trainer.epoch / trainer.epochs))


def _inside(step: Any) -> Iterator[StyleAugment]:
    """All ``StyleAugment`` in nested pipelines."""
    if isinstance(step, StyleAugment):
        yield step
    elif isinstance(step, list | tuple):
        for one in step:
            yield from _inside(one)
    else:
        for name in ("transforms", "transform"):
            yield from _inside(getattr(step, name, ()) or ())
