"""Xception against timm's legacy_xception."""

import pytest
import timm
import torch
from agreement import assert_networks_agree

import architectures


@pytest.mark.parametrize("size", [40, 71])
def test_xception_agrees_with_timm(size: int) -> None:
    torch.manual_seed(0)
    ours = architectures.create("xception", num_classes=11, image_size=size)
    watched = ["conv1.weight", "block5.rep.4.pointwise.weight", "block12.skip.weight", "fc.weight"]
    assert_networks_agree(ours, timm.create_model("legacy_xception", num_classes=11), size, weights=watched)
