"""ResNet against torchvision's."""

import pytest
import torch
from agreement import assert_networks_agree
from torchvision import models

import architectures


@pytest.mark.parametrize("size", [32, 65])
@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_resnet_agrees_with_torchvision(name: str, size: int) -> None:
    torch.manual_seed(0)
    peer = getattr(models, name)(num_classes=11)
    ours = architectures.create(name, num_classes=11, image_size=size)
    assert_networks_agree(ours, peer, size, weights=["conv1.weight", "layer2.0.bn1.bias", "fc.weight"])
