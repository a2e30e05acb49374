"""VGG against the tables of its paper."""

import pytest
import torch
from torch import nn

import architectures
from workbench.inspect.meta import on_meta

TABLE_1 = {  # output channels of every 3x3 convolution
    "vgg11": [64, 128, 256, 256, 512, 512, 512, 512],
    "vgg13": [64, 64, 128, 128, 256, 256, 512, 512, 512, 512],
    "vgg16": [64, 64, 128, 128, *[256] * 3, *[512] * 6],
    "vgg19": [64, 64, 128, 128, *[256] * 4, *[512] * 8],
}
TABLE_2 = {"vgg11": 133, "vgg13": 133, "vgg16": 138, "vgg19": 144}  # millions of parameters


@pytest.mark.parametrize("name", TABLE_1)
def test_layers_are_those_of_table_1(name: str) -> None:
    for variant in (name, f"{name}_bn"):
        with on_meta():
            network = architectures.create(variant).eval()
            convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
            sides: list[int] = []
            for module in convolutions:
                module.register_forward_hook(lambda _m, _i, out, sides=sides: sides.append(out.shape[-1]))
            network(torch.empty(1, 3, 224, 224))
        assert [module.out_channels for module in convolutions] == TABLE_1[name]
        assert {module.kernel_size for module in convolutions} == {(3, 3)}
        assert sorted(set(sides), reverse=True) == [224, 112, 56, 28, 14]


@pytest.mark.parametrize("name", TABLE_2)
def test_parameters_are_those_of_table_2(name: str) -> None:
    assert round(architectures.card(name).params[1000] / 1e6) == TABLE_2[name]


def test_counts_are_those_of_the_seed_table() -> None:
    card = architectures.card("vgg11")
    assert card.params[10] == 128_807_306
    assert card.macs[10] == pytest.approx(7.605e9, rel=0.005)
