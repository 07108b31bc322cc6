"""Small labelled datasets, drawn and written as people keep them, and how tests look at them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from styleaug.datasets import Sample, read_defects

WIDTH, HEIGHT = 20, 10
"""Of all images here: sides differ, so that swapping them fails."""
VOC_OBJECT = """<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>
<ymax>{}</ymax></bndbox></object>"""


def draw(root: Path, *names: str, size=(WIDTH, HEIGHT)) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 90).save(root / name)


def draw_mask(path: Path, levels, *, mode: str | None = None) -> None:
    """A mask of one row of ``levels``, then of zeros."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    pixels[0, : len(levels)] = levels
    mask = Image.fromarray(pixels)
    if mode == "P":
        mask.putpalette([level for level in range(256) for _ in "RGB"])
    elif mode is not None:
        mask = mask.convert(mode)
    mask.save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_voc(path: Path, *objects) -> None:
    write(path, f"<annotation>{''.join(VOC_OBJECT.format(*o) for o in objects)}</annotation>")


def coco(images: dict[int, str], boxes=(), names=("crack", "spot")) -> str:
    """The text of a COCO file; ``boxes`` are (image's id, category's id, bbox)."""
    return json.dumps(
        {
            "images": [{"id": key, "file_name": name} for key, name in images.items()],
            "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
            "annotations": [{"image_id": i, "category_id": c, "bbox": b} for i, c, b in boxes],
        }
    )


def read(root: Path, **options) -> tuple[str, dict[str, Sample]]:
    """The layout, and the samples by their paths below ``root``."""
    found = read_defects(root, **options)
    assert list(found.samples) == sorted(found.samples, key=lambda sample: sample.path)
    return found.layout, {s.path.relative_to(root).as_posix(): s for s in found.samples}


def labels(samples: dict[str, Sample]) -> dict[str, str]:
    return {name: sample.label for name, sample in samples.items()}


def mask_of(sample: Sample) -> Path | None:
    """The mask file of a sample, of which it has one at most."""
    assert len(sample.masks) <= 1
    return sample.masks[0].path if sample.masks else None


def splits(samples: dict[str, Sample]) -> dict[str, str]:
    return {name: sample.split for name, sample in samples.items()}
