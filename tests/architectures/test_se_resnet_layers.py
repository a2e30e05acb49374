"""SE-ResNet: layout and counts of the paper."""

import pytest
import torch
from layer_walk import output_shapes

import architectures
from workbench.inspect.counts import count_macs, count_parameters
from workbench.inspect.meta import on_meta

SE_RESNET50 = {  # table 1
    "layer0": (64, 112, 112),
    "pool0": (64, 56, 56),
    "layer1": (256, 56, 56),
    "layer2": (512, 28, 28),
    "layer3": (1024, 14, 14),
    "layer4": (2048, 7, 7),
    "layer4.2.se_module.fc1": (128, 1, 1),
}


def test_layers_have_the_papers_shapes() -> None:
    assert output_shapes("se_resnet50", SE_RESNET50) == SE_RESNET50


def test_counts() -> None:
    with on_meta():
        assert count_parameters(architectures.create("se_resnet18", num_classes=10)) == 11_270_722
        paper = count_parameters(architectures.create("se_resnet50"))
    assert round(paper / 1e6, 1) == 28.1  # section 4
    macs = count_macs(architectures.create("se_resnet50"), 3, 224)
    assert macs == pytest.approx(3.87e9, rel=0.02)  # table 2


def test_a_gate_scales_every_position_of_a_channel_alike() -> None:
    gate = architectures.create("se_resnet18").layer1[0].se_module
    x = torch.randn(2, 64, 5, 5)
    ratio = gate(x) / x
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(x))
    assert ((ratio > 0) & (ratio < 1)).all()


def test_reduction_sets_the_middle_and_has_limits() -> None:
    assert architectures.create("se_resnet18", reduction=8).layer1[0].se_module.fc1.out_channels == 8
    with pytest.raises(ValueError, match=r"reduction must be between 1 and 64 \(got 65\)"):
        architectures.create("se_resnet18", reduction=65)
