"""A small defect data set, drawn: brushed metal plates, some with scratches and spots.

``python tests/hosts/parts.py DIR`` draws it for the examples of ``docs/how-to``.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE = 96
"""Side of an image, in pixels."""

Box = tuple[int, int, int, int]


def draw_parts(root: Path, seed: int = 0) -> None:
    """Draw the data set as class folders, masks, and YOLO folders; the same one for a seed.

    ::

        parts/good/*.png  parts/scratched/*.png      two classes, 16 and 12 images, RGB
        masks/scratched/*.png                        0 and 255, named as their images are
        yolo/parts.yaml                              the same images, each fourth for validation:
        yolo/images/{train,val}/*.png
        yolo/labels/{train,val}/*.txt                "0 cx cy w h" a defect; empty for a good part
    """
    rng = np.random.default_rng(seed)
    for name, count in (("good", 16), ("scratched", 12)):
        for i in range(count):
            image, mask, boxes = draw_part(rng, defects=1 + i % 3 if name == "scratched" else 0)
            stem = f"{name}_{i:02}"
            _save(image, root / "parts" / name / f"{stem}.png")
            if boxes:
                _save(mask, root / "masks" / name / f"{stem}.png")
            split = "train" if i % 4 else "val"
            _save(image, root / "yolo/images" / split / f"{stem}.png")
            labels = root / "yolo/labels" / split / f"{stem}.txt"
            labels.parent.mkdir(parents=True, exist_ok=True)
            labels.write_text("".join(map(_yolo_line, boxes)), encoding="utf-8")
    yaml = "train: images/train\nval: images/val\nnames:\n  0: scratch\n"
    (root / "yolo/parts.yaml").write_text(yaml, encoding="utf-8")


def draw_part(rng: np.random.Generator, defects: int) -> tuple[Image.Image, Image.Image, list[Box]]:
    """An image, the mask of its defects, and their boxes (left, top, right, bottom)."""
    reach = 32  # length of the brush strokes
    noise = rng.normal(0, 1, (SIZE, SIZE + reach)).cumsum(1)
    surface = 128 + 40 * (noise[:, reach:] - noise[:, :-reach]) / reach**0.5
    mask, boxes = np.zeros((SIZE, SIZE), bool), []
    for _ in range(defects):
        canvas = Image.new("L", (SIZE, SIZE))
        x, y = rng.integers(16, SIZE - 16, 2).tolist()
        if rng.random() < 0.7:
            dx, dy = rng.choice((-1, 1), 2) * rng.integers(8, 16, 2)
            ImageDraw.Draw(canvas).line((x - dx, y - dy, x + dx, y + dy), fill=255, width=2)
        else:
            ImageDraw.Draw(canvas).ellipse((x - 5, y - 4, x + 5, y + 4), fill=255)
        box = canvas.getbbox()
        assert box is not None
        boxes.append(box)
        marked = np.asarray(canvas) > 0
        surface[marked] += rng.choice((-90, 90))
        mask |= marked
    pixels = surface.clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels).convert("RGB"), Image.fromarray(mask).convert("L"), boxes


def _yolo_line(box: Box) -> str:
    left, top, right, bottom = (v / SIZE for v in box)
    middle = f"{(left + right) / 2:.4f} {(top + bottom) / 2:.4f}"
    return f"0 {middle} {right - left:.4f} {bottom - top:.4f}\n"


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


if __name__ == "__main__":
    draw_parts(Path(sys.argv[1]))
