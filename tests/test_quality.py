"""What benchmarks/quality measures, on inputs whose answer is known."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.docs.pages import fill
from benchmarks.quality import __main__ as quality
from benchmarks.quality import measures, safety, strength, subjects
from benchmarks.rows import Rows
from styleaug import StylePack
from styleaug.audit.measures import conspicuity
from styleaug.augment.presets import PRESETS
from styleaug.nn.perceptual import CONTENT_WEIGHTS, grams
from styleaug.nn.stylenet import StyleNetConfig

pytestmark = pytest.mark.usefixtures("one_thread")


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Pixels:
    """Stands in for the VGG trunk: every layer is the image and its vertical differences."""

    def __call__(self, images, layers):
        features = torch.cat([images, images - images.roll(1, 2)], dim=1)
        return dict.fromkeys(layers, features)


def target_of(images):
    return grams(Pixels()(images, measures.ENCODER_LAYERS))


def test_style_distance_is_squared_and_zero_at_the_style_itself():
    images, typical = torch.rand(2, 3, 16, 16), torch.full((4,), 2.0)
    target = target_of(images)
    assert measures.style_and_root(images, target, typical, Pixels())[0].max() == 0
    squared, root = measures.style_and_root(3**0.5 * images, target, typical, Pixels())
    norm = target[0].square().sum((1, 2))
    wanted = 4 * norm / (norm + 0.02 * 4)  # |3G - G|^2 over |G|^2 and the floor
    torch.testing.assert_close(squared, wanted)
    torch.testing.assert_close(root, wanted.sqrt())


def test_objective_is_zero_where_style_and_content_are_met():
    images = 0.5 + 0.1 * noise(2, 3, 16, 16)
    trunk, typical = Pixels(), torch.ones(4)
    target, content = target_of(images), trunk(images, CONTENT_WEIGHTS)
    style, kept = measures.objective(images, content, target, typical, trunk)
    assert style.abs().max() < 1e-9
    assert kept.abs().max() < 1e-9
    other = torch.cat([images[:1], images[1:].flip(3)])  # the same style, elsewhere
    style, kept = measures.objective(other, content, target, typical, trunk)
    assert style.abs().max() < 1e-6
    assert kept[0] == 0
    assert kept[1] > 0.1


def test_an_optimisation_of_pixels_lowers_the_objective_of_each_image(monkeypatch):
    monkeypatch.setattr(strength, "cached_features", lambda *_: Pixels())
    content, styles = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16).square()
    trunk, typical = Pixels(), torch.ones(4)
    target, wanted = target_of(styles), trunk(content, CONTENT_WEIGHTS)

    def total(images):
        return sum(measures.objective(images, wanted, target, typical, trunk))

    found = {
        step: images for step, images, _ in strength.optimise(content, target, typical, {5, 30})
    }
    assert list(found) == [5, 30]
    assert (total(found[5]) < total(content)).all()
    assert (total(found[30]) < total(found[5])).all()
    assert found[30].min() >= 0
    assert found[30].max() <= 1


def test_diversity_is_one_with_the_styles_own_statistics_and_zero_where_all_are_alike():
    styles = noise(12, 9)
    assert measures.spread_ratio(styles, styles) == pytest.approx((1, 1), abs=1e-3)
    # what a content adds to all outputs alike does not count
    assert measures.spread_ratio(styles / 2 + 7, styles) == pytest.approx((0.5, 1), abs=1e-3)
    spread, follows = measures.spread_ratio(styles[:1].expand(12, 9), styles)
    assert spread < 1e-6
    assert abs(follows) < 1e-2


def test_spread_that_does_not_follow_the_styles_has_no_correlation():
    spread, follows = measures.spread_ratio(noise(400, 9, seed=1), noise(400, 9))
    assert spread == pytest.approx(1, abs=0.1)
    assert abs(follows) < 0.1


def test_statistics_that_no_style_varies_are_left_out():
    styles = noise(12, 3) * torch.tensor([1.0, 1.0, 0.0])
    outputs = styles + 100 * noise(12, 3, seed=1) * torch.tensor([0.0, 0.0, 1.0])
    assert measures.spread_ratio(outputs, styles)[0] == pytest.approx(1, abs=1e-3)


def test_colour_statistics_are_means_deviations_and_covariances():
    images = torch.rand(2, 3, 32, 32)
    flat = images[1].flatten(1)
    covariance = torch.cov(flat, correction=0)
    wanted = [*flat.mean(1), *flat.std(1, correction=0), *covariance[[0, 0, 1], [1, 2, 2]]]
    torch.testing.assert_close(measures.colour_statistics(images)[1], torch.stack(wanted))


def test_texture_statistics_see_structure_but_neither_colour_nor_contrast():
    trunk = Pixels()
    gray = 0.5 + 0.1 * noise(1, 1, 32, 32)
    weights = torch.tensor([0.5, 0.2, 0.1]).view(1, 3, 1, 1)
    plain = measures.texture_statistics(gray.expand(1, 3, 32, 32), trunk)
    tinted = measures.texture_statistics(0.2 + weights * gray, trunk)
    torch.testing.assert_close(plain, tinted)
    smooth = torch.nn.functional.avg_pool2d(gray, 5, 1, 2).expand(1, 3, 32, 32)
    assert not torch.allclose(plain, measures.texture_statistics(smooth, trunk), atol=0.01)


def test_standard_error_counts_defects_not_repeats():
    kept = [[0.1, 0.1], [1.0, 1.0], [0.2, 0.9], [1.0, 1.0]]
    found = measures.survival(kept)
    assert found["lost"] == 37.5
    assert found["count"] == 4
    assert found["lost standard error"] == pytest.approx(np.std([100, 0, 50, 0], ddof=1) / 2)


def test_detections_are_spots_but_neither_noise_nor_single_pixels():
    pytest.importorskip("cv2", reason="OpenCV comes with the bench extra")
    image = (0.5 + 0.02 * noise(1, 1, 96, 96)).expand(1, 3, 96, 96)
    spots = image.clone()
    spots[..., 20:25, 20:25] += 0.3
    spots[..., 60:65, 60:65] -= 0.3
    spots[..., 40, 40] += 0.2
    flat = torch.full((1, 3, 96, 96), 0.5)
    scores = [conspicuity(x) for x in (image, spots, flat)]
    assert [measures.detections(score) for score in scores] == [0, 2, 0]
    before = image.clone()
    before[..., 20:25, 20:25] += 0.3
    # one of the two was there before; without restyling all were
    assert measures.detections(scores[1], conspicuity(before)) == 1
    assert measures.detections(scores[1], scores[1]) == 0


def test_noise_makes_jittered_images_change_as_much_as_asked():
    images = [torch.full((1, 3, 32, 32), 128, dtype=torch.uint8)]
    alone = safety.mean_change(images, safety.noisy_jitter(images, 0.0, seed=0)[0])
    noisy, levels = safety.noisy_jitter(images, alone + 10, seed=0)
    assert safety.mean_change(images, noisy) == pytest.approx(alone + 10, abs=0.3)
    assert levels > 5
    assert safety.noisy_jitter(images, 0.0, seed=0)[1] == 5.0  # it changes more than that already


@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 0), (0, 2), (0.5, 0)])
def test_geometry_finds_a_known_shift(down, right):
    image = torch.nn.functional.avg_pool2d(noise(1, 1, 128, 192), 5, 1, 2)
    image = (0.5 + 0.5 * image).expand(1, 3, 128, 192)
    turn = torch.fft.fftfreq(128)[:, None] * down + torch.fft.fftfreq(192) * right
    moved = torch.fft.ifft2(torch.fft.fft2(image) * torch.exp(-2j * torch.pi * turn)).real
    shift, peak = measures.displacements(image, 0.9 - 0.7 * moved)  # whatever the polarity
    assert shift.shape == (6, 2)
    assert shift.median(0).values.tolist() == pytest.approx([down, right], abs=0.05)
    assert peak.min() > 0.5


def test_geometry_knows_unrelated_patches_and_leaves_flat_ones_out():
    image = 0.5 + 0.1 * noise(1, 3, 128, 128)
    _, peak = measures.displacements(image, 0.5 + 0.1 * noise(1, 3, 128, 128, seed=1))
    assert len(peak) == 4
    assert peak.max() < safety.DISTINCT
    assert len(measures.displacements(torch.full_like(image, 0.5), image)[0]) == 0


@pytest.fixture
def folders(tmp_path):
    """Pictures of two kinds, styles, and tiles of two classes with masks."""
    rng = np.random.default_rng(0)

    def save(path, pixels):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(pixels)).save(
            path, **({"quality": 98} if path.suffix == ".jpg" else {})
        )

    for number in range(3):
        save(tmp_path / "photos" / f"{number}.jpg", rng.integers(0, 256, (80, 90, 3)))
    for number in range(24):
        save(tmp_path / "styles" / f"s{number}.png", rng.integers(0, 20 + 9 * number, (64, 64, 3)))
    for kind in ("crack", "dent", "free"):
        for number in range(3):
            tile = rng.normal(120, 3, (96, 96))
            mask = np.zeros((96, 96))
            if kind != "free":
                mask[30:50, 40 : 44 + 4 * number] = 255
            save(tmp_path / "tiles" / kind / f"{number}.jpg", tile - mask / 4)
            save(tmp_path / "tiles" / kind / f"{number}.png", mask)
    return tmp_path


def test_masks_are_no_contents_and_classes_come_from_folders(folders):
    entries = [str(folders / "photos"), f"t={folders / 'tiles'}"]
    found = subjects.content_folders(entries, seed=0)
    assert {name: len(paths) for name, paths in found.items()} == {"photos": 3, "t": 9}
    assert {path.suffix for path in found["t"]} == {".jpg"}
    defects, free = subjects.masked_images(folders / "tiles", 100, 100, seed=0)
    assert sorted((d.kind, d.area) for d in defects) == [
        *(("crack", 80 * n) for n in (1, 2, 3)),
        *(("dent", 80 * n) for n in (1, 2, 3)),
    ]
    assert {path.parent.name for path in free} == {"free"}
    with pytest.raises(ValueError, match="'photos' comes twice"):
        subjects.content_folders([entries[0]] * 2, seed=0)


def options(folders, out, *more) -> list[str]:
    small = {
        "count": 3,
        "size": 32,
        "gatys": 1,
        "gatys-steps": 2,
        "diversity": 3,
        "diversity-contents": 1,
        "tradeoff": 2,
    }
    return [
        *("--pack", str(folders / "base.safetensors"), "--masks", str(folders / "tiles")),
        *("--content", f"photos={folders / 'photos'}", f"tiles={folders / 'tiles'}"),
        *("--styles", str(folders / "styles"), "--out", str(out), *more),
        *(word for key, value in small.items() for word in (f"--{key}", str(value))),
    ]


@pytest.mark.slow
def test_all_parts_run_and_fill_the_pages(folders):
    """From pictures to rows and tables; a part measured again is put into the same result."""
    pytest.importorskip("cv2", reason="OpenCV comes with the bench extra")
    pack = StylePack.random(StyleNetConfig(stem=8, width=8, blocks=1, embedding=8), rows=4)
    pack.names = [f"s{number}" for number in range(4)]  # that was trained on some of the styles
    pack.info["settings"] = {"holdout": 0.3}
    pack.save(folders / "base.safetensors")
    out = folders / "quality" / "base.json"
    quality.main(options(folders, out))
    record = Rows.load(out)
    assert record.each("part") == list(quality.PARTS)
    assert record.value(part="defects", group="all", setting="default", statistic="count") == 6
    assert {"crack", "dent"} < set(record.each("group", part="defects"))
    assert record.each("setting", part="presets") == list(PRESETS)
    assert record.each("setting", part="others") == ["photometric mix", "ColorJitter"]
    for statistic in ("mean change", "new an image", "flat"):
        untouched = {"part": "hallucination", "setting": "untouched"}
        assert record.value(**untouched, statistic=statistic) == 0
    assert record.each("setting", part="tradeoff") == ["0", "0.25", "0.5", "0.75", "1"]
    text = fill("<!-- results: quality base -->\n<!-- /results -->", folders)
    for heading in ("Style moved", "optimum", "Diversity", "Separability", "Halluc", "Geometry"):
        assert heading in text
    assert "| 3 trained styles |" in text
    quality.main(options(folders, out, "--only", "geometry"))
    again = Rows.load(out)
    assert list(again.meta["added"]) == ["geometry"]
    assert sorted(map(str, again.rows)) == sorted(map(str, record.rows))
    with pytest.raises(SystemExit, match="seed"):
        quality.main(options(folders, out, "--only", "geometry", "--seed", "1"))
    assert str(folders) not in out.read_text()


def test_results_of_another_pack_do_not_mix(tmp_path):
    out = tmp_path / "quality.json"
    given = argparse.Namespace(
        pack="base", content=["a=/x/y"], styles=["/s/"], masks=Path("/m"), seed=0, size=9, quick=0
    )
    record = quality.subjects_record(given, "one")
    assert (record["content"], record["styles"]) == (["a=y"], ["s"])
    assert quality.read_earlier(out, record) is None
    Rows(record, [{"part": "style"}]).save(out)
    assert quality.read_earlier(out, record).rows == [{"part": "style"}]
    with pytest.raises(SystemExit, match="pack"):
        quality.read_earlier(out, quality.subjects_record(given, "two"))
