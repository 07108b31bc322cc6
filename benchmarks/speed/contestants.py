"""What is timed: ours, the predecessor, and what else one would put into a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks.speed.timing import all_stages
from styleaug import StyleAugment, StylePack, runtime
from styleaug.augment.presets import preset
from styleaug.evaluate.baselines import Photometric
from styleaug.evaluate.policies import PerImage
from styleaug.networks import network_of
from styleaug.nn.noise import white_noise
from styleaug.nn.stylenet import REFERENCE
from styleaug.pack import build_stylizer, bundled_packs
from styleaug.stages.restyle import WORKING_SIZE

ALL, DEFAULT, NETWORK = "all stages on all images", "default", "network"
ALL_REFERENCE = "all stages, the reference network in float32"
REFERENCE_NETWORK, PREDECESSOR = "reference network", "reference network in float32"
JITTER, JITTER_EACH = "ColorJitter", "ColorJitter, each image"
AUGMIX, PHOTOMETRIC = "AugMix, each image", "photometric mix, each image"
JIGGLE = "kornia ColorJiggle"
FDA, HISTOGRAMS = "Albumentations FDA, each image", "Albumentations HistogramMatching, each image"
SETTINGS = (0.5, 0.5, 0.3, 0.05)
"""Of ColorJitter and ColorJiggle."""
REFERENCE_SIZE = 256


class Key(NamedTuple):
    """Who is timed: a contestant, and with which pack, if with one."""

    contestant: str
    pack: str | None = None

    def __str__(self) -> str:
        return ", ".join(filter(None, self))


Timed = dict[Key, Callable[[], object]]


def packs_by_name(sources: Sequence[str]) -> dict[str, StylePack]:
    """Packs of names and of files, each under its name."""
    return {Path(source).stem: StylePack.load(source) for source in sources}


def bundled() -> list[str]:
    """``base`` and, where it is bundled, ``fast``."""
    return [name for name in ("base", "fast") if name in bundled_packs()]


def contestants(batch: Tensor, packs: Mapping[str, StylePack]) -> Timed:
    """All that can be timed on this batch.

    The reference network takes seconds on a CPU, and a minute on large images: it is timed on uint8
    batches of up to :data:`REFERENCE_SIZE` pixels.
    """
    found = {**ours(batch, packs), **baselines(batch)}
    if batch.dtype == torch.uint8 and batch.shape[-1] <= REFERENCE_SIZE:
        found |= predecessors(batch)
    return found


def ours(batch: Tensor, packs: Mapping[str, StylePack]) -> Timed:
    """Whole transforms, stages alone, and networks alone on prepared input."""
    found: Timed = {}
    for name, pack in packs.items():
        restyle, *others = all_stages(pack)
        transforms: dict[Key, nn.Module] = {
            Key(ALL, name): StyleAugment([restyle, *others]),
            Key(DEFAULT, name): StyleAugment(preset("default", pack=pack)),
            Key("Restyle alone", name): restyle,
        }
        transforms |= {Key(f"{type(stage).__name__} alone"): stage for stage in others}
        found |= {key: partial(t, batch) for key, t in transforms.items() if key not in found}
        found[Key(NETWORK, name)] = alone(network_of(pack, batch.device), pack, batch)
    return found


def predecessors(batch: Tensor) -> Timed:
    """The network that earlier packages run, 10 GMAC, and our stages around it.

    They run it in float32; beside it stands the same in today's dtype.
    """
    pack = StylePack.random(REFERENCE)
    as_it_was = build_stylizer(pack.config, pack.state).net.requires_grad_(False).eval()
    transform = StyleAugment(all_stages(pack))

    def in_float32() -> object:
        with mock.patch.object(runtime, "inference_dtype", return_value=torch.float32):
            return transform(batch)

    return {
        Key(ALL_REFERENCE): in_float32,
        Key(REFERENCE_NETWORK): alone(network_of(pack, batch.device), pack, batch),
        Key(PREDECESSOR): alone(as_it_was.to(batch.device), pack, batch),
    }


def alone(network: nn.Module, pack: StylePack, batch: Tensor) -> Callable[[], object]:
    """A network on input that is as it likes it, for the size that ``Restyle`` would give it."""
    first = next(network.parameters())
    x = batch if batch.is_floating_point() else batch.float().div(255)
    x = v2.functional.resize(x, min(*x.shape[-2:], WORKING_SIZE)).to(first.dtype)
    if network_of(pack, batch.device) is network:
        x = x.contiguous(memory_format=torch.channels_last)
    codes = pack.codes[:1].to(x).expand(len(x), -1)
    seeds = torch.zeros(len(x), dtype=torch.int64, device=batch.device)

    @torch.no_grad()
    def run() -> object:
        return network(x, codes, white_noise(seeds, 1, *x.shape[-2:]))

    return run


def missing() -> list[str]:
    """A line for each package that is not installed, and what is not timed for want of it."""
    needed = {"kornia": JIGGLE, "albumentations": f"{FDA}; {HISTOGRAMS}"}
    return [
        f"{package} is not installed, so this is left out: {names}."
        for package, names in needed.items()
        if not find_spec(package)
    ]


def baselines(batch: Tensor) -> Timed:
    """Augmentations of other packages, on the batch or as they run in a dataset: image by image.

    Where ``batch`` lies on a GPU those of single images are left out: they would run in workers.
    """
    jitter = v2.ColorJitter(*SETTINGS)
    found: Timed = {Key(JITTER): partial(jitter, batch)}
    if find_spec("kornia"):
        found[Key(JIGGLE)] = _kornia(batch)
    if batch.device.type != "cpu":
        return found
    found[Key(JITTER_EACH)] = partial(PerImage(jitter), batch)
    found[Key(AUGMIX)] = partial(PerImage(v2.AugMix()), batch)
    if batch.dtype == torch.uint8:  # all that its noise is made for
        found[Key(PHOTOMETRIC)] = partial(PerImage(Photometric()), batch)
    if find_spec("albumentations"):
        found |= _albumentations(batch)
    return found


def _kornia(batch: Tensor) -> Callable[[], object]:
    """It takes float alone, so a uint8 batch is converted, and back."""
    from kornia.augmentation import ColorJiggle

    jiggle = ColorJiggle(*SETTINGS, p=1.0)
    if batch.is_floating_point():
        return partial(jiggle, batch)
    return lambda: jiggle(batch.float().div(255)).mul(255).round().to(torch.uint8)


def _albumentations(batch: Tensor) -> Timed:
    """On NumPy images, each of which takes over the look of its neighbour."""
    import albumentations

    images = [image.permute(1, 2, 0).contiguous().numpy() for image in batch]
    references = [*images[1:], images[0]]

    def run(transform: Any) -> list[object]:
        pairs = zip(images, references, strict=True)
        return [transform(image=image, references=[other]) for image, other in pairs]

    return {
        Key(name): partial(run, make(metadata_key="references", p=1.0))
        for name, make in (
            (FDA, albumentations.FDA),
            (HISTOGRAMS, albumentations.HistogramMatching),
        )
    }


def compared(timed: Sequence[Key]) -> list[tuple[Key, Key]]:
    """Whose speed is given as a multiple of whose: all of ours over what does not change.

    Every one over ColorJitter, and the largest ones over the predecessor and AugMix as well.
    """
    names = {PREDECESSOR: (ALL, NETWORK), ALL_REFERENCE: (ALL,), REFERENCE_NETWORK: (NETWORK,)}
    names[AUGMIX] = (ALL, DEFAULT)
    mine = [key for key in timed if key.pack or key.contestant.endswith(" alone")]
    pairs = [(key, Key(other)) for other in (JITTER_EACH, JITTER) for key in mine]
    pairs += [
        (key, Key(other)) for other, chosen in names.items() for key in mine if key[0] in chosen
    ]
    return [(key, other) for key, other in pairs if other in timed]
