"""ResNeXt against torchvision's."""

import pytest
import torch
from agreement import assert_networks_agree
from torchvision import models

import architectures


@pytest.mark.parametrize("size", [32, 65])
def test_resnext50_agrees_with_torchvision(size: int) -> None:
    torch.manual_seed(0)
    peer = models.resnext50_32x4d(num_classes=11)
    ours = architectures.create("resnext50_32x4d", num_classes=11, image_size=size)
    assert_networks_agree(ours, peer, size, weights=["conv1.weight", "layer2.0.conv2.weight", "fc.weight"])


def test_resnext101_has_torchvisions_keys_and_shapes() -> None:
    with torch.device("meta"):
        peer = models.resnext101_32x8d(num_classes=11).state_dict()
        ours = architectures.create("resnext101_32x8d", num_classes=11).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in peer.items()}
