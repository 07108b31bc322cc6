"""Packs for other runtimes: what is exported, that it computes the same, and what is refused."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from styleaug import Restyle, StylePack, networks
from styleaug.cli import main
from styleaug.edge import Restyler, white_noise
from styleaug.errors import MissingExtraError, StyleAugError, WeightsError
from styleaug.export import ExportConfig, Exported, export_pack, folder
from styleaug.export.graphs import draw_pictures, parts_of, restyle_inputs
from styleaug.export.prune import prune
from styleaug.nn import noise
from styleaug.nn.stylenet import StyleNetConfig
from styleaug.pack import build_stylizer

pytest.importorskip("onnxruntime")

SMALL = StyleNetConfig(stem=4, width=8, blocks=1, embedding=8)


@pytest.fixture(scope="module")
def small():
    """A random pack whose every layer does something: some begin as zeros."""
    pack = StylePack.random(SMALL, rows=5)
    stylizer = build_stylizer(pack.config, pack.state)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in stylizer.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return StylePack(stylizer, pack.codes, pack.names, pack.tags)


@pytest.fixture(scope="module")
def exported(small, tmp_path_factory):
    """A small pack, exported in all precisions."""
    out = tmp_path_factory.mktemp("export") / "edge"
    made = export_pack(small, ExportConfig(out=out, fp16=True, int8=True))
    return out, made


def rendered(pack, images, row, *, strength=1.0, texture=1.0, seed=0):
    """What the stage makes of a uint8 batch (B, H, W, 3), in float32."""
    stage = Restyle(pack.names[row], strength=strength, texture=texture, mix=0, pack=pack)
    params = replace(stage.draw(len(images)), seed=torch.full((len(images),), seed))
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return stage.apply(batch, params).clamp(0, 1).permute(0, 2, 3, 1).numpy()


def photo(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(count, height, width):
    """Batch of pictures with structure, uint8 (B, H, W, 3)."""
    drawn = draw_pictures(count, max(height, width, 32))[..., :height, :width]
    return (drawn.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()


def test_an_export_holds_networks_codes_and_what_was_measured(exported, small):
    out, made = exported
    told = json.loads((out / "export.json").read_text())
    names = {"restyle", "encoder"}
    assert {(m.part, m.precision) for m in made} == {
        (part, precision) for part in names for precision in ("fp32", "fp16", "int8")
    }
    assert {path.name for path in out.iterdir()} == {
        "export.json",
        "codes.npy",
        *(m.file for m in made),
    }
    assert told["pack"]["id"] == small.id
    assert (told["names"], told["code_size"]) == ([*small.names], SMALL.code_size)
    np.testing.assert_array_equal(np.load(out / "codes.npy"), small.codes.numpy())
    for each in made:
        assert each.bytes == (out / each.file).stat().st_size == told["bytes"][each.file]
        assert each.deviation == told["deviation"][each.file]
    sizes = {(m.part, m.precision): m.bytes for m in made}
    assert sizes["encoder", "int8"] < 0.3 * sizes["encoder", "fp32"]
    assert sizes["encoder", "fp16"] < 0.55 * sizes["encoder", "fp32"]
    assert not list(out.parent.glob(".styleaug*"))  # nothing half-written


@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 70), (16, 16), (7, 90), (1, 1)])
def test_the_edge_computes_what_the_stage_computes(
    exported, small, float32, fresh_caches, height, width
):
    restyler = Restyler(exported[0], precision="fp32")
    images = smooth(2, height, width)
    out = restyler(images, small.names[1], strength=0.8, texture=0.7, seed=5)
    assert (out.shape, out.dtype) == (images.shape, np.uint8)
    if height % 4 == width % 4 == 0:
        wanted = rendered(small, images, 1, strength=0.8, texture=0.7, seed=5)
        assert np.abs(out / 255 - wanted).max() < 1.5 / 255
        exact = restyler(
            images.astype(np.float32) / 255, small.names[1], strength=0.8, texture=0.7, seed=5
        )
        np.testing.assert_allclose(exact, wanted, atol=1e-4)


def test_strength_0_gives_the_image_back(exported):
    restyler = Restyler(exported[0])
    for images in (photo(20, 30), photo(20, 30, 3), photo(2, 9, 5, 3) / np.float32(255)):
        out = restyler(images, "random", strength=0)
        np.testing.assert_array_equal(out, images)
        assert out is not images
    texture = np.abs(
        restyler(smooth(1, 64, 64), "random-0", texture=0).astype(int) - smooth(1, 64, 64)
    )
    assert texture.mean() > 2  # colour and tone change all the same


def test_images_come_out_as_they_went_in(exported):
    restyler = Restyler(exported[0], precision="fp32")
    one, batch = smooth(1, 40, 56)[0], smooth(3, 40, 56)
    before = batch.copy()
    many = restyler(batch, "random-2", seed=1)
    np.testing.assert_array_equal(batch, before)
    first = restyler(batch[0], "random-2", seed=1)
    assert np.abs(first.astype(int) - many[0]).max() <= 1
    gray = restyler(one[:, :, 0], "random-2")
    assert (gray.shape, gray.dtype) == ((40, 56), np.uint8)
    half = restyler((one / 255).astype(np.float16), "random-2")
    assert half.dtype == np.float16
    assert 0 <= half.min() <= half.max() <= 1
    empty = np.zeros((0, 8, 8, 3), np.uint8)
    assert restyler(empty, "random-2").shape == empty.shape
    assert (
        np.abs(
            restyler(one, "random-2", seed=1).astype(int) - restyler(one, "random-2", seed=2)
        ).max()
        > 0
    )


def test_styles_are_names_tags_mixtures_and_codes(exported, small):
    restyler = Restyler(exported[0])
    np.testing.assert_array_equal(restyler.code("random-3"), small.codes[3].numpy())
    for style in ("random", {"random-0": 1, "random-4": 3}):
        np.testing.assert_allclose(restyler.code(style), small.code(style).numpy(), atol=1e-5)
    own = small.codes[:2].numpy()
    images = smooth(2, 32, 32)
    both = restyler(images, own)
    assert np.abs(both[1].astype(int) - restyler(images[1], "random-1")).max() <= 1
    for wrong, told in [
        ("rnadom-1", "Did you mean 'random-"),
        ({"random-0": -1}, "at least 0"),
        ({"random-0": 0}, "one above"),
        (np.zeros(3, np.float32), "finite numbers"),
        (np.full(SMALL.code_size, np.nan, np.float32), "finite numbers"),
    ]:
        with pytest.raises(ValueError, match=told):
            restyler(images, wrong)


def test_a_picture_becomes_a_style_without_training(exported, small, float32):
    restyler = Restyler(exported[0], precision="fp32")
    picture = smooth(1, 200, 200)[0]
    wanted = networks.encode(small, torch.from_numpy(picture).permute(2, 0, 1)[None])[0].numpy()
    spread = small.codes.std(0, correction=0).numpy() + 1e-2
    assert (np.abs(restyler.encode(picture) - wanted) / spread).mean() < 0.05
    wide = np.concatenate([picture[:, :50], picture, picture[:, :30]], axis=1)[:, 10:]
    assert restyler.encode(wide).shape == wanted.shape
    small_one = Restyler(exported[0], precision="int8").encode(picture)
    assert (np.abs(small_one - wanted) / spread).mean() < 1
    for shape in ((8, 90), (2, 64, 64, 3)):
        with pytest.raises(ValueError, match="at least 16 pixels"):
            restyler.encode(photo(*shape))


@pytest.mark.parametrize(
    ("images", "error", "told"),
    [
        (photo(3, 20, 20), ValueError, "shape"),
        (photo(20), ValueError, "shape"),
        (np.zeros((4, 0, 3), np.uint8), ValueError, "pixels"),
        (np.full((8, 8, 3), 7.0), ValueError, "Divide"),
        (np.full((8, 8, 3), np.nan), ValueError, "range from nan"),
        (np.zeros((8, 8, 3), np.int32), TypeError, "uint8 or floating"),
    ],
)
def test_images_that_are_none_are_refused(exported, images, error, told):
    with pytest.raises(error, match=told):
        Restyler(exported[0])(images, "random-0")


@pytest.mark.parametrize("name", ["strength", "texture", "seed"])
def test_amounts_out_of_bounds_are_refused(exported, name):
    for value in (-0.1, float("nan"), 2.0**40):
        with pytest.raises(ValueError, match=name):
            Restyler(exported[0])(photo(8, 8), "random-0", **{name: value})


def test_noise_is_that_of_the_package():
    for seed, height, width in [(0, 3, 5), (123, 16, 17), (2**31 - 1, 1, 1)]:
        wanted = noise.white_noise(torch.tensor([seed]), 1, height, width)[0, 0].numpy()
        np.testing.assert_allclose(white_noise(seed, height, width), wanted, atol=1e-5)


def test_the_edge_needs_no_torch(exported):
    """Neither at import nor later."""
    script = (
        "import sys; sys.modules['torch'] = None; sys.modules['torchvision'] = None\n"
        "import numpy as np; from styleaug.edge import Restyler\n"
        "image = np.zeros((40, 40, 3), np.uint8)\n"
        "restyler = Restyler(sys.argv[1], threads=1)\n"
        "code = restyler.encode(image)\n"
        "print(restyler(image, code).shape, restyler)"
    )
    command = [sys.executable, "-c", script, str(exported[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "(40, 40, 3)" in done.stdout
    assert "int8" in done.stdout


def test_the_public_names_are_imported_when_asked_for():
    script = (
        "import sys, styleaug\n"
        "assert 'torch' not in sys.modules\n"
        "assert set(styleaug.__all__) <= set(dir(styleaug))\n"
        "assert styleaug.Restyle is styleaug.Restyle\n"
        "try: styleaug.nothing\n"
        "except AttributeError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "module 'styleaug' has no attribute 'nothing'"


def test_what_is_no_export_is_refused(exported, tmp_path):
    with pytest.raises(WeightsError, match="styleaug export"):
        Restyler(tmp_path)
    with pytest.raises(WeightsError, match="precision must be one of fp32, fp16, int8"):
        Restyler(exported[0], precision="int4")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in exported[0].iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "restyle.onnx").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"restyle\.onnx must be a network"):
        Restyler(copy, precision="fp32")
    told = json.loads((copy / "export.json").read_text())
    (copy / "export.json").write_text(json.dumps({**told, "format": 9}))
    with pytest.raises(WeightsError, match="format"):
        Restyler(copy)
    (copy / "export.json").write_text("[]")
    with pytest.raises(WeightsError, match="styleaug export"):
        Restyler(copy)


@pytest.fixture
def copied(exported, monkeypatch):
    """Take networks that are exported already: an exporter takes ten seconds for each."""

    def copy(path):
        path.write_bytes((exported[0] / path.name).read_bytes())

    monkeypatch.setattr(folder, "write_fp32", lambda part, path, metadata: copy(path))
    monkeypatch.setattr(folder, "write_int8", lambda source, path, feeds, kept: copy(path))


def test_a_network_that_deviates_is_not_written(small, exported, tmp_path, copied):
    def session(name):
        return folder._session(exported[0] / name)

    other = StylePack.random(SMALL, rows=5, seed=7)
    with pytest.raises(StyleAugError, match=r"restyle\.onnx of .* deviates"):
        export_pack(other, ExportConfig(out=tmp_path / "edge", int8=True))
    assert list(tmp_path.iterdir()) == []
    encoder = parts_of(other)[1]
    with pytest.raises(StyleAugError, match=r"encoder-int8\.onnx .* deviates"):
        folder.check(other, encoder, "encoder-int8.onnx", session("encoder-int8.onnx"), "int8")
    restyle = parts_of(small)[0]
    with pytest.raises(StyleAugError, match=r"restyle-int8\.onnx .* deviates"):
        folder.check(small, restyle, "restyle-int8.onnx", session("restyle-int8.onnx"), "fp32")


def test_a_missing_package_is_named_with_its_extra(small, tmp_path, monkeypatch, exported):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtraError, match=r"styleaug\[export\]"):
        export_pack(small, ExportConfig(out=tmp_path / "edge"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"styleaug\[edge\]"):
        Restyler(exported[0])


def test_the_command_writes_tells_and_refuses(small, tmp_path, capsys, monkeypatch, copied):
    source, out = tmp_path / "small.safetensors", tmp_path / "edge"
    small.save(source)
    parts = tmp_path / "parts"
    parts.mkdir()
    for k in range(2):
        Image.fromarray(photo(30, 40, 3, seed=k)).save(parts / f"{k}.png")
    # what the encoder costs is tested above
    monkeypatch.setattr(folder, "parts_of", lambda pack: parts_of(pack)[:1])
    command = ["export", str(source), "--out", str(out), "--int8", "--calibrate", str(parts)]
    assert main(command) == 0
    *told, call = capsys.readouterr().out.splitlines()
    assert call.startswith(f"Run it: styleaug.edge.Restyler({str(out)!r})")
    assert [line.split(":")[0] for line in told] == [
        str(out / name) for name in ("restyle.onnx", "restyle-int8.onnx")
    ]
    assert all("PSNR" in line for line in told)
    first = (out / "export.json").read_bytes()
    assert main(command) == 0  # an earlier export is replaced
    assert (out / "export.json").read_bytes() == first
    capsys.readouterr()
    for wrong, told in [
        (["export", str(source), "--out", str(parts)], "holds other files"),
        (["export", str(source), "--out", str(out), "--calibrate", str(parts)], "without --int8"),
        (["export", "nothing", "--out", str(out)], "pack must be one of"),
        ([*command[:-1], str(tmp_path / "none")], "none"),
        ([*command[:3], str(parts / "deep"), *command[4:]], "--out must lie outside"),
    ]:
        assert main(wrong) == 2, wrong
        assert told in capsys.readouterr().err
    assert sorted(p.name for p in parts.iterdir()) == ["0.png", "1.png"]


def test_a_program_for_phones_computes_the_same(small, tmp_path, copied):
    pytest.importorskip("executorch", reason="the extra executorch is not installed")
    out = tmp_path / "edge"
    made = export_pack(small, ExportConfig(out=out, pte=True))
    (program,) = (each for each in made if each.part == "executorch")
    assert program.deviation["psnr"] > 80
    assert (out / "restyle.pte").stat().st_size == program.bytes


def test_the_extra_for_phones_is_named(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "executorch.exir", None)
    with pytest.raises(MissingExtraError, match=r"styleaug\[executorch\]"):
        export_pack(small, ExportConfig(out=tmp_path / "edge", pte=True))


def test_a_pruned_network_learns_to_imitate_the_whole(small):
    images = draw_pictures(8, 128)
    pruned, tuned = (prune(small, 0.5, images, minutes=m) for m in (0, 0.2))
    assert (pruned.config.stem, pruned.config.width) == (4, 4)
    assert (pruned.names, pruned.tags) == (small.names, small.tags)
    feed = restyle_inputs(small, images, seed=0)
    rows = [int((small.codes == code).all(1).nonzero()) for code in feed["code"]]

    def distance(pack):
        with torch.no_grad():
            out = parts_of(pack)[0].graph(*{**feed, "code": pack.codes[rows]}.values())
            return (out - parts_of(small)[0].graph(*feed.values())).abs().mean().item()

    assert distance(tuned) < 0.9 * distance(pruned)
    # encoded pictures and rows mean the same: the convolutions that measure a style stay
    statistics = [
        build_stylizer(pack.config, pack.state).net.statistics(images) for pack in (pruned, tuned)
    ]
    torch.testing.assert_close(*statistics)
    fitted = small.extended(
        small.codes[:1], ["fitted"], [()], style_residuals=[torch.ones(residual_size(small))]
    )
    for pack, share in ((fitted, 0.5), (small, 0.95), (small, -0.1)):
        with pytest.raises(ValueError, match="prune"):
            prune(pack, share, images, minutes=0)


def residual_size(pack):
    layers = build_stylizer(pack.config, pack.state).style_layers().values()
    return sum(layer.out_features for layer in layers)


def test_a_pruned_pack_is_exported(small, tmp_path, monkeypatch):
    written = []

    def note(pack, part, precision, folder, pictures):
        written.append((pack.config.width, part.name))
        return Exported(part.name, precision, "none.onnx", 0, {})

    monkeypatch.setattr(folder, "_make", note)
    config = ExportConfig(out=tmp_path / "edge", prune=0.5, minutes=0.001)
    export_pack(small, config)
    assert written == [(4, "restyle"), (4, "encoder")]
    assert json.loads((tmp_path / "edge" / "export.json").read_text())["pruned"] == 0.5
