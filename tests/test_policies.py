"""Policies: expressions that are built and nothing else, baselines, settings by value."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.v2 import Compose

from helpers import TINY
from styleaug import StyleAugment, StylePack
from styleaug.augment.presets import PRESETS
from styleaug.evaluate.digests import digest_tensors
from styleaug.evaluate.models import LITE, SMALL
from styleaug.evaluate.policies import (
    BASELINES,
    FLIPS,
    OTHERS,
    PerImage,
    PolicyError,
    build_policy,
    describe_policy,
    name_policies,
    paste_policy,
    presets_to_try,
)

BATCH = torch.randint(0, 256, (4, 3, 32, 40), generator=torch.Generator().manual_seed(0)).byte()

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("name", [*BASELINES, "StyleAugment", "both"])
def test_every_policy_keeps_shape_and_type_and_its_input(name, pack_file, seeded):
    if "Reference" in BASELINES.get(name, ""):
        pytest.importorskip("albumentations")
    ours = {"StyleAugment": "StyleAugment()", "both": "AugMix() + StyleAugment('mild')"}
    batch = BATCH.repeat(4, 1, 1, 1)  # so that no policy's draws leave all of them out
    before = batch.clone()
    policy = build_policy({**BASELINES, **ours}[name], pack=str(pack_file), references=BATCH // 2)
    out = policy(batch)
    assert (out.shape, out.dtype) == (batch.shape, torch.uint8)
    assert torch.equal(batch, before)
    assert torch.equal(out, batch) == (name == FLIPS)


@pytest.mark.parametrize(
    "name", ["ColorJitter", "photometric mix", "RandAugment", "TrivialAugmentWide", "AugMix"]
)
def test_images_of_a_batch_draw_parameters_of_their_own(name, seeded):
    out = build_policy(BASELINES[name])(BATCH[:1].expand(8, -1, -1, -1))
    assert len({image.numpy().tobytes() for image in out}) > 2


def test_noise_is_of_up_to_the_deviation_that_was_asked_for(seeded):
    gray = torch.full((200, 3, 16, 16), 128, dtype=torch.uint8)
    deviations = (build_policy("GaussianNoise(0.1)")(gray).float() - 128).std((1, 2, 3))
    assert deviations.min() < 2
    assert 22 < deviations.max() < 28
    assert abs(deviations.mean() - 25.5 / 2) < 2


def test_terms_follow_each_other_as_they_are_written(pack_file):
    policy = build_policy("AugMix(severity=2) + StyleAugment(p=0.4)", pack=str(pack_file))
    assert [type(term).__name__ for term in policy] == ["PerImage", "StyleAugment"]
    assert policy[0].transform.severity == 2
    assert policy[1].p == 0.4


def test_presets_and_stages_are_what_they_are_in_code(pack_file):
    def one(expression):
        (term,) = build_policy(expression, pack=str(pack_file))
        return term

    masks = one("StyleAugment('masks')")
    assert masks.schedule == StyleAugment("masks").schedule
    assert masks.stages[0].to_dict()["pack"] == str(pack_file)
    mine = one("StyleAugment([Restyle(p=0.6), Relight(strength=(0, 0.5))], p=0.7)")
    assert [stage.p for stage in mine.stages] == [0.6, 1.0]
    assert mine.stages[1].strength == (0, 0.5)
    assert mine.stages[0].to_dict()["pack"] == str(pack_file)
    assert one("Relight(p=0.5)").p == 0.5
    assert one(f"Restyle(pack={str(pack_file)!r})").p == 1
    assert one("StyleAugment(preset('mild'))").stages[1].strength == (0, 0.5)


def test_looks_come_from_the_training_images(seeded):
    pytest.importorskip("albumentations")
    dark, bright = (torch.randint(k, k + 40, (6, 3, 16, 16)).byte() for k in (10, 200))
    out = build_policy("Reference('HistogramMatching', p=1.0)", references=bright)(dark)
    assert out.min() > 60
    assert out[0].float().mean() != out[1].float().mean()  # each image draws
    with pytest.raises(ValueError, match="needs reference images"):
        build_policy("Reference('FDA')")(dark)


@pytest.fixture
def new_line(tmp_path):
    for k in range(3):
        pixels = np.random.default_rng(k).integers(200, 240, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    return tmp_path


def test_looks_and_styles_come_from_the_new_line(new_line, pack_file, seeded):
    pytest.importorskip("albumentations")
    dark = torch.randint(10, 50, (6, 3, 16, 16)).byte()
    expression = "Reference('HistogramMatching', p=1.0, target=True)"
    assert build_policy(expression, references=dark, target=new_line)(dark).min() > 60
    with pytest.raises(ValueError, match="needs reference images"):
        build_policy(expression, references=dark)(dark)
    styled = "StyleAugment(preset('material', styles=TARGET))"
    (term,) = build_policy(styled, pack=str(pack_file), target=new_line)
    assert term.stages[0].pool.names == [str(new_line / f"{k}.png") for k in range(3)]
    (term,) = build_policy(styled, pack=str(pack_file))
    assert len(term.stages[0].pool.names) > 3


@pytest.mark.parametrize("name", ["PixMix", "Albumentations"])
def test_strong_recipes_change_images_and_draw_for_each(name, seeded):
    pytest.importorskip("albumentations")
    images = torch.full((16, 3, 24, 24), 90, dtype=torch.uint8)
    images[..., 10:14, 4:20] = 200
    policy = build_policy(f"{name}()")
    out = policy(images)
    assert out.dtype == torch.uint8
    assert out.shape == images.shape
    assert len({digest_tensors([image]) for image in out}) > 5
    torch.manual_seed(3)
    first = policy(images)
    torch.manual_seed(3)
    assert torch.equal(policy(images), first)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("StyleAugment", r"needs parentheses: StyleAugment\(\)"),
        ("StyleAugment(", "never closed"),
        ("AugMix() * 2", "neither a call nor a literal"),
        ("torch.load('x')", "there is no torch.load"),
        ("__import__('os')", "there is no __import__"),
        ("StyleAugment(p=__import__('os'))", "there is no __import__"),
        ("(lambda: AugMix())()", "there is no"),
        ("ColorJitter(*[1])", "neither a call nor a literal"),
        ("AugMix(severity={[]: 1})", "unhashable"),
        ("StyleAugment(**{'p': 1})", "has no argument"),
        ("StyleAugment(p=2)", "p must be"),
        ("StyleAugment('mask')", "Did you mean 'masks'"),
        ("StyleAugment([3])", "stages"),
        ("ColorJitter(-1)", "brightness"),
        ("preset('masks')", "is no transform"),
        ("3", "3 is no transform"),
    ],
)
def test_policies_that_cannot_be_built_are_refused(expression, message):
    with pytest.raises(PolicyError, match=message) as told:
        build_policy(expression)
    assert repr(expression) in str(told.value)


def test_policies_are_named_by_registry_by_name_or_by_themselves():
    found = name_policies(["AugMix", "mine = Relight(p=0.5)", "AugMix(severity=5)", "none="])
    assert found == {
        "AugMix": "AugMix()",
        "mine": "Relight(p=0.5)",
        "AugMix(severity=5)": "AugMix(severity=5)",
        "none": "",
    }
    with pytest.raises(PolicyError, match="two are 'AugMix'"):
        name_policies(["AugMix", "AugMix=Relight()"])
    with pytest.raises(PolicyError, match="'Blur'"):
        name_policies(["Blur"])


def test_settings_are_told_by_value_and_packs_by_id(pack, pack_file, tmp_path):
    def described(expression, file=pack_file):
        return describe_policy(build_policy(expression, pack=str(file)))

    pack.save(tmp_path / "copy.safetensors")
    StylePack.random(TINY, seed=1).save(tmp_path / "other.safetensors")
    (default,) = described("StyleAugment()")
    assert default["p"] == 0.7
    assert default["stages"][0]["pack"] == pack.id
    assert described("StyleAugment(p=0.7)") == [default]
    assert described("StyleAugment()", tmp_path / "copy.safetensors") == [default]
    others = ["StyleAugment(p=0.6)", "StyleAugment('masks')", "Relight()", "AugMix()"]
    assert all(described(other) != [default] for other in others)
    assert described("StyleAugment()", tmp_path / "other.safetensors") != [default]
    noises = [described(f"GaussianNoise({sigma})") for sigma in (0.1, 0.2)]
    assert noises[0] != noises[1]


@pytest.mark.parametrize("kind", ["classification", "segmentation", "detection"])
@pytest.mark.parametrize("model", [LITE, SMALL])
def test_masks_and_boxes_try_plain_images_first_and_classes_do_not(kind, model):
    tried = presets_to_try(kind, model)
    assert set(tried) <= PRESETS.keys()
    assert {"default", "mild", "lighting"} < set(tried)
    assert len(tried) <= 5  # a quick bench has ten minutes
    gradual = [name for name in tried if StyleAugment(name).schedule]
    assert bool(gradual) == (kind != "classification")
    assert ("scratch" in tried) == (kind == "classification" and model == SMALL)


@pytest.mark.parametrize(
    "expression",
    [
        *BASELINES.values(),
        "StyleAugment()",
        "StyleAugment(preset('material', styles='all'))",
        "StyleAugment([Restyle(p=0.6), Relight()], p=0.7)",
        "Photometric(0.05) + StyleAugment('lighting')",
        "GaussianNoise(0.1)",  # torchvision has one of that name, too
    ],
)
def test_what_is_pasted_builds_the_policy(expression):
    *imports, line = paste_policy(expression).splitlines()
    names = {}
    exec("\n".join(imports), names)
    built = eval(line, names) if expression else nn.Sequential()
    terms = list(built.transforms) if isinstance(built, Compose) else [built] * bool(expression)
    pasted = nn.Sequential(*(PerImage(t) if t.__class__ in OTHERS.values() else t for t in terms))
    assert describe_policy(pasted) == describe_policy(build_policy(expression))
    assert ("uint8" in "".join(imports)) == any(f"{name}(" in expression for name in OTHERS)
