"""``fit_style``: one style's row, fitted by gradient descent while the network stays as it is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from styleaug.images.checks import check_whole
from styleaug.networks import as_picture, encode, stylizer_of
from styleaug.nn.features import cached_features
from styleaug.nn.noise import SEEDS, white_noise
from styleaug.nn.perceptual import STYLE_WEIGHT
from styleaug.pack import StylePack
from styleaug.runtime import inference_dtype
from styleaug.styles.probes import PROBE_SIZE, Probes, draw_probes, style_targets, vary

_PER_STEP = 4
_CONTENTS = 32


def fit_style(
    pack: StylePack,
    picture: Tensor,
    *,
    contents: Tensor | None = None,
    start: Tensor | None = None,
    steps: int = 200,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[Tensor, Tensor]:
    """Fit the row of one style on contents, with the network fixed.

    The row is its code and its style residual: scales, shifts and mixing matrices that add to those
    of its embedding (the conditional instance normalization of Dumoulin et al. 2017). Adam
    optimizes both, the code in units of the pack's spread. It minimizes the logarithm of the style
    and content parts together, so the step does not depend on the distance of the style. Contents
    are rotated, mirrored, and made lighter or darker, so the row does not memorize them.

    Args:
        pack: pack with the network.
        picture: (C, h, w), uint8 or float in [0, 1].
        contents: (N, 3, S, S), float in [0, 1], S = PROBE_SIZE; procedural surfaces by default.
        start: initial code (code_size,); by default that of the encoder.
        steps: steps of gradient descent.
        seed: seed of the choice and the variation of contents.
        progress: called with the number of steps done and the total.

    Returns:
        The code (code_size,) and the style residual (P,), float32; for
        :meth:`styleaug.StylePack.extended`.
    """
    check_whole("steps", steps, 1)
    check_whole("seed", seed, 0, 2**63 - 1)
    picture = as_picture(picture)
    device = picture.device
    start = encode(pack, picture[None])[0] if start is None else start.to(device)
    known = stylizer_of(pack, device, torch.float32)
    sizes = [layer.out_features for layer in known.style_layers().values()]
    zeros = torch.zeros(1, sum(sizes), device=device)
    stylizer = known.with_style_residuals(zeros).requires_grad_(False)
    network = stylizer.net.eval().to(memory_format=torch.channels_last)
    layers = stylizer.style_layers().values()
    residuals = [r for layer in layers if (r := layer.style_residuals) is not None]
    dtype = inference_dtype(device)
    trunk = cached_features("vgg16", device, dtype)
    images = draw_probes(0, _CONTENTS, device).images if contents is None else contents.to(device)
    count = min(_PER_STEP, len(images))
    targets = [g.expand(count, -1, -1) for g in style_targets(picture)]
    spread = pack.codes.std(0, correction=0).to(device) + 1e-4
    spread[len(start) - pack.config.style_residuals :] = 0  # shares of other fitted styles
    shift = torch.zeros_like(start, requires_grad=True)
    groups = [{"params": [shift], "lr": 0.1}, {"params": residuals, "lr": 0.03}]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    for values in residuals:
        values.requires_grad_()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode(False), torch.enable_grad():
        for step in range(steps):
            rows = torch.randperm(len(images), generator=generator)[:count]
            probes = Probes(vary(images[rows.to(device)], generator), trunk)
            seeds = torch.randint(SEEDS, (count,), generator=generator).to(device)
            code = torch.cat([start + spread * shift, start.new_ones(1)]).expand(count, -1)
            noise = white_noise(seeds, 1, PROBE_SIZE, PROBE_SIZE)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                outputs = network(probes.images, code, noise)
            style, content = probes.judge(outputs.float(), torch.arange(count), targets, trunk)
            loss = (STYLE_WEIGHT * style + content).clamp_min(1e-6).log().mean()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            if progress is not None:
                progress(step + 1, steps)
    found = torch.cat([values[:, -1] for values in residuals])
    return (start + spread * shift).detach(), found.detach()
