"""``SteadyRestyle``: a ``Restyle`` whose texture and tone move along with a film."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from styleaug.nn.guided import tone_change
from styleaug.nn.noise import white_noise
from styleaug.stages.restyle import Change, Restyle, RestyleParams
from styleaug.video.motion import Motion

KEEP = 0.95
"""Share of the frame before in the texture and the tone of a frame, where both show the same."""


@dataclass(frozen=True, eq=False)
class Memory:
    """What a frame leaves to the next.

    Attributes:
        maps: of its tone, one over the other (1, 6, ceil(h / 4), ceil(w / 4)).
        texture: (1, 3, h, w).
        offset: from each pixel to its place in the first frame of the shot, as shares of width and
            height (1, 2, h, w).
    """

    maps: Tensor
    texture: Tensor
    offset: Tensor


class SteadyRestyle:
    """A :class:`~styleaug.Restyle` for the frames of a film, one after the other.

    Restyled alone, each frame has its own statistics, noise and sub-pixel grid, and the film
    flickers. Here the noise is anchored to what is shown, and tone and texture are those of the
    frame before, moved along (Ruder et al. 2016), with a twentieth of new ones. Where something
    else shows, and in a new shot, all is new. The first frame is as :class:`~styleaug.Restyle`
    makes it.

    Args:
        stage: what it does to a frame.

    Attributes:
        motion: of the next frame; None begins a shot.
        memory: of the frame before.
    """

    def __init__(self, stage: Restyle) -> None:
        self._stage = stage
        self.protectable = stage.protectable
        self.motion: Motion | None = None
        self.memory: Memory | None = None

    def prepare(self, images: Tensor, params: RestyleParams) -> RestyleParams:
        """See :meth:`styleaug.Restyle.prepare`."""
        return self._stage.prepare(images, params)

    def apply(self, images: Tensor, params: RestyleParams) -> Tensor:
        """Restyle the next frame (1, C, H, W), float."""
        return self._stage.apply_change(images, params, self._change)

    def _change(self, small: Tensor, params: RestyleParams) -> Change:
        size, last = small.shape[-2:], self.memory
        if last is None or self.motion is None or last.texture.shape != small.shape:
            offset = small.new_zeros(1, 2, *size)
            change = self._stage.find_change(small, params, _noise(params.seed, offset))
            self.memory = Memory(torch.cat(change.maps, 1), change.texture, offset)
            return change
        motion = self.motion.at(size)
        offset = motion.moved(last.offset) + motion.flow
        fresh = self._stage.find_change(small, params, _noise(params.seed, offset))
        texture = torch.lerp(fresh.texture, motion.moved(last.texture), KEEP * motion.same)
        new = torch.cat(fresh.maps, 1)
        cells = self.motion.at(new.shape[-2:])
        maps = torch.lerp(new, cells.moved(last.maps), KEEP * cells.same)
        self.memory = Memory(maps, texture, offset)
        a, b = maps.chunk(2, 1)
        return Change((a, b), tone_change(small, (a, b)), texture)

    def tensors(self) -> dict[str, Tensor]:
        """The memory, by name: to be kept, and handed to :meth:`recall`."""
        if self.memory is None:
            return {}
        return {f.name: getattr(self.memory, f.name).contiguous() for f in fields(Memory)}

    def recall(self, tensors: dict[str, Tensor]) -> None:
        """Take a memory over."""
        self.memory = Memory(**tensors) if tensors else None


def _noise(seed: Tensor, offset: Tensor) -> Tensor:
    """Noise at the places of the shot's first frame (1, 1, h, w): it goes round at the border."""
    height, width = offset.shape[-2:]
    field = white_noise(seed.to(offset.device), 1, height, width).flatten()
    down = torch.arange(height, device=offset.device)[:, None]
    right = torch.arange(width, device=offset.device)
    rows = (down + (offset[0, 1] * height).round_().long()) % height
    columns = (right + (offset[0, 0] * width).round_().long()) % width
    return field[rows * width + columns][None, None]
