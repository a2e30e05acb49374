"""Xception: layout and counts of the paper."""

import pytest
import torch
from layer_walk import output_shapes

import architectures
from workbench.inspect.counts import count_macs, count_parameters
from workbench.inspect.meta import on_meta

XCEPTION = {  # figure 5, 299 px
    "conv1": (32, 149, 149),
    "conv2": (64, 147, 147),
    "block1": (128, 74, 74),
    "block2": (256, 37, 37),
    "block3": (728, 19, 19),
    "block11": (728, 19, 19),
    "block12": (1024, 10, 10),
    "conv3": (1536, 10, 10),
    "conv4": (2048, 10, 10),
}


def test_layers_have_the_papers_shapes() -> None:
    assert output_shapes("xception", XCEPTION, size=299) == XCEPTION


def test_counts() -> None:
    with on_meta():
        network = architectures.create("xception", num_classes=10)
        as_the_seeds = architectures.create("xception", num_classes=10, padded_stem=True)
        assert count_parameters(architectures.create("xception")) == 22_855_952  # table 3
    assert count_parameters(network) == count_parameters(as_the_seeds) == 20_827_442
    # The seed's row has 4.593: its stem pads, the paper's (149 and 147 px of 299) does not, nor timm's.
    assert count_macs(as_the_seeds, 3, 224) == pytest.approx(4.593e9, rel=0.001)
    assert count_macs(network, 3, 224) == 4_550_851_552


def test_the_shortcut_sees_the_input_before_its_relu() -> None:
    block = architectures.create("xception").block4.eval()
    x = -torch.rand(1, 728, 4, 4)
    before = x.clone()
    torch.testing.assert_close(block(x) - block.rep(x), before)
    assert torch.equal(x, before)
