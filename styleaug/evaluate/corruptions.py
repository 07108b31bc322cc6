"""Corrupted test images: ImageNet-C's corruptions, other lighting, and the industrial shifts.

The corruptions of Hendrycks & Dietterich (2019) come from the package ``imagecorruptions-imaug``
(extra ``bench``). All are plain NumPy on one image at a time, so a pool of processes makes them.
Every image gets a seed of its own, so the outcome does not depend on the number of processes.
"""

from __future__ import annotations

import io
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from numbers import Integral

import numpy as np
import numpy.typing as npt
from PIL import Image

from styleaug.errors import MissingExtraError, did_you_mean
from styleaug.evaluate.shifts import SHIFTS

Images = npt.NDArray[np.uint8]

CORRUPTION_GROUPS: dict[str, tuple[str, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
CORRUPTIONS: tuple[str, ...] = tuple(name for names in CORRUPTION_GROUPS.values() for name in names)
VALIDATION_CORRUPTIONS = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
"""ImageNet-C's spare corruptions: to choose settings by, so that the 15 stay unseen."""

# Other lamps, to choose settings of light by; severities 1 to 5. Each lays its own formula.
LAMPS: dict[str, tuple[float, ...]] = {
    "lamp_dim": (0.75, 0.65, 0.55, 0.45, 0.35),  # gain
    "lamp_bright": (0.75, 0.65, 0.55, 0.45, 0.35),  # what is left of the distance to white
    "lamp_veil": (0.7, 0.6, 0.5, 0.4, 0.3),  # contrast left under a veil of random level
    "lamp_side": (0.7, 0.55, 0.4, 0.3, 0.2),  # gain at the dark side
}

SUITES: dict[str, tuple[str, ...]] = {
    "imagenet-c": CORRUPTIONS,
    "industrial": tuple(SHIFTS),
    "validation": (*VALIDATION_CORRUPTIONS, *LAMPS),
}
"""What to report (the first two), and what to choose settings by."""
NAMES = tuple(name for suite in SUITES.values() for name in suite)

# These come from the optional package.
_PACKAGED = {*CORRUPTIONS, *VALIDATION_CORRUPTIONS}
# The package refuses images with a side below this.
_SMALLEST_SIDE = 32
# These two ignore NumPy's global state and take their seed as an argument.
_SEEDED_BY_ARGUMENT = ("impulse_noise", "glass_blur")


@dataclass(frozen=True)
class Condition:
    """One corruption, lamp or shift at one severity, 1 (light) to 5 (heavy).

    Raises:
        TypeError: if the severity is no integer.
        ValueError: if there is no such name in ``SUITES``, or no such severity.
    """

    corruption: str
    severity: int

    def __post_init__(self) -> None:
        if self.corruption not in NAMES:
            raise ValueError(
                f"There is no corruption {self.corruption!r} among the {len(NAMES)} of "
                f"styleaug.evaluate.corruptions.SUITES.{did_you_mean(self.corruption, NAMES)}"
            )
        if isinstance(self.severity, bool) or not isinstance(self.severity, Integral):
            raise TypeError(f"severity must be an integer from 1 to 5, but got {self.severity!r}.")
        if not 1 <= self.severity <= 5:
            raise ValueError(f"severity must be an integer from 1 to 5, but got {self.severity}.")


def conditions(corruptions: Sequence[str], severities: Sequence[int]) -> list[Condition]:
    """List every corruption at every severity, corruption by corruption."""
    return [Condition(name, severity) for name in corruptions for severity in severities]


def installed_corruptions(names: Sequence[str]) -> tuple[str, ...]:
    """Those of some corruptions that can be had: without the extra ``bench``, our own."""
    if find_spec("imagecorruptions"):
        return tuple(names)
    return tuple(name for name in names if name not in _PACKAGED)


def corrupt_images(images: Images, condition: Condition, *, seed: int = 0) -> Images:
    """Corrupt each image on its own.

    Args:
        images: (N, H, W, 3) uint8; smaller ones than 32 px are enlarged for ImageNet-C only.
        condition: the corruption and its severity.
        seed: with the condition and the image's place in ``images`` it fixes the outcome.

    Returns:
        (N, H, W, 3) uint8.

    Raises:
        TypeError: if ``images`` is no uint8 array.
        ValueError: if it has another shape.
        MissingExtraError: if the condition needs ``imagecorruptions``, and it is not installed.
    """
    _check_images(images)
    name = condition.corruption
    corrupt = _shifted if name in SHIFTS else _relit if name in LAMPS else _packaged
    corrupted = np.empty(images.shape, np.uint8)
    before = np.random.get_state()  # noqa: NPY002 -- the package draws from this global state
    try:
        for index, image in enumerate(images):
            entropy = [seed, condition.severity, index, *name.encode()]
            corrupted[index] = corrupt(image, condition, np.random.SeedSequence(entropy))
    finally:
        np.random.set_state(before)  # noqa: NPY002
    return corrupted


def _check_images(images: Images) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        found = getattr(images, "dtype", type(images).__name__)
        raise TypeError(f"images must be a numpy array of uint8, but got {found}.")
    if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape[1:]:
        raise ValueError(f"images must have the shape (N, H, W, 3), but got {images.shape}.")


def corrupted_sets(
    images: Images, wanted: Iterable[Condition], *, workers: int = 2
) -> Iterator[tuple[Condition, Images]]:
    """Yield the corrupted copy of all images for each condition, in order.

    No more than one copy a process is made ahead of the one that is asked for.

    Args:
        images: (N, H, W, 3) uint8.
        wanted: the conditions, see `conditions`.
        workers: processes; 0 works in this process. They are spawned: a script that asks for them
            keeps its own work under ``if __name__ == "__main__":``.

    Raises:
        TypeError, ValueError, MissingExtraError: see `corrupt_images`; at once, not at the first
            set.
    """
    _check_images(images)
    wanted = list(wanted)
    if any(condition.corruption in _PACKAGED for condition in wanted):
        _corrupt_function()
    return _sets(images, wanted, workers)


def _sets(
    images: Images, wanted: list[Condition], workers: int
) -> Iterator[tuple[Condition, Images]]:
    if workers == 0:
        for condition in wanted:
            yield condition, corrupt_images(images, condition)
        return
    # Spawned, not forked: a forked child can hang on a lock that a PyTorch thread held.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (images,)) as pool:
        ahead: deque[tuple[Condition, Future[Images]]] = deque()
        for condition in wanted:
            ahead.append((condition, pool.submit(_corrupt_shared, condition)))
            if len(ahead) > workers:
                first, future = ahead.popleft()
                yield first, future.result()
        for first, future in ahead:
            yield first, future.result()


_shared: dict[str, Images] = {}


def _start_worker(images: Images) -> None:
    with suppress(ImportError):  # lamps and shifts do without
        import cv2

        cv2.setNumThreads(1)
    _shared["images"] = images


def _corrupt_shared(condition: Condition) -> Images:
    return corrupt_images(_shared["images"], condition)


def _shifted(image: Images, condition: Condition, seeds: np.random.SeedSequence) -> Images:
    """Shift one image: of gray ones one channel, because noise in three would give them colours."""
    gray = (image == image[..., :1]).all()
    shift, pixels = SHIFTS[condition.corruption], image[..., : 1 if gray else 3] / 255
    return _to_uint8(shift(pixels, condition.severity, np.random.default_rng(seeds)))


def _relit(image: Images, condition: Condition, seeds: np.random.SeedSequence) -> Images:
    """Put one image under another lamp."""
    rng = np.random.default_rng(seeds.generate_state(1)[0])
    amount = LAMPS[condition.corruption][condition.severity - 1]
    pixels = image / 255.0
    if condition.corruption == "lamp_dim":
        pixels = amount * pixels
    elif condition.corruption == "lamp_bright":
        pixels = 1 - amount * (1 - pixels)
    elif condition.corruption == "lamp_veil":
        level = rng.uniform(0.2, 0.9)
        pixels = level + amount * (pixels - level)
    else:
        height, width = image.shape[:2]
        angle = rng.uniform(0, 2 * np.pi)
        y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
        along = (x * np.cos(angle) + y * np.sin(angle)) / (abs(np.cos(angle)) + abs(np.sin(angle)))
        pixels = pixels * (amount + (1 - amount) * (along + 1) / 2)[..., None]
    return _to_uint8(pixels)


def _to_uint8(pixels: npt.NDArray[np.float64]) -> Images:
    return np.asarray((255 * pixels).round().clip(0, 255), dtype=np.uint8)


def _corrupt_function() -> Callable[..., Images]:
    """The one function of the optional package."""
    try:
        from imagecorruptions import corrupt
    except ImportError as error:
        raise MissingExtraError("imagecorruptions-imaug", "bench") from error
    function: Callable[..., Images] = corrupt
    return function


def _packaged(image: Images, condition: Condition, seeds: np.random.SeedSequence) -> Images:
    """Corrupt one image by the optional package."""
    corrupt = _corrupt_function()
    height, width = image.shape[:2]
    growth = _SMALLEST_SIDE / min(height, width)
    if growth > 1:
        image = _resize(image, round(width * growth), round(height * growth))
    seed = int(seeds.generate_state(1)[0])
    np.random.seed(seed)  # noqa: NPY002
    extra = {"seed": seed} if condition.corruption in _SEEDED_BY_ARGUMENT else {}
    with redirect_stdout(io.StringIO()):  # the package prints about images of odd sizes
        corrupted = corrupt(image, condition.severity, condition.corruption, **extra)
    return _resize(corrupted, width, height) if growth > 1 else corrupted


def _resize(image: Images, width: int, height: int) -> Images:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
