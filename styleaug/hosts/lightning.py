"""``StyleCallback`` for Lightning: restyles training batches on their device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isinf
from typing import Any

import torch
from torch import Tensor

from styleaug.augment.transform import StyleAugment
from styleaug.errors import MissingExtraError, warn
from styleaug.hosts.batch import BatchStyler, Key

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.utilities.model_helpers import is_overridden
except ImportError as error:
    raise MissingExtraError("lightning", "lightning") from error

_HOOK = "on_after_batch_transfer"


class StyleCallback(Callback):
    """Restyle the images of each training batch after they are moved to the device.

    Validation, test and prediction batches stay unchanged. The callback runs before the module's
    own ``on_after_batch_transfer``, where images are often normalized. It also sets the training
    progress of ``augment``.

    Args:
        augment: the transform that restyles the images.
        batches: ``False`` if ``augment`` already runs in the dataset: then only its progress is
            set.
        images: position of the images in a batch, see :class:`~styleaug.hosts.batch.BatchStyler`.
        masks: position of the masks in a batch, see there.
        then: applied to the restyled images, such as ``Normalize``.
    """

    def __init__(
        self,
        augment: StyleAugment,
        *,
        batches: bool = True,
        images: Key | Sequence[Key] | None = None,
        masks: Key | Sequence[Key] | None = None,
        then: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.augment, self.batches = augment, batches
        self.style = BatchStyler(augment, images=images, masks=masks, then=then)
        self._hooked: tuple[Any, Any, Any] | None = None  # owner, its hook, and that before

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Put the restyling before the hook, on the object whose hook Lightning calls."""
        self._unhook()
        if stage != "fit" or not self.batches:
            return
        data = getattr(trainer, "datamodule", None)
        use_data = data is not None and (
            is_overridden(_HOOK, data) or not is_overridden(_HOOK, pl_module)
        )
        owner: Any = data if use_data else pl_module
        original = getattr(owner, _HOOK)
        # one of its own: seed_everything seeds all processes alike, which would draw alike
        generator = torch.Generator().manual_seed(torch.initial_seed() // 2 + trainer.global_rank)

        def restyle_first(batch: Any, dataloader_idx: int) -> Any:
            # in a later fit it may still be there, where another callback failed on the way out
            if owner.trainer is trainer and trainer.training and self._hooked is hooked:
                batch = self.style(batch, generator)
            return original(batch, dataloader_idx)

        hooked = self._hooked = (owner, restyle_first, vars(owner).get(_HOOK))
        setattr(owner, _HOOK, restyle_first)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the hook as it was."""
        self._unhook()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the hook as it was: after an error or Ctrl-C, Lightning calls no teardown."""
        self._unhook()

    def _unhook(self) -> None:
        if self._hooked is None:
            return
        owner, hook, before = self._hooked
        self._hooked = None  # should another callback's hook hold ours, ours only passes batches on
        if vars(owner).get(_HOOK) is hook:
            delattr(owner, _HOOK)  # what the instance got; the class has its own
            if before is not None:
                setattr(owner, _HOOK, before)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Tell the progress, by epochs or by steps, whichever ends training first."""
        told, length = [], trainer.num_training_batches
        if trainer.max_epochs is not None and trainer.max_epochs > 0:
            done = trainer.current_epoch + min(1.0, batch_idx / length)  # the length may be a guess
            told.append(done / trainer.max_epochs)
        if trainer.max_steps > 0:
            told.append(trainer.global_step / trainer.max_steps)
        elif isinf(length) and self.augment.schedule:
            warn(
                "The schedule moves with whole epochs only, since the training data tell no length."
                " Give Trainer(max_steps=...)."
            )
        if told:
            self.augment.set_progress(min(1.0, max(told)))
