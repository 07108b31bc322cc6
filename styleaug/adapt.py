"""A trained network adapted to unlabelled images of a new line, by its norms alone."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from styleaug.images.checks import check_number

_EPSILON = 1e-5
"""Added to variances, which can be 0."""
_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.InstanceNorm2d,
)


Moments = tuple[Tensor, Tensor]
"""Mean and variance of each channel (C,)."""
Source = Iterable[Any] | Mapping[str, Moments]
"""Images of the old line, batch by batch; or what :func:`norm_statistics` made of them."""


def norm_statistics(model: Any, batches: Iterable[Any]) -> dict[str, Moments]:
    """Compute the batch-norm statistics of a model on its own line, to store with the weights.

    With them, :func:`adapt_batchnorm` needs no training images.

    Args:
        model: a module with batch norms; it does not change.
        batches: batches of its inputs, see :func:`adapt_batchnorm`: a few hundred training images
            without augmentation.

    Returns:
        Means and variances, by the names of the norms, for ``torch.save``.

    Raises:
        ValueError: if the model has no batch norm with running statistics, there is no batch, or
            images or weights are not finite.

    Examples:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        >>> mean, variance = norm_statistics(model, [torch.rand(8, 3, 16, 16)])["1"]
        >>> mean.shape
        torch.Size([4])
    """
    model, norms = _copied(model)
    with torch.no_grad():
        if not _watch(model, norms, batches):
            raise ValueError("source must hold at least one batch of images, but got none.")
    return {norm.name: (norm.mean, norm.variance) for norm in norms if norm.weight}


def adapt_batchnorm(
    model: Any, batches: Iterable[Any], *, source: Source | None = None, prior: float = 0.0
) -> Any:
    """Return a copy in eval mode whose batch norms fit unlabelled images of a new line.

    Much of the effect of another lighting or finish on a network is that the means and variances of
    its batch norms no longer hold. They can be re-estimated without labels (Li et al. 2016;
    Schneider et al. 2020). No weight changes. It applies to classifiers, detectors and segmenters.

    A network that was trained with augmentation has statistics of a mixture, which no single line
    has. Statistics of the new line alone no longer suit its weights. With ``source``, unaugmented
    images of the old line, each channel of the new line is mapped to its mean and variance on the
    old one, and normalized as in training. With means m and standard deviations s of the norm
    (without index), of old and of new images, ``s' = s * s_new / s_old`` and ``m' = m_new + (m -
    m_old) * s_new / s_old``. Without ``source``, the norm's own statistics replace the old ones: m'
    is m_new and s' is s_new.

    Args:
        model: a module with batch norms, also frozen ones; it does not change.
        batches: shuffled batches of its inputs: a hundred images or more, with all kinds of parts
            in their usual shares. Of pairs of images (B, C, H, W) and labels, as loaders give them,
            the images are taken.
        source: the same from the old line: a few hundred training images without augmentation, or
            the result of :func:`norm_statistics` for the same model.
        prior: weight of the old line's statistics as a number of images, at least 0. It stabilizes
            the estimate from few new images; 0 ignores them.

    Raises:
        ValueError: if the model has no batch norm with running statistics, there is no batch,
            ``source`` is of another model, or images or weights are not finite.

    Examples:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        >>> dim = [0.1 * torch.rand(8, 3, 16, 16) for _ in range(2)]
        >>> adapted = adapt_batchnorm(model, dim)
        >>> bool(adapted[1].running_var.max() < model[1].running_var.max())
        True
    """
    check_number("prior", prior, 0)
    if source is not None and not isinstance(source, Mapping):
        source = norm_statistics(model, source)
    model, norms = _copied(model)
    if source is not None:
        _check_statistics(source, norms)
        for norm in norms:
            norm.source = source.get(norm.name, norm.trained)
    with torch.no_grad():
        images = _watch(model, norms, batches, prior)
        if not images:
            raise ValueError("adapt_batchnorm needs at least one batch of images, but got none.")
        for norm in norms:
            if norm.weight:  # else no image came by: a head for training alone, say
                norm.fit(norm.mean, norm.variance, prior / (prior + images))
    return model


def _check_statistics(source: Mapping[str, Moments], norms: Sequence[_Norm]) -> None:
    """Raise if statistics of the old line are not those of these norms."""
    known = {norm.name: norm.trained[0].shape for norm in norms}
    wrong = [str(name) for name in source if name not in known]
    if wrong or not source:
        raise ValueError(
            "source must hold the statistics of this model, by norm_statistics of the same model, "
            f"but holds {f'those of a norm {wrong[0]!r}' if wrong else 'none'}; the norms are "
            f"{', '.join(map(repr, list(known)[:3]))}{', ...' if len(known) > 3 else ''}."
        )
    for name, moments in source.items():
        right = isinstance(moments, Sequence) and len(moments) == 2
        if not right or any(getattr(value, "shape", None) != known[name] for value in moments):
            raise ValueError(
                f"source must hold a mean and a variance of each channel, but for {name!r} these "
                f"are not two tensors of {known[name][0]} numbers."
            )
        if not all(bool(value.isfinite().all()) for value in moments):
            raise ValueError(f"source must be finite, but the statistics of {name!r} are not.")


def _copied(model: Any) -> tuple[nn.Module, list[_Norm]]:
    """A copy in eval mode, and its norms.

    Raises:
        ValueError: if it has none.
    """
    norms: list[_Norm] = []
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model).eval()
        norms = [_Norm(name, layer) for name, layer in tracking_norms(model)]
    if not norms:
        raise ValueError(
            "adapt_batchnorm needs a module with batch norms that keep running statistics, but "
            f"{_told(model)}. adapt_affine adapts other norms."
        )
    return model, norms


def _watch(
    model: nn.Module, norms: Sequence[_Norm], batches: Iterable[Any], prior: float | None = None
) -> int:
    """Show batches to the norms, adapted to each of them if there is a prior: -> images.

    What a norm gets depends on the norms before it, which therefore fit the same batch.
    """
    images = 0

    def see(layer: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        given = inputs[0] if inputs else next(iter(named.values()))
        if not given.numel():  # a detector's head without boxes
            return
        values = given.transpose(0, 1).flatten(1).float()
        moments = values.mean(1), values.var(1, correction=0)
        norm = by_layer[layer]
        norm.add(*moments, len(given))
        if prior is not None:
            norm.fit(*moments, prior / (prior + images))

    by_layer = {norm.layer: norm for norm in norms}
    hooks = [norm.layer.register_forward_pre_hook(see, with_kwargs=True) for norm in norms]
    try:
        for batch in _inputs(batches):
            images += _count(batch)
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    seen = [norm for norm in norms if norm.weight]
    if images and not seen:
        raise ValueError(
            "Batch norms must be called as modules to be adapted, but no image came by any of "
            f"{', '.join(repr(norm.name) for norm in norms[:3])}."
        )
    for norm in seen:
        if not bool((norm.mean + norm.variance).isfinite().all()):
            raise ValueError(
                f"Images and weights must be finite, but the inputs of {norm.name!r} are not."
            )
    return images


def _inputs(batches: Iterable[Any]) -> Iterator[Any]:
    """Batches as a model takes them: of images and labels, as loaders give them, the images.

    Raises:
        ValueError: if these are no batches.
    """
    if isinstance(batches, Tensor | str | Path | Mapping) or not isinstance(batches, Iterable):
        advice = " Put a single batch into a list." if isinstance(batches, Tensor) else ""
        raise ValueError(
            f"Batches must come from a loader or a list, but got {_kind(batches)}.{advice}"
        )
    for batch in batches:
        pair = isinstance(batch, list | tuple) and batch and isinstance(batch[0], Tensor)
        yield batch[0] if pair and batch[0].ndim > 3 else batch


class _Norm:
    """A batch norm: its statistics as trained, those of the old line, and those seen since."""

    def __init__(self, name: str, layer: Any) -> None:
        self.name, self.layer = name, layer
        own = layer.running_mean, layer.running_var
        self.trained = own[0].float().clone(), own[1].float().clone()
        self.source = self.trained
        self.weight = 0

    def add(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Take in the statistics of ``count`` more images."""
        if not self.weight:
            self.mean, self.variance = torch.zeros_like(mean), torch.zeros_like(variance)
        self.weight += count
        share = count / self.weight
        step = mean - self.mean
        self.mean = self.mean + share * step
        within = self.variance.lerp(variance, share)
        self.variance = within + share * (1 - share) * step.square()

    def fit(self, mean: Tensor, variance: Tensor, share: float) -> None:
        """Normalize images of these statistics; those of the old line count for ``share``."""
        old_mean, old_variance = (value.to(mean) for value in self.source)
        own_mean, own_variance = self.trained
        mean, variance = mean.lerp(old_mean, share), variance.lerp(old_variance, share)
        ratio = (variance + _EPSILON) / (old_variance + _EPSILON)
        self.layer.running_mean.copy_(mean + (own_mean - old_mean) * ratio.sqrt())
        self.layer.running_var.copy_(own_variance * ratio)


def adapt_affine(model: Any, batches: Iterable[Any], *, lr: float = 1e-3) -> Any:
    """Return a copy in eval mode with norm scales and shifts that reduce entropy (TENT).

    For networks without batch norms, such as transformers. Each batch gives one step of Adam on the
    mean entropy of the outputs (Wang et al. 2021, eq. 1). Only scales and shifts of norms change;
    batch norms, if any, use and keep the batches' statistics. It can fail where most outputs are
    wrong: score it on a few labelled images of the new line.

    Args:
        model: a module with logits (B, K) or (B, K, H, W), K >= 2, as output; it does not change.
        batches: shuffled batches of its inputs: a few hundred images or more.
        lr: learning rate of Adam.

    Raises:
        ValueError: if the model has no norm with scale and shift, or one in float16, its outputs
            are no logits of classes, they are not finite, or there is no batch.

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
            "adapt_affine needs a module with norms that have a scale and a shift, but "
            f"{_told(model)}."
        )
    if any(parameter.dtype == torch.float16 for parameter in chosen):
        raise ValueError(
            "adapt_affine needs norms in float32 or bfloat16, because its steps are lost in "
            "float16. Call model.float() first."
        )
    for parameter in chosen:
        parameter.requires_grad_(True)
    for _, layer in tracking_norms(model):
        layer.train()
    optimizer, seen = torch.optim.Adam(chosen, lr=lr), 0
    with torch.enable_grad():
        for batch in _inputs(batches):
            loss = _entropy(model(batch))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            optimizer.step()
            seen += 1
    if not seen:
        raise ValueError("adapt_affine needs at least one batch of images, but got none.")
    if not all(bool(parameter.isfinite().all()) for parameter in chosen):
        raise ValueError("Images and weights must be finite, but what the model gives is not.")
    model.eval().requires_grad_(True)
    for parameter in frozen:
        parameter.requires_grad_(False)
    return model


def adapt(
    model: Any, batches: Iterable[Any], *, source: Source | None = None, prior: float = 0.0
) -> Any:
    """Apply :func:`adapt_batchnorm` if there are batch norms, otherwise :func:`adapt_affine`.

    Args:
        model: see there.
        batches: the same.
        source: the same, for batch norms alone; :func:`adapt_affine` does not use it.
        prior: the same.

    Raises:
        ValueError: if neither applies.
    """
    if isinstance(model, nn.Module) and tracking_norms(model):
        return adapt_batchnorm(model, batches, source=source, prior=prior)
    return adapt_affine(model, batches)


def tracking_norms(model: nn.Module) -> list[tuple[str, Any]]:
    """Names and norms that normalize by running statistics, frozen ones too."""
    names = ("running_mean", "running_var")
    layers = model.named_modules()
    return [x for x in layers if all(isinstance(getattr(x[1], n, None), Tensor) for n in names)]


def _count(batch: Any) -> int:
    """Images of a batch: a tensor, or a list, tuple or mapping as detectors and others take it."""
    if isinstance(batch, Tensor):
        return len(batch) if batch.ndim else 1
    if isinstance(batch, Mapping):
        return max((_count(value) for value in batch.values()), default=1)
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return len(batch)
    return 1


def _kind(value: Any) -> str:
    """What something is, for messages."""
    return f"a {type(value).__name__}"


def _told(model: Any) -> str:
    """What is wrong with a model that has no norm to adapt."""
    return "this model has none" if isinstance(model, nn.Module) else f"got {_kind(model)}"


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
