"""VGG against torchvision's."""

import pytest
import torch
from agreement import assert_networks_agree
from torch import nn
from torchvision import models

import architectures

NAMES = ["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"]


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_has_torchvisions_name_and_shape(name: str) -> None:
    with torch.device("meta"):
        ours = architectures.create(name, num_classes=11).state_dict()
        peer = getattr(models, name)(num_classes=11, init_weights=False).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in peer.items()}


@pytest.mark.parametrize(("name", "size"), [*((name, 32) for name in NAMES), ("vgg11", 65), ("vgg11_bn", 65)])
def test_vgg_agrees_with_torchvision(name: str, size: int) -> None:
    """All of it but the width of the hidden layers, cut from 4096 to 16 on both sides to save a gigabyte."""
    torch.manual_seed(0)
    with torch.device("meta"):
        ours = architectures.create(name, num_classes=11, image_size=size)
        peer = getattr(models, name)(num_classes=11, init_weights=False)
    for network in (ours, peer):
        network.classifier[0] = nn.Linear(512 * 7 * 7, 16)
        network.classifier[3] = nn.Linear(16, 16)
        network.classifier[6] = nn.Linear(16, 11)
        for module in network.features:
            if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
                module.to_empty(device="cpu").reset_parameters()
    middle = f"features.{list(ours.features).index([m for m in ours.features if isinstance(m, nn.Conv2d)][4])}.weight"
    assert_networks_agree(ours, peer, size, weights=["features.0.weight", middle, "classifier.0.bias"])
