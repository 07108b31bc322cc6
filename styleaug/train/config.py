"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from styleaug.images.checks import check_choice, check_number, check_path, check_whole
from styleaug.nn.perceptual import CONTENT_WEIGHTS, STYLE_WEIGHT
from styleaug.nn.stylenet import StyleNetConfig

PRECISIONS = ("auto", "bf16", "fp32")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides what a training run does.

    It takes thirty arguments because a checkpoint keeps them in one place, to go on alike.

    Attributes:
        content: folders of content images, searched recursively.
        styles: folders of style images, searched recursively; ``TAG=DIR`` tags a folder's styles,
            and without a tag the folder's name is one. ``procedural:N`` stands for N finishes of
            each procedural family.
        sources: ``TAG=TEXT`` entries: where the styles of a tag come from and under which licence;
            the pack keeps them.
        out: the pack to write.
        run_dir: checkpoints, contact sheets and style targets; beside ``out`` if not given.
        net: shape of the network.
        init: pack whose weights to start from, a file or a bundled name, in place of random ones.
            ``net`` must be as wide or narrower: then the channels that weigh most are taken. Of the
            residual blocks the first are taken; more than there are begin by changing nothing.
        teacher: pack whose outputs are to be imitated, a file or a bundled name, of any shape
            (distillation, Hinton et al. 2015).
        steps: optimizer steps.
        batch: content images (and styles) a step and process.
        crop: side of the content crops, in pixels.
        views: pictures made of each style: the image itself, then crops of it in other colours.
            More views make more styles of few images, so that unseen references are met better.
        holdout: share of the styles, chosen by a hash of their names, that is never trained on.
        lr: peak learning rate of Adam, after a warm-up and before a cosine decay.
        warmup: steps of linear warm-up.
        style_weight: weight of the mean of the four layers' saturated style distances; 0 leaves
            style and content out, and steps that only imitate a teacher are several times quicker.
        content_weights: weights of the content distance at the layers of
            :data:`~styleaug.nn.perceptual.CONTENT_WEIGHTS`.
        tonal_weight: weight of the tonal distance.
        defect_weight: weight of the contrast that synthetic defects lose.
        hallucination_weight: weight of texture that appears on smooth surfaces.
        tv_weight: weight of total variation.
        teacher_weight: weight of the mean absolute difference from the teacher's outputs.
        noise: noise on the encoder's input, in standard deviations; regularizes it.
        clip: largest gradient norm.
        ema: decay of the averaged weights, which are the ones that the pack gets.
        seed: of everything random; step k of a run is a function of (seed, process, k) alone.
        workers: loader processes.
        precision: ``"bf16"``, ``"fp32"``, or ``"auto"`` (bf16 where the hardware computes in it).
        device: ``"cpu"``, ``"cuda"``, or ``"auto"``.
        checkpoint_every: steps between checkpoints.
        sheet_every: steps between contact sheets.
        resume: continue from the checkpoint in ``run_dir``, if there is one.
    """

    content: tuple[str, ...]
    styles: tuple[str, ...]
    out: Path
    sources: tuple[str, ...] = ()
    run_dir: Path | None = None
    net: StyleNetConfig = field(default_factory=StyleNetConfig)
    init: str | None = None
    teacher: str | None = None
    steps: int = 4000
    batch: int = 8
    crop: int = 128
    views: int = 2
    holdout: float = 0.1
    lr: float = 2e-3
    warmup: int = 100
    style_weight: float = STYLE_WEIGHT
    content_weights: tuple[float, ...] = tuple(CONTENT_WEIGHTS.values())
    tonal_weight: float = 1.0
    defect_weight: float = 4.0
    hallucination_weight: float = 1.0
    tv_weight: float = 0.01
    teacher_weight: float = 20.0
    noise: float = 0.1
    clip: float = 1.0
    ema: float = 0.996
    seed: int = 0
    workers: int = 1
    precision: str = "auto"
    device: str = "auto"
    checkpoint_every: int = 250
    sheet_every: int = 500
    resume: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without touching a file.

        Raises:
            ValueError: naming the first setting that is out of bounds.
        """
        whole = {
            "steps": (1, inf),
            "batch": (1, 4096),
            "crop": (32, 4096),
            "views": (1, 1024),
            "warmup": (0, inf),
            "seed": (0, 2**32 - 1),
            "workers": (0, 256),
            "checkpoint_every": (1, inf),
            "sheet_every": (1, inf),
        }
        for name, bounds in whole.items():
            check_whole(name, getattr(self, name), *bounds)
        check_number("holdout", self.holdout, 0, 0.9)
        check_number("ema", self.ema, 0, 0.99999)
        for name in ("lr", "clip"):
            if not check_number(name, getattr(self, name), 0):
                raise ValueError(f"{name} must be above 0, but got {getattr(self, name)!r}.")
        for name in ("style_weight", "tonal_weight", "defect_weight", "hallucination_weight"):
            check_number(name, getattr(self, name), 0)
        for name in ("tv_weight", "teacher_weight", "noise"):
            check_number(name, getattr(self, name), 0)
        if len(self.content_weights) != len(CONTENT_WEIGHTS):
            raise ValueError(
                f"content_weights must be {len(CONTENT_WEIGHTS)} numbers, but are "
                f"{self.content_weights}."
            )
        for weight in self.content_weights:
            check_number("content_weights", weight, 0)
        for name in ("content", "styles"):
            for entry in getattr(self, name):
                check_path(name, entry.rpartition("=")[2])
        for entry in self.sources:
            if not all(entry.partition("=")):
                raise ValueError(f"sources must be TAG=TEXT entries, but got {entry!r}.")
        check_choice("precision", self.precision, PRECISIONS)

    @property
    def folder(self) -> Path:
        """Where checkpoints, sheets and targets lie."""
        return self.run_dir or self.out.with_suffix(".run")
