"""Optimisation of pixels: the objective and its gradient, the optimisers, inputs of every kind."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import DTYPES, pictures
from styleaug.cli import main
from styleaug.files import digest_file
from styleaug.gatys import GatysConfig, gatys
from styleaug.gatys.descent import APPROACH, NonFiniteObjective, descend
from styleaug.gatys.objective import ChunkedObjective, Objective, style_grams
from styleaug.gatys.optimizers import Adam, Lbfgs
from styleaug.gatys.restyle import _list_sizes
from styleaug.images.color import luma
from styleaug.manifest import LINES, TABLE, Manifest
from styleaug.nn.features import cached_features

CPU = torch.device("cpu")
EXACT = {"precision": "fp32"}


def stripes(size: int = 48) -> torch.Tensor:
    rows = 0.2 + 0.6 * (torch.arange(size) // 4 % 2).float()
    return torch.stack([rows, 0.5 * rows, 1 - rows])[..., None].expand(3, size, size).contiguous()


def smooth(height: int, width: int, *, count: int = 1, seed: int = 0) -> torch.Tensor:
    coarse = pictures(count, 3, height // 16, width // 16, dtype=torch.float32, seed=seed)
    size = (height, width)
    return torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)


def make_objective(content, *, mask=None, **settings):
    config = GatysConfig(**settings)
    trunk = cached_features("vgg16", CPU, torch.float32)
    shares = torch.ones(len(content), 1)
    grams = style_grams([stripes()[None]], shares, min(content.shape[-2:]), "vgg16", config.tile)
    return Objective(trunk, content, grams, mask, config)


# ---------------------------------------------------------------- what comes out


def test_style_comes_closer_and_content_stays():
    content = smooth(64, 64)
    found = gatys(content, [stripes()], GatysConfig(steps=40))
    start = make_objective(content).parts(content)[0]
    assert found.style.item() < 0.05 * start[0]
    assert found.objective.item() == pytest.approx(
        (found.style + found.content + found.smooth).item()
    )
    far = make_objective(content).parts(stripes(64)[None])[0]
    assert found.content.item() < far[1]


def test_more_strength_is_nearer_to_the_style():
    content = smooth(48, 48)
    weak, strong = (gatys(content, [stripes()], GatysConfig(strength=s)) for s in (0.1, 0.9))
    assert strong.content > 1.2 * weak.content
    assert GatysConfig(strength=0.5).style_weight == pytest.approx(1e5)
    assert GatysConfig(strength=1).style_weight == pytest.approx(1e6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_type_and_size_stay_and_inputs_are_not_changed(dtype):
    content, style = pictures(2, 3, 33, 20, dtype=dtype), pictures(1, 24, 40, dtype=dtype)
    before = content.clone(), style.clone()
    images = gatys(content, [style], GatysConfig(steps=3)).images
    assert (images.dtype, images.shape) == (content.dtype, content.shape)
    assert torch.equal(content, before[0])
    assert torch.equal(style, before[1])
    assert (images != content).any()


@pytest.mark.parametrize(
    "content",
    [
        torch.zeros(1, 3, 40, 40),
        torch.ones(1, 3, 40, 40),
        torch.full((1, 1, 40, 40), 0.5),
        pictures(1, 3, 32, 32, dtype=torch.float32),
        pictures(1, 3, 5, 9, dtype=torch.float32),
        pictures(1, 1, 18, 500, dtype=torch.float32),
    ],
    ids=["black", "white", "flat", "tiny", "tinier", "wide"],
)
@pytest.mark.parametrize("style", ["stripes", "black"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_extreme_images_stay_finite_and_in_range(content, style, optimizer):
    picture = stripes() if style == "stripes" else torch.zeros(3, 30, 30)
    found = gatys(content, [picture], GatysConfig(steps=12, optimizer=optimizer))
    assert found.images.isfinite().all()
    assert found.objective.isfinite().all()
    assert found.images.min() >= 0
    assert found.images.max() <= 1


def test_gray_images_stay_gray_and_a_gray_style_will_do():
    found = gatys(pictures(1, 1, 32, 32), [pictures(1, 40, 40)], GatysConfig(steps=5))
    assert found.images.shape == (1, 1, 32, 32)


def test_preserve_color_changes_light_and_dark_alone():
    content = smooth(48, 48) * 0.5 + 0.25
    config = GatysConfig(steps=15, preserve_color=True, strength=0.3)
    images = gatys(content, [stripes()], config).images
    inside = ((images > 0) & (images < 1)).all(1, keepdim=True).expand_as(images)
    chroma, before = images - luma(images), content - luma(content)
    assert torch.allclose(chroma[inside], before[inside], atol=1e-5)
    assert (images - content).abs().mean() > 0.01


def test_a_mask_keeps_what_is_outside_bit_for_bit():
    content = pictures(2, 3, 48, 48)
    mask = torch.zeros(2, 1, 48, 48)
    mask[0, :, :20], mask[1, :, :, 30:] = 1, 1
    images = gatys(content, [stripes()], GatysConfig(steps=6), mask=mask).images
    outside = (mask == 0).expand_as(content)
    assert torch.equal(images[outside], content[outside])
    for k in range(2):
        assert (images[k] != content[k])[mask[k].expand(3, -1, -1) > 0].float().mean() > 0.5


def test_a_masked_style_is_measured_inside_alone():
    content = smooth(64, 64)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    content[..., :32] = stripes(64)[..., :32]
    inside, whole = (make_objective(content, mask=m).parts(content)[0, 0] for m in (mask, None))
    assert inside < 0.5 * whole


def test_styles_mix_by_weight_each_image_its_own():
    content = smooth(32, 32, count=2)
    styles = [stripes(), torch.full((3, 32, 32), 0.9)]
    found = gatys(content, styles, GatysConfig(steps=15), weights=torch.eye(2)).images
    for k, style in enumerate(styles):
        alone = gatys(content[k : k + 1], [style], GatysConfig(steps=15)).images
        assert (found[k] - alone[0]).abs().mean() < 0.03
    even = style_grams([s[None] for s in styles], torch.tensor([[0.5, 0.5]]), 32, "vgg16", 1024)
    each = style_grams([s[None] for s in styles], torch.eye(2), 32, "vgg16", 1024)
    for mixed, (first, second) in zip(even, each, strict=True):
        assert torch.allclose(mixed[0], (first + second) / 2)


def test_a_batch_gives_what_its_images_give_alone():
    content, config = smooth(32, 48, count=3), GatysConfig(steps=9, **EXACT)
    together = gatys(content, [stripes()], config)
    for k in range(3):
        alone = gatys(content[k : k + 1], [stripes()], config)
        assert (together.images[k] - alone.images[0]).abs().max() < 0.02
        assert together.objective[k].item() == pytest.approx(alone.objective.item(), rel=0.02)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("pixels", [1, 2 * 32 * 48])
def test_a_batch_in_pieces_gives_what_it_gives_as_a_whole(monkeypatch, pixels, masked):
    monkeypatch.setattr("styleaug.gatys.objective._PIXELS", pixels)
    content, styles = smooth(32, 48, count=3), [stripes()[None], smooth(32, 32)]
    mask = (smooth(32, 48, count=3)[:, :1] > 0.5).float() if masked else None
    trunk = cached_features("vgg16", CPU, torch.float32)
    shares = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]])
    grams = style_grams(styles, shares, 32, "vgg16", 1024)
    whole, pieces = (
        kind(trunk, content, grams, mask, GatysConfig()) for kind in (Objective, ChunkedObjective)
    )
    assert [len(piece.tiles) for piece in pieces.pieces] == [1] * (3 if pixels == 1 else 2)
    x = content.flip(-1)
    parts, gradient = whole(x)
    again, slope = pieces(x)
    assert torch.allclose(again, parts, rtol=1e-3)
    assert torch.allclose(slope, gradient, rtol=1e-2, atol=1e-3 * gradient.abs().max())
    assert torch.allclose(pieces.parts(x), parts, rtol=1e-3)


def exaggerated(factor, *dtypes):
    """``cached_features`` whose trunks of some dtypes give features that are too large."""

    def load(features, device, dtype):
        trunk = cached_features(features, device, dtype)
        if dtype in dtypes:
            trunk = deepcopy(trunk)
            trunk.conv1_1.weight.mul_(factor)
        return trunk

    return load


@pytest.mark.parametrize("variant", ["fast", "textbook"])
def test_an_objective_that_is_not_finite_is_an_error_and_no_restyling(monkeypatch, variant):
    """It used to give the content back, as if that were the best that could be found."""
    huge = exaggerated(1e30, torch.float32)
    monkeypatch.setattr("styleaug.gatys.restyle.cached_features", huge)
    config = GatysConfig(steps=3, variant=variant, **EXACT)
    with pytest.raises(NonFiniteObjective, match=r"must be finite, but is not for images \[0, 1\]"):
        gatys(smooth(32, 32, count=2), [stripes()], config)


def test_what_half_precision_cannot_hold_is_done_again_in_float32(monkeypatch, caplog):
    content = smooth(32, 32)
    wanted = gatys(content, [stripes()], GatysConfig(steps=8, **EXACT))
    huge = exaggerated(1e4, torch.float16)
    monkeypatch.setattr("styleaug.gatys.restyle.cached_features", huge)
    found = gatys(content, [stripes()], GatysConfig(steps=8, precision="fp16"))
    assert torch.allclose(found.images, wanted.images)
    assert "starting again in float32" in caplog.text


def test_one_image_without_a_finite_objective_stops_its_batch():
    """Adam cannot take a step back; L-BFGS can, so that later it is no error."""
    start = torch.full((2, 3, 4, 4), 0.5)

    def look_from(step):
        count = iter(range(100))

        def look(x):
            value = x.mean((1, 2, 3))[:, None].clone()
            if next(count) >= step:
                value[1] = torch.nan
            return value, torch.ones_like(x) / 48

        return look

    with pytest.raises(NonFiniteObjective, match=r"images \[1\]"):
        descend(look_from(0), start, 12)
    (best, *_), _ = descend(look_from(APPROACH + 1), start, 12)
    assert (best < start).all()


def test_large_images_are_worked_on_small_and_keep_their_detail():
    content = (smooth(160, 160) + 0.1 * pictures(1, 3, 160, 160, dtype=torch.float32)).clamp(0, 1)
    seen = []
    config = GatysConfig(steps=4, working_size=40)
    found = gatys(content, [stripes()], config, progress=seen.append)
    assert {now.size for now in seen} == {(40, 40)}
    change = found.images - content
    assert 0 < (change[..., 1:] - change[..., :-1]).abs().mean() < 0.03


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
def test_every_precision_descends(precision):
    content = smooth(32, 32)
    start = make_objective(content).parts(content).sum()
    found = gatys(content, [stripes()], GatysConfig(steps=10, precision=precision))
    assert found.objective.item() < 0.3 * start


def test_float16_gradients_do_not_underflow():
    content, image = smooth(32, 32), pictures(1, 3, 32, 32, dtype=torch.float32)
    _, wanted = make_objective(content, strength=0)(image)
    objective = make_objective(content, strength=0)
    objective.trunk = cached_features("vgg16", CPU, torch.float16)
    _, found = objective(image)
    assert (found - wanted).norm() < 0.1 * wanted.norm()


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off(guard):
    content, config = smooth(32, 32), GatysConfig(steps=3, **EXACT)
    wanted = gatys(content, [stripes()], config).images
    with guard():
        assert torch.allclose(gatys(content, [stripes()], config).images, wanted, atol=1e-4)


def test_fast_beats_the_textbook_in_a_tenth_of_its_steps():
    content = smooth(32, 32)
    textbook = gatys(content, [stripes()], GatysConfig(variant="textbook", steps=200))
    fast = gatys(content, [stripes()], GatysConfig(steps=20, **EXACT))
    assert fast.objective.item() < textbook.objective.item()
    assert textbook.steps == 200


# ---------------------------------------------------------------- progress


def test_progress_tells_scales_from_coarse_to_fine_and_falls():
    seen = []
    gatys(smooth(192, 208), [stripes()], GatysConfig(steps=12), progress=seen.append)
    assert list(dict.fromkeys((now.size, now.scale, now.scales) for now in seen)) == [
        ((96, 104), 1, 2),
        ((192, 208), 2, 2),
    ]
    assert [now.step for now in seen] == [*range(1, 13)] * 2
    assert all(now.steps == 12 for now in seen)
    assert seen[11].objective < 0.5 * seen[0].objective
    assert seen[12].objective < 0.5 * seen[0].objective  # starts from the coarse scale's outcome


def test_it_stops_when_nothing_more_is_gained():
    content = stripes(32)[None]
    assert gatys(content, [stripes(32)], GatysConfig(tv=0)).steps < 30
    _, steps = descend(lambda x: (x.new_zeros(1, 1), torch.zeros_like(x)), content, 60)
    assert steps < 30  # nor where nothing is left at all


# ---------------------------------------------------------------- objective and optimisers


def test_the_gradient_is_that_of_the_objective():
    content, image = smooth(48, 32), pictures(1, 3, 48, 32, dtype=torch.float32)
    objective = make_objective(content, tv=1.0)
    parts, gradient = objective(image)
    assert torch.allclose(parts, objective.parts(image), rtol=1e-4)
    step = 1e-3 * gradient / gradient.abs().amax()
    rise = objective.parts(image + step).sum() - objective.parts(image - step).sum()
    assert rise.item() == pytest.approx(2 * (gradient * step).sum().item(), rel=0.02)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [(112, 240), (133, 150)])
def test_tiles_change_nothing(size, masked):
    content, image = smooth(*size, count=2), pictures(2, 3, *size, dtype=torch.float32)
    mask = (pictures(2, 1, *size, dtype=torch.float32) > 0.4).float() if masked else None
    whole, tiled = (make_objective(content, mask=mask, tile=side) for side in (1024, 128))
    assert len(tiled.tiles) > 1
    (parts, gradient), (tiled_parts, tiled_gradient) = whole(image), tiled(image)
    assert torch.allclose(parts, tiled_parts, rtol=1e-3)
    assert torch.allclose(parts, tiled.parts(image), rtol=1e-3)
    assert (gradient - tiled_gradient).norm() < 1e-3 * gradient.norm()


def test_tiles_change_no_style():
    picture, shares = smooth(160, 400), torch.ones(1, 1)
    for whole, tiled in zip(
        *(style_grams([picture], shares, 160, "vgg16", side) for side in (1024, 128)), strict=True
    ):
        assert torch.allclose(whole, tiled, rtol=1e-3, atol=1e-6)


def quadratic():
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1.0, 10.0, 0.1]).view(-1, 1, 1, 1)
    curvature = torch.logspace(-2, 0, 48).view(1, 3, 4, 4) * scale
    goal = 0.1 + 0.8 * torch.rand(3, 3, 4, 4, generator=generator)
    return curvature, goal


def minimise(optimizer, curvature, goal, steps: int):
    x = torch.zeros_like(goal)
    values = []
    for _ in range(steps):
        value = (0.5 * curvature * (x - goal).square()).sum((1, 2, 3))
        values.append(value)
        x = optimizer.step(x, value, curvature * (x - goal)).clamp(0, 1)
    return x, torch.stack(values)


def test_lbfgs_minimises_badly_scaled_quadratics():
    curvature, goal = quadratic()
    _, values = minimise(Lbfgs(), curvature, goal, 60)
    _, others = minimise(Adam(0.06, 0.9, 0.99), curvature, goal, 60)
    assert (values[-1] < 1e-4 * values[0]).all()
    assert (values[-1] < 0.1 * others[-1]).all()


def test_lbfgs_takes_each_image_for_itself():
    curvature, goal = quadratic()
    together, _ = minimise(Lbfgs(), curvature, goal, 12)
    for k in range(3):
        alone, _ = minimise(Lbfgs(), curvature[k : k + 1], goal[k : k + 1], 12)
        assert torch.allclose(together[k], alone[0], atol=1e-4)


def test_lbfgs_finds_goals_out_of_bounds_at_the_bounds():
    curvature, goal = quadratic()
    goal = 2 * goal - 0.5
    found, _ = minimise(Lbfgs(), curvature, goal, 80)
    assert (found - goal.clamp(0, 1)).abs().max() < 0.02


def test_lbfgs_takes_back_what_does_not_descend_or_is_not_finite():
    x = torch.full((2, 3, 4, 4), 0.5)
    optimizer = Lbfgs()
    slope = torch.ones_like(x)
    first = optimizer.step(x, torch.tensor([1.0, 1.0]), slope)
    nan = torch.stack([slope[0], torch.full_like(slope[1], torch.nan)])
    second = optimizer.step(first, torch.tensor([0.9, torch.nan]), nan)
    assert (second[0] < first[0]).all()
    assert (second[1] > first[1]).all()
    assert (second[1] < x[1]).all()
    third = optimizer.step(second, torch.tensor([5.0, 0.8]), slope)
    assert ((third[0] < first[0]) & (third[0] > second[0])).all()


def test_adam_is_that_of_torch():
    curvature, goal = quadratic()
    parameter = torch.zeros_like(goal).requires_grad_()
    theirs = torch.optim.Adam([parameter], lr=0.003, betas=(0.9, 0.999))
    for _ in range(20):
        parameter.grad = curvature * (parameter.detach() - goal)
        theirs.step()
    ours, _ = minimise(Adam(0.003, 0.9, 0.999), curvature, goal, 20)
    assert torch.allclose(ours, parameter.detach().clamp(0, 1), atol=1e-5)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strength": 1.1}, "strength must be a number in"),
        ({"variant": "quick"}, "variant must be one of fast, textbook"),
        ({"optimizer": "sgd"}, "optimizer must be one of lbfgs, adam"),
        ({"precision": "int8"}, "precision must be one of auto, bf16"),
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"content_layers": ("conv9_1",)}, "content_layers must name layers of vgg16"),
        ({"content_layers": ()}, "content_layers must name"),
        ({"features": "resnet"}, "features must be one of"),
        ({"tile": 200}, "tile must be a multiple of 16"),
        ({"tile": 64}, "tile must be a whole number of at least 128"),
        ({"tv": -1}, "tv must be a number of at least 0"),
        ({"working_size": 8}, "working_size must be a whole number of at least 32"),
    ],
)
def test_config_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        GatysConfig(**settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": torch.rand(3, 32, 32)}, "content must be a batch"),
        ({"content": torch.rand(0, 3, 32, 32)}, "content must be a batch"),
        ({"content": torch.full((1, 3, 32, 32), torch.nan)}, "content must hold finite"),
        ({"styles": []}, "styles must hold at least one"),
        ({"styles": [torch.rand(1, 3, 32, 32)]}, r"style picture must be \(C, h, w\)"),
        ({"styles": [torch.rand(2, 32, 32)]}, "a style picture must have 1 or 3 channels"),
        ({"weights": [1, 2]}, "weights must be"),
        ({"weights": [-1.0]}, "weights must be finite, not negative"),
        ({"weights": [0.0]}, "weights must be finite, not negative"),
        ({"mask": torch.ones(1, 32, 32)}, "mask must be"),
    ],
)
def test_gatys_refuses(change, message):
    arguments = {"content": torch.rand(1, 3, 32, 32), "styles": [stripes()], **change}
    with pytest.raises(ValueError, match=message):
        gatys(arguments.pop("content"), arguments.pop("styles"), **arguments)


# ---------------------------------------------------------------- the command


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, size in {"a.png": (24, 32), "b.png": (24, 32), "sub/c.jpg": (20, 40, 3)}.items():
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(folder / name)
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(tmp_path / "style.png")
    return folder


def command(photos, out, *more: str) -> list[str]:
    style = str(photos.parent / "style.png")
    fixed = ["--reference", style, "--out", str(out), "--device", "cpu"]
    return ["gatys", str(photos), *fixed, *(more or ("--steps", "2"))]


def test_the_command_mirrors_a_folder(photos, tmp_path):
    out = tmp_path / "out"
    assert main(command(photos, out)) == 0
    for path in photos.rglob("*.*"):
        with Image.open(path) as before, Image.open(out / path.relative_to(photos)) as after:
            assert (before.size, before.mode) == (after.size, after.mode)
            assert (np.asarray(before) != np.asarray(after)).any()
    entries = Manifest(out).entries
    assert set(entries) == {"a.png", "b.png", "sub/c.jpg"}
    assert entries["a.png"].settings["steps"] == 2
    assert entries["a.png"].settings["reference"] == [digest_file(tmp_path / "style.png")]


def test_the_command_keeps_what_is_there_and_minds_other_settings(photos, tmp_path, capsys):
    out = tmp_path / "out"
    main(command(photos, out))
    (out / "a.png").unlink()
    before = (out / "b.png").stat().st_mtime_ns
    assert main(command(photos, out)) == 0
    assert (out / "a.png").is_file()
    assert (out / "b.png").stat().st_mtime_ns == before
    assert main(command(photos, out, "--steps", "3")) == 2
    assert "a.png was made with another steps. Choose another --out" in capsys.readouterr().err
    assert main(command(photos, out, "--steps", "3", "--overwrite")) == 0
    assert (out / "b.png").stat().st_mtime_ns > before


def test_the_command_skips_what_it_cannot_read(photos, tmp_path, capsys):
    (photos / "broken.png").write_bytes(b"\x89PNG nothing")
    assert main(command(photos, tmp_path / "out")) == 1
    assert "3 images in" in capsys.readouterr().out
    assert not (tmp_path / "out" / "broken.png").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--weights", "1", "2"), "--weights must be one number for each"),
        (("--weights", "-1"), "weights must be finite, not negative"),
        (("--strength", "2"), "strength must be a number in"),
    ],
)
def test_the_command_refuses_in_one_sentence(photos, tmp_path, capsys, more, message):
    assert main(command(photos, tmp_path / "out", *more)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_command_wants_batches_of_at_least_one(photos, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(command(photos, tmp_path / "out", "--batch", "0"))
    assert stop.value.code == 2
    assert "--batch: must be a whole number from 1" in capsys.readouterr().err


@pytest.fixture
def scarce(monkeypatch):
    """``scarce(n)``: memory for n images at a time. What has been tried is listed."""
    import styleaug.cli.gatys

    optimise, tried = styleaug.cli.gatys.gatys, []

    def limit(most: int) -> list[int]:
        def short_of_memory(images, *args, **options):
            tried.append(len(images))
            if len(images) > most:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return optimise(images, *args, **options)

        monkeypatch.setattr(styleaug.cli.gatys, "gatys", short_of_memory)
        return tried

    return limit


def test_with_too_little_memory_fewer_images_are_tried_at_a_time(photos, tmp_path, scarce):
    tried = scarce(1)
    assert main(command(photos, tmp_path / "out", "--steps", "1", "--batch", "2")) == 0
    assert tried == [2, 1, 1, 1]
    assert len(Manifest(tmp_path / "out").entries) == 3


def test_what_finds_too_little_memory_alone_is_skipped_and_told(photos, tmp_path, scarce, caplog):
    scarce(0)
    assert main(command(photos, tmp_path / "out", "--steps", "1")) == 1
    assert "a.png: out of memory. Try it alone, with a smaller --working-size" in caplog.text
    assert not (tmp_path / "out").exists()


def test_a_batch_of_which_a_part_is_lost_is_made_again_as_a_whole(photos, tmp_path, scarce):
    """The rounding of a picture depends on how many are made with it."""
    out, tried = tmp_path / "out", scarce(9)
    arguments = command(photos, out, "--steps", "2", "--batch", "2")
    main(arguments)
    made = [*out.rglob("*.png"), *out.rglob("*.jpg"), out / TABLE]
    whole = {path: path.read_bytes() for path in made}
    first, *_ = (out / LINES).read_bytes().splitlines(keepends=True)
    (out / LINES).write_bytes(first)
    for name in ("b.png", "sub/c.jpg"):
        (out / name).unlink()
    del tried[:]
    assert main(arguments) == 0
    assert tried == [2, 1]
    assert {path: path.read_bytes() for path in made} == whole


def test_a_run_in_pieces_gives_the_same_pictures(photos, tmp_path):
    for batch, out in ((1, "one"), (2, "two")):
        main(command(photos, tmp_path / out, "--steps", "3", "--batch", str(batch)))
    a, b = (np.asarray(Image.open(tmp_path / out / "b.png")).astype(int) for out in ("one", "two"))
    assert np.abs(a - b).max() <= 12


def test_of_all_images_met_the_lowest_comes_first():
    values = iter([3.0, 1.0, 2.0, 5.0])
    met = []

    def look(x):
        met.append(x)
        return torch.full((1, 1), next(values)), torch.ones_like(x)

    (best, last, _), steps = descend(look, torch.full((1, 3, 4, 4), 0.5), 4)
    assert steps == 4
    assert torch.equal(best, met[1])
    assert not torch.equal(last, met[3])


def test_what_the_mask_leaves_out_never_moves():
    start, mask = torch.full((1, 3, 4, 4), 0.5), torch.zeros(1, 1, 4, 4)
    mask[..., 2:] = 0.3
    found, _ = descend(lambda x: (x.sum().view(1, 1), torch.ones_like(x)), start, 9, mask=mask)
    for x in found:
        assert torch.equal(x[..., :2], start[..., :2])
    assert (found[0][..., 2:] < 0.4).all()


@pytest.mark.parametrize(("optimizer", "steps"), [("lbfgs", 4), ("adam", 0)])
def test_lbfgs_comes_after_the_approach_unless_adam_is_asked_for(monkeypatch, optimizer, steps):
    taken = []

    class Spy(Lbfgs):
        def step(self, *args):
            taken.append(1)
            return super().step(*args)

    monkeypatch.setattr("styleaug.gatys.descent.Lbfgs", Spy)
    content, style = pictures(1, 3, 32, 32), pictures(3, 32, 32, seed=1)
    gatys(content, [style], GatysConfig(steps=APPROACH + 4, optimizer=optimizer))
    assert len(taken) == steps


def test_scales_halve():
    sizes = _list_sizes(801, 1300)
    assert sizes == [(100, 162), (200, 325), (400, 650), (801, 1300)]
    assert _list_sizes(100, 4000) == [(100, 4000)]
