"""GoogLeNet with batch norm against torchvision's, with and without auxiliary heads."""

import pytest
import torch
from agreement import assert_networks_agree
from torchvision import models

import architectures

WATCHED = ["conv1.conv.weight", "inception4b.branch3.1.bn.weight", "fc.weight"]


@pytest.mark.parametrize("size", [33, 64])
def test_googlenet_bn_agrees_with_torchvision(size: int) -> None:
    torch.manual_seed(0)
    peer = models.googlenet(num_classes=11, aux_logits=False, init_weights=False)
    ours = architectures.create("googlenet_bn", num_classes=11, image_size=size)
    assert_networks_agree(ours, peer, size, weights=WATCHED)


@pytest.mark.parametrize("size", [49, 96])
def test_auxiliary_heads_agree_with_torchvision(size: int) -> None:
    torch.manual_seed(0)
    peer = models.googlenet(num_classes=11, aux_logits=True, init_weights=False)
    ours = architectures.create("googlenet_bn", num_classes=11, image_size=size, aux_heads=True)
    assert_networks_agree(ours, peer, size, weights=WATCHED)
