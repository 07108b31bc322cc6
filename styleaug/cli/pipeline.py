"""A user's own training pipeline, loaded from a file, and what it feeds to the model."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors

from styleaug.errors import did_you_mean
from styleaug.hosts.batch import IMAGE_NAMES
from styleaug.images.color import to_dtype, to_rgb
from styleaug.images.io import to_tensor

LOADED: set[str] = set()
"""Files of the user's code."""


def load_pipeline(where: str, option: str = "--pipeline") -> Callable[..., Any]:
    """Load ``FILE.py:NAME``: a torchvision transform, an Albumentations one, or a function.

    Args:
        where: file and name.
        option: that asks for it, for messages.

    Raises:
        ValueError: if there is no such file, or no such callable in it.
    """
    file, colon, name = where.rpartition(":")
    path = Path(file)
    if not colon or not path.is_file():
        raise ValueError(
            f"{option} must be FILE.py:NAME, with a file that exists, but is {where!r}."
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{option} must name a Python file, but names {file!r}.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # for what it imports from beside it
    LOADED.add(str(spec.origin))  # as tracebacks call it
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ValueError(f"{option} must name a Python file, but {file}: {error}.") from error
    except SystemExit as error:
        raise ValueError(
            f"{option} must name a file that can be imported, but {file} exits. Put what it runs "
            'under if __name__ == "__main__".'
        ) from error
    finally:
        sys.path.pop(0)
    pipeline = getattr(module, name, None)
    known = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
    if not callable(pipeline):
        raise ValueError(
            f"{option} must name a transform or function in {file}, but {name!r} is "
            f"{'missing' if pipeline is None else type(pipeline).__name__}."
            f"{did_you_mean(name, known)}"
        )
    return pipeline  # type: ignore[no-any-return]  # callable, as just seen


@contextmanager
def seeded(seed: int, pipeline: Any) -> Iterator[None]:
    """Seed all generators that a pipeline may draw from; afterwards they are as they were."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # pipelines use it
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        if hasattr(pipeline, "set_random_seed"):  # Albumentations
            pipeline.set_random_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def feed(pipeline: Callable[..., Any], picture: Image.Image) -> Tensor:
    """Send an RGB picture through a pipeline and make the result visible again.

    Returns:
        uint8 (3, H, W). Normalized images are brought back by the mean and std of the pipeline's
        ``Normalize``; if there is none, each image is stretched to its own range.
    """
    if _is_albumentations(pipeline):
        out = pipeline(image=np.array(picture))
    else:
        try:
            out = pipeline(picture)
        except TypeError:  # it wants tensors
            out = pipeline(tv_tensors.Image(to_tensor(picture)))
    if isinstance(out, Mapping):
        key = next((name for name in IMAGE_NAMES if name in out), None)
        if key is None:
            raise ValueError(
                f"The pipeline must give its image as one of {', '.join(IMAGE_NAMES)}, but gives "
                f"{', '.join(map(repr, out))}."
            )
        out = out[key]
    if isinstance(out, tuple | list):
        out = out[0]
    if isinstance(out, Image.Image):
        return to_tensor(out.convert("RGB"))
    if isinstance(out, np.ndarray):
        out = torch.from_numpy(np.array(out))
        out = out[None] if out.ndim == 2 else out.permute(2, 0, 1)
    if not isinstance(out, Tensor) or out.ndim != 3:
        raise ValueError(
            f"The pipeline must give one image, (C, H, W), (H, W, C) or PIL, but gave "
            f"{tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__}."
        )
    image = out.as_subclass(Tensor).detach().cpu()
    image = image[:3] if len(image) >= 3 else image[:1]
    if image.dtype == torch.uint8:
        return to_rgb(image).contiguous()
    return to_rgb(to_dtype(_visible(image.float(), pipeline), torch.uint8)).contiguous()


def _is_albumentations(pipeline: Any) -> bool:
    return any(c.__module__.split(".")[0] == "albumentations" for c in type(pipeline).__mro__)


def _visible(image: Tensor, pipeline: Any) -> Tensor:
    """A float image in [0, 1]: as it is, or with its normalization taken back."""
    for step in _steps(pipeline):
        if hasattr(step, "mean") and hasattr(step, "std"):
            mean, std = (torch.as_tensor(v).float().view(-1, 1, 1) for v in (step.mean, step.std))
            return image * std[: len(image)] + mean[: len(image)]
    low, high = image.min(), image.max()
    if low >= 0 and high <= 1:
        return image
    return (image - low) / (high - low).clamp_min(1e-6)


def _steps(pipeline: Any) -> Iterator[Any]:
    """A pipeline and the steps inside it."""
    yield pipeline
    for step in getattr(pipeline, "transforms", ()):
        yield from _steps(step)
