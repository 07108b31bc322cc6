"""A pack made smaller for a device: channels pruned, the rest fine-tuned to imitate the whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from math import cos, pi

import torch
from torch import Tensor

from styleaug.images.checks import check_number
from styleaug.nn.encoder import Stylizer
from styleaug.nn.noise import SEEDS, white_noise
from styleaug.nn.stylenet import StyleNetConfig
from styleaug.pack import StylePack, build_stylizer
from styleaug.runtime import choose_device, initializing, use_autocast
from styleaug.train.narrow import start_from

MOST_PRUNED = 0.9
"""Share of channels that can be taken out: fewer are left than a network needs."""

_BATCH, _CROP, _PEAK = 8, 128, 2e-3


def prune(
    pack: StylePack,
    share: float,
    pictures: Tensor,
    *,
    minutes: float,
    device: str = "auto",
    callback: Callable[[float, float], object] | None = None,
) -> StylePack:
    """Take channels out of a pack's network, and let the rest learn to do without them.

    The channels that weigh least go (:func:`~styleaug.train.narrow.start_from`); what is left
    imitates the whole network (Hinton et al. 2015) on pictures, in the pack's styles and mixtures
    of them. The convolutions that measure a style stay as they are, so codes keep their meaning.

    Args:
        pack: of a network as training makes it, without fitted styles.
        share: of the channels to take out, in (0, 0.9].
        pictures: (N, 3, S, S), float in [0, 1], S at least 128; like those to be restyled.
        minutes: of fine-tuning.
        device: to fine-tune on.
        callback: hears the share of the time that is over, and the difference so far.

    Returns:
        A pack of the same styles.

    Raises:
        ValueError: if the pack cannot be pruned, or an argument is out of bounds.
    """
    check_number("prune", share, 0.0, MOST_PRUNED)
    check_number("minutes", minutes, 0.0)
    given = pack.config
    if given.arch != "stylenet" or given.style_residuals:
        raise ValueError(
            f"Only packs of a 'stylenet' without fitted styles can be pruned, but {pack!r} has "
            f"{given}. Prune the pack that the styles were fitted for, and fit them again."
        )
    shape = replace(given, stem=_left(given.stem, share), width=_left(given.width, share))
    place = choose_device(device)
    whole = build_stylizer(given, pack.state).requires_grad_(False).eval()
    with initializing(0):
        small = Stylizer(shape)
    kept = start_from(small, whole)
    codes = _narrowed(pack.codes, given, kept)
    for half in (small.net.stem, small.net.down):  # their statistics are part of every code
        half.requires_grad_(False)
    _imitate(
        small.to(place), whole.to(place), codes, pack.codes, pictures, 60 * minutes, place, callback
    )
    return StylePack(small.cpu(), codes, pack.names, pack.tags, {**pack.info, "pruned": share})


def _left(channels: int, share: float) -> int:
    """Channels that are left: a multiple of 4, which processors like."""
    return max(4, 4 * round(channels * (1 - share) / 4))


def _narrowed(codes: Tensor, config: StyleNetConfig, kept: Tensor) -> Tensor:
    """Codes for a network of which some bottleneck channels are kept."""
    sizes = [config.embedding, config.width, config.width, 6]
    embedding, mean, std, colours = torch.split(codes, sizes, dim=1)
    return torch.cat([embedding, mean[:, kept], std[:, kept], colours], dim=1)


def _imitate(
    small: Stylizer,
    whole: Stylizer,
    codes: Tensor,
    wanted_codes: Tensor,
    pictures: Tensor,
    seconds: float,
    device: torch.device,
    callback: Callable[[float, float], object] | None,
) -> None:
    """Fine-tune ``small`` for some seconds."""
    weights = [p for p in small.net.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=_PEAK)
    generator = torch.Generator().manual_seed(0)
    half = use_autocast("auto", device, small.net.config.width)

    def pick(count: int, least: int = 0) -> Tensor:
        return torch.randint(least, count, (_BATCH,), generator=generator)

    start, step = time.monotonic(), 0
    while (done := (time.monotonic() - start) / max(seconds, 1e-9)) < 1:
        step += 1
        rate = 0.02 + 0.98 * 0.5 * (1 + cos(pi * done))
        for group in optimizer.param_groups:
            group["lr"] = _PEAK * rate * min(1.0, step / 30)
        top, left = (
            int(torch.randint(side - _CROP + 1, (), generator=generator))
            for side in pictures.shape[2:]
        )
        crops = pictures[pick(len(pictures)), :, top : top + _CROP, left : left + _CROP]
        exposed = crops.pow(torch.empty(_BATCH, 1, 1, 1).uniform_(0.6, 1.6, generator=generator))
        first, second = pick(len(codes)), pick(len(codes))
        mix = torch.rand(_BATCH, 1, generator=generator) / 2
        noise = white_noise(pick(SEEDS), 1, _CROP, _CROP).to(device)
        images = exposed.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            with torch.no_grad():
                wanted = whole.net(
                    images,
                    torch.lerp(wanted_codes[first], wanted_codes[second], mix).to(device),
                    noise,
                )
            out = small.net(images, torch.lerp(codes[first], codes[second], mix).to(device), noise)
            loss = (out.float() - wanted.float()).abs().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if callback and step % 10 == 0:
            callback(done, loss.item())
