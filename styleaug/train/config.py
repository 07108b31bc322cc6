"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from styleaug.nn.perceptual import CONTENT_WEIGHTS, STYLE_WEIGHT
from styleaug.nn.stylenet import StyleNetConfig


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
            It must have the shape of ``net``; of its residual blocks, the first ones are taken.
        steps: optimizer steps.
        batch: content images (and styles) a step and process.
        crop: side of the content crops, in pixels.
        views: pictures made of each style: the image itself, then crops of it in other colours.
            More views make more styles of few images, so that unseen references are met better.
        holdout: share of the styles, chosen by a hash of their names, that is never trained on.
        lr: peak learning rate of Adam, after a warm-up and before a cosine decay.
        warmup: steps of linear warm-up.
        style_weight: weight of the mean of the four layers' saturated style distances.
        content_weights: weights of the content distance at the layers of
            :data:`~styleaug.nn.perceptual.CONTENT_WEIGHTS`.
        tonal_weight: weight of the tonal distance.
        defect_weight: weight of the contrast that synthetic defects lose.
        hallucination_weight: weight of texture that appears on smooth surfaces.
        tv_weight: weight of total variation.
        noise: noise on the encoder's input, in standard deviations; regularizes it.
        clip: largest gradient norm.
        ema: decay of the averaged weights, which are the ones that the pack gets.
        seed: of everything random; step k of a run is a function of (seed, process, k) alone.
        workers: loader processes.
        precision: ``"bf16"``, ``"fp32"``, or ``"auto"`` (bf16 where the hardware computes in it).
        device: ``"cpu"``, ``"cuda"``, or ``"auto"``.
        checkpoint_every: steps between checkpoints.
        sheet_every: steps between contact sheets.
        resume: continue from the checkpoint in ``run_dir``.
    """

    content: tuple[str, ...]
    styles: tuple[str, ...]
    out: Path
    sources: tuple[str, ...] = ()
    run_dir: Path | None = None
    net: StyleNetConfig = field(default_factory=StyleNetConfig)
    init: str | None = None
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
        bounds = {
            "steps": (1, None),
            "batch": (1, None),
            "crop": (32, None),
            "views": (1, None),
            "workers": (0, None),
            "checkpoint_every": (1, None),
            "sheet_every": (1, None),
            "holdout": (0, 0.9),
            "ema": (0, 0.99999),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if value < low or (high is not None and value > high):
                limit = f"at least {low}" if high is None else f"in [{low}, {high}]"
                raise ValueError(f"{name} must be {limit}, but got {value}.")
        for entry in self.sources:
            if not all(entry.partition("=")):
                raise ValueError(f"sources must be TAG=TEXT entries, but got {entry!r}.")
        if self.precision not in ("auto", "bf16", "fp32"):
            raise ValueError(f"precision must be auto, bf16 or fp32, but got {self.precision!r}.")

    @property
    def folder(self) -> Path:
        """Where checkpoints, sheets and targets lie."""
        return self.run_dir or self.out.with_suffix(".run")
