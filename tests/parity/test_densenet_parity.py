"""DenseNet against torchvision's."""

import pytest
import torch
from agreement import assert_networks_agree
from torchvision import models

import architectures


@pytest.mark.parametrize("size", [32, 65])
def test_densenet121_agrees_with_torchvision(size: int) -> None:
    torch.manual_seed(0)
    ours = architectures.create("densenet121", num_classes=11, image_size=size)
    watched = ["features.conv0.weight", "features.denseblock2.denselayer3.norm1.weight", "classifier.weight"]
    assert_networks_agree(ours, models.densenet121(num_classes=11), size, weights=watched)


@pytest.mark.parametrize("name", ["densenet169", "densenet201"])
def test_larger_densenets_agree_with_torchvision(name: str) -> None:
    torch.manual_seed(0)
    ours = architectures.create(name, num_classes=11, image_size=33)
    assert_networks_agree(ours, getattr(models, name)(num_classes=11), 33)
