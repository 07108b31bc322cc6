"""Style packs: one file in and out, refused when damaged, cheap to send, one network a process."""

import copy
import json
import pickle
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import save_file

from helpers import FULL, TINY, pictures, torch_generator_stays
from styleaug import Restyle, StylePack, networks, weights
from styleaug.errors import WeightsError
from styleaug.networks import encode, network_of, stylizer_of
from styleaug.nn.encoder import Stylizer
from styleaug.nn.features import bundled_vgg16, cached_features
from styleaug.weights import digest, load_safetensors, save_safetensors

CPU = torch.device("cpu")


def restyle(pack, seed=0):
    stage = Restyle(pack=pack, **FULL)
    params = stage.draw(2, torch.Generator().manual_seed(seed))
    return stage.apply(pictures(2, 3, 24, 32, dtype=torch.float32), params)


@pytest.fixture
def parts(pack):
    """What a pack file holds: tensors and metadata, to be spoilt."""
    metadata = {
        "kind": "pack",
        "format": 1,
        "config": asdict(TINY),
        "names": list(pack.names),
        "tags": [list(tags) for tags in pack.tags],
        "info": {},
    }
    return {**pack.state, "codes": pack.codes}, metadata


def test_a_pack_is_the_same_before_and_after_saving(pack, pack_file):
    loaded = StylePack.load(pack_file)
    assert (loaded.id, loaded.names, loaded.tags) == (pack.id, pack.names, pack.tags)
    assert loaded.config == pack.config
    assert torch.equal(loaded.codes, pack.codes)
    assert torch.equal(restyle(loaded), restyle(pack))


def test_provenance_is_kept(pack, tmp_path):
    stylizer = stylizer_of(pack, CPU, torch.float32)
    info = {"license": "CC0", "styles": {"wood": ["a", "b"]}, "steps": 10}
    StylePack(stylizer, pack.codes, pack.names, pack.tags, info).save(tmp_path / "x.safetensors")
    assert StylePack.load(tmp_path / "x.safetensors").info == info


def test_paths_may_be_strings(pack, tmp_path):
    pack.save(str(tmp_path / "x.safetensors"))
    assert StylePack.load(str(tmp_path / "x.safetensors")).id == pack.id


def test_info_that_json_cannot_hold_leaves_no_file(pack, tmp_path):
    stylizer = stylizer_of(pack, CPU, torch.float32)
    odd = StylePack(stylizer, pack.codes, pack.names, pack.tags, {"path": tmp_path})
    with pytest.raises(TypeError, match="JSON"):
        odd.save(tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["nosuchpack", "no/such/file.safetensors"])
def test_a_missing_pack_is_named_with_what_there_is(name):
    with pytest.raises(WeightsError, match=rf"pack must be one of .*, or the path.*'{name}'"):
        StylePack.load(name)


@pytest.mark.parametrize("name", ["", "  "])
def test_a_blank_name_is_no_pack(name):
    with pytest.raises(ValueError, match="pack must be a path"):
        StylePack.load(name)


def test_a_new_style_has_a_name(pack):
    with pytest.raises(ValueError, match="is blank"):
        pack.check_new(["new", " "])


def test_an_almost_right_name_gets_a_suggestion(pack):
    with pytest.raises(WeightsError, match=r"Did you mean 'base'\?"):
        StylePack.load("bsae")
    with pytest.raises(ValueError, match=r"'random-3' or .*pack.names lists all") as caught:
        pack.rows("rndom-3")
    assert len(str(caught.value)) < 250  # not a list of all tags


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("what", ["weights", "codes"])
def test_a_pack_of_nan_is_neither_written_nor_read(pack, tmp_path, monkeypatch, value, what):
    """It would turn images black, without a word."""
    broken = copy.deepcopy(pack)
    if what == "codes":
        broken.codes[0, 0] = value
    else:
        next(v for v in broken.state.values() if v.ndim == 4)[0, 0, 0, 0] = value
    path = tmp_path / "nan.safetensors"
    with pytest.raises(WeightsError, match="must hold finite weights"):
        broken.save(path)
    assert not path.exists()
    with monkeypatch.context() as unchecked:
        unchecked.setattr(weights, "_check_finite", lambda *_: None)
        broken.save(path)
    with pytest.raises(WeightsError, match="must hold finite weights, but 1 of its"):
        StylePack.load(path)


def test_damage_is_found(pack_file, tmp_path):
    """In the tensors, the last bytes of the file."""
    content = bytearray(pack_file.read_bytes())
    content[-1] ^= 0x40
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"x\.safetensors is damaged"):
        StylePack.load(tmp_path / "x.safetensors")


@pytest.mark.parametrize("change", [{"kind": "features"}, {"format": 2}, {"kind": None}])
def test_files_of_another_kind_or_format_are_refused(parts, tmp_path, change):
    tensors, metadata = parts
    save_safetensors(tmp_path / "x.safetensors", tensors, {**metadata, **change})
    with pytest.raises(WeightsError, match="must be a style pack of format 1, but is of kind"):
        StylePack.load(tmp_path / "x.safetensors")


def test_the_feature_trunk_is_no_pack():
    with pytest.raises(WeightsError, match="must be a style pack"):
        StylePack.load(bundled_vgg16())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tensors, metadata: metadata.pop("config"),
        lambda tensors, metadata: metadata["config"].update(depth=3),
        lambda tensors, metadata: metadata.update(config=[3]),
        lambda tensors, metadata: metadata["config"].update(arch="unet"),
        lambda tensors, metadata: metadata["config"].update(width=24),
        lambda tensors, metadata: metadata["config"].update(stem="8"),
        lambda tensors, metadata: metadata["names"].pop(),
        lambda tensors, metadata: metadata.update(names=["one"] * len(metadata["names"])),
        lambda tensors, metadata: metadata.update(tags=None),
        lambda tensors, metadata: tensors.pop("codes"),
        lambda tensors, metadata: tensors.update(codes=tensors["codes"][:, 1:].contiguous()),
        lambda tensors, metadata: tensors.pop("net.stem.weight"),
        lambda tensors, metadata: tensors.update(extra=torch.zeros(2)),
    ],
)
def test_a_pack_that_does_not_fit_together_is_refused(parts, tmp_path, spoil):
    tensors, metadata = parts
    metadata = json.loads(json.dumps(metadata))
    spoil(tensors, metadata)
    save_safetensors(tmp_path / "x.safetensors", tensors, metadata)
    with pytest.raises(WeightsError):
        StylePack.load(tmp_path / "x.safetensors")


def test_a_header_of_another_type_is_refused(parts, tmp_path):
    header = {"styleaug": json.dumps({"sha256": digest(parts[0]), "kind": "pack", "format": 1})}
    save_file(parts[0], tmp_path / "x.safetensors", metadata=header)
    with pytest.raises(WeightsError, match="header"):
        StylePack.load(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("codes", "names", "tags"),
    [
        (torch.zeros(2, TINY.code_size), ["a"], [(), ()]),
        (torch.zeros(2, TINY.code_size), ["a", "a"], [(), ()]),
        (torch.zeros(2, TINY.code_size), ["a", "b"], [()]),
        (torch.zeros(0, TINY.code_size), [], []),
        (torch.zeros(2, TINY.code_size + 1), ["a", "b"], [(), ()]),
    ],
)
def test_codes_names_and_tags_must_match(codes, names, tags):
    with torch.random.fork_rng(devices=[]):
        stylizer = Stylizer(TINY)
    with pytest.raises(ValueError, match="A pack needs"):
        StylePack(stylizer, codes, names, tags)


def test_a_pack_of_a_file_pickles_as_its_path(pack_file):
    pack = StylePack.load(pack_file)
    pickled = pickle.dumps(pack)
    assert len(pickled) < 1000
    assert torch.equal(restyle(pickle.loads(pickled)), restyle(pack))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_a_pack_in_memory_can_be_copied(pack, duplicate):
    twin = duplicate(pack)
    assert (twin.id, twin.names, twin.tags) == (pack.id, pack.names, pack.tags)
    assert torch.equal(restyle(twin), restyle(pack))


def test_random_packs_are_the_same_for_a_seed():
    with torch_generator_stays():
        assert StylePack.random(TINY).id == StylePack.random(TINY).id
        assert StylePack.random(TINY).id != StylePack.random(TINY, seed=1).id
    assert len(StylePack.random(TINY, rows=3)) == 3


@pytest.mark.usefixtures("fresh_caches")
def test_loading_and_building_leave_the_callers_generator_alone(pack_file):
    """Else a first call would draw other numbers than a second one."""
    with torch_generator_stays():
        network_of(StylePack.load(pack_file), CPU)


@pytest.mark.usefixtures("fresh_caches")
def test_a_network_is_built_once_and_few_are_kept(monkeypatch, pack, pack_file):
    built = []
    build = networks.build_stylizer
    monkeypatch.setattr(networks, "build_stylizer", lambda *a: built.append(1) or build(*a))
    assert network_of(pack, CPU) is network_of(pack, CPU)
    again = StylePack.load(pack_file)  # builds one to check the file
    built.clear()
    assert network_of(again, CPU) is network_of(pack, CPU)  # known by content, not by object
    assert built == []
    for seed in range(9):
        network_of(StylePack.random(TINY, seed=seed + 1), CPU)
    assert len(networks._stylizers) <= 8


def test_weights_lie_as_the_kernels_want_them(pack):
    """Channels last: losing it costs time, and no test of results would notice."""
    for dtype in (torch.float32, torch.bfloat16):
        conv = stylizer_of(pack, CPU, dtype).net.down
        assert conv.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.usefixtures("fresh_caches")
def test_networks_are_frozen_and_serve_gradients_even_if_built_in_inference_mode(pack):
    with torch.inference_mode(), torch.device("meta"):
        network = stylizer_of(pack, CPU, torch.float32).net
    assert not any(p.requires_grad for p in network.parameters())
    assert not network.training
    images = pictures(1, 3, 16, 16, dtype=torch.float32).requires_grad_()
    network(images, pack.codes[:1]).mean().backward()
    assert images.grad.abs().max() > 0


def test_encoding_takes_uint8_and_float_gray_and_rgb_alike(pack, small_references):
    gray = pictures(2, 1, 40, 48)
    code = encode(pack, gray)
    assert code.shape == (2, TINY.code_size)
    assert code.dtype == torch.float32
    torch.testing.assert_close(encode(pack, gray.float() / 255), code)
    torch.testing.assert_close(encode(pack, gray.expand(2, 3, 40, 48)), code, atol=1e-4, rtol=0)
    assert (code[0] - code[1]).abs().max() > 1e-4  # one code an image


@pytest.mark.parametrize("size", [(16, 16), (33, 16), (16, 3000), (200, 200)])
def test_references_of_any_shape_give_codes(pack, size, small_references):
    """A line scan is as long as it likes; its middle is looked at, so memory stays bounded."""
    code = encode(pack, pictures(1, 3, *size))
    assert code.shape == (1, TINY.code_size)
    assert code.isfinite().all()


def test_packs_that_differ_in_the_floor_of_their_norms_alone_are_not_taken_for_each_other(pack):
    """No tensor tells the floor, and networks are cached by the id of their pack."""
    stylizer = Stylizer(replace(TINY, floor=1.0))
    stylizer.load_state_dict({name: tensor.float() for name, tensor in pack.state.items()})
    other = StylePack(stylizer, pack.codes, pack.names, pack.tags)
    assert all(torch.equal(other.state[name], tensor) for name, tensor in pack.state.items())
    assert other.id != pack.id


def test_only_the_middle_of_a_long_reference_counts(pack, small_references):
    images = pictures(1, 3, 16, 400, dtype=torch.float32)
    ends = images.clone()
    ends[..., :100] = ends[..., -100:] = 0
    torch.testing.assert_close(encode(pack, ends), encode(pack, images))
    assert not torch.allclose(encode(pack, images.roll(16, -1)), encode(pack, images), atol=1e-4)


@pytest.mark.parametrize("size", [(16, 24), (32, 48), (96, 144), (97, 145)])
def test_references_are_brought_to_one_scale_first(pack, size, small_references):
    """Else the same texture had another style at another resolution."""
    seen = []
    trunk = cached_features("vgg16", CPU, torch.float32)
    hook = trunk.conv1_1.register_forward_pre_hook(lambda _, x: seen.append(tuple(x[0].shape)))
    encode(pack, pictures(1, 3, *size))
    hook.remove()
    assert seen == [(1, 3, 32, 48)]


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (torch.rand(3, 32, 32), ValueError),
        (torch.rand(1, 4, 32, 32), ValueError),
        (torch.rand(1, 3, 0, 32), ValueError),
        (torch.rand(1, 3, 32, 32) * 255, ValueError),
        (torch.zeros(1, 3, 32, 32, dtype=torch.int32), TypeError),
    ],
)
def test_what_is_no_reference_image_is_refused(pack, images, error):
    with pytest.raises(error, match="reference image"):
        encode(pack, images)


@pytest.mark.usefixtures("fresh_caches", "small_references")
def test_codes_are_ordinary_tensors_and_do_not_know_of_autocast(pack):
    """Whoever fits a style starts from a code, and needs gradients."""
    images = pictures(1, 3, 32, 32)
    code = encode(pack, images)
    (code.requires_grad_() ** 2).sum().backward()
    assert code.grad is not None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(encode(pack, images), code.detach())


def test_codes_are_mixed_by_their_weights(pack):
    a, b = pack.codes[:2]
    assert torch.equal(pack.code("random-1"), b)
    mixture = pack.code({"random-0": 3, "random-1": 1, "random-2": 0})
    torch.testing.assert_close(mixture, 0.75 * a + 0.25 * b)
    torch.testing.assert_close(pack.code("random"), pack.codes.mean(0))


@pytest.mark.parametrize("weights", [{}, {"random-0": 0}, {"random-0": 2, "random-1": -1}])
def test_weights_that_make_no_mixture_are_refused(pack, weights):
    with pytest.raises(ValueError, match="weight"):
        pack.code(weights)


def test_unknown_entries_are_refused(pack):
    assert pack.rows() == list(range(len(pack)))
    assert pack.rows(["random-2", "random-0", "random-2"]) == [2, 0]
    assert pack.rows("random") == list(range(len(pack)))
    with pytest.raises(ValueError, match=r"'random-99' is none of them.*Did you mean"):
        pack.rows("random-99")


def test_repr_tells_where_it_comes_from(pack, pack_file):
    assert repr(pack).startswith(f"StylePack('in memory', {len(pack)} styles, id=")
    assert str(pack_file) in repr(StylePack.load(pack_file))


def test_the_file_is_half_the_size_of_float32(pack, pack_file):
    tensors, _ = load_safetensors(pack_file)
    assert {k for k, v in tensors.items() if v.dtype != torch.float16} == {"codes"}


def test_packs_of_fitted_styles_under_their_first_names_are_read(pack, tmp_path):
    """Files once said ``own`` for style residuals, in the config and in names of tensors."""
    layers = stylizer_of(pack, CPU).style_layers().values()
    count = sum(layer.out_features for layer in layers)
    residual = torch.randn(count, generator=torch.Generator().manual_seed(0))
    grown = pack.extended(pack.codes[:1], ["fitted"], [()], style_residuals=[residual])
    grown.save(tmp_path / "new.safetensors")
    tensors, metadata = load_safetensors(tmp_path / "new.safetensors")
    metadata["config"]["own"] = metadata["config"].pop("style_residuals")
    tensors = {name.replace(".style_residuals", ".own"): v for name, v in tensors.items()}
    assert sum(name.endswith(".own") for name in tensors) == len(layers)
    save_safetensors(tmp_path / "old.safetensors", tensors, metadata)
    old = StylePack.load(tmp_path / "old.safetensors")
    assert old.config == grown.config
    assert old.id == grown.id
    assert torch.equal(old.codes, grown.codes)
