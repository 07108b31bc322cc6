"""``styleaug studio``: a local page for tuning a preset on one's own parts."""

from __future__ import annotations

import argparse
import logging
import os
import socket
from pathlib import Path
from typing import Any

from styleaug.cli.options import add_command, add_options
from styleaug.errors import MissingExtraError
from styleaug.studio.figures import CSS
from styleaug.studio.layout import Start
from styleaug.studio.page import build_page
from styleaug.studio.pictures import find_samples
from styleaug.studio.settings import Settings

EXAMPLES = """examples:
  styleaug studio                     a part that is drawn; open your own on the page
  styleaug studio part.png
  styleaug studio tiles/              labelled images: defects are outlined and measured
  styleaug studio parts/ --preset masks --port 8000 --no-browser

The page is served on this machine, for this machine alone, and asks nothing of any other. Sliders
set the preset's stages; below the draws stands the code that builds the transform.
"""
_FIRST = 7860
"""Port that is tried first."""


def add_parser(commands: Any) -> None:
    """Register the command."""
    does = "Open a local page on which a preset is tuned on your own parts, and copied as code."
    parser = add_command(commands, "studio", run, does=does, examples=EXAMPLES)
    parser.add_argument(
        "source",
        nargs="?",
        type=Path,
        metavar="SRC",
        help="image, or folder of images, labelled or not (default: a part that is drawn)",
    )
    add_options(parser, "masks", "bits", "preset")
    group = parser.add_argument_group("running")
    group.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to serve on; under any other than the default, others in the network can "
        "open the page",
    )
    group.add_argument(
        "--port",
        type=port,
        metavar="N",
        help=f"port to serve on, 1 to {2**16 - 1} (default: the first free one from {_FIRST} on)",
    )
    group.add_argument(
        "--no-browser", action="store_true", help="print the address, and open no browser"
    )
    add_options(group, "pack", "device", "seed", size=Start.size)


def port(text: str) -> int:
    """A port's number, as an option's type."""
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) < 2**16):
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 1 to {2**16 - 1}, but is {text!r:.60}"
        )
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    Settings(arguments.preset, pack=arguments.pack).build()  # raises, before anything is opened
    samples = find_samples(arguments.source, masks=arguments.masks, bits=arguments.bits)
    gradio = load_gradio()
    start = Start(
        samples,
        preset=arguments.preset,
        pack=arguments.pack,
        size=arguments.size,
        seed=arguments.seed,
        device=str(arguments.device),
        bits=arguments.bits,
    )
    chosen = free_port(arguments.host, arguments.port)
    page = build_page(start, gradio)
    address = serve(page, gradio, arguments.host, chosen, browser=not arguments.no_browser)
    print(f"The studio is open at {address} (Ctrl+C ends it).", flush=True)
    page.block_thread()
    return 0


def load_gradio() -> Any:
    """Gradio, told to report nothing to anybody.

    Raises:
        MissingExtraError: if it is not installed.
    """
    # read when it is imported: no telemetry, no look for newer versions, no record of runs
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_RUN_HISTORY"] = "False"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import gradio
    except ImportError as error:
        raise MissingExtraError("gradio", "studio") from error
    return gradio


def serve(page: Any, gradio: Any, host: str, port: int, *, browser: bool = False) -> str:
    """Serve the page from a thread of its own; its address.

    Args:
        page: of :func:`build_page`.
        gradio: the module.
        host: address to serve on.
        port: that is free.
        browser: whether to open it there.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio asks its own server
    fonts = {"font": ("system-ui", "sans-serif"), "font_mono": ("ui-monospace", "monospace")}
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        inbrowser=browser,
        prevent_thread_lock=True,
        share=False,
        quiet=True,
        ssr_mode=False,  # it would need Node.js
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        footer_links=[],
        theme=gradio.themes.Default(**fonts),  # the reader's own: nothing is fetched
        css=CSS,
    )
    return str(address)


def free_port(host: str, wanted: int | None) -> int:
    """A port that is free: the one that is wanted, or the first from 7860 on.

    Raises:
        OSError: if there is none, or the host is no address of this machine.
    """
    for number in [wanted] if wanted else range(_FIRST, _FIRST + 100):
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as found:
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                found.bind((host, number))
        except OSError as error:
            problem = error
        else:
            return number
    told = f"--port {wanted}" if wanted else "a free port"
    raise OSError(
        f"The page needs {told} on {host}, but that cannot be had ({problem}). Choose another by "
        "--port or --host."
    )
