"""Inception v3's auxiliary head against torchvision's."""

import torch
from agreement import assert_networks_agree, without_memory
from torchvision.models.inception import InceptionAux

from architectures.inception_v3 import AuxiliaryHead


def test_auxiliary_head_agrees_with_torchvision() -> None:
    """On a map of its own: in the network torchvision's head has no room below 299 px, which take long."""
    torch.manual_seed(0)
    with without_memory():
        ours, peer = AuxiliaryHead(11), InceptionAux(768, 11)
    assert_networks_agree(ours, peer, 17, 20, in_channels=768)
