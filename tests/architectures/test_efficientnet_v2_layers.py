"""EfficientNetV2 against its paper's tables, its row in the seed document, and the stages of S."""

import pytest
import torch

import architectures
from architectures.efficientnet import MBConv
from architectures.efficientnet_v2 import FusedMBConv
from workbench.inspect.counts import count_macs
from workbench.inspect.meta import on_meta


def test_the_seeds_row_is_reproduced() -> None:
    card = architectures.card("efficientnet_v2_s")  # whose counts are those of the code, as another test shows
    assert card.params[10] == 20_190_298
    assert card.macs[10] == pytest.approx(2.850e9, rel=0.005)


@pytest.mark.parametrize(
    ("name", "size", "millions", "billions"),
    [
        ("efficientnet_v2_s", 384, 22, 8.8),
        ("efficientnet_v2_m", 480, 54, 24),
        ("efficientnet_v2_l", 480, 120, 53),
    ],
)
def test_sizes_are_those_of_table_7(name: str, size: int, millions: float, billions: float) -> None:
    """At the resolution of evaluation; the paper's operations are rounded and stay within six percent."""
    assert architectures.card(name).params[1000] / 1e6 == pytest.approx(millions, rel=0.03)
    with on_meta():
        network = architectures.create(name, image_size=size)
    macs = count_macs(network, 3, size)
    assert macs / 1e9 == pytest.approx(billions, rel=0.06)


def test_every_stage_of_s_is_table_4s() -> None:
    expected = [  # block, channels, side, layers
        (None, 24, 112, None),
        (FusedMBConv, 24, 112, 2),
        (FusedMBConv, 48, 56, 4),
        (FusedMBConv, 64, 28, 4),
        (MBConv, 128, 14, 6),
        (MBConv, 160, 14, 9),
        (MBConv, 256, 7, 15),
        (None, 1280, 7, None),
    ]
    with on_meta():
        network = architectures.create("efficientnet_v2_s").eval()
        x = torch.empty(1, 3, 224, 224)
        for stage, (block, channels, side, layers) in zip(network.features, expected, strict=True):
            x = stage(x)
            assert x.shape == (1, channels, side, side)
            if block is not None:
                assert len(stage) == layers
                assert all(type(layer) is block for layer in stage)
