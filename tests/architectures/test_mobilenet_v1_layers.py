"""MobileNetV1: layout and counts of the paper."""

import pytest
from layer_walk import output_shapes

import architectures
from workbench.inspect.counts import count_macs, count_parameters
from workbench.inspect.meta import on_meta

MOBILENET = {  # table 1
    "conv_stem": (32, 112, 112),
    "blocks.0": (64, 112, 112),
    "blocks.1": (128, 56, 56),
    "blocks.2": (256, 28, 28),
    "blocks.3": (512, 14, 14),
    "blocks.4.0.conv_dw": (512, 7, 7),
    "blocks.4.1.conv_dw": (1024, 7, 7),
    "blocks.4": (1024, 7, 7),
}


def test_layers_have_the_papers_shapes() -> None:
    assert output_shapes("mobilenet_v1", MOBILENET) == MOBILENET


def test_counts_of_the_seed_row() -> None:
    with on_meta():
        assert count_parameters(architectures.create("mobilenet_v1", num_classes=10)) == 3_217_226
    macs = count_macs(architectures.create("mobilenet_v1", num_classes=10), 3, 224)
    assert macs == pytest.approx(0.568e9, rel=0.005)


@pytest.mark.parametrize(  # table 6
    ("name", "macs", "params"),
    [
        ("mobilenet_v1", 569e6, 4.2),
        ("mobilenet_v1_075", 325e6, 2.6),
        ("mobilenet_v1_050", 149e6, 1.3),
        ("mobilenet_v1_025", 41e6, 0.5),
    ],
)
def test_counts_of_the_paper(name: str, macs: float, params: float) -> None:
    assert count_macs(architectures.create(name), 3, 224) == pytest.approx(macs, rel=0.02)
    with on_meta():
        assert round(count_parameters(architectures.create(name)) / 1e6, 1) == params


def test_width_is_an_option_of_every_size() -> None:
    with on_meta():
        option = architectures.create("mobilenet_v1", width=0.5)
        assert count_parameters(option) == count_parameters(architectures.create("mobilenet_v1_050"))
    with pytest.raises(ValueError, match="width must be more than 0"):
        architectures.create("mobilenet_v1", width=0)
