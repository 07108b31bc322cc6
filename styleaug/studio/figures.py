"""Pictures as the page shows them: with captions below, and filling the window when clicked."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from torch import Tensor

from styleaug.images.io import encode_image, to_image
from styleaug.studio.pictures import Draw

CSS = """
.gradio-container {max-width: 1700px !important}
footer {display: none !important}
.does {font-size: 0.85em !important}
.draws {display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 12px}
figure.shown {margin: 0; font-size: 0.75em; white-space: pre-line}
figure.waiting {aspect-ratio: 1; background: #8882}
figure.shown img {width: 100%; cursor: zoom-in}
.alone figure.shown {font-size: 0.85em}
.alone figure.shown img {max-height: 560px; object-fit: contain}
figure.shown:focus img {position: fixed; inset: 4vh 4vw; width: 92vw; height: 92vh; z-index: 99;
  max-height: none; object-fit: contain; background: #000c; cursor: zoom-out}
"""


def figure(image: Tensor, caption: str, *, exact: bool = False) -> str:
    """A picture (3, H, W), uint8, with its caption, as HTML that needs no file.

    Args:
        image: the picture.
        caption: below it; a line break begins a line.
        exact: pixel by pixel, in place of a good JPEG, which is smaller.
    """
    picture, told = to_image(image), escape(caption)
    # of PNG the quickest, because the reader waits for it
    suffix, settings = (".png", {"compress_level": 1}) if exact else (".jpg", {})
    content = b64encode(encode_image(picture, suffix, **settings)).decode("ascii")
    kind = "png" if exact else "jpeg"
    return (
        f'<figure class="shown" tabindex="0"><img src="data:image/{kind};base64,{content}" '
        f'alt="{told}" decoding="sync"><figcaption>{told}</figcaption></figure>'
    )


def alone(draw: Draw, before: float | None) -> str:
    """One draw, exactly."""
    return f'<div class="alone">{figure(draw.image, draw.told(before), exact=True)}</div>'


def side_by_side(draws: Sequence[Draw], before: float | None, count: int) -> str:
    """Several draws, and room for those of ``count`` that are still to come."""
    figures = [figure(draw.image, draw.told(before)) for draw in draws]
    figures += ['<figure class="shown waiting"></figure>'] * (count - len(draws))
    return f'<div class="draws">{"".join(figures)}</div>'
