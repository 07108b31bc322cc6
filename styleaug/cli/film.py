"""Films for ``styleaug stylize``: files, folders of files, and folders of numbered frames."""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from styleaug.augment.edit import changed
from styleaug.augment.transform import StyleAugment
from styleaug.cli.outputs import Content, Outputs, Picture, generator_of, list_pictures
from styleaug.cli.parser import new_file, new_folder, number
from styleaug.errors import warn
from styleaug.files import digest_file
from styleaug.images.io import encode_picture, walk
from styleaug.stages.restyle import Restyle
from styleaug.video.clip import CLIP_SUFFIXES, Clip, encoder_for
from styleaug.video.film import PART, Parts, parts_folder, restyled_film
from styleaug.video.restyler import Restyler
from styleaug.video.timeline import Keyframe, Timeline

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
        help="a keyframe, as '00:12 strength=0.2 texture=0 style=rust': from the values before it "
        "to these, linearly; may be given several times",
    )
    group.add_argument(
        "--style-to", metavar="STYLE", help="tag, name or picture of the style at the end"
    )
    group.add_argument(
        "--new-noise", action="store_true", help="other noise in each frame, as a sensor has it"
    )
    group.add_argument(
        "--codec",
        metavar="NAME",
        help="FFmpeg's name of an encoder (default: libx264; libvpx-vp9 for .webm)",
    )
    group.add_argument(
        "--steady",
        action="store_true",
        help="take the pictures of each folder for the frames of a film, in the order of their "
        "numbers",
    )
    group.add_argument(
        "--rate", type=number, metavar="FPS", help="frames a second of --steady (default: 25)"
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
                f"--{name.replace('_', '-')} is for films, but the sources are pictures. Frames of "
                "a film need --steady."
            )


class Film:
    """What is done to films, as the options say: a draw for each, and what changes over time.

    Args:
        arguments: the options.
        augment: the transform.
        references: pictures whose styles it takes.

    Raises:
        ValueError: if a keyframe cannot be read, or there is nothing for it to change.
    """

    def __init__(self, arguments: argparse.Namespace, augment: StyleAugment) -> None:
        self.augment, self._seed = augment, arguments.seed
        self._stage = next((s for s in augment.stages if isinstance(s, Restyle)), None)
        self.references: list[Path] = []
        if self._stage is None and (arguments.at or arguments.style_to):
            raise ValueError(
                f"--at and --style-to change material, but {arguments.preset!r} has no Restyle."
            )
        self._keyframes = [Keyframe.parse(words, self._code) for words in arguments.at]
        self._last = self._code(arguments.style_to) if arguments.style_to else None
        self._new_noise = arguments.new_noise
        self.settings = {
            "at": [" ".join(words) for words in arguments.at],
            "style_to": arguments.style_to,
            "new_noise": arguments.new_noise,
            "keyframes": [digest_file(path) for path in self.references],
        }

    def _code(self, style: str) -> Tensor:
        assert self._stage is not None
        stage: Any = changed(self._stage, styles=[style], mix=0.0, jitter=0.0)
        self.references += stage.pool.files
        codes: Tensor = stage.draw(1, generator_of(self._seed, style)).codes
        return codes[0]

    def restyler(self, picture: Picture, seconds: float) -> tuple[Restyler, dict[str, Any]]:
        """For a film of some length; and what was drawn for it."""
        name = f"{picture.name}"
        plan = self.augment.draw(1, generator_of(self._seed, name, picture.copy))
        keyframes = list(self._keyframes)
        if self._last is not None:
            if not seconds:
                raise ValueError(
                    f"--style-to needs a film whose length is known, but that of {picture.source} "
                    "is not. Give --at with a moment."
                )
            keyframes.append(Keyframe(seconds, style=self._last))
        drawn = {f"{n}.{k}": v for n, values in plan.describe(0).items() for k, v in values.items()}
        made = Restyler(self.augment, plan, timeline=Timeline(keyframes), new_noise=self._new_noise)
        return made, drawn


def stylize_films(
    arguments: argparse.Namespace, augment: StyleAugment, settings: Mapping[str, Any]
) -> int:
    """Write changed copies of film files."""
    film = Film(arguments, augment)
    out, target = arguments.out, None
    if is_clip(out):
        if len(arguments.sources) > 1 or arguments.sources[0].is_dir() or arguments.copies > 1:
            raise ValueError(f"--out must be a folder for several films, but is the file {out}.")
        out, target = out.parent, out.name
    pictures = list_pictures(
        arguments.sources,
        out,
        copies=arguments.copies,
        others=film.references,
        find=list_clips,
        rename=target,
    )
    for picture in pictures:
        encoder_for(arguments.codec, picture.suffix)
    settings = {**settings, **film.settings, "codec": arguments.codec}
    with Outputs(out, pictures, settings, overwrite=arguments.overwrite) as outputs:
        for picture in outputs.missing:
            outputs.attempt([picture], partial(_one_film, picture, film, outputs, arguments))
    return outputs.report("films")


def _one_film(
    picture: Picture, film: Film, outputs: Outputs, arguments: argparse.Namespace
) -> None:
    clip, digest = Clip(picture.source), digest_file(picture.source)
    if clip.interlaced:
        warn(f"{picture.source} is interlaced, and becomes progressive: deinterlace it before.")
    restyler, drawn = film.restyler(picture, clip.seconds)
    target = outputs.out / picture.output
    made_of = {**outputs.settings_of(picture), "source": digest}
    bar = tqdm(total=clip.frames or None, desc=picture.name, unit="frame")
    with (
        bar,
        restyled_film(
            clip,
            target,
            restyler,
            made_of,
            codec=arguments.codec,
            device=arguments.device,
            advance=bar.update,
        ) as made,
    ):
        outputs.write(picture, made, digest=digest, drawn=drawn)


def stylize_frames(
    arguments: argparse.Namespace, augment: StyleAugment, settings: Mapping[str, Any]
) -> int:
    """Write changed copies of folders of numbered frames."""
    film, out = Film(arguments, augment), arguments.out
    rate = 25.0 if arguments.rate is None else arguments.rate
    if rate <= 0:
        raise ValueError(f"--rate must be above 0 frames per second, but is {rate}.")
    stages = [s for s in augment.stages if isinstance(s, Restyle)]
    references = [*film.references, *(f for s in stages for f in s.pool.files)]
    pictures = list_pictures(arguments.sources, out, copies=arguments.copies, others=references)
    settings = {**settings, **film.settings, "steady": True, "rate": rate}
    with (
        Outputs(out, pictures, settings, overwrite=arguments.overwrite) as outputs,
        tqdm(total=len(pictures), desc="stylize", unit="frame") as bar,
    ):
        missing = {picture.output for picture in outputs.missing}
        for _, group in groupby(sorted(pictures, key=_order), key=_film_of):
            frames = list(group)
            if missing.isdisjoint(frame.output for frame in frames):
                bar.update(len(frames))
                continue
            _one_sequence(frames, missing, film, outputs, rate, arguments, bar)
    return outputs.report("frames")


def _one_sequence(
    frames: Sequence[Picture],
    missing: set[str],
    film: Film,
    outputs: Outputs,
    rate: float,
    arguments: argparse.Namespace,
    bar: Any,
) -> None:
    restyler, drawn = film.restyler(
        Picture(frames[0].source, _film_of(frames[0])[0], "", frames[0].copy), len(frames) / rate
    )
    name = outputs.out / PurePosixPath(frames[0].output).parent / f"{frames[0].copy}"
    with ExitStack() as stack:
        outputs.out.mkdir(parents=True, exist_ok=True)
        parts = stack.enter_context(Parts(parts_folder(name), outputs.settings_of(frames[0])))
        done = int(parts.state["done"]) if parts.state else 0
        if done and missing.isdisjoint(frame.output for frame in frames[:done]):
            restyler.recall(parts.state)
        else:
            done = 0
        bar.update(done)
        for index, picture in enumerate(frames[done:], done):
            read = outputs.attempt(
                [picture] if picture.output in missing else [],
                partial(Content.read, picture.source, arguments.bits),
            )
            bar.update(1)
            if read is None:
                continue
            changed_frame = restyler(read.image.to(arguments.device), index / rate)
            if picture.output in missing:
                content = encode_picture(changed_frame, like=picture.source, suffix=picture.suffix)
                outputs.write(picture, content, digest=read.digest, drawn=drawn)
            if (index + 1) % PART == 0:
                parts.end({**restyler.tensors(), "done": torch.tensor(index + 1)})
    shutil.rmtree(parts_folder(name))


def _film_of(picture: Picture) -> tuple[str, int]:
    """The folder of a frame, and its copy."""
    return PurePosixPath(picture.name).parent.as_posix(), picture.copy


def _order(picture: Picture) -> tuple[Any, ...]:
    """Frames by folder and copy, then by the numbers in their names."""
    name = PurePosixPath(picture.name).name
    parts = re.split(r"(\d+)", name)
    return _film_of(picture), [int(p) if p.isdigit() else p for p in parts]
