"""What several test files share: tiny configs, pictures, and a watch over torch's generator."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import tv_tensors

import styleaug
from styleaug.images.color import WHITE
from styleaug.nn.stylenet import StyleNetConfig

TINY = StyleNetConfig(stem=8, width=16, blocks=1, embedding=8)
FULL = {"strength": 1, "texture": 1, "mix": 0}
"""Settings of ``Restyle`` under which every image is restyled, fully, by one style."""
DTYPES = [
    *(torch.uint8, torch.uint16),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
]


def pictures(*shape: int, dtype: torch.dtype = torch.uint8, seed: int = 0) -> Tensor:
    """Noise over a gradient, so that neither flat nor textured places are missing."""
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0, 1, shape[-1])
    images = 0.5 * ramp + 0.5 * torch.rand(shape, generator=generator)
    return images.mul(WHITE[dtype]).to(dtype) if dtype in WHITE else images.to(dtype)


def pil_picture(mode: str = "RGB", width: int = 41, height: int = 17) -> Image.Image:
    """A colourful picture whose sides differ, so that swapping them fails; or one of 16 bits."""
    if mode.startswith("I"):
        levels = pictures(height, width, dtype=torch.uint16).numpy()
        if mode == "I":
            return Image.fromarray(levels.astype(np.int32))
        order = ">u2" if mode == "I;16B" else "<u2"
        return Image.frombytes(mode, (width, height), levels.astype(order).tobytes())
    pixels = pictures(3, height, width).permute(1, 2, 0).numpy()
    return Image.fromarray(pixels).convert(mode)


def boxes(values, canvas: tuple[int, int], form: str = "XYXY") -> tv_tensors.BoundingBoxes:
    return tv_tensors.BoundingBoxes(values, format=form, canvas_size=canvas)


def same_pixels(a: Image.Image, b: Image.Image) -> bool:
    return a.mode == b.mode and np.array_equal(np.asarray(a), np.asarray(b))


def distance(a: Tensor, b: Tensor) -> float:
    """Largest absolute difference, in levels of 255 whatever the dtype."""
    return (a.double() - b.double()).abs().max().item() * 255 / WHITE.get(a.dtype, 1)


@contextmanager
def torch_generator_stays() -> Iterator[None]:
    """Fail if the block draws from torch's global generator, or seeds it."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state()), "torch's global generator has moved"


class StandIn(nn.Module):
    """A network whose output is known: ``function(images)``. It remembers what it was given."""

    def __init__(self, function):
        super().__init__()
        self.dtype_source = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.function = function
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor, code: Tensor, noise: Tensor) -> Tensor:
        self.seen.append(images)
        return self.function(images)


def grey_parts(folder: Path, levels: dict[str, int], count: int = 18) -> Path:
    """Gray images in class folders, which brightness tells apart."""
    rng = np.random.default_rng(0)
    for name, level in levels.items():
        (folder / name).mkdir(parents=True)
        for k in range(count):
            pixels = (level + 20 * rng.standard_normal((20, 20))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}/{k}.png")
    return folder


def public_names():
    """What ``from styleaug import *`` brings: the package imports a name when it is asked for."""
    return {name: getattr(styleaug, name) for name in styleaug.__all__}
