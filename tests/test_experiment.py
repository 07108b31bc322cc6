"""The experiment engine: what is run, kept, found again, and told."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers import TINY as TINY_NET
from helpers import grey_parts
from styleaug import StylePack
from styleaug.datasets import read_defects
from styleaug.evaluate import digests, experiment
from styleaug.evaluate.corruptions import Condition
from styleaug.evaluate.experiment import Experiment, Run
from styleaug.evaluate.models import SMALL
from styleaug.evaluate.outcome import Outcome, shuffled_batches
from styleaug.evaluate.protocol import Protocol
from styleaug.evaluate.split import split_by_look, split_defects

pytestmark = pytest.mark.usefixtures("one_thread", "seeded")
TINY = Protocol(
    SMALL,
    size=16,
    steps=2,
    batch_size=8,
    learning_rate=5e-3,
    corruptions=("exposure", "dust"),
    severities=(1, 3),
    seeds=(0, 1),
)
POLICIES = {"flips only": "", "lit": "StyleAugment('lighting')"}


@pytest.fixture
def folder(tmp_path):
    return grey_parts(tmp_path / "parts", {"bad": 160, "good": 90}, count=10)


@pytest.fixture
def tried(folder, tmp_path):
    return Experiment(split_defects(read_defects(folder), TINY), TINY, tmp_path / "cache")


@pytest.fixture
def trained(monkeypatch):
    """Titles of the networks that are trained."""
    titles, train = [], experiment.train
    monkeypatch.setattr(
        experiment, "train", lambda *a, title, **k: titles.append(title) or train(*a, **k)
    )
    return titles


def scores(runs):
    """What was measured, without durations."""
    return {
        run: [value for value in outcome.values if "seconds" not in value[2]]
        for run, outcome in runs.items()
    }


def test_runs_are_kept_and_not_repeated(tried, trained):
    first = tried.run(POLICIES)
    names = [f"{name}, seed {seed}" for seed in (0, 1) for name in POLICIES]
    assert trained == names
    again = tried.run(POLICIES)
    assert len(trained) == 4
    assert list(again) == list(first)
    for run, outcome in again.items():
        assert outcome.values == first[run].values
        for condition, rows in outcome.rows.items():
            assert np.array_equal(rows, first[run].rows[condition])
    replace(tried, protocol=replace(TINY, seeds=(1, 2))).run(POLICIES)
    assert len(trained) == 6  # more seeds are no other runs


def test_an_interrupted_experiment_keeps_what_is_done(tried, trained, monkeypatch):
    train = experiment.train

    def stops(*arguments, **options):
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(*arguments, **options)

    monkeypatch.setattr(experiment, "train", stops)
    with pytest.raises(KeyboardInterrupt):
        tried.run(POLICIES)
    monkeypatch.setattr(experiment, "train", train)
    resumed = scores(tried.run(POLICIES))
    assert len(trained) == 4
    whole = replace(tried, cache=tried.cache.with_name("other"))
    assert scores(whole.run(POLICIES)) == resumed


def test_a_damaged_file_is_run_again(tried, trained):
    tried.run({"flips only": ""})
    for file in (tried.cache / "runs").iterdir():
        file.write_bytes(b"half")
    assert len(tried.run({"flips only": ""})) == 2
    assert len(trained) == 4


def test_corrupted_images_are_made_once(tried, monkeypatch):
    tried.corrupt()
    (folder,) = (tried.cache / "corrupted").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        "dust-1.npy", "dust-3.npy", "exposure-1.npy", "exposure-3.npy",
    ]  # fmt: skip
    assert np.load(folder / "dust-3.npy").shape == (4, 16, 16, 3)
    monkeypatch.delattr(experiment, "corrupted_sets")
    tried.corrupt()
    tried.drop_corrupted()
    assert not folder.exists()


# ---------------------------------------------------------------- the key


def test_a_key_tells_all_that_changes_the_outcome(tried, pack, pack_file, tmp_path, monkeypatch):
    def key(expression="StyleAugment()", seed=0, name="a", of=tried, **changes):
        return replace(of, pack=str(pack_file), **changes).key(Run(name, expression, seed))

    pack.save(tmp_path / "copy.safetensors")
    StylePack.random(TINY_NET, seed=1).save(tmp_path / "other.safetensors")
    same = [
        key(name="b"),
        key("StyleAugment('default', p=0.7)"),
        key(protocol=replace(TINY, seeds=(5,))),
        replace(tried, pack=str(tmp_path / "copy.safetensors")).key(Run("a", "StyleAugment()", 0)),
    ]
    assert {*same} == {key()}
    base, split = key(), tried.split
    other_test = replace(split.test, targets=1 - split.test.targets)
    others = [
        key("StyleAugment(p=0.6)"),
        key("StyleAugment('masks')"),
        key(""),
        key(seed=1),
        key(protocol=replace(TINY, steps=3)),
        key(protocol=replace(TINY, corruptions=("exposure",))),
        key(split=replace(split, test=other_test)),
        key(split=replace(split, elsewhere=split.test)),
        replace(tried, pack=str(tmp_path / "other.safetensors")).key(Run("a", "StyleAugment()", 0)),
    ]
    for name in digests.CODE:
        monkeypatch.setitem(digests.CODE, name, "changed")
        others.append(key(of=replace(tried)))
        monkeypatch.undo()
    monkeypatch.setattr(experiment, "package_versions", lambda names: {"styleaug": "9"})
    others.append(key(of=replace(tried)))
    monkeypatch.undo()
    monkeypatch.setattr(experiment, "digest_backbone", lambda name: "other weights")
    others.append(key(of=replace(tried)))
    assert len({base, *others}) == len(others) + 1


def test_a_new_pack_or_styling_code_does_not_send_other_policies_to_work_again(
    tried, tmp_path, monkeypatch
):
    StylePack.random(TINY_NET, seed=1).save(tmp_path / "other.safetensors")
    flips, lit = Run("a", "", 0), Run("b", "Relight()", 0)
    other = replace(tried, pack=str(tmp_path / "other.safetensors"))
    assert [tried.key(run) for run in (flips, lit)] == [other.key(run) for run in (flips, lit)]
    before = tried.key(flips), tried.key(lit)
    monkeypatch.setitem(digests.CODE, "styling", "changed")
    assert tried.key(flips) == before[0]
    assert tried.key(lit) != before[1]


def test_words_are_no_code():
    plain = "def f(x):\n    return x + 1\n"
    told = 'def f(x):\n    """Add."""\n    # one\n    return (x\n            + 1)\n'
    assert digests.digest_code(plain) == digests.digest_code(told)
    assert digests.digest_code(plain) != digests.digest_code(plain.replace("1", "2"))


def test_weights_are_told_by_their_values():
    assert digests.digest_backbone(SMALL) == digests.digest_backbone(SMALL)
    zeros = torch.zeros(2, 3)
    assert digests.digest_tensors([zeros]) != digests.digest_tensors([zeros.T])
    assert digests.digest_tensors([zeros]) != digests.digest_tensors([zeros.double()])


# ---------------------------------------------------------------- what came out


def test_results_hold_every_score_and_where_it_comes_from(tried, tmp_path):
    found = tried.run(POLICIES)
    result = tried.result(found, name="x", purpose="Try.", command="python")
    result.save(tmp_path / "x.json")
    assert result.policies == list(POLICIES)
    assert result.meta["policies"] == POLICIES
    assert result.meta["settings"]["lit"][0]["stages"][0]["stage"] == "Relight"
    assert result.meta["protocol"]["corruptions"] == ["exposure", "dust"]
    assert result.meta["task"]["test"] == 4
    assert result.metrics == ["balanced accuracy"]
    assert result.conditions == ["clean", "exposure", "dust"]
    kinds = {(r.condition, r.metric) for r in result.rows if "seconds" in r.metric}
    assert kinds == {("train", "seconds"), ("test", "seconds"), ("run", "cpu seconds")}
    pooled = tried.robustness(found)["lit"]
    assert pooled.images == 4
    assert pooled.mpc("industrial") * 100 == pytest.approx(
        np.mean(list(result.scores("lit", ["exposure", "dust"]).values()))
    )
    assert pooled.rows[Condition("dust", 3)].shape[:2] == (2, 4)


def test_a_thorough_test_adapts_batch_norms_at_one_severity_and_sees_elsewhere(folder, tmp_path):
    protocol = replace(TINY, thorough=True, seeds=(0,))
    split = split_by_look(read_defects(folder), protocol, look="brightness")
    found = Experiment(split, protocol, tmp_path / "cache").run({"flips only": ""})
    (values,) = (outcome.values for outcome in found.values())
    adapted = {(name, severity, how) for name, severity, _, how, _ in values if how}
    lines = {(name, 0, how) for name in ("clean", "elsewhere") for how in ("target", "matched")}
    shifts = {(n, 3, how) for n in ("exposure", "dust") for how in ("target", "matched")}
    assert adapted == lines | shifts
    assert {value[2] for value in values} >= {"balanced accuracy", "AUROC"}
    assert ("elsewhere", 0, "AUROC", "") in {value[:4] for value in values}


@pytest.mark.parametrize("kind", ["segmentation", "detection"])
def test_masks_and_boxes_go_on_where_they_were(defect_boxes, kind, tmp_path, trained):
    if kind == "detection":
        pytest.importorskip("pycocotools")
    protocol = replace(TINY, size=32, seeds=(0,), corruptions=("dust",), severities=(3,))
    split = split_defects(read_defects(defect_boxes), protocol, kind=kind)
    tried = Experiment(split, replace(protocol, thorough=True), tmp_path)
    first, second = (tried.run({"flips only": ""}) for _ in range(2))
    assert len(trained) == 1
    (one,), (two,) = first.values(), second.values()
    assert one.values == two.values
    names = {"segmentation": {"IoU", "pixel AP"}, "detection": {"box AP", "box AP50"}}[kind]
    assert {value[2] for value in one.values} - {"seconds", "cpu seconds"} == names
    assert bool(one.rows) == bool(two.rows) == (kind == "segmentation")
    (found,) = tried.robustness(second).values()
    assert found.names == ["dust"]
    assert (found.interval().low is None) == (kind == "detection")  # one seed, and no images


def test_an_outcome_that_is_not_there_is_none(tmp_path):
    assert Outcome.load(tmp_path / "nothing.pt") is None


@pytest.mark.slow
def test_two_jobs_score_as_one_does(tried):
    found = [
        scores(replace(tried, cache=tried.cache / str(jobs)).run(POLICIES, jobs=jobs))
        for jobs in (1, 2)
    ]
    assert found[0] == found[1]


def test_batches_that_norms_are_adapted_to_hold_every_class():
    """Else they vary less than the whole, though all images come by."""
    images = torch.tensor([0, 255], dtype=torch.uint8).repeat_interleave(64).view(-1, 1, 1, 1)
    images = images.expand(-1, 3, 4, 4)
    batches = list(shuffled_batches(images, torch.device("cpu")))
    assert [len(batch) for batch in batches] == [32] * 4
    assert all(abs(batch.mean()) < 0.5 for batch in batches)  # of -1 and 1 in equal shares
    assert torch.cat(batches).mean() == 0
    assert sum(len(batch) for batch in shuffled_batches(images, torch.device("cpu"), 40)) == 40
