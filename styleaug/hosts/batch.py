"""``BatchStyler``: finds the images of a batch, whatever it looks like, and restyles them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torchvision import tv_tensors

from styleaug.augment.transform import StyleAugment
from styleaug.stages.sample import LABELS

Key = str | int
IMAGE_NAMES = ("image", "images", "img", "imgs", "pixel_values", "inputs", "x")
"""What datasets, Hugging Face and others call the images of a batch."""


class BatchStyler:
    """Restyle the images of batches and leave everything else unchanged.

    Args:
        augment: the transform that restyles the images.
        images: position of the images in a batch: a key or index, or several, the outermost first.
            By default the batch itself, its first entry, or an entry under a usual name.
        masks: position of masks (B, ..., H, W), for ``StyleAugment(protect=...)``. In lists of
            images, masks and boxes (``tv_tensors``) at the same position of other lists are found
            automatically.
        then: applied to the restyled images, such as ``Normalize``, which must come last.
    """

    def __init__(
        self,
        augment: StyleAugment,
        *,
        images: Key | Sequence[Key] | None = None,
        masks: Key | Sequence[Key] | None = None,
        then: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.augment, self.then = augment, then
        self.images, self.masks = _path(images), _path(masks)

    def __call__(self, batch: Any, generator: torch.Generator | None = None) -> Any:
        """Restyle a batch.

        Args:
            batch: a tensor; a dict; a tuple or list that begins with the images; images as one
                tensor (B, C, H, W), or as a list of tensors (C, H, W) of several sizes. It is not
                changed.
            generator: a CPU generator; torch's global one if not given.

        Raises:
            ValueError: if the images are not found, or are no images.
        """
        path = self.images if self.images is not None else _find(batch)
        images = _get(batch, path, "images")
        if isinstance(images, Tensor):
            labels = []
            if self.masks is not None:
                labels = [tv_tensors.Mask(_get(batch, self.masks, "masks"))]
            return _put(batch, path, self._styled(images, labels, generator))
        if isinstance(images, list | tuple) and all(isinstance(x, Tensor) for x in images):
            return _put(batch, path, self._styled_list(batch, images, generator))
        raise ValueError(
            f"A batch must have its images as a tensor or a list of tensors, but {list(path)} "
            f"holds {type(images).__name__}. Say where they are: images=key."
        )

    def _styled(
        self, images: Tensor, labels: list[Any], generator: torch.Generator | None
    ) -> Tensor:
        params = self.augment.make_params([images, *labels], generator)
        styled: Tensor = self.augment.transform(images, params)
        return styled if self.then is None else self.then(styled)

    def _styled_list(
        self, batch: Any, images: Sequence[Tensor], generator: torch.Generator | None
    ) -> list[Tensor]:
        """Images of one size go as one batch, unless each has labels to protect."""
        if self.augment.protect:
            return [
                self._styled(image, _labels_of(batch, images, i), generator)
                for i, image in enumerate(images)
            ]
        groups: dict[Any, list[int]] = {}
        for i, image in enumerate(images):
            groups.setdefault((image.shape, image.dtype), []).append(i)
        styled = list(images)
        for rows in groups.values():
            out = self._styled(torch.stack([images[i] for i in rows]), [], generator)
            for i, image in zip(rows, out, strict=True):
                like = images[i]
                wrapped = isinstance(like, tv_tensors.TVTensor)
                styled[i] = tv_tensors.wrap(image, like=like) if wrapped else image
        return styled


def _path(where: Key | Sequence[Key] | None) -> tuple[Key, ...] | None:
    if where is None:
        return None
    return (where,) if isinstance(where, str | int) else tuple(where)


def _find(batch: Any) -> tuple[Key, ...]:
    """Where the images of a batch are, by usual names and by position.

    Raises:
        ValueError: if there is nothing that could be meant.
    """
    if isinstance(batch, Tensor):
        return ()
    if isinstance(batch, Mapping):
        for name in IMAGE_NAMES:
            if name in batch:
                return (name,)
    elif isinstance(batch, list | tuple) and len(batch):
        first = batch[0]
        return (0, *_find(first)) if isinstance(first, Mapping) else (0,)
    names = sorted(map(str, batch)) if isinstance(batch, Mapping) else type(batch).__name__
    raise ValueError(
        f"Images are looked for as a tensor, as the first of a tuple, or under one of the keys "
        f"{', '.join(IMAGE_NAMES)}, but the batch is: {names}. Say where they are: images=key."
    )


def _get(batch: Any, path: tuple[Key, ...], what: str) -> Any:
    for key in path:
        try:
            batch = batch[key]
        except (LookupError, TypeError) as error:
            raise ValueError(
                f"The batch must have its {what} at {list(path)}, but has no {key!r} there."
            ) from error
    return batch


def _put(batch: Any, path: tuple[Key, ...], value: Any) -> Any:
    """A copy of the batch with another value at a place."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    new = _put(batch[key], rest, value)
    if isinstance(batch, tuple):
        items = [new if i == key else item for i, item in enumerate(batch)]
        # a namedtuple takes its fields one by one
        return type(batch)(*items) if hasattr(batch, "_fields") else tuple(items)
    changed = copy.copy(batch)
    changed[key] = new
    return changed


def _labels_of(batch: Any, images: Sequence[Tensor], index: int) -> list[Any]:
    """Masks and boxes at an image's place in the other lists of a batch."""
    lists = batch.values() if isinstance(batch, Mapping) else batch
    found = []
    for other in lists:
        if isinstance(other, list | tuple) and len(other) == len(images):
            found += [leaf for leaf in tree_leaves(other[index]) if isinstance(leaf, LABELS)]
    return found
