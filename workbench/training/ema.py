"""A moving average of the weights, evaluated beside them (Polyak and Juditsky, 1992; as in EfficientNet's training)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """The average of all floating-point parameters and buffers of `network`; it starts as a copy of them.

    A decay of 0.9999 would remember little but the first weights over the few thousand steps of a short run. So the
    decay of update t is the smaller of `decay` and (1 + t) / (10 + t).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        live = {name: t for name, t in network.state_dict(keep_vars=True).items() if t.is_floating_point()}
        unique: dict[int, str] = {}
        for name, tensor in live.items():
            unique.setdefault(id(tensor), name)  # tied weights are averaged once
        self.names = list(unique.values())
        self.live: list[Tensor] = [live[name].detach() for name in self.names]
        self.average: list[Tensor] = [tensor.clone() for tensor in self.live]

    @torch.no_grad()
    def update(self) -> None:
        """After an optimiser step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.average, self.live, 1.0 - decay)

    def copy(self) -> tuple[int, list[Tensor]]:
        """Where the average stands, to be `put` back."""
        return self.updates, [average.clone() for average in self.average]

    def put(self, saved: tuple[int, list[Tensor]]) -> None:
        self.updates = saved[0]
        for average, value in zip(self.average, saved[1], strict=True):
            average.copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside the block the network has the averaged weights; after it its own again, to the bit."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        # Copies, not pointers: a captured CUDA graph knows the weights by their address.
        for live, average in zip(self.live, self.average, strict=True):
            own = live.clone()
            live.copy_(average)
            average.copy_(own)

    def state_dict(self) -> dict[str, object]:
        return {"updates": self.updates, "average": dict(zip(self.names, self.average, strict=True))}

    def load_state_dict(self, state: dict[str, object]) -> None:
        self.updates = int(state["updates"])  # type: ignore[call-overload]
        saved: dict[str, Tensor] = state["average"]  # type: ignore[assignment]
        for name, average in zip(self.names, self.average, strict=True):
            average.copy_(saved[name])
