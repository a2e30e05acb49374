"""MobileNetV2: layout and counts of the paper."""

import pytest
import torch
from layer_walk import output_shapes

import architectures
from workbench.inspect.counts import count_macs, count_parameters
from workbench.inspect.meta import on_meta

MOBILENET_V2 = {  # table 2
    "features.0": (32, 112, 112),
    "features.1": (16, 112, 112),
    "features.3": (24, 56, 56),
    "features.6": (32, 28, 28),
    "features.10": (64, 14, 14),
    "features.13": (96, 14, 14),
    "features.16": (160, 7, 7),
    "features.17": (320, 7, 7),
    "features.18": (1280, 7, 7),
}


def test_layers_have_the_papers_shapes() -> None:
    assert output_shapes("mobilenet_v2", MOBILENET_V2) == MOBILENET_V2


def test_counts() -> None:
    with on_meta():
        assert count_parameters(architectures.create("mobilenet_v2", num_classes=10)) == 2_236_682
    macs = count_macs(architectures.create("mobilenet_v2", num_classes=10), 3, 224)
    assert macs == pytest.approx(0.300e9, rel=0.005)


@pytest.mark.parametrize(("width", "macs", "params"), [(1.0, 300e6, 3.4), (1.4, 585e6, 6.9)])  # table 4
def test_counts_of_the_paper(width: float, macs: float, params: float) -> None:
    assert count_macs(architectures.create("mobilenet_v2", width=width), 3, 224) == pytest.approx(macs, rel=0.02)
    with on_meta():
        count = count_parameters(architectures.create("mobilenet_v2", width=width))
    assert count / 1e6 == pytest.approx(params, rel=0.15)


def test_a_bottleneck_is_linear() -> None:
    block = architectures.create("mobilenet_v2").features[3].eval()
    assert block.residual
    assert isinstance(block.conv[-1], torch.nn.BatchNorm2d)


def test_width_must_be_positive() -> None:
    with pytest.raises(ValueError, match="width must be more than 0"):
        architectures.create("mobilenet_v2", width=-1)
