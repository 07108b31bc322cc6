"""Whatever a sample holds: the transform changes its images alone, or refuses it in words."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision import tv_tensors

from helpers import TINY
from styleaug import Defocus, Relight, Restyle, SensorNoise, StyleAugment, StylePack
from styleaug.errors import StyleAugError
from styleaug.images.color import WHITE

OURS = (TypeError, ValueError, StyleAugError)

PACK = StylePack.random(TINY)
TRANSFORMS = {
    "all": StyleAugment(
        [
            Restyle(pack=PACK, strength=1),
            Relight(strength=1),
            Defocus(sigma=2),
            SensorNoise(sigma=0.1),
        ]
    ),
    "protect": StyleAugment(
        [Restyle(pack=PACK), SensorNoise(sigma=0.1, p=0.5)], p=0.7, protect=0.9
    ),
    "batch": Restyle("batch", pack=PACK),
    "Restyle": Restyle(pack=PACK, working_size=16),
    "Relight": Relight(),
    "Defocus": Defocus(sigma=(0, 4)),
    "SensorNoise": SensorNoise(sigma=(0, 0.2)),
}

sides = st.integers(0, 24)
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
INTEGERS = [torch.uint8, torch.uint16, torch.int16, torch.int32, torch.int64, torch.bool]


@st.composite
def tensors(draw):
    """Tensors that are images, mostly: of any dtype, shape, strides and values."""
    leading = draw(st.sampled_from([(), (1,), (2,), (3,), (0,), (2, 2), (1, 0)]))
    channels = draw(st.sampled_from([1, 3, 3, 3, 0, 2, 4]))
    shape = (*leading, channels, draw(sides), draw(sides))
    if draw(st.integers(0, 9)) == 0:
        shape = shape[draw(st.integers(0, len(shape))) :]
    dtype = draw(st.sampled_from(FLOATS + INTEGERS + [torch.uint8] * 6 + [torch.float32] * 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    values = torch.rand(shape, generator=generator, dtype=torch.float64)
    if dtype.is_floating_point:
        low, high = draw(st.sampled_from([(0, 1), (0, 1), (0, 255), (-1, 1), (0.5, 0.5)]))
        values = low + (high - low) * values
        if values.numel() and draw(st.integers(0, 5)) == 0:
            odd = draw(st.sampled_from([torch.nan, torch.inf, -torch.inf, -0.0, 1e-45, 1.0]))
            values.flatten()[draw(st.integers(0, values.numel() - 1))] = odd
    else:
        values = values * WHITE.get(dtype, draw(st.sampled_from([1, 255, 65535])))
    image = values.to(dtype)
    return draw(st.sampled_from(LAYOUTS))(image)


LAYOUTS = [
    lambda x: x,
    lambda x: x,
    lambda x: x.transpose(-1, -2) if x.ndim > 1 else x,
    lambda x: x[..., ::2] if x.ndim else x,
    lambda x: x.expand(2, *x.shape),
    lambda x: x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x,
    lambda x: torch.cat([x, x])[len(x) :] if x.ndim else x,
]


@st.composite
def images(draw):
    """An image in any of the forms that a sample may hold it in."""
    form = draw(st.sampled_from(["tensor", "tensor", "Image", "Video", "PIL", "array"]))
    if form == "PIL":
        mode = draw(st.sampled_from(["L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16", "I", "F"]))
        size = (draw(st.integers(1, 24)), draw(st.integers(1, 24)))
        return Image.new(mode, size, draw(st.sampled_from([0, 1])))
    tensor = draw(tensors())
    if form == "array":
        return np.zeros((5, 7, 3), np.uint8)
    if form == "Image" and tensor.ndim >= 2:
        return tv_tensors.Image(tensor)
    if form == "Video" and tensor.ndim >= 4:
        return tv_tensors.Video(tensor)
    return tensor


@st.composite
def labels(draw):
    """What else a sample may hold."""
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    numbers = st.sampled_from([0.0, 3.0, 9.5, 24.0, -2.0, 1e9, float("nan"), float("inf")])
    boxes = torch.tensor([[draw(numbers) for _ in range(4)]])
    return draw(
        st.sampled_from(
            [
                tv_tensors.Mask(torch.ones(height, width, dtype=torch.uint8)),
                tv_tensors.Mask(torch.zeros(2, height, width, dtype=torch.bool)),
                tv_tensors.Mask(torch.full((1, height, width), torch.nan)),
                tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(height, width)),
                tv_tensors.BoundingBoxes(boxes, format="CXCYWH", canvas_size=(height, width)),
                *(torch.tensor(3), torch.tensor([1, 2]), 7, "ok", None, {"id": 1}, (), [1.5]),
            ]
        )
    )


samples = st.recursive(
    images() | labels(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(["image", "mask", "boxes", "label"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def leaves(sample):
    if isinstance(sample, dict):
        return [leaf for value in sample.values() for leaf in leaves(value)]
    if isinstance(sample, list | tuple):
        return [leaf for value in sample for leaf in leaves(value)]
    return [sample]


def content(leaf):
    """What a leaf holds, to see whether it has been changed."""
    if isinstance(leaf, torch.Tensor):
        return repr(leaf.as_subclass(torch.Tensor).detach().double().tolist())
    if isinstance(leaf, Image.Image):
        return leaf.tobytes()
    return repr(leaf)


def check_leaf(before, after):
    """An image keeps its form; all else comes back as the same object."""
    assert type(after) is type(before) or isinstance(before, Image.Image)
    if isinstance(before, Image.Image):
        assert (after.mode, after.size) == (before.mode, before.size)
    elif isinstance(before, torch.Tensor):
        assert (after.shape, after.dtype) == (before.shape, before.dtype)
        if after.is_floating_point() and after is not before:
            plain = after.as_subclass(torch.Tensor)
            assert plain.isfinite().all()
            assert ((plain >= -2e-3) & (plain <= 1 + 2e-3)).all()
    else:
        assert after is before


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TRANSFORMS)
@given(sample=samples, seed=st.integers(0, 99))
def test_any_sample_comes_back_in_its_form_or_is_refused(name, sample, seed):
    before = [content(leaf) for leaf in leaves(sample)]
    torch.manual_seed(seed)
    try:
        out = TRANSFORMS[name](sample)
    except OURS:
        out = None
    assert [content(leaf) for leaf in leaves(sample)] == before
    if out is not None:
        assert type(out) is type(sample) or isinstance(sample, Image.Image)
        for one, other in zip(leaves(sample), leaves(out), strict=True):
            check_leaf(one, other)


@pytest.mark.filterwarnings("ignore")
@given(
    images=tensors(),
    mask=tensors() | st.none(),
    count=st.integers(0, 4),
    seed=st.integers(0, 99),
)
def test_any_tensor_is_rendered_in_its_form_or_is_refused(images, mask, count, seed):
    transform = TRANSFORMS["all"]
    plan = transform.draw(count, torch.Generator().manual_seed(seed))
    before = content(images)
    try:
        out = transform.render(images, plan, strength_mask=mask)
    except OURS:
        out = None
    assert content(images) == before
    if out is not None:
        check_leaf(images, out)
