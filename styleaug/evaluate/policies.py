"""Augmentation policies as expressions, the baselines, and the presets that a bench tries."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from styleaug.augment.presets import preset
from styleaug.augment.transform import StyleAugment
from styleaug.errors import did_you_mean
from styleaug.evaluate.baselines import (
    Albumentations,
    GaussianNoise,
    Photometric,
    PixMix,
    Reference,
)
from styleaug.evaluate.models import SMALL
from styleaug.images.io import list_images, load_rgb, to_tensor
from styleaug.pack import DEFAULT_PACK, StylePack
from styleaug.stages.base import Stage


class PolicyError(ValueError):
    """A policy that cannot be built; the message says what to change."""


class PerImage(nn.Module):
    """A batch transform that lets ``transform`` draw anew for each image."""

    def __init__(self, transform: nn.Module) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, batch: Tensor) -> Tensor:
        """Transform (B, C, H, W)."""
        return torch.stack([self.transform(image) for image in batch])


OTHERS: dict[str, Callable[..., nn.Module]] = {
    "Albumentations": Albumentations,
    "AugMix": v2.AugMix,
    "ColorJitter": v2.ColorJitter,
    "GaussianNoise": GaussianNoise,
    "Photometric": Photometric,
    "PixMix": PixMix,
    "RandAugment": v2.RandAugment,
    "Reference": Reference,
    "TrivialAugmentWide": v2.TrivialAugmentWide,
}
"""Transforms of one image that a policy may be made of, beside ours."""
FLIPS = "flips only"
BASELINES: dict[str, str] = {
    FLIPS: "",
    "ColorJitter": "ColorJitter(0.5, 0.5, 0.3, 0.05)",
    "photometric mix": "Photometric()",
    "RandAugment": "RandAugment()",
    "TrivialAugmentWide": "TrivialAugmentWide()",
    "AugMix": "AugMix()",
    "PixMix": "PixMix()",
    "Albumentations": "Albumentations()",
    "FDA": "Reference('FDA')",
    "HistogramMatching": "Reference('HistogramMatching')",
    "PixelDistributionAdaptation": "Reference('PixelDistributionAdaptation')",
}
"""Policies without StyleAugment, as :func:`build_policy` reads them."""


def presets_to_try(kind: str, model: str) -> tuple[str, ...]:
    """Presets that a bench chooses from: few, so that the validation images can tell them apart.

    Plain images first help where masks or boxes are learned, and not where classes are.

    Args:
        kind: of task.
        model: the backbone.
    """
    if kind != "classification":
        return ("masks" if kind == "segmentation" else "boxes", "default", "mild", "lighting")
    return ("default", "mild", "lighting", "sensor", "scratch" if model == SMALL else "material")


def build_policy(
    expression: str,
    *,
    pack: str = DEFAULT_PACK,
    references: Tensor | None = None,
    target: Path | None = None,
) -> nn.Sequential:
    """Build what is done to a uint8 batch from ``"Transform(...) + Transform(...)"``, in turn.

    Terms are :data:`OTHERS`, stages, and ``StyleAugment``, which takes a preset's name or stages:
    ``StyleAugment('masks') + AugMix()``, ``StyleAugment([Restyle(p=0.6), Relight()], p=0.7)``.
    Other arguments are literals, or ``TARGET``, unlabelled images of the new line as styles:
    ``StyleAugment(preset('material', styles=TARGET))``. Nothing else is evaluated. ``""`` changes
    nothing.

    Args:
        expression: the policy.
        pack: name or path of the pack of each ``Restyle`` that names none.
        references: images (N, 3, H, W) uint8 whose look may be taken over: the training images.
        target: a folder of images of the new line, all of one size; without it, ``TARGET`` stands
            for all styles.

    Raises:
        PolicyError: if the expression is not of this form, or a term refuses its arguments.
    """
    try:
        node = ast.parse(expression.strip() or "()", mode="eval").body
        built = [_built(term, pack, target) for term in _terms(node)] if expression.strip() else []
        wrong = [term for term in built if not isinstance(term, nn.Module)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no transform")
    except (SyntaxError, TypeError, ValueError) as error:
        raise PolicyError(
            f"A policy must be as \"StyleAugment('masks') + AugMix()\", of {', '.join(_KNOWN)} "
            f"with literal arguments, but {expression!r} is not: {_told(error, expression)}"
        ) from error
    for stage in nn.Sequential(*built).modules():
        if isinstance(stage, Reference):
            stage.references = references
            if stage.target:
                stage.references = None if target is None else _read(target)
    ours = (StyleAugment, Stage)
    return nn.Sequential(*(term if isinstance(term, ours) else PerImage(term) for term in built))


def paste_policy(expression: str) -> str:
    """Code to paste into a training: imports, and the transform.

    Args:
        expression: as :func:`build_policy` takes it.
    """
    if not expression:
        return "# flips alone"
    terms = _terms(ast.parse(expression, mode="eval").body)
    calls = [node for term in terms for node in ast.walk(term) if isinstance(node, ast.Call)]
    used = {ast.unparse(call.func) for call in calls}
    names: dict[str, set[str]] = {v2.__name__: {"Compose"}} if terms[1:] else {}
    for name in used:
        names.setdefault(_module(name), set()).add(name)
    lines = [f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)]
    if not used.isdisjoint(OTHERS):
        lines.append("# takes one image, a uint8 tensor (3, H, W)")
    if "Reference" in used:
        lines.append("# Reference.references: images (N, 3, H, W), uint8, whose look it takes over")
    told = ", ".join(map(ast.unparse, terms))
    return "\n".join([*lines, f"Compose([{told}])" if terms[1:] else told])


def _module(name: str) -> str:
    """What a term of a policy is imported from."""
    if name == StyleAugment.__name__ or name in Stage.kinds:
        return "styleaug"
    known = _KNOWN[name]
    return v2.__name__ if known is getattr(v2, name, None) else known.__module__


def uses_target(expression: str) -> bool:
    """Whether a policy draws on images of the new line."""
    return "TARGET" in expression or "target=True" in expression


def _told(error: Exception, expression: str) -> str:
    """What is wrong, as a sentence, with the names that are close."""
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    if said.endswith("?"):
        return said
    return f"{said.rstrip('.')}.{did_you_mean(expression, BASELINES)}"


def _terms(node: ast.expr) -> list[ast.expr]:
    last_first = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        last_first.append(node.right)
        node = node.left
    return [node, *reversed(last_first)]


def _read(folder: Path) -> Tensor:
    return torch.stack([to_tensor(load_rgb(file)) for file in list_images(folder)])


def _built(node: ast.expr, pack: str, target: Path | None) -> Any:
    """A call of something known, with its arguments built; lists of calls; or a literal."""
    if isinstance(node, ast.List):
        return [_built(entry, pack, target) for entry in node.elts]
    if isinstance(node, ast.Name) and node.id == "TARGET":
        return "all" if target is None else str(target)
    if not isinstance(node, ast.Call | ast.Name):
        try:
            return ast.literal_eval(node)
        except ValueError:
            raise ValueError(f"{ast.unparse(node)} is neither a call nor a literal") from None
    name = ast.unparse(node.func if isinstance(node, ast.Call) else node)
    if name not in _KNOWN:
        raise ValueError(f"there is no {name}.{did_you_mean(name, (*BASELINES, *_KNOWN))}")
    if isinstance(node, ast.Name):
        raise ValueError(f"{name} needs parentheses: {name}()")
    arguments = [_built(argument, pack, target) for argument in node.args]
    settings = {str(entry.arg): _built(entry.value, pack, target) for entry in node.keywords}
    if name in ("Restyle", "preset"):
        settings.setdefault("pack", pack)
    if name == "StyleAugment" and (not arguments or isinstance(arguments[0], str)):
        arguments[:1] = [preset(*arguments[:1] or ["default"], pack=pack)]
    for setting in settings:
        taken = signature(_KNOWN[name]).parameters
        if setting not in taken:
            raise ValueError(f"{name} has no argument {setting!r}.{did_you_mean(setting, taken)}")
    return _KNOWN[name](*arguments, **settings)


_KNOWN: dict[str, Callable[..., Any]] = {
    "StyleAugment": StyleAugment,
    "preset": preset,
    **Stage.kinds,
    **OTHERS,
}


def name_policies(texts: Sequence[str]) -> dict[str, str]:
    """Expressions by name, of names of :data:`BASELINES`, ``NAME=EXPRESSION`` and expressions.

    Raises:
        PolicyError: if one cannot be built, or two have one name.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, expression = (part.strip() for part in text.partition("="))
        if not equals or "(" in name:  # in "AugMix(severity=5)" the = is that of an argument
            name, expression = text.strip(), BASELINES.get(text.strip(), text.strip())
        if name in found:
            raise PolicyError(f"Policies must have different names, but two are {name!r}.")
        build_policy(expression)
        found[name] = expression
    return found


def describe_policy(policy: nn.Sequential) -> list[Any]:
    """All settings of a policy by value, as JSON has them: equal ones do the same.

    A pack is told by its id, wherever it lies; settings that were left to defaults are written out.
    """
    return [
        _with_pack_ids(term.to_dict()) if isinstance(term, StyleAugment | Stage) else repr(term)
        for term in policy
    ]


def _with_pack_ids(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {
            name: StylePack.load(value).id if name == "pack" else _with_pack_ids(value)
            for name, value in data.items()
        }
    return [_with_pack_ids(entry) for entry in data] if isinstance(data, list) else data
