"""What torchvision asks of its own transforms: any sample, any container, odd sizes."""

import pathlib
import pickle

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_flatten
from torchvision import tv_tensors
from torchvision.transforms import v2

from helpers import FULL, boxes, distance, pictures, pil_picture
from styleaug import Defocus, Relight, Restyle, SensorNoise, StyleAugment

pytestmark = pytest.mark.usefixtures("seeded")
CANVAS = (17, 11)
EVERY = (Relight(strength=1), Defocus(sigma=4), SensorNoise(sigma=0.09))
FORMATS = ["XYXY", "XYWH", "CXCYWH"]
EMPTY = [[0, 0, 0, 0], [0, 0, 0, 1], [2, 0, 1, 1], [2, 2, -1, -1]]
IMAGES = {
    "Image": lambda: tv_tensors.Image(pictures(3, *CANVAS)),
    "Video": lambda: tv_tensors.Video(pictures(4, 3, *CANVAS)),
    "PIL": lambda: pil_picture("RGB", CANVAS[1], CANVAS[0]),
    "tensor": lambda: pictures(3, *CANVAS),
}


def everything(image):
    """A sample with all that may lie beside an image."""
    return {
        "image": image,
        "tv_image": IMAGES["Image"](),
        "video": IMAGES["Video"](),
        "pil": IMAGES["PIL"](),
        **{f"boxes {form}": boxes([[1, 2, 9, 8]] * 3, CANVAS, form) for form in FORMATS},
        **{f"no boxes {form}": boxes(EMPTY, CANVAS, form) for form in FORMATS},
        "keypoints": tv_tensors.KeyPoints([[3, 4]], canvas_size=CANVAS),
        "masks": tv_tensors.Mask(torch.randint(0, 2, (3, *CANVAS), dtype=torch.uint8)),
        "mask": tv_tensors.Mask(torch.randint(0, 9, CANVAS)),
        "others": [0, 0.0, True, None, "text", pathlib.Path(), object()],
        "tensor": torch.empty(5),
        "array": np.empty(5),
    }


@pytest.mark.parametrize("protect", [0, 1])
@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("container", [dict, list, tuple])
@pytest.mark.parametrize("kind", IMAGES)
def test_any_sample_keeps_its_structure_and_all_that_is_no_image(
    augment, kind, container, pickled, protect
):
    transform = augment(protect=protect)
    transform = pickle.loads(pickle.dumps(transform)) if pickled else transform
    sample = everything(IMAGES[kind]())
    sample = sample if container is dict else container(sample.values())
    out = transform(sample)
    before, spec = tree_flatten(sample)
    after, same_spec = tree_flatten(out)
    assert same_spec == spec
    chosen = transform._needs_transform_list(before)
    for new, old, is_chosen in zip(after, before, chosen, strict=True):
        if is_chosen and not isinstance(old, tv_tensors.BoundingBoxes | tv_tensors.Mask):
            assert type(new) is type(old)
            assert new is not old
        else:
            assert new is old


@pytest.mark.parametrize("size", [CANVAS, (1, 1), (3, 50), (40, 2), (16, 16)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_size(augment, channels, size):
    image = tv_tensors.Image(pictures(channels, *size))
    out = augment(*EVERY)(image)
    assert out.shape == image.shape
    assert distance(out, image) > 0


def test_a_small_image_is_styled_like_the_corner_of_its_extension(augment, float32):
    """Smaller images get a border that repeats their last pixels, and lose it again."""
    small = pictures(1, 3, 9, 12)
    wide = torch.nn.functional.pad(small.float(), (0, 4, 0, 7), mode="replicate").to(torch.uint8)
    torch.manual_seed(0)
    out = augment()(small)
    torch.manual_seed(0)
    assert distance(out, augment()(wide)[..., :9, :12]) <= 1


def test_protection_of_a_small_image_stays_in_place(augment):
    image = tv_tensors.Image(pictures(3, 12, 60))
    mask = torch.zeros(12, 60, dtype=torch.bool)
    mask[:, :10] = True
    out, _ = augment(protect=1)(image, tv_tensors.Mask(mask))
    change = (out.as_subclass(torch.Tensor).int() - image.int()).abs().amax(0)
    assert not change[mask].any()
    assert change[:, 40:].any()


def test_batched_is_unbatched(augment, float32):
    batch = pictures(4, 3, *CANVAS)
    transform = augment(*EVERY)
    plan = transform.draw(4)
    alone = [transform.render(batch[i : i + 1], plan.select([i])) for i in range(4)]
    assert distance(transform.render(batch, plan), torch.cat(alone)) <= 1


@pytest.fixture
def transforms(pack):
    """Each stage alone, and all of them together."""
    stages = [Restyle(pack=pack, **FULL), *EVERY]
    return [*stages, StyleAugment(stages)]


@pytest.mark.parametrize("kind", ["Image", "tensor", "Video"])
@pytest.mark.parametrize("batch", [(2,), (1,), (2, 2), (0,)])
def test_kernel_batched_vs_unbatched(transforms, float32, kind, batch):
    """As torchvision checks its own: params of one image, applied to copies of it in a batch."""
    one = IMAGES[kind]()
    batched = one.as_subclass(torch.Tensor).expand(*batch, *one.shape).clone()
    batched = tv_tensors.wrap(batched, like=one) if kind != "tensor" else batched
    for transform in transforms:
        params = transform.make_params([one])
        out = transform.transform(batched, params)
        assert (type(out), out.shape, out.dtype) == (type(batched), batched.shape, batched.dtype)
        expected = transform.transform(one, params)
        assert distance(expected, one) > 0
        for row in out.as_subclass(torch.Tensor).reshape(-1, *one.shape):
            assert distance(row, expected) <= 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_kernel_changes_neither_its_input_nor_what_it_is(transforms, dtype, channels):
    images = pictures(2, channels, *CANVAS, dtype=dtype)
    before = images.clone()
    for transform in transforms:
        out = transform.transform(images, transform.make_params([images]))
        assert (out.dtype, out.device, out.shape) == (dtype, images.device, images.shape)
        assert torch.equal(images, before)
        assert not np.shares_memory(out.numpy(), images.numpy())


@pytest.mark.parametrize("kind", IMAGES)
def test_transform_is_the_kernel_under_its_own_params(transforms, kind):
    image = IMAGES[kind]()
    for transform in transforms:
        torch.manual_seed(1)
        out = transform(image)
        torch.manual_seed(1)
        again = transform.transform(image, transform.make_params([image]))
        assert type(out) is type(again)
        assert np.array_equal(np.asarray(out), np.asarray(again))


def test_inside_torchvisions_containers(augment):
    for container in (
        v2.Compose([augment()]),
        v2.RandomApply([augment()], p=1),
        v2.RandomChoice([augment(), augment()]),
        v2.RandomOrder([augment(), v2.RandomHorizontalFlip()]),
        torch.nn.Sequential(augment()),
    ):
        assert container(pictures(3, *CANVAS)).shape == (3, *CANVAS)
