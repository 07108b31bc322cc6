"""How much memory a call holds at its peak, beside what it returns."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile


def peak_memory(call: Callable[[], Tensor], device: torch.device) -> int:
    """Bytes that torch held at most during a call, above what it held before and the result.

    On a CPU the profiler tells of every allocation by torch, inside its operators too; scratch
    memory of the libraries that it calls is not told.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        result = call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before - result.nbytes
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        result = call()
    events = seen.profiler.kineto_results.events()
    told = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    return max(accumulate(size for _, size in told), default=0) - result.nbytes
