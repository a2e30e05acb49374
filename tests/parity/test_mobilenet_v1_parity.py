"""MobileNetV1 against timm's, also at another width."""

import pytest
import timm
import torch
from agreement import assert_networks_agree

import architectures

WATCHED = ["conv_stem.weight", "blocks.3.2.conv_dw.weight", "classifier.weight"]


@pytest.mark.parametrize("size", [32, 65])
def test_mobilenet_v1_agrees_with_timm(size: int) -> None:
    torch.manual_seed(0)
    ours = architectures.create("mobilenet_v1", num_classes=11, image_size=size)
    assert_networks_agree(ours, timm.create_model("mobilenetv1_100", num_classes=11), size, weights=WATCHED)


def test_another_width_agrees_with_timm() -> None:
    torch.manual_seed(0)
    ours = architectures.create("mobilenet_v1", num_classes=11, image_size=33, width=1.25)
    assert_networks_agree(ours, timm.create_model("mobilenetv1_125", num_classes=11), 33, weights=WATCHED)
