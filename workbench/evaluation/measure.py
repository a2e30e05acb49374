"""One pass over a split, and what can be counted from it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.base.errors import UserError
from workbench.data import Split
from workbench.data.prefetch import prefetch
from workbench.evaluation.calibration import Calibration, calibrate
from workbench.evaluation.model import Model
from workbench.training.fit import is_out_of_memory
from workbench.training.metrics import Sums, batch_sums, objective

Progress = Callable[[int, int], None]
"""Batches done, and of how many."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """What the network said of N images, in the split's order; on the host."""

    logits: Tensor  # float32 (N, classes)
    labels: Tensor  # int64 (N,)
    predicted: Tensor  # int64 (N,)
    loss: float  # mean, nats an image
    top1: float  # fractions
    top5: float

    @property
    def confidence(self) -> Tensor:
        """Softmax probability of each prediction, float64 (N,); NaN where logits are not finite."""
        return self.probability(self.predicted)

    def probability(self, classes: Tensor) -> Tensor:
        """Softmax probability of one class of each image, float64 (N,); `classes` int64 (N,)."""
        parts = zip(torch.split(self.logits, 8192), torch.split(classes, 8192), strict=True)
        chosen = [part.double().softmax(1).gather(1, which[:, None])[:, 0] for part, which in parts]
        return torch.cat(chosen) if chosen else torch.empty(0, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Measures:
    """Counts and rates over a split."""

    confusion: Tensor  # int64 (classes, classes): rows are the true classes, columns the predicted ones
    calibration: Calibration

    @property
    def images(self) -> Tensor:
        """Images of each class, int64 (classes,)."""
        return self.confusion.sum(1)

    @property
    def correct(self) -> Tensor:
        """Of them, those that were recognised."""
        return self.confusion.diagonal()

    @property
    def said(self) -> Tensor:
        """How often each class was predicted, rightly or not."""
        return self.confusion.sum(0)


def look_at(model: Model, split: Split, batch_size: int, progress: Progress = lambda done, total: None) -> Outputs:
    """Show every image of `split` to the network once, in order.

    Loss and accuracies are added up as the training's own evaluation does, so that with its batch size and on its
    device type they are the same to the last digit. UserError where a batch does not fit the device.
    """
    sums = Sums(model.device)
    logits, labels, predicted = [], [], []
    total = split.steps(batch_size)
    try:
        with torch.inference_mode():
            for done, batch in enumerate(prefetch(split.batches(batch_size), model.device), 1):
                loss, said = objective(model.network, model.logits(batch.images), batch)
                sums.add(batch_sums(loss, said, batch.labels))
                # The very call that top-1 is counted by: of equal logits, the same one wins.
                predicted.append(said.topk(min(5, said.shape[1]), dim=1).indices[:, 0].cpu())
                logits.append(said.float().cpu())
                labels.append(batch.labels.cpu())
                progress(done, total)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        smaller = f"--batch-size {max(batch_size // 2, 1)}" if batch_size > 1 else "--device cpu"
        raise UserError(f"out of memory at {batch_size} images at a time; try {smaller}") from None
    means = sums.read().means
    return Outputs(torch.cat(logits), torch.cat(labels), torch.cat(predicted), **means)


def measure(outputs: Outputs) -> Measures:
    """What can be counted from the outputs."""
    classes = outputs.logits.shape[1]
    pairs = torch.bincount(outputs.labels * classes + outputs.predicted, minlength=classes * classes)
    correct = outputs.labels == outputs.predicted
    return Measures(pairs.view(classes, classes), calibrate(outputs.confidence, correct))
