"""SqueezeNet against torchvision's."""

import pytest
import torch
from agreement import assert_networks_agree
from torchvision import models

import architectures


@pytest.mark.parametrize("size", [33, 96])
@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_squeezenet_agrees_with_torchvision(name: str, size: int) -> None:
    torch.manual_seed(0)
    peer = getattr(models, name)(num_classes=11)
    torch.nn.init.normal_(peer.classifier[1].weight, std=0.2)  # so that the ReLU on the classes sees both signs
    ours = architectures.create(name, num_classes=11, image_size=size)
    watched = ["features.0.weight", "features.7.squeeze.weight", "classifier.1.bias"]
    if name == "squeezenet1_0":
        watched[1] = "features.7.expand3x3.weight"
    assert_networks_agree(ours, peer, size, weights=watched)
