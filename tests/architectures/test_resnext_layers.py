"""ResNeXt: layouts and counts of the paper."""

import torch
from layer_walk import output_shapes
from torch.nn import functional

import architectures
from workbench.inspect.counts import count_parameters
from workbench.inspect.meta import on_meta

RESNEXT50 = {  # table 1
    "conv1": (64, 112, 112),
    "maxpool": (64, 56, 56),
    "layer1.0.conv2": (128, 56, 56),
    "layer1": (256, 56, 56),
    "layer2": (512, 28, 28),
    "layer3": (1024, 14, 14),
    "layer4.2.conv2": (1024, 7, 7),
    "layer4": (2048, 7, 7),
}
RESNEXT29 = {  # section 5.3: three stages at 32, 16 and 8 px
    "conv1": (64, 32, 32),
    "layer1.0.conv2": (128, 32, 32),
    "layer1": (256, 32, 32),
    "layer2": (512, 16, 16),
    "layer3": (1024, 8, 8),
}


def test_layers_have_the_papers_shapes() -> None:
    assert output_shapes("resnext50_32x4d", RESNEXT50) == RESNEXT50
    assert output_shapes("resnext29_2x64d", RESNEXT29, size=32) == RESNEXT29


def test_counts() -> None:
    with on_meta():
        assert count_parameters(architectures.create("resnext29_2x64d", num_classes=10)) == 9_128_778
        assert count_parameters(architectures.create("resnext50_32x4d", num_classes=10)) == 23_000_394
        paper = count_parameters(architectures.create("resnext50_32x4d"))
    assert round(paper / 1e6, 1) == 25.0  # table 1


def test_a_grouped_convolution_is_the_sum_of_equal_branches() -> None:
    """Figure 3: the block equals the sum over branches of 1x1 - 3x3 - 1x1 (without the norms in between)."""
    torch.manual_seed(0)
    block = architectures.create("resnext50_32x4d").layer1[1].double()
    x = torch.randn(1, 256, 6, 6, dtype=torch.float64)
    grouped = block.conv3(block.conv2(block.conv1(x)))
    branches = torch.zeros_like(grouped)
    for i in range(32):
        own = slice(4 * i, 4 * i + 4)
        inner = functional.conv2d(functional.conv2d(x, block.conv1.weight[own]), block.conv2.weight[own], padding=1)
        branches += functional.conv2d(inner, block.conv3.weight[:, own])
    torch.testing.assert_close(grouped, branches)
