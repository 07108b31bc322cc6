"""Frames of video files, by OpenCV, which the extra ``deep`` brings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from styleaug.errors import MissingExtraError


def frames_of(path: Path) -> Iterator[Any]:
    """Frames of a video file, one after the other: (H, W, 3), uint8, RGB.

    Raises:
        ValueError: if it is no video that OpenCV reads.
        MissingExtraError: if OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("cv2", "deep") from error
    film = cv2.VideoCapture(str(path))
    try:
        going, frame = film.read()
        if not going:
            raise ValueError(f"{path.name} must be a video that OpenCV reads, but is not.")
        while going:
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            going, frame = film.read()
    finally:
        film.release()
