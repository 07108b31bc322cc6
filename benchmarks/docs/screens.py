"""Draw docs/assets/try.jpg: the page "Try it" on a desk and on a phone.

make page
python -m benchmarks.docs.screens [--out FILE]
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.browser import browser, missing, served
from benchmarks.rows import parser_of

OUT = Path(__file__).parents[2] / "docs" / "assets" / "try.jpg"
DESK, PHONE = (1280, 812), (390, 812)
GAP = 24
GROUND = (128, 134, 146)


def shoot(
    opened: Any, address: str, window: tuple[int, int], scheme: str, *, part: int, size: int
) -> Image.Image:
    """The page with a mixture of styles."""
    viewport = {"width": window[0], "height": window[1]}
    page = opened.new_page(viewport=viewport, color_scheme=scheme)
    page.goto(f"{address}try/")
    page.wait_for_selector("body[data-ready]")
    page.locator(".part").nth(part).click()
    page.locator(f"#size label:has(input[value='{size}'])").click()
    page.wait_for_timeout(4000)  # thumbnails
    box = page.locator("#pad").bounding_box()
    x, y = (box["x"] + 0.15 * box["width"], box["y"] + 0.12 * box["height"])
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.up()
    for k in range(60):  # as warm as in use
        page.locator("#texture").fill(str(k / 100))
        page.wait_for_timeout(60)
    page.evaluate("scrollTo(0, 0)")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    return picture


def main(arguments: Sequence[str]) -> None:
    """Draw and write the picture."""
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    if reason := missing():
        raise SystemExit(reason)
    with served() as address, browser() as opened:
        desk = shoot(opened, address, DESK, "light", part=0, size=512)
        phone = shoot(opened, address, PHONE, "dark", part=2, size=256)
    sheet = Image.new("RGB", (desk.width + GAP + phone.width, desk.height), GROUND)
    sheet.paste(desk, (0, 0))
    sheet.paste(phone, (desk.width + GAP, 0))
    sheet.save(options.out, quality=82)
    print(options.out)


if __name__ == "__main__":
    main(sys.argv[1:])
