"""Loss and accuracy as sums over samples, kept on the device and read when asked.

A mean of batch means would give the last, smaller batch the weight of a full one, and reading a
figure every step would stop the device every step. So a batch adds to sums on the device, and dividing by the number of
images happens here, on the host, once a flush.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.data.splits import Batch


@dataclass(frozen=True)
class Totals:
    """Sums over `count` images."""

    loss: float = 0.0
    top1: float = 0.0
    top5: float = 0.0
    count: int = 0

    def __sub__(self, earlier: "Totals") -> "Totals":
        return Totals(
            self.loss - earlier.loss, self.top1 - earlier.top1, self.top5 - earlier.top5, self.count - earlier.count
        )

    @property
    def means(self) -> dict[str, float]:
        """Mean loss (nats an image) and the fractions whose class was the first guess or among the first five."""
        n = max(self.count, 1)
        return {"loss": self.loss / n, "top1": self.top1 / n, "top5": self.top5 / n}


class Sums:
    """The sums of an epoch or an evaluation while they grow. `start` goes on from an interrupted epoch."""

    def __init__(self, device: torch.device, start: Totals | None = None) -> None:
        start = start or Totals()
        # float64 keeps counts and long sums exact; MPS has none.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        # In place from here on: a captured CUDA graph adds to this very tensor.
        self.vector = torch.tensor([start.loss, start.top1, start.top5, start.count], dtype=dtype, device=device)

    def add(self, batch: Tensor) -> None:
        """Add `batch_sums` of a batch. Nothing waits for the device."""
        self.vector += batch

    def restart(self, totals: Totals) -> None:
        """Go on from other sums: zero at the start of an epoch, a checkpoint's after going back to it."""
        new = [totals.loss, totals.top1, totals.top5, totals.count]
        self.vector.copy_(torch.tensor(new, dtype=self.vector.dtype))

    def read(self) -> Totals:
        """The totals so far. Waits for the device."""
        return as_totals(self.vector.tolist())


def as_totals(values: list[float]) -> Totals:
    """The four numbers of `Sums.vector`, read."""
    loss, top1, top5, count = values
    return Totals(loss, top1, top5, round(count))


class Reading:
    """Numbers on their way from the device. Asking for them early is what costs; asking `ready` first does not."""

    def __init__(self, tensors: list[Tensor]) -> None:
        """`tensors`: of one device and any shapes and types; their values as they are at this moment are read."""
        dtype = torch.float32 if tensors[0].device.type == "mps" else torch.float64
        vector = torch.cat([tensor.detach().reshape(-1).to(dtype) for tensor in tensors])
        self._sizes = [tensor.numel() for tensor in tensors]
        self._event: torch.cuda.Event | None = None
        if vector.device.type == "cuda":
            self._host = torch.empty(vector.shape, dtype=dtype, pin_memory=True)
            self._host.copy_(vector, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()
        else:
            self._host = vector

    def ready(self) -> bool:
        """Whether `values` would return at once."""
        return self._event is None or bool(self._event.query())  # type: ignore[no-untyped-call]

    def values(self) -> list[list[float]]:
        """The numbers of each tensor. Waits until they have arrived."""
        if self._event is not None:
            self._event.synchronize()
        return [part.tolist() for part in torch.split(self._host, self._sizes)]


def batch_sums(loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """(4,) on the device: loss, first guesses right, among the first five, images.

    `loss` is the batch's mean (scalar), `logits` (B, classes), `labels` (B,).
    """
    batch = labels.shape[0]
    guesses = logits.detach().topk(min(5, logits.shape[1]), dim=1).indices  # (B, 5), best first
    hits = guesses == labels[:, None]
    sums = torch.stack((loss.detach() * batch, hits[:, 0].sum(), hits.sum()))
    dtype = torch.float32 if sums.device.type == "mps" else torch.float64
    return F.pad(sums.to(dtype), (0, 1), value=float(batch))


def objective(
    network: nn.Module, output: Tensor | tuple[Tensor, ...], batch: Batch, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """(loss, logits): the mean cross-entropy, plus each auxiliary head's times the network's `aux_weight`.

    A network with auxiliary heads returns a tuple in training mode: logits first, then each head's.
    """
    logits, *auxiliary = output if isinstance(output, tuple) else (output,)
    loss = cross_entropy(logits, batch, label_smoothing)
    for head in auxiliary:
        weight: float = network.aux_weight  # type: ignore[assignment]  # nn.Module types its attributes as tensors
        loss = loss + weight * cross_entropy(head, batch, label_smoothing)
    return loss, logits


def cross_entropy(logits: Tensor, batch: Batch, label_smoothing: float) -> Tensor:
    """The mean over the batch, in float32; of a mixed image, of both its labels by their shares."""
    logits = logits.float()
    if batch.other is None or batch.share is None:
        return F.cross_entropy(logits, batch.labels, label_smoothing=label_smoothing)
    own = F.cross_entropy(logits, batch.labels, label_smoothing=label_smoothing, reduction="none")
    other = F.cross_entropy(logits, batch.other, label_smoothing=label_smoothing, reduction="none")
    return (batch.share * own + (1 - batch.share) * other).mean()


def counted_labels(batch: Batch) -> Tensor:
    """The label that the accuracy of a batch is counted by: of a mixed image, the one with the larger share."""
    if batch.other is None or batch.share is None:
        return batch.labels
    return torch.where(batch.share >= 0.5, batch.labels, batch.other)
