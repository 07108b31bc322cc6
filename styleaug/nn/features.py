"""Named VGG features: the bundled VGG16 trunk, or torchvision's VGG19."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from styleaug.errors import WeightsError
from styleaug.images.checks import check_choice
from styleaug.runtime import LeastRecentlyUsed, building
from styleaug.weights import bundled_dir, load_safetensors

_CHANNELS = (64, 128, 256, 512, 512)
_CONVS_PER_BLOCK = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
# Both expect ImageNet-normalized RGB. The bundled trunk was trained on BGR 0..255 minus a mean; the
# conversion script folds that into its first layer, so that one preprocessing serves both.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def layer_names(features: str) -> tuple[str, ...]:
    """Names of the convolutions of ``"vgg16"`` or ``"vgg19"``, in order: ``conv1_1``, ..."""
    check_choice("features", features, _CONVS_PER_BLOCK)
    counts = _CONVS_PER_BLOCK[features]
    return tuple(f"conv{b}_{c}" for b, count in enumerate(counts, 1) for c in range(1, count + 1))


class VGGFeatures(nn.Module):
    """A VGG trunk that returns named activations (after their ReLU), frozen.

    Args:
        names: every convolution of the trunk, in order, as in :func:`layer_names`.

    Shape:
        images (B, 3, H, W), float in [0, 1] -> {name: (B, C, H / 2^k, W / 2^k)}.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        channels = 3
        for name in self.names:
            width = _CHANNELS[int(name[4]) - 1]
            self.add_module(name, nn.Conv2d(channels, width, 3, padding=1))
            channels = width
        self.register_buffer(
            "mean", torch.tensor(_MEAN, device="cpu").view(1, 3, 1, 1), persistent=False
        )
        self.register_buffer(
            "std", torch.tensor(_STD, device="cpu").view(1, 3, 1, 1), persistent=False
        )
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Return the activations of ``layers``; computes no further than the deepest of them.

        Raises:
            ValueError: if a layer is not in this trunk.
        """
        wanted = set(layers)
        unknown = wanted - set(self.names)
        if unknown:
            raise ValueError(f"layers must be among {self.names}, but got {sorted(unknown)}.")
        dtype = next(self.parameters()).dtype
        x = ((images - self.mean) / self.std).to(dtype)
        found: dict[str, Tensor] = {}
        block = "1"
        for name in self.names:
            if name[4] != block:
                x, block = F.max_pool2d(x, 2), name[4]
            x = F.relu(self.get_submodule(name)(x))
            if name in wanted:
                found[name] = x
                if len(found) == len(wanted):
                    break
        return found


def load_features(features: str = "vgg16") -> VGGFeatures:
    """Load a trunk in float32 on the CPU.

    Args:
        features: ``"vgg16"``, bundled (conv1_1 ... conv5_1); ``"vgg19"``, torchvision's ImageNet
            weights (conv1_1 ... conv5_4), downloaded on first use.

    Raises:
        ValueError: if the name is unknown.
        WeightsError: if the bundled file is damaged, or VGG19 cannot be downloaded.
    """
    names = layer_names(features)
    with building():
        return _vgg16(names) if features == "vgg16" else _vgg19(names)


def _vgg16(names: tuple[str, ...]) -> VGGFeatures:
    trunk = VGGFeatures(n for n in names if n <= "conv5_1")
    tensors, _ = load_safetensors(bundled_vgg16())
    trunk.load_state_dict({k: v.float() for k, v in tensors.items()}, assign=True)
    return trunk.requires_grad_(False)


def _vgg19(names: tuple[str, ...]) -> VGGFeatures:
    from torchvision.models import VGG19_Weights

    try:
        weights = VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"features='vgg19' downloads torchvision's ImageNet weights on first use, and this "
            f"failed ({error}). Connect to the internet, put the file into torch.hub's checkpoint "
            "folder, or use the bundled features='vgg16'."
        ) from error
    trunk = VGGFeatures(names)
    stored = [key.removesuffix(".weight") for key in weights if key.startswith("features.")]
    stored = [key for key in stored if not key.endswith(".bias")]
    state = {
        f"{name}.{part}": weights[f"{key}.{part}"]
        for name, key in zip(names, stored, strict=True)
        for part in ("weight", "bias")
    }
    trunk.load_state_dict(state, assign=True)
    return trunk.requires_grad_(False)


def bundled_vgg16() -> Path:
    """Path of the bundled VGG16 trunk."""
    return bundled_dir() / "vgg16" / "vgg16.safetensors"


_trunks: LeastRecentlyUsed[VGGFeatures] = LeastRecentlyUsed(4)


def cached_features(features: str, device: torch.device, dtype: torch.dtype) -> VGGFeatures:
    """A trunk shared by all users in this process; see :func:`load_features`."""

    def load() -> VGGFeatures:
        with torch.inference_mode(False):
            trunk = load_features(features).to(memory_format=torch.channels_last)
            return trunk.to(device, dtype)

    return _trunks.get((features, device, dtype), load)
