"""Darknet-53: layout and counts of the paper."""

import pytest
import torch
from layer_walk import output_shapes

import architectures
from workbench.inspect.counts import count_macs, count_parameters
from workbench.inspect.meta import on_meta

DARKNET53 = {  # table 1, 256 px
    "stem": (32, 256, 256),
    "stages.0": (64, 128, 128),
    "stages.1": (128, 64, 64),
    "stages.2": (256, 32, 32),
    "stages.3": (512, 16, 16),
    "stages.4": (1024, 8, 8),
    "stages.4.blocks.3.conv1": (512, 8, 8),
}


def test_layers_have_the_papers_shapes() -> None:
    assert output_shapes("darknet53", DARKNET53, size=256) == DARKNET53


def test_counts() -> None:
    with on_meta():
        network = architectures.create("darknet53", num_classes=10)
    assert count_parameters(network) == 40_595_178
    assert sum(isinstance(module, torch.nn.Conv2d | torch.nn.Linear) for module in network.modules()) == 53
    macs = count_macs(architectures.create("darknet53", num_classes=10), 3, 224)
    assert macs == pytest.approx(7.108e9, rel=0.005)


def test_operations_of_the_paper() -> None:
    """Table 2 prints 18.7 billion operations at 256 px, two a multiply-accumulate."""
    macs = count_macs(architectures.create("darknet53", image_size=256), 3, 256)
    assert 2 * macs == pytest.approx(18.7e9, rel=0.02)


def test_nothing_clips_the_sum_of_a_block() -> None:
    block = architectures.create("darknet53").stages[0].blocks[0].eval()
    torch.nn.init.zeros_(block.conv2.bn.weight)  # a branch that adds nothing
    x = torch.randn(1, 64, 4, 4)
    assert torch.equal(block(x), x)
