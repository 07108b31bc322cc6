"""Augmentation policies that the robustness benchmark compares."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from styleaug import StyleAugment
from styleaug.evaluate.policies import GaussianNoise, PerImage, Photometric
from styleaug.plan import POWERS
from styleaug.render import BLUR, GRAIN


class Reference(nn.Module):
    """A transform of Albumentations that takes over the look of one of the training images.

    Args:
        name: ``FDA``, ``HistogramMatching`` or ``PixelDistributionAdaptation``, with their default
            strengths.
        p: share of the images.
    """

    def __init__(self, name: str, p: float = 0.5) -> None:
        super().__init__()
        self.name, self.p = name, p
        self.references: Tensor | None = None
        self._transform: Any = None

    def forward(self, image: Tensor) -> Tensor:
        """Transform (3, H, W)."""
        if self.references is None:
            raise PolicyError(f"{self.name} needs reference images.")
        import albumentations

        if self._transform is None:
            make = getattr(albumentations, self.name)
            self._transform = make(metadata_key="references", p=self.p)
        self._transform.set_random_seed(int(torch.randint(2**31, ())))
        reference = self.references[int(torch.randint(len(self.references), ()))]
        arrays = [one.permute(1, 2, 0).numpy() for one in (image, reference)]
        out = self._transform(image=arrays[0], references=[arrays[1]])["image"]
        return torch.from_numpy(out).permute(2, 0, 1)

    def extra_repr(self) -> str:
        """The cache tells policies apart by it."""
        return f"{self.name}, p={self.p}"


STAGES: dict[str, Callable[..., nn.Module]] = {
    "AugMix": v2.AugMix,
    "ColorJitter": v2.ColorJitter,
    "GaussianNoise": GaussianNoise,
    "Photometric": Photometric,
    "RandAugment": v2.RandAugment,
    "Reference": Reference,
    "StyleAugment": StyleAugment,
    "TrivialAugmentWide": v2.TrivialAugmentWide,
}
# What follows the flips, see `make_policy`.
POLICIES: dict[str, str] = {
    "flips only": "",
    "ColorJitter": "ColorJitter(0.5, 0.5, 0.3, 0.05)",
    "photometric mix": "Photometric()",
    "RandAugment": "RandAugment()",
    "TrivialAugmentWide": "TrivialAugmentWide()",
    "AugMix": "AugMix()",
    "FDA": "Reference('FDA')",
    "HistogramMatching": "Reference('HistogramMatching')",
    "PixelDistributionAdaptation": "Reference('PixelDistributionAdaptation')",
    "StyleAugment": "StyleAugment()",
    "photometric mix + StyleAugment": "Photometric() + StyleAugment()",
    "TrivialAugmentWide + StyleAugment": "TrivialAugmentWide() + StyleAugment()",
}
_SETTINGS = ("mix", "p", "stage_p", "strength", "texture", "light", "blur", "grain")


def defaults() -> dict[str, Any]:
    """The settings of ``StyleAugment()``, as JSON reads them: results of others are marked."""
    parameters = inspect.signature(StyleAugment).parameters
    found = {name: parameters[name].default for name in _SETTINGS}
    listed = {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}
    return {**listed, "full blur": BLUR, "full grain": GRAIN, "powers": POWERS}


class PolicyError(ValueError):
    """A policy that cannot be built; the message says what to change."""


def make_policy(expression: str, pack: str, references: Tensor | None = None) -> nn.Sequential:
    """Build what is done to a uint8 batch from ``"Stage(...) + Stage(...)"``, applied in turn.

    Stages are those of `STAGES` with literal arguments; nothing else is evaluated. ``""`` changes
    nothing.

    Args:
        expression: the policy.
        pack: name or path of the style pack.
        references: images (N, 3, H, W) uint8 whose look may be taken over: the training images.

    Raises:
        PolicyError: if the expression is not of this form or a stage refuses its arguments.
    """
    stages = nn.Sequential(*(_stage(node, expression, pack) for node in _terms(expression)))
    for stage in stages.modules():
        if isinstance(stage, Reference):
            stage.references = references
    return stages


def _terms(expression: str) -> list[ast.expr]:
    if not expression.strip():
        return []
    try:
        node = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise PolicyError(f"A policy must be as {_FORM}, but got {expression!r}.") from error
    last_first = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        last_first.append(node.right)
        node = node.left
    return [node, *reversed(last_first)]


def _stage(node: ast.expr, expression: str, pack: str) -> nn.Module:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise PolicyError(f"A policy must be as {_FORM}, but got {expression!r}.")
    name = node.func.id
    if name not in STAGES:
        raise PolicyError(f"A policy is made of {', '.join(STAGES)}, but got {name!r}.")
    try:
        args = [ast.literal_eval(value) for value in node.args]
        settings = {str(entry.arg): ast.literal_eval(entry.value) for entry in node.keywords}
    except (TypeError, ValueError) as error:
        raise PolicyError(f"Arguments must be literals, but got {expression!r}.") from error
    if name == "StyleAugment":
        if "pack" in settings:
            raise PolicyError("The pack of all policies is given by --pack, not in a policy.")
        settings["pack"] = pack
    try:
        stage = STAGES[name](*args, **settings)
    except (TypeError, ValueError) as error:
        raise PolicyError(f"{name} refuses its arguments in {expression!r}: {error}") from error
    return stage if name == "StyleAugment" else PerImage(stage)


_FORM = "'StyleAugment(p=0.7) + AugMix()'"


def named_policies(chosen: Sequence[str] | None, added: Sequence[str]) -> dict[str, str]:
    """Expressions of the policies to run: some of `POLICIES`, all if None, and ``NAME=...``.

    Raises:
        PolicyError: if a name is unknown, missing or given twice.
    """
    unknown = sorted(set(chosen or ()) - set(POLICIES))
    if unknown:
        raise PolicyError(f"Policies are {', '.join(POLICIES)}, but got {', '.join(unknown)}.")
    found = {name: POLICIES[name] for name in POLICIES if chosen is None or name in chosen}
    for text in added:
        name, equals, expression = (part.strip() for part in text.partition("="))
        # in "StyleAugment(p=0.5)" the first = is that of an argument
        if not (equals and name) or "(" in name:
            raise PolicyError(f"--policy must be NAME=..., but got {text!r}.")
        if name in POLICIES or name in found:
            raise PolicyError(f"There is a policy {name!r} already; choose another name.")
        found[name] = expression
    if not found:
        raise PolicyError("There must be at least one policy, but --policies is empty.")
    return found
