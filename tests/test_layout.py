"""The layout of the package: which room may import which, and what importing it must not do."""

import ast
import json
import re
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A room imports only from rooms before it. "styleaug" is the public face, styleaug/__init__.py.
ROOMS = [
    "styleaug.errors",
    "styleaug.edge",
    "styleaug.files",
    "styleaug.manifest",
    "styleaug.images",
    "styleaug.runtime",
    "styleaug.weights",
    "styleaug.nn",
    "styleaug.pack",
    "styleaug.networks",
    "styleaug.stages",
    "styleaug.augment",
    "styleaug.video",
    "styleaug.mesh",
    "styleaug.hosts",
    "styleaug.albumentations",
    "styleaug.adapt",
    "styleaug.gatys",
    "styleaug.styles",
    "styleaug.train",
    "styleaug.export",
    "styleaug.datasets",
    "styleaug.evaluate",
    "styleaug.audit",
    "styleaug",
    "styleaug.studio",
    "styleaug.cli",
    "styleaug.__main__",
]
FILES = sorted(path.relative_to(ROOT) for path in ROOT.glob("styleaug/**/*.py"))

IMPORT_AND_LIST_NOISE = """
import json, sys
import numpy, PIL.Image, safetensors.torch, torch, torchvision.transforms.v2, tqdm

noise = []

def listen(event, args):
    if event.startswith("socket.") or event == "subprocess.Popen":
        noise.append([event, str(args)])
    elif event == "open" and not str(args[0]).endswith((".py", ".pyc", ".pyd", ".so")):
        noise.append([event, str(args[0])])

before = set(sys.modules)
sys.addaudithook(listen)
import styleaug
for name in styleaug.__all__:
    getattr(styleaug, name)
heard = list(noise)

extras = {"albumentations", "elpv_dataset", "gradio", "h5py", "imagecorruptions", "kornia",
          "lightning", "matplotlib", "onnx", "onnxruntime", "torchvision.models", "trimesh"}
heard += [["import", name] for name in sorted(extras & (set(sys.modules) - before))]
heard += [["cuda", "initialized"]] if torch.cuda.is_initialized() else []
print(json.dumps(heard))
"""


def module_of(path: Path) -> str:
    """``styleaug/nn/norm.py`` is styleaug.nn.norm; ``styleaug/nn/__init__.py`` is styleaug.nn."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """The longest room name that begins ``module``."""
    while module not in ROOMS:
        module = module.rpartition(".")[0]
    return module


def imported_names(source: str, package: str) -> list[str]:
    """What ``source`` imports from styleaug, at its top or inside functions, as dotted names."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names += [f"{base}.{alias.name}" for alias in node.names]
    return [name for name in names if name.split(".")[0] == "styleaug"]


def wrong_arrows(source: str, module: str, package: str) -> list[str]:
    """What the ``source`` of ``module`` imports from rooms that come after its own."""
    allowed = ROOMS[: ROOMS.index(room_of(module)) + 1]
    return [name for name in imported_names(source, package) if room_of(name) not in allowed]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_room_imports_only_from_rooms_before_it(path: Path) -> None:
    module = module_of(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    assert wrong_arrows((ROOT / path).read_text(encoding="utf-8"), module, package) == []


def test_every_file_has_a_room() -> None:
    """A new folder takes its place in ROOMS, and so in docs/explanation/design.md."""
    assert [m for m in map(module_of, FILES) if room_of(m) == "styleaug" != m] == []
    assert [room for room in ROOMS if room not in map(room_of, map(module_of, FILES))] == []


@pytest.mark.parametrize("stage", ["restyle", "relight", "defocus", "noise"])
def test_stages_know_nothing_of_each_other(stage: str) -> None:
    """So a new one costs one file, and one that goes leaves nothing behind."""
    source = (ROOT / f"styleaug/stages/{stage}.py").read_text(encoding="utf-8")
    found = [n for n in imported_names(source, "styleaug.stages") if ".stages." in n]
    allowed = {"apply", "base", "params", "pool", "protect", "sample"}
    assert [name for name in found if name.split(".")[2] not in allowed] == []


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("import torch, styleaug.images.color", []),
        ("from styleaug.nn import norm", []),
        ("from .base import Params", []),
        ("from styleaug.augment.plan import Plan", ["styleaug.augment.plan.Plan"]),
        ("from ..augment import plan", ["styleaug.augment.plan"]),
        ("from styleaug import StyleAugment", ["styleaug.StyleAugment"]),
        ("def late():\n    import styleaug.cli", ["styleaug.cli"]),
    ],
)
def test_wrong_arrows_are_found(source: str, wrong: list[str]) -> None:
    assert wrong_arrows(source, "styleaug.stages.relight", "styleaug.stages") == wrong


def test_import_is_quiet() -> None:
    """Importing reads modules and nothing else: no weights, network, process, device or extra."""
    command = [sys.executable, "-B", "-W", "error", "-c", IMPORT_AND_LIST_NOISE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_the_oldest_versions_are_those_that_the_project_admits() -> None:
    """``make test-oldest`` runs with them."""
    admitted = re.search(
        r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S
    )
    assert admitted is not None
    wanted = dict(re.findall(r'"([a-z]+)>=([\d.]+)"', admitted[1]))
    pinned = dict(
        re.findall(r"^([a-z]+)==([\d.]+)$", (ROOT / "tests/oldest.txt").read_text(), re.M)
    )
    assert {n: pinned[n].removesuffix(".0") for n in wanted} == {
        n: v.removesuffix(".0") for n, v in wanted.items()
    }
