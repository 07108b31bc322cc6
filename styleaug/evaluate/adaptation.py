"""Batch norms adapted to unlabelled images of another lighting or finish."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def adapt_batchnorm(model: Any, batches: Iterable[Any]) -> Any:
    """A copy in eval mode whose batch norms hold the statistics of these images.

    For a good part, what another lighting or finish does to a network is that the means and
    variances of its batch norms no longer hold. They can be estimated anew without a label
    (Schneider et al. 2020). No weight changes.

    Args:
        model: a module with batch norms; it stays as it is.
        batches: what it takes, batch by batch, each counting alike: a hundred images or more, of
            all kinds of parts in the shares in which they come. Without gradients.

    Raises:
        ValueError: if the model has no batch norm with running statistics, or there is no batch.

    Examples:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        >>> dim = [0.1 * torch.rand(8, 3, 16, 16) for _ in range(2)]
        >>> adapted = adapt_batchnorm(model, dim)
        >>> bool(adapted[1].running_var.max() < model[1].running_var.max())
        True
    """
    norms = []
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model).eval()
        found = [layer for layer in model.modules() if isinstance(layer, _NORMS)]
        norms = [layer for layer in found if layer.running_mean is not None]
    if not norms:
        raise ValueError(
            "adapt_batchnorm needs a module with batch norms that keep running statistics, but "
            "this model has none."
        )
    before = [(layer.momentum, copy.deepcopy(layer.state_dict())) for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
        layer.train()
    with torch.no_grad():
        for batch in batches:
            model(batch)
    if not any(layer.num_batches_tracked for layer in norms):
        raise ValueError("adapt_batchnorm needs at least one batch of images, but got none.")
    for layer, (momentum, state) in zip(norms, before, strict=True):
        layer.momentum = momentum
        if not layer.num_batches_tracked:  # no image came by: a head for training alone, say
            layer.load_state_dict(state)
    return model.eval()
