"""Folders of pictures that a command mirrors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from styleaug.images.io import list_images, load_image, load_rgb


def mirrored(
    sources: Sequence[Path], out: Path, copies: int = 1
) -> list[tuple[Path, list[tuple[Path, str]]]]:
    """Each source image with its targets, and the names that seed their draws.

    Raises:
        ValueError: if a source is missing, two sources would write the same file, or a source would
            be overwritten.
    """
    pictures = [(path, source) for source in sources for path in list_images(source)]
    originals = {path.resolve() for path, _ in pictures}
    writers: dict[Path, Path] = {}
    jobs = []
    for path, source in pictures:
        relative = Path(path.name) if path == source else path.relative_to(source)
        suffix = relative.suffix if relative.suffix.lower() != ".jpeg" else ".jpg"
        marks = [""] if copies == 1 else [f"_{k + 1}" for k in range(copies)]
        targets = [out / relative.parent / f"{relative.stem}{mark}{suffix}" for mark in marks]
        for target in targets:
            if target in writers:
                raise ValueError(
                    f"Sources must have different names below {out}, but {writers[target]} and "
                    f"{path} both become {target}."
                )
            if target.resolve() in originals:
                raise ValueError(
                    f"--out must not be the source folder: {target} would be overwritten."
                )
            writers[target] = path
        jobs.append((path, [(target, relative.as_posix()) for target in targets]))
    return jobs


def load_picture(path: Path) -> Image.Image:
    """Gray images stay gray; all others become RGB."""
    image = load_image(path)
    return image if image.mode in ("L", "RGB") else load_rgb(path)
