"""A trained network adapted to unlabelled images of a new line, by its norms alone."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from styleaug.images.checks import check_number

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_NORMS = (*_BATCH_NORMS, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d)


def adapt_batchnorm(model: Any, batches: Iterable[Any], *, prior: float = 0.0) -> Any:
    """A copy in eval mode whose batch norms hold the statistics of these images.

    For a good part, what another lighting or finish does to a network is that the means and
    variances of its batch norms no longer hold. They can be estimated anew without a label
    (Schneider et al. 2020). No weight changes. It serves classifiers, detectors and segmenters
    alike.

    Args:
        model: a module with batch norms; it stays as it is.
        batches: what it takes, batch by batch, each counting alike: a hundred images or more, of
            all kinds of parts in the shares in which they come. Without gradients.
        prior: how many images the statistics that the model came with count for, at least 0: with
            few new images they steady the estimate; 0 drops them.

    Raises:
        ValueError: if the model has no batch norm with running statistics, or there is no batch.

    Examples:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        >>> dim = [0.1 * torch.rand(8, 3, 16, 16) for _ in range(2)]
        >>> adapted = adapt_batchnorm(model, dim)
        >>> bool(adapted[1].running_var.max() < model[1].running_var.max())
        True
    """
    check_number("prior", prior, 0)
    norms = []
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model).eval()
        norms = _tracking(model)
    if not norms:
        raise ValueError(
            "adapt_batchnorm needs a module with batch norms that keep running statistics, but "
            "this model has none. adapt_affine adapts other norms."
        )
    before = [(layer.momentum, copy.deepcopy(layer.state_dict())) for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
        layer.train()
    images = 0
    with torch.no_grad():
        for batch in batches:
            model(batch)
            images += _count(batch)
    if not any(layer.num_batches_tracked for layer in norms):
        raise ValueError("adapt_batchnorm needs at least one batch of images, but got none.")
    for layer, (momentum, state) in zip(norms, before, strict=True):
        layer.momentum = momentum
        if not layer.num_batches_tracked:  # no image came by: a head for training alone, say
            layer.load_state_dict(state)
            continue
        share = prior / (prior + images)
        for name in ("running_mean", "running_var"):
            getattr(layer, name).lerp_(state[name], share)
    return model.eval()


def adapt_affine(model: Any, batches: Iterable[Any], *, lr: float = 1e-3) -> Any:
    """A copy in eval mode whose norms' scales and shifts make its outputs surer (TENT).

    For networks without batch norms, such as transformers: each batch once, by one step of Adam on
    the mean entropy of the outputs (Wang et al. 2021, eq. 1). Only scales and shifts of norms
    change; batch norms, if there are any, use and keep the batches' statistics. It can go wrong
    where most outputs are wrong: score it on a few labelled images of the new line.

    Args:
        model: a module that gives logits (B, K) or (B, K, H, W), K >= 2; it stays as it is.
        batches: what it takes, batch by batch, shuffled: a few hundred images or more.
        lr: of Adam.

    Raises:
        ValueError: if the model has no norm with scale and shift, its outputs are no logits of
            classes, or there is no batch.

    Examples:
        >>> model = nn.Sequential(nn.Flatten(), nn.LayerNorm(12), nn.Linear(12, 3))
        >>> adapted = adapt_affine(model, [torch.rand(8, 3, 2, 2)])
        >>> bool((adapted[1].weight != model[1].weight).any())
        True
    """
    check_number("lr", lr, 0)
    chosen: list[Tensor] = []
    frozen: list[Tensor] = []
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model).eval()
        frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
        model.requires_grad_(False)
        norms = [layer for layer in model.modules() if isinstance(layer, _NORMS)]
        chosen = [p for layer in norms for p in (layer.weight, layer.bias) if p is not None]
    if not chosen:
        raise ValueError(
            "adapt_affine needs a module with norms that have a scale and a shift, but this model "
            "has none."
        )
    for parameter in chosen:
        parameter.requires_grad_(True)
    for layer in _tracking(model):
        layer.train()
    optimizer, seen = torch.optim.Adam(chosen, lr=lr), 0
    with torch.enable_grad():
        for batch in batches:
            loss = _entropy(model(batch))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            optimizer.step()
            seen += 1
    if not seen:
        raise ValueError("adapt_affine needs at least one batch of images, but got none.")
    model.eval().requires_grad_(True)
    for parameter in frozen:
        parameter.requires_grad_(False)
    return model


def adapt(model: Any, batches: Iterable[Any], *, prior: float = 0.0) -> Any:
    """:func:`adapt_batchnorm` where there are batch norms, else :func:`adapt_affine`.

    Args:
        model: see there.
        batches: the same.
        prior: the same.

    Raises:
        ValueError: if neither applies.
    """
    if isinstance(model, nn.Module) and _tracking(model):
        return adapt_batchnorm(model, batches, prior=prior)
    return adapt_affine(model, batches)


def _tracking(model: nn.Module) -> list[Any]:
    """Batch norms that keep running statistics."""
    found = [layer for layer in model.modules() if isinstance(layer, _BATCH_NORMS)]
    return [layer for layer in found if layer.running_mean is not None]


def _count(batch: Any) -> int:
    """Images of a batch: a tensor, or a list, tuple or mapping as detectors and others take it."""
    if isinstance(batch, Tensor):
        return len(batch)
    if isinstance(batch, Mapping):
        return max((_count(value) for value in batch.values()), default=1)
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return len(batch)
    return 1


def _entropy(outputs: Any) -> Tensor:
    """Mean entropy of logits over classes, in the second dimension."""
    if not isinstance(outputs, Tensor) or outputs.ndim < 2 or outputs.shape[1] < 2:
        told = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(
            "adapt_affine needs logits (B, K) or (B, K, H, W) of at least 2 classes, but the model "
            f"gives {told}."
        )
    logs = outputs.float().log_softmax(1)
    return -(logs.exp() * logs).sum(1).mean()
