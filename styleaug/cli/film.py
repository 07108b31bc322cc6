"""Films for ``styleaug stylize``: files, folders of files, and folders of numbered frames."""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from styleaug.augment.edit import changed
from styleaug.augment.transform import StyleAugment
from styleaug.cli.outputs import (
    Content,
    Outputs,
    Picture,
    digest_files,
    drawn_of,
    generator_of,
    list_pictures,
)
from styleaug.cli.parser import new_file, new_folder
from styleaug.errors import warn
from styleaug.files import digest_file
from styleaug.images.io import encode_picture, walk
from styleaug.stages.restyle import Restyle
from styleaug.video.clip import CLIP_SUFFIXES, Clip, encoder_for
from styleaug.video.film import PART, Parts, parts_folder, restyled_film
from styleaug.video.restyler import Restyler
from styleaug.video.timeline import Keyframe, Timeline

_DONE = "done"

_OPTIONS = ("at", "style_to", "new_noise", "codec", "steady", "rate")


def add_film_options(parser: argparse.ArgumentParser) -> None:
    """What films have beyond pictures."""
    group = parser.add_argument_group("films (needs the extra 'video')")
    group.add_argument(
        "--at",
        nargs="+",
        action="append",
        default=[],
        metavar="X",
        help="a keyframe, such as '00:12 strength=0.2 texture=0 style=rust': at this time these "
        "values are reached, linearly from those before; may be given several times (default: "
        "none)",
    )
    group.add_argument(
        "--style-to",
        metavar="STYLE",
        help="style at the end of the film, reached linearly: a tag, a name or a picture (default: "
        "the style stays)",
    )
    group.add_argument(
        "--new-noise",
        action="store_true",
        help="draw the noise anew in each frame, as a sensor does (else it stays)",
    )
    group.add_argument(
        "--codec",
        metavar="NAME",
        help="encoder, by FFmpeg's name (default: libx264; libvpx-vp9 for .webm)",
    )
    group.add_argument(
        "--steady",
        action="store_true",
        help="take the images of each folder for the frames of a film, in the order of their "
        "numbers",
    )
    group.add_argument(
        "--rate",
        type=float,
        metavar="FPS",
        help="frames per second of --steady, above 0 (default: 25)",
    )


def list_clips(source: Path) -> list[Path]:
    """The film of a source, or those of a folder that holds no pictures.

    Raises:
        ValueError: if there is none.
    """
    if source.is_file():
        return [source]
    found = sorted(path for path in walk(source) if is_clip(path))
    if not found:
        raise ValueError(f"{source} must hold films ({', '.join(CLIP_SUFFIXES)}), but has none.")
    return found


def is_clip(path: Path) -> bool:
    """Whether it is a film, by its suffix."""
    return path.suffix.lower() in CLIP_SUFFIXES


def new_place(value: str) -> Path:
    """A folder, or a film, that can be written; as an option's type."""
    return new_file(value) if is_clip(Path(value)) else new_folder(value)


def check_no_film_options(arguments: argparse.Namespace) -> None:
    """Raise if there are options for films, where there is none.

    Raises:
        ValueError: naming the first.
    """
    for name in _OPTIONS:
        if getattr(arguments, name):
            raise ValueError(
                f"--{name.replace('_', '-')} is for films, but the sources are none. Frames of a "
                "film need --steady."
            )


class Films:
    """What the options say is done to films: a draw for each, and what changes over time.

    Args:
        arguments: the options.
        augment: the transform.
        settings: all that decides how it changes an image, by name.

    Raises:
        ValueError: if a keyframe cannot be read, or there is nothing for it to change.
    """

    def __init__(
        self, arguments: argparse.Namespace, augment: StyleAugment, settings: Mapping[str, Any]
    ) -> None:
        self._options, self._augment = arguments, augment
        self._stage = next((s for s in augment.stages if isinstance(s, Restyle)), None)
        if self._stage is None and (arguments.at or arguments.style_to):
            raise ValueError(
                f"--at and --style-to change material, but {arguments.preset!r} has no Restyle."
            )
        self._references = [*self._stage.pool.files] if self._stage else []
        self._keyframes = [Keyframe.parse(words, self._code) for words in arguments.at]
        self._last = self._code(arguments.style_to) if arguments.style_to else None
        self._settings = {
            **settings,
            "at": [" ".join(words) for words in arguments.at],
            "style_to": arguments.style_to,
            "new_noise": arguments.new_noise,
            "codec": arguments.codec,
            "references": digest_files(self._references),
        }

    def _code(self, style: str) -> Tensor:
        assert self._stage is not None
        stage: Any = changed(self._stage, styles=[style], mix=0.0, jitter=0.0)
        self._references += stage.pool.files
        codes: Tensor = stage.draw(1, generator_of(self._options.seed, style)).codes
        return codes[0]

    def _restyler(
        self, source: Path, name: str, copy: int, seconds: float
    ) -> tuple[Restyler, dict[str, Any]]:
        """For a film of some length; and what was drawn for it."""
        plan = self._augment.draw(1, generator_of(self._options.seed, name, copy))
        keyframes = list(self._keyframes)
        if self._last is not None:
            if not seconds:
                raise ValueError(
                    f"--style-to needs a film whose length is known, but that of {source} is not. "
                    "Give --at with a moment."
                )
            keyframes.append(Keyframe(seconds, style=self._last))
        timeline, new_noise = Timeline(keyframes), self._options.new_noise
        return (
            Restyler(self._augment, plan, timeline=timeline, new_noise=new_noise),
            drawn_of(plan),
        )

    def stylize_files(self) -> int:
        """Write changed copies of film files; the exit status."""
        options, out, name = self._options, self._options.out, None
        if is_clip(out):
            if len(options.sources) > 1 or options.sources[0].is_dir() or options.copies > 1:
                raise ValueError(f"--out must be a folder for several films, but is {out}.")
            out, name = out.parent, out.name
        films = list_pictures(
            options.sources, out, copies=options.copies, find=list_clips, rename=name
        )
        for film in films:
            encoder_for(options.codec, film.suffix)
        with Outputs(out, films, self._settings, overwrite=options.overwrite) as outputs:
            for film in outputs.missing:
                outputs.attempt([film], partial(self._stylize_file, film, outputs))
        return outputs.report("films")

    def _stylize_file(self, film: Picture, outputs: Outputs) -> None:
        clip, digest = Clip(film.source), digest_file(film.source)
        if clip.interlaced:
            warn(f"{film.source} is interlaced, and becomes progressive: deinterlace it before.")
        restyler, drawn = self._restyler(film.source, film.name, film.copy, clip.seconds)
        with (
            tqdm(total=clip.frames or None, desc=film.name, unit="frame") as bar,
            restyled_film(
                clip,
                outputs.out / film.output,
                restyler,
                {**outputs.settings_of(film), "source": digest},
                codec=self._options.codec,
                device=self._options.device,
                advance=bar.update,
            ) as made,
        ):
            outputs.write(film, made, digest=digest, drawn=drawn)

    def stylize_frames(self) -> int:
        """Write changed copies of folders of numbered frames; the exit status."""
        options = self._options
        rate = 25.0 if options.rate is None else options.rate
        if rate <= 0:
            raise ValueError(f"--rate must be above 0 frames per second, but is {rate}.")
        frames = list_pictures(
            options.sources, options.out, copies=options.copies, others=self._references
        )
        settings = {**self._settings, "steady": True, "rate": rate}
        with (
            Outputs(options.out, frames, settings, overwrite=options.overwrite) as outputs,
            tqdm(total=len(frames), desc="stylize", unit="frame") as bar,
        ):
            for (folder, copy), group in groupby(sorted(frames, key=_order), key=_film_of):
                self._stylize_sequence(list(group), folder, copy, rate, outputs, bar.update)
        return outputs.report("frames")

    def _stylize_sequence(
        self,
        frames: Sequence[Picture],
        folder: str,
        copy: int,
        rate: float,
        outputs: Outputs,
        advance: Callable[[int], object],
    ) -> None:
        missing = {frame.output for frame in outputs.missing}
        if missing.isdisjoint(frame.output for frame in frames):
            advance(len(frames))
            return
        options, seconds = self._options, len(frames) / rate
        restyler, drawn = self._restyler(frames[0].source, folder, copy, seconds)
        target = outputs.out / folder / f"{copy}"
        with Parts(parts_folder(target), outputs.settings_of(frames[0])) as parts:
            done = int(parts.state[_DONE]) if parts.state else 0
            if missing.isdisjoint(frame.output for frame in frames[:done]):
                restyler.recall(parts.state) if done else None
            else:
                done = 0  # one was taken away: the film begins anew
            advance(done)
            for number, frame in enumerate(frames[done:], done + 1):
                advance(1)
                read = outputs.attempt([frame], partial(Content.read, frame.source, options.bits))
                if read is None:
                    continue
                out = restyler(read.image.to(options.device), (number - 1) / rate)
                if frame.output in missing:
                    file = encode_picture(out, like=frame.source, suffix=frame.suffix)
                    outputs.write(frame, file, digest=read.digest, drawn=drawn)
                if number % PART == 0:
                    parts.end({**restyler.tensors(), _DONE: torch.tensor(number)})
        shutil.rmtree(parts_folder(target))


def _film_of(frame: Picture) -> tuple[str, int]:
    """The folder of a frame, and its copy."""
    return PurePosixPath(frame.name).parent.as_posix(), frame.copy


def _order(frame: Picture) -> tuple[Any, ...]:
    """Frames by folder and copy, then by the numbers in their names."""
    parts = re.split(r"(\d+)", PurePosixPath(frame.name).name)
    return _film_of(frame), [int(part) if part.isdecimal() else part for part in parts]
