"""The style network in operators that ONNX has, for other runtimes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from styleaug.nn.stylenet import StyleNet


class Exportable(nn.Module):
    """A StyleNet written in operators that exporters know; computes what the network computes."""

    def __init__(self, net: StyleNet) -> None:
        super().__init__()
        for name, module in net.named_children():
            self.add_module(name, module)
        self.config = net.config

    def forward(self, images: Tensor, code: Tensor, noise: Tensor) -> Tensor:
        """Restyle: the shapes of StyleNet, H and W multiples of 4."""
        c, (count, _, height, width) = self.config, images.shape
        sizes = [c.embedding, c.width, c.width, 3, 3, c.style_residuals]
        embedding, mean, std, colour_mean, colour_std, shares = torch.split(code, sizes, dim=1)
        style = torch.cat([embedding, shares], dim=1) if c.style_residuals else embedding

        def norm(x: Tensor) -> Tensor:
            return F.instance_norm(x, eps=c.floor)

        def conditional(layer: nn.Module, x: Tensor) -> Tensor:
            gamma, beta = layer.affine(style)[:, :, None, None].chunk(2, dim=1)
            return norm(x) * (gamma + 1) + beta

        def mix(layer: nn.Module, x: Tensor, z: Tensor) -> Tensor:
            matrix = layer.matrix(style).reshape(count, *layer.shape).transpose(1, 2)
            return x + (matrix @ z.flatten(2)).view(x.shape)

        def cells(side: int) -> Tensor:
            x = noise.reshape(count, height // side, side, width // side, side).permute(
                0, 2, 4, 1, 3
            )
            return x.reshape(count, side * side, height // side, width // side)

        skip = F.relu(self.stem(images * 2 - 1))
        h = F.relu(norm(self.down(skip)) * std[:, :, None, None] + mean[:, :, None, None])
        h = mix(self.coarse_grain, h, cells(4))
        for layer, block in zip(self.mixes, self.blocks, strict=True):
            h = mix(layer, h, h)
            change = F.relu(conditional(block.norm1, block.conv1(h)))
            h = h + conditional(block.norm2, block.conv2(change))
        h = torch.cat([F.pixel_shuffle(self.up(h), 2), skip], dim=1)
        h = F.relu(mix(self.fine_grain, conditional(self.up_norm, h), cells(2)))
        h = F.pixel_shuffle(self.out(mix(self.up_mix, h, h)), 2)
        # without_lattice: over rows first, along memory; runtimes reduce two split axes slowly
        lattice = h.reshape(count, 3, height // 4, 4 * width).mean(2)
        lattice = lattice.reshape(count, 3, 4, width // 4, 4).mean(3).reshape(count, 3, 1, 4, 1, 4)
        h = h.reshape(count, 3, height // 4, 4, width // 4, 4)
        h = h - (lattice - lattice.mean((3, 5), keepdim=True))
        x = torch.sigmoid(conditional(self.out_norm, h.reshape(count, 3, height, width)))
        axes = F.normalize(self.colours.axes.float(), dim=1)
        x = axes @ x.flatten(2)
        x = x - x.mean(2, keepdim=True)
        gain = torch.rsqrt((x * x).mean(2, keepdim=True) + self.colours.FLOOR)
        gain = (gain * colour_std[:, :, None]).clamp(max=self.colours.GAIN)
        x = axes.T @ (x * gain + colour_mean[:, :, None])
        return x.clamp(0, 1).reshape(count, 3, height, width)
