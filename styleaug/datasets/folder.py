"""``Folder``: what lies in the folder of a dataset, listed once for all readers."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from styleaug.datasets.names import folders_of, is_passed, split_word
from styleaug.datasets.samples import Sample


@dataclass(frozen=True)
class Reading:
    """What a reader found.

    Attributes:
        samples: in any order.
        notes: what was left out or taken in a way that may surprise, a sentence each.
    """

    samples: Sequence[Sample]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Folder:
    """The files of a dataset.

    Attributes:
        root: the folder.
        images: all images below it, sorted; masks are none.
        masks: mask files of each image that has any.
        files: all other files below it, sorted.
    """

    root: Path
    images: tuple[Path, ...]
    masks: Mapping[Path, tuple[Path, ...]]
    files: tuple[Path, ...]

    def others(self, *suffixes: str) -> list[Path]:
        """Files with one of some suffixes, in lower case, that are no images."""
        return [file for file in self.files if file.suffix.lower() in suffixes]

    def split_of(self, file: Path) -> str:
        """The split that the folders of a file mean; "" if they mean none."""
        return split_word(folders_of(file, self.root))

    def passed(self, image: Path) -> bool:
        """Whether an image lies in a folder of parts without defects, so that none is missed."""
        return any(map(is_passed, folders_of(image, self.root)))

    def find(
        self, name: str, *, split: str = "", near: Path | None = None, moved: bool = False
    ) -> Path | None:
        """The image that an annotation file names.

        ``name`` is the end of its path: a file name, perhaps with folders, with slashes of either
        kind, and perhaps encoded as in a URL. Of paths on another machine or on a server, the
        longest end that exists counts. A path that leads to an image from ``near`` or from the root
        goes before others that end so. Upper and lower case, and a missing or another suffix,
        matter only where they must.

        Args:
            name: as it is written.
            split: of several images that fit, take that of this split.
            near: of several, take that below this folder.
            moved: the longest end counts of any path, since it starts from somewhere else.

        Returns:
            The image; None if there is none.

        Raises:
            ValueError: if several fit.
        """
        for text in dict.fromkeys((name, unquote(re.sub(r"[?#].*", "", name)))):
            parts, foreign = _parts(text)
            for base in (near or self.root, self.root) if len(parts) > 1 else ():
                if (image := base.joinpath(*parts)) in self._known:
                    return image
            ends = [parts[i:] for i in range(len(parts) if foreign or moved else bool(parts))]
            for end in ends:
                fitting = next(filter(None, (self._fitting(end, how) for how in range(3))), [])
                if len(fitting) > 1:
                    fitting = self._closest(name, fitting, split, near)
                if fitting:
                    return fitting[0]
        return None

    def _fitting(self, end: tuple[str, ...], how: int) -> list[Path]:
        """Images whose paths end so: exactly, but for the case, or but for the suffix."""
        if how == 0:
            named = self._by_name.get(end[-1], [])
            return [image for image in named if image.parts[-len(end) :] == end]
        wanted = tuple(part.lower() for part in end)
        by = (self._by_lower_name, self._by_stem)[how - 1]
        key = wanted[-1] if how == 1 else Path(wanted[-1]).stem
        named = [*by.get(key, []), *(by.get(wanted[-1], []) if how == 2 else [])]
        folders = tuple(wanted[:-1])
        return [
            image
            for image in dict.fromkeys(named)
            if not folders or tuple(map(str.lower, image.parts[-len(end) : -1])) == folders
        ]

    def _closest(
        self, name: str, images: Sequence[Path], split: str, near: Path | None
    ) -> list[Path]:
        below = [image for image in images if near is not None and image.is_relative_to(near)]
        found = below if len(below) == 1 else []
        if not found:
            found = [image for image in images if self.split_of(image) == split]
        if len(found) != 1:
            raise ValueError(
                f"An annotation file must name each image in one way, but {name!r} fits several "
                f"files below {self.root}. Write the folders of the images into the names."
            )
        return found

    @cached_property
    def _known(self) -> frozenset[Path]:
        return frozenset(self.images)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: defaultdict[str, list[Path]] = defaultdict(list)
        for image in self.images:
            found[image.name].append(image)
        return dict(found)

    @cached_property
    def _by_lower_name(self) -> dict[str, list[Path]]:
        found: defaultdict[str, list[Path]] = defaultdict(list)
        for image in self.images:
            found[image.name.lower()].append(image)
        return dict(found)

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        found: defaultdict[str, list[Path]] = defaultdict(list)
        for image in self.images:
            found[image.stem.lower()].append(image)
        return dict(found)


def note_left_out(images: int, why: str) -> tuple[str, ...]:
    """The note about so many images that are no samples; none if there are none."""
    return (f"{images} of the images are left out: {why}.",) if images else ()


def note_ignored(kinds: Counter[str]) -> tuple[str, ...]:
    """The notes about shapes that are not read, counted by kind."""
    return tuple(
        f"{count} shapes of kind {kind} are ignored: they mark no area."
        for kind, count in sorted(kinds.items())
    )


def _parts(name: str) -> tuple[tuple[str, ...], bool]:
    """The parts of a written path, and whether it leads elsewhere: above, or to another machine."""
    text = name.strip().replace("\\", "/")
    plain = re.sub(r"^(?:[a-zA-Z][\w+.-]*:)?/*", "", text)
    parts = tuple(part for part in plain.split("/") if part not in {"", ".", ".."})
    return parts, plain != text or text.startswith("../")
