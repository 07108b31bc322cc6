"""``StyledLoader``: a DataLoader whose batches come restyled, on the device, one batch ahead."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, distributed
from torch.utils._pytree import tree_leaves, tree_map
from torchvision import tv_tensors

from styleaug.augment.transform import StyleAugment
from styleaug.hosts.batch import BatchStyler, Key

log = logging.getLogger(__name__)

_RANK_STEP = 0x9E3779B1
"""Between the seeds of two processes: far more than an epoch has batches, and odd."""


class StyledLoader:
    """Wrap a loader: copy its batches to the device and restyle them there.

    Workers decode, crop and flip. Whole batches are restyled in the main process, with a style per
    image. On CUDA a side stream copies and restyles the next batch while the model trains on the
    current one. Everything else in a batch is moved to the device unchanged.

    Other attributes (``dataset``, ``sampler``, ``batch_size``, ...) are those of the loader.

    Args:
        loader: a ``DataLoader``, or anything else that yields batches, see
            :class:`~styleaug.hosts.batch.BatchStyler`.
        augment: the transform that restyles the images.
        device: target device. By default batches stay where the loader puts them.
        images: position of the images in a batch, see there.
        masks: position of the masks in a batch, see there.
        then: applied to the restyled images, such as ``Normalize``, which must come last.
        ahead: whether to prepare the next batch while the current one is in use. By default only on
            CUDA. On the CPU a thread prepares it, which helps only if training leaves cores idle.

    Raises:
        ValueError: during iteration, if no valid images are found.

    Examples:
        >>> data = torch.utils.data.TensorDataset(torch.rand(6, 3, 32, 32), torch.arange(6))
        >>> loader = torch.utils.data.DataLoader(data, batch_size=3)
        >>> for images, labels in StyledLoader(loader, StyleAugment()):
        ...     print(tuple(images.shape), labels.tolist())
        (3, 3, 32, 32) [0, 1, 2]
        (3, 3, 32, 32) [3, 4, 5]
    """

    def __init__(
        self,
        loader: Iterable[Any],
        augment: StyleAugment,
        *,
        device: torch.device | str | None = None,
        images: Key | Sequence[Key] | None = None,
        masks: Key | Sequence[Key] | None = None,
        then: Callable[[Tensor], Tensor] | None = None,
        ahead: bool | None = None,
    ) -> None:
        self.loader = loader
        self.augment = augment
        self.device = None if device is None else torch.device(device)
        self.style = BatchStyler(augment, images=images, masks=masks, then=then)
        self._cuda = self.device is not None and self.device.type == "cuda"
        self.ahead = self._cuda if ahead is None else ahead
        if ahead is None and not self._cuda:
            log.info("StyledLoader restyles on the CPU without overlap: it would need idle cores.")
        self._running: WeakSet[Generator[Any]] = WeakSet()
        self._position: tuple[int, int, Any] | None = None  # seed, batches done, loader's state
        self._resumes = False

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.loader)  # type: ignore[arg-type]  # if it has none, its own error says so

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "loader":  # copying asks before there is a loader
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __repr__(self) -> str:
        return f"StyledLoader({self.loader!r}, {self.augment!r}, device={self.device})"

    def __enter__(self) -> StyledLoader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End running epochs and stop the loader's workers, including persistent ones."""
        for epoch in list(self._running):
            epoch.close()
        workers = getattr(self.loader, "_iterator", None)
        if workers is not None:
            workers._shutdown_workers()
            self.loader._iterator = None  # type: ignore[attr-defined]  # seen just above

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch to the loader, its samplers and its dataset, where they accept it."""
        batches = getattr(self.loader, "batch_sampler", None)
        parts = [self.loader, batches, getattr(batches, "sampler", None)]
        parts += [getattr(self.loader, name, None) for name in ("sampler", "dataset")]
        for part in parts:
            tell = getattr(part, "set_epoch", None)
            if tell is not None:
                tell(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the epoch after the last delivered batch.

        Raises:
            TypeError: if the loader has no state; torchdata's ``StatefulDataLoader`` has one.
        """
        if not hasattr(self.loader, "state_dict"):
            raise TypeError(
                f"Resuming within an epoch needs a loader with state_dict(), such as torchdata's "
                f"StatefulDataLoader, but this is a {type(self.loader).__name__}."
            )
        if self._position is None:
            return {"loader": self.loader.state_dict()}
        seed, done, state = self._position
        return {"loader": state, "seed": seed, "done": done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next epoch continue from ``state``."""
        self.loader.load_state_dict(state["loader"])  # type: ignore[attr-defined]
        if "seed" in state:
            self._position = (state["seed"], state["done"], state["loader"])
            self._resumes = True

    def __iter__(self) -> Iterator[Any]:
        first = 0
        # from torch's generator, as a DataLoader seeds its workers; plans have one of their own, so
        # that neither a thread nor the prefetching disturbs what the model draws
        seed = int(torch.empty((), dtype=torch.int64, device="cpu").random_().item()) >> 1
        if distributed.is_available() and distributed.is_initialized():
            # processes that were seeded alike draw apart; generators look at the low 32 bits only
            seed += distributed.get_rank() * _RANK_STEP
        if self._resumes and self._position is not None:
            seed, first, _ = self._position
            self._resumes = False
        epoch = self._epoch(seed, first)
        self._running.add(epoch)
        return epoch

    def _epoch(self, seed: int, first: int) -> Generator[Any]:
        prepare: Callable[[Any, int], Callable[[], Any]] = self._now
        threads: ThreadPoolExecutor | None = None
        if self.ahead and self._cuda:
            prepare = _SideStream(self)
        elif self.ahead:
            # the loader itself stays in this thread, with its draws
            threads = ThreadPoolExecutor(1, thread_name_prefix="StyledLoader")
            prepare = partial(self._in_thread, threads)
        stateful = hasattr(self.loader, "state_dict")
        waiting: list[tuple[int, Any, Callable[[], Any]]] = []
        try:
            for k, batch in enumerate(self.loader, first + 1):
                state = self.loader.state_dict() if stateful else None  # type: ignore[attr-defined]
                waiting.append((k, state, prepare(batch, seed + k)))
                if len(waiting) > self.ahead:
                    yield self._hand_out(seed, *waiting.pop(0))
            for last in waiting:
                yield self._hand_out(seed, *last)
        finally:
            if threads is not None:
                threads.shutdown(cancel_futures=True)

    def _hand_out(self, seed: int, done: int, state: Any, batch: Callable[[], Any]) -> Any:
        self._position = (seed, done, state)
        return batch()

    def _now(self, batch: Any, seed: int) -> Callable[[], Any]:
        done = self.prepare(batch, seed)
        return lambda: done

    def _in_thread(self, threads: ThreadPoolExecutor, batch: Any, seed: int) -> Callable[[], Any]:
        return threads.submit(self.prepare, batch, seed).result

    def prepare(self, batch: Any, seed: int) -> Any:
        """Move a batch to the device and restyle its images.

        Args:
            batch: as the loader yields it; not changed.
            seed: of the plan.
        """
        if self.device is not None:
            batch = tree_map(self._move, batch)
        return self.style(batch, torch.Generator().manual_seed(seed))

    def _move(self, leaf: Any) -> Any:
        """To the device; through pinned memory, so that the copy does not hold up the host."""
        if not isinstance(leaf, Tensor):
            return leaf.to(self.device) if hasattr(leaf, "to") else leaf
        plain = leaf.as_subclass(Tensor)
        if self._cuda and not (plain.is_cuda or plain.is_pinned()):
            plain = plain.pin_memory()
        moved = plain.to(self.device, non_blocking=True)
        return tv_tensors.wrap(moved, like=leaf) if isinstance(leaf, tv_tensors.TVTensor) else moved


class _SideStream:
    """Prepares batches on a CUDA stream of their own; the training's stream waits for its batch."""

    def __init__(self, loader: StyledLoader) -> None:
        self.loader = loader
        self.stream = torch.cuda.Stream(loader.device)  # type: ignore[no-untyped-call]  # torch's

    def __call__(self, batch: Any, seed: int) -> Callable[[], Any]:
        # first comes what the training's stream has been told so far: it may compute this batch, if
        # the loader gives it on the GPU. The batch that the training is about to use is told later
        self.stream.wait_stream(torch.cuda.current_stream(self.stream.device))
        _keep(batch, self.stream)
        with torch.cuda.stream(self.stream):
            done = self.loader.prepare(batch, seed)
            ready = self.stream.record_event()

        def hand_out() -> Any:
            current = torch.cuda.current_stream(self.stream.device)
            current.wait_event(ready)
            _keep(done, current)
            return done

        return hand_out


def _keep(batch: Any, stream: torch.cuda.Stream) -> None:
    """Let no one have the memory of a batch, once it is dropped, while a stream still uses it."""
    for leaf in tree_leaves(batch):
        if isinstance(leaf, Mapping):  # one that tree_leaves does not know, as Hugging Face's
            _keep(list(leaf.values()), stream)
        elif isinstance(leaf, Tensor) and leaf.is_cuda:
            leaf.record_stream(stream)
