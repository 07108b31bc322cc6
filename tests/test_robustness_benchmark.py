"""The robustness benchmark: its configs, and what it runs, joins and tells."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.elpv import read_elpv
from benchmarks.robustness.__main__ import main, parse_arguments, table
from benchmarks.robustness.config import (
    COMMON,
    CONFIGS,
    VARIANTS,
    Config,
    ConfigError,
    shifted,
    variant_path,
)
from benchmarks.robustness.patches import split_patches
from helpers import grey_parts
from styleaug.datasets import read_defects
from styleaug.evaluate import experiment
from styleaug.evaluate.models import SMALL
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.results import Result, Row
from styleaug.evaluate.split import split_defects

pytestmark = pytest.mark.usefixtures("one_thread", "seeded")
TINY = f"""
purpose = "Whether it runs."
data = "parts"
task = "classification"

[protocol]
model = "{SMALL}"
size = 16
steps = 2
batch_size = 8
corruptions = ["exposure", "dust"]
severities = [1, 3]
seeds = [0]

[policies]
"flips only" = ""
lit = "StyleAugment('lighting')"
"""


@pytest.fixture
def command(tmp_path, pack_file):
    grey_parts(tmp_path / "data/parts", {"bad": 160, "good": 90}, count=10)
    (tmp_path / "tiny.toml").write_text(TINY)
    places = {"--data": "data", "--cache": "cache", "--out": "out.json"}
    options = [text for name, place in places.items() for text in (name, str(tmp_path / place))]
    return [str(tmp_path / "tiny.toml"), *options, "--pack", str(pack_file)]


@pytest.fixture
def trained(monkeypatch):
    """Titles of the networks that are trained."""
    titles, train = [], experiment.train
    monkeypatch.setattr(
        experiment, "train", lambda *a, title, **k: titles.append(title) or train(*a, **k)
    )
    return titles


@pytest.mark.parametrize(
    "path",
    sorted(path for path in CONFIGS.rglob("*.toml") if path.name != COMMON),
    ids=lambda path: path.stem,
)
def test_every_config_can_be_run_and_says_what_for(path):
    config = Config.load(path)
    assert config.purpose.endswith(".")
    assert config.make_protocol().thorough
    assert config.policies


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("purpose", "reason"), "entries are data, line"),
        (("steps", "paces"), "unexpected keyword argument 'paces'"),
        (("steps = 2", "steps = 0"), "steps must be a whole number of at least 1"),
        (("StyleAugment(", "Style("), "there is no Style"),
        (('task = "classification"', 'task = "detection"\nline = "other"'), "line compares"),
        (('data = "parts"', 'data = "parts"\npart_by = "size"'), "part_by must be one of"),
        (('data = "parts"', 'data = "elpv"\nline = "thin"'), "line of elpv must be mono or poly"),
        (('data = "parts"', 'data = "elpv"\npart_by = "brightness"'), "splits folders"),
        (('data = "parts"', 'data = "parts"\npatches = 16'), "patches are cut of a dataset and"),
        (("[policies]", "[policies"), "tiny.toml"),
    ],
)
def test_configs_that_cannot_be_run_are_refused(tmp_path, change, words):
    (tmp_path / "tiny.toml").write_text(TINY.replace(*change))
    with pytest.raises(ConfigError, match=words) as told:
        Config.load(tmp_path / "tiny.toml")
    assert "tiny.toml" in str(told.value)


def test_the_command_writes_a_result_and_goes_on(command, tmp_path, trained, capsys):
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "Whether it runs." in printed
    assert "| lit |" in printed
    assert "industrial, 2 of 11" in printed  # a mean over a part of a suite says so
    result = Result.load(tmp_path / "out.json")
    assert result.meta["name"] == "tiny"
    assert result.meta["purpose"] == "Whether it runs."
    assert str(tmp_path) not in result.meta["command"]
    assert result.meta["command"].startswith("python -m benchmarks.robustness tiny.toml --data")
    assert result.metrics == ["balanced accuracy", "AUROC"]
    assert main([*command, "--seeds", "0", "1"]) == 0
    assert trained == [f"{name}, seed {seed}" for seed in (0, 1) for name in ("flips only", "lit")]
    again = Result.load(tmp_path / "out.json")
    for name in result.policies:
        assert again.scores(name)[0] == result.scores(name)[0]


def test_policies_are_added_to_a_result_that_was_measured_alike(command, tmp_path, trained, capsys):
    assert main(command) == 0
    first = Result.load(tmp_path / "out.json")
    assert main([*command, "--add", "dim=Relight(strength=0.1)"]) == 0
    both = Result.load(tmp_path / "out.json")
    assert trained[2:] == ["dim, seed 0"]
    assert both.policies == ["flips only", "lit", "dim"]
    assert both.select(policy=first.policies).rows == first.rows
    assert both.meta["command"] == first.meta["command"]
    assert "--add" in both.meta["added"]["dim"]["command"]
    assert main([*command, "--only", "ColorJitter", "--seeds", "0"]) == 0
    assert Result.load(tmp_path / "out.json").policies == [*both.policies, "ColorJitter"]
    capsys.readouterr()
    assert main([*command, "--add", "x=AugMix()", "--seeds", "4"]) == 2
    assert "has another seeds, protocol" in capsys.readouterr().err


def test_what_was_measured_with_other_settings_is_not_kept(command, tmp_path, monkeypatch):
    """A preset that has changed since is another policy."""
    assert main(command) == 0
    old = Result.load(tmp_path / "out.json")
    changed = {**old.meta["settings"], "lit": "of another day"}
    replace(old, meta={**old.meta, "settings": changed}).save(tmp_path / "out.json")
    assert main([*command, "--add", "dim=Relight(strength=0.1)"]) == 0
    assert Result.load(tmp_path / "out.json").policies == ["flips only", "dim"]


@pytest.mark.parametrize(
    ("added", "words"),
    [
        (["--only", "nothing"], "--only takes names of flips only"),
        (["--add", "lit=AugMix()"], "a policy 'lit' already"),
        (["--add", "x=Blur()"], "there is no Blur"),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_told_in_words(command, added, words, capsys):
    assert main([*command, *added]) == 2
    told = capsys.readouterr().err
    assert told.startswith("robustness: ")
    assert words in told


def test_a_config_is_found_by_its_name_and_needs_data(capsys):
    assert parse_arguments(["x-sdd-classification"]).config.is_file()
    assert main(["x-sdd-classification"]) == 2
    assert "needs --data, the folder in which x-sdd/ lies" in capsys.readouterr().err


def test_an_incomplete_suite_is_told_and_a_whole_one_is_not():
    task = {"metric": "IoU"}
    meta = dict.fromkeys(("name", "purpose", "command", "machine", "versions", "protocol"), "")
    rows = [("a", s, "clean", 0, "IoU", "", 90.0 + s) for s in (0, 1)]
    rows += [("a", s, "fog", 3, "IoU", "", 50.0) for s in (0, 1)]
    told = table(Result({**meta, "task": task, "seeds": [0, 1]}, tuple(Row(*row) for row in rows)))
    assert "imagenet-c, 1 of 15" in told
    assert "| a | 90.5 ± 0.7 |" in told


def test_what_a_folder_of_configs_shares_is_said_once(tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    (tmp_path / COMMON).write_text(
        'suite = "real"\n[protocol]\nsteps = 9\ntrain = 77\n[policies]\nmix = "Photometric()"\n'
    )
    config = Config.load(tmp_path / "tiny.toml")
    assert config.suite == "real"
    assert list(config.policies) == ["mix", "flips only", "lit"]
    protocol = config.make_protocol()
    assert (protocol.steps, protocol.train) == (2, 77)  # its own come before the shared ones


@pytest.mark.parametrize("path", sorted(VARIANTS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_variant_suits_a_real_shift(path):
    config = Config.load(CONFIGS / "real/lighting-tiles.toml", path)
    assert config.data == "magnetic-tile"
    assert config.suite == path.stem


def test_a_variant_changes_the_network_and_takes_its_own_policies(command, tmp_path, capsys):
    variant = tmp_path / "short.toml"
    variant.write_text(
        'suite = "short"\n[protocol]\nsteps = 1\n[policies]\nmix = "Photometric()"\n'
    )
    config = Config.load(tmp_path / "tiny.toml", variant)
    assert (config.suite, list(config.policies)) == ("short", ["mix"])
    assert (config.make_protocol().steps, config.make_protocol().size) == (1, 16)
    assert main([*command, "--variant", str(variant)]) == 0
    assert list(Result.load(tmp_path / "out.json").policies) == ["mix"]
    variant.write_text("[protocol]\nsteps = 0\n")
    assert main([*command, "--variant", str(variant)]) == 2
    assert "tiny.toml as short.toml: steps must be" in capsys.readouterr().err
    assert variant_path("scratch").is_file()


def cracked(folder, count, *, level=120):
    """Images of 48 x 32 pixels: six patches, of which one has a crack, and one a speck."""
    folder.mkdir(parents=True)
    for k in range(count):
        pixels = np.full((32, 48), level, np.uint8)
        marks = np.zeros_like(pixels)
        marks[2:14, 5] = 255
        marks[20, 20] = 255
        pixels[marks > 0] = 0
        Image.fromarray(pixels).save(folder / f"{k}.jpg")
        Image.fromarray(marks).save(folder / f"{k}.png")


def test_patches_with_a_defect_and_without_are_cut_of_two_lines(tmp_path):
    cracked(tmp_path / "old", 10)
    cracked(tmp_path / "new", 3, level=200)
    protocol = Protocol(model=SMALL, size=32, train=100, test=100)
    sets = [read_defects(tmp_path / name) for name in ("old", "new")]
    split = split_patches(*sets, protocol, side=16)
    assert split.task.classes == ("defect", "good")
    for part, images in ((split.train, 8), (split.test, 2), (split.elsewhere, 3)):
        assert torch.bincount(part.targets).tolist() == [images, 2 * images]
        assert part.images.shape[1:] == (3, 32, 32)
        # of the defects the crack is seen, and of the others nothing
        assert part.images[part.targets == 0].amin((1, 2, 3)).max() < 60
        assert part.images[part.targets == 1].amin((1, 2, 3)).min() > 100
    assert split.elsewhere.images.float().mean() > 150
    few = split_patches(*sets, replace(protocol, train=5), side=16)
    assert [len(part) for part in (few.train, few.test, few.elsewhere)] == [5, 6, 5]


def test_shifted_test_images_are_seen_elsewhere(tmp_path):
    grey_parts(tmp_path / "parts", {"bad": 160, "good": 90}, count=10)
    protocol = Protocol(model=SMALL, size=16)
    plain = split_defects(read_defects(tmp_path / "parts"), protocol)
    split = shifted(plain, [("exposure", 3), ("sensor_noise", 3)])
    assert split.test is plain.test
    assert torch.equal(split.elsewhere.targets, plain.test.targets)
    assert split.elsewhere.images.shape == plain.test.images.shape
    change = split.elsewhere.images.float() - plain.test.images.float()
    assert change.abs().mean() > 10
    assert "exposure of severity 3, then sensor_noise of severity 3" in split.notes[-1]


def test_solar_cells_come_from_their_package():
    pytest.importorskip("elpv_dataset")
    cells = read_elpv()
    assert len(cells.samples) == 2329
    assert {sample.label for sample in cells.samples} == set(cells.classes)
    parts = [read_elpv(crystal) for crystal in ("mono", "poly")]
    assert sum(len(part.samples) for part in parts) == 2329
    assert all(part.samples[0].load().size == (300, 300) for part in parts)
