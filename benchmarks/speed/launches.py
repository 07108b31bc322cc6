"""What a call asks of the machine: multiply-adds, bytes of convolutions, operators launched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_NO_KERNEL = {"_unsafe_view", "empty", "empty_like", "empty_strided", "new_empty", "lift_fresh"}
"""Operators that touch no values; nor do views, nor ``prim``, which asks for a device, say."""


class Count(TorchDispatchMode):
    """Counts what passes by.

    Attributes:
        operators: how often each operator ran that reads or writes a tensor on the device; each is
            one kernel or a few.
        macs: multiply-adds of convolutions and matrix products, by the name of their dtype.
        moved: bytes of what ungrouped convolutions read and write, which no fusion saves where a
            norm, with its sum over the image, stands between them.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.operators: Counter[str] = Counter()
        self.macs: Counter[str] = Counter()
        self.moved = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, Tensor)]
        if any(x.device.type == self.device for x in tensors):
            self._note(func, args, out)
        return out

    def _note(self, func: Any, args: tuple[Any, ...], out: Any) -> None:
        name = func._overloadpacket.__name__
        if func.namespace == "prim" or name in _NO_KERNEL or func.is_view:
            return
        self.operators[name] += 1
        operands = [x for x in args if isinstance(x, Tensor)]
        if "convolution" in name and len(operands) > 1:
            weight = operands[1]
            self._add_macs(weight, out.numel() * prod(weight.shape[1:]))
            if weight.shape[1] > 1:
                self.moved += sum(x.nbytes for x in (operands[0], weight, out))
        elif name in ("mm", "bmm"):
            self._add_macs(operands[0], out.numel() * operands[0].shape[-1])
        elif name in ("addmm", "baddbmm"):
            self._add_macs(operands[1], out.numel() * operands[1].shape[-1])

    def _add_macs(self, operand: Tensor, count: int) -> None:
        self.macs[str(operand.dtype).removeprefix("torch.")] += count


class FakeCuda(TorchFunctionMode):
    """Runs what touches "cuda" on fake tensors, and everything else as it is.

    Operators are those of a GPU, though there is none: whatever the code chooses by the device, it
    chooses as there. What would make the host wait raises.
    """

    def __init__(self, count: Count) -> None:
        super().__init__()
        self.fake, self.count = FakeTensorMode(allow_non_fake_inputs=True), count

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        named = (x for x in leaves if isinstance(x, str | torch.device))
        if not any(isinstance(x, FakeTensor) for x in leaves) and not any(
            str(name).startswith("cuda") for name in named
        ):
            return func(*args, **kwargs)
        with ExitStack() as stack:
            stack.enter_context(self.fake)
            stack.enter_context(self.count)
            return func(*args, **kwargs)


def count(device: str, make: Callable[[Tensor], Callable[[], object]], images: Tensor) -> Count:
    """Count what a call does on a device, after a call that prepares it.

    Args:
        device: that of ``images``, or ``"cuda"``, which need not be there.
        make: the call for a batch; it is made on the device.
        images: a batch.
    """
    counted = Count(device)
    if images.device.type == device:
        call = make(images)
        call()
        with counted:
            call()
        return counted
    before = Count(device)
    mode = FakeCuda(before)
    with mode:
        call = make(images.to(device))
        call()
        mode.count = counted
        call()
    return counted
