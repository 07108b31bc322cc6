"""What an optimisation of pixels is told, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from styleaug.images.checks import check_choice, check_fraction, check_number, check_whole
from styleaug.nn.features import layer_names

VARIANTS = ("fast", "textbook")
OPTIMIZERS = ("lbfgs", "adam")
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True, kw_only=True)
class GatysConfig:
    """Objective and method of the optimization.

    It has eleven arguments because each is an independent parameter of the method.

    The objective of an image x, with content c and the style's Gram matrices A, is the sum of
    ``mean (F(x) - F(c))^2`` over the content layers, ``style_weight * mean (G(x) - A)^2`` over the
    style layers, where ``G = F F^T / (C H W)``, and ``tv`` times the total variation.

    Attributes:
        strength: in [0, 1]: ``style_weight = 1e4 * 100^strength``; 0.5 and 1 give the common
            weights 1e5 and 1e6.
        variant: ``"fast"``: L-BFGS from coarse to fine, in the device's fastest dtype, until
            convergence. ``"textbook"``: Adam with a learning rate of 0.003 on full-size images in
            float32, for comparison.
        optimizer: of the fast variant: ``"lbfgs"``, or ``"adam"`` with a learning rate of 0.06.
        steps: maximum at full size and at each coarser scale; by default 60, or 1000 for the
            textbook variant.
        content_layers: layers at which content is compared.
        tv: weight of the total variation, the mean squared difference of neighbours.
        preserve_color: transfer light and dark only, and keep the colours (Gatys et al. 2016b).
        features: ``"vgg16"``, bundled, or ``"vgg19"``, see
            :func:`~styleaug.nn.features.load_features`.
        precision: ``"bf16"``, ``"fp16"``, ``"fp32"``, or ``"auto"``: the fastest that the device
            supports well.
        working_size: short side in pixels above which a smaller copy is optimized; its change is
            upsampled, and the image keeps its fine detail. By default every image is optimized at
            full size.
        tile: side in pixels above which the network processes an image in tiles, which limits the
            memory and changes nothing else; a multiple of 16.

    Raises:
        ValueError: if a value is out of bounds.
    """

    strength: float = 0.5
    variant: str = "fast"
    optimizer: str = "lbfgs"
    steps: int | None = None
    content_layers: tuple[str, ...] = ("conv4_2",)
    tv: float = 1e-2
    preserve_color: bool = False
    features: str = "vgg16"
    precision: str = "auto"
    working_size: int | None = None
    tile: int = 1024

    def __post_init__(self) -> None:
        """Check the values."""
        check_fraction("strength", self.strength)
        for name, choices in (
            ("variant", VARIANTS),
            ("optimizer", OPTIMIZERS),
            ("precision", ("auto", *PRECISIONS)),
        ):
            check_choice(name, getattr(self, name), choices)
        if self.steps is not None:
            check_whole("steps", self.steps, 1)
        unknown = set(self.content_layers) - set(layer_names(self.features))
        if unknown or not self.content_layers:
            raise ValueError(
                f"content_layers must name layers of {self.features}, such as 'conv4_2', but got "
                f"{list(self.content_layers)}."
            )
        if check_whole("tile", self.tile, 128) % 16:
            raise ValueError(f"tile must be a multiple of 16, but got {self.tile}.")
        if self.working_size is not None:
            check_whole("working_size", self.working_size, 32)
        check_number("tv", self.tv, 0)

    @property
    def style_weight(self) -> float:
        """Weight of the style in the objective."""
        return float(1e4 * 100**self.strength)


@dataclass(frozen=True)
class GatysProgress:
    """Progress of an optimization.

    Attributes:
        step: steps done at this scale.
        steps: maximum at this scale.
        size: height and width of the scale, in pixels.
        scale: number of the scale, from 1.
        scales: number of scales.
        objective: mean over the batch.
    """

    step: int
    steps: int
    size: tuple[int, int]
    scale: int
    scales: int
    objective: float


@dataclass(frozen=True, eq=False)
class GatysResult:
    """Result of an optimization.

    Attributes:
        images: (B, C, H, W), in the content's dtype and device.
        style: weighted style part of the objective of each image (B,), measured in float32.
        content: the same for the content part.
        smooth: the same for the total variation.
        steps: steps at full size.
        seconds: duration in seconds.
    """

    images: Tensor
    style: Tensor
    content: Tensor
    smooth: Tensor
    steps: int
    seconds: float

    @property
    def objective(self) -> Tensor:
        """Objective of each image (B,)."""
        return self.style + self.content + self.smooth
