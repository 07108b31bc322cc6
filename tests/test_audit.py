"""The audit: what is measured of a defect, what is counted, what is recommended."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from styleaug.audit import AuditReport, audit
from styleaug.audit.measures import (
    around,
    auc,
    conspicuity,
    flat_energy,
    new_spots,
    separability,
    surroundings,
)
from styleaug.audit.report import Row
from styleaug.audit.run import choose
from styleaug.audit.settings import BLURS, GRAINS, LIGHTS, STRENGTHS, TEXTURES, grid, recommend
from styleaug.cli import main
from styleaug.datasets import read_defects

pytestmark = pytest.mark.usefixtures("one_thread")


def part(rng, kind, size=48):
    """A gray surface, with a dark spot, a scratch, or nothing; and its mask."""
    surface, mask = 128 + 6 * rng.standard_normal((size, size)), np.zeros((size, size), bool)
    if kind == "spot":
        mask[18:26, 20:28] = True
    elif kind == "scratch":
        mask[24:27, 10:38] = True
    surface[mask] -= 60
    return surface.clip(0, 255).astype(np.uint8), mask


@pytest.fixture
def folder(tmp_path):
    """Masks beside images, in class folders; good ones with empty masks."""
    rng = np.random.default_rng(0)
    for kind, count in (("spot", 5), ("scratch", 3), ("good", 3)):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for k in range(count):
            image, mask = part(rng, kind)
            Image.fromarray(image).save(tmp_path / f"data/{kind}/{kind}{k}.jpg", quality=95)
            Image.fromarray(mask).convert("L").save(tmp_path / f"data/{kind}/{kind}{k}.png")
    return tmp_path


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def gray(array):
    return torch.from_numpy(array).float().div(255).expand(1, 3, -1, -1).contiguous()


def test_separability_tells_how_well_a_defect_stands_out():
    rng = np.random.default_rng(0)
    image, mask = part(rng, "spot")
    inside = torch.from_numpy(mask)[None, None]
    ring = surroundings(inside)
    assert not (ring & inside).any()
    assert separability(gray(image), inside, ring) > 0.95
    plain, _ = part(rng, "good")
    # best of three measures on 64 pixels: chance alone reaches much
    assert separability(gray(plain), inside, ring) < 0.75


def test_auc_of_separated_equal_and_reversed_values():
    low, high = torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0])
    assert auc(high, low) == 1
    assert auc(low, high) == 0
    assert auc(low, low) == 0.5


@pytest.mark.parametrize("contrast", [0.3, -0.3])
def test_separability_of_a_visible_defect_is_one_and_of_an_absent_one_small(contrast):
    image = 0.5 + 0.02 * noise(1, 3, 64, 64)
    inside = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    inside[..., 20:30, 20:30] = True
    ring = ~inside
    assert separability(image, inside, ring) < 0.6
    defect = image + contrast * inside
    assert separability(defect, inside, ring) == pytest.approx(1, abs=0.01)


def test_separability_needs_no_more_of_the_image_than_the_box_around_its_mask():
    image = 0.5 + 0.1 * noise(1, 3, 100, 120)
    mask = torch.zeros(1, 1, 100, 120, dtype=torch.bool)
    mask[..., 3:20, 60:64] = True
    ring, box = surroundings(mask), around(mask, 20)
    assert image[box].shape == (1, 3, 40, 44)
    whole = separability(image, mask, ring)
    assert separability(image[box], mask[box], ring[box]) == pytest.approx(whole, abs=1e-9)


def test_flat_energy_is_zero_of_the_identity_and_the_noise_added_elsewhere():
    image = torch.full((1, 3, 64, 64), 0.5)
    image[..., :28] += 0.2 * noise(1, 1, 64, 28)  # not flat: what happens here does not count
    assert flat_energy(image, image).tolist() == [0.0] * 8
    grain = 4 / 255 * noise(1, 1, 64, 64, seed=1)
    added = flat_energy(image, image + grain)
    assert len(added) == 8
    assert added.median() == pytest.approx(4, rel=0.1)


def test_new_spots_are_those_that_were_not_there():
    rng = np.random.default_rng(0)
    plain, _ = part(rng, "good", 64)
    spot = plain.copy()
    spot[30:36, 30:36] = 20
    before, after = conspicuity(gray(plain)), conspicuity(gray(spot))
    assert new_spots(before, after)
    assert not new_spots(after, after)
    assert not new_spots(after, before)
    assert not new_spots(before, conspicuity(gray(np.full((64, 64), 128, np.uint8))))


def report(kept, labels=None):
    labels = labels or ["a"] * len(kept)
    rows = [
        Row(f"{i}.png", label, area=0.01 * (i + 1), before=1.0, kept=each)
        for i, (each, label) in enumerate(zip(kept, labels, strict=True))
    ]
    return AuditReport("set", tuple(rows), budget=0.02)


def all_kept(**changes):
    return {s.name: [1.0] for s in grid()} | changes


def test_shares_are_over_defects_whose_draws_are_averaged():
    found = report([{"x": [0.4, 0.6]}, {"x": [0.9, 0.9]}]).lost("x")
    assert (found.share, found.count) == (0.25, 2)
    assert found.error == pytest.approx(0.25)


def test_shares_by_class_and_size():
    kept = [{"x": [0.1]}, {"x": [0.9]}, {"x": [0.9]}]
    found = report(kept, ["a", "a", "b"])
    assert found.lost("x", label="a").share == 0.5
    assert found.lost("x", label="b").share == 0
    assert found.lost("x", size="small").share == 1
    assert found.lost("x", size="large").share == 0
    assert found.classes == ["a", "b"]


def test_a_class_fades_at_the_first_strength_that_loses_it():
    kept = [all_kept(**{"strength 0.75, texture 1": [0.2], "strength 1, texture 1": [0.2]})]
    assert report(kept).fades("a", 1) == 0.75
    assert report(kept).fades("a", 0) is None


@pytest.mark.parametrize(
    ("lost", "advice"),
    [
        ({}, {"strength": 1.0, "texture": 1.0, "light": 1.0, "grain": 0.3}),
        (
            {f"strength {s:g}, texture 1": 0.1 for s in STRENGTHS},
            {"strength": 1.0, "texture": 0.5, "light": 1.0, "grain": 0.3},
        ),
        (
            {"strength 1, texture 0.5": 0.1, "strength 0.5, texture 1": 0.1},
            {"strength": 0.75, "texture": 0.5, "light": 1.0, "grain": 0.3},
        ),
        ({"grain 0.3": 0.1, "light 0.5": 0.1}, {"grain": 0.2, "light": 0.0}),
        ({"grain 0.05": 0.1}, {"grain": 0.0}),  # what more of it loses is chance then
    ],
)
def test_recommended_ranges_are_as_wide_as_the_budget_allows(lost, advice):
    every = {s.name: 0.0 for s in grid()} | lost
    found = recommend(every, 0.02)
    assert {name: found[name][1] for name in advice} == advice
    assert all(low == 0 for low, _ in found.values())


def test_images_are_chosen_class_by_class_and_free_ones_apart(folder):
    chosen = choose(read_defects(folder / "data"), limit=4, seed=0)
    marked = [sample.label for sample, is_free in chosen if not is_free]
    assert sorted(marked) == ["scratch", "scratch", "spot", "spot"]
    assert [sample.label for sample, is_free in chosen if is_free] == ["good"] * 3


def test_an_audit_measures_every_defect_in_every_setting(folder, pack_file):
    found = audit(read_defects(folder / "data"), pack=str(pack_file), repeats=2)
    assert found.classes == ["scratch", "spot"]
    assert found.settings == [s.name for s in grid()]
    measured = [row for row in found.rows if row.kept]
    assert len(measured) == 8
    assert all(len(draws) == 2 for row in measured for draws in row.kept.values())
    assert len([row for row in found.rows if row.added]) == 3
    assert found.lost("recommended").count == 8
    assert set(found.recommended) == {"strength", "texture", "light", "blur", "grain"}
    stages = len(TEXTURES) * len(STRENGTHS) + len(LIGHTS) + len(BLURS) + len(GRAINS)
    assert len(grid()) == stages + 1
    json.dumps(found.to_dict(), allow_nan=False)
    eval(found.code, {"StyleAugment": dict})


def test_settings_that_do_nothing_keep_everything(folder, pack_file, monkeypatch):
    """A control: were the measure itself noisy, nothing would be worth asking."""
    from styleaug.audit import run
    from styleaug.audit.settings import light

    monkeypatch.setattr(run, "grid", lambda: [light(0)])
    monkeypatch.setattr(run, "recommend", lambda lost, budget: {})
    found = audit(read_defects(folder / "data"), pack=str(pack_file), repeats=1)
    kept = [value for row in found.rows for value in row.kept.get("light 0", ())]
    assert kept == [1.0] * 8


def test_an_interrupted_audit_goes_on(folder, pack_file, tmp_path, monkeypatch):
    from styleaug.audit import run

    measure = run._Subject.measure
    calls = []

    def counted(self, sample, is_free):
        calls.append(sample.path.name)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return measure(self, sample, is_free)

    monkeypatch.setattr(run._Subject, "measure", counted)
    settings = {"pack": str(pack_file), "repeats": 1, "cache": tmp_path / "notes"}
    defects = read_defects(folder / "data")
    with pytest.raises(KeyboardInterrupt):
        audit(defects, **settings)
    # a run that was killed may leave half a line
    with (tmp_path / "notes/settings.jsonl").open("a") as file:
        file.write('{"path": "half')
    resumed = audit(defects, **settings)
    assert len(calls) == 5 + (11 - 4) + 11  # the rest, then the recommended settings
    monkeypatch.setattr(run._Subject, "measure", measure)
    whole = audit(defects, **settings | {"cache": None})
    assert resumed.to_dict() == whole.to_dict()
    again = audit(defects, **settings | {"repeats": 2})  # other settings: measured anew
    assert len(next(r for r in again.rows if r.kept).kept["defaults"]) == 2


def test_confidence_of_a_model_stands_in_for_masks(tmp_path, pack_file):
    rng = np.random.default_rng(0)
    for kind in ("good", "spot"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for k in range(3):
            Image.fromarray(part(rng, kind)[0]).save(tmp_path / f"data/{kind}/{k}.png")

    def predict(images):  # the darker the middle, the surer
        dark = 1 - images[:, :, 18:26, 20:28].float().mean((1, 2, 3)) / 255
        return torch.stack([1 - dark, dark], dim=1)

    defects = read_defects(tmp_path / "data")
    found = audit(defects, pack=str(pack_file), repeats=1, predict=predict)
    assert found.lost("defaults").count == 6
    with pytest.raises(ValueError, match="give masks, boxes, or a model"):
        audit(defects, pack=str(pack_file), repeats=1)


def test_the_command_writes_report_and_sheet(folder, pack_file, capsys):
    out = folder / "out"
    command = ["audit", "--data", str(folder / "data"), "--out", str(out), "--repeats", "1"]
    assert main([*command, "--pack", str(pack_file)]) == 0
    printed = capsys.readouterr().out
    assert "8 defects measured" in printed
    assert "StyleAugment(strength=(0.0, " in printed
    assert "scratch: " in printed
    assert "spots on" in printed
    assert "Only 8 defects were measured: up to 38% might be lost" in printed
    assert json.loads((out / "audit.json").read_text())["lost"]["defaults"]["count"] == 8
    with Image.open(out / "worst.png") as sheet:
        assert sheet.size == (5 * 196 + 4, 8 * 196 + 4)
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("name", ["limit", "size", "repeats"])
def test_wrong_numbers_are_refused(folder, name, capsys):
    assert main(["audit", "--data", str(folder / "data"), f"--{name}", "0"]) == 1
    assert f"--{name} must be at least 1" in capsys.readouterr().err
