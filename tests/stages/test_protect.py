"""Protection: inside defects the material stays; outside it changes; between, softly."""

import pytest
import torch
from torchvision import tv_tensors

from helpers import boxes, distance, pictures, pil_picture, same_pixels
from styleaug import Defocus, Relight, Restyle, SensorNoise, StyleAugment

pytestmark = pytest.mark.usefixtures("seeded")

SIZE = (48, 64)
DEFECT = (8, 10, 20, 20)
"""Left, top, right, bottom."""
INSIDE = (slice(None), slice(10, 20), slice(8, 20))
OUTSIDE = (slice(None), slice(None), slice(45, 64))


def image(*leading):
    return tv_tensors.Image(pictures(*leading, 3, *SIZE))


def mask(*rectangles):
    """One mask a rectangle."""
    masks = torch.zeros(len(rectangles), *SIZE, dtype=torch.uint8)
    for one, (left, top, right, bottom) in zip(masks, rectangles, strict=True):
        one[top:bottom, left:right] = 7
    return tv_tensors.Mask(masks)


LABELS = {
    "mask": lambda: mask(DEFECT),
    "mask without leading dimension": lambda: tv_tensors.Mask(mask(DEFECT)[0]),
    "float mask": lambda: tv_tensors.Mask(mask(DEFECT).float() / 10),
    "two masks": lambda: mask((8, 10, 14, 20), (14, 10, 20, 20)),
    "box": lambda: boxes([DEFECT], SIZE),
    "XYWH": lambda: boxes([[8.3, 10.2, 11.5, 9.6]], SIZE, "XYWH"),
    "CXCYWH": lambda: boxes([[14.0, 15, 12, 10]], SIZE, "CXCYWH"),
    "two boxes": lambda: boxes([[8, 10, 14, 20], [14, 10, 20, 20]], SIZE),
}


@pytest.mark.parametrize("label", LABELS)
def test_inside_stays_exactly_and_outside_is_as_if_unprotected(augment, label):
    before, marked = image(), LABELS[label]()
    torch.manual_seed(1)
    out, same = augment(protect=1)(before, marked)
    torch.manual_seed(1)
    free = augment()(before)
    assert same is marked
    assert torch.equal(out[INSIDE], before[INSIDE])
    assert torch.equal(out[OUTSIDE], free[OUTSIDE])
    assert distance(out[OUTSIDE], before[OUTSIDE]) > 3


ROTATED = {
    "XYWHR": [8.0, 10, 12, 10, 0],
    "CXCYWHR": [14.0, 15, 12, 10, 90],
    "XYXYXYXY": [14.0, 8, 22, 15, 14, 22, 6, 15],
}


@pytest.mark.parametrize("form", ROTATED)
def test_rotated_boxes_protect_what_they_enclose(augment, form):
    if not hasattr(tv_tensors.BoundingBoxFormat, form):
        pytest.skip("this torchvision has no rotated boxes")
    before = image()
    out, _ = augment(protect=1)(before, boxes([ROTATED[form]], SIZE, form))
    middle = (slice(None), slice(11, 19), slice(10, 18))
    assert torch.equal(out[middle], before[middle])
    assert distance(out[OUTSIDE], before[OUTSIDE]) > 3


def test_strength_comes_back_without_a_seam(augment):
    """From 0 inside to 1 at 16 pixels, never by more than a tenth from pixel to pixel."""
    params = augment(protect=1).make_params([image(), mask(DEFECT)])
    (keep,) = params["masks"].values()
    row = keep[0, 0, 15]
    assert (row[8:20] == 0).all()
    assert (row[36:] == 1).all()
    assert (row.diff()[20:] >= 0).all()
    assert keep.diff(dim=-1).abs().max() < 0.1
    assert keep.diff(dim=-2).abs().max() < 0.1


def test_it_may_be_partial(augment):
    params = augment(protect=0.4).make_params([image(), mask(DEFECT)])
    (keep,) = params["masks"].values()
    assert keep.min().item() == pytest.approx(0.6)


def test_true_means_fully_and_off_is_the_default(augment):
    sample = [image(), mask(DEFECT)]
    assert min(augment(protect=True).make_params(sample)["masks"].values()).min() == 0
    assert augment().make_params(sample)["masks"] == {}


def test_masks_of_a_batch_protect_each_their_image(augment):
    images, masks = image(2), mask(DEFECT, (45, 0, 64, 48))
    out, _ = augment(protect=1)(images, masks)
    assert torch.equal(out[0][INSIDE], images[0][INSIDE])
    assert torch.equal(out[1][OUTSIDE], images[1][OUTSIDE])
    assert distance(out[0][OUTSIDE], images[0][OUTSIDE]) > 3
    assert distance(out[1][INSIDE], images[1][INSIDE]) > 3


def test_several_masks_an_image_in_a_batch(augment):
    images = image(2)
    masks = torch.zeros(2, 3, 48, 64, dtype=torch.bool)
    masks[0, 2, 10:20, 8:20] = True
    out, _ = augment(protect=1)(images, tv_tensors.Mask(masks))
    assert torch.equal(out[0][INSIDE], images[0][INSIDE])
    assert distance(out[1][INSIDE], images[1][INSIDE]) > 3


def test_pil_images_and_videos_are_protected_too(augment):
    picture = pil_picture(width=64, height=48)
    out, _ = augment(protect=1)(picture, mask(DEFECT))
    assert same_pixels(out.crop(DEFECT), picture.crop(DEFECT))
    assert not same_pixels(out, picture)
    clip = tv_tensors.Video(pictures(3, 3, 48, 64))
    out, _ = augment(protect=1)(clip, mask(DEFECT))
    assert torch.equal(out[:, :, 10:20, 8:20], clip[:, :, 10:20, 8:20])
    assert distance(out, clip) > 3


def test_masks_and_boxes_add_up(augment):
    before = image()
    out, *_ = augment(protect=1)(before, mask(DEFECT), boxes([[45, 0, 64, 48]], SIZE))
    assert torch.equal(out[INSIDE], before[INSIDE])
    assert torch.equal(out[OUTSIDE], before[OUTSIDE])
    assert distance(out, before) > 3


def test_labels_protect_the_image_of_their_size(augment):
    """A sample with the image and a thumbnail, each with its labels."""
    before, small = image(), tv_tensors.Image(pictures(3, 24, 32))
    everywhere = tv_tensors.Mask(torch.ones(1, 24, 32, dtype=torch.bool))
    labels = [mask(DEFECT), everywhere]
    out, thumbnail, *_ = augment(protect=1)(before, small, *labels)
    assert torch.equal(out[INSIDE], before[INSIDE])
    assert distance(out, before) > 3
    assert torch.equal(thumbnail, small)


@pytest.mark.parametrize("label", [lambda: boxes(torch.zeros(0, 4), SIZE), mask])
def test_no_defects_are_no_trouble(augment, label):
    out, _ = augment(protect=1)(image(), label())
    assert distance(out, image()) > 3


def test_an_empty_batch_beside_the_image_is_no_trouble(augment):
    before = image()
    empty, out, _ = augment(protect=1)(image(0), before, mask(DEFECT))
    assert len(empty) == 0
    assert torch.equal(out[INSIDE], before[INSIDE])


def test_labels_of_no_image_in_the_sample_raise(augment):
    """Else the user would believe his defects protected."""
    with pytest.raises(ValueError, match=r"protect needs masks or boxes of an image's size"):
        augment(protect=1)(tv_tensors.Image(pictures(3, 32, 32)), mask(DEFECT))


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (lambda: mask(DEFECT), r"masks \(B, ..., H, W\) for a batch of 4"),
        (lambda: boxes([DEFECT], SIZE), "which of 4 images a box belongs to"),
    ],
)
def test_labels_that_cannot_be_told_apart_by_image_raise(augment, label, words):
    with pytest.raises(ValueError, match=words):
        augment(protect=1)(image(4), label())


@pytest.mark.parametrize("stage", [Relight(strength=1), Defocus(sigma=3), SensorNoise(sigma=0.1)])
def test_light_blur_and_noise_act_on_defects_all_the_same(augment, stage):
    """A patch without would give the defect away."""
    before = image()
    everywhere = tv_tensors.Mask(torch.ones(1, *SIZE, dtype=torch.bool))
    torch.manual_seed(1)
    out, _ = augment(stage, protect=1)(before, everywhere)
    torch.manual_seed(1)
    alone = augment(stage, strength=0)(before)
    assert distance(out, before) > 3
    if isinstance(stage, Relight):  # the others share an image with the material
        assert torch.equal(out, alone)


def test_masks_of_sixteen_bit_images_protect_too(augment):
    before = tv_tensors.Image(pictures(3, *SIZE, dtype=torch.uint16))
    out, _ = augment(protect=1)(before, mask(DEFECT))
    assert torch.equal(out[INSIDE], before[INSIDE])
    assert distance(out, before) > 3


def test_params_of_one_image_protect_all_of_a_batch(augment):
    """As torchvision's own helpers use them: the mask is that of the one image."""
    transform, batch = augment(protect=1), image(3)
    params = transform.make_params([batch[0], mask(DEFECT)])
    out = transform.transform(batch, params)
    for k in range(3):
        assert torch.equal(out[k][INSIDE], batch[k][INSIDE])
        assert distance(out[k][OUTSIDE], batch[k][OUTSIDE]) > 3


def test_clips_are_protected_each_by_its_mask(augment):
    clips = tv_tensors.Video(pictures(2, 3, 3, *SIZE))
    masks = torch.zeros(2, *SIZE, dtype=torch.bool)
    masks[1, 10:20, 8:20] = True
    out, _ = augment(protect=1)(clips, tv_tensors.Mask(masks))
    assert torch.equal(out[1, :, :, 10:20, 8:20], clips[1, :, :, 10:20, 8:20])
    assert distance(out[0, :, :, 10:20, 8:20], clips[0, :, :, 10:20, 8:20]) > 3


@pytest.mark.parametrize("value", [-0.1, 1.5, "yes", None, float("nan")])
def test_wrong_amounts_of_protection_are_refused(augment, value):
    with pytest.raises(ValueError, match=r"^protect must be a number in"):
        augment(protect=value)


def test_protect_without_new_material_says_that_it_has_no_effect():
    with pytest.warns(UserWarning, match="protect has no effect.*no Restyle"):
        StyleAugment("lighting", protect=1)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_masks_and_boxes_of_nan_are_refused(pack, kind, value):
    """They would protect nothing, or everything, without a word."""
    if kind == "boxes":
        label = boxes(torch.full((1, 4), value), (64, 64))
    else:
        label = tv_tensors.Mask(torch.full((1, 64, 64), value))
    augment = StyleAugment([Restyle(pack=pack)], protect=1.0)
    with pytest.raises(ValueError, match=f"protect needs {kind} of finite numbers"):
        augment(tv_tensors.Image(pictures(3, 64, 64)), label)


@pytest.mark.parametrize("value", [torch.nan, -0.5, 2.0])
def test_a_strength_mask_holds_values_from_0_to_1(pack, value):
    augment = StyleAugment([Restyle(pack=pack)])
    images, mask = pictures(1, 3, 32, 32), torch.full((1, 1, 32, 32), value)
    with pytest.raises(ValueError, match=r"strength_mask must hold finite values in \[0, 1\]"):
        augment.render(images, augment.draw(1), strength_mask=mask)
