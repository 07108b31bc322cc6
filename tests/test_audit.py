"""The audit: what is measured of a defect, what is counted, what is recommended."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import styleaug
from helpers import TINY, public_names
from styleaug import StyleAugment
from styleaug.audit import AuditConfig, AuditReport, audit, run
from styleaug.audit.measures import (
    around,
    auc,
    conspicuity,
    flat_energy,
    new_spots,
    polarity,
    separability,
    surroundings,
)
from styleaug.audit.report import Row
from styleaug.audit.run import choose
from styleaug.audit.settings import STRENGTHS, SWEEPS, TEXTURES, recommend, settings
from styleaug.cli import main
from styleaug.cli.pipeline import load_pipeline
from styleaug.datasets import read_defects
from styleaug.pack import DEFAULT_PACK

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


@pytest.mark.parametrize("contrast", [0.3, -0.3])
def test_polarity_tells_bright_defects_from_dark_ones(contrast):
    mask = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    mask[..., 20:30, 20:30] = True
    image = 0.5 + 0.02 * noise(1, 3, 64, 64) + contrast * mask
    assert polarity(image, mask) == pytest.approx(1 if contrast > 0 else -1, abs=0.01)
    assert abs(polarity(0.5 + 0.02 * noise(1, 3, 64, 64), mask)) < 0.3
    assert polarity(image, mask & False) == 0


def test_classes_of_one_polarity_are_named():
    """Classes whose defects are nearly all darker, or all brighter; undecided ones do not count."""
    signs = {
        "dark": [-0.9] * 9 + [0.1],
        "bright": [0.8] * 5,
        "both": [0.9, -0.9],
        "faint": [0.1],
        "few": [0.9] * 4,
    }
    rows = [
        Row(f"{label}{k}", label, before=1.0, polarity=sign, kept={"a": [1.0]})
        for label, values in signs.items()
        for k, sign in enumerate(values)
    ]
    report = AuditReport("x", tuple(rows), 0.02)
    assert {c: report.darker(c).count for c in signs} == {
        "dark": 9, "bright": 5, "both": 2, "faint": 0, "few": 4,
    }  # fmt: skip
    assert report.darker("dark").share == 1
    assert report.darker("bright").share == 0
    assert report.polar == ["bright", "dark"]


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
    added = flat_energy(image, image + 4 / 255 * noise(1, 1, 64, 64, seed=1))
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


def at(strength, texture):
    return f"Restyle strength {strength:g}, texture {texture:g}"


def all_kept(**changes):
    return {name: [1.0] for name in settings(DEFAULT_PACK)} | changes


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
    kept = [all_kept(**{at(s, 1): [0.2] for s in (0.75, 1)})]
    assert report(kept).fades("a", 1) == 0.75
    assert report(kept).fades("a", 0) is None


def changes_of(augment):
    """What differs from the preset, by stage; None for a stage that is missing."""
    usual = {stage["stage"]: stage for stage in StyleAugment().to_dict()["stages"]}
    found = {stage["stage"]: stage for stage in augment.to_dict()["stages"]}
    return {
        kind: found.get(kind)
        and {name: value for name, value in found[kind].items() if value != stage[name]}
        for kind, stage in usual.items()
        if found.get(kind) != stage
    }


@pytest.mark.parametrize(
    ("lost", "advice"),
    [
        ([], {}),
        ([at(s, 1) for s in STRENGTHS], {"Restyle": {"texture": [0, 0.5]}}),
        (
            [at(1, 0.5), at(0.5, 1), at(0.75, 1), at(1, 1)],
            {"Restyle": {"strength": [0, 0.75], "texture": [0, 0.5]}},
        ),
        ([at(s, t) for s in STRENGTHS for t in TEXTURES], {"Restyle": None}),
        (
            [at(s, t) for s in STRENGTHS[1:] for t in TEXTURES],
            {"Restyle": {"strength": [0, 0.25]}},
        ),
        (
            ["SensorNoise sigma 0.09", "Relight strength 0.5"],
            {"SensorNoise": {"sigma": [0, 0.06]}, "Relight": None},
        ),
        (["SensorNoise sigma 0.015"], {"SensorNoise": None}),  # what more of it keeps is chance
        (["Defocus sigma 4"], {"Defocus": {"sigma": [0, 2]}}),
    ],
)
def test_recommended_ranges_are_as_wide_as_the_budget_allows(lost, advice):
    every = dict.fromkeys(settings(DEFAULT_PACK), 0.0) | dict.fromkeys(lost, 0.1)
    found = recommend(every, 0.02, DEFAULT_PACK)
    assert changes_of(found) == advice
    assert found.p == StyleAugment().p
    assert eval(repr(found), public_names()).to_dict() == found.to_dict()


def test_where_nothing_is_lost_the_preset_is_recommended_as_it_is():
    assert (
        repr(recommend(dict.fromkeys(settings(DEFAULT_PACK), 0.0), 0.02, DEFAULT_PACK))
        == "StyleAugment()"
    )


def test_where_everything_is_lost_nothing_is_recommended(folder, pack_file, monkeypatch, capsys):
    assert recommend(dict.fromkeys(settings(DEFAULT_PACK), 0.1), 0.02, DEFAULT_PACK) is None
    monkeypatch.setattr(run, "recommend", lambda *_: None)
    out = folder / "out"
    command = ["audit", "--data", str(folder / "data"), "--out", str(out), "--draws", "1"]
    assert main([*command, "--pack", str(pack_file), "--limit", "2"]) == 0
    assert "# no stage keeps 98% of the defects: train without" in capsys.readouterr().out
    assert json.loads((out / "audit.json").read_text())["recommended"] is None


def test_each_stage_is_swept_in_physical_units_up_to_what_the_preset_draws():
    """What is not tried is not recommended."""
    for stage in StyleAugment().stages:
        if type(stage) in SWEEPS:
            argument, values = SWEEPS[type(stage)]
            assert values[-1] == getattr(stage, argument)[1]
        else:
            assert (STRENGTHS[-1], TEXTURES[-1]) == (stage.strength[1], stage.texture[1])


def test_images_are_chosen_class_by_class_and_free_ones_apart(folder):
    chosen = choose(read_defects(folder / "data"), limit=4, seed=0)
    marked = [sample.label for sample, is_free in chosen if not is_free]
    assert sorted(marked) == ["scratch", "scratch", "spot", "spot"]
    assert [sample.label for sample, is_free in chosen if is_free] == ["good"] * 3


def config(pack_file, **changes):
    return AuditConfig(**{"pack": str(pack_file), "draws": 1, **changes})


def test_an_audit_measures_every_defect_in_every_setting(folder, pack_file):
    found = audit(read_defects(folder / "data"), config(pack_file, draws=2))
    assert found.classes == ["scratch", "spot"]
    assert found.settings == [*settings(str(pack_file)), "recommended"]
    measured = [row for row in found.rows if row.kept]
    assert len(measured) == 8
    assert all(len(draws) == 2 for row in measured for draws in row.kept.values())
    assert len([row for row in found.rows if row.added]) == 3
    assert found.lost("recommended").count == 8
    tried = len(TEXTURES) * len(STRENGTHS) + sum(len(values) for _, values in SWEEPS.values())
    assert len(settings(DEFAULT_PACK)) == tried + 1
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    loaded = StyleAugment.from_dict(told["recommended"])
    assert loaded.to_dict() == found.recommended.to_dict()
    assert eval(told["code"], public_names()).to_dict() == loaded.to_dict()


def test_the_same_style_comes_in_every_setting(folder, pack_file):
    """Else settings would differ by chance."""
    plans = []
    for name, augment in settings(str(pack_file)).items():
        if name.startswith(("Restyle", "default")):
            plans.append(augment.draw(1, torch.Generator().manual_seed(3))["Restyle"])
    assert len({plan.styles for plan in plans}) == 1


def test_settings_that_do_nothing_keep_everything(folder, pack_file, monkeypatch):
    """A control: were the measure itself noisy, nothing would be worth asking."""
    nothing = StyleAugment([styleaug.Defocus(sigma=(0, 1))], p=0)
    monkeypatch.setattr(run, "settings_of", lambda pack: {"nothing": nothing})
    monkeypatch.setattr(run, "recommend", lambda *_: None)
    found = audit(read_defects(folder / "data"), config(pack_file))
    assert [value for row in found.rows for value in row.kept.get("nothing", ())] == [1.0] * 8


@pytest.fixture
def measured(monkeypatch):
    """Names of the images that are measured, in their order."""
    measure = run._Subject.measure
    names = []

    def counted(self, sample, is_free):
        names.append(sample.path.name)
        return measure(self, sample, is_free)

    monkeypatch.setattr(run._Subject, "measure", counted)
    return names


@pytest.fixture
def quick(monkeypatch):
    """One setting, and nothing recommended."""
    one = {"Relight strength 1": StyleAugment([styleaug.Relight(strength=1)])}
    monkeypatch.setattr(run, "settings_of", lambda pack: one)
    monkeypatch.setattr(run, "recommend", lambda *_: None)


def test_an_interrupted_audit_goes_on(folder, pack_file, tmp_path, measured, quick):
    defects, cache = read_defects(folder / "data"), tmp_path / "notes"

    def interrupted(items, title):
        for number, item in enumerate(items):
            if number == 4:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        audit(defects, config(pack_file), cache=cache, progress=interrupted)
    # a run that was killed may leave half a line
    with (cache / "notes.jsonl").open("a") as file:
        file.write('\n["half')
    resumed = audit(defects, config(pack_file), cache=cache)
    assert len(measured) == 4 + (11 - 4)
    assert audit(defects, config(pack_file), cache=cache).rows == resumed.rows
    assert len(measured) == 11
    assert audit(defects, config(pack_file)).rows == resumed.rows
    again = audit(defects, config(pack_file, draws=2), cache=cache)  # measured anew
    assert len(next(r for r in again.rows if r.kept).kept["Relight strength 1"]) == 2


def test_what_was_corrected_is_measured_again(folder, pack_file, tmp_path, measured, quick):
    """A mask, an image or a class: under the same names, old figures would stay without a word."""
    data, cache = folder / "data", tmp_path / "notes"

    def audited():
        del measured[:]
        report = audit(read_defects(data), config(pack_file), cache=cache)
        assert report.rows == audit(read_defects(data), config(pack_file)).rows
        return measured[: len(measured) - 11]

    assert len(audited()) == 11
    assert audited() == []
    moved = np.zeros((48, 48), bool)
    moved[18:24, 20:28] = True
    Image.fromarray(moved).convert("L").save(data / "spot/spot0.png")
    assert audited() == ["spot0.jpg"]
    Image.fromarray(part(np.random.default_rng(5), "spot")[0]).save(data / "spot/spot1.jpg")
    assert audited() == ["spot1.jpg"]
    Image.new("L", (48, 48)).save(data / "spot/spot2.png")  # free of defects, after all
    assert audited() == ["spot2.jpg"]


@pytest.mark.parametrize("changed", ["versions", "pack", "settings"])
def test_another_version_pack_or_setting_measures_again(
    folder, pack_file, tmp_path, measured, quick, monkeypatch, changed
):
    defects, cache = read_defects(folder / "data"), tmp_path / "notes"
    audit(defects, config(pack_file), cache=cache)
    if changed == "versions":
        monkeypatch.setattr(run, "package_versions", lambda names: {"styleaug": "9"})
    elif changed == "pack":
        styleaug.StylePack.random(TINY, seed=1).save(tmp_path / "other.safetensors")
        pack_file = tmp_path / "other.safetensors"
    else:
        other = {"Relight strength 1": StyleAugment([styleaug.Relight(strength=0.5)])}
        monkeypatch.setattr(run, "settings_of", lambda pack: other)
    del measured[:]
    audit(defects, config(pack_file), cache=cache)
    assert len(measured) == 11


@pytest.fixture
def unmarked(tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("good", "spot"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for k in range(3):
            Image.fromarray(part(rng, kind)[0]).save(tmp_path / f"data/{kind}/{k}.png")
    return read_defects(tmp_path / "data")


MODEL = """
import torch

def predict(images):  # the darker the middle, the surer
    dark = 1 - images[:, :, 18:26, 20:28].float().mean((1, 2, 3)) / 255
    return torch.stack([1 - dark, dark], dim=1)

class Model:
    gain = 1.0

    def __call__(self, images):
        return predict(images) * self.gain

model = Model()
"""


def test_confidence_of_a_model_stands_in_for_masks(unmarked, pack_file, tmp_path):
    (tmp_path / "mine.py").write_text(MODEL)
    predict = load_pipeline(f"{tmp_path}/mine.py:predict")
    found = audit(unmarked, config(pack_file), predict=predict)
    assert found.lost("default").count == 6
    with pytest.raises(ValueError, match="give masks, boxes, or a model"):
        audit(unmarked, config(pack_file))


def test_another_model_measures_again(unmarked, pack_file, tmp_path, measured, quick):
    """By its file's content, and by what it answers: weights lie elsewhere."""
    file, cache = tmp_path / "mine.py", tmp_path / "notes"

    def audited(name, gain=1.0):
        del measured[:]
        model = load_pipeline(f"{file}:{name}")
        model.gain = gain
        audit(unmarked, config(pack_file), cache=cache, predict=model)
        return len(measured)

    file.write_text(MODEL)
    assert [audited("predict"), audited("predict")] == [6, 0]
    file.write_text(MODEL + "\nTHRESHOLD = 0.5\n")
    assert audited("predict") == 6
    assert [audited("model"), audited("model"), audited("model", gain=0.9)] == [6, 0, 6]


def test_the_command_writes_report_and_sheet(folder, pack_file, capsys):
    out = folder / "out"
    command = ["audit", "--data", str(folder / "data"), "--out", str(out), "--draws", "1"]
    assert main([*command, "--pack", str(pack_file)]) == 0
    printed = capsys.readouterr().out
    assert "8 defects measured" in printed
    assert "    StyleAugment([" in printed
    assert "scratch: " in printed
    assert "spots on" in printed
    assert "Polarity may tell spot: with the stage Relief, take flip=0." in printed
    assert "Only 8 defects were measured: up to 38% might be lost" in printed
    told = json.loads((out / "audit.json").read_text())
    assert told["lost"]["default"]["count"] == 8
    StyleAugment.from_dict(told["recommended"])
    with Image.open(out / "worst.png") as sheet:
        assert sheet.width == 5 * 196 + 4
        assert sheet.height > 8 * 196 + 4
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--limit", "0"], "--limit: must be a whole number"),
        (["--size", "-3"], "--size: must be a whole number"),
        (["--draws", "x"], "--draws: must be a whole number"),
        (["--budget", "1.5"], "budget must be a number in [0, 1]"),
        (["--budget", "nan"], "--budget: must be a finite number"),
        (["--model", "nowhere.py:predict"], "--model must be FILE.py:NAME"),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_wrong_values_are_refused(folder, capsys, options, message):
    try:
        status = main(["audit", "--data", str(folder / "data"), *options])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["size", "limit", "draws"])
def test_a_config_checks_its_numbers(name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, but got 0"):
        AuditConfig(**{name: 0})
