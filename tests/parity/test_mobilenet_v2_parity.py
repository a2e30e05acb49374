"""MobileNetV2 against torchvision's, also at other widths."""

import pytest
import torch
from agreement import assert_networks_agree
from torchvision import models

import architectures


@pytest.mark.parametrize(("size", "width"), [(32, 1.0), (65, 1.0), (33, 0.35), (33, 1.4)])
def test_mobilenet_v2_agrees_with_torchvision(size: int, width: float) -> None:
    torch.manual_seed(0)
    peer = models.mobilenet_v2(num_classes=11, width_mult=width)
    ours = architectures.create("mobilenet_v2", num_classes=11, image_size=size, width=width)
    watched = ["features.0.0.weight", "features.8.conv.2.weight", "classifier.1.weight"]
    assert_networks_agree(ours, peer, size, weights=watched)
