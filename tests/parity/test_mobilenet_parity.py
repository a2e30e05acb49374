"""MobileNets at widths that are no names of ours."""

import pytest
import torch
from agreement import assert_networks_agree, without_memory
from peers import CLASSES, mobilenet_v1
from torchvision import models

import architectures


@pytest.mark.parametrize("width", [0.75, 1.25])
def test_mobilenet_v1_agrees_with_timm(width: float) -> None:
    torch.manual_seed(0)
    with without_memory():
        ours = architectures.create("mobilenet_v1", num_classes=CLASSES, width=width)
        peer = mobilenet_v1(width)
    assert_networks_agree(ours, peer, 33)


@pytest.mark.parametrize("width", [0.35, 1.4])
def test_mobilenet_v2_agrees_with_torchvision(width: float) -> None:
    torch.manual_seed(0)
    with without_memory():
        ours = architectures.create("mobilenet_v2", num_classes=CLASSES, width=width)
        peer = models.mobilenet_v2(num_classes=CLASSES, width_mult=width)
    assert_networks_agree(ours, peer, 33)
