"""Annotation files changed by whatever: read, or refused in words, and no image is ever lost."""

import base64
import json
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fuzz.mutations import broken, damages, rewritten, spoilt
from styleaug.datasets import read_defects

WIDTH, HEIGHT = 20, 10
COUNT = 3


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (WIDTH, HEIGHT), 90).save(path)


def coco(root: Path) -> dict[str, object]:
    for i in range(COUNT):
        picture(root / f"images/{i}.png")
    outlines = [
        [[2.0, 2.0, 8.0, 2.0, 8.0, 6.0]],
        {"counts": [5, 4, 191], "size": [HEIGHT, WIDTH]},
        {"counts": "54o5", "size": [HEIGHT, WIDTH]},
    ]
    return {
        "annotations.json": {
            "images": [
                {"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT}
                for i in range(COUNT)
            ],
            "categories": [{"id": 1, "name": "dent"}, {"id": 7, "name": "scratch"}],
            "annotations": [
                {
                    "id": i,
                    "image_id": i,
                    "category_id": (1, 7)[i % 2],
                    "bbox": [2, 2, 6, 4],
                    "iscrowd": 0,
                    "segmentation": outline,
                }
                for i, outline in enumerate(outlines)
            ],
        }
    }


def labelme(root: Path) -> dict[str, object]:
    notes: dict[str, object] = {}
    shapes = [
        {"shape_type": "polygon", "points": [[2, 2], [8, 2], [8, 6]]},
        {"shape_type": "rectangle", "points": [[2, 2], [8, 6]]},
        {"shape_type": "circle", "points": [[5, 5], [7, 5]]},
    ]
    for i, shape in enumerate(shapes):
        picture(root / f"{i}.png")
        notes[f"{i}.json"] = {
            "version": "5.0",
            "imagePath": f"{i}.png",
            "imageData": None,
            "imageWidth": WIDTH,
            "imageHeight": HEIGHT,
            "shapes": [{"label": "dent", **shape}],
        }
    return notes


def supervisely(root: Path) -> dict[str, object]:
    buffer = BytesIO()
    Image.fromarray(np.ones((2, 3), np.uint8) * 255).save(buffer, "PNG")
    bitmap = base64.b64encode(zlib.compress(buffer.getvalue())).decode()
    objects = [
        {
            "geometryType": "polygon",
            "points": {"exterior": [[2, 2], [8, 2], [8, 6]], "interior": []},
        },
        {"geometryType": "rectangle", "points": {"exterior": [[2, 2], [8, 6]], "interior": []}},
        {"geometryType": "bitmap", "bitmap": {"origin": [3, 4], "data": bitmap}},
    ]
    notes: dict[str, object] = {
        "meta.json": {"classes": [{"title": "dent", "shape": "any", "color": "#FF0000"}]}
    }
    for i, entry in enumerate(objects):
        picture(root / f"ds0/img/{i}.png")
        notes[f"ds0/ann/{i}.png.json"] = {
            "size": {"width": WIDTH, "height": HEIGHT},
            "objects": [{"classTitle": "dent", **entry}],
        }
    return notes


def yolo(root: Path) -> dict[str, object]:
    for i in range(COUNT):
        picture(root / f"images/train/{i}.png")
    return {
        "data.yaml": "path: .\ntrain: images/train\nnames: [ dent , scratch ]\n",
        "labels/train/0.txt": "0 0.5 0.5 0.2 0.4\n1 0.3 0.3 0.1 0.1\n",
        "labels/train/1.txt": "0.0 0.1 0.1 0.5 0.1 0.5 0.6\n",
        "labels/train/2.txt": "1 0.1 0.1 0.5 0.1 0.5 0.6 0.1 0.6\n",
    }


def voc(root: Path) -> dict[str, object]:
    notes: dict[str, object] = {}
    for i in range(COUNT):
        picture(root / f"images/{i}.png")
        notes[f"annotations/{i}.xml"] = (
            f"<annotation> <filename> {i}.png </filename> <object> <name> dent </name> <bndbox> "
            "<xmin> 2 </xmin> <ymin> 3 </ymin> <xmax> 8 </xmax> <ymax> 6 </ymax> </bndbox> "
            "</object> </annotation>"
        )
    return notes


def cvat(root: Path) -> dict[str, object]:
    for i in range(COUNT):
        picture(root / f"images/{i}.png")
    shapes = [
        '<box label="dent" occluded="0" xtl="2" ytl="2" xbr="8" ybr="6" rotation="10" />',
        '<polygon label="dent" points="2.0,2.0;8.0,2.0;8.0,6.0" />',
        '<mask label="dent" rle="1, 2, 3" left="2" top="2" width="3" height="2" />',
    ]
    images = "".join(
        f'<image id="{i}" name="{i}.png" width="{WIDTH}" height="{HEIGHT}"> {shape} </image>'
        for i, shape in enumerate(shapes)
    )
    return {"annotations.xml": f"<annotations> <version> 1.1 </version> {images} </annotations>"}


def severstal(root: Path) -> dict[str, object]:
    for i in range(COUNT):
        picture(root / f"train_images/{i}.png")
    lines = [f"{i}.png,{1 + i % 2},5 4 31 2" for i in range(COUNT)]
    return {"train.csv": "\n".join(["ImageId,ClassId,EncodedPixels", *lines])}


def corners(root: Path) -> dict[str, object]:
    for i in range(COUNT):
        picture(root / f"{i}.png")
    return {f"{i}.txt": f"2 2 8 6 {1 + i % 2}\n3 3 9 7 1\n" for i in range(COUNT)}


def visa(root: Path) -> dict[str, object]:
    for i, kind in enumerate(("Normal", "Anomaly", "Anomaly")):
        picture(root / f"candle/Data/Images/{kind}/{i}.png")
    for i in (1, 2):
        picture(root / f"candle/Data/Masks/Anomaly/{i}.png")
    rows = ["image,label,mask", "candle/Data/Images/Normal/0.png,normal,"]
    rows += [
        f"candle/Data/Images/Anomaly/{i}.png,dent,candle/Data/Masks/Anomaly/{i}.png" for i in (1, 2)
    ]
    return {"candle/image_anno.csv": "\n".join(rows)}


FORMATS: dict[str, Callable[[Path], dict[str, object]]] = {
    f.__name__: f for f in (coco, labelme, supervisely, yolo, voc, cvat, severstal, corners, visa)
}
WORDS = ["0", "1", "-1", "0.5", "2e9", "dent", "nan", "{", "<", "</object>", "&lol;", "\t", "\n"]


def text_of(content: object) -> str:
    return content if isinstance(content, str) else json.dumps(content)


def read(root: Path) -> int | None:
    """How many images there are, each with its mask drawn; None if the dataset is refused."""
    try:
        defects = read_defects(root)
        for sample in defects.samples:
            sample.load_mask()
    except (ValueError, OSError) as error:
        assert str(root.name) in str(error) or str(error)  # noqa: PT017 -- the words matter
        return None
    return len(defects.samples)


@pytest.mark.parametrize("name", FORMATS)
def test_the_layouts_are_read_as_they_are(name):
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for file, content in FORMATS[name](root).items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text(text_of(content), encoding="utf-8")
        assert read(root) == COUNT


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_changed_annotations_are_read_or_refused(name, data):
    with TemporaryDirectory() as folder:
        root = Path(folder)
        notes = FORMATS[name](root)
        chosen = data.draw(st.sampled_from(sorted(notes)))
        for file, content in notes.items():
            changed = text_of(content).encode()
            if file == chosen:
                how = data.draw(st.sampled_from(["bytes", "words", "entries"]))
                if how == "bytes":
                    changed = broken(changed, data.draw(damages))
                elif isinstance(content, str):
                    text = data.draw(rewritten(content, WORDS))
                    changed = text.encode(errors="surrogatepass")
                else:
                    changed = json.dumps(data.draw(spoilt(content))).encode()
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(changed)
        read(root)
