"""``FusedStyleNet``: a ``StyleNet`` as it is run, with a third of its passes over memory."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn, unflatten
from torch.nn import functional as F

from styleaug.nn.blocks import ResidualBlock
from styleaug.nn.norm import ConditionalMix, StyleLinear
from styleaug.nn.stylenet import StyleNet, pad_to_cells


class FusedStyleNet(nn.Module):
    """The same function as a :class:`~styleaug.nn.stylenet.StyleNet`, for inference alone.

    What styles set comes from one product; a norm, its scale and its shift are one kernel on a CPU
    and two passes elsewhere; the mixing of channels holds its identity; the lattice, the last norm
    and the sigmoid are one pass.

    Args:
        network: whose weights are taken over, as a copy.

    Shape:
        images (B, 3, H, W), float in [0, 1], H, W >= 16; code (B, code_size), float32; noise
        (B, 1, H, W) -> (B, 3, H, W), float32 in [0, 1].
    """

    def __init__(self, network: StyleNet) -> None:
        super().__init__()
        self.config = network.config
        stem, width = self.config.stem, self.config.width
        blocks = cast("list[ResidualBlock]", list(network.blocks))
        mixes = cast("list[ConditionalMix]", list(network.mixes))
        self.colours = network.colours
        self.stem = _plain(network.stem)
        with torch.no_grad():  # images in [0, 1], not [-1, 1]
            self.stem.bias.sub_(self.stem.weight.sum((1, 2, 3)))  # type: ignore[union-attr]
            self.stem.weight.mul_(2)
        self.down = _plain(network.down)
        self.convs = nn.ModuleList(
            _plain(conv) for block in blocks for conv in (block.conv1, block.conv2)
        )
        # sub-pixels first, channels last: what is shuffled is copied in runs
        order = torch.arange(4 * stem).view(stem, 4).T.flatten()
        self.up = _plain(network.up, order)
        self.out = _plain(network.out)
        layers: dict[str, tuple[StyleLinear, Tensor]] = {}  # with what is added to their biases

        def norm(name: str, affine: StyleLinear) -> None:
            ones = torch.ones(affine.out_features // 2)
            layers[name] = affine, torch.cat([ones, torch.zeros_like(ones)])

        for k, (block, mix) in enumerate(zip(blocks, mixes, strict=True)):
            layers[f"mix {k}"] = mix.matrix, torch.eye(width).flatten()
            norm(f"norm {k} 1", block.norm1.affine)
            norm(f"norm {k} 2", block.norm2.affine)
        layers["coarse"] = network.coarse_grain.matrix, torch.zeros(())
        norm("up", network.up_norm.affine)
        layers["fine"] = network.fine_grain.matrix, torch.zeros(())
        layers["up mix"] = network.up_mix.matrix, torch.eye(2 * stem).flatten()
        norm("out", network.out_norm.affine)
        self.names = tuple(layers)
        self.sizes = [layer.out_features for layer, _ in layers.values()]
        columns = [
            torch.cat([layer.weight, *_residuals(layer)], 1).detach()
            for layer, _ in layers.values()
        ]
        biases = [(layer.bias + extra).detach() for layer, extra in layers.values()]
        # buffers that no cast to half precision reaches: see _apply
        self.style_weight = torch.cat(columns).T.contiguous()
        self.style_bias = torch.cat(biases)
        self.requires_grad_(False)

    def _apply(self, fn: object, recurse: bool = True) -> FusedStyleNet:
        """Move; what styles set stays in float32, for it costs nothing."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        device = self.stem.weight.device
        self.style_weight = self.style_weight.to(device)
        self.style_bias = self.style_bias.to(device)
        return self

    def forward(self, images: Tensor, code: Tensor, noise: Tensor) -> Tensor:
        """Restyle each image by its code."""
        config = self.config
        sizes = [config.embedding, config.width, config.width, 3, 3, config.style_residuals]
        parts = torch.split(code.float(), sizes, dim=1)
        embedding, mean, std, colour_mean, colour_std, shares = parts
        values = torch.addmm(
            self.style_bias, torch.cat([embedding, shares], dim=1), self.style_weight
        )
        dtype = self.stem.weight.dtype
        styles = dict(zip(self.names, torch.split(values.to(dtype), self.sizes, 1), strict=True))
        styles["adain"] = torch.cat([std, mean], 1).to(dtype)
        styles["out"] = values[:, -6:]
        y, room = self._run(images, styles, noise)
        matched: Tensor = self.colours(y, colour_mean, colour_std, out=room)
        return matched

    def _run(
        self, images: Tensor, styles: dict[str, Tensor], noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """All but the colours, and room for them."""
        floor, stem = self.config.floor, self.config.stem
        dtype, (height, width) = self.stem.weight.dtype, images.shape[-2:]
        x = pad_to_cells(images)
        count, rows, columns = len(x), x.shape[2] // 4, x.shape[3] // 4
        # one after the other: both at once take twice as long on a CPU
        x = x.to(dtype).contiguous(memory_format=torch.channels_last)
        grain = pad_to_cells(noise.to(dtype))
        skip = _conv(self.stem, x).relu_()
        h = _norm(_conv(self.down, skip), styles["adain"], floor).relu_()
        coarse = unflatten(styles["coarse"], 1, (16, -1))
        h = _image(_pixels(h).baddbmm_(_cells(grain, 4), coarse), h)
        convs = cast("list[nn.Conv2d]", list(self.convs))
        for k in range(self.config.blocks):
            h = _mixed(h, styles[f"mix {k}"])
            inner = _norm(_conv(convs[2 * k], h), styles[f"norm {k} 1"], floor).relu_()
            h.add_(_norm(_conv(convs[2 * k + 1], inner), styles[f"norm {k} 2"], floor))
        both = torch.empty(
            (count, 2 * stem, 2 * rows, 2 * columns),
            dtype=dtype,
            device=x.device,
            memory_format=torch.channels_last,
        )
        inside, up = both.permute(0, 2, 3, 1), _conv(self.up, h).permute(0, 2, 3, 1)
        fourfold = unflatten(unflatten(inside[..., :stem], 1, (-1, 2)), 3, (-1, 2))
        fourfold.copy_(unflatten(up, 3, (2, 2, stem)).permute(0, 1, 3, 2, 4, 5))
        inside[..., stem:].copy_(skip.permute(0, 2, 3, 1))
        h = _norm(both, styles["up"], floor)
        fine = unflatten(styles["fine"], 1, (4, -1))
        h = _image(_pixels(h).baddbmm_(_cells(grain, 2), fine), h).relu_()
        h = _conv(self.out, _mixed(h, styles["up mix"]))
        y, room = self._finish(h, styles["out"])
        if y.shape[-2:] == (height, width):
            return y, room
        y = y[..., :height, :width].contiguous()
        return y, torch.empty_like(y)

    def _finish(self, h: Tensor, affine: Tensor) -> tuple[Tensor, Tensor]:
        """Sub-pixels in place, without their lattice, normalized, styled: the sigmoid, float32.

        Also room of the same size, for the outcome.
        """
        count, _, rows, columns = h.shape
        out = F.pixel_shuffle(h, 2).float().contiguous()
        scratch = torch.empty_like(out)
        # each place of a cell of 4 x 4 pixels has a mean of its own: the lattice
        cells = out.view(count, 3, rows // 2, 8 * columns)  # 4 rows of 2 * columns pixels
        number = rows * columns / 4

        def by_place(values: Tensor) -> Tensor:
            return values.sum(2).view(count, 3, 4, columns // 2, 4).sum(3) / number

        mean = by_place(cells)
        squares = by_place(torch.mul(cells, cells, out=scratch.view_as(cells)))
        variance = (squares - mean.square()).mean((2, 3)).clamp_min_(0)
        gain, shift = affine[:, :, None, None].chunk(2, dim=1)
        gain = gain * torch.rsqrt(variance + self.config.floor)[:, :, None, None]
        shift = (shift - mean * gain)[:, :, :, None].expand(-1, -1, -1, columns // 2, -1)
        shift = shift.reshape(count, 3, 1, -1)
        cells = cells.mul_(gain).add_(shift).sigmoid_()
        return cells.view(count, 3, 2 * rows, 2 * columns), scratch


def _plain(conv: nn.Conv2d, order: Tensor | None = None) -> nn.Conv2d:
    """A copy of a convolution, whose input is padded outside of it; its outputs in an order."""
    copy = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]  # pairs
        stride=conv.stride,  # type: ignore[arg-type]
        dilation=conv.dilation,  # type: ignore[arg-type]
        device="meta",  # draws no random weights
    )
    every = slice(None) if order is None else order
    for name in ("weight", "bias"):
        values = getattr(conv, name).detach()[every].clone()
        setattr(copy, name, nn.Parameter(values, requires_grad=False))
    return copy


def _residuals(layer: StyleLinear) -> list[Tensor]:
    return [] if layer.style_residuals is None else [layer.style_residuals]


def _conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
    around = conv.dilation[0] * (conv.kernel_size[0] // 2)
    result: Tensor = conv(F.pad(x, [around] * 4, mode="reflect"))
    return result


def _norm(x: Tensor, affine: Tensor, floor: float) -> Tensor:
    """Instance norm under scale and shift (B, 2 C) of each image."""
    count, channels = x.shape[:2]
    if count == 1 and x.device.type == "cpu":
        gain, shift = affine[0].chunk(2)
        return F.group_norm(x, channels, gain, shift, floor)
    gain, shift = affine[:, :, None, None].chunk(2, dim=1)
    return torch.addcmul(shift, F.group_norm(x, channels, eps=floor), gain)


def _pixels(x: Tensor) -> Tensor:
    """Channels-last features (B, C, H, W) as pixels (B, H W, C), a view."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _image(pixels: Tensor, like: Tensor) -> Tensor:
    """Pixels (B, H W, C) as channels-last features (B, C, H, W), a view."""
    return unflatten(pixels, 1, like.shape[-2:]).permute(0, 3, 1, 2)


def _cells(x: Tensor, side: int) -> Tensor:
    """Cells of ``side`` x ``side`` pixels of (B, 1, H, W) as (B, cells, side^2)."""
    tiles = unflatten(unflatten(x.squeeze(1), 1, (-1, side)), 3, (-1, side))
    return tiles.transpose(2, 3).flatten(3).flatten(1, 2)


def _mixed(x: Tensor, matrix: Tensor) -> Tensor:
    channels = x.shape[1]
    return _image(torch.bmm(_pixels(x), unflatten(matrix, 1, (channels, channels))), x)
