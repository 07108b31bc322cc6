"""The page "Try it" in a browser without a window: for its tests, its pictures and its figures."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "try"
NAMES = ("chromium", "chromium-browser", "google-chrome")
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
"""Headers that let a page share memory between threads."""


def missing() -> str | None:
    """Why the page cannot be opened here, in a sentence, or None."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "Playwright is not installed: pip install playwright."
    if not find_browser():
        return "Chromium is not installed: apt-get install chromium."
    if not (PAGE / "model" / "page.json").is_file() or not (PAGE / "vendor").is_dir():
        return "The page is not built: make page."
    return None


def find_browser() -> str | None:
    """The path of a Chromium, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def browser(*, camera: bool = True) -> Iterator[Any]:
    """A Chromium, driven by Playwright; its camera is drawn."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", *(CAMERA if camera else ())]
        opened = playwright.chromium.launch(executable_path=find_browser(), args=arguments)
        yield opened
        opened.close()


@contextmanager
def served(folder: Path = PAGE.parent, *, isolated: bool = False) -> Iterator[str]:
    """The address at which a folder can be fetched."""
    handler = partial(_Handler, headers=ISOLATED if isolated else {}, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    """Sends further headers, and tells nothing."""

    def __init__(self, *args: Any, headers: dict[str, str], **kwargs: Any) -> None:
        self._headers = headers
        super().__init__(*args, **kwargs)

    def end_headers(self) -> None:
        for name, value in self._headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass
