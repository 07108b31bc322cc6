"""Run an exported style network where there is no PyTorch: NumPy and ONNX Runtime are all it takes.

``styleaug export base --out edge/`` writes the folder; this file reads it. Nothing of the package
that needs PyTorch is imported, so the file, and :mod:`styleaug.errors` beside it, may be copied to
a device.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styleaug.errors import MissingExtraError, WeightsError, did_you_mean

FORMAT = 1
"""Of an exported folder."""

CELL = 4
"""Sides of what the exported networks take are multiples of this many pixels."""

_LEAST = 16
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

Array = NDArray[Any]
Style = str | Mapping[str, float] | Array


class Restyler:
    """Restyle images with an exported network.

    Args:
        folder: output of ``styleaug export``.
        precision: ``"fp32"``, ``"fp16"`` or ``"int8"``, if the folder has it; by default int8 if
            present.
        threads: number of CPU threads; 0 lets ONNX Runtime choose.
        providers: ONNX Runtime providers, of which the first that works is used; by default the
            CPU.

    Raises:
        WeightsError: if the folder is not an export, or lacks the precision.
        MissingExtraError: if ONNX Runtime is not installed.

    Examples:
        >>> restyler = Restyler("edge/")  # doctest: +SKIP
        >>> restyled = restyler(frame, "rust", strength=0.7, texture=0.5)  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        precision: str | None = None,
        threads: int = 0,
        providers: tuple[str, ...] = ("CPUExecutionProvider",),
    ) -> None:
        self.folder = Path(folder)
        try:
            self._told = json.loads((self.folder / "export.json").read_text(encoding="utf-8"))
            self.codes: Array = np.load(self.folder / "codes.npy", allow_pickle=False)
            files: dict[str, str] = self._told["files"]["restyle"]
            self.names: tuple[str, ...] = tuple(self._told["names"])
            self._tags = [tuple(tags) for tags in self._told["tags"]]
            known = self._told["format"] == FORMAT and len(self.names) == len(self.codes)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise WeightsError(
                f"{self.folder} must be a folder that 'styleaug export' has written, but is not "
                f"({error})."
            ) from error
        if not known:
            raise WeightsError(
                f"{self.folder} must be an export of format {FORMAT} with a code for each name, but"
                f" is of format {self._told['format']}, with {len(self.codes)} codes and "
                f"{len(self.names)} names. Export the pack again."
            )
        self.precision = precision or ("int8" if "int8" in files else next(iter(files)))
        if self.precision not in files:
            raise WeightsError(
                f"precision must be one of {', '.join(files)}, which {self.folder} holds, but got "
                f"{self.precision!r}.{did_you_mean(self.precision, files)} 'styleaug export' writes"
                " others, too."
            )
        self._threads, self._providers = threads, providers
        self._network = self._open("restyle")
        self._encoder: Any = None

    def __repr__(self) -> str:
        return f"Restyler({str(self.folder)!r}, {len(self.names)} styles, {self.precision})"

    def __call__(
        self,
        images: Array,
        style: Style,
        *,
        strength: float = 1.0,
        texture: float = 1.0,
        seed: int = 0,
    ) -> Array:
        """Restyle an image, or a batch of images of one size.

        Args:
            images: (H, W), (H, W, 3) or (B, H, W, 3); uint8, or float in [0, 1]; RGB.
            style: name of a style; a tag, which stands for the mean of its styles; several with
                their weights; or a code, from :meth:`encode` or :meth:`code`, (D,) or one an image
                (B, D).
            strength: how far material and colour change, in [0, 1]; 0 keeps the image.
            texture: share of the style's texture, in [0, 1].
            seed: places the grain of the style's texture; one number for all frames of a film, or
                the grain flickers.

        Returns:
            Images of the same shape and dtype.

        Raises:
            TypeError: if the images are neither uint8 nor floating point.
            ValueError: if their shape or values are out of bounds, or a style is unknown.
        """
        batch = _as_batch(images)
        for name, value in {"strength": strength, "texture": texture}.items():
            if not 0 <= value <= 1:  # also false for NaN
                raise ValueError(f"{name} must lie in [0, 1], but is {value!r}.")
        if not 0 <= seed < 2**31:
            raise ValueError(f"seed must lie in [0, 2**31), but is {seed!r}.")
        if not strength or not len(batch):
            return np.array(images)
        count, _, height, width = batch.shape
        code = np.broadcast_to(self.code(style), (count, self.codes.shape[1]))
        # to whole cells, which the network takes, by what lies at the border
        rows, columns = (max(-side % CELL, _LEAST - side) for side in (height, width))
        batch = np.pad(batch, [(0, 0), (0, 0), (0, rows), (0, columns)], mode="symmetric")
        noise = white_noise(seed, *batch.shape[2:])
        feed = {
            "images": batch,
            "code": np.ascontiguousarray(code, dtype=np.float32),
            "strength": np.full(count, strength, dtype=np.float32),
            "texture": np.full(count, texture, dtype=np.float32),
            "noise": np.broadcast_to(noise, (count, 1, *noise.shape)).copy(),
        }
        (out,) = self._network.run(None, feed)
        return _as_given(out[:, :, :height, :width], images)

    def code(self, style: Style) -> Array:
        """Return the code of a style (D,); see :meth:`__call__`.

        Raises:
            ValueError: if a style is unknown, weights are negative or all 0, or a code has another
                length.
        """
        if isinstance(style, np.ndarray):
            if style.shape[-1:] != self.codes.shape[1:] or not np.isfinite(style).all():
                raise ValueError(
                    f"A code must be {self.codes.shape[1]} finite numbers, but has the shape "
                    f"{style.shape}."
                )
            return np.asarray(style)
        weights = {style: 1.0} if isinstance(style, str) else dict(style)
        values = np.array([*weights.values()], dtype=np.float64)
        if not (values >= 0).all() or not 0 < values.sum() < np.inf:
            raise ValueError(
                f"Weights of styles must be at least 0, and one above, but are {weights}."
            )
        rows = [self.codes[self._rows(entry)].mean(0) for entry in weights]
        mixture = (values / values.sum()) @ np.stack(rows)
        return np.asarray(mixture, dtype=np.float32)

    def encode(self, picture: Array) -> Array:
        """Encode the central square of any picture as a style, without training.

        Args:
            picture: (H, W) or (H, W, 3), at least 16 pixels a side; uint8, or float in [0, 1]; RGB.

        Returns:
            (D,), float32.
        """
        batch = _as_batch(picture)
        side = min(batch.shape[2:])
        if len(batch) != 1 or side < _LEAST:
            raise ValueError(
                f"A style picture must be one picture of at least {_LEAST} pixels a side, but has "
                f"the shape {picture.shape}."
            )
        top, left = ((length - side) // 2 for length in batch.shape[2:])
        square = batch[:, :, top : top + side, left : left + side]
        if self._encoder is None:
            self._encoder = self._open("encoder")
        (code,) = self._encoder.run(None, {"picture": np.ascontiguousarray(square)})
        found: Array = code[0]
        return found

    def _rows(self, entry: str) -> list[int]:
        every = zip(self.names, self._tags, strict=True)
        found = [k for k, (name, tags) in enumerate(every) if entry == name or entry in tags]
        if not found:
            known = {*self.names, *(tag for tags in self._tags for tag in tags)}
            raise ValueError(
                f"A style must be a name or tag of {self.folder / 'export.json'}, but {entry!r} is "
                f"none.{did_you_mean(entry, known)}"
            )
        return found

    def _open(self, part: str) -> Any:
        """The session of a part, in the chosen precision or the nearest that there is."""
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("onnxruntime", "edge") from error
        files = self._told["files"][part]
        path = self.folder / files.get(self.precision, next(iter(files.values())))
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = self._threads
        settings.log_severity_level = 3  # errors
        try:
            return onnxruntime.InferenceSession(path, settings, [*self._providers])
        except Exception as error:  # each kind of damage has its own
            raise WeightsError(
                f"{path} must be a network that ONNX Runtime can run, but is not ({error}). Export "
                "the pack again."
            ) from error


def _as_batch(images: Array) -> Array:
    """(B, 3, H, W), float32 in [0, 1].

    Raises:
        TypeError: if the dtype is neither uint8 nor floating point.
        ValueError: if shape or values are out of bounds.
    """
    shape = images.shape
    if images.ndim not in (2, 3, 4) or (images.ndim > 2 and shape[-1] != 3):
        raise ValueError(
            f"Images must have the shape (H, W), (H, W, 3) or (B, H, W, 3), but have {shape}."
        )
    if 0 in shape[images.ndim == 4 :]:
        raise ValueError(f"Images must have pixels, but have the shape {shape}.")
    if images.dtype == np.uint8:
        values = images.astype(np.float32) / 255
    elif np.issubdtype(images.dtype, np.floating):
        values = images.astype(np.float32)
        if values.size and not (values.min() >= -1e-3 and values.max() <= 1 + 1e-3):
            raise ValueError(
                f"Images of floating point must hold values in [0, 1], but theirs range from "
                f"{values.min():.4g} to {values.max():.4g}. Divide 8-bit values by 255."
            )
    else:
        raise TypeError(f"Images must be uint8 or floating point, but are {images.dtype}.")
    if images.ndim == 2:
        values = np.repeat(values[:, :, None], 3, axis=2)
    if images.ndim < 4:
        values = values[None]
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def _as_given(out: Array, images: Array) -> Array:
    """What came out (B, 3, H, W) in the shape and dtype of the images."""
    values = out.transpose(0, 2, 3, 1)
    if images.ndim == 2:
        values = values @ _LUMA
    values = values.reshape(images.shape)
    if images.dtype == np.uint8:
        values = values * 255 + 0.5
    return np.asarray(values, dtype=images.dtype)


@lru_cache(maxsize=8)
def white_noise(seed: int, height: int, width: int) -> Array:
    """Gaussian noise (H, W), float32: a function of the seed and the place alone.

    The same as that of the PyTorch package, from a counter-based generator (Salmon et al. 2011):
    each hash of 32 bits ("lowbias32", Wellons 2018) holds two quantiles of 16 bits.
    """
    count = height * width
    places = np.arange((count + 1) // 2, dtype=np.uint32)
    start = np.uint32((seed ^ (seed >> 15)) * 0x2C1B3C6D & 0xFFFFFFFF)
    x = (places * np.uint32(0x9E3779B1)) ^ start
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    levels = np.stack([x & np.uint32(0xFFFF), x >> np.uint32(16)], axis=1).ravel()[:count]
    noise: Array = _quantiles()[levels].reshape(height, width)
    noise.setflags(write=False)  # it is cached
    return noise


@lru_cache(maxsize=1)
def _quantiles() -> Array:
    """Of the normal distribution, for 16 bits that count from 0 up, then from -32,768 up."""
    half = [NormalDist().inv_cdf((k + 0.5) / 2**16) for k in range(2**15, 2**16)]
    return np.array([*half, *(-q for q in reversed(half))], dtype=np.float32)
