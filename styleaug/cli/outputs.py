"""``Outputs``: pictures that a command makes of folders of images, and those that it need not."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import torch
from torch import Tensor

from styleaug import __version__
from styleaug.augment.plan import Plan, named
from styleaug.errors import MissingExtraError
from styleaug.files import digest_file
from styleaug.images.io import list_images, read_picture
from styleaug.manifest import LINES, TABLE, Entry, Manifest
from styleaug.runtime import is_out_of_memory
from styleaug.stages.base import Stage
from styleaug.stages.restyle import Restyle

T = TypeVar("T")

log = logging.getLogger(__name__)

OUT_OF_MEMORY = "out of memory. Try it alone, with a smaller --working-size"


@dataclass(frozen=True)
class Picture:
    """A picture to make.

    Attributes:
        source: the image that it is made of.
        name: of the source below its folder, with slashes.
        output: where it goes below the output folder, with slashes.
        copy: its number among the copies of its source, from 0.
        beside: digest of further files that it is made of.
    """

    source: Path
    name: str
    output: str
    copy: int = 0
    beside: str = ""

    @property
    def suffix(self) -> str:
        """What its format is known by."""
        return PurePosixPath(self.output).suffix


@dataclass(frozen=True, eq=False)
class Content:
    """What an image file holds: its pixels (C, H, W), and the digest of its bytes."""

    image: Tensor
    digest: str

    @classmethod
    def read(cls, path: Path, bits: int | None = None) -> Content:
        """Read a file; for ``bits`` and errors see :func:`~styleaug.images.io.read_picture`."""
        digest = digest_file(path)  # first: what is changed meanwhile counts as another image
        return cls(read_picture(path, bits=bits), digest)


def list_pictures(
    sources: Sequence[Path],
    out: Path,
    *,
    copies: int = 1,
    others: Sequence[Path] = (),
    find: Callable[[Path], list[Path]] = list_images,
    rename: str | None = None,
) -> list[Picture]:
    """What to make of images and folders of images: folders are mirrored, copies are numbered.

    Images in ``out`` are no sources where it lies inside a source, so a rerun finds the same ones.

    Args:
        sources: images and folders.
        out: the output folder.
        copies: of each image.
        others: further images that are read, and so must not be written.
        find: gives the images of a source, or other files that pictures are made of.
        rename: the name of the one that there is to be.

    Raises:
        ValueError: if a source is missing or empty, ``out`` is one, two sources would become the
            same file, or an image that is read would be overwritten.
    """
    pictures: list[Picture] = []
    writers: dict[str, Path] = {}
    for source in sources:
        for path in _files_of(source, out, find):
            relative = Path(path.name) if path == source else path.relative_to(source)
            suffix = relative.suffix if relative.suffix.lower() != ".jpeg" else ".jpg"
            for copy in range(copies):
                mark = f"_{copy + 1}" if copies > 1 else ""
                output = rename or (relative.parent / f"{relative.stem}{mark}{suffix}").as_posix()
                if output in writers:
                    raise ValueError(
                        f"Sources must have different names below {out}, but {writers[output]} "
                        f"and {path} both become {out / output}."
                    )
                writers[output] = path
                pictures.append(Picture(path, relative.as_posix(), output, copy))
    read = [*dict.fromkeys(picture.source for picture in pictures), *others]
    places, files = {path.resolve() for path in read}, {_identity(path) for path in read} - {None}
    for picture in pictures:
        target = out / picture.output
        # one file may have several names: links, and names in capitals on some systems
        if target.resolve() in places or _identity(target) in files:
            raise ValueError(
                f"What is read must not be written, but {target} is one of the images. Choose "
                "another --out."
            )
    return pictures


def _files_of(source: Path, out: Path, find: Callable[[Path], list[Path]]) -> list[Path]:
    """Files of a source that do not lie in the output folder."""
    images, folder = find(source), _identity(out)
    if source.is_file() or folder is None:
        return images
    if _identity(source) == folder:
        raise ValueError(f"--out must be another folder than the sources, but is {source}.")
    if folder in map(_identity, source.resolve().parents):
        return images
    inside: dict[Path, bool] = {}
    for parent in {path.parent for path in images}:
        place = parent.resolve()
        inside[parent] = folder in map(_identity, (place, *place.parents))
    kept = [path for path in images if not inside[path.parent]]
    if not kept:
        raise ValueError(f"{source} must hold images, but all that it has lie in --out, {out}.")
    return kept


def check_outside(
    out: Path, read: Iterable[Path | None], option: str, *, written: str = "--out"
) -> None:
    """Raise if an output is a file that is read, or lies in a folder that is read.

    The next run would read it, too.

    Args:
        out: what is to be written.
        read: files and folders; None for an option that is not given.
        option: that names them, for the message.
        written: that names ``out``.

    Raises:
        ValueError: naming both, and the options.
    """
    place = out.resolve()
    for other in filter(None, read):
        if other.is_dir() and other.resolve() in (place, *place.parents):
            raise ValueError(
                f"{written} must lie outside of {option}, because all images there are read, but "
                f"{out} lies in {other}. Choose another {written}."
            )
        # one file may have several names: links, and names in capitals on some systems
        if other.is_file() and (other.resolve() == place or _identity(other) == _identity(out)):
            raise ValueError(
                f"What is read must not be written, but {written} and {option} both name {out}. "
                f"Choose another {written}."
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """What is the same for all names of a file; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Outputs:
    """Makes pictures in a folder; a context in which they are written.

    A picture that is there, made with the same settings of the same image, is kept. Each picture
    has its line in the folder's record, see :class:`~styleaug.manifest.Manifest`.

    Args:
        out: the folder.
        pictures: all that it shall hold.
        settings: all that decides how they are made, by name; what JSON can hold.
        overwrite: make all of them, whatever is there.

    Attributes:
        missing: the pictures that are yet to be made.

    Raises:
        ValueError: if something else is where a picture must go. Nothing has been written then.
    """

    def __init__(
        self,
        out: Path,
        pictures: Sequence[Picture],
        settings: Mapping[str, Any],
        *,
        overwrite: bool = False,
    ) -> None:
        self.out, self.count = out, len(pictures)
        self._settings: dict[str, Any] = json.loads(json.dumps(settings))
        self._skipped = 0
        self._manifest = Manifest(out, repair=overwrite)
        there = {p.output for p in pictures if os.path.lexists(out / p.output)}
        self._check_ours(sorted(there - self._manifest.unfinished))
        if overwrite:
            self._replaced = there
        else:
            self._check([picture for picture in pictures if picture.output in there])
            self._replaced = there & self._manifest.unfinished
        kept = there - self._replaced
        self.missing = [picture for picture in pictures if picture.output not in kept]

    def _check_ours(self, there: Sequence[str]) -> None:
        """Raise if a file that is there was not made here: it may be somebody's original."""
        foreign = [output for output in there if output not in self._manifest.entries]
        if foreign:
            raise ValueError(
                f"{self.out / foreign[0]} is there, but {LINES} does not tell that it was made "
                "here, so it is not replaced. Choose another --out, or move the file away."
            )

    def _check(self, there: Sequence[Picture]) -> None:
        """Raise if a picture that is there is not what would be made."""
        table = self.out / TABLE
        if not self._manifest.path.exists() and table.exists():
            raise ValueError(_refusal(f"{table} is there, but was not written by this command"))
        for picture in there:
            target, entry = self.out / picture.output, self._manifest.entries[picture.output]
            wanted = self.settings_of(picture)
            names = {*wanted, *entry.settings}
            others = sorted(n for n in names if entry.settings.get(n) != wanted.get(n))
            if others:
                raise ValueError(_refusal(f"{target} was made with another {', '.join(others)}"))
        for picture in there:  # once the settings are the same: this takes longer
            entry, source = self._manifest.entries[picture.output], picture.source
            if os.access(source, os.R_OK) and digest_file(source) != entry.source_sha256:
                raise ValueError(
                    _refusal(f"{self.out / picture.output} was made of another image than {source}")
                )

    def settings_of(self, picture: Picture) -> dict[str, Any]:
        """All that decides how a picture is made."""
        beside = {"beside": picture.beside} if picture.beside else {}
        return {**self._settings, "copy": picture.copy, **beside}

    def __enter__(self) -> Outputs:
        """Clean up behind killed runs."""
        self._manifest.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Write the table, also on the way out of an error."""
        self._manifest.__exit__(*error)

    def attempt(self, pictures: Sequence[Picture], make: Callable[[], T]) -> T | None:
        """What ``make`` returns; None if it fails for these pictures, which are then skipped.

        A warning tells why.
        """
        try:
            return make()
        except (OSError, ValueError, MissingExtraError) as error:
            self.skip(pictures, str(error))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.skip(pictures, OUT_OF_MEMORY)
        return None

    def skip(self, pictures: Sequence[Picture], reason: str) -> None:
        """Leave pictures of one source out, with a warning."""
        log.warning("skipped %s: %s", pictures[0].source, reason)
        self._skipped += len(pictures)

    def write(
        self,
        picture: Picture,
        file: bytes | Path,
        *,
        digest: str,
        drawn: Mapping[str, Any],
        left: int = 0,
    ) -> None:
        """Write a picture and its line; skip it if the file system cannot hold its name.

        Args:
            picture: which one.
            file: what it holds, or a file on the same drive that is moved there.
            digest: of the file that it was made of.
            drawn: what it got.
            left: how many pictures, made together with it, come after it.

        Raises:
            OSError: if it cannot be written.
        """
        target = self.out / picture.output
        if picture.output not in self._replaced and os.path.lexists(target):
            raise OSError(f"{target} has come up while this command was running. Run it again.")
        entry = Entry(
            output=picture.output,
            source=str(picture.source),
            source_sha256=digest,
            sha256=_digest(file),
            version=__version__,
            settings=self.settings_of(picture),
            drawn=drawn,
            left=left,
        )
        try:
            self._manifest.add(entry, file)
        except OSError as error:
            if error.errno not in _BAD_NAMES:
                raise
            self.skip([picture], str(error))

    def report(self, kind: str = "images") -> int:
        """Tell how many pictures there are; the exit status."""
        skipped = f", {self._skipped} skipped" if self._skipped else ""
        made = self.count - self._skipped
        print(f"{made} {kind if made != 1 else kind.removesuffix('s')} in {self.out}{skipped}")
        if made:
            print(f"What each got: {self.out / TABLE}")
        return 1 if self._skipped else 0


def _digest(content: bytes | Path) -> str:
    if isinstance(content, Path):
        return digest_file(content)
    return hashlib.sha256(content).hexdigest()


_BAD_NAMES = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}
"""What a file system says of names that it cannot hold."""


def _refusal(reason: str) -> str:
    return f"{reason}. Choose another --out, or make it anew with --overwrite."


def generator_of(seed: int, name: str, copy: int = 0) -> torch.Generator:
    """A generator of its own for each picture: the order of work does not matter."""
    # a name of another encoding, out of a ZIP file, is a name, too
    text = f"{seed}/{copy}/{name}".encode(errors="surrogateescape")
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text).digest()[:7], "big"))


def settings_of_stages(stages: Sequence[Stage]) -> dict[str, Any]:
    """Arguments of stages by value: packs and pictures are told by their content."""
    found: dict[str, Any] = {}
    for name, stage in named(stages).items():
        settings = stage.settings()
        if isinstance(stage, Restyle):
            pictures = [digest_files(stage.pool.files)] if stage.pool.files else []
            settings |= {"pack": stage.pack_id, "styles": [*stage.pool.rows, *pictures]}
        found |= {f"{name}.{key}": value for key, value in settings.items()}
    return found


def drawn_of(plan: Plan) -> dict[str, Any]:
    """What a picture got, by stage and field, for its line."""
    drawn = plan.describe(0).items()
    return {f"{name}.{key}": v for name, values in drawn for key, v in values.items()}


def digest_files(files: Iterable[Path]) -> str:
    """Of the content of several files, in their order."""
    return hashlib.sha256("".join(map(digest_file, files)).encode()).hexdigest()
