"""Digests of what an outcome depends on: code, images, weights, settings."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from styleaug.evaluate.models import make_backbone

PACKAGES = (
    "styleaug",
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "imagecorruptions-imaug",
    "albumentations",
)
"""Distributions that an outcome may depend on."""


def digest_values(values: Any) -> str:
    """Of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:24]


def digest_tensors(tensors: Iterable[Tensor]) -> str:
    """Of values and shapes."""
    sha = hashlib.sha256()
    for tensor in tensors:
        sha.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()[:24]


def digest_backbone(name: str) -> str:
    """Of the weights that a training begins with, wherever their file lies."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone, _ = make_backbone(name)
    return digest_tensors(backbone.state_dict().values())


def digest_code(*sources: str) -> str:
    """Of source code; comments, docstrings and layout do not count."""
    trees = [ast.parse(source) for source in sources]
    for node in (node for tree in trees for node in ast.walk(tree)):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            texts = (ast.Constant, ast.JoinedStr)
            node.body = [  # type: ignore[attr-defined]
                x for x in body if not (isinstance(x, ast.Expr) and isinstance(x.value, texts))
            ]
    return hashlib.sha256("".join(map(ast.dump, trees)).encode()).hexdigest()[:24]


def _digest_modules(*patterns: str) -> str:
    root = Path(__file__).parents[1]
    files = sorted(path for pattern in patterns for path in root.glob(f"{pattern}.py"))
    return digest_code(*(path.read_text(encoding="utf-8") for path in files))


# At import: what is edited while an experiment runs is not what it uses.
CODE = {
    "corruptions": _digest_modules(*(f"evaluate/{n}" for n in ("corruptions", "shifts", "optics"))),
    "training": _digest_modules(
        "adapt",
        *(f"evaluate/{n}" for n in ("baselines", "metrics", "models", "outcome", "policies")),
        *(f"evaluate/{n}" for n in ("tasks", "training")),
    ),
    "styling": _digest_modules("augment/*", "images/color", "networks", "nn/*", "stages/*"),
}
"""Of the code that decides how images are corrupted, networks trained and tested, images styled."""
