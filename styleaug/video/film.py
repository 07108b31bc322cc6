"""``restyled_film``: a film file, changed part by part; a killed run goes on from its last part."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from styleaug.files import atomic_path, lock
from styleaug.video.clip import Clip, Encoder, encoder_for, join
from styleaug.video.restyler import Restyler

PART = 120
"""Frames of a part: what a killed run loses at most."""

_PROGRESS = "progress"
"""How many frames the parts have, the time stamp of the last, and how long it stays."""


@contextmanager
def restyled_film(
    clip: Clip,
    target: Path,
    restyler: Restyler,
    settings: Mapping[str, Any],
    *,
    codec: str | None = None,
    device: torch.device | str = "cpu",
    advance: Callable[[int], object] = lambda frames: None,
) -> Iterator[Path]:
    """Yield a film made anew, each frame changed, to be moved to where it shall be.

    Sound, subtitles, time stamps, rotation and the shape of pixels stay. Parts that are done lie in
    a hidden folder beside the target until all is. If a killed run with the same settings has left
    some, this one goes on from them, and ends in the same file.

    Args:
        clip: the film.
        target: where it shall be; its suffix tells the container.
        restyler: that has seen no frame.
        settings: all that decides how the film comes out; what JSON can hold.
        codec: FFmpeg's name of the encoder; by default what suits the container.
        device: where frames are changed.
        advance: told of frames that are done.

    Raises:
        ValueError: if the film is damaged, or cannot be written so.
        OSError: if another run is at it, or the disk is full.
    """
    encoder = encoder_for(codec, target.suffix)
    folder = parts_folder(target)
    try:
        with Parts(folder, {**settings, "codec": encoder}) as parts:
            done, after, stays = 0, None, 0
            if parts.state:
                done, after, stays = parts.state[_PROGRESS].tolist()
                restyler.recall(parts.state)
                advance(done)
            frames = clip.read(after)
            for first in frames:
                with (
                    atomic_path(parts.next_path) as temporary,
                    Encoder(temporary, clip, encoder) as writer,
                ):
                    for frame, seconds in chain([first], islice(frames, PART - 1)):
                        pixels = clip.pixels(frame).to(device)
                        writer.add(restyler(pixels, seconds), frame)
                        done, after, stays = done + 1, frame.pts, frame.duration or 0
                        advance(1)
                progress = torch.tensor([done, after, stays])
                parts.end({**restyler.tensors(), _PROGRESS: progress})
            film = folder / f"film{target.suffix}"
            join(parts.paths, clip, film, last=stays)
            yield film
    except ValueError:  # no other run would come farther
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


def parts_folder(target: Path) -> Path:
    """Where the parts of a film lie until it is done."""
    return target.parent / f".styleaug-{target.name}.parts"


class Parts:
    """Parts of a film, each with what its last frame leaves to the next; a context.

    Args:
        folder: where they lie.
        settings: that they are made with; parts made with others are deleted.

    Attributes:
        paths: of those that are done.
        state: tensors, by name, that the last of them has left; empty if there is none.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder, self._settings = folder, json.dumps(settings, sort_keys=True)
        self._file: IO[bytes] | None = None
        self.paths: list[Path] = []
        self.state: dict[str, Tensor] = {}

    def __enter__(self) -> Parts:
        """Take the folder, and see what is there.

        Raises:
            OSError: if another run has it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        record = self._folder / "settings.json"
        record.touch()
        self._file = record.open("r+b")
        if not lock(self._file):
            self._file.close()
            raise OSError(
                f"{self._folder} must not be written by two runs at a time, but another one is at "
                "it. Wait for it, or choose another --out."
            )
        if self._file.read() != self._settings.encode():
            for old in self._folder.glob("*.*"):
                if old != record:
                    old.unlink()
            self._file.seek(0)
            self._file.truncate()
            self._file.write(self._settings.encode())
            self._file.flush()
        while self._state_of(self.next_path).is_file():
            try:
                self.state = load_file(self._state_of(self.next_path))
            except (SafetensorError, OSError):
                break
            self.paths.append(self.next_path)
        return self

    def __exit__(self, *error: object) -> None:
        """Let others have the folder."""
        assert self._file is not None
        self._file.close()

    @property
    def next_path(self) -> Path:
        """Of the part that is to be made."""
        return self._folder / f"{len(self.paths):05}.nut"

    @staticmethod
    def _state_of(path: Path) -> Path:
        return path.with_suffix(".safetensors")

    def end(self, state: dict[str, Tensor]) -> None:
        """Take the next part for done."""
        with atomic_path(self._state_of(self.next_path)) as temporary:
            save_file({k: v.cpu().contiguous() for k, v in state.items()}, temporary)
        self.state = state
        self.paths.append(self.next_path)
