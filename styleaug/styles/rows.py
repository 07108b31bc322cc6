"""New rows for a pack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor

from styleaug.images.color import to_float
from styleaug.images.io import list_images, load_rgb, spread, to_tensor
from styleaug.networks import encode
from styleaug.pack import StylePack
from styleaug.styles.learn import NewStyle, check_options, learn_style
from styleaug.styles.probes import PROBE_SIZE

_APART = 0.25


def with_styles(pack: StylePack, styles: Sequence[NewStyle], tags: Sequence[str]) -> StylePack:
    """Return a new pack with rows for more styles; the old rows stay bit for bit.

    Args:
        pack: the old pack; it does not change.
        styles: styles to add.
        tags: tags of all new rows; styles that the network does not master also get ``gatys``.
    """
    return pack.extended(
        torch.stack([style.code for style in styles]),
        [style.name for style in styles],
        [(*tags, "gatys") if style.method == "gatys" else tuple(tags) for style in styles],
        {style.name: style.to_dict() for style in styles},
        style_residuals=[style.style_residual for style in styles],
    )


def find_distinct(pack: StylePack, codes: Tensor) -> list[int]:
    """Rows of ``codes`` (N, code_size) that differ: of near-duplicates the first.

    Alike are codes that are closer than a quarter of the median distance of the pack's own rows to
    their nearest neighbours, in standard deviations over the pack.
    """
    spread = pack.codes.std(0, correction=0) + 1e-4
    known = pack.codes / spread
    some = known[:: max(1, len(known) // 256)]
    near = torch.cdist(some, known)
    near[near < 1e-6] = torch.inf
    limit = _APART * near.amin(1).median() if len(known) > 1 else torch.tensor(0.0)
    kept: list[int] = []
    for row, code in enumerate(codes / spread):
        others = codes[kept] / spread
        if not kept or bool((others - code).norm(dim=1).min() > limit):
            kept.append(row)
    return kept


def add_styles(
    pack: StylePack,
    sources: str | Path | Sequence[str | Path],
    name: str,
    *,
    method: str | None = None,
    contents: str | Path | Sequence[str | Path] = (),
    steps: int = 200,
    device: torch.device | str = "cpu",
    progress: Callable[[str, int, int], object] | None = None,
) -> tuple[StylePack, list[NewStyle]]:
    """Add pictures as styles: one by its name; several, without near-duplicates, by a tag.

    Args:
        pack: the old pack; it does not change.
        sources: pictures, or folders of pictures.
        name: name of the style; for several, the tag and the first part of each name.
        method: see :func:`learn_style`; by default ``"auto"`` for one picture, otherwise
            ``"encode"``.
        contents: images to restyle, or folders of them; styles are tested and fitted on up to 32 of
            these, by default on procedural surfaces.
        steps: steps of each fit.
        device: where to compute.
        progress: called with the current task, the work done, and the total.

    Returns:
        The new pack, and the findings for each new style. If several are encoded, only the first is
        measured.

    Raises:
        ValueError: if a name is taken, or an option is out of bounds.
        OSError: if a picture cannot be read.

    Examples:
        >>> import tempfile
        >>> from styleaug.images.io import save_image, to_image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for k in range(2):
        ...     save_image(folder / f"{k}.png", to_image(torch.full((3, 40, 40), 200 * k).byte()))
        >>> pack, styles = add_styles(StylePack.random(), folder, "line7", method="encode")
        >>> pack.names[-1], styles[0].method
        ('line7/1', 'encode')
    """

    def tell(what: str, done: int, count: int) -> None:
        if progress is not None:
            progress(what, done, count)

    check_options(method or "auto", steps)
    files = list_images(sources)
    names, tags = _name_rows(files, name)
    pack.check_new({*names, name})
    tried = _load_contents(contents) if contents else None
    codes = []
    for k, path in enumerate(files):
        codes.append(encode(pack, to_tensor(load_rgb(path))[None].to(device))[0].cpu())
        tell("encode", k + 1, len(files))
    kept = find_distinct(pack, torch.stack(codes))
    method = method or ("auto" if len(kept) == 1 else "encode")
    styles: list[NewStyle] = []
    for row in kept:
        if method == "encode" and styles:
            style = NewStyle(names[row], method, codes[row])
        else:
            style = learn_style(
                pack,
                to_tensor(load_rgb(files[row])).to(device),
                names[row],
                method=method,
                contents=tried,
                steps=steps,
                progress=partial(tell, f"fit {names[row]}"),
            )
        styles.append(replace(style, source=str(files[row])))
    return with_styles(pack, styles, tags), styles


def _load_contents(sources: str | Path | Sequence[str | Path]) -> Tensor:
    """Squares (N, 3, S, S), float, of at most 32 images, evenly from all."""
    size = (PROBE_SIZE, PROBE_SIZE)
    squares = [
        to_tensor(ImageOps.fit(load_rgb(path), size, Image.Resampling.BILINEAR))
        for path in spread(list_images(sources), 32)
    ]
    return to_float(torch.stack(squares))


def _name_rows(files: Sequence[Path], name: str) -> tuple[list[str], list[str]]:
    """Names of the rows, and their tags."""
    if len(files) == 1:
        return [name], ["added"]
    names: list[str] = []
    for path in files:
        stem, k = f"{name}/{path.stem}", 2
        while stem in names:
            stem, k = f"{name}/{path.stem}-{k}", k + 1
        names.append(stem)
    return names, [name, "added"]
