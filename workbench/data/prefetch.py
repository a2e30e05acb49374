"""The next batch is prepared while the network works on this one: on a CUDA device, on a stream of its own."""

from collections.abc import Iterator

import torch

from workbench.data.splits import Batch


def prefetch(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches, in order; on a CUDA device each is one ahead of the caller, on a side stream.

    The caller's current stream waits on the device, not the host, for a batch before it may use it; the memory of a
    batch is not given to the side stream again before the caller's stream is done with it. An error of `batches` comes
    when the batch is prepared, thus one batch early. On every other device nothing is prepared ahead.
    """
    if device.type != "cuda":
        yield from batches
        return
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    side.wait_stream(torch.cuda.current_stream(device))  # what `batches` reads may still be on its way
    ahead = _prepare(batches, side)
    while ahead is not None:
        batch, ready = ahead
        ahead = _prepare(batches, side)
        current = torch.cuda.current_stream(device)
        current.wait_event(ready)
        for tensor in batch.tensors():
            tensor.record_stream(current)
        yield batch


def _prepare(batches: Iterator[Batch], side: torch.cuda.Stream) -> tuple[Batch, torch.cuda.Event] | None:
    with torch.cuda.stream(side):
        batch = next(batches, None)
        if batch is None:
            return None
        ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
        ready.record(side)
    return batch, ready
