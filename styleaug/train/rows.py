"""``StyleRows``: what the row of each training style has beyond what the encoder makes of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


class StyleRows:
    """An offset to the code of each training style, learned while the network trains.

    An encoder that serves two thousand styles at once brings each of them near; a row of its own
    (the conditional instance normalization of Dumoulin et al. 2017) brings it nearer, and one
    gradient of a step serves both. Only the first view of a style uses its offset: by the others,
    the encoder alone is trained, which is what new pictures get.

    Args:
        start: offsets to begin with (S, code_size).
        spread: unit of each number, the standard deviation over the styles (code_size,).
        views: of each style.
    """

    def __init__(self, start: Tensor, spread: Tensor, views: int) -> None:
        self.views, self.spread = views, spread + 1e-4
        self.offsets = (start / self.spread).requires_grad_()
        # a row is met once in hundreds of steps: its second moment must not take longer to settle
        self._optimizer = torch.optim.SparseAdam([self.offsets], betas=(0.9, 0.99))

    def given(self, rows: Tensor) -> Tensor:
        """Of views of styles, by their rows (B,): a leaf (B, code_size) that takes a gradient."""
        first = (rows % self.views == 0).to(self.spread.device)[:, None]
        offsets = self.offsets.detach()[rows.to(self.spread.device) // self.views]
        return (offsets * self.spread * first).requires_grad_()

    def learn(self, rows: Tensor, gradient: Tensor, lr: float) -> None:
        """Take a step of Adam on the offsets that were used, in all processes alike.

        Args:
            rows: of the views (B,).
            gradient: of what :meth:`given` made of them (B, code_size).
            lr: learning rate, in standard deviations over the styles.
        """
        rows, gradient = rows.to(gradient.device), gradient * self.spread
        if distributed.is_initialized():
            world = distributed.get_world_size()
            every = [torch.empty_like(rows) for _ in range(world)]
            distributed.all_gather(every, rows)
            gradients = [torch.empty_like(gradient) for _ in range(world)]
            distributed.all_gather(gradients, gradient)
            rows, gradient = torch.cat(every), torch.cat(gradients) / world
        first = rows % self.views == 0
        self.offsets.grad = torch.sparse_coo_tensor(
            rows[first][None] // self.views,
            gradient[first],
            self.offsets.shape,
            check_invariants=True,
        )
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()  # type: ignore[no-untyped-call]  # torch's

    def every(self) -> Tensor:
        """The offset of each style (S, code_size), in the code's own units, on the CPU."""
        return (self.offsets.detach() * self.spread).cpu()

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "offsets": self.offsets.detach(),
            "spread": self.spread,
            "optimizer": self._optimizer.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.spread = state["spread"]
        self.offsets.data.copy_(state["offsets"])
        self._optimizer.load_state_dict(state["optimizer"])
