"""The pieces of the first AlexNet, which no library has, against torch's own."""

import pytest
import torch
from torch.nn import functional as F

from architectures.alexnet import LocalResponseNorm
from architectures.layers import average_to_grid


def test_response_norm_is_torchs_with_alpha_over_the_window() -> None:
    torch.manual_seed(0)
    x = 30 * torch.randn(2, 11, 5, 7, dtype=torch.float64)
    expected = F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)
    torch.testing.assert_close(LocalResponseNorm()(x), expected)


@pytest.mark.parametrize(("size", "side"), [(1, 6), (2, 7), (6, 6), (7, 3), (9, 7), (12, 5), (14, 4)])
def test_average_to_grid_is_torchs_adaptive_pooling(size: int, side: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, size, size + 1, dtype=torch.float64)
    torch.testing.assert_close(average_to_grid(x, side), F.adaptive_avg_pool2d(x, side))
