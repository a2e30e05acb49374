"""Xception: layout and counts of the paper."""

from collections.abc import Iterable

import pytest
import torch

import architectures
from workbench.inspect.counts import count_macs, count_parameters

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


def output_shapes(name: str, layers: Iterable[str], size: int = 224) -> dict[str, tuple[int, ...]]:
    """What each named layer returns for one image, without its batch dimension."""
    shapes = {}
    with torch.device("meta"):
        network = architectures.create(name, image_size=size).eval()
        for layer in layers:
            network.get_submodule(layer).register_forward_hook(
                lambda module, inputs, output, layer=layer: shapes.update({layer: tuple(output.shape[1:])})
            )
        network(torch.empty(1, 3, size, size))
    return shapes


def test_layers_have_the_papers_shapes() -> None:
    assert output_shapes("xception", XCEPTION, size=299) == XCEPTION


def test_counts() -> None:
    with torch.device("meta"):
        assert count_parameters(architectures.create("xception", num_classes=10)) == 20_827_442
        assert count_parameters(architectures.create("xception")) == 22_855_952  # table 3
    # The seed's row has 4.593: its stem pads, the paper's (149 and 147 px of 299) does not.
    macs = count_macs(architectures.create("xception", num_classes=10), 3, 224)
    assert macs == pytest.approx(4.593e9, rel=0.01)


def test_the_shortcut_sees_the_input_before_its_relu() -> None:
    block = architectures.create("xception").block4.eval()
    x = -torch.rand(1, 728, 4, 4)
    before = x.clone()
    torch.testing.assert_close(block(x) - block.rep(x), before)
    assert torch.equal(x, before)
