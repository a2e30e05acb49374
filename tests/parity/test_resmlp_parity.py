"""ResMLP against timm's."""

import pytest
import timm
import torch
from agreement import assert_networks_agree
from torch import nn

import architectures

WEIGHTS = ["stem.proj.weight", "blocks.1.linear_tokens.weight", "blocks.3.ls2", "blocks.7.norm1.alpha", "head.weight"]


@pytest.mark.parametrize(("name", "size"), [("resmlp_12", 32), ("resmlp_12", 80), ("resmlp_24", 32), ("resmlp_36", 48)])
def test_resmlp_agrees_with_timm(name: str, size: int) -> None:
    torch.manual_seed(0)
    peer = timm.create_model(f"{name}_224", num_classes=11, img_size=size)
    nn.init.normal_(peer.head.weight)  # zero in timm at the start: nothing would be compared
    for key, parameter in peer.named_parameters():
        if key.endswith((".alpha", ".beta")):  # three dimensions, which `assert_networks_agree` leaves alone
            nn.init.normal_(parameter, mean=float(key.endswith("alpha")), std=0.2)
    ours = architectures.create(name, num_classes=11, image_size=size)
    assert_networks_agree(ours, peer, size, weights=WEIGHTS)


@pytest.mark.parametrize("name", ["resmlp_12", "resmlp_24", "resmlp_36"])
def test_resmlp_has_timms_parameters(name: str) -> None:
    with torch.device("meta"):
        peer = timm.create_model(f"{name}_224", num_classes=11).state_dict()
        ours = architectures.create(name, num_classes=11).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in peer.items()}
