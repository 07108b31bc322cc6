"""Ultralytics: schedules follow its epochs, though it rebuilds transforms from their settings."""

import json

import pytest

from helpers import FULL
from parts import draw_parts

pytest.importorskip("ultralytics")
pytest.importorskip("albumentations")

from styleaug import Restyle
from styleaug.hosts.albumentations import StyleAugment
from styleaug.hosts.ultralytics import connect


@pytest.fixture
def generators_kept():
    """Ultralytics seeds Python's and numpy's generators, which the watch of all tests minds."""
    import random

    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    yield
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_schedule_follows_the_epochs(tmp_path, pack_file, generators_kept, monkeypatch):
    from ultralytics import YOLO

    monkeypatch.chdir(tmp_path)
    draw_parts(tmp_path)
    log = tmp_path / "styles.jsonl"
    augment = StyleAugment(
        [Restyle(pack=str(pack_file), **FULL)],
        channel_order="bgr",
        schedule={"Restyle": [(0, 0.2), (1, 1)]},
        log=log,
    )
    model = YOLO("yolov8n.yaml")
    connect(model)
    model.train(
        data="yolo/parts.yaml",
        epochs=2,
        imgsz=64,
        batch=8,
        device="cpu",
        plots=False,
        close_mosaic=1,  # which rebuilds the transforms for the second epoch
        project=str(tmp_path / "runs"),
        augmentations=[augment],
    )
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    strengths = [line["Restyle"]["strength"] for line in lines]
    first, batch = len(strengths) // 2, 8
    assert set(strengths[:first]) == {0.2}
    # the batch that was loaded when mosaic closed came at full settings
    assert set(strengths[first : first + batch]) == {1.0}
    assert set(strengths[first + batch :]) == {0.6}
