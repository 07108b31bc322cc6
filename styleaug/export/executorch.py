"""Networks as ExecuTorch programs, for phones: on the processor, through XNNPACK."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from styleaug.edge import CELL
from styleaug.errors import MissingExtraError
from styleaug.export.graphs import Part

LONGEST = 1024
"""Of an image's sides, in pixels: a program plans its memory for the largest image."""


def require() -> None:
    """Raise if the package of the extra ``executorch`` is missing.

    Raises:
        MissingExtraError: if it is.
    """
    try:
        import executorch.exir  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("executorch", "executorch") from error


def write_pte(part: Part, path: Path) -> None:
    """Export a network for one image at a time, of sides up to LONGEST."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    height, width = (
        torch.export.Dim(name, min=4, max=LONGEST // CELL) for name in ("rows", "columns")
    )
    sides: dict[int, Any] = {2: CELL * height, 3: CELL * width}
    program = torch.export.export(
        part.graph,
        tuple(values[:1].contiguous() for values in part.example.values()),
        dynamic_shapes=tuple(sides if 2 in part.dims[name] else None for name in part.example),
        strict=False,
    )
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


class Program:
    """An exported network, run by ExecuTorch's own runtime, an image at a time."""

    def __init__(self, path: Path) -> None:
        from executorch.runtime import Runtime

        self._program = Runtime.get().load_program(path)
        self._method = self._program.load_method("forward")

    def __call__(self, feed: Mapping[str, Tensor]) -> Tensor:
        """What it gives for a batch."""
        singles = zip(*(torch.split(v, 1) for v in feed.values()), strict=True)
        outputs = [self._method.execute([v.contiguous() for v in single])[0] for single in singles]
        return torch.cat([output.clone() for output in outputs])  # it writes to the same memory
