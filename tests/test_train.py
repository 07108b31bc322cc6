"""Training: folders in, pack out; exact resumption, held-out styles, bad files, processes."""

import errno
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import pictures
from styleaug import StylePack
from styleaug.errors import StyleAugError, WeightsError
from styleaug.files import reserve
from styleaug.networks import stylizer_of
from styleaug.nn.encoder import Stylizer
from styleaug.nn.features import load_features
from styleaug.nn.noise import white_noise
from styleaug.nn.stylenet import StyleNetConfig
from styleaug.pack import build_stylizer
from styleaug.styles.procedural import FAMILIES
from styleaug.train import checkpoint
from styleaug.train.checkpoint import fingerprint
from styleaug.train.config import TrainConfig
from styleaug.train.data import TrainingBatches
from styleaug.train.loop import Progress, _Run, learning_rate, train
from styleaug.train.narrow import start_from
from styleaug.train.styles import StyleTargets, is_held_out, list_styles, style_view

TINY = StyleNetConfig(stem=8, width=16, blocks=1, embedding=8)


def write_pictures(folder: Path, names: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for name in names:
        pixels = rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((80, 96), Image.Resampling.NEAREST).save(folder / name)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of content and two of styles, a damaged file in each kind."""
    root = tmp_path_factory.mktemp("train")
    write_pictures(root / "parts", ["a.png", "b.png", "c.png"], 0)
    write_pictures(root / "photos", ["d.jpg"], 1)
    write_pictures(root / "cloth", ["woven_01.png", "woven_02.png"], 2)
    write_pictures(root / "art", ["shop__dots.png"], 3)
    (root / "parts" / "broken.png").write_bytes(b"no image")
    (root / "cloth" / "broken.jpg").write_bytes(b"no image")
    return root


def config(folders: Path, out: Path, **changes) -> TrainConfig:
    settings = {
        "content": (str(folders / "parts"), str(folders / "photos")),
        "styles": (f"fabric={folders / 'cloth'}", str(folders / "art")),
        "out": out,
        "net": TINY,
        "steps": 4,
        "batch": 2,
        "crop": 32,
        "views": 2,
        "holdout": 0.0,
        "warmup": 2,
        "workers": 0,
        "checkpoint_every": 2,
        "sheet_every": 4,
        "device": "cpu",
    }
    return TrainConfig(**{**settings, **changes})


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    """One unbroken run: its settings, its pack, what the callback heard."""
    out = tmp_path_factory.mktemp("whole") / "pack.safetensors"
    heard: list[Progress] = []
    settings = config(folders, out)
    return settings, train(settings, heard.append), heard


def test_training_writes_a_pack_with_named_and_tagged_styles(trained):
    settings, pack, _ = trained
    loaded = StylePack.load(settings.out)
    assert loaded.id == pack.id
    assert dict(zip(loaded.names, loaded.tags, strict=True)) == {
        "woven_01": ("fabric", "woven"),
        "woven_02": ("fabric", "woven"),
        "dots": ("art", "shop"),
    }
    assert loaded.info["settings"]["styles"] == [
        "cloth",
        "art",
    ]  # no paths of the trainer's machine


def test_training_reports_finite_losses_and_writes_sheet_and_log(trained):
    settings, _, heard = trained
    assert [p.step for p in heard] == [1, 2, 3, 4]
    assert set(heard[-1].losses) == {
        *("style", "content", "tone", "defects", "hallucination", "tv", "total")
    }
    assert all(np.isfinite(v) for v in heard[-1].losses.values())
    assert (settings.folder / "sheet-000004.jpg").is_file()
    assert len((settings.folder / "log.jsonl").read_text().splitlines()) == 2


def test_interrupted_run_resumes_to_the_same_weights(folders, trained, tmp_path):
    _, whole, _ = trained

    def interrupt(progress: Progress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    broken = config(folders, tmp_path / "pack.safetensors")
    with pytest.raises(KeyboardInterrupt):
        train(broken, interrupt)
    assert not broken.out.exists()
    resumed = train(config(folders, broken.out, resume=True, workers=1))
    assert resumed.id == whole.id
    assert not list(tmp_path.rglob(".*"))  # no temporary file stays behind


def test_resume_refuses_other_settings(folders, trained, monkeypatch):
    settings, _, _ = trained
    with pytest.raises(WeightsError, match="but lr differ"):
        train(config(folders, settings.out, resume=True, lr=1e-4))
    monkeypatch.setattr(checkpoint, "version", lambda name: "9")
    with pytest.raises(WeightsError, match="but version differ"):
        train(config(folders, settings.out, resume=True))


def test_resume_without_a_checkpoint_starts_afresh_and_says_so(folders, trained, tmp_path, caplog):
    """So the command that was interrupted can be repeated as it is, whenever it was."""
    _, whole, _ = trained
    caplog.set_level(logging.INFO)
    assert train(config(folders, tmp_path / "other.safetensors", resume=True)).id == whole.id
    assert "There is no checkpoint at" in caplog.text


@pytest.mark.parametrize(
    ("changed", "named"), [("parts", "content_files"), ("art", "styles_files")]
)
def test_resume_refuses_other_images_under_the_same_names(tmp_path, changed, named):
    for seed, folder in enumerate(("parts", "art")):
        write_pictures(tmp_path / folder, ["a.png"], seed)
    settings = {"content": (str(tmp_path / "parts"),), "styles": (str(tmp_path / "art"),)}
    mine = config(tmp_path, tmp_path / "pack.safetensors", **settings, steps=1)
    run = fingerprint(mine, 1)
    checkpoint.save_checkpoint(tmp_path / "checkpoint.pt", {"run": run})
    checkpoint.read_checkpoint(tmp_path / "checkpoint.pt", run, torch.device("cpu"))
    (tmp_path / changed / "a.png").unlink()
    write_pictures(tmp_path / changed / "more", ["a.png"], 9)
    (tmp_path / changed / "more" / "a.png").rename(tmp_path / changed / "a.png")
    with pytest.raises(WeightsError, match=f"but {named} differ"):
        checkpoint.read_checkpoint(
            tmp_path / "checkpoint.pt", fingerprint(mine, 1), torch.device("cpu")
        )


def test_targets_of_a_style_that_was_replaced_are_computed_again(tmp_path):
    trunk = load_features()
    found = []
    for seed in (1, 2, 1):
        write_pictures(tmp_path / str(len(found)), ["a.png"], seed)
        (tmp_path / "s").mkdir(exist_ok=True)
        (tmp_path / str(len(found)) / "a.png").replace(tmp_path / "s" / "a.png")
        styles = list_styles([str(tmp_path / "s")])
        mine = config(tmp_path, tmp_path / "pack.safetensors", views=1)
        (folder,) = StyleTargets.build(styles, trunk, mine, torch.device("cpu"))
        found.append((folder, np.load(folder / "images.npy").tobytes()))
    assert found[0] != found[1]
    assert found[0] == found[2]
    view = np.asarray(style_view(styles[0].load(), 0, 0)).transpose(2, 0, 1)
    assert found[2][1] == view.tobytes()


def test_a_run_that_starts_afresh_leaves_nothing_of_another_one(folders, tmp_path):
    out = tmp_path / "pack.safetensors"
    train(config(folders, out, sheet_every=2))
    train(config(folders, out, steps=2, sheet_every=2))
    assert [path.name for path in out.with_suffix(".run").glob("sheet*")] == ["sheet-000002.jpg"]
    assert len((out.with_suffix(".run") / "log.jsonl").read_text().splitlines()) == 2


def test_the_same_folders_written_otherwise_are_the_same_run(folders, trained, monkeypatch):
    settings, whole, _ = trained
    monkeypatch.chdir(folders)
    changes = {"content": ("parts", "art/../photos"), "styles": ("fabric=cloth", "art")}
    resumed = train(config(folders, settings.out, resume=True, **changes))
    assert resumed.id == whole.id
    assert len(list(settings.folder.glob("targets-*"))) == 2  # found, not computed again


def test_resume_refuses_a_damaged_checkpoint(folders, trained, tmp_path):
    settings, _, _ = trained
    run = tmp_path / "run"
    run.mkdir()
    data = (settings.folder / "checkpoint.pt").read_bytes()
    (run / "checkpoint.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match="cannot be read"):
        train(config(folders, tmp_path / "p.safetensors", run_dir=run, resume=True))


def test_weights_that_are_not_finite_take_no_checkpoints_place(folders, tmp_path, monkeypatch):
    """The loss is read every tenth step only: weights may be lost in between."""
    run_step, poisoned = _Run._train_step, []

    def step(self, *args):
        found = run_step(self, *args)
        if self.step == 2:
            next(self.model.parameters()).data[0] = torch.nan
            poisoned.append(self.step)
        return found

    monkeypatch.setattr(_Run, "_train_step", step)
    settings = config(folders, tmp_path / "pack.safetensors", steps=8)
    message = r"weights must stay finite, but are not at step 4\. Resume from .*checkpoint\.pt"
    with pytest.raises(StyleAugError, match=message):
        train(settings)
    assert poisoned
    assert not settings.out.exists()
    state = torch.load(settings.folder / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2
    assert all(value.isfinite().all() for value in state["model"].values())


def test_a_run_that_is_lost_before_its_first_checkpoint_says_so(folders, tmp_path, monkeypatch):
    def step(self, *args):
        next(self.model.parameters()).data[0] = torch.inf
        return {"total": torch.zeros(())}

    monkeypatch.setattr(_Run, "_train_step", step)
    with pytest.raises(StyleAugError, match=r"at step 2\. There is no checkpoint yet"):
        train(config(folders, tmp_path / "pack.safetensors"))


def test_unreadable_images_are_reported_by_name_and_skipped(folders, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        names = [s.name for s in list_styles([str(folders / "cloth")])]
        batches = TrainingBatches(config(folders, tmp_path / "p.safetensors"), [])
        rng = np.random.default_rng(0)
        crops = [batches._crop(rng) for _ in range(30)]
    assert names == ["woven_01", "woven_02"]
    assert all(crop.shape == (3, 32, 32) for crop in crops)
    reports = [record.getMessage() for record in caplog.records]
    assert sum("cloth/broken.jpg" in text for text in reports) == 1
    assert sum("parts/broken.png" in text for text in reports) == 1


def test_folder_of_unreadable_content_raises(tmp_path):
    folder = tmp_path / "content"
    folder.mkdir()
    (folder / "x.png").write_bytes(b"no image")
    settings = TrainConfig(content=(str(folder),), styles=(), out=tmp_path / "p.safetensors")
    with pytest.raises(OSError, match="20 in a row"):
        TrainingBatches(settings, [])._crop(np.random.default_rng(0))


@pytest.mark.parametrize("missing", ["nowhere", "empty"])
def test_missing_and_empty_style_folders_raise(tmp_path, missing):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=missing):
        list_styles([str(tmp_path / missing)])


def test_held_out_styles_are_a_fixed_share_and_never_trained_on(folders, tmp_path):
    share = sum(is_held_out(f"style-{i}", 0.1) for i in range(2000)) / 2000
    assert 0.08 < share < 0.12
    assert [is_held_out("woven_01", 0.5)] * 3 == [is_held_out("woven_01", 0.5) for _ in range(3)]
    every = ["woven_01", "woven_02", "dots"]
    holdout = next(
        h / 20 for h in range(1, 20) if 0 < sum(is_held_out(n, h / 20) for n in every) < 3
    )
    pack = train(config(folders, tmp_path / "p.safetensors", holdout=holdout, steps=1))
    assert set(pack.names) == {n for n in every if not is_held_out(n, holdout)}
    assert pack.info["held_out_styles"] == 3 - len(pack.names)


def test_each_image_of_a_step_meets_its_own_noise(folders, tmp_path, monkeypatch):
    settings = config(folders, tmp_path / "p.safetensors", steps=1)
    seen = []

    def watched(seeds, *size):
        seen.append(seeds)
        return white_noise(seeds, *size)

    monkeypatch.setattr("styleaug.nn.encoder.white_noise", watched)
    train(settings)
    styles = [s for s in list_styles(settings.styles) if not is_held_out(s.name, settings.holdout)]
    seeds = TrainingBatches(settings, styles)[0]["seeds"]
    assert torch.equal(seen[0], seeds)
    assert len(seeds) == len(set(seeds.tolist())) == 2 * settings.batch


def test_batches_are_a_function_of_seed_process_and_step(folders, tmp_path):
    styles = list_styles([str(folders / "cloth"), str(folders / "art")])
    settings = config(folders, tmp_path / "p.safetensors")
    first, again = (TrainingBatches(settings, styles)[5] for _ in range(2))
    other_rank = TrainingBatches(settings, styles, rank=1)[5]
    other_step = TrainingBatches(settings, styles)[6]
    for name, value in first.items():
        assert torch.equal(value, again[name])
    assert not torch.equal(first["content"], other_rank["content"])
    assert not torch.equal(first["content"], other_step["content"])


def test_targets_are_computed_once(folders, trained, monkeypatch):
    settings, _, _ = trained
    styles = list_styles(settings.styles)

    def fail(*args: object) -> None:
        raise AssertionError("targets must not be computed again")

    targets = StyleTargets(StyleTargets.build(styles, fail, settings, torch.device("cpu")))
    # style 0's first view, and style 2's second, which lies in the other folder
    batch = targets.batch(torch.tensor([0, 5]), torch.device("cpu"))
    assert batch["images"].shape == (2, 3, 256, 256)
    last = np.asarray(style_view(styles[2].load(), 1, settings.seed)).transpose(2, 0, 1)
    assert (batch["images"][1].mul(255).round().byte().numpy() == last).all()
    for index, gram in enumerate(batch["grams"]):
        torch.testing.assert_close(gram, gram.transpose(1, 2))
        norms = targets.norms[[0, 5], index]
        torch.testing.assert_close(gram.flatten(1).norm(dim=1), norms, rtol=1e-2, atol=1e-3)


reserves = pytest.mark.skipif(
    not hasattr(os, "posix_fallocate"), reason="space cannot be reserved on this system"
)


@reserves
def test_a_full_drive_is_told_before_a_mapped_file_would_kill_the_process(
    folders, tmp_path, monkeypatch
):
    def full(descriptor, offset, length):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    settings = config(folders, tmp_path / "pack.safetensors")
    with pytest.raises(OSError, match=r"No space left on device: .*\.npy"):
        train(settings)
    assert not list(settings.folder.glob("targets-*"))


@reserves
def test_the_space_of_the_targets_is_taken_at_once(tmp_path):
    sparse = tmp_path / "array.npy"
    with sparse.open("wb") as file:
        file.truncate(1 << 20)
    reserve(sparse)
    assert sparse.stat().st_size == 1 << 20
    assert sparse.stat().st_blocks * 512 >= 1 << 20


def test_procedural_finishes_are_styles_like_any_others():
    styles = list_styles(["procedural:2", "shine=procedural:1"])
    assert len(styles) == 3 * len(FAMILIES)
    first, other = styles[0], styles[-1]
    assert first.name == f"finish/{FAMILIES[0]}-000"
    assert first.tags == ("finish", FAMILIES[0])
    assert other.name == f"shine/{FAMILIES[-1]}-000"
    assert other.group == 1
    assert first.load().size == (256, 256)
    assert first.load().tobytes() == first.load().tobytes() != styles[1].load().tobytes()
    for entry in ("procedural:", "procedural:0", "procedural:many"):
        with pytest.raises(ValueError, match="at least 1"):
            list_styles([entry])
    with pytest.raises(ValueError, match=r"tag of its own.*'procedural:1' again"):
        list_styles(["procedural:2", "procedural:1"])


def test_training_starts_from_a_pack_with_as_many_blocks_or_more(folders, trained, tmp_path):
    settings, pack, _ = trained
    still = {"steps": 1, "lr": 1e-30}
    again = train(config(folders, tmp_path / "a.safetensors", init=str(settings.out), **still))
    cpu = torch.device("cpu")
    before, after = (stylizer_of(p, cpu, torch.float32).state_dict() for p in (pack, again))
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())  # lr is 0
    assert again.info["settings"]["init"] == "pack.safetensors"
    count = sum(layer.out_features for layer in stylizer_of(pack, cpu).style_layers().values())
    fitted = pack.extended(pack.codes[:1], ["fitted"], [()], style_residuals=[torch.ones(count)])
    fitted.save(tmp_path / "fitted.safetensors")
    init = str(tmp_path / "fitted.safetensors")
    later = train(config(folders, tmp_path / "c.safetensors", init=init, **still))
    assert later.id == again.id  # residuals of fitted styles stay behind
    for shape in ({"width": 20}, {"stem": 10}, {"embedding": 4}):
        wider = StyleNetConfig(**{"stem": 8, "width": 16, "blocks": 1, "embedding": 8, **shape})
        with pytest.raises(ValueError, match="init needs a pack of the same shape, or a wider"):
            train(config(folders, tmp_path / "b.safetensors", init=str(settings.out), net=wider))


def test_more_blocks_than_the_pack_has_begin_by_changing_nothing(folders, trained, tmp_path):
    settings, pack, _ = trained
    deeper = StyleNetConfig(stem=8, width=16, blocks=2, embedding=8)
    still = {"steps": 1, "lr": 1e-30, "init": str(settings.out)}
    after = train(config(folders, tmp_path / "a.safetensors", net=deeper, **still))
    images, noise = pictures(2, 3, 32, 32, dtype=torch.float32), torch.zeros(2, 1, 32, 32)
    cpu = torch.device("cpu")
    outputs = [
        stylizer_of(p, cpu, torch.float32).net(images, pack.codes[:2], noise) for p in (pack, after)
    ]
    torch.testing.assert_close(*outputs)


def test_a_narrower_network_begins_with_the_channels_that_weigh_most(trained):
    _, pack, _ = trained
    source = build_stylizer(pack.config, pack.state)
    with torch.no_grad():  # 12 of 16 channels and 6 of 8 are nothing to the rest
        net = source.net
        net.down.weight[3:7] *= 1e-9
        net.down.bias[3:7] = 0
        net.stem.weight[[0, 5]] *= 1e-9
        net.stem.bias[[0, 5]] = 0
        net.up.weight[4:12] *= 1e-9
        net.up.bias[4:12] = 0
    narrow = Stylizer(replace(pack.config, stem=6, width=12))
    start_from(narrow, source)
    assert torch.equal(narrow.net.down.bias, net.down.bias[[0, 1, 2, *range(7, 16)]])
    assert torch.equal(narrow.net.stem.bias, net.stem.bias[[1, 2, 3, 4, 6, 7]])
    assert torch.equal(narrow.net.up.bias, net.up.bias[[*range(4), *range(12, 32)]])
    assert torch.equal(narrow.encoder.mean, source.encoder.mean)
    images = pictures(2, 3, 32, 32, dtype=torch.float32)
    kept = [0, 1, 2, *range(7, 16)]
    wanted = source.net.statistics(images)[:, [*kept, *(16 + k for k in kept), *range(32, 38)]]
    torch.testing.assert_close(narrow.net.statistics(images), wanted)


def test_a_teacher_is_imitated_without_features(folders, trained, tmp_path):
    settings, pack, _ = trained
    told = []
    alone = {
        "teacher": str(settings.out),
        **dict.fromkeys(("style_weight", "tonal_weight", "defect_weight"), 0.0),
        **dict.fromkeys(("hallucination_weight", "tv_weight", "noise"), 0.0),
    }
    out = tmp_path / "p.safetensors"
    student = train(config(folders, out, steps=60, lr=1e-2, batch=4, **alone), told.append)
    assert set(told[-1].losses) >= {"teacher", "total"}
    assert not {"style", "content"} & set(told[-1].losses)
    first, last = (told[k].losses["teacher"] for k in (0, -1))
    assert last < 0.8 * first
    assert student.info["settings"]["teacher"] == "pack.safetensors"
    same = train(
        config(folders, out, steps=1, lr=1e-30, init=str(settings.out), **alone), told.append
    )
    assert len(same) == len(pack)
    assert told[-1].losses["teacher"] < 0.02 * first  # the teacher itself has nothing to learn


def test_the_pack_keeps_where_its_styles_come_from(folders, tmp_path):
    sources = ("fabric=our own, CC0", "art=shop=window, all rights reserved")
    pack = train(config(folders, tmp_path / "p.safetensors", sources=sources, steps=1))
    assert StylePack.load(tmp_path / "p.safetensors").info["sources"] == {
        "fabric": "our own, CC0",
        "art": "shop=window, all rights reserved",
    }
    assert pack.info["settings"]["init"] is None
    with pytest.raises(ValueError, match="TAG=TEXT"):
        config(folders, tmp_path / "p.safetensors", sources=("fabric",))


def test_first_view_is_the_picture_and_others_differ():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8))
    views = [np.asarray(style_view(image, v, 7)) for v in (0, 1, 2, 1)]
    assert all(v.shape == (256, 256, 3) for v in views)
    assert (views[1] == views[3]).all()
    assert not (views[0] == views[1]).all()
    assert not (views[1] == views[2]).all()


def test_learning_rate_warms_up_and_decays(tmp_path):
    settings = TrainConfig(content=(), styles=(), out=tmp_path / "p", steps=100, warmup=10, lr=1.0)
    rates = [learning_rate(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.02)


@pytest.mark.parametrize(
    "change", [{"steps": 0}, {"crop": 8}, {"holdout": 1.5}, {"precision": "int8"}]
)
def test_settings_out_of_bounds_raise(change, tmp_path):
    with pytest.raises(ValueError, match=next(iter(change))):
        TrainConfig(content=(), styles=(), out=tmp_path / "p.safetensors", **change)


def test_two_processes_train_one_network(folders, tmp_path):
    """Two gloo processes through torchrun: one pack, and both processes hold the same weights."""
    script = tmp_path / "run.py"
    script.write_text(
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from test_train import config\n"
        "from styleaug.train.loop import train\n"
        "import os\n"
        "out = Path(sys.argv[3])\n"
        "pack = train(config(Path(sys.argv[2]), out, steps=2, views=1))\n"
        "(out.parent / f\"id-{os.environ['RANK']}\").write_text(pack.id)\n"
    )
    out = tmp_path / "pack.safetensors"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [str(script), str(Path(__file__).parent), str(folders), str(out)]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(
            [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        ),
    }
    done = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ids = {(tmp_path / f"id-{rank}").read_text() for rank in (0, 1)}
    assert ids == {StylePack.load(out).id}
