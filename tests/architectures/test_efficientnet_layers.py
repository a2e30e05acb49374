"""EfficientNet against its paper's tables, its row in the seed document, and its stages at the baseline size."""

import pytest
import torch

import architectures
from architectures.efficientnet import round_channels
from workbench.inspect.counts import count_macs, count_parameters
from workbench.inspect.meta import on_meta

TABLE_2 = {  # resolution (released with the code), million parameters, billion operations
    "efficientnet_b0": (224, 5.3, 0.39),
    "efficientnet_b1": (240, 7.8, 0.70),
    "efficientnet_b2": (260, 9.2, 1.0),
    "efficientnet_b3": (300, 12, 1.8),
    "efficientnet_b4": (380, 19, 4.2),
    "efficientnet_b5": (456, 30, 9.9),
    "efficientnet_b6": (528, 43, 19),
    "efficientnet_b7": (600, 66, 37),
}


def test_the_seeds_row_is_reproduced() -> None:
    card = architectures.card("efficientnet_b0")  # whose counts are those of the code, as another test shows
    assert card.params[10] == 4_020_358
    assert card.macs[10] == pytest.approx(0.386e9, rel=0.005)


@pytest.mark.parametrize("name", TABLE_2)
def test_sizes_are_those_of_table_2_at_the_resolution_each_was_made_for(name: str) -> None:
    """Operations within five percent: B4 and B5 come out four percent above the paper's figures."""
    size, millions, billions = TABLE_2[name]
    assert architectures.card(name).params[1000] / 1e6 == pytest.approx(millions, rel=0.02)
    with on_meta():
        network = architectures.create(name, image_size=size)
    assert count_macs(network, 3, size) / 1e9 == pytest.approx(billions, rel=0.05)


def test_every_stage_of_b0_is_table_1s() -> None:
    expected = [  # channels, side, layers; the paper gives a stage's input side, here it is the output's
        (32, 112, None),
        (16, 112, 1),
        (24, 56, 2),
        (40, 28, 2),
        (80, 14, 3),
        (112, 14, 3),
        (192, 7, 4),
        (320, 7, 1),
        (1280, 7, None),
    ]
    with on_meta():
        network = architectures.create("efficientnet_b0").eval()
        x = torch.empty(1, 3, 224, 224)
        for stage, (channels, side, layers) in zip(network.features, expected, strict=True):
            x = stage(x)
            assert x.shape == (1, channels, side, side)
            assert layers is None or len(stage) == layers
        first, second = network.features[1][0], network.features[2][0]
    assert count_parameters(first) == 1_448  # no expansion where it would be by one
    assert count_parameters(second) == 6_004


def test_channels_are_rounded_to_eights_and_never_far_down() -> None:
    assert [round_channels(c) for c in (3, 32, 35.2, 17.6, 44.0, 11.9)] == [8, 32, 32, 16, 48, 16]


def test_stochastic_depth_grows_linearly_and_is_off_in_evaluation() -> None:
    torch.manual_seed(0)
    network = architectures.create("efficientnet_b0", num_classes=5, image_size=32, dropout=0.0, stochastic_depth=0.5)
    rates = [block.stochastic_depth.rate for stage in list(network.features)[1:-1] for block in stage]
    assert rates == pytest.approx([0.5 * i / 16 for i in range(16)])
    network.eval()
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(network(x), network(x))
