"""EfficientNetV2 against torchvision's."""

import pytest
import torch
from agreement import assert_networks_agree
from torch import nn
from torchvision import models

import architectures

SIZES = [f"efficientnet_v2_{i}" for i in "sml"]
WEIGHTS = [
    "features.0.0.weight",
    "features.1.0.block.0.0.weight",
    "features.5.1.block.2.fc1.weight",
    "classifier.1.bias",
]


def test_efficientnet_v2_s_agrees_with_torchvision() -> None:
    size = 33
    torch.manual_seed(0)
    peer = models.efficientnet_v2_s(num_classes=11)
    for module in peer.modules():
        if isinstance(module, nn.Conv2d):
            # torchvision's depthwise weights start so small that in evaluation nothing would reach the logits.
            nn.init.kaiming_normal_(module.weight, mode="fan_in")
    ours = architectures.create("efficientnet_v2_s", num_classes=11, image_size=size)
    assert_networks_agree(ours, peer, size, weights=WEIGHTS)


@pytest.mark.parametrize("name", SIZES)
def test_efficientnet_v2_has_torchvisions_parameters_and_rates(name: str) -> None:
    with torch.device("meta"):
        peer = getattr(models, name)(num_classes=11)
        ours = architectures.create(name, num_classes=11)
    shapes = {key: value.shape for key, value in ours.state_dict().items()}
    assert shapes == {key: value.shape for key, value in peer.state_dict().items()}
    assert [m.eps for m in ours.modules() if isinstance(m, nn.BatchNorm2d)] == [
        m.eps for m in peer.modules() if isinstance(m, nn.BatchNorm2d)
    ]
    assert ours.classifier[0].p == peer.classifier[0].p
    for stage, other in zip(ours.features[1:-1], peer.features[1:-1], strict=True):
        assert [b.stochastic_depth.rate for b in stage] == pytest.approx([b.stochastic_depth.p for b in other])
