"""A trained network made narrower: the channels that matter most, and the weights between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from styleaug.nn.encoder import Stylizer
from styleaug.nn.stylenet import StyleNetConfig


def fits_into(given: StyleNetConfig, shape: StyleNetConfig) -> bool:
    """Whether a network of ``shape`` can start from the weights of a ``given`` one.

    It may be narrower, and have fewer residual blocks or more; residuals of fitted styles stay
    behind.
    """
    same = replace(
        given, stem=shape.stem, width=shape.width, blocks=shape.blocks, style_residuals=0
    )
    narrower = shape.stem <= given.stem and shape.width <= given.width
    return shape.arch == "stylenet" and same == shape and narrower


def start_from(model: Stylizer, source: Stylizer) -> Tensor:
    """Give a model the weights of a network that is as wide or wider.

    Of more channels than it has, it is given those that weigh most: by the norm of the filters
    that make a channel, times the norm of those that read it (structured magnitude pruning, Li et
    al. 2017). Blocks that the source has not begin by changing nothing.

    Args:
        model: is given weights, in place; of a shape that :func:`fits_into` admits.
        source: where they come from.

    Returns:
        The channels at quarter resolution that were taken, as indices of the source's.
    """
    shape, state = model.net.config, source.state_dict()
    stem = _strongest(shape.stem, state["net.stem.weight"], [state["net.down.weight"]])
    trunk = _strongest(
        shape.width,
        state["net.down.weight"],
        [v for k, v in state.items() if k.endswith("conv1.weight") or k == "net.up.weight"],
    )
    given = source.net.config
    halves = state["net.up.weight"].flatten(1).norm(dim=1).view(given.stem, 4).norm(dim=1)
    out = state["net.out.weight"].transpose(0, 1).flatten(1).norm(dim=1)
    up = _first(halves * out[: given.stem], shape.stem)
    half = torch.cat([up, given.stem + stem])  # what lies before the last convolution
    quads = (4 * up[:, None] + torch.arange(4)).flatten()
    every = slice(None)
    picked: dict[str, Tensor] = {}

    def affine(name: str, rows: Tensor, channels: int) -> None:
        both = torch.cat([rows, channels + rows])
        for part in ("weight", "bias"):
            picked[f"{name}.{part}"] = state[f"{name}.{part}"][both]

    def mix(name: str, inputs: Tensor, outputs: Tensor, channels: int) -> None:
        cells = (inputs[:, None] * channels + outputs).flatten()
        for part in ("weight", "bias"):
            picked[f"{name}.{part}"] = state[f"{name}.{part}"][cells]

    def conv(name: str, outputs: Tensor | slice, inputs: Tensor | slice) -> None:
        picked[f"{name}.weight"] = state[f"{name}.weight"][outputs][:, inputs]
        picked[f"{name}.bias"] = state[f"{name}.bias"][outputs]

    conv("net.stem", stem, every)
    conv("net.down", trunk, stem)
    for k in range(min(shape.blocks, given.blocks)):
        block = f"net.blocks.{k}"
        first, second = (state[f"{block}.conv{n}.weight"] for n in (1, 2))
        inner = _strongest(shape.width, first, [second])
        conv(f"{block}.conv1", inner, trunk)
        affine(f"{block}.norm1.affine", inner, given.width)
        conv(f"{block}.conv2", trunk, inner)
        affine(f"{block}.norm2.affine", trunk, given.width)
        mix(f"net.mixes.{k}.matrix", trunk, trunk, given.width)
    mix("net.coarse_grain.matrix", torch.arange(16), trunk, given.width)
    conv("net.up", quads, trunk)
    affine("net.up_norm.affine", half, 2 * given.stem)
    mix("net.fine_grain.matrix", torch.arange(4), half, 2 * given.stem)
    mix("net.up_mix.matrix", half, half, 2 * given.stem)
    conv("net.out", every, half)
    state.update(picked)
    own = model.state_dict()
    for name in own:
        if name in state and state[name].shape == own[name].shape:
            own[name] = state[name]
        elif name.endswith("norm2.affine.weight"):  # a new block: gain and shift are 0
            own[name] = torch.zeros_like(own[name])
        elif name.endswith("norm2.affine.bias"):
            own[name] = torch.cat([torch.full((shape.width,), -1.0), torch.zeros(shape.width)])
    model.load_state_dict(own)
    return trunk


def _strongest(count: int, makes: Tensor, reads: Sequence[Tensor]) -> Tensor:
    """The channels whose filters are the strongest: of those that make them and that read them."""
    made = makes.flatten(1).norm(dim=1)
    read = torch.stack([w.transpose(0, 1).flatten(1).norm(dim=1) for w in reads]).norm(dim=0)
    return _first(made * read, count)


def _first(importance: Tensor, count: int) -> Tensor:
    return importance.topk(count).indices.sort().values
