"""Where networks run: device, dtype, forked processes, and how networks are built."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import torch
from torch import distributed
from torch.utils._python_dispatch import TorchDispatchMode

T = TypeVar("T")

_forked = False
_caches: weakref.WeakSet[LeastRecentlyUsed[Any]] = weakref.WeakSet()


def _mark_forked() -> None:
    global _forked
    _forked = True
    for cache in _caches:
        cache.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)


def prepare_process(device: torch.device) -> None:
    """Guard against two traps of forked processes, just before a network runs there.

    A convolution hangs in a child that was forked after its parent used several threads, unless the
    child keeps to one (torch's own DataLoader workers do); and CUDA cannot start in a forked child
    at all.

    Raises:
        RuntimeError: if CUDA is asked for in a forked child.
    """
    if not _forked:
        return
    if device.type == "cuda":
        raise RuntimeError(
            "StyleAugment must not run on CUDA inside a forked worker. Let the workers give CPU "
            "images, and apply it to the batch on the GPU in the main process, or start workers by "
            "'spawn'."
        )
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)


def inference_dtype(device: torch.device) -> torch.dtype:
    """The fastest dtype that restyles well.

    float16 on CUDA, bfloat16 on CPUs that compute in it, else float32.
    """
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu" and cpu_has_bf16():
        return torch.bfloat16
    return torch.float32


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; emulated, it is slower than float32."""
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe()) if probe else False


def choose_device(name: str) -> torch.device:
    """``"auto"`` takes CUDA where there is one; under ``torchrun`` each process its own GPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(name)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine, or the GPU, had too little memory: torch says so in several ways."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        words in said for words in ("can't allocate memory", "not enough memory", "out of memory")
    )


def use_autocast(precision: str, device: torch.device, width: int = 16) -> bool:
    """Whether to compute in bfloat16: ``"auto"`` where the hardware multiplies it.

    On a CPU, channels (``width``) must be a multiple of 16 for that: otherwise gradients of dilated
    convolutions come out NaN (oneDNN of torch 2.14).
    """
    if precision == "auto" and device.type == "cpu" and width % 16:
        return False
    if precision == "auto":
        return torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bf16()
    return precision == "bf16"


@contextmanager
def join_process_group(device: torch.device) -> Iterator[tuple[int, int]]:
    """Join torchrun's process group, if there is one: yields rank and world size."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield 0, 1
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield distributed.get_rank(), world
    finally:
        distributed.destroy_process_group()


@contextmanager
def building() -> Iterator[None]:
    """Where networks are built whose weights are loaded at once: their tensors take no memory.

    On the meta device no random number is drawn, so that neither this thread's generators nor those
    of another move; load with ``assign=True``. ``torch.inference_mode()`` stops outside, for a
    network may be cached, and serve a later caller who wants gradients through it.
    """
    with torch.inference_mode(False), torch.device("meta"):
        yield


@contextmanager
def initializing(seed: int) -> Iterator[None]:
    """Where networks are built that keep their random weights.

    This thread draws from a generator of its own meanwhile. torch's is not touched: forked and put
    back, it would give other threads the same numbers twice.
    """
    with torch.inference_mode(False), torch.device("cpu"), _OwnGenerator(seed):
        yield


class _OwnGenerator(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Whatever draws in this thread, draws from one generator."""

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.generator = torch.Generator("cpu").manual_seed(seed)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags and given.get("generator") is None:
            given["generator"] = self.generator
            if all(argument.name != "generator" for argument in func._schema.arguments):
                name = func._overloadname  # "default", or "low" of randint
                other = "generator" if name == "default" else f"{name}_generator"
                func = getattr(func.overloadpacket, other)
        return func(*args, **given)


class LeastRecentlyUsed(Generic[T]):
    """A small cache that threads share: what was not asked for the longest goes first.

    Args:
        size: entries at most.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[Hashable, T] = OrderedDict()
        self.renew_lock()
        _caches.add(self)

    def renew_lock(self) -> None:
        """A new lock: in a forked child the old one may be held by a thread that is not there."""
        self._lock = threading.RLock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The entry of a key; made, by one thread, if it is not there."""
        with self._lock:
            if key not in self._entries:
                self._entries[key] = make()
                while len(self._entries) > self._size:
                    self._entries.popitem(last=False)
            self._entries.move_to_end(key)
            return self._entries[key]

    def clear(self) -> None:
        """Forget all entries."""
        with self._lock:
            self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
