"""New styles: what is measured, what a fit changes, which method is chosen, and the command."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import TINY, pictures
from styleaug import Restyle, StylePack
from styleaug.cli import main
from styleaug.errors import WeightsError
from styleaug.gatys.descent import NonFiniteObjective
from styleaug.images.io import list_images, spread
from styleaug.networks import encode, stylizer_of
from styleaug.nn.encoder import ENCODER_LAYERS
from styleaug.nn.perceptual import CONTENT_WEIGHTS, grams
from styleaug.stages.restyle import RestyleParams
from styleaug.styles import NewStyle, fit_style, learn_style, rows, with_styles
from styleaug.styles.learn import ENOUGH, TOO_LITTLE, choose_method, split_contents
from styleaug.styles.probes import (
    Probes,
    draw_probes,
    optimise_probes,
    restyle_probes,
    style_targets,
    trunk_on,
    vary,
)
from styleaug.styles.procedural import draw_finish
from styleaug.styles.rows import find_distinct

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def base():
    return StylePack.load("base")


@pytest.fixture(scope="module")
def probes():
    return draw_probes(32, 3, CPU)


@pytest.fixture(scope="module")
def painting():
    """Nothing that the bundled pack's network was trained on: coloured noise in blocks."""
    coarse = pictures(1, 3, 24, 24, dtype=torch.float32, seed=3)
    blocks = torch.nn.functional.interpolate(coarse, size=(256, 256), mode="nearest")[0]
    return (1.6 * (blocks - 0.5) + 0.5).clamp(0, 1)


@pytest.fixture
def quick(monkeypatch):
    """Few probes and steps of what methods are compared with: all would take a minute."""
    monkeypatch.setattr("styleaug.styles.learn.MEASURED", 2)
    monkeypatch.setattr("styleaug.styles.learn.optimise_probes", partial(optimise_probes, steps=2))


@pytest.fixture
def mastered(monkeypatch, painting):
    """In place of an optimisation of the pixels, the style picture itself: it reaches all."""
    monkeypatch.setattr("styleaug.styles.learn.MEASURED", 2)
    monkeypatch.setattr(
        "styleaug.styles.learn.optimise_probes",
        lambda probes, targets, count: painting[None, :, :128, :128].expand(count, -1, -1, -1),
    )


# ---------------------------------------------------------------- measuring


def test_probes_are_the_same_each_time_and_differ_from_each_other(probes):
    again = draw_probes(32, 3, CPU)
    assert torch.equal(probes.images, again.images)
    assert not torch.equal(probes.images, draw_probes(0, 3, CPU).images)
    assert (probes.images[0] - probes.images[1]).abs().mean() > 0.01


def grams_of(images):
    """Gram matrices of pictures at the size that they have."""
    with torch.no_grad():
        return grams(trunk_on(CPU)(images, ENCODER_LAYERS))


def test_the_objective_is_zero_for_content_and_style_that_are_there(probes):
    rows = torch.arange(len(probes))
    with torch.no_grad():
        style, content = probes.judge(
            probes.images, rows, grams_of(probes.images[:1]), trunk_on(CPU)
        )
    assert content.abs().max() < 1e-6
    assert style.shape == (3,)
    assert style[0] < 1e-4
    assert style[1:].min() > 0.1


def test_content_is_compared_with_the_probe_that_was_restyled(probes):
    targets = [g.expand(2, -1, -1) for g in style_targets(probes.images[0])]
    with torch.no_grad():
        _, content = probes.judge(
            probes.images[[2, 1]], torch.tensor([2, 1]), targets, trunk_on(CPU)
        )
        _, swapped = probes.judge(
            probes.images[[2, 1]], torch.tensor([1, 2]), targets, trunk_on(CPU)
        )
    assert content.abs().max() < 1e-6
    assert swapped.min() > 0.1 * sum(CONTENT_WEIGHTS.values())


def test_contents_vary_in_place_and_in_light_and_stay_what_they_are(probes):
    images = probes.images[:1].repeat(16, 1, 1, 1)
    first, again = (vary(images, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert 0 <= first.min() <= first.max() <= 1
    assert torch.unique(first.flatten(1), dim=0).shape[0] == 16
    order = images[0].flatten().sort().values
    for image in first:  # the pixels of the content, elsewhere, under one gamma
        tones = image.flatten().sort().values
        inner = (order > 0.05) & (order < 0.9)
        gamma = tones[inner].log() / order[inner].log()
        assert gamma.std() < 1e-3
        assert 0.6 < gamma.mean() < 1.66


def test_an_optimised_probe_is_nearer_than_the_network(base, probes, painting):
    targets = style_targets(painting)
    network = restyle_probes(base, encode(base, painting[None])[0], probes)
    optimised = optimise_probes(probes, targets, 1, steps=25)
    assert optimised.shape == (1, 3, 128, 128)
    assert optimised.min() >= 0
    assert optimised.max() <= 1
    ratio, objective = probes.measure(optimised, targets)
    before, reached = probes.measure(network[:1], targets)
    assert objective < 0.7 * reached
    assert 1 > ratio > before


def test_probes_that_half_precision_cannot_hold_are_optimised_in_float32(probes, monkeypatch):
    """What new styles are compared with would else be the content, or an error."""
    trunk, tried = trunk_on(CPU), []

    def judge(outputs, rows, targets, trunk):
        tried.append(trunk)
        factor = 1.0 if trunk is trunk_on(CPU) else torch.nan
        return factor * outputs.mean((1, 2, 3)), outputs.mean((1, 2, 3))

    monkeypatch.setattr("styleaug.styles.probes.inference_dtype", lambda _: torch.bfloat16)
    monkeypatch.setattr(probes, "judge", judge)
    found = optimise_probes(probes, grams_of(probes.images[:1]), 2, steps=3)
    assert (found < probes.images[:2]).float().mean() > 0.9
    assert tried[-1] is trunk
    monkeypatch.setattr("styleaug.styles.probes.inference_dtype", lambda _: torch.float32)
    monkeypatch.setattr(probes, "judge", lambda x, *_: [torch.nan * x.mean((1, 2, 3))] * 2)
    with pytest.raises(NonFiniteObjective):
        optimise_probes(probes, grams_of(probes.images[:1]), 2, steps=3)


def test_measuring_knows_what_has_not_moved_and_what_has_arrived(probes):
    there = grams_of(probes.images[[1]])
    assert probes.measure(probes.images[:1], there)[0] == pytest.approx(0, abs=1e-4)
    ratio, objective = probes.measure(probes.images[[1]], there)
    assert ratio == pytest.approx(1, abs=1e-4)
    assert objective > 0.1 * sum(CONTENT_WEIGHTS.values())  # the content of another probe


# ---------------------------------------------------------------- fitting


def test_a_fit_serves_contents_that_it_has_not_seen(base, probes, painting):
    start = encode(base, painting[None])[0]
    seen = []
    code, residual = fit_style(base, painting, steps=15, progress=lambda *now: seen.append(now))
    assert seen == [(k, 15) for k in range(1, 16)]
    assert not code.requires_grad
    assert not residual.requires_grad
    alone = base.extended(code[None], ["code alone"], [()])
    fitted = base.extended(code[None], ["fitted"], [()], style_residuals=[residual])
    targets = style_targets(painting)
    before, between, after = (
        probes.measure(restyle_probes(pack, c, probes), targets)[1]
        for pack, c in ((base, start), (alone, alone.codes[-1]), (fitted, fitted.codes[-1]))
    )
    assert after < 0.9 * before
    assert after < 0.98 * between


def test_a_fit_changes_neither_pack_nor_global_randomness(base, painting):
    before = (
        base.id,
        {k: v.clone() for k, v in stylizer_of(base, CPU, torch.float32).state_dict().items()},
    )
    first, second = (fit_style(base, painting, steps=1) for _ in range(2))
    other = fit_style(base, painting, steps=1, seed=1)
    for one, again, seeded in zip(first, second, other, strict=True):
        assert torch.equal(one, again)
        assert not torch.equal(one, seeded)
    after = stylizer_of(base, CPU, torch.float32).state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before[1].items())
    assert StylePack.load("base").id == before[0]


def test_a_fit_starts_where_it_is_told(base, painting):
    start = base.codes[5]
    code, residual = fit_style(base, painting, start=start, steps=1)
    spread = base.codes.std(0, correction=0) + 1e-4
    assert ((code - start).abs() <= 0.1001 * spread).all()
    assert residual.abs().max() <= 0.0301
    assert residual.abs().median() > 0.01


def test_a_fit_leaves_the_shares_of_other_fitted_styles(base, painting):
    residual = torch.ones(sum(layer.out_features for layer in style_layers(base)))
    grown = base.extended(base.codes[:1], ["fitted before"], [()], style_residuals=[residual])
    code, more = fit_style(grown, painting, steps=1)
    assert len(code) == len(base.codes[0]) + 1
    assert code[-1] == 0
    twice = grown.extended(code[None], ["now"], [()], style_residuals=[more])
    assert twice.codes[-2:, -2:].tolist() == [[1, 0], [0, 1]]


def style_layers(pack):
    return stylizer_of(pack, CPU, torch.float32).style_layers().values()


# ---------------------------------------------------------------- choosing


@pytest.mark.parametrize(
    ("ratio", "method"),
    [
        ({"encode": 0.96, "gatys": 0.98}, "encode"),
        ({"encode": 0.94, "gatys": 0.98}, "fit"),
        ({"encode": 0.71, "gatys": 0.73}, "encode"),
        ({"encode": 0.60, "fit": 0.90, "gatys": 0.98}, "fit"),
        ({"encode": 0.60, "fit": 0.70, "gatys": 0.98}, "gatys"),
        ({"encode": 0.60, "fit": 0.60, "gatys": 0.70}, "fit"),
        ({"encode": 0.82, "fit": 0.10, "gatys": 0.98}, "encode"),
        ({"encode": 0.60, "fit": 0.10, "gatys": 0.98}, "gatys"),
    ],
)
def test_the_method_follows_from_the_style_transfer_ratio(ratio, method):
    assert choose_method(ratio, {name: 1 - share for name, share in ratio.items()}) == method
    assert TOO_LITTLE < ENOUGH < 1


def test_the_better_of_two_codes_is_the_one_with_the_lower_objective():
    ratio = {"encode": 0.85, "fit": 0.84, "gatys": 0.98}
    assert choose_method(ratio, {"encode": 5, "fit": 3}) == "fit"
    assert choose_method(ratio, {"encode": 3, "fit": 5}) == "encode"


def test_a_finish_that_the_network_knows_is_encoded(base, monkeypatch):
    monkeypatch.setattr("styleaug.styles.learn.MEASURED", 2)
    some = partial(optimise_probes, steps=30)
    monkeypatch.setattr("styleaug.styles.learn.optimise_probes", some)
    style = learn_style(base, draw_finish("glass", 0), "known")
    assert style.method == "encode"
    kinds = (style.style_transfer_ratio, style.objective, style.seconds)
    assert all(set(kind) == {"encode", "gatys"} for kind in kinds)
    assert torch.equal(style.code, encode(base, draw_finish("glass", 0)[None])[0])
    assert "known: encode" in style.explain()
    told = json.loads(json.dumps(style.to_dict()))
    assert told["style_transfer_ratio"]["encode"] > 0.8


@pytest.mark.parametrize(
    ("encoded", "said"),
    [(0.7, 'x: encode (method="auto" would have it fit). Of'), (0.97, "x: encode. Of")],
)
def test_a_method_that_was_asked_for_is_told_from_the_one_that_measurement_chooses(encoded, said):
    ratio = {"encode": encoded, "gatys": 0.98}
    nothing = torch.zeros(0)
    style = NewStyle("x", "encode", nothing, ratio, {"encode": 2, "gatys": 1})
    assert style.explain().startswith(said)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("method", ["encode", "fit"])
def test_a_method_can_be_asked_for(pack, painting, method):
    style = learn_style(pack, painting, "x", method=method, steps=2)
    assert style.method == method
    assert ("fit" in style.style_transfer_ratio) == (method == "fit")
    assert set(style.pictures) == {"content", *style.style_transfer_ratio}


@pytest.mark.usefixtures("quick")
def test_styles_are_tried_and_fitted_on_contents_of_ones_own(base, painting, monkeypatch):
    contents = pictures(5, 3, 128, 128, dtype=torch.float32, seed=5)
    fitted_on = []

    def fit(*args, contents, **kwargs):
        fitted_on.append(contents)
        return fit_style(*args, contents=contents, **kwargs)

    monkeypatch.setattr("styleaug.styles.learn.fit_style", fit)
    style = learn_style(base, painting, "x", method="fit", contents=contents, steps=1)
    used = [k for k in range(5) if any(torch.equal(contents[k], image) for image in fitted_on[0])]
    assert len(used) == len(fitted_on[0]) == 3
    left = Probes(split_contents(contents)[0])  # in their order, which sets the noise of each
    assert len(left) == 2
    assert not any(torch.equal(contents[k], image) for k in used for image in left.images)
    assert torch.equal(style.pictures["content"], left.images[0])
    new = with_styles(base, [style], ())
    measured = left.measure(restyle_probes(new, new.codes[-1], left), style_targets(painting))
    assert style.style_transfer_ratio["fit"] == pytest.approx(measured[0], abs=1e-4)
    with pytest.raises(ValueError, match="contents must be at least 2 images, but are 1"):
        learn_style(base, painting, "x", contents=contents[:1])
    with pytest.raises(ValueError, match=r"one image of \(3, 128, 128\), but are \(2, 3, 64, 64\)"):
        fit_style(base, painting, contents=torch.rand(2, 3, 64, 64))


@pytest.mark.parametrize(("count", "measured"), [(2, 1), (15, 7), (16, 8), (32, 8)])
def test_contents_are_measured_or_fitted_on_whatever_their_order(count, measured):
    contents = torch.arange(count, dtype=torch.float32)[:, None, None, None]
    parts = split_contents(contents)
    assert [len(part) for part in parts] == [measured, count - measured]
    assert torch.equal(torch.cat(parts).sort(0).values, contents)
    if count > 2:  # neither half, nor every second one
        assert all(0 < (part % 2).mean() < 1 for part in parts)
        assert all(0 < (part < count / 2).float().mean() < 1 for part in parts)
    assert all(map(torch.equal, parts, split_contents(contents)))


@pytest.mark.usefixtures("mastered")
def test_what_an_untrained_network_does_not_master_is_left_to_gatys(pack, painting):
    style = learn_style(pack, painting, "hard", steps=3)
    assert style.method == "gatys"
    assert with_styles(pack, [style], ["mine"]).tags[-1] == ("mine", "gatys")


@pytest.mark.usefixtures("mastered")
def test_a_fit_that_makes_it_worse_is_taken_if_asked_for_alone(base, painting, monkeypatch):
    worse = base.codes[0] + 50 * base.codes.std(0)
    residual = torch.zeros(sum(layer.out_features for layer in style_layers(base)))
    monkeypatch.setattr(
        "styleaug.styles.learn.fit_style", lambda *args, **kwargs: (worse, residual)
    )
    encoded = encode(base, painting[None])[0]
    style = learn_style(base, painting, "x")
    assert style.objective["fit"] > style.objective["encode"]
    assert style.method != "fit"
    assert torch.equal(style.code, encoded)
    assert style.style_residual is None
    asked = learn_style(base, painting, "x", method="fit")
    assert asked.method == "fit"
    assert torch.equal(asked.code, worse)
    assert torch.equal(asked.style_residual, residual)


def test_a_name_that_is_taken_is_refused_before_anything_takes_time(base, painting):
    with pytest.raises(ValueError, match="names that are free, but metal exist"):
        learn_style(base, painting, "metal")


# ---------------------------------------------------------------- packs


def style_of(pack, name: str, method: str = "encode") -> NewStyle:
    code = pack.codes[0] + torch.rand(pack.codes.shape[1])
    return NewStyle(name, method, code)


def test_old_rows_stay_bit_for_bit(pack, tmp_path):
    styles = [style_of(pack, "a"), style_of(pack, "b", "gatys")]
    new = with_styles(pack, styles, ["line7", "added"])
    new.save(tmp_path / "new.safetensors")
    new = StylePack.load(tmp_path / "new.safetensors")
    assert torch.equal(new.codes[: len(pack)], pack.codes)
    assert torch.equal(new.codes[len(pack) :], torch.stack([s.code for s in styles]))
    assert new.names == (*pack.names, "a", "b")
    assert new.rows("line7") == [len(pack), len(pack) + 1]
    assert new.rows("gatys") == [len(pack) + 1]
    assert new.info["added"]["b"]["method"] == "gatys"
    again = with_styles(new, [style_of(pack, "c")], ["x"])
    assert set(again.info["added"]) == {"a", "b", "c"}

    def restyled(source):
        params = RestyleParams.of(source.code(pack.names[2])[None])
        return Restyle(pack=source).apply(pictures(1, 3, 32, 32, dtype=torch.float32), params)

    assert torch.equal(restyled(pack), restyled(new))


def test_a_fitted_row_stands_alone_and_mixes_with_others(pack, tmp_path):
    """Its scales, shifts and matrices come with its share of a mixture, and with nothing else."""
    count = sum(layer.out_features for layer in style_layers(pack))
    residual = 0.3 * torch.randn(count, generator=torch.Generator().manual_seed(0))
    fitted = replace(style_of(pack, "fitted", "fit"), style_residual=residual)
    plain = replace(fitted, name="plain", style_residual=None)
    new = with_styles(pack, [plain, fitted, style_of(pack, "more")], ())
    new.save(tmp_path / "new.safetensors")
    new = StylePack.load(tmp_path / "new.safetensors")
    assert new.config.style_residuals == 1
    assert torch.equal(new.codes[: len(pack), :-1], pack.codes)
    assert new.codes[:, -1].tolist() == [0] * len(pack) + [0, 1, 0]
    images = pictures(2, 3, 32, 32, dtype=torch.float32)

    def restyled(source, code):
        stylizer = stylizer_of(source, CPU, torch.float32)
        return stylizer.net(images, code.expand(2, -1), torch.zeros(2, 1, 32, 32))

    for row in range(len(pack)):
        assert torch.equal(restyled(new, new.codes[row]), restyled(pack, pack.codes[row]))
    ends = [restyled(new, new.code(name)) for name in ("plain", "fitted")]
    assert (ends[1] - ends[0]).abs().mean() > 0.02
    half = new.code({"plain": 1, "fitted": 1})
    first = next(iter(style_layers(new)))
    style = torch.cat([half[: TINY.embedding], half[-1:]])[None]
    values = residual[: first.out_features].half().float() / 2
    torch.testing.assert_close(first(style) - first(style * (torch.arange(9) < 8)), values[None])
    assert encode(new, images).shape == (2, TINY.code_size + 1)
    for stage in (Restyle(["fitted", "random"], pack=new, jitter=0.5), Restyle("batch", pack=new)):
        assert stage(images).isfinite().all()


@pytest.mark.parametrize("name", ["random-0", "random", "all", "batch"])
def test_names_that_are_taken_are_refused(pack, name):
    with pytest.raises(ValueError, match=f"names that are free, but {name} exist"):
        with_styles(pack, [style_of(pack, name)], ["x"])


def test_near_duplicates_collapse(base):
    codes = base.codes[[3, 500, 3, 900]].clone()
    codes[2] += 0.001
    assert find_distinct(base, codes) == [0, 1, 3]
    one = StylePack.random(base.config, rows=1)
    assert find_distinct(one, one.codes.repeat(2, 1)) == [0]


# ---------------------------------------------------------------- the command


@pytest.fixture
def line(tmp_path):
    folder = tmp_path / "line"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(3):
        pixels = rng.integers(0, 60 * (k + 2), (40, 50), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    Image.fromarray(pixels).save(folder / "copy.png")
    return folder


def add(pack_file, *more: str) -> int:
    return main(["add-style", *more, "--pack", str(pack_file), "--device", "cpu"])


@pytest.mark.usefixtures("quick")
def test_a_folder_becomes_rows_with_its_tag(pack, pack_file, line, tmp_path, capsys):
    out = tmp_path / "new.safetensors"
    assert add(pack_file, str(line), "--name", "line7", "--out", str(out)) == 0
    new = StylePack.load(out)
    assert len(new.rows("line7")) == 3
    assert torch.equal(new.codes[: len(pack)], pack.codes)
    assert "1 near-duplicates left out" in capsys.readouterr().out
    report = json.loads(out.with_suffix(".report.json").read_text())
    assert report["pack"] == new.id
    assert [style["method"] for style in report["styles"]] == ["encode"] * 3
    assert [bool(style["style_transfer_ratio"]) for style in report["styles"]] == [
        True,
        False,
        False,
    ]
    with Image.open(out.with_suffix(".report.png")) as sheet:
        assert sheet.width > sheet.height
    images = pictures(2, 3, 32, 32)
    styled = Restyle("line7", pack=str(out), jitter=0.5)(images)
    assert (styled != images).any()


@pytest.mark.parametrize(("limit", "kept"), [(4, 4), (2, 2), (9, 4)])
def test_a_limit_takes_pictures_evenly(line, limit, kept):
    files = spread(list_images([line]), limit)
    assert len(files) == kept
    assert files == [line / f"{name}.png" for name in ("0", "1", "2", "copy")][:: 4 // kept]


@pytest.mark.usefixtures("quick")
def test_one_picture_is_measured_and_named(pack_file, line, tmp_path, capsys):
    out = tmp_path / "new.safetensors"
    arguments = [str(line / "0.png"), "--name", "enamel", "--out", str(out), "--steps", "2"]
    assert add(pack_file, *arguments) == 0
    assert StylePack.load(out).names[-1] == "enamel"
    shown = capsys.readouterr().out
    method = json.loads(out.with_suffix(".report.json").read_text())["styles"][0]["method"]
    assert f"enamel: {method}" in shown
    assert ("styleaug gatys IMAGES --reference" in shown) == (method == "gatys")


@pytest.mark.usefixtures("quick")
def test_the_command_takes_contents(pack_file, line, tmp_path, monkeypatch):
    seen = []
    learn = rows.learn_style

    def spy(*args, contents, **kwargs):
        seen.append(contents)
        return learn(*args, contents=contents, **kwargs)

    monkeypatch.setattr(rows, "learn_style", spy)
    arguments = [str(line / "0.png"), "--name", "x", "--out", str(tmp_path / "new.safetensors")]
    more = ["--method", "encode", "--content", str(line), str(line / "1.png")]
    assert add(pack_file, *arguments, *more) == 0
    assert seen[0].shape == (5, 3, 128, 128)
    assert 0 < seen[0].max() <= 1


@pytest.mark.usefixtures("quick")
def test_the_picture_beside_the_pack_stays(pack_file, line):
    picture = line / "0.png"
    before = picture.read_bytes()
    out = str(line / "0.safetensors")
    assert add(pack_file, str(picture), "--name", "x", "--out", out, "--method", "encode") == 0
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--name", "random-0"], "names that are free"),
        (["--name", "x", "--out", "x.pt"], "must end in .safetensors"),
    ],
)
def test_the_command_refuses_in_one_sentence(pack_file, line, tmp_path, capsys, more, message):
    out = tmp_path / "new.safetensors"
    assert add(pack_file, str(line), "--out", str(out), *more) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("option", ["--limit", "--steps"])
def test_the_command_wants_numbers_of_at_least_one(pack_file, line, tmp_path, capsys, option):
    with pytest.raises(SystemExit) as stop:
        add(pack_file, str(line), "--out", str(tmp_path / "n.safetensors"), option, "0")
    assert stop.value.code == 2
    assert f"{option}: must be a whole number from 1" in capsys.readouterr().err


def test_the_old_pack_is_never_overwritten(pack_file, line, capsys):
    before = pack_file.read_bytes()
    assert add(pack_file, str(line), "--name", "x", "--out", str(pack_file)) == 2
    assert "must be a new file" in capsys.readouterr().err
    assert pack_file.read_bytes() == before


def test_a_killed_run_leaves_the_old_pack(pack_file, line, tmp_path, monkeypatch):
    """Killed at the worst moment: when the new pack is about to take the old one's place."""
    out = tmp_path / "new.safetensors"
    StylePack.load(pack_file).save(out)
    old = StylePack.load(out).id
    arguments = ["add-style", str(line), "--name", "x", "--pack", str(pack_file), "--out", str(out)]
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from styleaug.cli import main\n"
        "from styleaug.styles import NewStyle, rows\n"
        "rows.learn_style = lambda pack, _, name, **options: NewStyle(name, 'fit', pack.codes[1])\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "main(sys.argv[1:])\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert StylePack.load(out).id == old
    found = NewStyle("x", "fit", StylePack.load(pack_file).codes[1])
    monkeypatch.setattr(rows, "learn_style", lambda *_, **__: found)
    assert main(arguments) == 0
    assert StylePack.load(out).id != old
    truncated = tmp_path / "half.safetensors"
    truncated.write_bytes(out.read_bytes()[:1000])
    with pytest.raises(WeightsError):
        StylePack.load(truncated)
