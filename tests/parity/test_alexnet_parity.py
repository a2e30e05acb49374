"""The later AlexNet against torchvision's, and the pieces of the first against torch's own."""

import pytest
import torch
from agreement import assert_networks_agree
from torch import nn
from torch.nn import functional as F
from torchvision import models

import architectures
from architectures.alexnet import LocalResponseNorm
from architectures.layers import average_to_grid


def test_every_weight_has_torchvisions_name_and_shape() -> None:
    with torch.device("meta"):
        ours = architectures.create("alexnet_owt", num_classes=11).state_dict()
        peer = models.alexnet(num_classes=11).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in peer.items()}


@pytest.mark.parametrize("size", [64, 97])
def test_alexnet_owt_agrees_with_torchvision(size: int) -> None:
    """All of it but the width of the hidden layers, cut from 4096 to 16 on both sides to save memory and time."""
    torch.manual_seed(0)
    with torch.device("meta"):
        ours = architectures.create("alexnet_owt", num_classes=11, image_size=size)
        peer = models.alexnet(num_classes=11)
    for network in (ours, peer):
        network.classifier[1] = nn.Linear(256 * 6 * 6, 16)
        network.classifier[4] = nn.Linear(16, 16)
        network.classifier[6] = nn.Linear(16, 11)
        for module in network.features:
            if isinstance(module, nn.Conv2d):
                module.to_empty(device="cpu").reset_parameters()
    assert_networks_agree(ours, peer, size, weights=["features.0.weight", "features.8.bias", "classifier.6.weight"])


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
