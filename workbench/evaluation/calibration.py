"""Whether a network is right as often as it says: the expected calibration error.

Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017, section 2: predictions are sorted
by their confidence, the largest softmax probability, into bins of equal width; the error is the distance between the
bin's accuracy and its mean confidence, averaged over all predictions.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 15
"""As in the paper's tables."""


@dataclass(frozen=True)
class Bin:
    """Predictions whose confidence is above `low` and at most `high`. NaN means: there are none."""

    low: float
    high: float
    count: int
    confidence: float
    """Mean."""
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """The bins from the least to the most confident."""

    ece: float
    """0 to 1; NaN where no prediction has a confidence."""
    bins: tuple[Bin, ...]
    left_out: int
    """Predictions without a confidence: their logits are not finite."""


def calibrate(confidence: Tensor, correct: Tensor, bins: int = BINS) -> Calibration:
    """`confidence` float64 (N,), 0 to 1 or NaN; `correct` bool (N,)."""
    known = confidence.isfinite()
    confidence, correct = confidence[known], correct[known]
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    place = torch.bucketize(confidence, edges[1:-1])  # edge i is the last value of bin i
    counts = torch.bincount(place, minlength=bins)
    sure = torch.bincount(place, weights=confidence, minlength=bins)
    right = torch.bincount(place, weights=correct.double(), minlength=bins)
    total = int(counts.sum())
    found = []
    for i in range(bins):
        n = int(counts[i])
        means = (float(sure[i]) / n, float(right[i]) / n) if n else (math.nan, math.nan)
        found.append(Bin(float(edges[i]), float(edges[i + 1]), n, *means))
    ece = float((sure - right).abs().sum()) / total if total else math.nan
    return Calibration(ece, tuple(found), int((~known).sum()))
