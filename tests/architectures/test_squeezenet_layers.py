"""SqueezeNet against table 1 of its paper."""

import pytest
import torch

import architectures
from workbench.inspect.meta import on_meta

TABLE_1 = {  # index in `features` or name: (layer of the paper, output channels, side, parameters before pruning)
    "features.0": ("conv1", 96, 111, 14_208),
    "features.3": ("fire2", 128, 55, 11_920),
    "features.4": ("fire3", 128, 55, 12_432),
    "features.5": ("fire4", 256, 55, 45_344),
    "features.7": ("fire5", 256, 27, 49_440),
    "features.8": ("fire6", 384, 27, 104_880),
    "features.9": ("fire7", 384, 27, 111_024),
    "features.10": ("fire8", 512, 27, 188_992),
    "features.12": ("fire9", 512, 13, 197_184),
    "classifier.1": ("conv10", 1000, 13, 513_000),
}


def test_every_layer_is_that_of_table_1() -> None:
    shapes: dict[str, torch.Size] = {}
    with on_meta():
        network = architectures.create("squeezenet1_0", image_size=227).eval()
        for name in TABLE_1:
            module = network.get_submodule(name)
            module.register_forward_hook(lambda _m, _i, out, name=name: shapes.update({name: out.shape}))
        network(torch.empty(1, 3, 227, 227))  # the 111 px of the table need 227, not the 224 it prints
    for name, (layer, channels, side, parameters) in TABLE_1.items():
        assert shapes[name] == (1, channels, side, side), layer
        assert sum(p.numel() for p in network.get_submodule(name).parameters()) == parameters, layer
    assert architectures.card("squeezenet1_0").params[1000] == 1_248_424  # the table's total


def test_counts_are_those_of_the_seed_table() -> None:
    card = architectures.card("squeezenet1_1")
    assert card.params[10] == 727_626
    assert card.macs[10] == pytest.approx(0.264e9, rel=0.005)
    assert architectures.card("squeezenet1_0").params[10] == 740_554


def test_final_relu_is_the_only_difference_of_its_option() -> None:
    torch.manual_seed(0)
    published = architectures.create("squeezenet1_1", num_classes=5, image_size=33).eval()
    signed = architectures.create("squeezenet1_1", num_classes=5, image_size=33, final_relu=False).eval()
    signed.load_state_dict(published.state_dict())
    x = torch.randn(8, 3, 33, 33)
    assert float(published(x).detach().min()) >= 0
    assert float(signed(x).detach().min()) < 0
