"""The package's own errors, and warnings that point at the user's line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from difflib import get_close_matches

_FRAMEWORKS = {"styleaug", "torch", "torchvision", "albumentations", "kornia", "lightning"}


class StyleAugError(Exception):
    """Base of the errors that are not plain ``TypeError`` or ``ValueError``."""


class WeightsError(StyleAugError):
    """A weights file is missing, damaged, or not of the expected kind."""


class UnknownLayoutError(StyleAugError, ValueError):
    """A folder of images is laid out as no reader of labels knows it."""


class MissingExtraError(StyleAugError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        """Name the ``package`` that is missing and the ``extra`` that installs it."""
        super().__init__(
            f"This needs the package {package!r}, which is not installed; "
            f"install it with: pip install 'styleaug[{extra}]'."
        )


def warn(message: str) -> None:
    """Warn at the line of the user's own code, above the frameworks that called this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _FRAMEWORKS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A sentence with the names closest to one that is unknown, three at most; or nothing."""
    names = sorted(set(known))
    folded = {name.casefold(): name for name in names}
    near = get_close_matches(str(word).casefold(), folded, n=3)
    return f" Did you mean {' or '.join(repr(folded[name]) for name in near)}?" if near else ""
