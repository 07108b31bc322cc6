"""What draws the pictures of the docs: parts whose masks are true, and sheets of all styles."""

import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from benchmarks.docs import gallery, styles
from benchmarks.docs.scenes import SCENES, Scene, marked
from styleaug import StylePack
from styleaug.images.io import to_tensor

ROOT = Path(__file__).parents[1]


def grown(mask, by):
    """A mask (1, H, W), larger by so many pixels."""
    return F.max_pool2d(mask.float(), 2 * by + 1, stride=1, padding=by) > 0


@pytest.mark.parametrize("name", SCENES)
def test_the_mask_of_a_part_is_where_its_defects_are(name, monkeypatch):
    """Without its defects a part differs inside the mask, and nowhere off its soft edge."""
    image, mask = SCENES[name](160).finished()
    monkeypatch.setattr(Scene, "defect", lambda *_, **__: None)
    plain, _ = SCENES[name](160).finished()
    changed = (image.int() - plain.int()).abs().amax(0, keepdim=True)
    assert 0.003 < mask.float().mean() < 0.1
    assert (changed[mask] > 25).float().mean() > 0.6
    assert not changed[~grown(mask, 6)].any()


def test_a_part_is_the_same_at_every_size():
    small, large = (SCENES["steel"](side).finished()[0].float() for side in (160, 320))
    assert (F.avg_pool2d(large, 2) - small).abs().mean() < 12


def test_an_outline_surrounds_a_defect_and_covers_none_of_it():
    image, mask = torch.zeros(3, 40, 40, dtype=torch.uint8), torch.zeros(1, 40, 40).bool()
    mask[:, 15:25, 15:20] = True
    line = marked(image, mask).any(0, keepdim=True)
    assert not (line & grown(mask, 4)).any()
    assert torch.equal(line | grown(mask, 4), grown(mask, 6))


def test_long_captions_are_cut_at_the_width_of_their_picture():
    picture = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    sheet = to_tensor(gallery.mosaic([(picture, "word " * 40), (picture, "")], 2))
    width = 64 + gallery.GAP
    below = sheet[:, -gallery.LINE :]
    ground = torch.tensor(gallery.GROUND)[:, None, None]
    assert (below[..., :width] != ground).any()
    assert (below[..., width:] == ground).all()


def test_pages_show_every_picture_of_the_gallery_and_no_other():
    text = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    shown = set(re.findall(r"assets/gallery/([\w-]+)\.jpg", text))
    assert shown == {path.stem for path in gallery.OUT.iterdir()} == {*gallery.SHEETS} - {"hero"}


def test_the_sheets_hold_every_style_where_the_index_says(tmp_path, monkeypatch):
    for name, value in {"SIDE": 32, "THUMBNAIL": 32, "COLUMNS": 2, "ROWS": 2}.items():
        monkeypatch.setattr(styles, name, value)
    pack = StylePack.random(rows=7)
    kinds = ["texture", "finish", "odd", "texture", "finish", "material", "painting"]
    pack.tags = tuple((kind,) for kind in kinds)
    styles.write(pack, tmp_path)
    index = styles.read_index(tmp_path)
    names = [style["name"] for style in index["styles"]]
    assert sorted(names) == sorted(pack.names)
    order = [style["tags"][0] for style in index["styles"]]
    assert order == ["finish", "finish", "material", "texture", "texture", "painting", "odd"]
    assert len(list(tmp_path.glob("*.webp"))) == 2
    rows = [pack.names.index(name) for name in names]
    for k, expected in enumerate(styles.thumbnails(pack, rows)):
        with Image.open(tmp_path / f"sheet-{k // 4}.webp") as sheet:
            x, y = k % 2 * 32, k % 4 // 2 * 32
            shown = to_tensor(sheet.convert("RGB").crop((x, y, x + 32, y + 32)))
        assert (shown.float() - expected.float()).mean((1, 2)).abs().max() < 8
