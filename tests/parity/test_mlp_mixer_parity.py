"""MLP-Mixer against timm's."""

import pytest
import timm
import torch
from agreement import assert_networks_agree
from torch import nn

import architectures

WEIGHTS = ["stem.proj.weight", "blocks.1.mlp_tokens.fc1.weight", "blocks.7.mlp_channels.fc2.bias", "norm.weight"]


@pytest.mark.parametrize(("name", "size"), [("mixer_s32", 64), ("mixer_s16", 32), ("mixer_s16", 80)])
def test_mixer_agrees_with_timm(name: str, size: int) -> None:
    torch.manual_seed(0)
    peer = timm.create_model(f"{name}_224", num_classes=11, img_size=size)
    nn.init.normal_(peer.head.weight)  # zero in both at the start: nothing would be compared
    ours = architectures.create(name, num_classes=11, image_size=size)
    assert_networks_agree(ours, peer, size, weights=WEIGHTS)


@pytest.mark.parametrize("name", ["mixer_s32", "mixer_s16", "mixer_b32", "mixer_b16", "mixer_l16"])
def test_mixer_has_timms_parameters(name: str) -> None:
    with torch.device("meta"):
        peer = timm.create_model(f"{name}_224", num_classes=11).state_dict()
        ours = architectures.create(name, num_classes=11).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in peer.items()}
