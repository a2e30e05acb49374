"""Loss and accuracy as sums over samples, kept on the device and read when asked.

A mean of batch means would give the last, smaller batch the weight of a full one, and reading a
figure every step would stop the device every step. So a batch adds to sums on the device, and dividing by the number of
images happens here, on the host, once a flush.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
        self._sums = torch.tensor([start.loss, start.top1, start.top5], dtype=dtype, device=device)
        self._count = start.count

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: `loss` its mean (scalar), `logits` (B, classes), `labels` (B,). Nothing waits for the device."""
        batch = labels.shape[0]
        guesses = logits.detach().topk(min(5, logits.shape[1]), dim=1).indices  # (B, 5), best first
        hits = guesses == labels[:, None]
        batch_sums = torch.stack((loss.detach() * batch, hits[:, 0].sum(), hits.sum()))
        self._sums += batch_sums.to(self._sums.dtype)
        self._count += batch

    def read(self) -> Totals:
        """The totals so far. This is the one place that waits for the device."""
        loss, top1, top5 = self._sums.tolist()
        return Totals(loss, top1, top5, self._count)


def objective(network: nn.Module, output: Tensor | tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
    """(loss, logits): the mean cross-entropy, plus each auxiliary head's times the network's `aux_weight`.

    A network with auxiliary heads returns a tuple in training mode: logits first, then each head's.
    """
    logits, *auxiliary = output if isinstance(output, tuple) else (output,)
    loss = F.cross_entropy(logits.float(), labels)
    for head in auxiliary:
        weight: float = network.aux_weight  # type: ignore[assignment]  # nn.Module types its attributes as tensors
        loss = loss + weight * F.cross_entropy(head.float(), labels)
    return loss, logits
