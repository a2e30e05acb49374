"""Counts what would make the host wait for a GPU: operators that read values back or whose result's shape needs them.

They are the same operators on a CPU, where nothing waits, so that this is seen on any machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
WAITING = {
    aten._local_scalar_dense,  # .item(), float(), bool(), int() and if of a tensor
    aten.equal,
    aten.is_nonzero,
    aten.nonzero,
    aten.masked_select,
    aten._unique2,
    aten.repeat_interleave,
}


class Waits(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        masked = func.overloadpacket in (aten.index, aten.index_put, aten.index_put_) and any(
            isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if func.overloadpacket in WAITING or masked:
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@contextmanager
def count_syncs() -> Iterator[list[str]]:
    """The list grows by the name of each such operator that runs within."""
    with Waits() as waits:
        yield waits.seen
