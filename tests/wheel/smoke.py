"""Run an installed wheel, where nothing but the wheel and what it needs is installed.

Run it in an empty folder outside of the repository: ``python smoke.py``. It writes there.
Connections to a network raise an error.
"""

import contextlib
import importlib.metadata
import importlib.util
import io
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
EXTRAS = ("albumentations", "cv2", "gradio", "kornia", "lightning", "matplotlib", "onnx", "timm")


def refuse(event, args):
    """Let nothing reach a network."""
    if event in NETWORK:
        raise RuntimeError(f"The package must not use a network, but called {event}{args}.")


def run_command(*words):
    """Run a command of the package here, and return what it prints."""
    from styleaug.cli import main

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = main(words)
    assert status == 0, f"styleaug {' '.join(words)} must end with 0, but ended with {status}"
    return printed.getvalue()


def draw_part(path):
    """A gray plate with a scratch."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (160, 120), (120, 122, 126))
    ImageDraw.Draw(image).line([(30, 40), (120, 70)], fill=(40, 40, 44), width=2)
    image.save(path)


def main():
    """Run what a user runs first."""
    sys.addaudithook(refuse)
    import torch

    import styleaug

    installed = Path(sysconfig.get_path("purelib")).resolve()
    assert installed in Path(styleaug.__file__).resolve().parents, styleaug.__file__
    assert importlib.metadata.version("styleaug") == styleaug.__version__
    extras = [name for name in EXTRAS if importlib.util.find_spec(name)]
    assert not extras, f"The environment must be empty, but holds {', '.join(extras)}."
    for name in styleaug.__all__:
        getattr(styleaug, name)

    readme = importlib.metadata.metadata("styleaug").json["description"]
    block = re.search(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)[1]
    exec(compile(block, "README.md", "exec"), {})

    torch.manual_seed(0)
    batch = torch.randint(0, 256, (4, 3, 96, 128), dtype=torch.uint8)
    styled = styleaug.StyleAugment(p=1)(batch)
    assert (styled.shape, styled.dtype) == (batch.shape, batch.dtype)
    assert not torch.equal(styled, batch)

    part, sheet = Path("part.png"), Path("sheet.png")
    draw_part(part)
    run_command("preview", str(part), "--out", str(sheet), "--draws", "2")
    assert sheet.stat().st_size > 1000
    packs = run_command("packs")
    bundled = sorted(path.parent.name for path in installed.glob("styleaug/pretrained/*/pack.*"))
    assert bundled, "The wheel must carry packs."
    listed = [line.split()[0] for line in packs.splitlines() if line]
    assert {*bundled} <= {*listed}, packs
    program = shutil.which("styleaug", path=sysconfig.get_path("scripts"))
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == f"styleaug {styleaug.__version__}"
    print(f"styleaug {styleaug.__version__} runs: Python {sys.version.split()[0]}, ", end="")
    print(f"torch {torch.__version__}, {sys.platform}; packs {', '.join(bundled)}")


if __name__ == "__main__":
    main()
