"""``StyleEncoder``: a picture's VGG statistics -> embedding; ``Stylizer``: network and encoder."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from styleaug.nn.features import VGGFeatures
from styleaug.nn.noise import white_noise
from styleaug.nn.norm import StyleLinear
from styleaug.nn.stylenet import StyleNetConfig
from styleaug.runtime import building

ENCODER_LAYERS = ("conv1_2", "conv2_2", "conv3_3", "conv4_1")
"""Layers whose statistics the encoder reads and whose Gram matrices training compares: fine texture
and colour first, larger patterns last."""

STYLE_SIZE = 256
"""Short side, in pixels, at which style images are looked at: it fixes the scale of their
texture."""

_STATISTICS = 2 * (64 + 128 + 256 + 512)


def style_statistics(features: dict[str, Tensor]) -> Tensor:
    """``log(1 + mean)`` and ``log(1 + std)`` of each channel of the style layers: -> (B, 1920).

    The logarithm tames the heavy tails of VGG activations.
    """
    parts = []
    for layer in ENCODER_LAYERS:
        variance, mean = torch.var_mean(features[layer].float(), dim=(2, 3), correction=0)
        parts += [mean, variance.sqrt()]
    return torch.cat(parts, dim=1).log1p()


class StyleEncoder(nn.Module):
    """A shallow and a deep perceptron on standardized style statistics, summed to unit mean square.

    Args:
        embedding: size of the embedding.
        hidden: width of the shallow path; the deep one is twice as wide.

    Shape:
        statistics (B, 1920), from :func:`style_statistics` -> (B, embedding).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, embedding: int, *, hidden: int = 256) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(_STATISTICS))
        self.register_buffer("std", torch.ones(_STATISTICS))
        self.shallow = nn.Sequential(
            nn.Linear(_STATISTICS, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, embedding)
        )
        # deeper, and silent at first: learns what the shallow path misses
        self.deep = nn.Sequential(
            nn.Linear(_STATISTICS, 2 * hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(2 * hidden, 2 * hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(2 * hidden, embedding),
        )
        for parameter in self.deep[-1].parameters():
            nn.init.zeros_(parameter)
        self.norm = nn.LayerNorm(embedding, elementwise_affine=False)

    def fit_standardization(self, statistics: Tensor) -> None:
        """Take mean and standard deviation over the training styles (N, 1920)."""
        self.mean.copy_(statistics.mean(0))
        self.std.copy_(statistics.std(0, correction=0))

    def forward(self, statistics: Tensor, noise: Tensor | None = None) -> Tensor:
        """Embed; ``noise`` (B, 1920), in standard deviations, regularizes the training."""
        # 0.1: channels that hardly vary over the styles must not be blown up
        z = (statistics - self.mean) / (self.std + 0.1)
        z = z if noise is None else z + noise
        embedding: Tensor = self.norm(self.shallow(z) + self.deep(z))
        return embedding


class Stylizer(nn.Module):
    """A style network and its encoder: what a pack stores and what training trains.

    Args:
        config: shape of the network.
    """

    def __init__(self, config: StyleNetConfig) -> None:
        super().__init__()
        self.net = config.build()
        self.encoder = StyleEncoder(config.embedding)

    def codes(self, statistics: Tensor, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Codes (B, code_size) from statistics (B, 1920) and the pictures (B, 3, H, W)."""
        embedding, count = self.encoder(statistics, noise).float(), self.net.config.style_residuals
        shares = embedding.new_zeros(len(embedding), count)  # a new style has no residual
        return torch.cat([embedding, self.net.statistics(images), shares], dim=1)

    def encode(self, images: Tensor, trunk: VGGFeatures) -> Tensor:
        """Codes (B, code_size), float32, of pictures (B, 3, H, W), float in [0, 1]."""
        return self.codes(style_statistics(trunk(images, ENCODER_LAYERS)), images)

    def style_layers(self) -> dict[str, StyleLinear]:
        """Where styles set something, by name, in a fixed order."""
        modules = self.named_modules()
        return {name: layer for name, layer in modules if isinstance(layer, StyleLinear)}

    def with_style_residuals(self, residuals: Tensor) -> Stylizer:
        """A copy with more styles that have a residual; all others come out as before.

        Args:
            residuals: (S, P), of all :meth:`style_layers` in their order.
        """
        layers = self.style_layers()
        state = {name: value.clone() for name, value in self.state_dict().items()}
        sizes = [layer.out_features for layer in layers.values()]
        parts = torch.split(residuals.detach(), sizes, dim=1)
        for (name, layer), part in zip(layers.items(), parts, strict=True):
            known = part.T[:, :0] if layer.style_residuals is None else layer.style_residuals
            state[f"{name}.style_residuals"] = torch.cat([known.detach(), part.T], dim=1)
        config = self.net.config
        with building():
            count = config.style_residuals + len(residuals)
            copy = Stylizer(replace(config, style_residuals=count))
            copy.load_state_dict(state, assign=True)
        return copy.to(residuals.device)

    def forward(
        self,
        content: Tensor,
        statistics: Tensor,
        styles: Tensor,
        noise: Tensor,
        seeds: Tensor,
    ) -> Tensor:
        """The training pass: ``content`` (B * k, 3, H, W), k parts, under B styles."""
        codes = self.codes(statistics, styles, noise)
        codes = codes.repeat(content.shape[0] // codes.shape[0], 1)
        output: Tensor = self.net(content, codes, white_noise(seeds, 1, *content.shape[-2:]))
        return output
