"""SE-ResNet against timm's legacy_seresnet."""

import pytest
import timm
import torch
from agreement import assert_networks_agree

import architectures


@pytest.mark.parametrize("size", [32, 65])
@pytest.mark.parametrize("layers", [18, 34, 50])
def test_se_resnet_agrees_with_timm(layers: int, size: int) -> None:
    torch.manual_seed(0)
    peer = timm.create_model(f"legacy_seresnet{layers}", num_classes=11, drop_rate=0.0)
    ours = architectures.create(f"se_resnet{layers}", num_classes=11, image_size=size)
    watched = ["layer0.conv1.weight", "layer2.0.se_module.fc1.weight", "last_linear.weight"]
    assert_networks_agree(ours, peer, size, weights=watched)
