"""The weights that ship with the package: whole, as their cards say, and fit for use."""

import hashlib
import pickle
import re
from collections import Counter

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from helpers import FULL, pictures, pil_picture
from styleaug import Restyle, StyleAugment, StylePack
from styleaug.networks import stylizer_of
from styleaug.pack import bundled_packs
from styleaug.styles.procedural import FAMILIES
from styleaug.weights import bundled_dir

FILES = sorted(bundled_dir().glob("*/*.safetensors"))


@pytest.fixture(scope="module", params=sorted(bundled_packs()))
def bundled(request):
    return StylePack.load(request.param)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.name}")
def test_the_card_gives_the_digest_of_the_file(file):
    card = (file.parent / "CARD.md").read_text(encoding="utf-8")
    named = re.findall(r"\b[0-9a-f]{64}\b", card)
    assert named == [hashlib.sha256(file.read_bytes()).hexdigest()]


def test_a_pack_is_small_and_has_styles_of_several_tags(bundled):
    assert bundled_packs()[bundled.source].stat().st_size <= 8e6
    drawn = bundled.source == "procedural"
    assert len(bundled) >= (800 if drawn else 1500)
    known = {tag for tags in bundled.tags for tag in tags}
    photographed = set() if drawn else {"texture", "material", "painting"}
    assert {"finish", *FAMILIES} | photographed <= known
    assert all(set(tags) & set(bundled.info["sources"]) for tags in bundled.tags)
    assert bundled.codes.isfinite().all()


def test_tags_are_words_for_several_styles_spelled_once(bundled):
    """Only where a picture comes from may single out one row; no tag is a file's name or number."""
    counts = Counter(tag for tags in bundled.tags for tag in tags)
    sources = {tags[-1] for tags in bundled.tags if tags[0] in ("material", "painting")}
    described = {tag: count for tag, count in counts.items() if tag not in sources}
    assert min(described.values()) > 1
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", tag) for tag in described)
    assert not {tag + "s" for tag in counts} & {*counts}
    assert not {"images", "wg", "gras"} & {*counts}
    if bundled.source != "procedural":
        assert {"grass", "brick", "wood", "metal"} <= {*described}


def test_the_procedural_pack_names_no_source_but_drawn_finishes():
    """Its styles are drawn, its weights began at random, and no pack taught it."""
    pack = StylePack.load("procedural")
    assert {tuple(tags) for tags in pack.tags} == {("finish", family) for family in FAMILIES}
    assert [*pack.info["sources"]] == ["finish"]
    assert pack.info["settings"]["content"] == ["drawn", "x-sdd", "trainval"]
    assert pack.info["settings"]["init"] is None
    assert pack.info["settings"]["teacher"] is None


def test_both_packs_have_the_same_styles_and_fast_a_third_of_the_arithmetic():
    base, fast = (StylePack.load(name) for name in ("base", "fast"))
    assert (fast.names, fast.tags) == (base.names, base.tags)
    images, noise = torch.rand(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)
    macs = []
    for pack in (base, fast):
        network = stylizer_of(pack, torch.device("cpu"), torch.float32).net
        with FlopCounterMode(display=False) as counter:
            network(images, pack.codes[:1], noise)
        macs.append(counter.get_total_flops() / 2e9)
    assert macs[0] < 0.94
    assert macs[1] < 0.35


def test_the_defaults_run_on_whatever_a_loader_gives():
    augment = StyleAugment()
    for images in (pictures(2, 3, 64, 48), pictures(1, 40, 64, dtype=torch.float32)):
        assert augment(images).shape == images.shape
    assert augment(pil_picture()).size == (41, 17)


def test_the_default_transform_travels_in_a_few_bytes():
    assert len(pickle.dumps(StyleAugment())) < 10_000


def test_full_strength_moves_images_visibly_and_styles_differ(bundled):
    """By a twentieth of the range in the median, and as much between any two styles of a few."""
    images = pictures(1, 3, 64, 64, dtype=torch.float32).expand(6, 3, 64, 64)
    stage = Restyle(pack=bundled, **FULL)
    out = stage.apply(images, stage.draw(6, torch.Generator().manual_seed(0)))
    assert (out - images).abs().mean((1, 2, 3)).median() > 0.05
    apart = [(out[i] - out[j]).abs().mean().item() for i in range(6) for j in range(i)]
    assert sum(apart) / len(apart) > 0.05


def test_texture_on_a_flat_surface_is_bounded(bundled):
    """Noise of three levels on flat gray, half the texture. Bounded texture adds four at most.

    The bound is to be lowered with better packs, and never raised.
    """
    generator = torch.Generator().manual_seed(0)
    noise = 3 / 255 * torch.randn(16, 1, 96, 96, generator=generator)
    stage = Restyle(pack=bundled, **{**FULL, "texture": 0.5})
    flat = (0.5 + noise).expand(16, 3, 96, 96).clamp(0, 1)
    out = stage.apply(flat, stage.draw(16, generator))
    assert out.mean(1).std((1, 2)).median() < 0.08


def test_no_lattice_is_painted_on_a_flat_image(bundled):
    """At full strength and texture, what repeats every four pixels is a level at most."""
    stage = Restyle(pack=bundled, **FULL)
    params = stage.draw(16, torch.Generator().manual_seed(0))
    out = stage.apply(torch.full((16, 3, 96, 96), 0.5), params)
    cells = torch.nn.functional.pixel_unshuffle(out.mean(1, keepdim=True), 4)
    assert cells.mean((2, 3)).std(1).median() < 1 / 255
