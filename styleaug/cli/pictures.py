"""Folders of pictures that a command mirrors."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from styleaug.images.io import find_images, load_image, load_rgb


def mirrored(
    sources: list[Path], out: Path, copies: int = 1
) -> list[tuple[Path, list[tuple[Path, str]]]]:
    """Each source image with its targets, and the names that seed their draws.

    Raises:
        ValueError: if a source is missing, or two sources would write the same file.
    """
    jobs: dict[Path, tuple[Path, list[tuple[Path, str]]]] = {}
    for source in sources:
        if source.is_file():
            found = [(source, Path(source.name))]
        else:
            found = [(path, path.relative_to(source)) for path in find_images(source)]
        for path, relative in found:
            suffix = relative.suffix if relative.suffix.lower() != ".jpeg" else ".jpg"
            stems = (
                [relative.stem]
                if copies == 1
                else [f"{relative.stem}_{k + 1}" for k in range(copies)]
            )
            targets = [
                (out / relative.parent / f"{stem}{suffix}", relative.as_posix()) for stem in stems
            ]
            if targets[0][0] in jobs:
                raise ValueError(
                    f"Sources must have different names below {out}, but {path} and "
                    f"{jobs[targets[0][0]][0]} both become {targets[0][0]}."
                )
            if targets[0][0].resolve() == path.resolve():
                raise ValueError(
                    f"--out must not be the source folder: {path} would be overwritten."
                )
            jobs[targets[0][0]] = (path, targets)
    return list(jobs.values())


def load_picture(path: Path) -> Image.Image:
    """Gray images stay gray; all others become RGB."""
    image = load_image(path)
    return image if image.mode in ("L", "RGB") else load_rgb(path)
