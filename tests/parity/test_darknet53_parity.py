"""Darknet-53 against timm's."""

import pytest
import timm
import torch
from agreement import assert_networks_agree

import architectures


@pytest.mark.parametrize("size", [32, 49])
def test_darknet53_agrees_with_timm(size: int) -> None:
    torch.manual_seed(0)
    ours = architectures.create("darknet53", num_classes=11, image_size=size)
    watched = ["stem.conv1.conv.weight", "stages.2.blocks.3.conv2.conv.weight", "head.fc.weight"]
    assert_networks_agree(ours, timm.create_model("darknet53", num_classes=11), size, weights=watched)
