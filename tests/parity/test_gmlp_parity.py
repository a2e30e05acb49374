"""gMLP against timm's."""

import pytest
import timm
import torch
from agreement import assert_networks_agree
from torch import nn

import architectures

WEIGHTS = [
    "stem.proj.weight",
    "blocks.1.mlp_channels.gate.proj.weight",
    "blocks.3.mlp_channels.gate.norm.bias",
    "blocks.9.mlp_channels.fc1.weight",
    "head.bias",
]


@pytest.mark.parametrize(("name", "size"), [("gmlp_ti16", 32), ("gmlp_ti16", 80), ("gmlp_s16", 48)])
def test_gmlp_agrees_with_timm(name: str, size: int) -> None:
    torch.manual_seed(0)
    peer = timm.create_model(f"{name}_224", num_classes=11, img_size=size)
    nn.init.normal_(peer.head.weight)  # zero in timm at the start: nothing would be compared
    for key, parameter in peer.named_parameters():
        if key.endswith("gate.proj.weight"):  # all but zero at the start: mixing would hardly be compared
            nn.init.normal_(parameter, std=0.2)
    ours = architectures.create(name, num_classes=11, image_size=size)
    assert_networks_agree(ours, peer, size, weights=WEIGHTS)


@pytest.mark.parametrize("name", ["gmlp_ti16", "gmlp_s16", "gmlp_b16"])
def test_gmlp_has_timms_parameters(name: str) -> None:
    with torch.device("meta"):
        peer = timm.create_model(f"{name}_224", num_classes=11).state_dict()
        ours = architectures.create(name, num_classes=11).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in peer.items()}
