"""``Clip``: a film file that is read; ``Encoder``: one that is written; ``join`` with the sound."""

from __future__ import annotations

import errno
import functools
import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from styleaug.errors import MissingExtraError, did_you_mean

CLIP_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")

_ALONE = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,webm,avi,nut,mpegts,mpeg,flv,ogg",
}
"""What FFmpeg may open: no playlists, which name other files and addresses, whatever the suffix."""

_OF_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}

_CONTAINERS = {".m4v": "mp4"}
"""That FFmpeg's own guess by the suffix would miss: it takes it for a raw stream."""

_SETTINGS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "18"},
    "libx265": {"crf": "20"},
    "libvpx-vp9": {"crf": "24", "b": "0", "row-mt": "1"},
    "mpeg4": {"qscale": "2"},
}
"""Of encoders, for pictures that look as they were; others keep their defaults."""

_ENCODERS = {".webm": "libvpx-vp9", ".avi": "mpeg4"}
"""Of containers that libx264 does not suit."""

_FLOAT = {True: "grayf32le", False: "gbrpf32le"}
"""Of gray films, and of those with colours."""

_MATRICES = (1, 4, 5, 7, 9)
"""Ways to code colours that FFmpeg converts; what says nothing is BT.709 in high definition, else
BT.601."""


class Clip:
    """A film file, of which one video stream is read.

    Args:
        path: of the file.

    Attributes:
        path: as given.
        size: (height, width), in pixels.
        time_base: the unit of its time stamps, in seconds.
        rate: frames per second, on average.
        frames: how many there are, as far as is known; 0 if not.
        seconds: how long it is, as far as is known; 0 if not.

    Raises:
        ValueError: if it is no film, or has no video that can be decoded.
        MissingExtraError: if PyAV is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.opened() as container:
            stream = container.streams.video[0]
            first = next(self._decoded(container), None)
            if first is None:
                raise ValueError(f"{path} must have frames, but has none.")
            self.size = (first.height, first.width)
            self.time_base: Fraction = stream.time_base
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
            self.frames = stream.frames or 0
            self._ends = _seconds(stream.duration, stream.time_base)
            if self._ends is None and len(container.streams) == 1:
                self._ends = _seconds(container.duration, Fraction(1, 1_000_000))
            self.seconds = self._ends or _seconds(container.duration, Fraction(1, 1_000_000)) or 0.0
            self.frames = self.frames or round(self.seconds * self.rate)
            self.matrix = _display_matrix(first)
            self._first = first
            self._context = stream.codec_context
            self.interlaced = bool(first.interlaced_frame)

    def opened(self) -> Any:
        """The container, open: a context."""
        av = _pyav()
        try:
            container = av.open(str(self.path), options=_ALONE, metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            raise ValueError(
                f"{self.path} must be a film that FFmpeg reads, but is not ({_told(error)})."
            ) from error
        videos = [s for s in container.streams.video if not _is_cover(s)]
        if not videos:
            container.close()
            raise ValueError(f"{self.path} must have a video stream, but has none.")
        if videos[0].codec_context is None:
            container.close()
            raise ValueError(
                f"{self.path} must have a video that FFmpeg decodes, but this one has no decoder "
                "for its codec."
            )
        videos[0].thread_type = "AUTO"
        return container

    def read(self, after: int | None = None) -> Iterator[tuple[Any, float]]:
        """Frames with their times in seconds, from the first or after a time stamp.

        Raises:
            ValueError: if the file is damaged, or ends too early.
        """
        with self.opened() as container:
            last, end = -1, 0.0
            if after is not None:
                last, end = after, float(after * self.time_base)
            for frame in self._decoded(container, after):
                if frame.pts is None:
                    frame.pts = last + max(1, round(1 / (self.rate * self.time_base)))
                if after is not None and frame.pts <= after:
                    continue
                frame.pts = max(frame.pts, last + 1) if last >= 0 else frame.pts
                last, end = frame.pts, float((frame.pts + (frame.duration or 0)) * self.time_base)
                yield frame, float(frame.pts * self.time_base)
            if self._ends is not None and end < self._ends - max(0.5, 5 / float(self.rate)):
                raise ValueError(
                    f"{self.path} must be whole, but ends after {end:.1f} of {self._ends:.1f} "
                    "seconds."
                )

    def _decoded(self, container: Any, after: int | None = None) -> Iterator[Any]:
        """Frames from the first, or from one before a time stamp."""
        av = _pyav()
        try:
            if after is not None:
                container.seek(after, stream=container.streams.video[0], backward=True)
            yield from container.decode(video=0)
        except av.FFmpegError as error:
            raise ValueError(
                f"{self.path} must be a film that FFmpeg decodes, but is damaged ({_told(error)})."
            ) from error

    @property
    def bits(self) -> int:
        """Of its colours."""
        return max(int(component.bits) for component in self._first.format.components)

    @property
    def gray(self) -> bool:
        """Whether it has no colours."""
        return str(self._first.format.name).startswith("gray")

    def pixels(self, frame: Any) -> Tensor:
        """A frame as (C, H, W), float32 in [0, 1]; C = 3, or 1 for gray."""
        # floats: rgb24 and back would make every film darker by a level
        array = frame.to_ndarray(format=_FLOAT[self.gray], **self._conversion("src", frame))
        array = array[None] if self.gray else array.transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(array)).clamp_(0, 1)

    def _conversion(self, side: str, frame: Any) -> dict[str, Any]:
        """How colours are coded, for the way there and back alike."""
        usual = 1 if self.size[0] >= 720 else 5
        matrix = frame.colorspace if frame.colorspace in _MATRICES else usual
        return {f"{side}_colorspace": matrix, f"{side}_color_range": self.span(frame)}

    def span(self, frame: Any) -> int:
        """FFmpeg's number of the range of its values: what says nothing is full if it is gray."""
        return frame.color_range or (2 if self.gray else 1)

    def coded(self, pixels: Tensor, like: Any, pix_fmt: str) -> Any:
        """A frame of pixels (C, H, W), to be encoded, with time and colours of another one."""
        array = pixels.cpu().numpy()
        array = array[0] if self.gray else array.transpose(1, 2, 0)
        frame = _pyav().VideoFrame.from_ndarray(np.ascontiguousarray(array), _FLOAT[self.gray])
        frame = frame.reformat(format=pix_fmt, **self._conversion("dst", like))
        frame.pts, frame.time_base = like.pts, self.time_base
        frame.color_range, frame.colorspace = self.span(like), like.colorspace
        return frame


class Encoder:
    """Writes frames of a clip as a part of the new film; a context.

    Args:
        path: of the part; its container, NUT, keeps every time stamp.
        clip: whose frames they are.
        codec: FFmpeg's name of the encoder.
    """

    def __init__(self, path: Path, clip: Clip, codec: str) -> None:
        self._clip, self._codec = clip, codec
        av = _pyav()
        self._container = av.open(str(path), "w", format="nut")
        stream = self._container.add_stream(codec, rate=clip.rate, options=_SETTINGS.get(codec, {}))
        context, source = stream.codec_context, clip._context
        stream.height, stream.width = clip.size
        self.pix_fmt = stream.pix_fmt = _pixel_format(codec, clip)
        stream.time_base = context.time_base = clip.time_base
        context.max_b_frames = 0  # time stamps of the parts must not overlap
        if source.sample_aspect_ratio:
            context.sample_aspect_ratio = source.sample_aspect_ratio
        context.color_range = clip.span(clip._first)
        for name in ("colorspace", "color_primaries", "color_trc"):
            setattr(context, name, getattr(source, name))
        self._stream = stream

    def add(self, pixels: Tensor, like: Any) -> None:
        """Write a frame (C, H, W) at the time of another one."""
        self._put(self._clip.coded(pixels, like, self.pix_fmt))

    def _put(self, frame: Any) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except _pyav().FFmpegError as error:
            _raise_if_of_disk(error)
            raise ValueError(
                f"codec must be an encoder that works on this machine and takes frames of "
                f"{self._clip.size[1]} x {self._clip.size[0]} pixels, but {self._codec} does not "
                f"({_told(error)})."
            ) from error

    def __enter__(self) -> Encoder:
        """Begin."""
        return self

    def __exit__(self, *error: Any) -> None:
        """Write what is left, and close."""
        if error[0] is None:
            self._put(None)
        self._container.close()


def encoder_for(codec: str | None, suffix: str) -> str:
    """FFmpeg's name of an encoder: the one given, or what suits a suffix.

    Raises:
        ValueError: if this FFmpeg has no such encoder.
    """
    av = _pyav()
    name = codec or _ENCODERS.get(suffix.lower(), "libx264")
    try:
        found = av.Codec(name, "w")
    except ValueError:
        found = None
    if found is None or found.type != "video":
        encoders = [n for n in _SETTINGS if n in av.codecs_available]
        raise ValueError(
            f"codec must be a video encoder of this FFmpeg, such as {', '.join(encoders)}, but is "
            f"{name!r}.{did_you_mean(name, av.codecs_available)}"
        )
    return name


def join(parts: Sequence[Path], clip: Clip, target: Path, *, last: int = 0) -> None:
    """Put parts of a film together, with the sound and whatever else its source has.

    Args:
        parts: in their order.
        clip: the source.
        target: the file to be written; its suffix tells the container.
        last: how long the last frame stays, in the clip's time base; 0 if that is not known.

    Raises:
        ValueError: if the container cannot hold it.
    """
    av = _pyav()
    try:
        with (
            clip.opened() as source,
            av.open(str(parts[0])) as part,
            av.open(str(target), "w", format=_CONTAINERS.get(target.suffix.lower())) as out,
        ):
            out.metadata.update(source.metadata)
            video = out.add_stream_from_template(part.streams.video[0])
            video.time_base = clip.time_base
            video.codec_context.framerate = clip.rate
            video.metadata.update(source.streams.video[0].metadata)
            if clip.matrix is not None:
                video.set_display_matrix(clip.matrix)
            others = {
                stream: out.add_stream_from_template(stream)
                for stream in source.streams
                if stream.type in ("audio", "subtitle")
            }
            for old, new in others.items():
                new.metadata.update(old.metadata)
            for packet, stream in heapq.merge(
                _video_packets(parts, video, last * clip.time_base),
                _other_packets(source, others),
                key=_moment,
            ):
                packet.stream = stream
                out.mux(packet)
    except (av.FFmpegError, ValueError) as error:
        _raise_if_of_disk(error)
        raise ValueError(
            f"{clip.path} must be what a file {target.suffix} can hold, but is not "
            f"({_told(error)}). Choose another suffix for --out, such as .mkv."
        ) from error


def _video_packets(parts: Sequence[Path], stream: Any, last: Fraction) -> Iterator[tuple[Any, Any]]:
    """Packets of the parts; the last of all is given its length, which the parts do not keep."""
    held = None
    for part in parts:
        with _pyav().open(str(part)) as container:
            for packet in container.demux(video=0):
                if packet.dts is None:
                    continue
                if held is not None:
                    yield held, stream
                held = packet
    if held is not None:
        held.duration = round(last / held.time_base) or held.duration
        yield held, stream


def _other_packets(source: Any, streams: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
    if not streams:
        return
    for packet in source.demux(list(streams)):
        if packet.dts is not None:
            yield packet, streams[packet.stream]


def _moment(pair: tuple[Any, Any]) -> float:
    packet, _ = pair
    return float(packet.dts * packet.time_base)


def _pixel_format(codec: str, clip: Clip) -> str:
    """The clip's own if the encoder takes it, else the nearest that it does."""
    av = _pyav()
    wanted, (height, width) = str(clip._first.format.name), clip.size
    wanted = wanted.replace("yuvj", "yuv").replace("yuva", "yuv")
    formats = av.Codec(codec, "w").video_formats
    known = [f.name for f in formats] if formats else [wanted]
    odd = height % 2 or width % 2
    deep = "10le" if clip.bits > 8 else ""
    usual = [f"yuv444p{deep}"] if odd else [f"yuv420p{deep}", f"yuv422p{deep}", f"yuv444p{deep}"]
    if not odd or "444" in wanted or "gray" in wanted:
        usual = [wanted, *usual]
    return next((name for name in (*usual, "yuv420p", "rgb24") if name in known), known[0])


def _display_matrix(frame: Any) -> list[int] | None:
    """How players turn the picture."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return [int(value) for value in np.frombuffer(bytes(data), np.int32)]
    return None


def _is_cover(stream: Any) -> bool:
    av = _pyav()
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _seconds(duration: int | None, unit: Fraction) -> float | None:
    return None if duration is None else float(duration * unit)


def _raise_if_of_disk(error: Exception) -> None:
    """What a full or broken disk says is no fault of the film: another run may go on."""
    if isinstance(error, OSError) and error.errno in _OF_DISK:
        raise error


def _told(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


@functools.cache
def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingExtraError("av", "video") from error
    av.logging.set_level(None)
    return av
