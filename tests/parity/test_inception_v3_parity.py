"""Inception v3 against torchvision's, and its auxiliary head."""

import pytest
import torch
from agreement import assert_networks_agree
from torchvision import models
from torchvision.models.inception import InceptionAux

import architectures
from architectures.inception_v3 import AuxiliaryHead

WATCHED = ["Conv2d_1a_3x3.conv.weight", "Mixed_6c.branch7x7dbl_3.conv.weight", "fc.weight"]


def test_every_weight_has_torchvisions_name_and_shape() -> None:
    with torch.device("meta"):
        ours = architectures.create("inception_v3", num_classes=11, aux_heads=True).state_dict()
        peer = models.inception_v3(num_classes=11, aux_logits=True, init_weights=False).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in peer.items()}


@pytest.mark.parametrize("size", [75, 96])
def test_inception_v3_agrees_with_torchvision(size: int) -> None:
    torch.manual_seed(0)
    peer = models.inception_v3(num_classes=11, aux_logits=False, init_weights=False)
    with torch.device("meta"):
        ours = architectures.create("inception_v3", num_classes=11, image_size=size)
    assert_networks_agree(ours.to_empty(device="cpu"), peer, size, weights=WATCHED)


@pytest.mark.parametrize("side", [17, 20])
def test_auxiliary_head_agrees_with_torchvision(side: int) -> None:
    """On a map of its own: in the network torchvision's head has no room below 299 px, which take long."""
    torch.manual_seed(0)
    assert_networks_agree(AuxiliaryHead(11), InceptionAux(768, 11), side, in_channels=768)
